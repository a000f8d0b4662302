//! Shares of chips: Wilson, Clopper–Pearson, and what no event at all still allows.

use serde::{Deserialize, Serialize};

use crate::interval::{Interval, LEVEL, Method, Sides};
use crate::{beta, normal};

/// Below this n the interval of a share is Clopper–Pearson.
pub const EXACT_BELOW_N: u64 = 40;
/// Below this count of events, or of non-events, it is too.
pub const EXACT_BELOW_COUNT: u64 = 5;

/// A share of chips with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Chips with the event.
    pub count: u64,
    /// Chips.
    pub n: u64,
    /// `count / n`, `None` of no chips.
    pub share: Option<f64>,
    /// 95 % interval of the probability: two-sided, but one-sided where no event was seen.
    pub interval: Option<Interval>,
}

impl Proportion {
    /// `count` events in `n` independent chips.
    ///
    /// # Panics
    ///
    /// If the count exceeds n.
    pub fn of(count: u64, n: u64) -> Self {
        Self { count, n, share: (n > 0).then(|| count as f64 / n as f64), interval: interval(count, n) }
    }

    /// `count` events in n chips of which the known ones, a share of exactly `p_no_flip` of all, cannot have one:
    /// only the `drawn` others inform the interval, weighted by 1 - `p_no_flip`.
    ///
    /// Where there are more events than drawn chips, known ones had them, and all n chips inform it.
    ///
    /// # Panics
    ///
    /// If the count exceeds n.
    pub fn among_drawn(count: u64, drawn: u64, n: u64, p_no_flip: f64) -> Self {
        let plain = Self::of(count, n);
        if count > drawn {
            return plain;
        }
        let nothing = Interval::two_sided(0.0, 1.0, LEVEL, Method::Bounds);
        let inner = interval(count, drawn).unwrap_or(nothing);
        Self { interval: (n > 0).then(|| inner.mapped(0.0, 1.0 - p_no_flip)), ..plain }
    }
}

/// The default 95 % interval of a probability: the zero-event bound where none was seen, Clopper–Pearson where n or a
/// count is small, else Wilson; `None` of no chips.
///
/// # Panics
///
/// If the count exceeds n.
pub fn interval(count: u64, n: u64) -> Option<Interval> {
    if count == 0 {
        zero_event_bound(n, LEVEL)
    } else if n < EXACT_BELOW_N || count.min(n - count) < EXACT_BELOW_COUNT {
        clopper_pearson(count, n, LEVEL)
    } else {
        wilson(count, n, LEVEL)
    }
}

/// Wilson's score interval; `None` of no chips.
///
/// Source: Wilson 1927; Brown, Cai & DasGupta 2001, eq. 4.
///
/// # Panics
///
/// If the count exceeds n.
pub fn wilson(count: u64, n: u64, level: f64) -> Option<Interval> {
    assert!(count <= n, "{count} events in {n} chips");
    let (x, m) = (count as f64, n as f64);
    let z = normal::quantile(0.5 + level / 2.0);
    let centre = (x + z * z / 2.0) / (m + z * z);
    let half = z / (m + z * z) * libm::sqrt(x * (m - x) / m + z * z / 4.0);
    let low = if count == 0 { 0.0 } else { centre - half };
    let high = if count == n { 1.0 } else { centre + half };
    (n > 0).then(|| Interval::two_sided(low, high, level, Method::Wilson))
}

/// Clopper and Pearson's interval; `None` of no chips.
///
/// Source: Clopper & Pearson 1934, by quantiles of the beta distribution.
///
/// # Panics
///
/// If the count exceeds n.
pub fn clopper_pearson(count: u64, n: u64, level: f64) -> Option<Interval> {
    assert!(count <= n, "{count} events in {n} chips");
    let (x, m, tail) = (count as f64, n as f64, (1.0 - level) / 2.0);
    let low = if count == 0 { 0.0 } else { beta::quantile(x, m - x + 1.0, tail) };
    let high = if count == n { 1.0 } else { beta::quantile(x + 1.0, m - x, 1.0 - tail) };
    (n > 0).then(|| Interval::two_sided(low, high, level, Method::ClopperPearson))
}

/// The one-sided upper bound from no event in n chips: (1 - p)^n = 1 - level; `None` of no chips.
///
/// Example: 0 of 10 at 95 % allows up to 25.9 %.
pub fn zero_event_bound(n: u64, level: f64) -> Option<Interval> {
    (n > 0).then(|| Interval {
        low: 0.0,
        high: -libm::expm1(libm::log1p(-level) / n as f64),
        level,
        method: Method::ZeroEvents,
        sides: Sides::Upper,
    })
}
