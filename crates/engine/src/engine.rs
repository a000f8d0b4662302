//! The choice of the cheapest way, and the evaluation on it.

use std::sync::Arc;

use radhard_data::RowsView;
use radhard_kernels::Kernels;
use radhard_metrics::{MetricsWork, Reference, TrialScores};
use radhard_models::{Evaluation, GlobalId, Kept, Model, Noted, Overlay, Scores, ScoresError, Worker};

use crate::changes::{Changes, Written};
use crate::crew::{Crew, Deferred};
use crate::lend::LentModel;
use crate::readers::{Found, Marks, Readers};

/// A way that costs more than this share of a full pass is left for it.
pub(crate) const WORTH: f64 = 0.9;

/// How a model's changes were evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing changed.
    Known,
    /// The rows that read changed table rows; none, where no row reads them.
    Rows,
    /// All rows from the first changed layer on, then the rows that read changed table rows.
    Layers,
    /// All rows from their inputs.
    Full,
}

/// How far changes are exposed to the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exposed {
    /// Changed bits in words that some row reads; words outside the tables are read by all.
    pub flips_read: u64,
    /// Sum over changed table words of the data rows that read them.
    pub reads: u64,
}

/// What a chip came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its scores.
    pub scores: TrialScores,
    /// How they were found.
    pub way: Way,
}

/// What became of a chip before passes over all rows.
pub(crate) enum Prepared {
    /// It is evaluated, or a full pass is cheaper.
    Done(Exposed, Option<Outcome>),
    /// All rows are to be evaluated from the first changed layer on.
    Layers(Deferred),
}

/// One model with its rows, prepared.
#[derive(Debug)]
pub struct Engine {
    pub(crate) readers: Arc<Readers>,
    pub(crate) kept: Kept,
}

/// Buffers of one thread.
#[derive(Debug)]
pub struct Work {
    pub(crate) overlay: Overlay,
    pub(crate) worker: Worker,
    pub(crate) marks: Marks,
    pub(crate) listed: Vec<u32>,
    pub(crate) ids: Vec<GlobalId>,
    pub(crate) some: Scores,
    pub(crate) noted: Noted,
    pub(crate) metrics: MetricsWork,
}

impl Work {
    /// Buffers for one model; those that hold a value per row grow with the first evaluation that needs them.
    pub fn new(model: &Model) -> Self {
        Self {
            overlay: Overlay::new(model),
            worker: Worker::new(model),
            marks: Marks::default(),
            listed: Vec::new(),
            ids: Vec::new(),
            some: Scores::default(),
            noted: Noted::default(),
            metrics: MetricsWork::default(),
        }
    }

    /// The buffers of metrics alone.
    pub fn metrics(&mut self) -> &mut MetricsWork {
        &mut self.metrics
    }
}

