//! One trial: the chip is drawn, injected, evaluated, scored, and undone.

use std::time::Instant;

use radhard_fault::{Chip, DrawError, DrawnMap, Exposure, InjectError, Injected, TargetError};
use radhard_metrics::{Golden, Observed, Ranking, TrialScores};
use radhard_models::{Scores, ScoresError};
use radhard_records::{Noticed, Path as TrialPath, Trial};

use crate::cells::PlannedCell;
use crate::lend::LentModel;
use crate::subject::{GoldenRun, Scoring};

/// Why a trial could not do its work; scores that are not finite are results, not errors.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The map does not fit the parameters.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// The error model can't be drawn on this model.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The model has nothing to expose.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The pass refused its input.
    #[error(transparent)]
    Scores(#[from] ScoresError),
}

/// A chip whose faults are drawn but not yet injected.
#[derive(Debug)]
pub struct DrawnChip {
    /// Which chip of the seed.
    pub chip: u64,
    /// Bits that read otherwise than stored.
    pub flips: u64,
    /// The faults; none where no word is touched.
    pub map: Option<DrawnMap>,
    /// What drawing cost.
    pub seconds: f64,
}

impl DrawnChip {
    /// Draws a chip, with a workspace that is used again, and counts what it changes in the model as it is now.
    pub fn draw(
        seed: u64,
        chip: u64,
        cell: &PlannedCell<'_>,
        exposure: &Exposure,
        lent: &LentModel,
        buffer: &mut DrawnMap,
    ) -> Result<Self, TrialError> {
        let start = Instant::now();
        cell.error_model.draw(Chip::new(seed, chip), exposure, cell.rate, buffer)?;
        let flips = buffer.effective_flips(lent)?;
        let map = (!buffer.is_empty()).then(|| buffer.detach());
        Ok(Self { chip, flips, map, seconds: start.elapsed().as_secs_f64() })
    }
}

/// Scores of a faulty pass, waiting to become a record.
#[derive(Debug, Default)]
pub struct Outputs {
    scores: Scores,
    ranking: Ranking,
    chip: u64,
    flips: u64,
    seconds: f64,
}

impl Outputs {
    /// Injects a drawn chip, runs the full pass, and takes the faults out again.
    pub fn run(
        &mut self,
        lent: &mut LentModel,
        scoring: Scoring<'_>,
        drawn: &DrawnChip,
    ) -> Result<(), TrialError> {
        let start = Instant::now();
        let rows = scoring.rows.view();
        match &drawn.map {
            None => lent.model().scores(&rows, &mut self.scores)?,
            Some(map) => {
                Injected::new(lent, map)?.model().scores(&rows, &mut self.scores)?;
            }
        }
        self.chip = drawn.chip;
        self.flips = drawn.flips;
        self.seconds = drawn.seconds + start.elapsed().as_secs_f64();
        Ok(())
    }

    /// The record of this pass.
    pub fn record(&mut self, golden: &GoldenRun, scoring: Scoring<'_>) -> Trial {
        let start = Instant::now();
        let observed = Observed {
            probabilities: &self.scores.probabilities,
            logits: Some(&self.scores.logits),
            labels: scoring.rows.labels(),
        };
        let reference = Golden { probabilities: &golden.scores.probabilities, auc: golden.auc };
        let scores = TrialScores::with(&mut self.ranking, &observed, Some(&reference), &scoring.options);
        let seconds = self.seconds + start.elapsed().as_secs_f64();
        Trial {
            chip: self.chip,
            flips: self.flips,
            flips_read: None,
            reads: None,
            noticed: Noticed::default(),
            scores,
            path: TrialPath::Full,
            seconds,
        }
    }
}

/// The record of a chip on which no word changes: it *is* the golden run.
pub fn known(drawn: &DrawnChip, golden: &TrialScores) -> Trial {
    Trial {
        chip: drawn.chip,
        flips: 0,
        flips_read: Some(0),
        reads: Some(0),
        noticed: Noticed::default(),
        scores: golden.clone(),
        path: TrialPath::Known,
        seconds: drawn.seconds,
    }
}
