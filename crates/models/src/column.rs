//! The check column of a linear layer that is folded into tables: what each table row adds to the total of the outputs.
//!
//! A data row passes a check of the layer if |Σ_j y_j − e| ≤ c · u · M, where e = x · S + b follows from clean checksums, M is
//! the same of magnitudes, and c counts roundings. The column holds the table rows' parts of e, rounded to f32. A data row is
//! cleared, so that its check need not be made, if |Σ_j y_j − e'| ≤ (c − h − 3) · u · (1 − 2^-10) · Σ_j |y_j|, where e' is the sum
//! of its parts, which a tree of h roundings, and that to f32, have moved by less than (h + 1) · u · M. That implies the check, as far as Σ_j |y_j| is not
//! above M but for roundings: which holds while no weight's column of magnitudes is above the clean one, and is asked for
//! once per pass.

use radhard_kernels::{Clearing, Kernels, LANES, Lane, LookUps, RowIds};
use radhard_memory::Buffer;

use crate::hook::Checksum;
use crate::scores::BLOCK;

/// Half of the distance between 1 and the next f32.
const UNIT: f64 = 1.0 / 16_777_216.0;

/// Most outputs whose sum of magnitudes in f32 is off by less than 2^-12.
const MOST: usize = 4096;

/// Check values of all table rows.
pub(crate) struct Column<'h> {
    sums: &'h [f64],
    clearing: Clearing,
    /// `[V]`.
    pub(crate) values: Buffer<f32>,
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
    /// The column of a layer, with room for its values.
    pub(crate) fn new(
        checksum: Checksum<'h>,
        (weights, bias): (&[f32], &[f32]),
        fields: usize,
        room: impl FnOnce() -> Buffer<f32>,
    ) -> Option<Self> {
        let clearing = clearing(&checksum, weights, bias, fields)?;
        Some(Self { sums: checksum.sums, clearing, values: room() })
    }

    /// The checksums by input, `[K]`.
    pub(crate) fn sums(&self) -> &'h [f64] {
        self.sums
    }

    /// One bit for each data row of a block that is not cleared, by lane group.
    pub(crate) fn suspects(&self, kernels: Kernels, rows: RowIds<'_>, y: &[Lane], out: &mut [u16]) {
        let mut checks = [[0.0; LANES]; BLOCK / LANES];
        let checks = &mut checks[..out.len()];
        kernels.look_up(rows, LookUps { values: Some((&self.values, checks)), ..LookUps::default() });
        kernels.suspects(checks, self.clearing, y, out);
    }
}
