//! How many chips lose how much: shares beyond a bound, and the loss that 95 % of chips stay within.

use serde::{Deserialize, Serialize};

use crate::interval::LEVEL;
use crate::proportion::{ChipCounts, Proportion};
use crate::quantile::{quantile, quantile_interval};

/// A loss of AUC that matters in click prediction.
pub const BAD: f64 = 0.001;
/// A loss of AUC that no service would accept.
pub const SEVERE: f64 = 0.05;

/// The losses beyond which a chip is counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossBounds {
    /// More than this is bad.
    pub bad: f64,
    /// More than this is severe.
    pub severe: f64,
}

impl Default for LossBounds {
    fn default() -> Self {
        Self { bad: BAD, severe: SEVERE }
    }
}

/// The losses of a cell's chips: the golden, unprotected score less theirs, or the reverse where a lower score is better.
#[derive(Clone, Copy, Debug)]
pub struct LossSample<'a> {
    /// Loss of every chip without a flip; NaN where undefined.
    pub of_known: f64,
    /// Chips without a flip.
    pub known: u64,
    /// Exact probability of a chip without a flip; 0 where it has no closed form.
    pub p_no_flip: f64,
    /// Losses of the others; NaN where undefined.
    pub with_flips: &'a [f64],
}

/// Shares and a quantile of the losses of a cell's chips.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossTail {
    /// The loss that 95 % of the chips stay within.
    pub q95: f64,
    /// Ends of its interval, each missed in 2.5 %; the upper one takes 72 chips, the lower one 2.
    pub q95_ends: [Option<f64>; 2],
    /// Chips that lose more than the bound of a bad loss.
    pub bad: Proportion,
    /// Chips that lose more than the bound of a severe one.
    pub severe: Proportion,
}

impl LossTail {
    /// Of the chips of a cell; `None` of no chips, or where a loss is undefined.
    pub fn of(sample: &LossSample<'_>, bounds: LossBounds) -> Option<Self> {
        let LossSample { of_known, known, p_no_flip, with_flips } = *sample;
        let mut all = with_flips.to_vec();
        all.resize(all.len() + known as usize, of_known);
        if all.is_empty() || all.iter().any(|loss| loss.is_nan()) {
            return None;
        }
        all.sort_unstable_by(f64::total_cmp);
        let beyond = |bound: f64| {
            Proportion::of_chips(&ChipCounts {
                with_flips: with_flips.iter().filter(|loss| **loss > bound).count() as u64,
                drawn: with_flips.len() as u64,
                known,
                known_have_it: of_known > bound,
                p_no_flip,
            })
        };
        Some(Self {
            q95: quantile(&all, 0.95),
            q95_ends: quantile_interval(&all, 0.95, LEVEL),
            bad: beyond(bounds.bad),
            severe: beyond(bounds.severe),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_beyond_their_bounds_and_known_chips_exactly() {
        let with_flips = [0.001, 0.002, 0.06];
        let sample = LossSample { of_known: 0.0, known: 97, p_no_flip: 0.96, with_flips: &with_flips };
        let tail = LossTail::of(&sample, LossBounds::default()).expect("chips");
        assert_eq!((tail.bad.count, tail.severe.count, tail.bad.n), (2, 1, 100));
        let share = tail.bad.estimate.expect("chips");
        assert!((share - 0.04 * 2.0 / 3.0).abs() < 1e-15, "{share}");
        let ends = tail.bad.interval.expect("chips");
        assert!(ends.low > 0.0 && ends.high < 0.04 && ends.contains(share));
        assert_eq!(tail.q95, 0.0);
        // A protection that costs more than the bound without any flip is bad on known chips too.
        let costly = LossSample { of_known: 0.002, ..sample };
        let tail = LossTail::of(&costly, LossBounds::default()).expect("chips");
        assert!(tail.bad.interval.expect("chips").low > 0.96);
        let undefined = LossSample { of_known: f64::NAN, ..sample };
        assert_eq!(LossTail::of(&undefined, LossBounds::default()), None);
    }

    #[test]
    fn the_95_percent_quantile_has_no_upper_end_below_72_chips() {
        for (n, upper) in [(1, false), (71, false), (72, true)] {
            let losses: Vec<f64> = (0..n).map(f64::from).collect();
            let sample = LossSample { of_known: 0.0, known: 0, p_no_flip: 0.0, with_flips: &losses };
            let tail = LossTail::of(&sample, LossBounds::default()).expect("chips");
            assert_eq!(tail.q95_ends[1].is_some(), upper, "{n}");
            assert_eq!(tail.q95_ends[0].is_some(), n > 1, "{n}");
        }
    }
}
