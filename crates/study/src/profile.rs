//! The mean loss at a rate from profiles: chips with a given number of flips of the top bit of a network.
//!
//! Losses are heavy-tailed: a flip of bit 30 of a weight multiplies it by 2^128, and at low rates ten chips meet none. Chips with
//! exactly k flips, weighted by the probability of k, tell the mean at every rate at once. Flips of other bits and in tables are
//! left out, so that the loss is one of the top bit of the network alone.

use radhard_metrics::cell::AUC_BOUNDS;
use radhard_metrics::{AtRate, Flipped, KFlipProfile};

use crate::campaigns::TOP_BIT;
use crate::claim::Evidence;
use crate::findings::{Findings, Place};

/// Numbers of flips that are measured.
const COUNTS: [u64; 4] = [1, 2, 4, 8];
/// Rates between which a crossing is searched.
const SEARCHED: [f64; 2] = [1e-10, 1e-2];

/// A network's loss by the number of its flips.
#[derive(Debug)]
pub(crate) struct Profile {
    golden: f64,
    bits: u64,
    by_flips: KFlipProfile,
    n: u64,
}

impl Profile {
    /// The profile of a model on a data set; none where none was measured.
    pub(crate) fn of(findings: &Findings, model: &str, data: &str) -> Option<Self> {
        let golden = findings.unprotected_auc(model, data)?;
        let place = Place::new(model, data, TOP_BIT);
        let cells: Vec<_> = COUNTS
            .iter()
            .filter_map(|count| Some((*count, findings.cell_of(&place, &format!("count:{count}"), None)?)))
            .collect();
        let (_, first) = cells.first().filter(|(count, _)| *count == 1)?;
        let (bits, n) = (first.exposed_bits, first.trials.len() as u64);
        let scores: Vec<(u64, Vec<f64>)> = cells.iter().map(|(count, cell)| (*count, cell.aucs())).collect();
        let flipped: Vec<Flipped<'_>> =
            scores.iter().map(|(flips, scores)| Flipped { flips: *flips, scores }).collect();
        if flipped.iter().any(|flipped| flipped.scores.is_empty()) {
            return None;
        }
        Some(Self { golden, bits, by_flips: KFlipProfile::new(golden, AUC_BOUNDS, &flipped), n })
    }

    /// Chips with one flip.
    pub(crate) fn chips(&self) -> u64 {
        self.n
    }

    /// The mean loss at a rate: estimate, and the ends of its 95 % interval.
    pub(crate) fn loss(&self, rate: f64) -> (Option<f64>, [f64; 2]) {
        let AtRate { mean, interval, .. } = self.by_flips.at(self.bits, rate);
        (mean.map(|mean| self.golden - mean), [self.golden - interval.high, self.golden - interval.low])
    }

    /// The mean loss at a rate as a piece of evidence.
    pub(crate) fn evidence(&self, of: &str, rate: f64) -> Evidence {
        let (value, [low, high]) = self.loss(rate);
        Evidence {
            of: format!("{of} at {rate:.0e}"),
            quantity: "mean loss by flips of bit 30 of the network, from its profile",
            value,
            low: Some(low),
            high: Some(high),
            n: self.n,
        }
    }

    /// The rate at which the mean loss first reaches a bound: estimate and the ends that the interval of the loss leaves; none
    /// where it is not reached within the searched rates.
    pub(crate) fn first(&self, bound: f64) -> [Option<f64>; 3] {
        let of = |loss: &dyn Fn(f64) -> f64| crossing(bound, loss);
        [
            of(&|rate| self.loss(rate).0.unwrap_or(f64::INFINITY))
                .filter(|rate| self.loss(*rate).0.is_some()),
            // The larger loss is reached at the lower rate.
            of(&|rate| self.loss(rate).1[1]),
            of(&|rate| self.loss(rate).1[0]),
        ]
    }
}

/// Where a rising function first reaches a bound, halving the logarithm of the rate.
fn crossing(bound: f64, loss: &dyn Fn(f64) -> f64) -> Option<f64> {
    let [mut low, mut high] = SEARCHED.map(libm::log10);
    if loss(SEARCHED[1]) < bound {
        return None;
    }
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if loss(libm::pow(10.0, middle)) < bound { low = middle } else { high = middle }
    }
    Some(libm::pow(10.0, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(loss: f64) -> Profile {
        let golden = 0.8;
        let scores = vec![golden - loss; 400];
        let flipped = COUNTS.map(|flips| Flipped { flips, scores: &scores });
        Profile { golden, bits: 1000, by_flips: KFlipProfile::new(golden, AUC_BOUNDS, &flipped), n: 400 }
    }

    #[test]
    fn a_network_that_loses_a_tenth_by_any_flip_loses_that_times_the_chance_of_one() {
        let (loss, [low, high]) = profile(0.1).loss(1e-5);
        let exact = 0.1 * (1.0 - (1.0 - 1e-5_f64).powi(1000));
        assert!((loss.unwrap() - exact).abs() < 1e-9, "{loss:?}");
        assert!(low < exact && exact < high && high < 0.002, "[{low}, {high}]");
    }

    #[test]
    fn the_rate_that_first_costs_a_thousandth_is_found_between_its_ends() {
        let [rate, low, high] = profile(0.1).first(1e-3).map(Option::unwrap);
        assert!((rate / 1.005e-5 - 1.0).abs() < 0.01, "{rate}");
        assert!(low < rate && rate < high, "[{low}, {high}]");
        assert_eq!(profile(0.0).first(1e-3)[0], None);
    }
}
