//! Tables in Parquet files.
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::assembly::{Assembly, Piece};
use crate::bad_line::Reason;
use crate::meta::{IdRule, Meta};
use crate::parquet_pages::{check_footer, check_pages};
use crate::prepare::{Preparation, PrepareError};
use crate::progress::{Progress, Report, Stage};
use crate::synth::need_rows;
use crate::table::{self, RowRules, TableOptions};
use radhard_memory::open_regular;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1 << 16;

/// Prepares the Parquet file `input`.
///
/// Columns of the top level are used: categories from whole numbers, booleans and byte strings, numbers and labels from
/// whole numbers, booleans and floats. A missing category is the empty value; a missing number or label makes a bad row.
pub fn parquet(
    input: &Path,
    out: &Path,
    options: &TableOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let wrong =
        |error: ParquetError| PrepareError::Parquet { path: input.to_owned(), reason: error.to_string() };
    let failed = |source| PrepareError::Read { path: input.to_owned(), source };
    let mut file = open_regular(input).map_err(failed)?;
    let damaged = |reason| PrepareError::Parquet { path: input.to_owned(), reason };
    check_footer(&mut file).map_err(damaged)?;
    let mut pages = file.try_clone().map_err(failed)?;
    let reader = guarded(|| SerializedFileReader::new(file)).map_err(wrong)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let places = options.locate(input, &names)?;
    let role = |place: usize, role: Role| {
        let column = &schema.columns()[place];
        match Kind::of(column) {
            Some(kind) if kind.serves(role) => Ok((place, kind)),
            _ => Err(PrepareError::ParquetColumn {
                path: input.to_owned(),
                column: names[place].clone(),
                kind: type_name(column),
                role: role.name(),
            }),
        }
    };
    let all = |places: &[usize], wanted: Role| -> Result<Vec<(usize, Kind)>, PrepareError> {
        places.iter().map(|place| role(*place, wanted)).collect()
    };
    let columns = TableColumns {
        label: role(places.label, Role::Label)?,
        categorical: all(&places.categorical, Role::Category)?,
        numeric: all(&places.numeric, Role::Number)?,
    };
    let rules = options.common.rules(&options.categorical, IdRule::Dense)?;
    let rows = RowRules { options, rules: &rules.rules };
    let mut assembly = Assembly::new(&rules.rules);
    let total = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    let used = [places.label]
        .into_iter()
        .chain(places.categorical.iter().copied())
        .chain(places.numeric.iter().copied());
    let used: Vec<usize> = used.collect();
    for group in 0..reader.num_row_groups() {
        let metadata = reader.metadata().row_group(group);
        // The rows read so far are kept, and copied once more into the order of the file.
        let count = u64::try_from(metadata.num_rows()).unwrap_or(0);
        need_rows(count, 2 * (4 * used.len() as u64 + 2))?;
        for &column in &used {
            check_pages(&mut pages, metadata.column(column)).map_err(damaged)?;
        }
        let opened = guarded(|| columns.open(reader.get_row_group(group)?.as_ref()));
        let mut batches = opened.map_err(wrong)?;
        while let Some(batch) = guarded(|| batches.next(BATCH_ROWS)).map_err(wrong)? {
            assembly.append(batch.piece(&rows))?;
            report(Progress { stage: Stage::Reading, done: assembly.rows.lines, total });
        }
    }
    let (data, bad) = assembly.into_columns();
    Preparation { input, expected: names.join(","), columns: data, bad, meta: options.meta("parquet"), rules }
        .write(out, &options.common, report)
}

/// Runs the library's reader, which panics on some damaged files, and makes an error of that.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    // After a panic nothing of what `read` borrowed is used again: the preparation ends with the error.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<String>().map(String::as_str);
        let told = told.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        Err(ParquetError::General(format!("the file is damaged: {told}")))
    })
}

/// What a column is used as.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Label,
    Category,
    Number,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Category => "category",
            Self::Number => "number",
        }
    }
}

/// How the values of a column are stored.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Int32,
    Unsigned32,
    Int64,
    Unsigned64,
    Float,
    Double,
    Bytes,
}

