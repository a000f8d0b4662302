//! The mean score after exactly k flips, and the curve over rates that follows from it.

use crate::bounded::betting_interval;
use crate::interval::{Interval, LEVEL, Method};
use crate::sum::mean;

/// Mass beyond the last measured k up to which a mean is still given.
const BEYOND: f64 = 1e-3;
/// Terms of the binomial this small beside the largest are left out.
const NEGLIGIBLE: f64 = 1e-18;

/// Scores of chips with the same number of flips.
#[derive(Clone, Copy, Debug)]
pub struct Flipped<'a> {
    /// Flips of each chip, at least 1.
    pub flips: u64,
    /// Scores of the chips, in order.
    pub scores: &'a [f64],
}

/// The mean score by number of flips.
#[derive(Clone, Debug)]
pub struct KFlipProfile {
    bounds: [f64; 2],
    /// (k, mean, interval), ascending; k = 0 is golden.
    points: Vec<(u64, f64, Interval)>,
}

/// The mean score at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtRate {
    /// Σ Binom(k; bits, rate) · μ_k, with μ between measured k linear in k; `None` where more than 1e-3 of the chips
    /// have more flips than were measured.
    pub mean: Option<f64>,
    /// 95 % interval of the whole curve.
    pub interval: Interval,
    /// P(more flips than were measured).
    pub beyond: f64,
}

impl KFlipProfile {
    /// Takes the means of measured numbers of flips.
    ///
    /// Numerics: the intervals are hedged betting at 1 - 5 %/m for m measured k, so they hold together at 95 %.
    /// Between measured k the interval assumes that the mean score does not rise with k: it spans from the lower end of
    /// the next k to the upper end of the one before; beyond the last, down to the lower bound of the score.
    ///
    /// # Panics
    ///
    /// If the numbers of flips do not ascend from 1, a k has no scores, or a score lies outside its bounds or is NaN.
    pub fn new(golden: f64, bounds: [f64; 2], measured: &[Flipped<'_>]) -> Self {
        let level = 1.0 - (1.0 - LEVEL) / measured.len().max(1) as f64;
        let exact = Interval::two_sided(golden, golden, 1.0, Method::Bounds);
        let mut points = vec![(0, golden, exact)];
        for &Flipped { flips, scores } in measured {
            let before = points.last().map_or(0, |point| point.0);
            assert!(flips > before, "{flips} flips come after {before}");
            let interval = betting_interval(scores, bounds, level);
            let (Some(mean), Some(interval)) = (mean(scores), interval) else {
                panic!("{flips} flips have no scores")
            };
            points.push((flips, mean, interval));
        }
        Self { bounds, points }
    }

    /// The mean score at a rate over so many bits, each of which flips on its own.
    ///
    /// # Panics
    ///
    /// If the rate lies outside [0, 1].
    pub fn at(&self, bits: u64, rate: f64) -> AtRate {
        assert!((0.0..=1.0).contains(&rate), "bit error rate {rate} is outside [0, 1]");
        let (mut centre, mut low, mut high, mut beyond) = (0.0, 0.0, 0.0, 0.0);
        binomial(bits, rate, |k, mass| {
            let after = self.points.partition_point(|point| point.0 < k);
            let last = self.points[self.points.len() - 1];
            let (mean, ends) = match self.points.get(after) {
                Some(&(at, mean, interval)) if at == k => (mean, [interval.low, interval.high]),
                Some(&(next, to, upper)) => {
                    let (before, from, lower) = self.points[after - 1];
                    let share = (k - before) as f64 / (next - before) as f64;
                    (from + share * (to - from), [upper.low, lower.high])
                }
                None => {
                    beyond += mass;
                    (last.1, [self.bounds[0], last.2.high])
                }
            };
            centre += mass * mean;
            low += mass * ends[0];
            high += mass * ends[1];
        });
        let interval = Interval::two_sided(low, high, LEVEL, Method::Betting);
        AtRate { mean: (beyond <= BEYOND).then_some(centre), interval, beyond }
    }
}

/// Calls `term` with each k that matters and its probability.
///
/// Numerics: from the mode outwards by the ratio of neighbours, divided by the sum at the end, so that no factorial is taken.
fn binomial(n: u64, p: f64, mut term: impl FnMut(u64, f64)) {
    if p == 0.0 || p == 1.0 {
        return term(if p == 0.0 { 0 } else { n }, 1.0);
    }
    let mode = ((p * (n as f64 + 1.0)) as u64).min(n);
    let odds = p / (1.0 - p);
    let up = |k: u64| (n - k) as f64 / (k + 1) as f64 * odds;
    let mut below = Vec::new();
    let mut mass = 1.0;
    for k in (0..mode).rev() {
        mass /= up(k);
        if mass < NEGLIGIBLE {
            break;
        }
        below.push((k, mass));
    }
    let mut masses: Vec<(u64, f64)> = below.into_iter().rev().collect();
    masses.push((mode, 1.0));
    mass = 1.0;
    for k in mode..n {
        mass *= up(k);
        if mass < NEGLIGIBLE {
            break;
        }
        masses.push((k + 1, mass));
    }
    let total: f64 = masses.iter().map(|(_, mass)| mass).sum();
    for (k, mass) in masses {
        term(k, mass / total);
    }
}
