//! Chips as the unit of comparisons: models that share names and shapes of parameters meet the same errors on one chip, so that
//! several models on ten chips are ten draws and no more.

use radhard_metrics::bounded::betting_interval;
use radhard_metrics::cell::AUC_BOUNDS as SHARE_BOUNDS;
use radhard_metrics::interval::LEVEL;
use radhard_metrics::sum::mean;
use radhard_metrics::{TrialScores, odds_ratio, paired_difference};

use crate::claim::{Evidence, Side, Verdict};
use crate::findings::CellFindings;

/// The mean of a quantity over some cells, chip by chip, for the chips that all of them have.
pub(crate) fn by_chip(cells: &[&CellFindings], of: impl Fn(&TrialScores) -> f64) -> Vec<f64> {
    let chips = cells.iter().map(|cell| cell.trials.len()).min().unwrap_or(0);
    let over_cells = |chip: usize| {
        let values: Vec<f64> = cells.iter().map(|cell| of(&cell.trials[chip].scores)).collect();
        mean(&values).unwrap_or(f64::NAN)
    };
    (0..chips).map(over_cells).collect()
}

/// The mean share over chips, with an interval that holds at every n; none of no chips.
pub(crate) fn share(of: String, quantity: &'static str, chips: &[f64]) -> Option<Evidence> {
    let interval = betting_interval(chips, SHARE_BOUNDS, LEVEL)?;
    let (low, high, n) = (Some(interval.low), Some(interval.high), chips.len() as u64);
    Some(Evidence { of, quantity, value: mean(chips), low, high, n })
}

/// The mean difference of two shares on the same chips; none of no chips.
pub(crate) fn difference(
    of: String,
    quantity: &'static str,
    first: &[f64],
    second: &[f64],
) -> Option<Evidence> {
    if first.is_empty() || first.len() != second.len() {
        return None;
    }
    let difference = paired_difference(0.0, 0.0, 0, first, second);
    let (low, high) = difference.mean_interval.map(|interval| (interval.low, interval.high)).unzip();
    Some(Evidence { of, quantity, value: difference.mean, low, high, n: difference.n })
}

/// The odds ratio of chips printed inf or nan in some cells beside others. It has no interval: cells share their chips.
pub(crate) fn ratio(
    of: String,
    quantity: &'static str,
    first: &[&CellFindings],
    second: &[&CellFindings],
) -> Option<Evidence> {
    let counts = |cells: &[&CellFindings]| {
        let trials = || cells.iter().flat_map(|cell| &cell.trials);
        let printed = trials().filter(|trial| crate::figures::printed_inf_nan(&trial.scores)).count();
        (printed as u64, trials().count() as u64)
    };
    let (first, second) = (counts(first), counts(second));
    if first.1 == 0 || second.1 == 0 {
        return None;
    }
    let value = Some(libm::exp(odds_ratio(first, second).log));
    Some(Evidence { of, quantity, value, low: None, high: None, n: first.1 + second.1 })
}

/// Holds where one piece is above 0 beyond chance and none below; refuted where one is below.
pub(crate) fn one_decides(pieces: &[Evidence]) -> Verdict {
    let any = |side: Side| pieces.iter().any(|piece| piece.side(0.0) == Some(side));
    if pieces.is_empty() {
        Verdict::Open
    } else if any(Side::Below) {
        Verdict::Refuted
    } else if any(Side::Above) {
        Verdict::Holds
    } else {
        Verdict::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_on_the_same_chips_needs_chips_to_be_beyond_chance() {
        let (high, low) = (vec![0.9; 40], vec![0.1; 40]);
        let of = |n: usize| difference(String::new(), "shares", &high[..n], &low[..n]).unwrap();
        assert_eq!(of(40).side(0.0), Some(Side::Above));
        assert_eq!(of(2).side(0.0), None);
        assert_eq!(one_decides(&[of(40), of(2)]), Verdict::Holds);
        let against = difference(String::new(), "shares", &low, &high).unwrap();
        assert_eq!(one_decides(&[of(40), against]), Verdict::Refuted);
        assert_eq!(one_decides(&[]), Verdict::Open);
    }
}
