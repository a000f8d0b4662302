//! Tables in the formats that fleets serve: converted, and read by the gather as they are.

use std::str::FromStr;

use radhard_kernels::Table;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{Config, ConfigError};
use crate::graph::ParameterId;
use crate::model::Model;
use crate::parameter::{Component, Tensor};

/// The format that a model's tables are stored in, first-order weights included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableFormat {
    /// IEEE binary32.
    #[default]
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// A byte per value, a scale and a bias per row; tables of width 1 stay f32.
    Int8Rowwise,
}

impl TableFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8Rowwise];

    /// The name in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Int8Rowwise => "int8-rowwise",
        }
    }

    /// The format of a table of this width: where rows have one value, a scale and a bias per row would be larger than
    /// the f32 that they replace.
    pub(crate) fn at_width(self, width: usize) -> Self {
        if self == Self::Int8Rowwise && width == 1 { Self::F32 } else { self }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this shape")]
    pub(crate) fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

impl std::fmt::Display for TableFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no format of tables.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("table format {0:?} is not known; known are f32, f16, bf16, int8-rowwise")]
pub struct UnknownTableFormat(pub String);

impl FromStr for TableFormat {
    type Err = UnknownTableFormat;

    fn from_str(s: &str) -> Result<Self, UnknownTableFormat> {
        Self::ALL.into_iter().find(|f| f.as_str() == s).ok_or_else(|| UnknownTableFormat(s.to_owned()))
    }
}

/// Where a table's words are among the parameters: one tensor, or codes, scales and biases one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableId {
    pub(crate) first: ParameterId,
    pub(crate) format: TableFormat,
}

impl TableId {
    /// The words of the table.
    pub(crate) fn of(self, tensors: &[Tensor]) -> Table<'_> {
        let tensor = &tensors[self.first];
        match self.format {
            TableFormat::F32 => Table::F32(tensor.f32s()),
            TableFormat::F16 => Table::F16(tensor.u16s()),
            TableFormat::Bf16 => Table::Bf16(tensor.u16s()),
            TableFormat::Int8Rowwise => Table::Int8Rowwise {
                codes: tensor.bytes(),
                scales: tensors[self.first + 1].f32s(),
                biases: tensors[self.first + 2].f32s(),
            },
        }
    }
}

/// A table whose values the format cannot hold.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConvertError {
    /// No model has this configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// NaN or infinity where the format has none.
    #[error(
        "{tensor}, row {row}, column {column}: {value} is not finite, and {format} holds finite values only"
    )]
    NotFinite {
        /// The table.
        tensor: String,
        /// Its row.
        row: usize,
        /// The position in the row.
        column: usize,
        /// The value.
        value: f32,
        /// The format asked for.
        format: TableFormat,
    },
    /// A finite value that the format would turn into infinity.
    #[error("{tensor}, row {row}, column {column}: {value:e} is beyond what {format} can hold")]
    Overflow {
        /// The table.
        tensor: String,
        /// Its row.
        row: usize,
        /// The position in the row.
        column: usize,
        /// The value.
        value: f32,
        /// The format asked for.
        format: TableFormat,
    },
}

/// What is wrong with a value, before its table is known.
struct Misfit {
    row: usize,
    column: usize,
    value: f32,
}

impl Misfit {
    fn in_table(self, tensor: &str, format: TableFormat) -> ConvertError {
        let (tensor, Self { row, column, value }) = (tensor.to_owned(), self);
        if value.is_finite() {
            ConvertError::Overflow { tensor, row, column, value, format }
        } else {
            ConvertError::NotFinite { tensor, row, column, value, format }
        }
    }
}

