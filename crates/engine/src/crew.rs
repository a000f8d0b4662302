//! Many chips at a time: what each changes in tables is evaluated beside the others, what they change elsewhere in one pass for all.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use radhard_data::RowsView;
use radhard_kernels::{Answered, Answers, Kernels};
use radhard_memory::Buffer;
use radhard_metrics::{Reference, Saturated};
use radhard_models::{BLOCK, Model, Overlay, Scores, Together};
use rayon::prelude::*;

use crate::changes::Changes;
use crate::engine::{Engine, Exposed, Outcome, Prepared, WORTH, Way, Work};
use crate::lend::LentModel;

/// Bytes of probabilities that chips evaluated in one pass leave behind, at most.
const PROBABILITIES_BYTES: usize = 256 << 20;
/// Chips in one pass, at most: from here on hardly more is shared.
const MOST_TOGETHER: usize = 32;
/// Data rows that one thread evaluates at a time.
const TASK: usize = 32 * BLOCK;

/// Buffers of all threads of the current pool.
///
/// Memory: per thread those of [`Work`]; per chip in one pass an overlay and a probability per row.
#[derive(Debug)]
pub struct Crew {
    works: Vec<Mutex<Work>>,
    overlays: Mutex<Vec<Overlay>>,
    probabilities: Vec<Buffer<f32>>,
}

/// A chip that changes words outside the tables.
pub(crate) struct Deferred {
    pub(crate) place: usize,
    pub(crate) exposed: Exposed,
    pub(crate) overlay: Overlay,
    /// Rows that read changed table rows, and their scores under all changes.
    pub(crate) listed: Vec<u32>,
    pub(crate) some: Scores,
}

/// What a pass over all rows counts of one chip.
#[derive(Default)]
struct Counts {
    changed: AtomicU64,
    high: AtomicU64,
    low: AtomicU64,
}

impl Crew {
    /// Buffers for one model and the threads of the current pool.
    pub fn new(model: &Model) -> Self {
        let works = (0..rayon::current_num_threads()).map(|_| Mutex::new(Work::new(model))).collect();
        Self { works, overlays: Mutex::default(), probabilities: Vec::new() }
    }

    /// The buffers of the calling thread.
    pub fn work(&self) -> MutexGuard<'_, Work> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        // A panic ends the evaluation; until then buffers are as good as new.
        self.works[thread % self.works.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn overlay(&self, model: &Model) -> Overlay {
        let mut overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        overlays.pop().unwrap_or_else(|| Overlay::new(model))
    }
}

impl Engine {
    /// Evaluates what chips change, on all threads of the current pool; `None` where a full pass is cheaper.
    ///
    /// `reference` is the golden run of [`new`](Self::new).
    pub fn beside(
        &self,
        lent: &LentModel,
        rows: &RowsView<'_>,
        reference: &Reference<'_>,
        chips: &[&Changes],
        crew: &mut Crew,
    ) -> Vec<(Exposed, Option<Outcome>)> {
        let together = (PROBABILITIES_BYTES / (rows.len() * size_of::<f32>()).max(1)).clamp(1, MOST_TOGETHER);
        let mut all = Vec::with_capacity(chips.len());
        // Chips that change tables alone leave nothing behind: the more of them at a time, the less a long one is waited for.
        let elsewhere = |chip: &Changes| chip.iter().any(|(index, _)| lent.model().table_of(index).is_none());
        let most = together.max(crew.works.len());
        let mut rest = chips;
        while !rest.is_empty() {
            let mut deferred = 0;
            let beyond = |chip: &&Changes| {
                deferred += usize::from(elsewhere(chip));
                deferred > most
            };
            let (chips, later) = rest.split_at(rest.iter().position(beyond).unwrap_or(rest.len()));
            rest = later;
            let prepared: Vec<Prepared> = chips
                .par_iter()
                .with_max_len(1)
                .enumerate()
                .map(|(place, chip)| self.prepare(lent, rows, reference, (place, chip), crew))
                .collect();
            let first = all.len();
            let mut deferred = Vec::new();
            for one in prepared {
                match one {
                    Prepared::Done(exposed, outcome) => all.push((exposed, outcome)),
                    Prepared::Layers(one) => {
                        all.push((one.exposed, None));
                        deferred.push(one);
                    }
                }
            }
            for some in deferred.chunks(together) {
                for (one, outcome) in some.iter().zip(self.layers(lent, rows, reference, some, crew)) {
                    all[first + one.place].1 = outcome;
                }
            }
            let overlays = crew.overlays.get_mut().unwrap_or_else(PoisonError::into_inner);
            overlays.extend(deferred.into_iter().map(|one| one.overlay));
        }
        all
    }

