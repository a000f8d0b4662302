//! Evaluation: logits and probabilities of rows.

use radhard_data::RowsView;
use radhard_kernels::Kernels;
use rayon::prelude::*;
use thiserror::Error;

use crate::config::Config;
use crate::model::Model;
use crate::pass::{Pass, Workspace};

/// Rows evaluated together; the last block is padded, so that a row's score does not depend on its block.
pub const BLOCK: usize = 64;

/// The bits of every stored NaN.
const CANONICAL_NAN: f32 = f32::from_bits(0x7fc0_0000);

/// Stores every NaN as the same bits.
pub(crate) fn canonical(logits: &mut [f32], probabilities: &mut [f32]) {
    for score in logits.iter_mut().chain(probabilities) {
        if score.is_nan() {
            *score = CANONICAL_NAN;
        }
    }
}

/// What a model says about rows, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// The values before the sigmoid.
    pub logits: Vec<f32>,
    /// The values after it; of a model without a sigmoid the same values.
    pub probabilities: Vec<f32>,
}

impl Scores {
    /// Whether both have the same bits in every row.
    pub fn same_bits(&self, other: &Self) -> bool {
        let same = |a: &[f32], b: &[f32]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        };
        same(&self.logits, &other.logits) && same(&self.probabilities, &other.probabilities)
    }
}

/// Rows that a model cannot read.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoresError {
    /// Another number of fields.
    #[error("the rows have {rows} categorical fields, the model {model}")]
    Fields {
        /// Fields of the rows.
        rows: usize,
        /// Fields of the model.
        model: usize,
    },
    /// Another number of numeric inputs.
    #[error("the rows have {rows} numeric inputs, the model {model}")]
    Numeric {
        /// Numeric inputs of the rows.
        rows: usize,
        /// Numeric inputs of the model.
        model: usize,
    },
    /// Bags where the model reads fields, or fields where it reads bags.
    #[error("{}", if *.model { "the model reads bags, and the rows have none" } else { "the rows have bags, and the model reads fields" })]
    Bags {
        /// Whether the model reads bags.
        model: bool,
    },
    /// An index beyond its field.
    #[error("row {row}, field {field}: index {index} is outside [0, {dim})")]
    Index {
        /// The row, counted in the rows given.
        row: usize,
        /// The field.
        field: usize,
        /// The index.
        index: u32,
        /// The field's dim.
        dim: u32,
    },
}

/// Checks that rows have what a model reads, and that every index lies in its field.
pub(crate) fn check(rows: &RowsView<'_>, config: &Config) -> Result<(), ScoresError> {
    let (field_dims, numeric) = (&config.field_dims, config.numeric);
    if config.takes_bags() != rows.bags.is_some() {
        return Err(ScoresError::Bags { model: config.takes_bags() });
    }
    if rows.numeric_width != numeric {
        return Err(ScoresError::Numeric { rows: rows.numeric_width, model: numeric });
    }
    if let Some(bags) = rows.bags {
        let bad = (0..bags.len()).into_par_iter().find_map_first(|row| {
            let index = *bags.of(row).iter().find(|index| **index >= field_dims[0])?;
            Some(ScoresError::Index { row, field: 0, index, dim: field_dims[0] })
        });
        return bad.map_or(Ok(()), Err);
    }
    let fields = field_dims.len();
    if rows.fields != fields {
        return Err(ScoresError::Fields { rows: rows.fields, model: fields });
    }
    let bad = rows.indices.par_chunks(4096 * fields).enumerate().find_map_first(|(chunk, indices)| {
        let at = indices
            .chunks_exact(fields)
            .position(|row| row.iter().zip(field_dims).any(|(i, dim)| i >= dim))?;
        let row = &indices[at * fields..(at + 1) * fields];
        let field = row.iter().zip(field_dims).position(|(i, dim)| i >= dim)?;
        Some(ScoresError::Index { row: chunk * 4096 + at, field, index: row[field], dim: field_dims[field] })
    });
    bad.map_or(Ok(()), Err)
}

impl Model {
    /// Evaluates rows on the current thread pool.
    ///
    /// # Numerics
    /// The numeric contract of `radhard-kernels`: a row's bits depend on the row and the parameters alone.
    /// NaN is stored as 0x7fc00000.
    ///
    /// # Errors
    /// If the rows have other fields, or an index beyond its field.
    pub fn scores(&self, rows: &RowsView<'_>, out: &mut Scores) -> Result<(), ScoresError> {
        self.scores_with(Kernels::detected(), rows, out)
    }

    /// [`Model::scores`] with chosen kernels, which give the same bits.
    ///
    /// # Errors
    /// As [`Model::scores`].
    pub fn scores_with(
        &self,
        kernels: Kernels,
        rows: &RowsView<'_>,
        out: &mut Scores,
    ) -> Result<(), ScoresError> {
        let config = self.config();
        check(rows, config)?;
        let graph = self.graph();
        let pass = Pass::new(graph, self.parameters(), kernels);
        out.logits.resize(rows.len(), 0.0);
        out.probabilities.resize(rows.len(), 0.0);
        out.logits
            .par_chunks_mut(BLOCK)
            .zip(out.probabilities.par_chunks_mut(BLOCK))
            .enumerate()
            .for_each_init(
                || Workspace::new(graph, BLOCK),
                |workspace, (block, (logits, probabilities))| {
                    let first = block * BLOCK;
                    pass.block(&rows.slice(first..first + logits.len()), workspace, logits);
                    pass.answers(logits, probabilities);
                    canonical(logits, probabilities);
                },
            );
        Ok(())
    }
}
