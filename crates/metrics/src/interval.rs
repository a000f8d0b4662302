//! What an interval says of itself.

use serde::{Deserialize, Serialize};

/// The level of every interval that the cells carry.
pub const LEVEL: f64 = 0.95;

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence level; for order statistics the exact level reached, at least the level asked for.
    pub level: f64,
    /// How it was made.
    pub method: Method,
    /// Whether both ends are at risk.
    pub sides: Sides,
}

/// How an interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Hedged-capital betting on a bounded mean; valid at every n.
    Betting,
    /// Anderson's bounds from the band of Dvoretzky, Kiefer, Wolfowitz and Massart; valid at every n.
    Anderson,
    /// Bias-corrected, accelerated bootstrap; approximate.
    Bootstrap,
    /// Order statistics; exact for a continuous distribution, conservative else.
    OrderStatistics,
    /// Clopper and Pearson's; conservative.
    ClopperPearson,
    /// The upper bound from no event in n, one-sided.
    ZeroEvents,
    /// DeLong's variance with a normal quantile; approximate.
    DeLong,
    /// Woolf's interval of a log odds ratio; approximate.
    Woolf,
    /// An odds ratio's, given both margins of its table; conservative.
    Conditional,
    /// Nothing but the bounds of the score and what is known exactly.
    Bounds,
}

/// Which ends of an interval carry the risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// Both, half of it each.
    Two,
    /// The upper one alone; the lower end is the bound of the quantity.
    Upper,
}

impl Interval {
    /// A two-sided interval.
    pub fn two_sided(low: f64, high: f64, level: f64, method: Method) -> Self {
        Self { low, high, level, method, sides: Sides::Two }
    }

    /// Whether `value` lies in it.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Its length.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// The interval of `offset + scale · x` for a scale of at least 0.
    #[must_use]
    pub fn mapped(self, offset: f64, scale: f64) -> Self {
        Self { low: offset + scale * self.low, high: offset + scale * self.high, ..self }
    }
}
