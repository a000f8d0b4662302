//! What the campaigns of a study recorded, ready to be asked.

use std::collections::BTreeMap;

use radhard_metrics::{CellSample, CellStatistics, TrialScores};
use radhard_records::{CellKey, Golden, Prediction, RecordsError, Store, SubjectKey, Trial};

use crate::campaigns::Campaign;
use crate::sets::{SETS, Set};
use crate::study::{Study, StudyError};

/// Cells and golden runs of several campaigns with the same seed: their chips are the same.
#[derive(Debug, Default)]
pub struct Findings {
    cells: BTreeMap<CellKey, CellFindings>,
    goldens: BTreeMap<SubjectKey, Golden>,
    /// Checks on clean data, and how many of a million of them fired.
    alarms: BTreeMap<SubjectKey, (u64, f64)>,
    /// Names of data sets that are a part of a real file: no verdict rests on them.
    partial: Vec<&'static str>,
}

/// Chips of the i-th further seed are numbered from i times this.
const SEED_STRIDE: u64 = 1 << 32;

/// One cell with its trials.
#[derive(Debug)]
pub struct CellFindings {
    /// What names it.
    pub key: CellKey,
    /// Bits that the error model can hit.
    pub exposed_bits: u64,
    /// Exact probability that a chip has no flip.
    pub p_no_flip: Option<f64>,
    /// What theory predicts.
    pub predicted: Option<Prediction>,
    /// The trials in the order of their chips.
    pub trials: Vec<Trial>,
}

impl Findings {
    /// Takes in a campaign's records; a cell that is there already keeps its trials.
    pub fn take(&mut self, store: &Store) -> Result<(), RecordsError> {
        for golden in store.goldens() {
            self.goldens.entry(golden.subject.clone()).or_insert_with(|| golden.clone());
        }
        for cost in store.protections() {
            if let Some(per_million) = cost.false_alarms_per_million {
                self.alarms.entry(cost.subject.clone()).or_insert((cost.checks, per_million));
            }
        }
        for (id, cell) in store.cells() {
            if self.cells.contains_key(&cell.key) {
                continue;
            }
            let mut trials = store.trials(id)?;
            trials.sort_unstable_by_key(|trial| trial.chip);
            let findings = CellFindings {
                key: cell.key.clone(),
                exposed_bits: cell.exposed_bits,
                p_no_flip: cell.p_no_flip,
                predicted: cell.predicted.clone(),
                trials,
            };
            self.cells.insert(cell.key.clone(), findings);
        }
        Ok(())
    }

    /// Adds the chips of a further seed, its `place`-th, to the cells that both have.
    pub(crate) fn take_seed(
        &mut self,
        study: &Study<'_>,
        campaign: &Campaign,
        place: u64,
    ) -> Result<(), StudyError> {
        let Some(store) = study.recorded(campaign)? else { return Ok(()) };
        for (id, cell) in store.cells() {
            let Some(findings) = self.cells.get_mut(&cell.key) else { continue };
            let mut trials = store.trials(id)?;
            trials.sort_unstable_by_key(|trial| trial.chip);
            for trial in &mut trials {
                trial.chip += place * SEED_STRIDE;
            }
            findings.trials.extend(trials);
        }
        Ok(())
    }

    /// Leaves data sets out of all verdicts.
    pub(crate) fn leave_out(&mut self, partial: Vec<&'static str>) {
        self.partial = partial;
    }

