//! Several models that differ in few words outside the tables, evaluated in one pass over the rows.
//!
//! Block by block, the golden values that any of them goes on from are brought in once: loaded where they are kept, else worked out.
//! Single outputs of a linear layer that changes reach are stacked into one layer, since they read the same golden input. Then each
//! change in turn works out what it reaches, gives its answers, and leaves the golden values as they were. Where the first layer that a
//! change runs as a whole reads golden features up to the first changed one, its chains go on from golden sums; changes come in
//! the order of that feature, so that these sums are worked out once.

use std::collections::BTreeSet;
use std::ops::Range;

use radhard_data::RowsView;
use radhard_kernels::plain::CHAIN;
use radhard_kernels::{Answers, Ending, GlobalId, Kernels, LANES, Lane};

use crate::cost::pass_cost;
use crate::graph::{Graph, Slot};
use crate::kept::Kept;
use crate::layers::{Block, Scope, Values, Weights};
use crate::model::Model;
use crate::overlay::Overlay;
use crate::pass::{numeric_values, table_rows};
use crate::reach::{Change, Golden, Redo};
use crate::scores::BLOCK;
use crate::units::{Dense, Derived, Finish, Unit, answer, terms};

/// Changes of one model, ready to be evaluated together.
pub struct Together<'a> {
    graph: &'a Graph,
    kernels: Kernels,
    kept: &'a Kept,
    units: Vec<Unit>,
    golden: Golden,
    weights: Weights<'a>,
    /// What golden units derive.
    derived: Vec<Derived<'a>>,
    stacks: Vec<Stack>,
    changes: Vec<Ready<'a>>,
    /// The order in which they are evaluated.
    order: Vec<usize>,
    /// The values whose sum is the logit.
    terms: Vec<Slot>,
    /// In parts of a full pass.
    cost: f64,
}

/// Outputs of one dense unit, of any number of changes, as one layer.
#[derive(Default)]
struct Stack {
    unit: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    alpha: Vec<f32>,
    beta: Vec<f32>,
    rectify: bool,
    /// The place of its first output among all stacked ones, and how many there are.
    first: usize,
    outputs: usize,
}

impl Stack {
    fn push(&mut self, row: &[f32], finish: &Finish<'_>, column: usize) -> usize {
        let ending = finish.ending();
        self.weights.extend_from_slice(row);
        self.bias.extend(ending.bias.get(column));
        if let Some((alpha, beta)) = ending.scale {
            self.alpha.push(alpha[column]);
            self.beta.push(beta[column]);
        }
        self.rectify = ending.rectify;
        self.outputs += 1;
        self.outputs - 1
    }

    fn ending(&self) -> Ending<'_> {
        let scale = (!self.alpha.is_empty()).then_some((self.alpha.as_slice(), self.beta.as_slice()));
        Ending { bias: &self.bias, scale, rectify: self.rectify }
    }
}

/// One change.
struct Ready<'a> {
    weights: Weights<'a>,
    steps: Vec<Step<'a>>,
    /// A dense unit and the input from which on its chains are not golden.
    resumes: Option<(usize, usize)>,
    stays: Option<Stays>,
}

/// Columns of one output that are read where they are stacked, so that they need not take the place of golden ones.
#[derive(Clone, Copy)]
struct Stays {
    step: usize,
    /// Whose output it is.
    slot: Slot,
    /// The stack, and the place in it.
    place: (usize, usize),
}

/// Golden chains of a dense unit.
struct Sums {
    /// The unit, and the inputs that the chains have taken.
    at: Option<(usize, usize)>,
    now: Block,
    next: Block,
}

enum Step<'a> {
    /// Stacked outputs take the places of golden ones: stack, place in it, and column.
    Columns {
        slot: Slot,
        places: Vec<(usize, usize, usize)>,
    },
    Dense {
        unit: usize,
        finish: Finish<'a>,
        /// Whether its chains go on from golden ones.
        resumes: bool,
        /// A dense unit to one output that alone reads this one's, which are not written then.
        then: Option<(usize, Finish<'a>)>,
    },
    Layer {
        layer: usize,
        derived: Vec<f32>,
    },
}