/// The same model with its tables in another format.
///
/// # Numerics
/// f16 and bf16: rounded to nearest, ties to even; NaN and infinities stay what they are. int8-rowwise, per row:
/// scale = (max − min) / 255, bias = min, code = (w − bias) / scale rounded to nearest, ties to even; so
/// |w − ŵ| ≤ scale / 2, beside the rounding of ŵ; tables of width 1 stay f32. To f32: the values that evaluation reads, bit for bit.
///
/// # Errors
/// If a finite value would become infinite, or, for int8-rowwise, a value is not finite.
pub fn convert(model: &Model, format: TableFormat) -> Result<Model, ConvertError> {
    let config = Config { tables: format, ..model.config().clone() };
    let mut converted = Model::zeroed(&config)?;
    converted.describe_as(model);
    let sources = model.graph().tables().to_vec();
    let (graph, parameters) = converted.split_mut();
    for (source, target) in sources.iter().zip(graph.tables()) {
        let name = model.parameters()[source.id.first].name().trim_end_matches(".codes");
        let words = source.id.of(model.parameters().as_slice());
        let (format, tensors) = (target.id.format, &mut parameters.as_mut_slice()[target.id.first..]);
        write(words, target.width, format, tensors).map_err(|misfit| misfit.in_table(name, format))?;
    }
    for tensor in parameters.iter_mut().filter(|t| t.component() != Component::Embedding) {
        if let Some(source) = model.parameters().named(tensor.name()) {
            tensor.bytes_mut().copy_from_slice(source.bytes());
        }
    }
    Ok(converted)
}

/// Table rows of one task.
const ROWS: usize = 4096;

/// Writes a table into the tensors of its format.
fn write(from: Table<'_>, width: usize, format: TableFormat, tensors: &mut [Tensor]) -> Result<(), Misfit> {
    match (format, tensors) {
        (TableFormat::F32, [table, ..]) => words(from, width, table.f32s_mut(), |x| x, |_| true),
        (TableFormat::F16, [table, ..]) => {
            let encode = |x| half::f16::from_f32_const(x).to_bits();
            words(from, width, table.u16s_mut(), encode, |word| word & 0x7c00 != 0x7c00)
        }
        (TableFormat::Bf16, [table, ..]) => {
            let encode = |x| half::bf16::from_f32_const(x).to_bits();
            words(from, width, table.u16s_mut(), encode, |word| word & 0x7f80 != 0x7f80)
        }
        (TableFormat::Int8Rowwise, [codes, scales, biases, ..]) => codes
            .bytes_mut()
            .par_chunks_mut(width)
            .zip(scales.f32s_mut())
            .zip(biases.f32s_mut())
            .enumerate()
            .with_min_len(ROWS)
            .map_init(
                || vec![0.0; width],
                |values, (row, ((codes, scale), bias))| {
                    from.row(row, values);
                    quantise(values, codes, scale, bias).map_err(|(column, value)| Misfit {
                        row,
                        column,
                        value,
                    })
                },
            )
            .reduce(|| Ok(()), earlier),
        _ => Ok(()),
    }
}

/// The first of two findings.
fn earlier(a: Result<(), Misfit>, b: Result<(), Misfit>) -> Result<(), Misfit> {
    a.and(b)
}

/// Writes one word per value.
fn words<T: Send>(
    from: Table<'_>,
    width: usize,
    to: &mut [T],
    encode: impl Fn(f32) -> T + Sync,
    finite: impl Fn(&T) -> bool + Sync,
) -> Result<(), Misfit> {
    let fill = |values: &mut Vec<f32>, (row, to): (usize, &mut [T])| {
        from.row(row, values);
        for (column, (to, &value)) in to.iter_mut().zip(&*values).enumerate() {
            *to = encode(value);
            if value.is_finite() && !finite(to) {
                return Err(Misfit { row, column, value });
            }
        }
        Ok(())
    };
    let rows = to.par_chunks_mut(width).enumerate().with_min_len(ROWS);
    rows.map_init(|| vec![0.0; width], fill).reduce(|| Ok(()), earlier)
}

/// Quantises one row; the position and the value that cannot be.
fn quantise(values: &[f32], codes: &mut [u8], scale: &mut f32, bias: &mut f32) -> Result<(), (usize, f32)> {
    if let Some(column) = values.iter().position(|x| !x.is_finite()) {
        return Err((column, values[column]));
    }
    let (low, high) = values[1..].iter().fold((values[0], values[0]), |(low, high), &x| {
        (if x < low { x } else { low }, if x > high { x } else { high })
    });
    *scale = ((f64::from(high) - f64::from(low)) / 255.0) as f32;
    *bias = low;
    for (column, (code, &x)) in codes.iter_mut().zip(values).enumerate() {
        // The cast keeps within [0, 255] and takes 0 / 0, of a row of one value, as 0.
        *code = ((f64::from(x) - f64::from(low)) / f64::from(*scale)).round_ties_even() as u8;
        if !radhard_kernels::plain::dequantised(*code, *scale, *bias).is_finite() {
            return Err((column, x));
        }
    }
    Ok(())
}
