//! BER_50: the rate at which half of the lead over guessing is lost.

use radhard_metrics::interval::LEVEL;
use radhard_metrics::quantile::quantile;
use radhard_metrics::{
    CellSample, RateSample, Reached, half_of_lead, median_interval, reached, tolerable_rate,
};

use crate::claim::Evidence;
use crate::claims::signs::Signs;
use crate::findings::{CellFindings, Findings, Place};

/// BER_50 of a curve: of the mean over its chips, and of each chip, whose errors at one rate are among those at the next.
#[derive(Debug, Clone, PartialEq)]
pub struct HalfRate {
    /// Where the mean has lost half, interpolated in the logarithm of the rate.
    pub mean: Reached,
    /// Largest rate shown to lose less than half on average, by one-sided bounds valid at every n.
    pub tolerable: Option<f64>,
    /// Smallest rate shown to lose more.
    pub intolerable: Option<f64>,
    /// Where each chip has lost half, in the order of the chips; infinite where the largest rate is not enough.
    pub chips: Vec<f64>,
}

impl HalfRate {
    /// BER_50 of a curve; none where fewer than two rates or no chips were measured, or a chip has no AUC.
    pub fn of(findings: &Findings, place: &Place<'_>) -> Option<Self> {
        let golden = findings.unprotected_auc(place.model, place.data)?;
        let curve = findings.curve(place);
        let chips = curve.iter().map(|(_, cell)| cell.trials.len()).min()?;
        if chips == 0 || curve.len() < 2 {
            return None;
        }
        let aucs: Vec<Vec<f64>> = curve
            .iter()
            .map(|(_, cell)| cell.trials[..chips].iter().map(|trial| trial.scores.auc).collect())
            .collect::<Option<_>>()?;
        let rates = || curve.iter().map(|(rate, _)| *rate);
        let half = half_of_lead(golden);
        let of_chip = |chip: usize| {
            let lost = rates().zip(&aucs).map(|(rate, aucs)| (rate, Some(golden - aucs[chip])));
            reached(half, lost).map_or(f64::INFINITY, rate_of)
        };
        let with_flips: Vec<Vec<f64>> = curve.iter().map(|(_, cell)| cell.aucs_with_flips()).collect();
        let samples: Vec<RateSample<'_>> = curve
            .iter()
            .zip(&with_flips)
            .map(|((rate, cell), aucs)| {
                let known = (cell.trials.len() - aucs.len()) as u64;
                let p_no_flip = cell.p_no_flip.unwrap_or(0.0);
                RateSample { rate: *rate, cell: CellSample::auc(golden, p_no_flip, known, aucs) }
            })
            .collect();
        let shown = tolerable_rate(golden, half, &samples);
        Some(Self {
            mean: shown.reached?,
            tolerable: shown.tolerable,
            intolerable: shown.intolerable,
            chips: (0..chips).map(of_chip).collect(),
        })
    }

    /// How many times this BER_50 is the other's, chip by chip: the median over the chips with its exact interval.
    ///
    /// Chips whose largest rate is not enough for either count as equal.
    pub fn over(&self, other: &Self, of: String) -> Evidence {
        let mut ratios: Vec<f64> = self
            .chips
            .iter()
            .zip(&other.chips)
            .map(|(a, b)| if a.is_infinite() && b.is_infinite() { 1.0 } else { a / b })
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let interval = median_interval(&ratios, LEVEL);
        Evidence {
            of,
            quantity: "ratio of BER_50, median over chips",
            value: (!ratios.is_empty()).then(|| quantile(&ratios, 0.5)),
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            n: ratios.len() as u64,
        }
    }

    /// Chips whose BER_50 here is above the other's, and below it; those on which neither loses half say nothing.
    pub(crate) fn signs(&self, other: &Self, of: String) -> Signs {
        let ratios =
            self.chips.iter().zip(&other.chips).map(|(a, b)| match (a.is_infinite(), b.is_infinite()) {
                (true, true) => 0.0,
                (true, false) => 1.0,
                (false, true) => -1.0,
                (false, false) => a - b,
            });
        Signs::of(of, ratios)
    }

    /// BER_50 of the mean, where it was reached.
    pub(crate) fn estimate(&self) -> Option<f64> {
        Some(rate_of(self.mean)).filter(|rate| rate.is_finite())
    }

    /// The first rate measured at which the mean has lost half, with its cell.
    pub fn after<'a>(&self, findings: &'a Findings, place: &Place<'_>) -> Option<(f64, &'a CellFindings)> {
        let half = rate_of(self.mean);
        findings.curve(place).into_iter().find(|(rate, _)| *rate >= half)
    }

    /// As a piece of evidence: BER_50 of the mean between the rates that are shown to lose less and more than half.
    pub fn evidence(&self, of: String) -> Evidence {
        let value = match self.mean {
            Reached::By(rate) | Reached::At(rate) => Some(rate),
            Reached::Beyond(_) => None,
        };
        let n = self.chips.len() as u64;
        Evidence { of, quantity: "BER_50", value, low: self.tolerable, high: self.intolerable, n }
    }
}

fn rate_of(reached: Reached) -> f64 {
    match reached {
        Reached::By(rate) | Reached::At(rate) => rate,
        Reached::Beyond(_) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Side;

    fn half(chips: &[f64]) -> HalfRate {
        let mean = Reached::Beyond(0.1);
        HalfRate { mean, tolerable: None, intolerable: None, chips: chips.to_vec() }
    }

    #[test]
    fn a_rate_that_is_not_reached_lies_above_every_rate() {
        let reached = half(&[1e-4; 10]);
        let never = half(&[f64::INFINITY; 10]);
        assert_eq!(never.over(&reached, String::new()).side(1.0), Some(Side::Above));
        assert_eq!(reached.over(&never, String::new()).side(1.0), Some(Side::Below));
        assert_eq!(never.over(&never, String::new()).side(1.0), None);
        let counts = |signs: Signs| (signs.chips_for, signs.chips_against);
        assert_eq!(counts(never.signs(&reached, String::new())), (10, 0));
        assert_eq!(counts(never.signs(&never, String::new())), (0, 0));
    }

    #[test]
    fn ten_chips_decide_where_at_least_nine_of_them_agree() {
        let below: Vec<f64> = (0..10).map(|chip| if chip < 1 { 1e-2 } else { 1e-5 }).collect();
        let ratio = half(&below).over(&half(&[1e-3; 10]), String::new());
        assert_eq!(ratio.side(1.0), Some(Side::Below));
        let split: Vec<f64> = (0..10).map(|chip| if chip < 2 { 1e-2 } else { 1e-5 }).collect();
        assert_eq!(half(&split).over(&half(&[1e-3; 10]), String::new()).side(1.0), None);
    }
}
