//! One trial: the chip is drawn, what it changes is evaluated, and a record made of it.

use std::time::Instant;

use radhard_engine::{Changes, Exposed, LentModel, Outcome, Way};
use radhard_fault::{Chip, DrawError, DrawnMap, InjectError, TargetError};
use radhard_metrics::TrialScores;
use radhard_models::{HookEvents, ScoresError};
use radhard_protect::{Events, Protected, ProtectedExposure, ReadWork};
use radhard_records::{Noticed, Path as TrialPath, Trial};

use crate::cells::PlannedCell;
use crate::guard;

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

/// Buffers of [`DrawnChip::draw`].
#[derive(Default)]
pub struct Buffers {
    drawn: DrawnMap,
    read: DrawnMap,
    work: ReadWork,
}

impl DrawnChip {
    /// Draws a chip on protected memory, with buffers that are used again, and lists what readers get otherwise than stored.
    pub fn draw(
        seed: u64,
        chip: u64,
        cell: &PlannedCell<'_>,
        (protected, exposure): (&Protected, &ProtectedExposure),
        lent: &LentModel,
        buffers: &mut Buffers,
    ) -> Result<Self, TrialError> {
        let start = Instant::now();
        let Buffers { drawn, read, work } = buffers;
        cell.error_model.draw(Chip::new(seed, chip), exposure.memory(), cell.rate, drawn)?;
        let (flips, changes, events);
        if protected.reads() {
            flips = protected.flips(exposure, lent, drawn);
            events = protected.read(exposure, lent, drawn, work, read)?;
            changes = Changes::of(read, lent);
        } else {
            changes = Changes::of(drawn, lent);
            (flips, events) = (changes.flips(), Events::default());
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self { chip, flips, changes, noticed: guard::noticed(events), seconds })
    }

    /// Whether nothing changed and nothing was noticed: the trial *is* the golden run.
    pub fn is_known(&self) -> bool {
        self.changes.is_empty() && self.noticed.is_empty()
    }

    /// The record of this chip, with what hooks noticed.
    pub fn record(
        &self,
        golden: &TrialScores,
        (outcome, hooked): (Outcome, HookEvents),
        exposed: Exposed,
        seconds: f64,
    ) -> Trial {
        let mut scores = outcome.scores;
        let mut noticed = self.noticed;
        noticed.detected += hooked.detected;
        noticed.corrected += hooked.corrected;
        noticed.reloads += hooked.reloads;
        noticed.reload_bytes += hooked.reload_bytes;
        noticed.retries += hooked.retries;
        noticed.fallbacks += hooked.fallbacks;
        if !noticed.is_empty() {
            let as_golden = self.changes.is_empty() || scores == *golden;
            scores = scores.with_detection(guard::detection(noticed, as_golden));
        }
        Trial {
            chip: self.chip,
            flips: self.flips,
            flips_read: Some(exposed.flips_read),
            reads: Some(exposed.reads),
            noticed,
            scores,
            path: match outcome.way {
                Way::Known if self.is_known() => TrialPath::Known,
                Way::Known | Way::Rows => TrialPath::Rows,
                Way::Layers => TrialPath::Layers,
                Way::Full => TrialPath::Full,
            },
            seconds: self.seconds + seconds,
        }
    }

    /// The record of a chip that is known.
    pub fn known(&self, golden: &TrialScores) -> Trial {
        let outcome = Outcome { scores: golden.clone(), way: Way::Known };
        self.record(golden, (outcome, HookEvents::default()), Exposed::default(), 0.0)
    }
}
