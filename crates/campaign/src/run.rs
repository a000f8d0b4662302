//! The campaign: golden runs first, then every cell's chips, recorded as they are done.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::vec;

use radhard_engine::{Exposed, LentModel, Under};
use radhard_fault::{BitErrorRate, Chip, DrawError, DrawnMap, Persistence, TargetError};
use radhard_metrics::{Reference, ScoreOptions};
use radhard_records::{CellId, Metrics, RecordsError, Store, Trial};
use rayon::prelude::*;

use crate::cells::{PlannedCell, cells, computed, exposures};
use crate::entry;
use crate::evaluator::Evaluator;
use crate::files::{Mark, listed};
use crate::guard::{Guard, GuardError};
use crate::named;
use crate::plan::{CheckedPlan, Evaluation};
use crate::prediction::Predictor;
use crate::subject::{GoldenError, GoldenRun, Ground, Subject, SubjectError};
use crate::trial::{Buffers, DrawnChip, TrialError};
use crate::uncovered::{Uncovered, uncovered};
use crate::watch::Watch;

/// Faults drawn ahead of their evaluation, about; bounds the memory of a batch of dense maps. Each thread draws one chip at least.
const DRAWN_AHEAD: f64 = 4e6;
/// Chips in a batch, at most: a stop is heard after each, and a batch is one transaction.
const BATCH: usize = 256;
/// The same where hardly a chip has a flip.
const BATCH_OF_RARE: usize = 1 << 14;
/// Expected flips below which hardly a chip has one.
const RARE: f64 = 0.1;
/// Faults that one thread draws at least, if there are so many: below, handing chips over costs more than drawing them.
const DRAWN_BY_ONE: f64 = 1e4;
/// Seconds of evaluation after which a batch is recorded, full or not.
const RECORD_EVERY_S: f64 = 0.5;

/// Why a campaign could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A subject could not be opened.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// A golden run failed.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// A protection can't protect a model.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A target exposes nothing.
    #[error("{model}: {source}")]
    Target {
        /// The model's name.
        model: String,
        /// What is wrong.
        source: TargetError,
    },
    /// An error model can't be drawn on what a target exposes.
    #[error("{model}, target {target}: {source}")]
    Draw {
        /// The model's name.
        model: String,
        /// The target.
        target: String,
        /// What is wrong.
        source: DrawError,
    },
    /// The directory or its records could not be used.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A model holds faults already.
    #[error(
        "{} holds injected faults: {mark}; a campaign starts from the fault-free model: undo them, or give --allow-faulty",
        path.display()
    )]
    Faulty {
        /// The model's path.
        path: PathBuf,
        /// The provenance of the faults.
        mark: Box<Mark>,
    },
    /// A target passes over parameters that it names, and that was to be an error.
    #[error("{}, target {}: passes over {}, and --strict is given", .0.model, .0.target, listed(&.0.tensors))]
    PassedOver(Uncovered),
    /// Two subjects have the same names.
    #[error("two subjects are called {model} on {data}; give one of them a name = \"…\"")]
    SameName {
        /// The model's name.
        model: String,
        /// The data's name.
        data: String,
    },
    /// A trial could not do its work.
    #[error(transparent)]
    Trial(#[from] TrialError),
}

/// What a call of [`run`] did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunReport {
    /// Cells of the plan.
    pub cells: u64,
    /// Trials on record now.
    pub trials: u64,
    /// Trials this call evaluated.
    pub evaluated: u64,
    /// Trials this call knew without a run.
    pub known: u64,
    /// Trials of this call by their path, in the order of [`Path::ALL`](radhard_records::Path::ALL).
    pub paths: [u64; 4],
    /// Bytes held for quick evaluation: kept values and the index of readers, of the largest subject.
    pub kept_bytes: u64,
    /// Wall-clock time of this call.
    pub seconds: f64,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
    /// Parameters of which a target reaches no bit, though it names them.
    pub passed_over: Vec<Uncovered>,
}

/// How trials are evaluated; the records do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// The quickest exact path, or full passes alone.
    pub evaluation: Evaluation,
    /// Bytes of golden values kept for quick evaluation, at most, for one subject at a time.
    pub memory_bytes: u64,
    /// Whether a model that says that it holds faults is measured all the same.
    pub allow_faulty: bool,
    /// Whether a parameter that a target names but can't reach is an error.
    pub strict: bool,
}

impl How {
    /// With the usual memory: 2 GiB.
    pub fn new(evaluation: Evaluation) -> Self {
        Self { evaluation, memory_bytes: 2 << 30, allow_faulty: false, strict: false }
    }
}