impl Kind {
    /// The kind of a column, unless it is nested or of a type that is no plain value.
    fn of(column: &ColumnDescriptor) -> Option<Self> {
        use parquet::basic::Type;
        let nested = column.max_rep_level() > 0 || column.path().parts().len() != 1;
        let decimal = column.converted_type() == ConvertedType::DECIMAL
            || matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }));
        if nested || decimal {
            return None;
        }
        let unsigned = matches!(
            column.converted_type(),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        );
        match column.physical_type() {
            Type::BOOLEAN => Some(Self::Bool),
            Type::INT32 => Some(if unsigned { Self::Unsigned32 } else { Self::Int32 }),
            Type::INT64 => Some(if unsigned { Self::Unsigned64 } else { Self::Int64 }),
            Type::FLOAT => Some(Self::Float),
            Type::DOUBLE => Some(Self::Double),
            Type::BYTE_ARRAY => Some(Self::Bytes),
            Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY => None,
        }
    }

    fn serves(self, role: Role) -> bool {
        match role {
            Role::Category => !matches!(self, Self::Float | Self::Double),
            Role::Label | Role::Number => self != Self::Bytes,
        }
    }
}

fn type_name(column: &ColumnDescriptor) -> String {
    let nested = if column.max_rep_level() > 0 { "repeated " } else { "" };
    match column.converted_type() {
        ConvertedType::NONE => format!("{nested}{}", column.physical_type()),
        converted => format!("{nested}{} ({converted})", column.physical_type()),
    }
}

/// The columns of a table that are used, by place and kind.
struct TableColumns {
    label: (usize, Kind),
    categorical: Vec<(usize, Kind)>,
    numeric: Vec<(usize, Kind)>,
}

impl TableColumns {
    fn open(&self, group: &dyn RowGroupReader) -> Result<Batches, ParquetError> {
        let open = |(place, kind): &(usize, Kind)| -> Result<Source, ParquetError> {
            Ok(Source::new(group.get_column_reader(*place)?, *kind))
        };
        Ok(Batches {
            label: open(&self.label)?,
            categorical: self.categorical.iter().map(open).collect::<Result<_, _>>()?,
            numeric: self.numeric.iter().map(open).collect::<Result<_, _>>()?,
        })
    }
}

/// The columns of a row group, read in step.
struct Batches {
    label: Source,
    categorical: Vec<Source>,
    numeric: Vec<Source>,
}

/// Some rows by columns; a missing number is `None`.
struct Batch {
    label: Vec<Option<f64>>,
    categorical: Vec<Texts>,
    numeric: Vec<Vec<Option<f64>>>,
}

impl Batches {
    fn next(&mut self, rows: usize) -> Result<Option<Batch>, ParquetError> {
        let label = self.label.numbers(rows)?;
        let categorical = self.categorical.iter_mut().map(|column| column.texts(rows));
        let categorical = categorical.collect::<Result<Vec<_>, _>>()?;
        let numeric = self.numeric.iter_mut().map(|column| column.numbers(rows));
        let numeric = numeric.collect::<Result<Vec<_>, _>>()?;
        let lengths = categorical.iter().map(|texts| texts.ends.len()).chain(numeric.iter().map(Vec::len));
        if let Some(other) = lengths.into_iter().find(|length| *length != label.len()) {
            let reason = format!("a column has {other} rows where the label has {}", label.len());
            return Err(ParquetError::General(reason));
        }
        Ok((!label.is_empty()).then_some(Batch { label, categorical, numeric }))
    }
}

impl Batch {
    fn piece(&self, rules: &RowRules<'_>) -> Piece {
        let mut piece = Piece::new(self.categorical.len());
        let mut numeric = vec![0.0; self.numeric.len()];
        for row in 0..self.label.len() {
            let added = self.add(row, rules, &mut numeric, &mut piece);
            piece.line(added);
        }
        piece
    }

    fn add(
        &self,
        row: usize,
        rules: &RowRules<'_>,
        numeric: &mut [f32],
        piece: &mut Piece,
    ) -> Result<(), Reason> {
        let present = |name: &String, value: Option<f64>| {
            table::finite(name, value.ok_or_else(|| Reason::Missing { column: name.clone() })?)
        };
        let label = present(&rules.options.label, self.label[row])?;
        for ((slot, name), column) in numeric.iter_mut().zip(&rules.options.numeric).zip(&self.numeric) {
            *slot = table::single(name, present(name, column[row])?)?;
        }
        rules.add(label, numeric, |field| self.categorical[field].get(row), piece)
    }
}

/// Byte strings one after the other.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, row: usize) -> &[u8] {
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[row]]
    }
}

