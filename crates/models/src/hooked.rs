//! Passes with hooks between layers, and with upsets of what layers compute.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use radhard_data::RowsView;
use radhard_kernels::{Kernels, LANES, Lane, TableRow};
use rayon::prelude::*;

use crate::column::Column;
use crate::hook::{HookCall, HookEvents, Hooks, ROW_DETECTED, ROW_UNRESTORED, Upsets, strike};
use crate::model::Model;
use crate::pass::{Pass, Workspace, later};
use crate::scores::{BLOCK, Scores, ScoresError, TASK, WIDEST_BLOCK, canonical, check, check_shape};
use crate::steps::{Dense, Step, Steps, Through};
use crate::watch::Watch;
use crate::worker::{Evaluation, Worker};

/// What acts in a pass beside the layers.
#[derive(Clone, Copy, Default)]
pub struct Acting<'a> {
    /// What is done to values between layers.
    pub hooks: Option<&'a dyn Hooks>,
    /// What happens to results as they are computed.
    pub upsets: Option<&'a dyn Upsets>,
}

/// What hooks noticed in a pass.
#[derive(Debug, Default)]
pub struct Noted {
    /// All of it.
    pub events: HookEvents,
    /// By row that was evaluated: [`ROW_DETECTED`](crate::ROW_DETECTED) and [`ROW_UNRESTORED`](crate::ROW_UNRESTORED).
    pub rows: Vec<u8>,
}

/// What hooks note of one block.
#[derive(Debug)]
pub(crate) struct BlockNotes {
    rows: [Cell<u8>; WIDEST_BLOCK],
    /// Layer and table row.
    reloaded: RefCell<Vec<(usize, TableRow)>>,
}

impl BlockNotes {
    fn new() -> Self {
        Self { rows: [const { Cell::new(0) }; WIDEST_BLOCK], reloaded: RefCell::default() }
    }

    pub(crate) fn flag(&self, row: usize, flag: u8) {
        let of = &self.rows[row];
        of.set(of.get() | flag);
    }

    pub(crate) fn reloaded(&self, layer: usize, row: TableRow) {
        self.reloaded.borrow_mut().push((layer, row));
    }

    /// Moves what was noted of the block's rows out.
    fn take(&self, rows: &mut [u8]) {
        for (to, from) in rows.iter_mut().zip(&self.rows) {
            *to = from.take();
        }
    }
}

/// What all blocks noted together.
#[derive(Default)]
struct Sum {
    events: HookEvents,
    /// By layer, one bit for each row of its table.
    reloaded: Vec<Vec<u64>>,
}

impl Sum {
    fn add(&mut self, events: HookEvents, notes: &BlockNotes) {
        self.events.add(events);
        for (layer, row) in notes.reloaded.borrow_mut().drain(..) {
            if self.reloaded.len() <= layer {
                self.reloaded.resize_with(layer + 1, Vec::new);
            }
            let (rows, word) = (&mut self.reloaded[layer], row.index() / 64);
            if rows.len() <= word {
                rows.resize(word + 1, 0);
            }
            rows[word] |= 1 << (row.index() % 64);
        }
    }

    /// The events with the bytes that were reloaded: of each table row and of each layer once.
    fn events(self, model: &Model, hooks: Option<&dyn Hooks>) -> HookEvents {
        let Self { mut events, reloaded } = self;
        for site in model.lookups() {
            let rows = reloaded.get(site.layer).map_or(&[][..], Vec::as_slice);
            let count: u64 = rows.iter().map(|word| u64::from(word.count_ones())).sum();
            events.reload_bytes += count * 4 * site.width as u64;
        }
        if let Some(hooks) = hooks {
            let layers = 0..model.graph().layers().len();
            let layers = layers.filter(|&layer| events.reloaded_layers >> layer.min(127) & 1 == 1);
            events.reload_bytes += layers.map(|layer| hooks.clean_bytes(layer)).sum::<u64>();
        }
        events
    }
}

/// Whether the bit of none of a block's rows is set.
fn none_of(bits: &[u16], rows: usize) -> bool {
    let used = |group: usize| ((1u32 << rows.saturating_sub(group * LANES).min(LANES)) - 1) as u16;
    bits.iter().enumerate().all(|(group, bits)| bits & used(group) == 0)
}

