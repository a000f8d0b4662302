//! The steps of a full pass: layers that are taken together, where nobody asks for what lies between them.
//!
//! The bits are those of the layers one by one. A linear layer on the rows of all fields becomes a sum over fields, as soon
//! as each table row has been multiplied by its field's weights: the numeric contract defines the layer that way.

use radhard_kernels::{Bounds, CROSSES, Ending, Finish, Kernels, LANES, Order, STAGES, Table};
use radhard_memory::Buffer;

use crate::clean_sum::CleanSum;
use crate::column::{Column, Source};
use crate::folded::{FEWEST, Folded, fold};
use crate::graph::{Graph, ParameterId, Slot};
use crate::hook::Checksum;
use crate::layers::batch_norm::BatchNorm;
use crate::layers::linear::Linear;
use crate::layers::rectifier::Rectifier;
use crate::layers::split_linear::LinearHead;
use crate::layers::{Known, Weights};
use crate::looked_up::{LookedUp, Pair, look_up, rows_of, straight};
use crate::pair_scores::PairScores;
use crate::table::TableId;
use crate::watch::Watch;

/// What is done at once.
pub(crate) enum Step<'h> {
    /// One layer.
    Layer(usize),
    /// First-order weights, looked up and summed.
    FirstOrder(LookedUp),
    /// The second-order term, from the rows of a table.
    Factorisation(LookedUp),
    /// The rows of a table themselves.
    Rows(LookedUp),
    /// The product of the rows of two fields, which is what attention over them gives while its one score is finite.
    Pair(Pair),
    /// Attention, some of whose scores are known.
    Attention(usize, PairScores),
    /// A linear layer and what follows it; with what its outputs are held against, where they are checked.
    Dense(Dense, Option<Column<'h>>),
    /// The same, as a sum over the fields of table rows that were multiplied before.
    Folded(Dense, Folded<'h>),
    /// What follows a linear layer that is looked at, from its result on.
    Rest(Dense, Slot),
    /// A linear layer to one value, or the head of one, on what cross layers give.
    Through(Through),
}

impl<'h> Step<'h> {
    /// Where the result of a step that is no single layer goes.
    pub(crate) fn output(&self) -> Slot {
        match self {
            Self::FirstOrder(looked_up) | Self::Factorisation(looked_up) | Self::Rows(looked_up) => {
                looked_up.output
            }
            Self::Pair(pair) => pair.rows.output,
            Self::Dense(dense, _) | Self::Folded(dense, _) | Self::Rest(dense, _) => dense.output,
            Self::Through(through) => through.output,
            Self::Layer(_) | Self::Attention(..) => unreachable!("a layer writes where it is told"),
        }
    }

    /// Whether it is this layer and no other, and reads what the layer reads.
    pub(crate) fn is_only(&self, layer: usize) -> bool {
        match self {
            Self::Dense(dense, _) => dense.layer == layer,
            Self::Folded(..) | Self::Rest(..) => false,
            _ => true,
        }
    }

    /// What clears rows of a layer that is checked.
    pub(crate) fn checked(&self) -> Option<(&Dense, &Column<'h>)> {
        match self {
            Self::Folded(dense, folded) => Some((dense, folded.column.as_ref()?)),
            Self::Dense(dense, column) => Some((dense, column.as_ref()?)),
            _ => None,
        }
    }

    /// Whether it keeps values within the bounds of the layers that it takes together.
    pub(crate) fn bounds(&self) -> bool {
        matches!(self, Self::Dense(..) | Self::Folded(..) | Self::Rest(..))
    }
}

/// A linear layer and what follows it.
pub(crate) struct Dense {
    pub(crate) layer: usize,
    /// The last layer that it takes together.
    last: usize,
    norm: Option<usize>,
    rectify: bool,
    /// Bounds behind the linear layer, its norm, its rectifier and its dropout.
    within: [Option<Bounds>; STAGES],
    pub(crate) output: Slot,
}

/// A linear layer to one value, without bias, on what cross layers make of `first`.
pub(crate) struct Through {
    pub(crate) first: Slot,
    pub(crate) crosses: Vec<Crossed>,
    pub(crate) weight: ParameterId,
    pub(crate) inputs: usize,
    pub(crate) sums: ThroughSums,
    pub(crate) output: Slot,
    /// What it is held against.
    pub(crate) clean: Option<CleanSum>,
    /// Checksums of a folded layer on the same rows, whose check values are worked out beside it; none where it is empty.
    pub(crate) beside: Vec<f32>,
}

/// How a layer adds its terms.
pub(crate) enum ThroughSums {
    /// In chains.
    Chains(Order),
    /// As a sum over so many fields.
    Fields(usize),
}

/// A cross layer that is read through.
pub(crate) struct Crossed {
    pub(crate) layer: usize,
    /// Its factor of each row.
    pub(crate) factor: Slot,
    /// The numbers that it adds.
    pub(crate) numbers: ParameterId,
}

impl Dense {
    pub(crate) fn linear<'g>(&self, graph: &'g Graph) -> &'g Linear {
        match graph.layers()[self.layer].known() {
            Known::Linear(linear) => linear,
            _ => unreachable!("a dense step begins with a linear layer"),
        }
    }

    /// What follows at once, and what is left for [`Kernels::finish`]: from the first bounds on.
    pub(crate) fn ending<'a>(
        &self,
        bias: &'a [f32],
        derived: &'a [Vec<f32>],
    ) -> (Ending<'a>, Option<Finish<'a>>) {
        let scale = self.scale(derived);
        let (rectify, within) = (self.rectify, self.within);
        let Some(first) = within.iter().position(Option::is_some) else {
            return (Ending { bias, scale, rectify }, None);
        };
        let now = Ending { bias, scale: scale.filter(|_| first > 0), rectify: rectify && first > 1 };
        let later = Ending { bias: &[], scale: scale.filter(|_| first == 0), rectify: rectify && first < 2 };
        (now, Some(Finish { ending: later, within }))
    }

    /// All of it for [`Kernels::finish`], behind a bias.
    pub(crate) fn finish<'a>(&self, derived: &'a [Vec<f32>]) -> Finish<'a> {
        let ending = Ending { bias: &[], scale: self.scale(derived), rectify: self.rectify };
        Finish { ending, within: self.within }
    }

    /// α and β of the norm.
    fn scale<'a>(&self, derived: &'a [Vec<f32>]) -> Option<(&'a [f32], &'a [f32])> {
        self.norm.map(|norm| derived[norm].split_at(derived[norm].len() / 2))
    }

    /// Begins at a layer with the value that it goes on with.
    fn at(layer: usize, output: Slot) -> Self {
        Self { layer, last: layer, norm: None, rectify: false, within: [None; STAGES], output }
    }

    /// Takes a layer along that only goes on with its result, if it can.
    fn take(&mut self, graph: &Graph, next: usize, watch: &Watch<'_>) -> bool {
        let stage = match graph.layers()[next].known() {
            Known::BatchNorm(norm) if self.norm.is_none() && !self.rectify => {
                (self.norm, self.output) = (Some(next), norm.output);
                1
            }
            Known::Rectifier(rectifier) if !self.rectify => {
                (self.rectify, self.output) = (true, rectifier.output);
                2
            }
            Known::Dropout(dropout) => {
                self.output = dropout.output;
                3
            }
            _ => return false,
        };
        (self.last, self.within[stage]) = (next, watch.of(next).bounds);
        true
    }

    /// Takes the layers behind it along that only go on with its result.
    fn follow(mut self, graph: &Graph, taken: &mut [bool], watch: &Watch<'_>) -> Self {
        // Behind the bounds of a dropout there is no place for more.
        while !watch.of(self.last).seen && self.within[STAGES - 1].is_none() {
            let Some(next) = only_reader(graph, self.output) else { break };
            if !self.take(graph, next, watch) {
                break;
            }
            taken[next] = true;
        }
        self
    }
}