/// Runs a plan into a directory, or continues what is there.
///
/// The records are a function of the plan, the models and the data: threads, interruptions and the order of cells do
/// not show in them.
///
/// # Errors
/// Nothing is written before every subject is open, every golden run is done and every target has matched.
pub fn run(plan: &CheckedPlan, dir: &Path, how: How, watch: &dyn Watch) -> Result<RunReport, RunError> {
    let start = Instant::now();
    let mut subjects: Vec<Subject> = Vec::new();
    let mut passed_over = Vec::new();
    for paths in &plan.plan().subjects {
        watch.stage(&format!("opening {}", paths.model.display()));
        let (model, data) = (plan.resolve(&paths.model), plan.resolve(&paths.data));
        let rows = (plan.split(), plan.non_finite());
        let subject = Subject::open_beside(&model, &data, paths.name.as_deref(), rows, &subjects)?;
        subject.refuse_damage()?;
        let exposed = exposures(plan, &subject.lent, plan.expose())
            .map_err(|source| RunError::Target { model: subject.model_name.clone(), source })?;
        passed_over.extend(uncovered(plan, &subject.model_name, &exposed));
        if let Some(first) = passed_over.first().filter(|_| how.strict) {
            return Err(RunError::PassedOver(first.clone()));
        }
        if let Some(mark) = subject.mark.clone().filter(|_| !how.allow_faulty) {
            return Err(RunError::Faulty { path: model, mark: Box::new(mark) });
        }
        subjects.push(subject);
    }
    let mut names = BTreeSet::new();
    for subject in &subjects {
        let (model, data) = (subject.model_name.clone(), subject.data_name.clone());
        if !names.insert((model.clone(), data.clone())) {
            return Err(RunError::SameName { model, data });
        }
    }
    let mut goldens = Vec::new();
    for subject in &subjects {
        watch.stage(&format!("golden run of {} on {}", subject.model_name, subject.data_name));
        goldens.push(subject.golden()?);
    }
    let mut guards = Vec::new();
    for (subject, golden) in subjects.iter().zip(&goldens) {
        guards.push(prepare_guards(plan, subject, golden, watch)?);
    }
    let planned: Vec<Vec<PlannedCell<'_>>> =
        subjects.iter().map(|s| cells(plan, &s.model_name, &s.data_name)).collect();
    if let Ok(recorded) = Store::open(dir) {
        entry::refuse_cells_outside(plan, &recorded, &planned)?;
    }
    let cells = planned.iter().map(|c| c.len() as u64).sum();
    let mut report = RunReport { cells, passed_over, ..RunReport::default() };
    let mut store = Store::create_or_continue(dir, &entry::header(plan, &subjects, report.cells))?;
    let total = report.cells.saturating_mul(plan.plan().chips);
    let recorded = store.trial_count()?;
    watch.size(total, recorded);
    report.trials = recorded;
    for (index, subject) in subjects.iter().enumerate() {
        let (golden, guards) = (&goldens[index], &guards[index]);
        for (guard, combination) in guards.iter().zip(plan.protections()) {
            let golden = entry::golden(plan, subject, guard.golden(golden), guard.protected.name())?;
            store.put_golden(&golden)?;
            let key = subject.key(guard.protected.name());
            if !combination.is_none() && store.protection(&key).is_none() {
                watch.stage(&format!("what {} costs on {}", key.protection, key.model));
                store.put_protection(&guard.cost(subject))?;
            }
            store.put_bounds(&key, guard.bounds())?;
        }
    }
    for (index, subject) in subjects.iter_mut().enumerate() {
        let (golden, guards) = (&goldens[index], &mut guards[index]);
        let (lent, ground) = subject.split_mut();
        let (planned, unprotected, report) = (&planned[index], None, &mut report);
        let mut of_subject = SubjectRun { plan, how, watch, ground, golden, unprotected, planned, report };
        let shared = |guard: &Guard| guard.own.is_none();
        if guards.iter().any(shared) {
            of_subject.run(lent, guards, None, &mut store)?;
        }
        for place in (0..guards.len()).filter(|&place| guards[place].own.is_some()).collect::<Vec<_>>() {
            of_subject.run(lent, guards, Some(place), &mut store)?;
        }
        if report.interrupted {
            break;
        }
    }
    store.close()?;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Prepares every protection of a subject, and refuses what can't be drawn under it.
fn prepare_guards(
    plan: &CheckedPlan,
    subject: &Subject,
    golden: &GoldenRun,
    watch: &dyn Watch,
) -> Result<Vec<Guard>, RunError> {
    let targets = exposures(plan, &subject.lent, plan.expose())
        .map_err(|source| RunError::Target { model: subject.model_name.clone(), source })?;
    let computed = computed(plan, &subject.lent, subject.rows.len())
        .map_err(|source| RunError::Target { model: subject.model_name.clone(), source })?;
    let mut guards = Vec::new();
    for combination in plan.protections() {
        if !combination.is_none() {
            watch.stage(&format!("preparing {} for {}", combination.name(), subject.model_name));
        }
        let guard = Guard::prepare(subject, combination, &targets, &computed, golden)?;
        refuse_what_cannot_be_drawn(plan, subject, &guard)?;
        guards.push(guard);
    }
    Ok(guards)
}

/// Draws one chip of every error model on every target, at rate 0 where it takes one: what fails there fails on all chips.
fn refuse_what_cannot_be_drawn(plan: &CheckedPlan, subject: &Subject, guard: &Guard) -> Result<(), RunError> {
    let mut map = DrawnMap::new();
    for (place, exposure) in guard.exposures.iter().enumerate() {
        for error_model in plan.error_models() {
            let rate = error_model.takes_rate().then_some(BitErrorRate::ZERO);
            let chip = Chip::new(plan.plan().seed, 0);
            error_model.draw(chip, guard.exposed(place), rate, &mut map).map_err(|source| {
                RunError::Draw {
                    model: subject.model_name.clone(),
                    target: exposure.target().identity().target.clone(),
                    source,
                }
            })?;
        }
    }
    Ok(())
}

/// The cells of one subject.
struct SubjectRun<'a, 'p> {
    plan: &'a CheckedPlan,
    how: How,
    watch: &'a dyn Watch,
    ground: Ground<'a>,
    /// The unprotected golden run.
    golden: &'a GoldenRun,
    /// Its reference, prepared when it is first asked for.
    unprotected: Option<Reference<'a>>,
    planned: &'a [PlannedCell<'p>],
    report: &'a mut RunReport,
}