    /// Evaluates all rows under changes outside the tables, and what becomes of the rows that read changed tables is known.
    fn layers(
        &self,
        lent: &LentModel,
        rows: &RowsView<'_>,
        reference: &Reference<'_>,
        chips: &[Deferred],
        crew: &mut Crew,
    ) -> Vec<Option<Outcome>> {
        let overlays = chips.iter().map(|chip| &chip.overlay);
        let together = Together::new(lent.model(), &self.kept, Kernels::detected(), overlays);
        let listed: usize = chips.iter().map(|chip| chip.listed.len()).sum();
        let apart = listed as f64 * lent.model().cost_apart(None) / rows.len() as f64;
        if together.cost() + apart > WORTH * chips.len() as f64 {
            return chips.iter().map(|_| None).collect();
        }
        let mut probabilities = std::mem::take(&mut crew.probabilities);
        probabilities.resize_with(probabilities.len().max(chips.len()), Buffer::default);
        let own = &mut probabilities[..chips.len()];
        for probabilities in &mut *own {
            if probabilities.len() != rows.len() {
                *probabilities = Buffer::zeroed(rows.len());
            }
        }
        let mut of_chips: Vec<_> = own.iter_mut().map(|all| all.chunks_mut(TASK)).collect();
        let tasks: Vec<Vec<&mut [f32]>> = (0..rows.len().div_ceil(TASK))
            .map(|_| of_chips.iter_mut().filter_map(Iterator::next).collect())
            .collect();
        let counts: Vec<Counts> = chips.iter().map(|_| Counts::default()).collect();
        let golden = reference.probabilities();
        tasks.into_par_iter().enumerate().for_each_init(
            || (together.room(), Vec::new()),
            |(room, logits), (task, out)| {
                let start = task * TASK;
                let range = start..rows.len().min(start + TASK);
                // Only rows whose scores are exchanged ask for the logits.
                logits.resize_with(chips.len(), Vec::new);
                let mut answers: Vec<Answers<'_>> = Vec::with_capacity(chips.len());
                for ((chip, answers_of), logits) in chips.iter().zip(out).zip(&mut *logits) {
                    logits.resize(if chip.reads_in(&range).is_empty() { 0 } else { range.len() }, 0.0);
                    answers.push(Answers {
                        golden: &golden[range.clone()],
                        answers: answers_of,
                        logits,
                        counted: Answered::default(),
                    });
                }
                together.run(rows, range.clone(), room, &mut answers);
                for ((chip, answers), counts) in chips.iter().zip(&mut answers).zip(&counts) {
                    chip.exchange(&range, answers);
                    counts.add(answers.counted);
                }
            },
        );
        let own = &probabilities[..chips.len()];
        let score = |(probabilities, counts): (&Buffer<f32>, &Counts)| {
            let mut work = crew.work();
            let Work { listed, some, metrics, .. } = &mut *work;
            let saturated = Saturated { high: counts.high.load(Relaxed), low: counts.low.load(Relaxed) };
            let changed = counts.changed.load(Relaxed) as usize;
            let scores = if reference.are_few(changed) {
                listed.clear();
                some.probabilities.clear();
                list_changed(probabilities, golden, listed, &mut some.probabilities);
                reference.changed_with(metrics, listed, &some.probabilities, saturated)
            } else {
                reference.all_with(metrics, probabilities, saturated)
            };
            Some(Outcome { scores, way: Way::Layers })
        };
        let outcomes = own.par_iter().zip(&counts).map(score).collect();
        crew.probabilities = probabilities;
        outcomes
    }
}

/// Lists the rows whose probabilities are other than golden.
fn list_changed(probabilities: &[f32], golden: &[f32], rows: &mut Vec<u32>, changed: &mut Vec<f32>) {
    let differ = |p: f32, g: f32| p.to_bits() != g.to_bits();
    // Most rows are golden, and many of them are compared at once.
    let parts = probabilities.chunks(BLOCK).zip(golden.chunks(BLOCK));
    for (first, (probabilities, golden)) in (0..).step_by(BLOCK).zip(parts) {
        if probabilities.iter().zip(golden).fold(false, |any, (p, g)| any | differ(*p, *g)) {
            for ((row, p), g) in (first..).zip(probabilities).zip(golden) {
                if differ(*p, *g) {
                    rows.push(row);
                    changed.push(*p);
                }
            }
        }
    }
}

impl Deferred {
    /// The places among the listed rows of those in a range.
    fn reads_in(&self, range: &Range<usize>) -> Range<usize> {
        let place = |row: usize| self.listed.partition_point(|listed| (*listed as usize) < row);
        place(range.start)..place(range.end)
    }

    /// Puts the scores of rows that read changed tables in their places.
    fn exchange(&self, range: &Range<usize>, out: &mut Answers<'_>) {
        for at in self.reads_in(range) {
            let row = self.listed[at] as usize - range.start;
            let counted = |probability: f32, logit: f32| {
                let changed = probability.to_bits() != out.golden[row].to_bits();
                [changed, logit == f32::INFINITY, logit == f32::NEG_INFINITY].map(u32::from)
            };
            let before = counted(out.answers[row], out.logits[row]);
            let now = counted(self.some.probabilities[at], self.some.logits[at]);
            out.answers[row] = self.some.probabilities[at];
            let Answered { changed, high, low } = &mut out.counted;
            for ((count, now), before) in [changed, high, low].into_iter().zip(now).zip(before) {
                *count = *count + now - before;
            }
        }
    }
}

impl Counts {
    fn add(&self, counted: Answered) {
        // Most tasks add nothing to some of them.
        for (count, more) in
            [(&self.changed, counted.changed), (&self.high, counted.high), (&self.low, counted.low)]
        {
            if more > 0 {
                count.fetch_add(u64::from(more), Relaxed);
            }
        }
    }
}
