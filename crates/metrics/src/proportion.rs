//! Shares of chips: Clopper–Pearson at every n, exact in the share of chips without a flip.

use serde::{Deserialize, Serialize};

use crate::beta;
use crate::interval::{Interval, LEVEL, Method, Sides};

/// A share of chips with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Chips with the event.
    pub count: u64,
    /// Chips.
    pub n: u64,
    /// `count / n`, `None` of no chips.
    pub share: Option<f64>,
    /// The same with the exact share of chips without a flip in place of the sampled one: it lies in the interval always.
    pub estimate: Option<f64>,
    /// 95 % interval of the probability, two-sided: without an event the upper end is at 97.5 % as all others.
    pub interval: Option<Interval>,
}

/// Chips by whether they have a flip and an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChipCounts {
    /// Chips with a flip and the event.
    pub with_flips: u64,
    /// Chips with a flip.
    pub drawn: u64,
    /// Chips without one.
    pub known: u64,
    /// Whether these, which are all alike, have the event.
    pub known_have_it: bool,
    /// Exact probability of a chip without a flip; 0 where it has no closed form.
    pub p_no_flip: f64,
}

impl Proportion {
    /// `count` events in `n` independent chips.
    ///
    /// # Panics
    ///
    /// If the count exceeds n.
    pub fn of(count: u64, n: u64) -> Self {
        let share = (n > 0).then(|| count as f64 / n as f64);
        Self { count, n, share, estimate: share, interval: clopper_pearson(count, n, LEVEL) }
    }

    /// Events in chips of which those without a flip are all alike and a share of exactly `p_no_flip`: only the others inform the
    /// interval, weighted by 1 - `p_no_flip`. Where that probability has no closed form, all chips inform it.
    ///
    /// # Panics
    ///
    /// If more chips have the event than were drawn.
    pub fn of_chips(chips: &ChipCounts) -> Self {
        let ChipCounts { with_flips, drawn, known, known_have_it, p_no_flip } = *chips;
        assert!(with_flips <= drawn, "{with_flips} events in {drawn} chips");
        let plain = Self::of(with_flips + if known_have_it { known } else { 0 }, known + drawn);
        if p_no_flip == 0.0 || plain.n == 0 {
            return plain;
        }
        let offset = if known_have_it { p_no_flip } else { 0.0 };
        let nothing = Interval::two_sided(0.0, 1.0, LEVEL, Method::Bounds);
        let inner = clopper_pearson(with_flips, drawn, LEVEL).unwrap_or(nothing);
        let among = if drawn > 0 { with_flips as f64 / drawn as f64 } else { 0.0 };
        Self {
            estimate: Some(offset + (1.0 - p_no_flip) * among),
            interval: Some(inner.mapped(offset, 1.0 - p_no_flip)),
            ..plain
        }
    }
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

/// The one-sided upper bound from no event in n trials: (1 - p)^n = 1 - level; `None` of no trials. For bounds that are called so;
/// the intervals of shares are two-sided.
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