    /// The data sets that verdicts may rest on, with their places.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (usize, &'static Set)> {
        SETS.iter().enumerate().filter(|(_, set)| !self.partial.contains(&set.name))
    }

    /// Takes in what a campaign of a study recorded.
    pub(crate) fn take_from(&mut self, study: &Study<'_>, campaign: &Campaign) -> Result<(), StudyError> {
        match study.recorded(campaign)? {
            Some(store) => Ok(self.take(&store)?),
            None => Ok(()),
        }
    }

    /// All cells in the order of every export.
    pub fn cells(&self) -> impl Iterator<Item = &CellFindings> {
        self.cells.values()
    }

    /// One cell of independent flips.
    pub fn cell(&self, at: &Place<'_>, ber: f64) -> Option<&CellFindings> {
        self.cell_of(at, "flips", Some(ber))
    }

    /// One cell of any error model.
    pub fn cell_of(&self, at: &Place<'_>, error_model: &str, ber: Option<f64>) -> Option<&CellFindings> {
        self.cells.get(&CellKey {
            model: at.model.to_owned(),
            data: at.data.to_owned(),
            target: at.target.to_owned(),
            error_model: error_model.to_owned(),
            ber,
            protection: at.protection.to_owned(),
        })
    }

    /// The cells of one curve with their rates, rising.
    pub fn curve(&self, at: &Place<'_>) -> Vec<(f64, &CellFindings)> {
        let of_curve = self.cells.values().filter(|cell| {
            let key = &cell.key;
            key.error_model == "flips"
                && (key.model.as_str(), key.data.as_str(), key.target.as_str(), key.protection.as_str())
                    == (at.model, at.data, at.target, at.protection)
        });
        of_curve.filter_map(|cell| Some((cell.key.ber?, cell))).collect()
    }

    /// The golden run of a subject under a protection.
    pub fn golden(&self, model: &str, data: &str, protection: &str) -> Option<&Golden> {
        self.goldens.get(&SubjectKey {
            model: model.to_owned(),
            data: data.to_owned(),
            protection: protection.to_owned(),
        })
    }

    /// Checks of a protection on clean data, and how many of a million of them fired.
    pub fn false_alarms(&self, model: &str, data: &str, protection: &str) -> Option<(u64, f64)> {
        let subject =
            SubjectKey { model: model.to_owned(), data: data.to_owned(), protection: protection.to_owned() };
        self.alarms.get(&subject).copied()
    }

    /// AUC of the unprotected golden run.
    pub fn unprotected_auc(&self, model: &str, data: &str) -> Option<f64> {
        self.golden(model, data, "none")?.scores.auc
    }

    /// Whether the data of a subject are a stand-in.
    pub fn stand_in(&self, data: &str) -> bool {
        self.goldens.values().any(|golden| golden.subject.data == data && golden.stand_in)
    }

    /// Models measured on a data set, in the order of their names.
    pub fn models(&self, data: &str) -> Vec<&str> {
        self.goldens
            .values()
            .filter(|golden| golden.subject.data == data && golden.subject.protection == "none")
            .map(|golden| golden.subject.model.as_str())
            .collect()
    }
}

/// Which curve: everything that names a cell but its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Name of the model.
    pub model: &'a str,
    /// Name of the data set.
    pub data: &'a str,
    /// What is hit.
    pub target: &'a str,
    /// What protects the model.
    pub protection: &'a str,
}

impl<'a> Place<'a> {
    /// An unprotected curve.
    pub fn new(model: &'a str, data: &'a str, target: &'a str) -> Self {
        Self { model, data, target, protection: "none" }
    }

    /// The same curve under a protection.
    #[must_use]
    pub fn under(self, protection: &'a str) -> Self {
        Self { protection, ..self }
    }
}

impl CellFindings {
    /// AUC of each chip.
    pub fn aucs(&self) -> Vec<f64> {
        self.trials.iter().filter_map(|trial| trial.scores.auc).collect()
    }

    /// AUC of each chip that has a flip.
    pub fn aucs_with_flips(&self) -> Vec<f64> {
        self.trials.iter().filter(|trial| trial.flips > 0).filter_map(|trial| trial.scores.auc).collect()
    }

    /// Statistics of the AUC, with the interval of its mean.
    pub fn statistics(&self, golden: f64) -> CellStatistics {
        let with_flips = self.aucs_with_flips();
        let known = self.trials.len() as u64 - with_flips.len() as u64;
        CellStatistics::of(&CellSample::auc(golden, self.p_no_flip.unwrap_or(0.0), known, &with_flips))
    }

    /// Chips for which something holds.
    pub fn count(&self, holds: impl Fn(&TrialScores) -> bool) -> u64 {
        self.trials.iter().filter(|trial| holds(&trial.scores)).count() as u64
    }
}