/// The buffers of one thread.
pub struct Room {
    /// Of whole blocks, and of those at the end.
    blocks: [Buffers; 2],
}

struct Buffers {
    rows: usize,
    ids: Vec<GlobalId>,
    values: Values,
    /// What stands in for values that a change writes.
    spare: Values,
    stacked: Block,
    sums: Sums,
}

impl std::fmt::Debug for Together<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Together").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl<'a> Together<'a> {
    /// Prepares the changes of these overlays outside the tables.
    pub fn new(
        model: &'a Model,
        kept: &'a Kept,
        kernels: Kernels,
        overlays: impl IntoIterator<Item = &'a Overlay>,
    ) -> Self {
        let graph = model.graph();
        let units = Unit::all(graph);
        let weights = Weights::of(model.parameters());
        let mut need = BTreeSet::new();
        let mut stacks: Vec<Stack> = Vec::new();
        let (mut changes, mut cost) = (Vec::new(), 0.0);
        for overlay in overlays {
            let settled = kept.settled_under(model, overlay);
            let change = Change::of(graph, &units, &settled, overlay.dense_elements());
            need.extend(&change.golden);
            cost += change.cost;
            let weights = Weights::dense_under(model.parameters(), overlay);
            let resumes = change.redo.iter().find_map(|redo| match redo {
                Redo::Dense { unit, from } if *from > 0 => {
                    let linear = dense(&units, *unit).linear(graph);
                    let own = overlay.dense(linear.weight).is_some();
                    (!own && linear.fields.is_none() && linear.inputs <= CHAIN).then_some((*unit, *from))
                }
                _ => None,
            });
            let steps = change.redo.iter().map(|redo| match redo {
                Redo::Columns { unit, columns } => {
                    columns_of(graph, &units, weights, *unit, columns, &mut stacks)
                }
                Redo::Dense { unit, .. } => {
                    let finish = dense(&units, *unit).finish(graph, weights);
                    let resumes = resumes.is_some_and(|of| of.0 == *unit);
                    Step::Dense { unit: *unit, finish, resumes, then: None }
                }
                Redo::Layer(layer) => {
                    Step::Layer { layer: *layer, derived: graph.layers()[*layer].derive(weights) }
                }
            });
            let mut steps: Vec<Step<'_>> = steps.collect();
            join(graph, &units, &mut steps);
            let stays = stays(graph, &units, &steps, resumes);
            changes.push(Ready { weights, steps, resumes, stays });
        }
        let mut order: Vec<usize> = (0..changes.len()).collect();
        order.sort_by_key(|change| changes[*change].resumes);
        let mut first = 0;
        for stack in &mut stacks {
            stack.first = first;
            first += stack.outputs;
        }
        let golden = Golden::of(graph, &units, &kept.slots_of(graph), &need);
        cost = (cost + golden.cost) / pass_cost(graph);
        let derived = units.iter().map(|unit| unit.derived(graph, weights)).collect();
        Self {
            graph,
            kernels,
            kept,
            units,
            golden,
            weights,
            derived,
            stacks,
            changes,
            order,
            terms: terms(graph),
            cost,
        }
    }

    /// What all changes cost together, in parts of one full pass.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// Buffers for a thread.
    pub fn room(&self) -> Room {
        let stacked: usize = self.stacks.iter().map(|stack| stack.outputs).sum();
        let chains = self.changes.iter().filter_map(|change| change.resumes);
        let chains = chains.map(|(unit, _)| dense(&self.units, unit).linear(self.graph).outputs).max();
        let chains = chains.unwrap_or(0);
        let buffers = |rows: usize| {
            let groups = rows / LANES;
            let sums = || Block::zeroed(chains * groups);
            Buffers {
                rows,
                ids: vec![GlobalId::FIRST; self.graph.offsets().len() * rows],
                values: Values::new(self.graph.widths(), groups),
                spare: Values::new(self.graph.widths(), groups),
                stacked: Block::zeroed(stacked * groups),
                sums: Sums { at: None, now: sums(), next: sums() },
            }
        };
        Room { blocks: [self.graph.block_rows_of(self.kept.rows()), BLOCK].map(buffers) }
    }

    /// Evaluates a range of rows that begins at a multiple of [`BLOCK`]; `out` has a place for each change, with the golden answers of
    /// these rows where changes are counted.
    ///
    /// # Numerics
    /// Bit for bit what a pass over all rows gives, with the tables as they are stored: see docs/exactness.md.
    ///
    /// # Panics
    /// If the kept values are of other rows, or places are missing.
    pub fn run(&self, rows: &RowsView<'_>, range: Range<usize>, room: &mut Room, out: &mut [Answers<'_>]) {
        assert_eq!(self.kept.rows(), rows.len(), "values kept of other rows");
        assert_eq!(out.len(), self.changes.len(), "places of changes");
        let mut first = range.start;
        while first < range.end {
            let whole = range.end - first >= room.blocks[0].rows;
            let buffers = &mut room.blocks[usize::from(!whole)];
            let end = range.end.min(first + buffers.rows);
            self.block(&rows.slice(first..end), first, buffers, (first - range.start, out));
            first = end;
        }
    }

    fn block(
        &self,
        rows: &RowsView<'_>,
        first: usize,
        buffers: &mut Buffers,
        (start, out): (usize, &mut [Answers<'_>]),
    ) {
        let Buffers { ids, values, spare, stacked, sums, .. } = buffers;
        self.bring(rows, first, ids, values);
        let groups = values.groups();
        let mut rest = &mut stacked[..];
        for stack in &self.stacks {
            let (own, others) = rest.split_at_mut(stack.outputs * groups);
            rest = others;
            let unit = dense(&self.units, stack.unit);
            let x = values.get(unit.linear(self.graph).input);
            unit.run(self.graph, self.kernels, (&stack.weights, stack.ending()), x, own);
        }
        sums.at = None;
        for &number in &self.order {
            let (change, out) = (&self.changes[number], &mut out[number]);
            if let Some((unit, from)) = change.resumes {
                self.go_on(unit, from, values, sums);
            }
            let stays = |at: usize| change.stays.is_some_and(|stays| stays.step == at);
            let stay = change.stays.map(|Stays { slot, place: (stack, place), .. }| {
                let at = (self.stacks[stack].first + place) * groups;
                (slot, at..at + groups)
            });
            for (at, step) in change.steps.iter().enumerate() {
                match step {
                    Step::Columns { .. } if stays(at) => {}
                    Step::Columns { .. } => self.exchange(step, values, spare, stacked),
                    Step::Dense { unit, finish, resumes, then } => {
                        self.exchange(step, values, spare, stacked);
                        let output = self.output(*unit, then.as_ref());
                        let unit = dense(&self.units, *unit);
                        let linear = unit.linear(self.graph);
                        let layer = (change.weights.f32s(linear.weight), finish.ending());
                        values.write(output, |values, out| {
                            let x = values.get(linear.input);
                            let Some((_, from)) = change.resumes.filter(|_| *resumes) else {
                                return unit.run(self.graph, self.kernels, layer, x, out);
                            };
                            let first = stay.as_ref().filter(|(slot, _)| *slot == linear.input);
                            let first = first.map_or(&[][..], |(_, at)| &stacked[at.clone()]);
                            let (x, shape) = ((first, x), (linear.inputs, from));
                            let sums = &sums.now[..linear.outputs * groups];
                            if let Some((next, finish)) = then {
                                let weight = dense(&self.units, *next).linear(self.graph).weight;
                                let next = (change.weights.f32s(weight), finish.ending());
                                self.kernels.dense_from_to_one([layer, next], x, shape, sums, out);
                            } else {
                                self.kernels.dense_from(layer.0, layer.1, x, shape, sums, out);
                            }
                        });
                    }
                    Step::Layer { layer, derived } => {
                        self.exchange(step, values, spare, stacked);
                        let scope = self.scope(change.weights, derived, rows, ids);
                        self.graph.layers()[*layer].forward(&scope, values);
                    }
                }
            }
            let own = start..start + rows.len();
            let mut answers = Answers {
                golden: if out.golden.is_empty() { &[] } else { &out.golden[own.clone()] },
                answers: &mut out.answers[own.clone()],
                logits: if out.logits.is_empty() { &mut [] } else { &mut out.logits[own] },
                counted: out.counted,
            };
            let term = stay.map(|(slot, at)| (slot, &stacked[at]));
            answer(self.graph, self.kernels, (&self.terms, term), values, &mut answers);
            out.counted = answers.counted;
            for (at, step) in change.steps.iter().enumerate().rev() {
                if !stays(at) {
                    self.exchange(step, values, spare, stacked);
                }
            }
        }
    }

    /// Brings golden chains to an input.
    fn go_on(&self, unit: usize, from: usize, values: &Values, sums: &mut Sums) {
        let linear = dense(&self.units, unit).linear(self.graph);
        let len = linear.outputs * values.groups();
        let taken = match sums.at {
            Some((before, taken)) if before == unit => taken,
            _ => {
                sums.now[..len].fill([0.0; LANES]);
                0
            }
        };
        sums.at = Some((unit, from));
        if taken < from {
            let Sums { now, next, .. } = sums;
            let (weights, x) = (self.weights.f32s(linear.weight), values.get(linear.input));
            self.kernels.linear_sums(weights, x, linear.inputs, taken..from, &now[..len], &mut next[..len]);
            std::mem::swap(now, next);
        }
    }

    /// Brings the golden values of a block in that changes go on from.
    fn bring(&self, rows: &RowsView<'_>, first: usize, ids: &mut [GlobalId], values: &mut Values) {
        self.kept.load(first, &self.golden.load, values, self.graph.widths());
        if self.golden.ids && rows.bags.is_none() {
            table_rows(rows.indices, self.graph.offsets(), ids);
        }
        if let Some(slot) = self.graph.numeric() {
            numeric_values(rows.numeric, self.graph.config().numeric, values.get_mut(slot));
        }
        for &at in &self.golden.units {
            let own = (self.kernels, self.weights, &self.derived[at]);
            self.units[at].forward(self.graph, own, (rows, ids), values);
        }
    }

    fn scope<'s>(
        &'s self,
        weights: Weights<'s>,
        derived: &'s [f32],
        rows: &RowsView<'s>,
        ids: &'s [GlobalId],
    ) -> Scope<'s> {
        Scope { kernels: self.kernels, weights, derived, ids, bags: rows.bags, training: None }
    }

    /// Where what a dense step gives goes, of one unit or of two.
    fn output(&self, unit: usize, then: Option<&(usize, Finish<'_>)>) -> Slot {
        dense(&self.units, then.map_or(unit, |then| then.0)).output
    }

    /// Puts what a step writes in the places of golden values, or these back.
    fn exchange(&self, step: &Step<'_>, values: &mut Values, spare: &mut Values, stacked: &mut [Lane]) {
        match step {
            Step::Columns { slot, places } => {
                let groups = values.groups();
                let slot = values.get_mut(*slot);
                for &(stack, place, column) in places {
                    let at = (self.stacks[stack].first + place) * groups;
                    slot[column * groups..(column + 1) * groups]
                        .swap_with_slice(&mut stacked[at..at + groups]);
                }
            }
            Step::Dense { unit, then, .. } => values.exchange(self.output(*unit, then.as_ref()), spare),
            Step::Layer { layer, .. } => {
                for slot in &self.graph.ties()[*layer].writes {
                    values.exchange(*slot, spare);
                }
            }
        }
    }

    /// The golden values of rows, block after block.
    pub(crate) fn golden(
        &self,
        rows: &RowsView<'_>,
        first: usize,
        room: &mut Room,
        take: impl FnOnce(&Values),
    ) {
        let Buffers { ids, values, .. } = &mut room.blocks[1];
        self.bring(rows, first, ids, values);
        take(values);
    }

    /// Nothing changed, and these golden values are worked out.
    pub(crate) fn nothing(model: &'a Model, kept: &'a Kept, kernels: Kernels, need: &BTreeSet<Slot>) -> Self {
        let mut together = Self::new(model, kept, kernels, []);
        together.golden = Golden::of(together.graph, &together.units, &kept.slots_of(together.graph), need);
        together
    }
}