/// One of the two things that hooks do to a value.
type Hook = fn(&dyn Hooks, &HookCall<'_>, &mut [Lane]) -> HookEvents;

/// What all blocks of a pass share.
struct Hooked<'a> {
    model: &'a Model,
    pass: Pass<'a>,
    acting: Acting<'a>,
    watch: Watch<'a>,
    /// Layers taken together, where the words of tables are the stored ones.
    steps: Option<Steps<'a>>,
    /// Whether table rows are read by their ids.
    ids: bool,
}

impl<'a> Hooked<'a> {
    fn new(model: &'a Model, pass: Pass<'a>, acting: Acting<'a>, rows: Option<usize>) -> Self {
        let graph = model.graph();
        let watch = Watch::new(&pass, graph, acting, rows);
        let steps = rows.map(|rows| pass.steps(rows, &watch));
        let looks = |layer: usize| graph.layers()[layer].lookup().is_some() && watch.acts(layer);
        let ids = steps.as_ref().is_none_or(|steps| steps.ids || (0..graph.layers().len()).any(looks));
        Self { model, pass, acting, watch, steps, ids }
    }

    /// The logits of one block of the data rows `ids`; `all` are those that it is taken from, for what is read ahead.
    fn block(
        &self,
        (all, block): (&RowsView<'_>, Range<usize>),
        ids: &[u32],
        workspace: &mut Workspace,
        notes: &BlockNotes,
        logits: &mut [f32],
    ) -> Option<HookEvents> {
        let Self { model, pass, .. } = self;
        let rows = all.slice(block.clone());
        let mut events = HookEvents::default();
        if let Some(steps) = &self.steps {
            if !pass.enter((all, block.clone()), self.ids, workspace) {
                return None;
            }
            pass.enter_task(steps, (all, &block), workspace);
            pass.look_up(steps.that_look_up(), (&rows, later(all, &block)), workspace);
            for (at, &(layer, ref step)) in steps.all.iter().enumerate() {
                if let Some(hooks) = self.inside(layer) {
                    self.layer(layer, hooks, (&rows, ids), workspace, notes, &mut events);
                } else if !steps.looks_up(at) {
                    pass.step(step, &rows, workspace);
                }
                let mut whole = step.is_only(layer);
                if let Some((dense, column)) = step.checked() {
                    if self.clears(dense, column, rows.len(), workspace) {
                        continue;
                    }
                    if let Step::Folded(..) = step {
                        self.gather(dense, &rows, workspace);
                    }
                    whole = true;
                }
                if let Step::Through(through @ Through { clean: Some(_), .. }) = step {
                    if none_of(&workspace.open, rows.len()) {
                        continue;
                    }
                    for crossed in &through.crosses {
                        pass.layer(crossed.layer, &rows, workspace);
                    }
                }
                if self.watch.of(layer).seen || !step.bounds() {
                    self.behind((layer, whole), (&rows, ids), workspace, notes, &mut events);
                }
            }
            let (count, nan_rows) = std::mem::take(&mut workspace.nans);
            if count > 0 {
                events.add(HookEvents { detected: count, fallbacks: count, ..HookEvents::default() });
                for row in (0..rows.len()).filter(|row| nan_rows[row / LANES] >> (row % LANES) & 1 == 1) {
                    notes.flag(row, ROW_DETECTED | ROW_UNRESTORED);
                }
            }
        } else {
            pass.begin(&rows, workspace);
            for layer in 0..model.graph().layers().len() {
                if let Some(hooks) = self.inside(layer) {
                    self.layer(layer, hooks, (&rows, ids), workspace, notes, &mut events);
                } else {
                    pass.layer(layer, &rows, workspace);
                }
                self.behind((layer, true), (&rows, ids), workspace, notes, &mut events);
            }
        }
        pass.end(workspace, logits);
        Some(events)
    }

    /// Whether the check column clears all rows of a block, so that the check of the layer need not be made.
    fn clears(&self, dense: &Dense, column: &Column<'_>, rows: usize, workspace: &mut Workspace) -> bool {
        let (kernels, mut suspects) = (self.pass.kernels, [0; WIDEST_BLOCK / LANES]);
        let Workspace { values, checks, .. } = workspace;
        let suspects = &mut suspects[..values.groups()];
        let checks = &mut checks[..suspects.len()];
        column.of_block(kernels, values.get(dense.linear(self.model.graph()).input), checks);
        column.suspects(kernels, checks, values.get(dense.output), suspects);
        none_of(suspects, rows)
    }

    /// Gathers what a folded layer reads.
    fn gather(&self, dense: &Dense, rows: &RowsView<'_>, workspace: &mut Workspace) {
        let graph = self.model.graph();
        let input = dense.linear(graph).input;
        let gathers = (0..graph.layers().len()).find(|&at| graph.layers()[at].gathered() == Some(input));
        if let Some(layer) = gathers {
            if !self.ids {
                self.pass.ids(rows, workspace);
            }
            self.pass.layer(layer, rows, workspace);
        }
    }

    /// The hooks that act on products inside a layer.
    fn inside(&self, layer: usize) -> Option<&'a dyn Hooks> {
        self.acting.hooks.filter(|_| self.watch.of(layer).inside)
    }

