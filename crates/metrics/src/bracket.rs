//! The rates between which a mean loss first exceeds a bound, shown by tests; and how many chips would show more.

use serde::{Deserialize, Serialize};

/// A rate with the ends of a 95 % interval of its mean loss, each missed with probability 2.5 % at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateInterval {
    /// The bit error rate.
    pub rate: f64,
    /// The interval; `None` where the mean has none, so that nothing is shown at this rate.
    pub loss: Option<[f64; 2]>,
}

/// The rates between which a mean loss first exceeds a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bracket {
    /// Largest rate shown to lose no more than the bound, all lower ones shown too.
    pub largest_within: Option<f64>,
    /// Smallest rate shown to lose more, all higher ones shown too.
    pub smallest_beyond: Option<f64>,
}

/// The ends of a bracket that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BracketStatus {
    /// Both ends.
    Shown,
    /// A rate that loses no more than the bound.
    ShownLow,
    /// A rate that loses more.
    ShownHigh,
    /// Neither.
    Undecided,
}

impl Bracket {
    /// Tests the rates of a curve against a bound of the mean loss.
    ///
    /// From the lowest rate up, each is tested for losing no more, until the first that is not shown to; from the highest rate
    /// down, each for losing more. Every test is one-sided at 2.5 %. A fixed sequence needs no further correction: the first wrong
    /// statement in it ends in a single test, so each end is wrong with probability 2.5 % at most, and the bracket with 5 %.
    ///
    /// Source: Maurer, Hothorn & Lehmacher 1995.
    ///
    /// # Example
    ///
    /// ```
    /// use radhard_metrics::bracket::{Bracket, RateInterval};
    ///
    /// let at = |rate, loss| RateInterval { rate, loss: Some(loss) };
    /// let curve = [at(1e-6, [0.0, 0.0005]), at(1e-5, [0.0, 0.02]), at(1e-4, [0.01, 0.2])];
    /// let bracket = Bracket::of(0.001, &curve);
    /// assert_eq!((bracket.largest_within, bracket.smallest_beyond), (Some(1e-6), Some(1e-4)));
    /// ```
    ///
    /// # Panics
    ///
    /// If the rates do not ascend.
    pub fn of(bound: f64, curve: &[RateInterval]) -> Self {
        assert!(curve.is_sorted_by(|a, b| a.rate < b.rate), "rates do not ascend");
        let within = |at: &&RateInterval| at.loss.is_some_and(|[_, high]| high <= bound);
        let beyond = |at: &&RateInterval| at.loss.is_some_and(|[low, _]| low > bound);
        Self {
            largest_within: curve.iter().take_while(within).last().map(|at| at.rate),
            smallest_beyond: curve.iter().rev().take_while(beyond).last().map(|at| at.rate),
        }
    }

    /// Which of its ends are shown.
    pub fn status(&self) -> BracketStatus {
        match (self.largest_within, self.smallest_beyond) {
            (Some(_), Some(_)) => BracketStatus::Shown,
            (Some(_), None) => BracketStatus::ShownLow,
            (None, Some(_)) => BracketStatus::ShownHigh,
            (None, None) => BracketStatus::Undecided,
        }
    }
}

/// About how many chips decide on which side of a bound a mean lies.
///
/// `gap` is the distance of the estimate from the bound, `sd` the standard deviation over chips with flips, `range` the length
/// of the scores' range; `p_no_flip` is the exact share of chips that need no run. `None` where the gap is 0.
///
/// Numerics: the half-width of hedged betting on m chips with flips is about √(2·ln(40)·sd²/m) + ln(40)·range/m; it is set equal to
/// the gap over 1 - `p_no_flip`, and m is divided by that share. An estimate for planning, not a bound.
pub fn chips_to_decide(gap: f64, sd: f64, range: f64, p_no_flip: f64) -> Option<u64> {
    let flipped = 1.0 - p_no_flip;
    if gap.is_nan() || gap <= 0.0 || flipped <= 0.0 {
        return None;
    }
    let log = libm::log(40.0);
    let inner = gap / flipped;
    // a/√m + b/m = inner, solved for 1/√m.
    let (a, b) = (libm::sqrt(2.0 * log) * sd, log * range);
    let root = (libm::sqrt(a * a + 4.0 * b * inner) - a) / (2.0 * b);
    let chips = 1.0 / (root * root) / flipped;
    chips.is_finite().then(|| chips.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_fails_ends_its_sequence() {
        let at = |rate, loss| RateInterval { rate, loss };
        let curve = [
            at(1e-7, Some([0.0, 0.0])),
            at(1e-6, None),
            at(1e-5, Some([0.0, 0.0])),
            at(1e-4, Some([0.2, 0.3])),
            at(1e-3, Some([0.2, 0.3])),
        ];
        let bracket = Bracket::of(0.001, &curve);
        assert_eq!(bracket, Bracket { largest_within: Some(1e-7), smallest_beyond: Some(1e-4) });
        assert_eq!(bracket.status(), BracketStatus::Shown);
        assert_eq!(Bracket::of(0.001, &curve[1..3]).status(), BracketStatus::Undecided);
        assert_eq!(Bracket::of(0.001, &curve[2..3]).status(), BracketStatus::ShownLow);
        assert_eq!(Bracket::of(0.001, &curve[3..]).status(), BracketStatus::ShownHigh);
        // A bound that is reached exactly is not exceeded.
        assert_eq!(Bracket::of(0.3, &curve[3..]).largest_within, Some(1e-3));
        assert_eq!(Bracket::of(0.2, &curve[3..]).smallest_beyond, None);
        assert_eq!(Bracket::of(0.001, &[]).status(), BracketStatus::Undecided);
    }

    #[test]
    fn chips_that_agree_need_the_floor_and_others_more() {
        // 3.69 / 0.001 chips where all agree, whatever the share without flips.
        assert_eq!(chips_to_decide(0.001, 0.0, 1.0, 0.0), Some(3689));
        assert!(chips_to_decide(0.001, 0.0, 1.0, 0.9).is_some_and(|n| n.abs_diff(3689) <= 1));
        assert!(chips_to_decide(0.01, 0.1, 1.0, 0.0) > chips_to_decide(0.01, 0.0, 1.0, 0.0));
        assert_eq!(chips_to_decide(0.0, 0.1, 1.0, 0.0), None);
        assert_eq!(chips_to_decide(0.1, 0.1, 1.0, 1.0), None);
    }
}