/// A unit that is known to be dense.
fn dense(units: &[Unit], at: usize) -> &Dense {
    match &units[at] {
        Unit::Dense(dense) => dense,
        Unit::Layer(_) => unreachable!("only dense units have columns"),
    }
}

/// Joins a dense step whose chains go on from golden ones with that to one output which alone reads what it gives.
fn join(graph: &Graph, units: &[Unit], steps: &mut Vec<Step<'_>>) {
    let Some(at) = steps.iter().position(|step| matches!(step, Step::Dense { resumes: true, .. })) else {
        return;
    };
    let Step::Dense { unit, .. } = steps[at] else { return };
    let output = dense(units, unit).output;
    let mut readers = (0..steps.len()).filter(|&at| reads(graph, units, &steps[at], output));
    let (Some(next), None) = (readers.next(), readers.next()) else { return };
    let Step::Dense { unit, .. } = steps[next] else { return };
    let linear = dense(units, unit).linear(graph);
    let one = linear.outputs == 1 && linear.fields.is_none() && linear.inputs <= CHAIN;
    if !one || terms(graph).contains(&output) {
        return;
    }
    if let Step::Dense { finish, .. } = steps.remove(next)
        && let Step::Dense { then, .. } = &mut steps[at]
    {
        *then = Some((unit, finish));
    }
}