/// The layer that reads a value, where it is one.
fn only_reader(graph: &Graph, slot: Slot) -> Option<usize> {
    let mut readers = (0..graph.layers().len()).filter(|&at| graph.ties()[at].reads.contains(&slot));
    readers.next().filter(|_| readers.next().is_none())
}

/// The steps of a pass over many rows.
pub(crate) struct Steps<'g> {
    graph: &'g Graph,
    /// With the layer that each ends at.
    pub(crate) all: Vec<(usize, Step<'g>)>,
    /// Steps that only look up and are taken at once, of each kind the first.
    looked_up: [Option<usize>; 5],
    /// Whether a step reads the ids of table rows.
    pub(crate) ids: bool,
}

impl<'g> Steps<'g> {
    /// The steps for `rows` data rows, with the products of table rows where they pay. Layers that are seen end their step, and
    /// are read by others as they are seen; those that are held have what they read, or a check column.
    pub(crate) fn new(
        graph: &'g Graph,
        weights: Weights<'_>,
        kernels: Kernels,
        rows: usize,
        watch: &Watch<'g>,
    ) -> Self {
        let held = |at| watch.held(at);
        let mut taken = vec![false; graph.layers().len()];
        let mut steps = Vec::new();
        for at in 0..taken.len() {
            if taken[at] {
                continue;
            }
            if let Some(through) = through(graph, weights, at, watch) {
                steps.push((at, Step::Through(through)));
                continue;
            }
            let step = match graph.layers()[at].known() {
                Known::Linear(linear) => {
                    let mut dense = Dense::at(at, linear.output);
                    dense.within[0] = watch.of(at).bounds;
                    let dense = dense.follow(graph, &mut taken, watch);
                    let checksum = watch.of(at).checksum;
                    let folds = straight(graph, linear.input, watch) && (!held(at) || checksum.is_some());
                    let beside = beside(graph, weights, &steps);
                    let from = match beside {
                        _ if is_gathered(graph, linear.input, &steps) => Source::Block,
                        Some(_) => Source::Beside,
                        None => Source::Table,
                    };
                    let folded = checksum.map(|checksum| (checksum, from));
                    let joined = joined(graph, weights, linear, &steps);
                    let fold = || fold(graph, weights, kernels, (linear, folded, beside, joined), rows);
                    if let Some(folded) = folds.then(fold).flatten() {
                        Step::Folded(dense, folded)
                    } else {
                        Step::Dense(dense, checksum.and_then(|of| beside_rows(weights, linear, of)))
                    }
                }
                Known::BatchNorm(BatchNorm { input, .. }) | Known::Rectifier(Rectifier { input, .. })
                    if !watch.of(at).seen && only_reader(graph, *input) == Some(at) =>
                {
                    let mut rest = Dense::at(at, *input);
                    rest.take(graph, at, watch);
                    Step::Rest(rest.follow(graph, &mut taken, watch), *input)
                }
                Known::PairAttention(attention) if attention.fields > 2 && !watch.of(at).inside => {
                    let first = !steps.iter().any(|(_, step)| matches!(step, Step::Attention(..)));
                    let known = || PairScores::new(graph, weights, kernels, attention, (rows, watch));
                    first.then(known).flatten().map_or(Step::Layer(at), |known| Step::Attention(at, known))
                }
                _ => look_up(graph, weights, at, watch).unwrap_or(Step::Layer(at)),
            };
            let end = match &step {
                Step::Dense(dense, _) | Step::Folded(dense, _) | Step::Rest(dense, _) => dense.last,
                _ => at,
            };
            steps.push((end, step));
        }
        check_beside(graph, &mut steps);
        let steps = needed(graph, watch, steps);
        let looks_up =
            |(_, s): &(_, Step<'_>)| matches!(s, Step::Layer(at) if graph.layers()[*at].lookup().is_some());
        let ids = steps.iter().any(looks_up);
        let first = |of: fn(&Step<'_>) -> bool| steps.iter().position(|(_, step)| of(step));
        let looked_up = [
            first(|step| matches!(step, Step::FirstOrder(_))),
            first(|step| matches!(step, Step::Factorisation(_))),
            first(|step| matches!(step, Step::Folded(..))),
            first(|step| matches!(step, Step::Rows(_))),
            first(|step| matches!(step, Step::Pair(_))),
        ];
        Self { graph, all: steps, looked_up, ids }
    }

    /// Steps that only look up, to be taken before all others.
    pub(crate) fn that_look_up(&self) -> [Option<&Step<'g>>; 5] {
        self.looked_up.map(|at| Some(&self.all.get(at?)?.1))
    }

    /// The scores that attention need not compute.
    pub(crate) fn known_scores(&self) -> Option<&PairScores> {
        self.all.iter().find_map(|(_, step)| match step {
            Step::Attention(_, known) => Some(known),
            _ => None,
        })
    }

    /// Whether a step is one of them.
    pub(crate) fn looks_up(&self, at: usize) -> bool {
        self.looked_up.contains(&Some(at))
    }
}

/// The steps that others read from, and those that hooks see: rows that no step reads from a block are not gathered, and what is
/// read through is not written.
fn needed<'h>(graph: &Graph, watch: &Watch<'_>, steps: Vec<(usize, Step<'h>)>) -> Vec<(usize, Step<'h>)> {
    let mut wanted: Vec<Slot> = Vec::new();
    let mut kept: Vec<_> = steps.into_iter().rev().collect();
    kept.retain(|(_, step)| {
        match step {
            Step::Layer(at) => {
                let asked = match graph.layers()[*at].known() {
                    Known::Embedding(embedding) => wanted.contains(&embedding.output),
                    Known::Cross(cross) => wanted.contains(&cross.output),
                    _ => true,
                };
                if !asked && !watch.acts(*at) {
                    return false;
                }
                wanted.extend(&graph.ties()[*at].reads);
            }
            Step::Attention(at, _) => wanted.extend(&graph.ties()[*at].reads),
            Step::Dense(dense, _) => wanted.push(dense.linear(graph).input),
            Step::Through(through) => wanted.push(through.first),
            Step::Rows(rows) if !wanted.contains(&rows.output) => return false,
            Step::FirstOrder(_)
            | Step::Factorisation(_)
            | Step::Rows(_)
            | Step::Pair(_)
            | Step::Folded(..)
            | Step::Rest(..) => {}
        }
        true
    });
    kept.reverse();
    kept
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        for (_, step) in self.all.drain(..) {
            if let Step::Folded(_, folded) = step {
                self.graph.keep_spare(folded.products);
                if let Some(room) = folded.column.and_then(Column::into_room) {
                    self.graph.keep_spare(room);
                }
            }
        }
    }
}

/// A linear layer to one value on what cross layers give; where its result is held against what it reads, also behind no cross
/// layer at all.
fn through(graph: &Graph, weights: Weights<'_>, at: usize, watch: &Watch<'_>) -> Option<Through> {
    let (input, inputs, weight, output, sums) = match graph.layers()[at].known() {
        Known::Linear(&Linear { weight, bias: None, input, inputs, outputs: 1, fields, output }) => {
            let chains = ThroughSums::Chains(Order::Whole);
            (input, inputs, weight, output, fields.map_or(chains, ThroughSums::Fields))
        }
        Known::LinearHead(&LinearHead { weight, input, inputs, output }) => {
            (input, inputs, weight, output, ThroughSums::Chains(Order::Head))
        }
        _ => return None,
    };
    let found = crosses(graph, input, watch);
    let (first, crosses, clean) = if watch.held(at) {
        let checksum = watch.of(at).checksum?;
        let (first, crosses) = found.unwrap_or((input, Vec::new()));
        let numbers: Vec<_> = crosses.iter().map(|crossed| weights.f32s(crossed.numbers)).collect();
        (first, crosses, Some(CleanSum::new(&checksum, &numbers)?))
    } else {
        let (first, crosses) = found?;
        (first, crosses, None)
    };
    let over_fields = matches!(sums, ThroughSums::Fields(_));
    // A layer over fields reads their rows.
    let beside = Vec::new();
    let through = Through { first, crosses, weight, inputs, sums, output, clean, beside };
    (over_fields == (first == input)).then_some(through)
}

/// The value that cross layers begin with, and what makes them, where `slot` is their result and nothing acts on any of them.
fn crosses(graph: &Graph, mut slot: Slot, watch: &Watch<'_>) -> Option<(Slot, Vec<Crossed>)> {
    let mut found = Vec::new();
    loop {
        let gives = |at: &usize| matches!(graph.layers()[*at].known(), Known::Cross(c) if c.output == slot);
        let layer = (0..graph.layers().len()).find(gives).filter(|&at| !watch.acts(at))?;
        let Known::Cross(cross) = graph.layers()[layer].known() else { return None };
        found.push(Crossed { layer, factor: cross.product, numbers: cross.bias });
        if found.len() > CROSSES {
            return None;
        }
        slot = cross.input;
        if slot == cross.first {
            found.reverse();
            return Some((slot, found));
        }
    }
}

/// What the outputs of a layer are held against beside the rows that it reads.
fn beside_rows<'h>(weights: Weights<'_>, linear: &Linear, checksum: Checksum<'h>) -> Option<Column<'h>> {
    if linear.outputs < FEWEST {
        return None;
    }
    let bias = linear.bias.map_or(&[][..], |bias| weights.f32s(bias));
    let parameters = (weights.f32s(linear.weight), bias);
    Column::new(checksum, parameters, linear.fields.unwrap_or(1), Source::Block, Buffer::zeroed)
}

/// Has check values that come from a block worked out by a layer before, which is held and reads the same rows.
fn check_beside(graph: &Graph, steps: &mut [(usize, Step<'_>)]) {
    for at in 0..steps.len() {
        let (before, [(_, Step::Folded(dense, folded)), ..]) = steps.split_at_mut(at) else { continue };
        let input = dense.linear(graph).input;
        let held = before.iter_mut().find_map(|(_, step)| match step {
            Step::Through(through @ Through { clean: Some(_), sums: ThroughSums::Fields(_), .. }) => {
                Some(through).filter(|through| through.first == input && through.beside.is_empty())
            }
            _ => None,
        });
        if let (Some(held), Some(column)) = (held, &mut folded.column) {
            held.beside = column.leave().unwrap_or_default();
        }
    }
}

/// Whether one of these steps reads the value from a block.
fn is_gathered(graph: &Graph, slot: Slot, steps: &[(usize, Step<'_>)]) -> bool {
    steps.iter().any(|(_, step)| match step {
        Step::Dense(dense, _) => dense.linear(graph).input == slot,
        Step::Through(through) => through.first == slot,
        _ => false,
    })
}

/// The first-order weights that a first folded layer looks up with its products, where the same ids name both.
fn beside<'a>(graph: &Graph, weights: Weights<'a>, steps: &[(usize, Step<'_>)]) -> Option<&'a [f32]> {
    let mut firsts = steps.iter().filter_map(|(_, step)| match step {
        Step::FirstOrder(first) => Some(first.table),
        _ => None,
    });
    let folded = steps.iter().any(|(_, step)| matches!(step, Step::Folded(..)));
    let first = firsts.next().filter(|_| !folded)?;
    match weights.table(first) {
        Table::F32(words) if words.len() == graph.config().table_rows() => Some(words),
        _ => None,
    }
}

/// The table whose rows stand before their products: of a first folded layer, where the same rows are looked up with it, for a
/// second-order term or as they are. A row and its products are neighbouring lines then, which are quicker to read than two that
/// lie anywhere.
fn joined(
    graph: &Graph,
    weights: Weights<'_>,
    linear: &Linear,
    steps: &[(usize, Step<'_>)],
) -> Option<TableId> {
    let (table, dim) = rows_of(graph, linear.input)?;
    let first = |of: fn(&Step<'_>) -> Option<TableId>| steps.iter().find_map(|(_, step)| of(step));
    let term = first(|step| match step {
        Step::Factorisation(term) => Some(term.table),
        _ => None,
    });
    let rows = first(|step| match step {
        Step::Rows(rows) => Some(rows.table),
        _ => None,
    });
    let folded = steps.iter().any(|(_, step)| matches!(step, Step::Folded(..)));
    let rows = rows.filter(|_| is_gathered(graph, linear.input, steps));
    let looked_up = [term, rows].into_iter().flatten().any(|of| of.first == table.first);
    let fits = dim == LANES && linear.outputs <= LANES && matches!(weights.table(table), Table::F32(_));
    (looked_up && fits && !folded).then_some(table)
}
