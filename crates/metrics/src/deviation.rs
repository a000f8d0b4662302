//! How far the scores of a trial are from the golden ones, row by row.

use crate::outcome::{Outcome, SampleOutcomes};
use crate::sum::tree_sum;

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
        let difference = |i: usize| f64::from(observed[i]) - f64::from(golden[i]);
        let decision = |p: f32| if p.is_nan() { substitute >= DECISION } else { p >= DECISION };

        let (mut finite, mut changed, mut decision_flips) = (0_u64, 0_u64, 0_u64);
        let mut largest = 0.0_f64;
        let mut samples = SampleOutcomes::default();
        for (&p, &g) in observed.iter().zip(golden) {
            let distance = (f64::from(p) - f64::from(g)).abs();
            if distance.is_nan() {
                changed += u64::from(p.is_nan() != g.is_nan());
            } else {
                finite += 1;
                changed += u64::from(distance > CHANGED);
                if distance > largest {
                    largest = distance;
                }
            }
            decision_flips += u64::from(decision(p) != decision(g));
            samples.add(Outcome::of_sample(p, g, tolerance));
        }
        let squares = tree_sum(n, |i| {
            let d = difference(i);
            if d.is_nan() { 0.0 } else { d * d }
        });
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
