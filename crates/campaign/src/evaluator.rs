//! A subject ready to be evaluated: the model, its rows, the golden run, and buffers for every thread.

use radhard_data::RowsView;
use radhard_engine::{Acted, Changes, Crew, Engine, Exposed, LentModel, Outcome, Under, Way};
use radhard_metrics::{Noticing, Reference};
use radhard_models::{HookEvents, Noted, Scores, ScoresError};
use rayon::prelude::*;

use crate::subject::GoldenRun;

/// Evaluates what chips change in one model.
pub struct Evaluator<'a> {
    /// The model, which a full pass writes into for its duration.
    pub lent: &'a mut LentModel,
    rows: RowsView<'a>,
    engine: &'a Engine,
    reference: &'a Reference<'a>,
    noticing: Noticing<'a>,
    /// Whether the golden run noticed nothing.
    quiet: bool,
    crew: Crew,
    passes: Vec<(Scores, Noted)>,
}

impl<'a> Evaluator<'a> {
    /// Buffers for as many threads as the pool has. `start` is the golden run that chips start from, and `golden` the unprotected one,
    /// both made into the reference.
    pub fn new(
        lent: &'a mut LentModel,
        rows: RowsView<'a>,
        engine: &'a Engine,
        reference: &'a Reference<'a>,
        (start, golden, tolerance): (&'a GoldenRun, &'a GoldenRun, f64),
    ) -> Self {
        let threads = rayon::current_num_threads();
        let crew = Crew::new(lent.model());
        let noticing =
            Noticing { start: &start.scores.probabilities, golden: &golden.scores.probabilities, tolerance };
        let quiet = start.noticed == HookEvents::default();
        let passes = (0..threads).map(|_| <(Scores, Noted)>::default()).collect();
        Self { lent, rows, engine, reference, noticing, quiet, crew, passes }
    }

    /// The golden run.
    pub fn reference(&self) -> &'a Reference<'a> {
        self.reference
    }

    /// Evaluates chips side by side; `None` where a full pass is cheaper.
    pub fn beside(&mut self, chips: &[Under<'_>]) -> Vec<(Exposed, Option<Acted>)> {
        if !chips.iter().any(Under::acts) {
            let changes: Vec<&Changes> = chips.iter().map(|chip| chip.changes).collect();
            let Self { lent, rows, engine, reference, crew, .. } = self;
            let outcomes = engine.beside(lent, rows, reference, &changes, crew);
            let all = chips.iter().zip(outcomes);
            return all
                .map(|(chip, (exposed, outcome))| {
                    (exposed, outcome.map(|outcome| self.unnoticed(*chip, outcome)))
                })
                .collect();
        }
        let this = &*self;
        let one = |chip: &Under<'_>| {
            let mut work = this.crew.work();
            // Rows that are not evaluated bring what the golden run noticed of them, which is not kept row by row.
            if !this.quiet {
                return (this.engine.exposed_under(this.lent, *chip, &mut work), None);
            }
            let beside = (this.reference, this.noticing);
            this.engine.evaluate_under((this.lent, &this.rows), beside, *chip, &mut work)
        };
        chips.par_iter().map(one).collect()
    }

    fn unnoticed(&self, chip: Under<'_>, outcome: Outcome) -> Acted {
        let as_golden = chip.changes.is_empty() || outcome.scores == *self.reference.metrics();
        Acted::unnoticed(outcome, as_golden)
    }

    /// How far a chip is exposed to the rows.
    pub fn exposed(&self, chip: Under<'_>) -> Exposed {
        self.engine.exposed_under(self.lent, chip, &mut self.crew.work())
    }

    /// How many full passes are held before they are scored.
    pub fn passes(&self) -> usize {
        self.passes.len()
    }

    /// Evaluates chips by full passes, one after another on all cores, and scores them side by side.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    ///
    /// # Panics
    /// If there are more chips than [`passes`](Self::passes).
    pub fn full(&mut self, chips: &[Under<'_>]) -> Result<Vec<Acted>, ScoresError> {
        assert!(chips.len() <= self.passes.len(), "{} passes at once", chips.len());
        for (chip, (scores, noted)) in chips.iter().zip(&mut self.passes) {
            if chip.acts() {
                Engine::full_under(self.lent, &self.rows, *chip, (scores, noted))?;
            } else {
                Engine::full(self.lent, &self.rows, chip.changes, scores)?;
            }
        }
        let this = &*self;
        let score = |(chip, (scores, noted)): (&Under<'_>, &(Scores, Noted))| {
            let mut work = this.crew.work();
            if chip.acts() {
                return Engine::judged((this.reference, this.noticing), *chip, (scores, noted), &mut work);
            }
            let scores = this.reference.all(work.metrics(), &scores.probabilities, &scores.logits);
            this.unnoticed(*chip, Outcome { scores, way: Way::Full })
        };
        Ok(chips.par_iter().zip(&self.passes[..chips.len()]).map(score).collect())
    }

    /// The labels of the rows.
    pub fn labels(&self) -> &'a [u8] {
        self.rows.labels
    }

    /// Results of the last full passes, in the order of their chips.
    pub fn passed(&self) -> impl Iterator<Item = &Scores> {
        self.passes.iter().map(|(scores, _)| scores)
    }

    /// The scores of a full pass under changes, row by row.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    pub fn scores(&mut self, changes: &Changes) -> Result<&Scores, ScoresError> {
        Engine::full(self.lent, &self.rows, changes, &mut self.passes[0].0)?;
        Ok(&self.passes[0].0)
    }
}
