//! One trial: the chip is drawn, what it changes is evaluated, and a record made of it.

use std::time::Instant;

use radhard_engine::{Acted, Changes, Computed, Exposed, LentModel, Outcome, Transients, Under, Way};
use radhard_fault::{Chip, DrawError, DrawnMap, InjectError, TargetError};
use radhard_metrics::TrialScores;
use radhard_models::ScoresError;
use radhard_protect::{Events, Protected, ProtectedExposure, ReadWork};
use radhard_records::{Metrics, Noticed, Path as TrialPath, Trial};

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
    /// What happens to results as they are computed, where faults strike there.
    pub transients: Option<Transients>,
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
        Ok(Self { chip, flips, changes, transients: None, noticed: guard::noticed(events), seconds })
    }

    /// Draws what a chip does to results as they are computed; under protections that look at results, to those computed again too.
    pub fn draw_computed(
        seed: u64,
        chip: u64,
        cell: &PlannedCell<'_>,
        (protected, computed): (&Protected, &Computed),
        buffers: &mut Buffers,
    ) -> Result<Self, TrialError> {
        let start = Instant::now();
        let of = (Chip::new(seed, chip), cell.rate);
        let again = protected.hooks().is_some();
        let transients = Transients::draw(cell.error_model, of, computed, again, &mut buffers.drawn)?;
        Ok(Self {
            chip,
            flips: transients.flips(),
            changes: Changes::default(),
            transients: Some(transients),
            noticed: Noticed::default(),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// What is to be evaluated, under these protections.
    pub fn under<'a>(&'a self, protected: &'a Protected) -> Under<'a> {
        Under { changes: &self.changes, transients: self.transients.as_ref(), hooks: protected.hooks() }
    }

    /// Whether nothing changed and nothing was noticed: the trial *is* the golden run.
    pub fn is_known(&self) -> bool {
        let computed = self.transients.as_ref().is_none_or(Transients::is_empty);
        self.changes.is_empty() && computed && self.noticed.is_empty()
    }

    /// The record of this chip.
    pub fn record(&self, acted: Acted, exposed: Exposed, seconds: f64) -> Trial {
        let Acted { outcome, events, rows, as_golden } = acted;
        let mut scores = outcome.scores;
        let mut noticed = self.noticed;
        noticed.detected += events.detected;
        noticed.corrected += events.corrected;
        noticed.reloads += events.reloads;
        noticed.reload_bytes += events.reload_bytes;
        noticed.retries += events.retries;
        noticed.fallbacks += events.fallbacks;
        if noticed.detected > 0 {
            // What was not restored of rows has made them DUE already.
            scores = scores.with_detection(guard::detection(noticed.detected, self.noticed, as_golden));
        }
        (noticed.rows_detected, noticed.rows_recovered) = (rows.detected, rows.recovered);
        noticed.rows_missed = rows.missed;
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
            metrics: Metrics::default(),
        }
    }

    /// The record of a chip that is known.
    pub fn known(&self, golden: &TrialScores) -> Trial {
        let outcome = Outcome { scores: golden.clone(), way: Way::Known };
        self.record(Acted::unnoticed(outcome, true), Exposed::default(), 0.0)
    }
}
