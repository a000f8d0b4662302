//! A subject ready to be evaluated: the model, its rows, the golden run, and buffers for every thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

use radhard_data::RowsView;
use radhard_engine::{Changes, Engine, Exposed, LentModel, Outcome, Way, Work};
use radhard_metrics::Reference;
use radhard_models::{HookEvents, Hooks, Scores, ScoresError};
use rayon::prelude::*;

/// Evaluates what chips change in one model.
pub struct Evaluator<'a> {
    /// The model, which a full pass writes into for its duration.
    pub lent: &'a mut LentModel,
    rows: RowsView<'a>,
    engine: &'a Engine,
    reference: &'a Reference<'a>,
    /// What acts between layers.
    hooks: Option<&'a dyn Hooks>,
    works: Vec<Mutex<Work>>,
    passes: Vec<Scores>,
}

impl<'a> Evaluator<'a> {
    /// Buffers for as many threads as the pool has.
    pub fn new(
        lent: &'a mut LentModel,
        rows: RowsView<'a>,
        engine: &'a Engine,
        reference: &'a Reference<'a>,
        hooks: Option<&'a dyn Hooks>,
    ) -> Self {
        let threads = rayon::current_num_threads();
        let works = (0..threads).map(|_| Mutex::new(Work::new(lent.model()))).collect();
        Self { lent, rows, engine, reference, hooks, works, passes: vec![Scores::default(); threads] }
    }

    /// The golden run.
    pub fn reference(&self) -> &'a Reference<'a> {
        self.reference
    }

    /// Evaluates changes side by side, each on one thread; `None` where a full pass is cheaper.
    pub fn beside(&self, changes: &[&Changes]) -> Vec<(Exposed, Option<Outcome>)> {
        let one = |changes: &&Changes| {
            let mut work = self.work();
            // Kept values know no hooks.
            if self.hooks.is_some() && !changes.is_empty() {
                return (self.engine.exposed(self.lent, changes, &mut work), None);
            }
            self.engine.evaluate(self.lent, &self.rows, self.reference, changes, &mut work)
        };
        changes.par_iter().map(one).collect()
    }

    /// How far changes are exposed to the rows.
    pub fn exposed(&self, changes: &Changes) -> Exposed {
        self.engine.exposed(self.lent, changes, &mut self.work())
    }

    /// How many full passes are held before they are scored.
    pub fn passes(&self) -> usize {
        self.passes.len()
    }

    /// Evaluates changes by full passes, one after another on all cores, and scores them side by side; with what hooks noticed.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    ///
    /// # Panics
    /// If there are more changes than [`passes`](Self::passes).
    pub fn full(&mut self, changes: &[&Changes]) -> Result<Vec<(Outcome, HookEvents)>, ScoresError> {
        assert!(changes.len() <= self.passes.len(), "{} passes at once", changes.len());
        let mut bad = Vec::new();
        for (changes, scores) in changes.iter().zip(&mut self.passes) {
            bad.push(match self.hooks {
                Some(hooks) => Engine::full_hooked(self.lent, &self.rows, changes, hooks, scores)?,
                None => {
                    Engine::full(self.lent, &self.rows, changes, scores).map(|()| HookEvents::default())?
                }
            });
        }
        let score = |scores: &Scores| {
            let mut work = self.work();
            let scores = self.reference.all(work.metrics(), &scores.probabilities, &scores.logits);
            Outcome { scores, way: Way::Full }
        };
        Ok(self.passes[..changes.len()].par_iter().map(score).zip(bad).collect())
    }

    /// The scores of a full pass under changes, row by row.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    pub fn scores(&mut self, changes: &Changes) -> Result<&Scores, ScoresError> {
        Engine::full(self.lent, &self.rows, changes, &mut self.passes[0])?;
        Ok(&self.passes[0])
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        // A panic ends the campaign; until then buffers are as good as new.
        self.works[thread % self.works.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
