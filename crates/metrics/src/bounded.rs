//! Intervals of the mean of a bounded score that hold at every n, whatever the distribution.
//!
//! Cells use betting, chosen before any data: it adapts to the variance, so it is far narrower where chips agree or
//! are many. Anderson's is narrower for a handful of chips and does not depend on their order; it never adapts.
//! Reporting the narrower of the two after a look at both would have no level.

use crate::interval::{Interval, LEVEL, Method};
use crate::sum::tree_sum;

/// Bets are capped at this share of what could be lost on one chip.
const CAP: f64 = 0.75;

/// The interval of the mean by hedged betting, on scores in `bounds`; `None` of no scores.
///
/// For each candidate mean m two gamblers bet on the next score being above and below m; an m that makes one of
/// them rich (2/α, half the stake each) is refuted. The wealth of each is monotone in m, so the ends are bisected.
/// Bets depend on earlier scores only, so the interval depends on their order: give chips in order.
///
/// Source: Waudby-Smith & Ramdas 2024, Theorem 3 with θ = ½, c = ¾ and the predictable bets for a fixed n
/// (their eq. 26 with n in place of t log(1 + t)); the running intersection is taken.
/// Deviation: ends bisected to 2^-50 of the range and rounded outwards, instead of a grid.
///
/// # Panics
///
/// If a score lies outside the bounds or is NaN.
pub fn betting_interval(scores: &[f64], bounds: [f64; 2], level: f64) -> Option<Interval> {
    let unit = to_unit(scores, bounds)?;
    let low = betting_lower(&unit, level);
    let mirrored: Vec<f64> = unit.iter().map(|x| 1.0 - x).collect();
    let high = 1.0 - betting_lower(&mirrored, level);
    Some(Interval::two_sided(low, high, level, Method::Betting).mapped(bounds[0], bounds[1] - bounds[0]))
}

/// One-sided p-values of "the mean is at most `mean`" and "the mean is at least `mean`", by the gamblers of [`betting_interval`]: each is
/// at most 2.5 % exactly where that interval at 95 % leaves the mean out on its side. `None` of no scores.
///
/// Numerics: the inverse of the largest wealth (Ville's inequality), bets sized for 2.5 %.
///
/// # Panics
///
/// If a score or the mean lies outside the bounds or is NaN.
pub fn betting_p_values(scores: &[f64], bounds: [f64; 2], mean: f64) -> Option<[f64; 2]> {
    let (unit, mean) = (to_unit(scores, bounds)?, to_unit(&[mean], bounds)?[0]);
    let mirrored: Vec<f64> = unit.iter().map(|x| 1.0 - x).collect();
    let p = |unit: &[f64], mean: f64| libm::exp(-Gambler::new(unit, LEVEL).largest_log_wealth(mean));
    Some([p(&unit, mean), p(&mirrored, 1.0 - mean)])
}

/// The largest refuted mean (or 0) of scores in [0, 1], from the gambler who bets on higher scores.
fn betting_lower(unit: &[f64], level: f64) -> f64 {
    let gambler = Gambler::new(unit, level);
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > f64::powi(2.0, -50) {
        let middle = f64::midpoint(low, high);
        if gambler.refutes(middle) { low = middle } else { high = middle }
    }
    low
}

/// Bets on scores in [0, 1] being higher than a mean.
struct Gambler<'a> {
    unit: &'a [f64],
    bets: Vec<f64>,
    /// Logarithm of the wealth that refutes a mean.
    log_threshold: f64,
}

impl<'a> Gambler<'a> {
    fn new(unit: &'a [f64], level: f64) -> Self {
        let n = unit.len() as f64;
        let log_threshold = libm::log(2.0 / (1.0 - level));
        let mut bets = Vec::with_capacity(unit.len());
        let (mut sum, mut squares) = (0.5, 0.25);
        for (i, &x) in unit.iter().enumerate() {
            let t = (i + 1) as f64;
            bets.push(libm::sqrt(2.0 * log_threshold * t / (n * squares)));
            sum += x;
            let mean = sum / (t + 1.0);
            squares += (x - mean) * (x - mean);
        }
        Self { unit, bets, log_threshold }
    }

    /// The logarithm of the wealth after each score, against a mean.
    fn log_wealth(&self, mean: f64) -> impl Iterator<Item = f64> {
        self.unit.iter().zip(&self.bets).scan(0.0, move |wealth, (&x, &bet)| {
            *wealth += libm::log1p(f64::min(bet, CAP / mean) * (x - mean));
            Some(*wealth)
        })
    }

    fn refutes(&self, mean: f64) -> bool {
        self.log_wealth(mean).any(|wealth| wealth >= self.log_threshold)
    }

    /// At least 0, the wealth at the start.
    fn largest_log_wealth(&self, mean: f64) -> f64 {
        self.log_wealth(mean).fold(0.0, |most, wealth| if wealth > most { wealth } else { most })
    }
}

/// Anderson's interval of the mean of scores in `bounds`; `None` of no scores.
///
/// The distribution function lies in a band about the empirical one; the mean is smallest where the band's upper
/// edge puts the free mass on the lower bound, largest where the lower edge puts it on the upper one.
///
/// Source: Anderson 1969, with Massart's constant (1990): ε = √(ln(2/α) / 2n), one-sided bands at α/2 each.
///
/// # Panics
///
/// If a score lies outside the bounds or is NaN.
pub fn anderson_interval(scores: &[f64], bounds: [f64; 2], level: f64) -> Option<Interval> {
    let mut unit = to_unit(scores, bounds)?;
    unit.sort_unstable_by(f64::total_cmp);
    let low = anderson_lower(&unit, level);
    let mirrored: Vec<f64> = unit.iter().rev().map(|x| 1.0 - x).collect();
    let high = 1.0 - anderson_lower(&mirrored, level);
    Some(Interval::two_sided(low, high, level, Method::Anderson).mapped(bounds[0], bounds[1] - bounds[0]))
}

/// The mean of sorted scores in [0, 1] with mass ε of the top moved to 0.
fn anderson_lower(sorted: &[f64], level: f64) -> f64 {
    let n = sorted.len() as f64;
    let band = libm::sqrt(libm::log(2.0 / (1.0 - level)) / (2.0 * n));
    tree_sum(sorted.len(), |i| {
        let kept = (1.0 - band - i as f64 / n).clamp(0.0, 1.0 / n);
        kept * sorted[i]
    })
}

fn to_unit(scores: &[f64], [low, high]: [f64; 2]) -> Option<Vec<f64>> {
    let unit = |&score: &f64| {
        assert!(low <= score && score <= high, "score {score} is outside its bounds [{low}, {high}]");
        (score - low) / (high - low)
    };
    (!scores.is_empty()).then(|| scores.iter().map(unit).collect())
}
