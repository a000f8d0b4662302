//! Chips as the unit of comparisons: models that share names and shapes of parameters meet the same errors on one chip, so that
//! several models on ten chips are ten draws and no more.

use radhard_metrics::bounded::betting_interval;
use radhard_metrics::cell::AUC_BOUNDS as SHARE_BOUNDS;
use radhard_metrics::interval::LEVEL;
use radhard_metrics::quantile::quantile;
use radhard_metrics::sum::mean;
use radhard_metrics::{TrialScores, median_interval, odds_ratio};

use crate::claim::Evidence;
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

/// First less second, chip by chip.
pub(crate) fn less(first: &[f64], second: &[f64]) -> Vec<f64> {
    first.iter().zip(second).map(|(a, b)| a - b).collect()
}

/// The mean share over chips, with an interval that holds at every n; none of no chips.
pub(crate) fn share(of: String, quantity: &'static str, chips: &[f64]) -> Option<Evidence> {
    let interval = betting_interval(chips, SHARE_BOUNDS, LEVEL)?;
    let (low, high, n) = (Some(interval.low), Some(interval.high), chips.len() as u64);
    Some(Evidence { of, quantity, value: mean(chips), low, high, n })
}

/// The median over chips with its exact interval by order statistics; none of no chips.
pub(crate) fn median(of: String, quantity: &'static str, chips: &[f64]) -> Option<Evidence> {
    let mut sorted = chips.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.is_empty() {
        return None;
    }
    let interval = median_interval(&sorted, LEVEL);
    let (low, high) = interval.map(|interval| (interval.low, interval.high)).unzip();
    Some(Evidence { of, quantity, value: Some(quantile(&sorted, 0.5)), low, high, n: sorted.len() as u64 })
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
    Some(Evidence::plain(of, quantity, value, first.1 + second.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_paired_chips_has_an_interval_of_order_statistics() {
        let differences = less(&[0.9; 10], &[0.1; 10]);
        let piece = median(String::new(), "difference", &differences).unwrap();
        assert_eq!((piece.value, piece.low, piece.high, piece.n), (Some(0.8), Some(0.8), Some(0.8), 10));
        assert!(median(String::new(), "difference", &[0.5]).unwrap().low.is_none());
        assert!(median(String::new(), "difference", &[]).is_none());
    }
}
