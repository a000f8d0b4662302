//! Curves where chips lose half: measured where it happens, and not beyond.

use std::collections::BTreeSet;

use radhard_metrics::half_of_lead;

use crate::audience::Audience;
use crate::campaigns::{Campaign, HALF_DECADES, RATES};
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::study::{Study, StudyError};
use crate::training::MODELS;

impl Study<'_> {
    /// Adds to the grid's findings the half decades around the rates at which chips lose half, and higher rates for as long as
    /// some chip has not.
    ///
    /// What is measured follows from records alone, so that an interrupted study asks for the same. `None` where the audience ended it.
    pub(crate) fn steep(
        &self,
        findings: &mut Findings,
        audience: &dyn Audience,
    ) -> Result<Option<()>, StudyError> {
        for place in self.scale.chosen() {
            let set = &SETS[place];
            for target in ["embedding", "dense"] {
                let mut rates = self.recorded_rates(&Campaign::steep(&self.scale, place, target, &[]))?;
                loop {
                    if !rates.is_empty() {
                        let campaign = Campaign::steep(&self.scale, place, target, &rates);
                        if self.run(&campaign, audience)?.is_none() {
                            return Ok(None);
                        }
                        findings.take_from(self, &campaign)?;
                    }
                    let wanted = wanted_on(findings, set.name, target);
                    if wanted.is_empty() {
                        break;
                    }
                    rates.extend(wanted);
                    rates.sort_unstable_by(f64::total_cmp);
                    rates.dedup();
                }
            }
        }
        Ok(Some(()))
    }

    /// The rates that a campaign has cells of, rising.
    fn recorded_rates(&self, campaign: &Campaign) -> Result<Vec<f64>, StudyError> {
        let Some(store) = self.recorded(campaign)? else { return Ok(Vec::new()) };
        let mut rates: Vec<f64> = store.cells().filter_map(|(_, cell)| cell.key.ber).collect();
        rates.sort_unstable_by(f64::total_cmp);
        rates.dedup();
        Ok(rates)
    }
}

/// The rates still wanted for the models of a data set; fm's dense part is one bias, which decides nothing.
fn wanted_on(findings: &Findings, data: &str, target: &str) -> Vec<f64> {
    let mut wanted = BTreeSet::new();
    for model in MODELS.into_iter().filter(|model| target == "embedding" || *model != "fm") {
        let Some(golden) = findings.unprotected_auc(model, data) else { continue };
        let curve = findings.curve(&Place::new(model, data, target));
        let chips = curve.iter().map(|(_, cell)| cell.trials.len()).min().unwrap_or(0);
        for chip in 0..chips {
            let lost = |auc: Option<f64>| auc.is_some_and(|auc| golden - auc > half_of_lead(golden));
            let curve = curve.iter().map(|(rate, cell)| (*rate, lost(cell.trials[chip].scores.auc)));
            wanted.extend(next(curve).map(f64::to_bits));
        }
    }
    wanted.into_iter().map(f64::from_bits).collect()
}

/// The rate that tells most of where a chip first loses half, given rates at which it has or has not: the half decade between
/// the last at which it has not and the first at which it has, or what follows the largest. `None` where all is known.
fn next(curve: impl Iterator<Item = (f64, bool)>) -> Option<f64> {
    let mut below = 0.0;
    let mut first = f64::INFINITY;
    for (rate, lost) in curve {
        if lost {
            first = rate;
            break;
        }
        below = rate;
    }
    let mut ladder: Vec<f64> = RATES.into_iter().chain(HALF_DECADES).collect();
    ladder.sort_unstable_by(f64::total_cmp);
    ladder.into_iter().find(|rate| *rate > below && *rate < first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(lost_from: f64, rates: &[f64]) -> Option<f64> {
        next(rates.iter().map(|rate| (*rate, *rate >= lost_from)))
    }

    #[test]
    fn a_chip_that_loses_half_between_decades_is_measured_between_them_once() {
        assert_eq!(next_of(1e-3, &RATES), Some(3.16e-4));
        let mut finer = RATES.to_vec();
        finer.insert(6, 3.16e-4);
        assert_eq!(next_of(1e-3, &finer), None);
        assert_eq!(next_of(2e-4, &finer), None);
    }

    #[test]
    fn a_chip_that_has_not_lost_half_is_measured_further_up_to_a_tenth() {
        let mut rates = RATES.to_vec();
        assert_eq!(next_of(1.0, &rates), Some(3.16e-2));
        rates.push(3.16e-2);
        assert_eq!(next_of(1.0, &rates), Some(1e-1));
        rates.push(1e-1);
        assert_eq!(next_of(1.0, &rates), None);
    }

    #[test]
    fn a_chip_that_loses_half_at_the_lowest_rates_asks_for_nothing() {
        assert_eq!(next_of(1e-9, &RATES), None);
        assert_eq!(next_of(1e-7, &RATES), None);
    }
}