/// Whether a step reads what another of its change gives as this value.
fn reads(graph: &Graph, units: &[Unit], step: &Step<'_>, slot: Slot) -> bool {
    match step {
        // Of golden values only.
        Step::Columns { .. } => false,
        Step::Dense { unit, .. } => dense(units, *unit).linear(graph).input == slot,
        Step::Layer { layer, .. } => graph.ties()[*layer].reads.contains(&slot),
    }
}

/// The columns that stay where they are stacked: one output that chains begin with which go on from golden ones, or that is all of a
/// term of the logit, while nothing else reads it.
fn stays(
    graph: &Graph,
    units: &[Unit],
    steps: &[Step<'_>],
    resumes: Option<(usize, usize)>,
) -> Option<Stays> {
    let resumed = resumes.map(|(unit, from)| (dense(units, unit).linear(graph).input, from));
    let terms = terms(graph);
    steps.iter().enumerate().find_map(|(at, step)| {
        let Step::Columns { slot, places } = step else { return None };
        let [(stack, place, column)] = places[..] else { return None };
        let readers = steps.iter().filter(|step| reads(graph, units, step, *slot));
        let stays = match (readers.count(), terms.contains(slot)) {
            (0, true) => graph.widths()[*slot] == 1,
            (1, false) => resumed == Some((*slot, column)),
            _ => false,
        };
        stays.then_some(Stays { step: at, slot: *slot, place: (stack, place) })
    })
}

/// Puts the changed outputs of a unit on its stack.
fn columns_of<'a>(
    graph: &Graph,
    units: &[Unit],
    weights: Weights<'a>,
    unit: usize,
    columns: &[usize],
    stacks: &mut Vec<Stack>,
) -> Step<'a> {
    let dense = dense(units, unit);
    let linear = dense.linear(graph);
    let at = stacks.iter().position(|stack| stack.unit == unit).unwrap_or_else(|| {
        stacks.push(Stack { unit, ..Stack::default() });
        stacks.len() - 1
    });
    let finish = dense.finish(graph, weights);
    let matrix = weights.f32s(linear.weight);
    let place = |&column: &usize| {
        let row = &matrix[column * linear.inputs..(column + 1) * linear.inputs];
        (at, stacks[at].push(row, &finish, column), column)
    };
    Step::Columns { slot: dense.output, places: columns.iter().map(place).collect() }
}