impl Engine {
    /// The golden pass, whose scores go to `golden`, with what is kept of it in so many bytes at most.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    pub fn new(
        lent: &LentModel,
        rows: &RowsView<'_>,
        budget_bytes: u64,
        golden: &mut Scores,
    ) -> Result<Self, ScoresError> {
        let readers = Arc::new(Readers::of(lent.model().config(), rows));
        Self::with(readers, lent, rows, budget_bytes, golden)
    }

    /// The same with the readers of these rows, which engines of models with the same fields share.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    ///
    /// # Panics
    /// If the readers are of other fields, or of another number of rows.
    pub fn with(
        readers: Arc<Readers>,
        lent: &LentModel,
        rows: &RowsView<'_>,
        budget_bytes: u64,
        golden: &mut Scores,
    ) -> Result<Self, ScoresError> {
        assert!(readers.are_of(lent.model().config(), rows), "readers of other rows");
        let kept = lent.model().keep(rows, budget_bytes, golden)?;
        Ok(Self { readers, kept })
    }

    /// What is kept of the golden pass.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Bytes of kept values, and of the index of readers.
    pub fn bytes(&self) -> (u64, u64) {
        (self.kept.bytes(), self.readers.bytes())
    }

    /// How far changes are exposed to the rows; collects the ids of changed table rows that are read.
    pub(crate) fn expose(&self, lent: &LentModel, changes: &Changes, ids: &mut Vec<GlobalId>) -> Exposed {
        use radhard_fault::Parameters;
        let mut exposed = Exposed::default();
        ids.clear();
        for (index, words) in changes.iter() {
            let stored = lent.words(index);
            let flips = |&(element, word): &(u64, u64)| u64::from((stored.get(element) ^ word).count_ones());
            let Some(table) = lent.model().table_of(index) else {
                exposed.flips_read += words.iter().map(flips).sum::<u64>();
                continue;
            };
            for change in words {
                let id = table.id(change.0);
                let reads = self.readers.count(id);
                exposed.reads += u64::from(reads);
                if reads > 0 {
                    exposed.flips_read += flips(change);
                    if ids.last() != Some(&id) {
                        ids.push(id);
                    }
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        exposed
    }

    /// How far changes are exposed to the rows.
    pub fn exposed(&self, lent: &LentModel, changes: &Changes, work: &mut Work) -> Exposed {
        self.expose(lent, changes, &mut work.ids)
    }

    /// Evaluates what a chip changes in tables alone, and the rows that read changed table rows where it changes more.
    pub(crate) fn prepare(
        &self,
        lent: &LentModel,
        rows: &RowsView<'_>,
        reference: &Reference<'_>,
        (place, changes): (usize, &Changes),
        crew: &Crew,
    ) -> Prepared {
        let mut work = crew.work();
        let work = &mut *work;
        let exposed = self.expose(lent, changes, &mut work.ids);
        let done = |outcome| Prepared::Done(exposed, outcome);
        if changes.is_empty() {
            return done(Some(Outcome { scores: reference.metrics().clone(), way: Way::Known }));
        }
        let model = lent.model();
        let dense = changes.iter().any(|(index, _)| model.table_of(index).is_none());
        let apart = model.cost_apart(self.kept.apart().filter(|_| !dense));
        let most = (rows.len() as f64 * WORTH / apart) as usize;
        let ids = work.ids.iter().copied();
        // An index row may be read by one row at least: more words than rows can't be worth it.
        if work.ids.len() > 4 * most.max(16)
            || self.readers.list(ids, most, &mut work.marks, &mut work.listed) == Found::TooMany
        {
            return done(None);
        }
        let mut deferred = dense.then(|| crew.overlay(model));
        let overlay = deferred.as_mut().unwrap_or(&mut work.overlay);
        overlay.clear();
        for (index, words) in changes.iter() {
            for &(element, word) in words {
                overlay.write(model, index, element, word);
            }
        }
        overlay.finish(model);
        if overlay.dense_changed() {
            let apart = work.listed.len() as f64 * apart / rows.len() as f64;
            if apart + model.suffix_cost(&self.kept, overlay) > WORTH {
                return done(None);
            }
        }
        let evaluation =
            Evaluation { kernels: Kernels::detected(), rows: *rows, overlay, apart: self.kept.apart() };
        model.scores_of(&evaluation, &work.listed, &mut work.worker, &mut work.some);
        let Scores { logits, probabilities } = &mut work.some;
        match deferred {
            // Counters of batches, and what no layer reads, are outside the tables and change nothing.
            Some(overlay) if overlay.dense_changed() => {
                let some = std::mem::take(&mut work.some);
                let listed = std::mem::take(&mut work.listed);
                Prepared::Layers(Deferred { place, exposed, overlay, listed, some })
            }
            _ => {
                let scores = reference.changed(&mut work.metrics, &work.listed, probabilities, logits);
                done(Some(Outcome { scores, way: Way::Rows }))
            }
        }
    }

    /// Evaluates changes by a full pass on all cores, with the words in the model's own memory.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    pub fn full(
        lent: &mut LentModel,
        rows: &RowsView<'_>,
        changes: &Changes,
        out: &mut Scores,
    ) -> Result<(), ScoresError> {
        if changes.is_empty() {
            return lent.model().scores(rows, out);
        }
        Written::new(lent, changes).model().scores(rows, out)
    }
}