    /// Runs a layer and shows hooks the products inside it. What is computed there again is no result of the layer, and is not upset.
    fn layer(
        &self,
        layer: usize,
        hooks: &dyn Hooks,
        (rows, ids): (&RowsView<'_>, &[u32]),
        workspace: &mut Workspace,
        notes: &BlockNotes,
        events: &mut HookEvents,
    ) {
        let (pass, graph) = (&self.pass, self.model.graph());
        let Workspace { ids: table_rows, values, .. } = workspace;
        let groups = values.groups();
        let scope = pass.scope(layer, rows, table_rows);
        graph.layers()[layer].forward_shown(&scope, values, &mut |product, input, results| {
            let call = HookCall {
                layer,
                rows: rows.len(),
                kernels: pass.kernels,
                input,
                second: &[],
                ids: table_rows,
                bags: rows.bags,
                weights: pass.weights,
                tables: graph.tables(),
                upsets: None,
                data_rows: ids,
                groups,
                notes,
            };
            events.add(hooks.inside(&call, product, results));
        });
    }

    /// What happens behind a layer; `whole` where what it reads is there.
    fn behind(
        &self,
        (layer, whole): (usize, bool),
        (rows, ids): (&RowsView<'_>, &[u32]),
        workspace: &mut Workspace,
        notes: &BlockNotes,
        events: &mut HookEvents,
    ) {
        let Self { model, pass, acting, .. } = self;
        let graph = model.graph();
        let (ties, groups) = (&graph.ties()[layer], workspace.values.groups());
        let result = ties.writes.last().copied();
        if let (Some(upsets), Some(slot)) = (acting.upsets.filter(|upsets| upsets.acts(layer)), result) {
            strike(upsets, (layer, 0), (ids, groups), workspace.values.get_mut(slot));
        }
        let Some(hooks) = acting.hooks else { return };
        let mut call = |workspace: &mut Workspace, slot, hook: Hook| {
            let mut noticed = HookEvents::default();
            let Workspace { ids: table_rows, values, .. } = workspace;
            values.write(slot, |values, out| {
                let call = HookCall {
                    layer,
                    rows: rows.len(),
                    kernels: pass.kernels,
                    input: ties.reads.first().filter(|_| whole).map_or(&[], |&read| values.get(read)),
                    second: ties.reads.get(1).filter(|_| whole).map_or(&[], |&read| values.get(read)),
                    ids: table_rows,
                    bags: rows.bags,
                    weights: pass.weights,
                    tables: graph.tables(),
                    upsets: acting.upsets,
                    data_rows: ids,
                    groups,
                    notes,
                };
                noticed = hook(hooks, &call, out);
            });
            events.add(noticed);
            noticed
        };
        let gathered = graph.layers()[layer].gathered().filter(|_| self.watch.of(layer).reads);
        if let Some(slot) = gathered
            && call(workspace, slot, |hooks, call, words| hooks.read(call, words)) != HookEvents::default()
        {
            pass.again(layer, rows, workspace);
        }
        if let Some(slot) = result.filter(|_| hooks.acts(layer) && self.watch.acts(layer)) {
            call(workspace, slot, |hooks, call, values| hooks.behind(call, values));
        }
    }
}

impl Model {
    /// Evaluates rows as [`scores`](Self::scores) does, with hooks between layers; gives what they noticed.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn scores_hooked(
        &self,
        rows: &RowsView<'_>,
        hooks: &dyn Hooks,
        out: &mut Scores,
    ) -> Result<HookEvents, ScoresError> {
        let mut noted = Noted::default();
        self.scores_under(rows, Acting { hooks: Some(hooks), upsets: None }, out, &mut noted)?;
        Ok(noted.events)
    }

    /// Evaluates rows as [`scores`](Self::scores) does, with what acts beside the layers.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn scores_under(
        &self,
        rows: &RowsView<'_>,
        acting: Acting<'_>,
        out: &mut Scores,
        noted: &mut Noted,
    ) -> Result<(), ScoresError> {
        check_shape(rows, self.config())?;
        let graph = self.graph();
        let pass = Pass::new(graph, self.parameters(), Kernels::detected());
        let hooked = Hooked::new(self, pass, acting, Some(rows.len()));
        out.resize(rows.len());
        noted.rows.clear();
        noted.rows.resize(rows.len(), 0);
        let block_rows = graph.block_rows_of(rows.len());
        let sum = Mutex::new(Sum::default());
        let outside = AtomicBool::new(false);
        let tasks = out.logits.par_chunks_mut(TASK).zip(out.probabilities.par_chunks_mut(TASK));
        tasks.zip(noted.rows.par_chunks_mut(TASK)).enumerate().for_each_init(
            || (Workspace::new(graph, block_rows), BlockNotes::new(), Vec::new()),
            |(workspace, notes, ids), (task, ((logits, probabilities), flags))| {
                let blocks = logits.chunks_mut(block_rows).zip(flags.chunks_mut(block_rows)).enumerate();
                for (block, (logits, flags)) in blocks {
                    let first = task * TASK + block * block_rows;
                    let block = first..first + logits.len();
                    ids.clear();
                    ids.extend(block.clone().map(|row| row as u32));
                    let Some(events) = hooked.block((rows, block), ids, workspace, notes, logits) else {
                        outside.store(true, Ordering::Relaxed);
                        return;
                    };
                    if events != HookEvents::default() {
                        sum.lock().unwrap_or_else(PoisonError::into_inner).add(events, notes);
                        notes.take(flags);
                    }
                }
                hooked.pass.answers(logits, probabilities);
                canonical(hooked.pass.kernels, [logits, probabilities]);
            },
        );
        if outside.into_inner() {
            return check(rows, self.config());
        }
        noted.events = sum.into_inner().unwrap_or_else(PoisonError::into_inner).events(self, acting.hooks);
        Ok(())
    }