impl SubjectRun<'_, '_> {
    /// Whether a chip of these cells is not on record; else nothing needs to be prepared for them.
    fn is_anything_left(
        &self,
        guards: &[Guard],
        own: Option<usize>,
        store: &Store,
    ) -> Result<bool, RecordsError> {
        for cell in self.planned.iter().filter(|cell| is_among(cell, guards, own)) {
            let Some(id) = store.cell_id(&cell.key) else { return Ok(true) };
            if self.left(id, store)?.next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The chips of a cell that are not on record.
    fn left(&self, id: CellId, store: &Store) -> Result<ChipsLeft, RecordsError> {
        Ok(ChipsLeft {
            next: 0,
            end: self.plan.plan().chips,
            done: store.chips_done(id)?.into_iter().peekable(),
        })
    }

    /// Runs the cells under the protection at `own`, which has a golden run of its own; without one, all cells under the others.
    fn run(
        &mut self,
        subject_lent: &mut LentModel,
        guards: &mut [Guard],
        own: Option<usize>,
        store: &mut Store,
    ) -> Result<(), RunError> {
        if self.report.interrupted || !self.is_anything_left(guards, own, store)? {
            return Ok(());
        }
        let Self { plan, how, watch, ground, golden, .. } = *self;
        let Ground { names, scoring, .. } = ground;
        watch.stage(&format!("preparing {} on {}", names.0, names.1));
        let kept_bytes = if how.evaluation == Evaluation::Full { 0 } else { how.memory_bytes };
        let own_run = own.and_then(|place| guards[place].own.take());
        let (mut own_lent, own_golden) = own_run.map_or((None, None), |own| (own.lent, Some(own.golden)));
        let guards = &*guards;
        // Kept values know no hooks, and are of no use where no word changes.
        let hooked = own.is_some_and(|place| guards[place].protected.hooks().is_some());
        let kept_bytes = if hooked || plan.persistence() == Persistence::Compute { 0 } else { kept_bytes };
        let lent = own_lent.as_mut().unwrap_or(subject_lent);
        let start = own_golden.as_ref().unwrap_or(golden);
        let same = start.scores.same_bits(&golden.scores);
        let missing = same && self.unprotected.is_none();
        let references = || {
            let unprotected = missing.then(|| golden.reference(golden, scoring));
            (unprotected, (!same).then(|| start.reference(golden, scoring)))
        };
        let (engine, (unprotected, prepared)) = rayon::join(|| ground.engine(lent, kept_bytes), references);
        let engine = engine?;
        self.unprotected = unprotected.or(self.unprotected.take());
        let reference = prepared.as_ref().or(self.unprotected.as_ref());
        let reference = reference.expect("one of the two was prepared");
        let (kept, readers) = engine.bytes();
        self.report.kept_bytes = self.report.kept_bytes.max(kept + readers);
        let beside = (start, golden, scoring.options.tolerance);
        let mut evaluator = Evaluator::new(lent, scoring.rows.view(), &engine, reference, beside);
        let mut predictor = None;
        for cell in self.planned {
            let guard = &guards[cell.protection];
            if !is_among(cell, guards, own) {
                continue;
            }
            let id = if let Some(id) = store.cell_id(&cell.key) {
                id
            } else {
                let memory = plan.persistence() == Persistence::Memory;
                if let (None, Some(auc), None, true) = (&predictor, golden.auc, own, memory) {
                    watch.stage(&format!("probing {} on {} for the predicted curve", names.0, names.1));
                    predictor = Some(Predictor::measure(evaluator.lent, scoring, golden, auc)?);
                }
                store.put_cell(&entry::cell(plan, evaluator.lent, cell, guard, predictor.as_ref()))?
            };
            let mut chips = self.left(id, store)?.peekable();
            if chips.peek().is_none() {
                continue;
            }
            watch.cell(&cell.key);
            let evaluation = how.evaluation;
            let of = store.golden(&cell.key.subject());
            let of_golden = of.map(|golden| golden.metrics.clone()).unwrap_or_default();
            let options = &scoring.options;
            let report = &mut *self.report;
            let mut of_cell =
                CellRun { plan, evaluation, watch, cell, id, guard, of_golden, options, report };
            of_cell.run(&mut evaluator, store, chips)?;
            if self.report.interrupted {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a cell is one of those under the protection at `own`, or of those under protections without a golden run of their own.
fn is_among(cell: &PlannedCell<'_>, guards: &[Guard], own: Option<usize>) -> bool {
    own.map_or(guards[cell.protection].own.is_none(), |place| place == cell.protection)
}

/// The chips of a cell that are not on record, ascending; however many there are, memory holds those that are.
struct ChipsLeft {
    next: u64,
    end: u64,
    /// Chips on record, ascending.
    done: Peekable<vec::IntoIter<u64>>,
}

impl Iterator for ChipsLeft {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.next < self.end {
            let chip = self.next;
            self.next += 1;
            while self.done.next_if(|&done| done < chip).is_some() {}
            if self.done.next_if_eq(&chip).is_none() {
                return Some(chip);
            }
        }
        None
    }
}

/// The chips of one cell.
struct CellRun<'a, 'p> {
    plan: &'a CheckedPlan,
    evaluation: Evaluation,
    watch: &'a dyn Watch,
    cell: &'a PlannedCell<'p>,
    id: CellId,
    guard: &'a Guard,
    /// The named metrics of the golden run.
    of_golden: Metrics,
    options: &'a ScoreOptions<'a>,
    report: &'a mut RunReport,
}

impl CellRun<'_, '_> {
    fn run(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        store: &mut Store,
        mut chips: impl Iterator<Item = u64>,
    ) -> Result<(), RunError> {
        let exposed = self.guard.exposed(self.cell.exposure).bits();
        let expected = self.cell.rate.map_or(1.0, |rate| rate.get() * exposed as f64);
        let most = if expected < RARE { BATCH_OF_RARE } else { BATCH };
        let batch = ((DRAWN_AHEAD / expected.max(1.0)) as usize).min(most).max(rayon::current_num_threads());
        let by_one = ((DRAWN_BY_ONE / expected.max(1.0)) as usize).max(1);
        loop {
            let chips: Vec<u64> = chips.by_ref().take(batch).collect();
            if chips.is_empty() {
                return Ok(());
            }
            if self.watch.stop() {
                self.report.interrupted = true;
                return Ok(());
            }
            let seed = self.plan.plan().seed;
            let drawn: Vec<DrawnChip> = chips
                .par_iter()
                .with_min_len(by_one.min(chips.len()))
                .map_init(Buffers::default, |buffers, &chip| {
                    let Guard { protected, exposures, computed, .. } = self.guard;
                    if let Some(computed) = computed.get(self.cell.exposure) {
                        return DrawnChip::draw_computed(
                            seed,
                            chip,
                            self.cell,
                            (protected, computed),
                            buffers,
                        );
                    }
                    let memory = (protected, &exposures[self.cell.exposure]);
                    DrawnChip::draw(seed, chip, self.cell, memory, evaluator.lent, buffers)
                })
                .collect::<Result<_, _>>()?;
            self.evaluate(evaluator, store, &drawn)?;
            if self.report.interrupted {
                return Ok(());
            }
        }
    }

    /// Evaluates drawn chips: the cheap ones side by side, the dear ones by full passes on all cores.
    fn evaluate(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        store: &mut Store,
        drawn: &[DrawnChip],
    ) -> Result<(), RunError> {
        let full = self.evaluation == Evaluation::Full;
        let (mut left, known): (Vec<_>, Vec<_>) = drawn.iter().partition(|chip| full || !chip.is_known());
        let golden = evaluator.reference().metrics();
        let protected = &self.guard.protected;
        let names = self.plan.metrics();
        let known_trial = |chip: &&DrawnChip| Trial { metrics: self.of_golden.clone(), ..chip.known(golden) };
        let mut trials: Vec<Trial> = known.iter().map(known_trial).collect();
        let mut since = Instant::now();
        let mut dear: Vec<(&DrawnChip, Exposed)> = Vec::new();
        let mut piece = rayon::current_num_threads();
        // Named metrics are taken of whole passes.
        if full || !names.is_empty() {
            dear = left.drain(..).map(|chip| (chip, evaluator.exposed(chip.under(protected)))).collect();
        }
        let mut left = left.as_slice();
        while !left.is_empty() {
            let (now, later) = left.split_at(piece.min(left.len()));
            let start = Instant::now();
            let chips: Vec<Under<'_>> = now.iter().map(|chip| chip.under(protected)).collect();
            let outcomes = evaluator.beside(&chips);
            let seconds = start.elapsed().as_secs_f64();
            for (chip, (exposed, acted)) in now.iter().zip(outcomes) {
                match acted {
                    Some(acted) => trials.push(chip.record(acted, exposed, seconds / now.len() as f64)),
                    None => dear.push((chip, exposed)),
                }
            }
            if seconds < 0.1 * RECORD_EVERY_S {
                piece *= 2;
            }
            left = later;
            if self.pause(store, &mut trials, &mut since)? {
                return Ok(());
            }
        }
        for group in dear.chunks(evaluator.passes()) {
            let start = Instant::now();
            let chips: Vec<Under<'_>> = group.iter().map(|(chip, _)| chip.under(protected)).collect();
            let outcomes = evaluator.full(&chips).map_err(TrialError::from)?;
            let seconds = start.elapsed().as_secs_f64() / group.len() as f64;
            let labels = evaluator.labels();
            let records = group.iter().zip(outcomes).zip(evaluator.passed()).map(
                |(((chip, exposed), acted), scores)| Trial {
                    metrics: named::of(names, scores, labels, self.options),
                    ..chip.record(acted, *exposed, seconds)
                },
            );
            trials.extend(records);
            if self.pause(store, &mut trials, &mut since)? {
                return Ok(());
            }
        }
        self.record(store, &mut trials)
    }

    /// Records what is done from time to time; whether to end.
    fn pause(
        &mut self,
        store: &mut Store,
        trials: &mut Vec<Trial>,
        since: &mut Instant,
    ) -> Result<bool, RunError> {
        self.report.interrupted = self.watch.stop();
        if self.report.interrupted || since.elapsed().as_secs_f64() > RECORD_EVERY_S {
            self.record(store, trials)?;
            *since = Instant::now();
        }
        Ok(self.report.interrupted)
    }

    fn record(&mut self, store: &mut Store, trials: &mut Vec<Trial>) -> Result<(), RunError> {
        let mut paths = [0; 4];
        for trial in &*trials {
            paths[trial.path as usize] += 1;
        }
        let rows: Vec<(CellId, Trial)> = trials.drain(..).map(|trial| (self.id, trial)).collect();
        store.append(&rows)?;
        let [known, ..] = paths;
        let evaluated = rows.len() as u64 - known;
        for (total, count) in self.report.paths.iter_mut().zip(paths) {
            *total += count;
        }
        self.report.known += known;
        self.report.evaluated += evaluated;
        self.report.trials += known + evaluated;
        self.watch.recorded(&paths);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_left_are_those_not_on_record_and_cost_nothing_before_they_are_drawn() {
        let left = |end, done: &[u64]| {
            let done: Vec<u64> = done.into();
            ChipsLeft { next: 0, end, done: done.into_iter().peekable() }
        };
        assert_eq!(left(6, &[]).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(left(6, &[0, 1, 4]).collect::<Vec<_>>(), [2, 3, 5]);
        assert_eq!(left(3, &[0, 1, 2]).next(), None);
        assert_eq!(left(2, &[0, 5]).collect::<Vec<_>>(), [1]);
        assert_eq!(left(1 << 53, &[0]).take(2).collect::<Vec<_>>(), [1, 2]);
    }
}
