//! The check column of a linear layer that is folded into tables: what each table row adds to the total of the outputs.
//!
//! A data row passes a check of the layer if |Σ_j y_j − e| ≤ c · u · M, where e = x · S + b follows from clean checksums, M is
//! the same of magnitudes, and c counts roundings. The column holds the table rows' parts of e, rounded to f32. A data row is
//! cleared, so that its check need not be made, if |Σ_j y_j − e'| ≤ (c − h − 3) · u · (1 − 2^-10) · Σ_j |y_j|, where e' is the sum
//! of its parts, which a tree of h roundings, and that to f32, have moved by less than (h + 1) · u · M; where e' is worked out from the rows, by a chain for each field, h is D + 1. That implies the check, as far as Σ_j |y_j| is not
//! above M but for roundings: which holds while no weight's column of magnitudes is above the clean one, and is asked for
//! once per pass.

use radhard_kernels::{Clearing, Kernels, Lane};
use radhard_memory::Buffer;

use crate::hook::Checksum;

/// Half of the distance between 1 and the next f32.
const UNIT: f64 = 1.0 / 16_777_216.0;

/// Most outputs whose sum of magnitudes in f32 is off by less than 2^-12.
const MOST: usize = 4096;

/// What the outputs of data rows are held against.
pub(crate) struct Column<'h> {
    sums: &'h [f64],
    clearing: Clearing,
    values: Values,
}

/// Where check values come from.
enum Values {
    /// All table rows', looked up: `[V]`, or `[V, 2]` where each stands behind the first-order weight of its table row, so that one
    /// look-up serves both.
    Table { values: Buffer<f32>, beside: bool },
    /// The block of rows that others read too, multiplied by checksums in f32 `[K]`, D of them for a field.
    Block { sums: Vec<f32>, dim: usize },
    /// Another layer that reads the block.
    Given,
}

/// Where the check values of a layer are best taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A table of their own.
    Table,
    /// A table with first-order weights.
    Beside,
    /// The rows themselves.
    Block,
}

/// Checksums of a layer, and where its check values are best taken from.
pub(crate) type Sourced<'h> = (Checksum<'h>, Source);

/// What clears data rows of a layer with these weights `[J, K]` and biases, reading so many fields; none where the weights or
/// the layer's shape don't allow it.
fn clearing(
    checksum: &Checksum<'_>,
    (weights, bias): (&[f32], &[f32]),
    fields: usize,
    from: Source,
) -> Option<Clearing> {
    let inputs = checksum.sums.len();
    let outputs = weights.len() / inputs;
    let depth = fields.next_power_of_two().trailing_zeros();
    let lost = if from == Source::Block { (inputs / fields) as f64 + 1.0 } else { f64::from(depth) };
    let share = checksum.roundings - lost - 3.0;
    let mut magnitudes = vec![0.0; checksum.sums.len()];
    for row in weights.chunks_exact(magnitudes.len()) {
        for (sum, w) in magnitudes.iter_mut().zip(row) {
            *sum += f64::from(w.abs());
        }
    }
    // NaN is not below.
    let below = magnitudes.iter().zip(checksum.magnitudes).all(|(now, clean)| now <= clean);
    let bias_below = bias.iter().map(|b| f64::from(b.abs())).sum::<f64>() <= checksum.bias_magnitude;
    (outputs <= MOST && share > 0.0 && below && bias_below)
        .then(|| Clearing { bias: checksum.bias, share: share * UNIT * (1.0 - 1.0 / 1024.0) })
}

impl<'h> Column<'h> {
    /// The column of a layer that reads so many fields, with room for so many values of each table row.
    pub(crate) fn new(
        checksum: Checksum<'h>,
        (weights, bias): (&[f32], &[f32]),
        fields: usize,
        from: Source,
        room: impl FnOnce(usize) -> Buffer<f32>,
    ) -> Option<Self> {
        let clearing = clearing(&checksum, (weights, bias), fields, from)?;
        let sums = checksum.sums;
        let values = match from {
            Source::Table => Values::Table { values: room(1), beside: false },
            Source::Beside => Values::Table { values: room(2), beside: true },
            Source::Block => {
                let dim = sums.len() / fields;
                Values::Block { sums: sums.iter().map(|&sum| sum as f32).collect(), dim }
            }
        };
        Some(Self { sums, clearing, values })
    }

    /// The values of all table rows, to be written, with the number of those of one and the checksums by input `[K]`; none where
    /// they come from blocks.
    pub(crate) fn table_mut(&mut self) -> Option<(&mut [f32], usize, &'h [f64])> {
        match &mut self.values {
            Values::Table { values, beside } => Some((values, 1 + usize::from(*beside), self.sums)),
            Values::Block { .. } | Values::Given => None,
        }
    }

    /// The check values alone.
    pub(crate) fn alone(&self) -> Option<&[f32]> {
        match &self.values {
            Values::Table { values, beside: false } => Some(values),
            _ => None,
        }
    }

    /// First-order weights and check values.
    pub(crate) fn beside(&self) -> Option<&[[f32; 2]]> {
        match &self.values {
            Values::Table { values, beside: true } => Some(values.as_chunks().0),
            _ => None,
        }
    }

    /// Works the sums of check values out from a block of rows `[K, R]`, where they are not looked up.
    pub(crate) fn of_block(&self, kernels: Kernels, x: &[Lane], checks: &mut [Lane]) {
        if let Values::Block { sums, dim } = &self.values {
            kernels.block_checks(sums, *dim, x, checks);
        }
    }

    /// Leaves it to another layer on the same rows to work them out: gives the checksums in f32, if rows are what they come from.
    pub(crate) fn leave(&mut self) -> Option<Vec<f32>> {
        match std::mem::replace(&mut self.values, Values::Given) {
            Values::Block { sums, .. } => Some(sums),
            values => {
                self.values = values;
                None
            }
        }
    }

    /// Gives the room back, if it has some.
    pub(crate) fn into_room(self) -> Option<Buffer<f32>> {
        match self.values {
            Values::Table { values, .. } => Some(values),
            Values::Block { .. } | Values::Given => None,
        }
    }

    /// One bit for each data row of a block that is not cleared, by lane group, from the sums of its check values `[1, R]` and its
    /// outputs `[J, R]`.
    pub(crate) fn suspects(&self, kernels: Kernels, checks: &[Lane], y: &[Lane], out: &mut [u16]) {
        kernels.suspects(checks, self.clearing, y, out);
    }
}