/// One column of a row group.
struct Source {
    reader: TypedReader,
    /// Whole numbers without sign.
    unsigned: bool,
}

enum TypedReader {
    Bool(ColumnReaderImpl<BoolType>),
    Int32(ColumnReaderImpl<Int32Type>),
    Int64(ColumnReaderImpl<Int64Type>),
    Float(ColumnReaderImpl<FloatType>),
    Double(ColumnReaderImpl<DoubleType>),
    Bytes(ColumnReaderImpl<ByteArrayType>),
}

impl Source {
    fn new(reader: ColumnReader, kind: Kind) -> Self {
        let unsigned = matches!(kind, Kind::Unsigned32 | Kind::Unsigned64);
        let reader = match kind {
            Kind::Bool => TypedReader::Bool(get_typed_column_reader(reader)),
            Kind::Int32 | Kind::Unsigned32 => TypedReader::Int32(get_typed_column_reader(reader)),
            Kind::Int64 | Kind::Unsigned64 => TypedReader::Int64(get_typed_column_reader(reader)),
            Kind::Float => TypedReader::Float(get_typed_column_reader(reader)),
            Kind::Double => TypedReader::Double(get_typed_column_reader(reader)),
            Kind::Bytes => TypedReader::Bytes(get_typed_column_reader(reader)),
        };
        Self { reader, unsigned }
    }

    fn numbers(&mut self, rows: usize) -> Result<Vec<Option<f64>>, ParquetError> {
        let unsigned = self.unsigned;
        let mut out = Vec::with_capacity(rows);
        match &mut self.reader {
            TypedReader::Bool(reader) => {
                each(reader, rows, |v| out.push(v.map(|v| f64::from(u8::from(*v)))))?;
            }
            TypedReader::Int32(reader) => each(reader, rows, |v| {
                out.push(v.map(|v| if unsigned { f64::from(*v as u32) } else { f64::from(*v) }));
            })?,
            TypedReader::Int64(reader) => each(reader, rows, |v| {
                out.push(v.map(|v| if unsigned { *v as u64 as f64 } else { *v as f64 }));
            })?,
            TypedReader::Float(reader) => each(reader, rows, |v| out.push(v.map(|v| f64::from(*v))))?,
            TypedReader::Double(reader) => each(reader, rows, |v| out.push(v.copied()))?,
            TypedReader::Bytes(_) => {}
        }
        Ok(out)
    }

    fn texts(&mut self, rows: usize) -> Result<Texts, ParquetError> {
        let unsigned = self.unsigned;
        let Texts { mut bytes, mut ends } = Texts::default();
        // Writing into a vector cannot fail.
        match &mut self.reader {
            TypedReader::Bool(reader) => each(reader, rows, |v| {
                let _ = v.map_or(Ok(()), |v| write!(bytes, "{}", u8::from(*v)));
                ends.push(bytes.len());
            })?,
            TypedReader::Int32(reader) => each(reader, rows, |v| {
                let wide = |v: &i32| if unsigned { i64::from(*v as u32) } else { i64::from(*v) };
                let _ = v.map_or(Ok(()), |v| write!(bytes, "{}", wide(v)));
                ends.push(bytes.len());
            })?,
            TypedReader::Int64(reader) => each(reader, rows, |v| {
                let _ = match v {
                    None => Ok(()),
                    Some(v) if unsigned => write!(bytes, "{}", *v as u64),
                    Some(v) => write!(bytes, "{v}"),
                };
                ends.push(bytes.len());
            })?,
            TypedReader::Bytes(reader) => each(reader, rows, |v| {
                bytes.extend_from_slice(v.map_or(&[], |v| v.data()));
                ends.push(bytes.len());
            })?,
            TypedReader::Float(_) | TypedReader::Double(_) => {}
        }
        Ok(Texts { bytes, ends })
    }
}

/// Hands the next values of a column to `take`, missing ones as `None`.
fn each<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    mut take: impl FnMut(Option<&T::T>),
) -> Result<(), ParquetError> {
    let mut levels = Vec::new();
    let mut values = Vec::with_capacity(rows);
    let (records, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if levels.is_empty() {
        // A required column has no levels.
        for value in &values {
            take(Some(value));
        }
        return Ok(());
    }
    let mut values = values.iter();
    for level in levels.iter().take(records) {
        take(if *level > 0 { values.next() } else { None });
    }
    Ok(())
}
