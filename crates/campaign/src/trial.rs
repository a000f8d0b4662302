//! One trial: the chip is drawn, what it changes is evaluated, and a record made of it.

use std::time::Instant;

use radhard_engine::{Changes, Exposed, LentModel, Outcome, Way};
use radhard_fault::{Chip, DrawError, DrawnMap, Exposure, InjectError, TargetError};
use radhard_metrics::TrialScores;
use radhard_models::ScoresError;
use radhard_records::{Noticed, Path as TrialPath, Trial};

use crate::cells::PlannedCell;

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

/// A chip whose faults are drawn but not yet evaluated.
#[derive(Debug)]
pub struct DrawnChip {
    /// Which chip of the seed.
    pub chip: u64,
    /// Bits that read otherwise than stored, before any protection reads them.
    pub flips: u64,
    /// The words that are read otherwise than stored.
    pub changes: Changes,
    /// What protections noticed.
    pub noticed: Noticed,
    /// What drawing cost.
    pub seconds: f64,
}

impl DrawnChip {
    /// Draws a chip, with a workspace that is used again, and lists what it changes in the model as it is now.
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
        let changes = Changes::of(buffer, lent);
        Ok(Self {
            chip,
            flips: changes.flips(),
            changes,
            noticed: Noticed::default(),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Whether nothing changed and nothing was noticed: the trial *is* the golden run.
    pub fn is_known(&self) -> bool {
        self.changes.is_empty() && self.noticed.is_empty()
    }

    /// The record of this chip.
    pub fn record(&self, outcome: Outcome, exposed: Exposed, seconds: f64) -> Trial {
        Trial {
            chip: self.chip,
            flips: self.flips,
            flips_read: Some(exposed.flips_read),
            reads: Some(exposed.reads),
            noticed: self.noticed,
            scores: outcome.scores,
            path: match outcome.way {
                Way::Known => TrialPath::Known,
                Way::Rows => TrialPath::Rows,
                Way::Layers => TrialPath::Layers,
                Way::Full => TrialPath::Full,
            },
            seconds: self.seconds + seconds,
        }
    }

    /// The record of a chip that is known.
    pub fn known(&self, golden: &TrialScores) -> Trial {
        let outcome = Outcome { scores: golden.clone(), way: Way::Known };
        self.record(outcome, Exposed::default(), 0.0)
    }
}
