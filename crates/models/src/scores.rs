//! Evaluation: logits and probabilities of rows.

use std::sync::atomic::{AtomicBool, Ordering};

use radhard_data::RowsView;
use radhard_kernels::Kernels;
use rayon::prelude::*;
use thiserror::Error;

use crate::config::Config;
use crate::model::Model;
use crate::pass::{Pass, Workspace};
use crate::watch::Watch;

/// Rows evaluated together at least; the last block is padded, so that a row's score does not depend on its block.
pub const BLOCK: usize = 64;

/// Most rows of a block of a full pass, where rows have few values.
pub const WIDEST_BLOCK: usize = 8 * BLOCK;

/// Rows of one task of a full pass.
pub(crate) const TASK: usize = 16 * BLOCK;

/// The bits of every stored NaN.
pub(crate) const CANONICAL_NAN: f32 = f32::from_bits(0x7fc0_0000);

/// Stores every NaN as the same bits.
pub(crate) fn canonical(kernels: Kernels, scores: [&mut [f32]; 2]) {
    for scores in scores {
        kernels.canonical(scores, CANONICAL_NAN);
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
    /// Scores of so many rows, whatever they are; metrics read them in no order, so they lie in huge pages.
    pub(crate) fn resize(&mut self, rows: usize) {
        for scores in [&mut self.logits, &mut self.probabilities] {
            radhard_memory::reserve(scores, rows);
            scores.resize(rows, 0.0);
        }
    }

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

/// Checks that rows have what a model reads, but for their indices; of bags, those too.
pub(crate) fn check_shape(rows: &RowsView<'_>, config: &Config) -> Result<(), ScoresError> {
    let (fields, numeric) = (config.fields(), config.numeric);
    if config.takes_bags() != rows.bags.is_some() {
        return Err(ScoresError::Bags { model: config.takes_bags() });
    }
    if rows.numeric_width != numeric {
        return Err(ScoresError::Numeric { rows: rows.numeric_width, model: numeric });
    }
    if rows.bags.is_none() && rows.fields != fields {
        return Err(ScoresError::Fields { rows: rows.fields, model: fields });
    }
    if rows.bags.is_some() { check_indices(rows, config) } else { Ok(()) }
}

/// Checks that rows have what a model reads, and that every index lies in its field.
pub(crate) fn check(rows: &RowsView<'_>, config: &Config) -> Result<(), ScoresError> {
    check_shape(rows, config)?;
    check_indices(rows, config)
}

/// Checks that every index lies in its field.
fn check_indices(rows: &RowsView<'_>, config: &Config) -> Result<(), ScoresError> {
    let field_dims = &config.field_dims;
    if let Some(bags) = rows.bags {
        let bad = (0..bags.len()).into_par_iter().find_map_first(|row| {
            let index = *bags.of(row).iter().find(|index| **index >= field_dims[0])?;
            Some(ScoresError::Index { row, field: 0, index, dim: field_dims[0] })
        });
        return bad.map_or(Ok(()), Err);
    }
    let fields = field_dims.len();
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
        check_shape(rows, config)?;
        let graph = self.graph();
        let pass = Pass::new(graph, self.parameters(), kernels);
        let steps = pass.steps(rows.len(), &Watch::nothing(graph));
        let block_rows = graph.block_rows_of(rows.len());
        // Indices are checked block by block, where they are in the cache anyway.
        let outside = AtomicBool::new(false);
        out.resize(rows.len());
        out.logits
            .par_chunks_mut(TASK)
            .zip(out.probabilities.par_chunks_mut(TASK))
            .enumerate()
            .for_each_init(
                || Workspace::new(graph, block_rows),
                |workspace, (task, (logits, probabilities))| {
                    for (block, logits) in logits.chunks_mut(block_rows).enumerate() {
                        let first = task * TASK + block * block_rows;
                        if !pass.run(&steps, (rows, first..first + logits.len()), workspace, logits) {
                            outside.store(true, Ordering::Relaxed);
                            return;
                        }
                    }
                    pass.answers(logits, probabilities);
                    canonical(kernels, [logits, probabilities]);
                },
            );
        if outside.into_inner() { check(rows, config) } else { Ok(()) }
    }
}
