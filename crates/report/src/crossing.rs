//! The rate at which a curve crosses a bound, or on which side of the tested rates it lies.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use crate::quantity::rate;

/// A mean AUC loss that matters in click prediction.
pub const ONSET_LOSS: f64 = radhard_metrics::tail::BAD;

/// A mean AUC loss that no service would accept.
pub const SEVERE_LOSS: f64 = radhard_metrics::tail::SEVERE;

/// A distance from golden, as root mean square of the outputs, that is counted as a deviation.
pub const DEVIATION: f64 = 0.01;

/// The rate at which a curve crosses a bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "state", content = "rate", rename_all = "lowercase")]
pub enum Crossing {
    /// Not above this rate, the lowest tested.
    Below(f64),
    /// At this rate.
    At(f64),
    /// Not up to this rate, the highest tested.
    Above(f64),
    /// Nothing was tested, or nothing is defined.
    Undefined,
}

impl Crossing {
    /// The first tested rate whose score is below `bound`; `points` are (rate, score) by ascending rate.
    pub fn first_below(points: &[(f64, f64)], bound: f64) -> Self {
        match points.iter().position(|(_, score)| *score < bound) {
            Some(0) => Self::Below(points[0].0),
            Some(index) => Self::At(points[index].0),
            None => points.last().map_or(Self::Undefined, |(rate, _)| Self::Above(*rate)),
        }
    }

    /// The rate at which the score falls through `bound`, on straight lines over the logarithm of the rate.
    ///
    /// The first fall counts where a curve falls more than once.
    pub fn interpolated(points: &[(f64, f64)], bound: f64) -> Self {
        let Some(index) = points.iter().position(|(_, score)| *score < bound) else {
            return Self::first_below(points, bound);
        };
        let (rate, score) = points[index];
        let Some((before, higher)) = index.checked_sub(1).map(|index| points[index]) else {
            return Self::Below(rate);
        };
        if before <= 0.0 {
            return Self::Below(rate);
        }
        let share = (higher - bound) / (higher - score);
        Self::At((before.ln() + share * (rate.ln() - before.ln())).exp())
    }

    /// Which of two curves breaks first: the one that crosses at the lower rate.
    pub fn fragility(self, other: Self) -> Ordering {
        let place = |crossing: Self| match crossing {
            Self::Below(_) => (0, 0.0),
            Self::At(rate) => (1, rate),
            Self::Above(rate) => (2, rate),
            Self::Undefined => (3, 0.0),
        };
        let (a, b) = (place(self), place(other));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    }
}

impl fmt::Display for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(bound) => write!(f, "≤ {}", rate(*bound)),
            Self::At(value) => f.write_str(&rate(*value)),
            Self::Above(bound) => write!(f, "> {}", rate(*bound)),
            Self::Undefined => f.write_str("–"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FALLING: [(f64, f64); 4] = [(1e-5, 0.8), (1e-4, 0.75), (1e-3, 0.6), (1e-2, 0.5)];

    #[test]
    fn the_first_rate_below_a_bound_is_a_tested_one_or_censored() {
        assert_eq!(Crossing::first_below(&FALLING, 0.799), Crossing::At(1e-4));
        assert_eq!(Crossing::first_below(&FALLING, 0.9), Crossing::Below(1e-5));
        assert_eq!(Crossing::first_below(&FALLING, 0.4), Crossing::Above(1e-2));
        assert_eq!(Crossing::first_below(&[], 0.4), Crossing::Undefined);
    }

    #[test]
    fn a_crossing_half_way_between_decades_is_the_geometric_mean() {
        let Crossing::At(rate) = Crossing::interpolated(&FALLING, 0.675) else { panic!("not reached") };
        assert!((rate / 1e-4_f64.powf(0.5) / 1e-3_f64.powf(0.5) - 1.0).abs() < 1e-12);
        assert_eq!(Crossing::interpolated(&FALLING, 0.65).to_string(), "4.6e-4");
        assert_eq!(Crossing::interpolated(&FALLING, 0.81).to_string(), "≤ 1e-5");
        assert_eq!(Crossing::interpolated(&FALLING, 0.5).to_string(), "> 1e-2");
        assert_eq!(Crossing::interpolated(&[(0.0, 0.8), (1e-9, 0.5)], 0.6).to_string(), "≤ 1e-9");
    }

    #[test]
    fn what_was_not_reached_breaks_after_what_was() {
        let order = [
            Crossing::Below(1e-3),
            Crossing::At(1e-9),
            Crossing::At(1e-2),
            Crossing::Above(1e-4),
            Crossing::Undefined,
        ];
        assert!(order.is_sorted_by(|a, b| a.fragility(*b).is_lt()));
    }
}
