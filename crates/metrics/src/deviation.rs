//! How far the scores of a trial are from the golden ones, row by row.

use crate::outcome::SampleOutcomes;
use crate::sum::{LEAF, join, leaf_sum};

/// A change of probability beyond this counts in the changed share.
pub const CHANGED: f64 = 0.01;
/// A row is decided positive from this probability up.
pub const DECISION: f32 = 0.5;

/// Distances between the probabilities of a trial and the golden ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Root mean square of Δp over all rows; `None` where a row has NaN on either side, or there is no row.
    pub rmse: Option<f64>,
    /// The same over the rows with numbers on both sides.
    pub rmse_finite: Option<f64>,
    /// Largest |Δp| over the rows with numbers on both sides.
    pub max_abs_difference: Option<f64>,
    /// Share of rows with |Δp| > 0.01; a row that is NaN on one side counts, NaN on both sides does not.
    pub changed_share: Option<f64>,
    /// Rows whose decision at ½ differs, NaN replaced by the substitute on both sides.
    pub decision_flips: u64,
    /// Rows by outcome.
    pub samples: SampleOutcomes,
}

/// How many rows a fact holds of. Each count is a loop of its own, without branches.
fn count(rows: usize, holds: impl Fn(usize) -> bool) -> u64 {
    u64::from((0..rows).map(|row| u32::from(holds(row))).sum::<u32>())
}

impl Deviation {
    /// Compares row by row; `tolerance` bounds a tolerable |Δp|.
    ///
    /// Numerics: differences of f32 taken in f64; squares added by a fixed tree.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn of(observed: &[f32], golden: &[f32], substitute: f32, tolerance: f64) -> Self {
        assert_eq!(observed.len(), golden.len(), "observed and golden rows differ in number");
        let n = observed.len();
        let substitute_decides = substitute >= DECISION;
        let decision = |p: f32| (p >= DECISION) | (p.is_nan() & substitute_decides);

        let (mut changed, mut decision_flips, mut largest) = (0, 0, 0.0_f64);
        let (mut due, mut masked, mut tolerable, mut incomparable) = (0, 0, 0, 0);
        let mut squares = Vec::with_capacity(n.div_ceil(LEAF));
        for (observed, golden) in observed.chunks(LEAF).zip(golden.chunks(LEAF)) {
            let rows = observed.len();
            let golden = &golden[..rows];
            // NaN on either side makes a distance NaN: it has no square, and is no larger than anything.
            let mut distances = [0.0_f64; LEAF];
            for ((distance, p), g) in distances.iter_mut().zip(observed).zip(golden) {
                *distance = (f64::from(*p) - f64::from(*g)).abs();
            }
            let distances = &distances[..rows];
            squares.push(leaf_sum(0, rows, |i| {
                let d = distances[i];
                if d.is_nan() { 0.0 } else { d * d }
            }));
            largest = distances.iter().fold(largest, |largest, d| if *d > largest { *d } else { largest });
            incomparable += count(rows, |i| distances[i].is_nan());
            changed += count(rows, |i| distances[i] > CHANGED);
            changed += count(rows, |i| observed[i].is_nan() != golden[i].is_nan());
            decision_flips += count(rows, |i| decision(observed[i]) != decision(golden[i]));
            due += count(rows, |i| observed[i].is_nan());
            let same = |i: usize| observed[i].to_bits() == golden[i].to_bits();
            masked += count(rows, |i| same(i) & !observed[i].is_nan());
            tolerable += count(rows, |i| (distances[i] <= tolerance) & !same(i));
        }
        let finite = n as u64 - incomparable;
        let sdc = n as u64 - due - masked - tolerable;
        let samples = SampleOutcomes { recovered: 0, due, masked, tolerable, sdc };
        let squares = join(squares.into_iter());
        let rmse_finite = (finite > 0).then(|| (squares / finite as f64).sqrt());
        Self {
            rmse: rmse_finite.filter(|_| finite == n as u64),
            rmse_finite,
            max_abs_difference: (finite > 0).then_some(largest),
            changed_share: (n > 0).then(|| changed as f64 / n as f64),
            decision_flips,
            samples,
        }
    }
}
