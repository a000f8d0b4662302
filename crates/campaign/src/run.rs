//! The campaign: golden runs first, then every cell's chips, recorded as they are done.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use radhard_fault::{BitErrorRate, Chip, DrawError, DrawnMap, TargetError};
use radhard_records::{CellId, RecordsError, Store, Trial};
use rayon::prelude::*;

use crate::cells::{PlannedCell, cells, exposures};
use crate::entry;
use crate::plan::{CheckedPlan, Evaluation};
use crate::prediction::Predictor;
use crate::subject::{GoldenError, GoldenRun, Subject, SubjectError};
use crate::trial::{DrawnChip, Outputs, TrialError, known};
use crate::watch::Watch;

/// Faults drawn ahead of their evaluation, at most; bounds the memory of a batch of dense maps.
const DRAWN_AHEAD: f64 = 4e6;
/// Chips in a batch, at most: a stop is heard after each, and a batch is one transaction.
const BATCH: usize = 256;
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
    /// Wall-clock time of this call.
    pub seconds: f64,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
}

/// Runs a plan into a directory, or continues what is there.
///
/// The records are a function of the plan, the models and the data: threads, interruptions and the order of cells do
/// not show in them.
///
/// # Errors
/// Nothing is written before every subject is open, every golden run is done and every target has matched.
pub fn run(
    plan: &CheckedPlan,
    dir: &Path,
    evaluation: Evaluation,
    watch: &dyn Watch,
) -> Result<RunReport, RunError> {
    let start = Instant::now();
    let mut subjects = Vec::new();
    for paths in &plan.plan().subjects {
        watch.stage(&format!("opening {}", paths.model.display()));
        let (model, data) = (plan.resolve(&paths.model), plan.resolve(&paths.data));
        let subject = Subject::open(&model, &data, paths.name.as_deref(), plan.split(), plan.non_finite())?;
        exposures(plan, &subject.lent, plan.expose())
            .map_err(|source| RunError::Target { model: subject.model_name.clone(), source })?;
        subjects.push(subject);
    }
    let mut names = BTreeSet::new();
    for subject in &subjects {
        let (model, data) = (subject.model_name.clone(), subject.data_name.clone());
        if !names.insert((model.clone(), data.clone())) {
            return Err(RunError::SameName { model, data });
        }
    }
    for subject in &subjects {
        refuse_what_cannot_be_drawn(plan, subject)?;
    }
    let mut goldens = Vec::new();
    for subject in &subjects {
        watch.stage(&format!("golden run of {} on {}", subject.model_name, subject.data_name));
        goldens.push(subject.golden()?);
    }
    let planned: Vec<Vec<PlannedCell<'_>>> =
        subjects.iter().map(|s| cells(plan, &s.model_name, &s.data_name)).collect();
    if let Ok(recorded) = Store::open(dir) {
        entry::refuse_cells_outside(plan, &recorded, &planned)?;
    }
    let mut store = Store::create_or_continue(dir, &entry::header(plan, &subjects))?;

    let mut report =
        RunReport { cells: planned.iter().map(|c| c.len() as u64).sum(), ..RunReport::default() };
    let mut work = Vec::new();
    for (index, subject) in subjects.iter_mut().enumerate() {
        let golden = &goldens[index];
        let exposures = exposures(plan, &subject.lent, plan.expose())
            .map_err(|source| RunError::Target { model: subject.model_name.clone(), source })?;
        for protection in &plan.plan().protections {
            store.put_golden(&entry::golden(plan, subject, golden, protection))?;
        }
        let mut predictor = None;
        for cell in &planned[index] {
            let id = if let Some(id) = store.cell_id(&cell.key) {
                id
            } else {
                if let (None, Some(auc)) = (&predictor, golden.auc) {
                    watch.stage(&format!("probing {} for the predicted curve", subject.model_name));
                    predictor = Some(Predictor::measure(subject, golden, auc)?);
                }
                store.put_cell(&entry::cell(
                    plan,
                    subject,
                    cell,
                    &exposures[cell.exposure],
                    predictor.as_ref(),
                ))?
            };
            let done = store.chips_done(id)?;
            work.push((index, cell, id, done));
        }
    }
    let total = report.cells * plan.plan().chips;
    let recorded: u64 = work.iter().map(|(.., done)| done.len() as u64).sum();
    watch.size(total, recorded);
    report.trials = recorded;
    for (index, cell, id, done) in work {
        let subject = &mut subjects[index];
        let exposures = exposures(plan, &subject.lent, plan.expose())
            .map_err(|source| RunError::Target { model: subject.model_name.clone(), source })?;
        let done: BTreeSet<u64> = done.into_iter().collect();
        let chips: Vec<u64> = (0..plan.plan().chips).filter(|chip| !done.contains(chip)).collect();
        if chips.is_empty() {
            continue;
        }
        watch.cell(&cell.key);
        let mut of_cell = CellRun {
            plan,
            golden: &goldens[index],
            evaluation,
            watch,
            cell,
            id,
            exposure: &exposures[cell.exposure],
            report: &mut report,
            outputs: Vec::new(),
        };
        of_cell.run(subject, &mut store, &chips)?;
        if report.interrupted {
            break;
        }
    }
    store.close()?;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Draws one chip of every error model on every target, at rate 0 where it takes one: what fails there fails on all chips.
fn refuse_what_cannot_be_drawn(plan: &CheckedPlan, subject: &Subject) -> Result<(), RunError> {
    let targets = |source| RunError::Target { model: subject.model_name.clone(), source };
    let mut map = DrawnMap::new();
    for exposure in exposures(plan, &subject.lent, plan.expose()).map_err(targets)? {
        for error_model in plan.error_models() {
            let rate = error_model.takes_rate().then_some(BitErrorRate::ZERO);
            let chip = Chip::new(plan.plan().seed, 0);
            error_model.draw(chip, &exposure, rate, &mut map).map_err(|source| RunError::Draw {
                model: subject.model_name.clone(),
                target: exposure.identity().target.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

/// The chips of one cell.
struct CellRun<'a, 'p> {
    plan: &'a CheckedPlan,
    golden: &'a GoldenRun,
    evaluation: Evaluation,
    watch: &'a dyn Watch,
    cell: &'a PlannedCell<'p>,
    id: CellId,
    exposure: &'a radhard_fault::Exposure,
    report: &'a mut RunReport,
    /// Used again from group to group.
    outputs: Vec<Outputs>,
}

impl CellRun<'_, '_> {
    fn run(&mut self, subject: &mut Subject, store: &mut Store, chips: &[u64]) -> Result<(), RunError> {
        let expected = self.cell.rate.map_or(1.0, |rate| rate.get() * self.exposure.bits() as f64);
        let batch = ((DRAWN_AHEAD / expected.max(1.0)) as usize).clamp(1, BATCH);
        for chips in chips.chunks(batch) {
            if self.watch.stop() {
                self.report.interrupted = true;
                return Ok(());
            }
            let seed = self.plan.plan().seed;
            let drawn: Vec<DrawnChip> = chips
                .par_iter()
                .map_init(DrawnMap::new, |buffer, &chip| {
                    DrawnChip::draw(seed, chip, self.cell, self.exposure, &subject.lent, buffer)
                })
                .collect::<Result<_, _>>()?;
            self.evaluate(subject, store, &drawn)?;
            if self.report.interrupted {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Evaluates drawn chips in groups: passes one after another, each on all cores, then their scores side by side.
    fn evaluate(
        &mut self,
        subject: &mut Subject,
        store: &mut Store,
        drawn: &[DrawnChip],
    ) -> Result<(), RunError> {
        let full = self.evaluation == Evaluation::Full;
        let (changed, unchanged): (Vec<_>, Vec<_>) = drawn.iter().partition(|chip| full || chip.flips > 0);
        let mut trials: Vec<Trial> = unchanged.iter().map(|chip| known(chip, &self.golden.metrics)).collect();
        let mut since = Instant::now();
        let (lent, scoring) = subject.split_mut();
        self.outputs.resize_with(rayon::current_num_threads(), Outputs::default);
        for group in changed.chunks(self.outputs.len()) {
            for (outputs, chip) in self.outputs.iter_mut().zip(group) {
                outputs.run(lent, scoring, chip)?;
            }
            let golden = self.golden;
            let passes = self.outputs[..group.len()].par_iter_mut();
            trials.par_extend(passes.map(|outputs| outputs.record(golden, scoring)));
            if self.watch.stop() {
                self.report.interrupted = true;
                break;
            }
            if since.elapsed().as_secs_f64() > RECORD_EVERY_S {
                self.record(store, &mut trials)?;
                since = Instant::now();
            }
        }
        self.record(store, &mut trials)
    }

    fn record(&mut self, store: &mut Store, trials: &mut Vec<Trial>) -> Result<(), RunError> {
        let known = trials.iter().filter(|t| t.path == radhard_records::Path::Known).count() as u64;
        let evaluated = trials.len() as u64 - known;
        let rows: Vec<(CellId, Trial)> = trials.drain(..).map(|trial| (self.id, trial)).collect();
        store.append(&rows)?;
        self.report.known += known;
        self.report.evaluated += evaluated;
        self.report.trials += known + evaluated;
        self.watch.recorded(evaluated, known);
        Ok(())
    }
}
