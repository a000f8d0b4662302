//! The bias-corrected, accelerated bootstrap of a mean.

use crate::interval::{Interval, Method};
use crate::normal;
use crate::quantile::quantile;
use crate::stream::below;
use crate::sum::{mean, tree_sum};

/// Below this n there is no bootstrap interval.
pub const LEAST_N: usize = 30;
/// Nor with fewer distinct scores than this.
pub const LEAST_DISTINCT: usize = 5;
/// Resamples drawn.
pub const RESAMPLES: usize = 2000;

/// The BCa interval of the mean; `None` below n = 30 or 5 distinct scores, or with a score that is not finite.
///
/// Numerics: 2000 resamples from SplitMix64 seeded with `seed`; the index is the high word of a 64-bit product,
/// biased by less than n/2^64.
/// Source: Efron 1987, acceleration from the skewness of the scores (eq. 6.6 for the mean).
pub fn bootstrap_interval(scores: &[f64], level: f64, seed: u64) -> Option<Interval> {
    let n = scores.len();
    if n < LEAST_N || !has_distinct(scores, LEAST_DISTINCT) || scores.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let centre = mean(scores)?;
    let mut state = seed;
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let picks: f64 = (0..n).map(|_| scores[below(&mut state, n)]).sum();
            picks / n as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);

    let below_centre = means.partition_point(|&m| m < centre) as f64;
    let tied = means.partition_point(|&m| m <= centre) as f64 - below_centre;
    let bias = normal::quantile((below_centre + tied / 2.0) / RESAMPLES as f64);
    let moment = |power: i32| tree_sum(n, |i| f64::powi(scores[i] - centre, power));
    let acceleration = moment(3) / (6.0 * f64::powf(moment(2), 1.5));
    let end = |tail: f64| {
        let z = bias + normal::quantile(tail);
        let share = normal::cumulative(bias + z / (1.0 - acceleration * z));
        share.is_finite().then(|| quantile(&means, share))
    };
    let (low, high) = (end((1.0 - level) / 2.0)?, end(f64::midpoint(1.0, level))?);
    Some(Interval::two_sided(low, high, level, Method::Bootstrap))
}

fn has_distinct(scores: &[f64], least: usize) -> bool {
    let mut seen: Vec<f64> = Vec::with_capacity(least);
    for &score in scores {
        if !seen.contains(&score) {
            seen.push(score);
        }
        if seen.len() >= least {
            return true;
        }
    }
    false
}
