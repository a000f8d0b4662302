//! The check column of a linear layer that is folded into tables: what each table row adds to the total of the outputs.
//!
//! A data row passes a check of the layer if |Σ_j y_j − e| ≤ c · u · M, where e = x · S + b follows from clean checksums, M is
//! the same of magnitudes, and c counts roundings. The column holds the table rows' parts of e, rounded to f32. A data row is
//! cleared, so that its check need not be made, if |Σ_j y_j − e'| ≤ (c − h − 3) · u · (1 − 2^-10) · Σ_j |y_j|, where e' is the sum
//! of its parts, which a tree of h roundings, and that to f32, have moved by less than (h + 1) · u · M. That implies the check, as far as Σ_j |y_j| is not
//! above M but for roundings: which holds while no weight's column of magnitudes is above the clean one, and is asked for
//! once per pass.

use radhard_kernels::{Clearing, Kernels, Lane};
use radhard_memory::Buffer;

use crate::hook::Checksum;

/// Half of the distance between 1 and the next f32.
const UNIT: f64 = 1.0 / 16_777_216.0;

/// Most outputs whose sum of magnitudes in f32 is off by less than 2^-12.
const MOST: usize = 4096;

/// Check values of all table rows.
pub(crate) struct Column<'h> {
    sums: &'h [f64],
    clearing: Clearing,
    /// `[V]`, or `[V, 2]` where each stands behind the first-order weight of its table row, so that one look-up serves both.
    values: Buffer<f32>,
    beside: bool,
}

/// What clears data rows of a layer with these weights `[J, K]` and biases, reading so many fields; none where the weights or
/// the layer's shape don't allow it.
fn clearing(checksum: &Checksum<'_>, weights: &[f32], bias: &[f32], fields: usize) -> Option<Clearing> {
    let outputs = weights.len() / checksum.sums.len();
    let depth = fields.next_power_of_two().trailing_zeros();
    let share = checksum.roundings - f64::from(depth) - 3.0;
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
    /// The column of a layer, with room for the values of so many table rows; beside first-order weights, or alone.
    pub(crate) fn new(
        checksum: Checksum<'h>,
        (weights, bias): (&[f32], &[f32]),
        fields: usize,
        beside: bool,
        room: impl FnOnce(usize) -> Buffer<f32>,
    ) -> Option<Self> {
        let clearing = clearing(&checksum, weights, bias, fields)?;
        Some(Self { sums: checksum.sums, clearing, values: room(1 + usize::from(beside)), beside })
    }

    /// The checksums by input, `[K]`.
    pub(crate) fn sums(&self) -> &'h [f64] {
        self.sums
    }

    /// Values of a table row.
    pub(crate) fn width(&self) -> usize {
        1 + usize::from(self.beside)
    }

    /// All of them, to be written.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The check values alone.
    pub(crate) fn alone(&self) -> Option<&[f32]> {
        (!self.beside).then_some(&self.values)
    }

    /// First-order weights and check values.
    pub(crate) fn beside(&self) -> Option<&[[f32; 2]]> {
        self.beside.then(|| self.values.as_chunks().0)
    }

    /// Gives the room back.
    pub(crate) fn into_room(self) -> Buffer<f32> {
        self.values
    }

    /// One bit for each data row of a block that is not cleared, by lane group, from the sums of its check values `[1, R]` and its
    /// outputs `[J, R]`.
    pub(crate) fn suspects(&self, kernels: Kernels, checks: &[Lane], y: &[Lane], out: &mut [u16]) {
        kernels.suspects(checks, self.clearing, y, out);
    }
}
