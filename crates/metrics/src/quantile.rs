//! Quantiles, and their intervals by order statistics.

use crate::beta;
use crate::interval::{Interval, Method};

/// The quantile at `share` of sorted values: linear between the values at places floor and ceil of
/// share · (n - 1) (type 7 of Hyndman & Fan 1996, the default of R and NumPy).
///
/// # Panics
///
/// Of no values.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    if below == above { below } else { below + (above - below) * (place - place.floor()) }
}

/// The interval of the median between the j-th smallest and the j-th largest of sorted values, with the largest
/// j whose level 1 - 2·P(Bin(n, ½) < j) is at least `level`; `None` where not even j = 1 reaches it (n < 6 at 95 %).
///
/// Numerics: the level is that of a continuous distribution; with ties it is higher.
/// Source: Thompson 1936; David & Nagaraja, Order Statistics, 7.1.
pub fn median_interval(sorted: &[f64], level: f64) -> Option<Interval> {
    let n = sorted.len();
    // P(Bin(n, ½) < j) = I_½(n - j + 1, j).
    let reached = |j: usize| 1.0 - 2.0 * beta::incomplete((n - j + 1) as f64, j as f64, 0.5);
    let (mut good, mut bad) = (0, n / 2 + 1);
    while bad - good > 1 {
        let j = usize::midpoint(good, bad);
        if reached(j) >= level { good = j } else { bad = j }
    }
    (good > 0).then(|| {
        Interval::two_sided(sorted[good - 1], sorted[n - good], reached(good), Method::OrderStatistics)
    })
}

/// Ends of the interval of the quantile at `share`, each an order statistic that misses with probability (1 - level)/2 at most;
/// `None` where n chips cannot give the end. At 95 % the quantile at 0.95 has an upper end from n = 72 on, the median both from n = 6.
///
/// The lower end is the r-th smallest value with the largest r for which P(Bin(n, share) < r) is within the risk, the upper end the s-th
/// with the smallest s for which P(Bin(n, share) >= s) is. Both hold with ties.
///
/// Source: David & Nagaraja, Order Statistics, 7.1.
pub fn quantile_interval(sorted: &[f64], share: f64, level: f64) -> [Option<f64>; 2] {
    let (n, risk) = (sorted.len(), (1.0 - level) / 2.0);
    // P(Bin(n, share) >= k) = I_share(k, n - k + 1), falling in k.
    let at_least = |k: usize| beta::incomplete(k as f64, (n - k + 1) as f64, share);
    let ranks: Vec<usize> = (1..=n).collect();
    let lower = ranks.partition_point(|&r| 1.0 - at_least(r) <= risk);
    let upper = ranks.partition_point(|&s| at_least(s) > risk);
    [lower.checked_sub(1).map(|place| sorted[place]), sorted.get(upper).copied()]
}
