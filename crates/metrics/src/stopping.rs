//! When a cell has enough chips, by a rule that may look at the scores.

use serde::{Deserialize, Serialize};

use crate::bounded::betting_interval;
use crate::interval::{Interval, LEVEL};

/// Chips with flips at the first look; each later look is at twice as many.
pub const FIRST_LOOK: u64 = 16;

/// A rule that ends a cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopRule {
    /// After so many chips with flips.
    Fixed {
        /// That many.
        n: u64,
    },
    /// When the interval of the mean is no wider than asked, or after the most chips that are granted.
    Width {
        /// Width asked for.
        width: f64,
        /// Most chips with flips.
        most: u64,
    },
}

/// Why a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Its fixed number of chips was reached.
    Fixed,
    /// Its interval was narrow enough.
    Narrow,
    /// The most chips granted were reached.
    Most,
}

/// What is to be done after some chips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Run chips until there are so many.
    Until(u64),
    /// End; the interval holds at 95 % although the rule looked.
    Stop(StopReason, Option<Interval>),
}

/// What a rule looks at: the chips with flips of one cell, in order.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// The fault-free score.
    pub golden: f64,
    /// Exact probability of a known chip.
    pub p_no_flip: f64,
    /// Bounds of the score.
    pub bounds: [f64; 2],
    /// Scores of the chips with flips.
    pub with_flips: &'a [f64],
}

impl StopRule {
    /// What to do now. A pure function of the scores: the same on any threads, in any order of finishing.
    ///
    /// Looks fall on 16, 32, 64 … chips; look j spends 5 % / (j·(j + 1)), in sum 5 %, so all the looked-at
    /// intervals hold together with 95 %. Where no score differs from golden yet, a rule by width goes on: no event is no
    /// narrow interval.
    ///
    /// # Panics
    ///
    /// If a score lies outside its bounds or is NaN, or the probability outside [0, 1].
    pub fn after(&self, looked: &Looked<'_>) -> Step {
        let Looked { golden, p_no_flip, bounds, with_flips } = *looked;
        assert!((0.0..=1.0).contains(&p_no_flip), "probability {p_no_flip} of no flip is outside [0, 1]");
        let n = with_flips.len() as u64;
        let interval = |level: f64| {
            let inner = betting_interval(with_flips, bounds, level)?;
            Some(inner.mapped(p_no_flip * golden, 1.0 - p_no_flip))
        };
        match *self {
            Self::Fixed { n: planned } if n < planned => Step::Until(planned),
            Self::Fixed { .. } => Step::Stop(StopReason::Fixed, interval(LEVEL)),
            Self::Width { width, most } => {
                let (look, at) = looks(n);
                let due = n == at || n >= most;
                let level = 1.0 - (1.0 - LEVEL) / f64::from(look * (look + 1));
                let seen = with_flips.iter().any(|score| *score != golden);
                let now = if due { interval(level) } else { None };
                if n >= most {
                    Step::Stop(StopReason::Most, now)
                } else if seen && now.is_some_and(|now| now.width() <= width) {
                    Step::Stop(StopReason::Narrow, now)
                } else {
                    Step::Until(if n == at { 2 * at } else { at }.min(most))
                }
            }
        }
    }
}

/// The first look at n chips or later: its number from 1, and its chips.
fn looks(n: u64) -> (u32, u64) {
    let (mut look, mut at) = (1, FIRST_LOOK);
    while at < n {
        look += 1;
        at *= 2;
    }
    (look, at)
}