    /// Evaluates some rows as [`scores_of`](Self::scores_of) does, with what acts beside the layers.
    ///
    /// # Numerics
    /// Bit for bit what [`scores_under`](Self::scores_under) gives with the overlay written into the model: what acts on a row
    /// depends on the row and the parameters alone.
    ///
    /// # Panics
    /// As [`scores_of`](Self::scores_of).
    pub fn scores_of_under(
        &self,
        evaluation: &Evaluation<'_>,
        selected: &[u32],
        acting: Acting<'_>,
        worker: &mut Worker,
        (out, noted): (&mut Scores, &mut Noted),
    ) {
        out.logits.resize(selected.len(), 0.0);
        out.probabilities.resize(selected.len(), 0.0);
        noted.rows.clear();
        noted.rows.resize(selected.len(), 0);
        let mut sum = Sum::default();
        if !selected.is_empty() {
            let notes = BlockNotes::new();
            let pass = Pass::under(self.graph(), self.parameters(), evaluation.overlay, evaluation.kernels);
            let stored = evaluation.overlay.is_empty().then_some(selected.len());
            let hooked = Hooked::new(self, pass, acting, stored);
            let outs = out.logits.chunks_mut(BLOCK).zip(out.probabilities.chunks_mut(BLOCK));
            let outs = outs.zip(noted.rows.chunks_mut(BLOCK));
            for (selected, ((logits, probabilities), flags)) in selected.chunks(BLOCK).zip(outs) {
                let workspace = &mut worker.workspaces[usize::from(selected.len() <= LANES)];
                let rows = worker.staged.gather(&evaluation.rows, selected);
                let events = hooked.block((&rows, 0..selected.len()), selected, workspace, &notes, logits);
                let events = events.expect("indices lie in their fields");
                if events != HookEvents::default() {
                    sum.add(events, &notes);
                    notes.take(flags);
                }
                hooked.pass.answers(logits, probabilities);
                canonical(hooked.pass.kernels, [logits, probabilities]);
            }
        }
        noted.events = sum.events(self, acting.hooks);
    }
}
