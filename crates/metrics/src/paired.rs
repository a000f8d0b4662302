//! Differences between two cells that met the same chips.

use serde::{Deserialize, Serialize};

use crate::cell::{DIFFERENCE_BOUNDS, mean_interval};
use crate::interval::Interval;
use crate::sum::{mean, variance};

/// The mean difference of two cells over the same chips.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Pairs, known ones included.
    pub n: u64,
    /// Mean of first minus second.
    pub mean: Option<f64>,
    /// Standard deviation of the difference (divisor n - 1).
    pub sd: Option<f64>,
    /// 95 % interval of the mean difference, valid at every n.
    pub mean_interval: Option<Interval>,
}

/// Compares the scores of the same chips in two cells, first minus second.
///
/// `golden` is the difference of the fault-free scores, which the `known` chips have, whose probability is `p_no_flip`;
/// `first` and `second` are the other chips in the same order. Scores are AUCs, so differences live in [-1, 1].
///
/// Numerics: all is `None` where a score is NaN; where `p_no_flip` is 0, known chips join the draws.
///
/// # Panics
///
/// If the cells differ in length or a difference lies outside [-1, 1].
pub fn paired_difference(
    golden: f64,
    p_no_flip: f64,
    known: u64,
    first: &[f64],
    second: &[f64],
) -> PairedDifference {
    assert_eq!(first.len(), second.len(), "paired cells differ in length");
    let mut differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let n = known + differences.len() as u64;
    if n == 0 || differences.iter().any(|d| d.is_nan()) {
        return PairedDifference { n, mean: None, sd: None, mean_interval: None };
    }
    let flipped = differences.len();
    differences.resize(flipped + known as usize, golden);
    let draws = if p_no_flip == 0.0 { &differences } else { &differences[..flipped] };
    PairedDifference {
        n,
        mean: mean(&differences),
        sd: variance(&differences).map(f64::sqrt),
        mean_interval: mean_interval(golden, p_no_flip, DIFFERENCE_BOUNDS, draws),
    }
}
