//! What the trials of a cell say together.

use radhard_metrics::{
    CellSample, CellStatistics, ChipCounts, LossBounds, LossSample, LossTail, Outcome, Proportion,
};
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, CellId};
use crate::error::RecordsError;
use crate::store::Store;

/// A cell with the statistics of its trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The cell.
    pub cell: Cell,
    /// Whether its data were made up in the shape of the set they are named after.
    pub stand_in: bool,
    /// AUC of the unprotected golden run, which losses are taken against; none where it is undefined or was not run.
    pub unprotected: Option<f64>,
    /// Statistics of the AUC over its chips.
    pub statistics: CellStatistics,
    /// How many chips lose how much; none where a score is undefined.
    pub tail: Option<LossTail>,
    /// Chips per outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Chips whose AUC loss is critical.
    pub critical: Proportion,
}

impl Store {
    /// The statistics of one cell.
    ///
    /// A chip is taken as known where it has no flip and the golden AUC, whichever path found that out; so the statistics are
    /// the same for every way of evaluation.
    pub fn cell_record(&self, id: CellId) -> Result<CellRecord, RecordsError> {
        let cell = self.cell(id).ok_or(RecordsError::UnknownCell { id })?;
        let golden = self
            .golden(&cell.key.subject())
            .ok_or_else(|| RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) })?;
        let golden_auc = golden.scores.auc;
        let (mut known, mut with_flips, mut flips) = (0, Vec::new(), Vec::new());
        let (mut non_finite_chips, mut critical) = (0, 0);
        let mut outcomes = [0; Outcome::ALL.len()];
        self.each_trial(id, |trial| {
            for (count, outcome) in outcomes.iter_mut().zip(Outcome::ALL) {
                *count += u64::from(trial.scores.outcome == outcome);
            }
            if trial.flips == 0 && golden_auc.is_some() && trial.scores.auc == golden_auc {
                known += 1;
                return Ok(());
            }
            if let Some(auc) = trial.scores.auc
                && !(0.0..=1.0).contains(&auc)
            {
                return Err(RecordsError::Damaged {
                    path: self.file().to_owned(),
                    place: format!("scores auc of chip {} of cell ({})", trial.chip, cell.key),
                    reason: format!("{auc:?} is outside [0, 1]"),
                });
            }
            non_finite_chips += u64::from(trial.scores.non_finite > 0);
            critical += u64::from(trial.scores.critical == Some(true));
            with_flips.push(trial.scores.auc.unwrap_or(f64::NAN));
            flips.push(trial.flips);
            Ok(())
        })?;
        // Without a probability of no flip, or a golden score, no chip is known beforehand.
        let p_no_flip = golden_auc.and(cell.p_no_flip).unwrap_or(0.0);
        let statistics = CellStatistics::of(&CellSample {
            p_no_flip,
            known,
            non_finite_chips,
            flips: &flips,
            seed: cell.seed,
            ..CellSample::auc(golden_auc.unwrap_or(f64::NAN), p_no_flip, known, &with_flips)
        });
        let unprotected = self.unprotected_auc(cell);
        // Losses are taken against the unprotected golden run, where it was run.
        let start = unprotected.or(golden_auc).unwrap_or(f64::NAN);
        let losses: Vec<f64> = with_flips.iter().map(|auc| start - auc).collect();
        let tail = LossTail::of(
            &LossSample {
                of_known: start - golden_auc.unwrap_or(f64::NAN),
                known,
                p_no_flip,
                with_flips: &losses,
            },
            LossBounds::default(),
        );
        let drawn = with_flips.len() as u64;
        Ok(CellRecord {
            cell: cell.clone(),
            stand_in: golden.stand_in,
            unprotected,
            tail,
            critical: Proportion::of_chips(&ChipCounts {
                with_flips: critical,
                drawn,
                known,
                known_have_it: false,
                p_no_flip,
            }),
            statistics,
            outcomes,
        })
    }

    /// The statistics of every cell, ordered by key.
    pub fn cell_records(&self) -> Result<Vec<CellRecord>, RecordsError> {
        self.cells().map(|(id, _)| self.cell_record(id)).collect()
    }

    fn unprotected_auc(&self, cell: &Cell) -> Option<f64> {
        let mut subject = cell.key.subject();
        "none".clone_into(&mut subject.protection);
        self.golden(&subject)?.scores.auc
    }
}
