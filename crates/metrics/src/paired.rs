//! Differences between two cells that met the same chips.

use serde::{Deserialize, Serialize};

use crate::bounded::betting_p_values;
use crate::cell::{DIFFERENCE_BOUNDS, draws, mean_interval};
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
    /// One-sided p-values of "the first is no better on average" and "the second is no better", by the same bets; 1 where nothing
    /// was drawn.
    pub p_values: [f64; 2],
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
        return PairedDifference { n, mean: None, sd: None, mean_interval: None, p_values: [1.0; 2] };
    }
    let (interval, p_values) = {
        let draws = draws(golden, p_no_flip, known, &differences);
        let interval = mean_interval(golden, p_no_flip, DIFFERENCE_BOUNDS, &draws);
        (interval, p_values(golden, p_no_flip, &draws))
    };
    differences.resize(differences.len() + known as usize, golden);
    PairedDifference {
        n,
        mean: mean(&differences),
        sd: variance(&differences).map(f64::sqrt),
        mean_interval: interval,
        p_values,
    }
}

/// The p-values of a mean difference of 0 over all chips, of which a share `p_no_flip` has the difference `golden`.
fn p_values(golden: f64, p_no_flip: f64, draws: &[f64]) -> [f64; 2] {
    let [low, high] = DIFFERENCE_BOUNDS;
    // The mean over drawn chips at which that over all is 0.
    let zero = if golden == 0.0 { 0.0 } else { -p_no_flip * golden / (1.0 - p_no_flip) };
    if (low..=high).contains(&zero) {
        return betting_p_values(draws, DIFFERENCE_BOUNDS, zero).unwrap_or([1.0; 2]);
    }
    // No mean of the drawn chips outweighs the known ones.
    if golden > 0.0 { [0.0, 1.0] } else { [1.0, 0.0] }
}

/// The scores of a cell by chip, in order of the chips; `None` is a known chip, whose score is golden.
#[derive(Clone, Copy, Debug)]
pub struct ByChip<'a> {
    /// The fault-free score of this cell.
    pub golden: f64,
    /// Number and score of each chip, ascending.
    pub chips: &'a [(u64, Option<f64>)],
}

/// Compares two cells chip by chip, first minus second, where a chip may be known in one and not in the other, as a
/// protected cell knows chips whose flips were all corrected.
///
/// Only chips of both cells count. `p_both_known` is the exact probability that a chip is known in both, 0 where it
/// has no closed form: then all pairs inform the interval.
///
/// # Panics
///
/// If chips do not ascend, or as [`paired_difference`].
pub fn paired_by_chip(p_both_known: f64, first: ByChip<'_>, second: ByChip<'_>) -> PairedDifference {
    for cell in [first, second] {
        assert!(cell.chips.is_sorted_by(|a, b| a.0 < b.0), "chips do not ascend");
    }
    let (mut known, mut firsts, mut seconds) = (0, Vec::new(), Vec::new());
    for (chip, score) in first.chips {
        let Ok(place) = second.chips.binary_search_by_key(chip, |other| other.0) else { continue };
        let other = second.chips[place].1;
        if p_both_known > 0.0 && score.is_none() && other.is_none() {
            known += 1;
        } else {
            firsts.push(score.unwrap_or(first.golden));
            seconds.push(other.unwrap_or(second.golden));
        }
    }
    paired_difference(first.golden - second.golden, p_both_known, known, &firsts, &seconds)
}
