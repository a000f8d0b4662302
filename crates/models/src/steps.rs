//! The steps of a full pass: layers that are taken together, where nobody asks for what lies between them.
//!
//! The bits are those of the layers one by one. A linear layer on the rows of all fields becomes a sum over fields, as soon
//! as each table row has been multiplied by its field's weights: the numeric contract defines the layer that way.

use radhard_kernels::{CROSSES, Ending, Kernels, LANES, Lane};
use radhard_memory::Buffer;
use rayon::prelude::*;

use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::linear::Linear;
use crate::layers::split_linear::LinearHead;
use crate::layers::{Known, Weights};
use crate::scores::BLOCK;
use crate::table::{TableFormat, TableId};

/// Widest row of a table whose product with a row of weights is one chain.
const WIDEST: usize = radhard_kernels::plain::CHAIN;

/// Fewest outputs of a layer for which products are worked out.
const FEWEST: usize = 8;

/// Lookups per table row from which on the products of all table rows pay.
const LOOKUPS_PER_ROW: usize = 2;

/// What is done at once.
pub(crate) enum Step {
    /// One layer.
    Layer(usize),
    /// First-order weights, looked up and summed.
    FirstOrder { table: TableId, output: Slot },
    /// The second-order term, from the rows of a table of this width.
    Factorisation { table: TableId, width: usize, output: Slot },
    /// A linear layer and what follows it.
    Dense(Dense),
    /// The same, as a sum over the fields of table rows that were multiplied before.
    Folded(Dense, Folded),
    /// A linear layer to one value, or the head of one, on what cross layers give.
    Through(Through),
}

impl Step {
    /// Whether it is this layer and no other, and reads what the layer reads.
    pub(crate) fn is_only(&self, layer: usize) -> bool {
        match self {
            Self::Dense(dense) => dense.layer == layer,
            Self::Folded(..) => false,
            _ => true,
        }
    }
}

/// A linear layer and what follows it.
pub(crate) struct Dense {
    layer: usize,
    /// The last layer that it takes together.
    last: usize,
    norm: Option<usize>,
    rectify: bool,
    pub(crate) output: Slot,
}

/// A linear layer to one value on what cross layers make of `first`.
pub(crate) struct Through {
    pub(crate) first: Slot,
    /// The factor and the numbers of each cross layer, in order.
    pub(crate) crosses: Vec<(Slot, ParameterId)>,
    pub(crate) weight: ParameterId,
    pub(crate) inputs: usize,
    /// Whether it is a head.
    pub(crate) head: bool,
    pub(crate) output: Slot,
}

/// Every table row's product with the layer's weights for its field.
pub(crate) struct Folded {
    pub(crate) width: usize,
    pub(crate) products: Buffer<f32>,
}

impl Dense {
    pub(crate) fn linear<'g>(&self, graph: &'g Graph) -> &'g Linear {
        match graph.layers()[self.layer].known() {
            Known::Linear(linear) => linear,
            _ => unreachable!("a dense step begins with a linear layer"),
        }
    }

    pub(crate) fn ending<'a>(
        &self,
        linear: &Linear,
        weights: Weights<'a>,
        derived: &'a [Vec<f32>],
    ) -> Ending<'a> {
        Ending {
            bias: linear.bias.map_or(&[][..], |bias| weights.f32s(bias)),
            scale: self.norm.map(|norm| {
                let (alpha, beta) = derived[norm].split_at(linear.outputs);
                (alpha, &beta[..linear.outputs])
            }),
            rectify: self.rectify,
        }
    }
}

/// The steps of a pass over many rows.
pub(crate) struct Steps<'g> {
    graph: &'g Graph,
    /// With the layer that each ends at.
    pub(crate) all: Vec<(usize, Step)>,
    /// Whether a step reads the ids of table rows.
    pub(crate) ids: bool,
}

impl<'g> Steps<'g> {
    /// The steps for `rows` data rows, with the products of table rows where they pay. Layers that are seen end their step, and
    /// are read by others as they are seen; those that are held have what they read.
    pub(crate) fn new(
        graph: &'g Graph,
        weights: Weights<'_>,
        kernels: Kernels,
        rows: usize,
        (seen, held): (&dyn Fn(usize) -> bool, &dyn Fn(usize) -> bool),
    ) -> Self {
        let straight = |input| {
            let gathers = |at: usize| graph.layers()[at].gathered() == Some(input);
            !(0..graph.layers().len()).any(|at| gathers(at) && seen(at))
        };
        let mut taken = vec![false; graph.layers().len()];
        let mut steps = Vec::new();
        for at in 0..taken.len() {
            if taken[at] {
                continue;
            }
            let step = match graph.layers()[at].known() {
                Known::Linear(&Linear { weight, bias: None, input, inputs, outputs: 1, output, .. })
                    if !held(at) && crosses(graph, input, seen).is_some() =>
                {
                    let (first, crosses) = crosses(graph, input, seen).unwrap_or_default();
                    Step::Through(Through { first, crosses, weight, inputs, head: false, output })
                }
                Known::LinearHead(&LinearHead { weight, input, inputs, output })
                    if !held(at) && crosses(graph, input, seen).is_some() =>
                {
                    let (first, crosses) = crosses(graph, input, seen).unwrap_or_default();
                    Step::Through(Through { first, crosses, weight, inputs, head: true, output })
                }
                Known::Linear(linear) => {
                    let dense = follow(graph, at, linear, &mut taken, seen);
                    let folds = !held(at) && straight(linear.input);
                    match folds.then(|| fold(graph, weights, kernels, linear, rows)).flatten() {
                        Some(folded) => Step::Folded(dense, folded),
                        None => Step::Dense(dense),
                    }
                }
                Known::FirstOrder(first) if first.table.format == TableFormat::F32 && !seen(at) => {
                    Step::FirstOrder { table: first.table, output: first.output }
                }
                Known::Factorisation(term) => match rows_of(graph, term.input) {
                    Some((table, width))
                        if table.format == TableFormat::F32 && width % LANES == 0 && straight(term.input) =>
                    {
                        Step::Factorisation { table, width, output: term.output }
                    }
                    _ => Step::Layer(at),
                },
                _ => Step::Layer(at),
            };
            let end = match &step {
                Step::Dense(dense) | Step::Folded(dense, _) => dense.last,
                _ => at,
            };
            steps.push((end, step));
        }
        // Rows that no step reads from a block are not gathered, and what is read through is not written.
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
                    if !asked && !seen(*at) {
                        return false;
                    }
                    wanted.extend(&graph.ties()[*at].reads);
                }
                Step::Dense(dense) => wanted.push(dense.linear(graph).input),
                Step::Through(through) => wanted.push(through.first),
                Step::FirstOrder { .. } | Step::Factorisation { .. } | Step::Folded(..) => {}
            }
            true
        });
        kept.reverse();
        let steps = kept;
        let looks_up =
            |(_, s): &(_, Step)| matches!(s, Step::Layer(at) if graph.layers()[*at].lookup().is_some());
        let ids = steps.iter().any(looks_up);
        Self { graph, all: steps, ids }
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        for (_, step) in self.all.drain(..) {
            if let Step::Folded(_, folded) = step {
                self.graph.keep_spare(folded.products);
            }
        }
    }
}

/// The value that cross layers begin with, and what makes them, where `slot` is their result and none of them is seen.
fn crosses(
    graph: &Graph,
    mut slot: Slot,
    seen: &dyn Fn(usize) -> bool,
) -> Option<(Slot, Vec<(Slot, ParameterId)>)> {
    let mut found = Vec::new();
    loop {
        let gives = |at: &usize| matches!(graph.layers()[*at].known(), Known::Cross(c) if c.output == slot);
        let at = (0..graph.layers().len()).find(gives).filter(|&at| !seen(at))?;
        let Known::Cross(cross) = graph.layers()[at].known() else { return None };
        found.push((cross.product, cross.bias));
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

/// The layers behind a linear one that only go on with its result.
fn follow(
    graph: &Graph,
    layer: usize,
    linear: &Linear,
    taken: &mut [bool],
    seen: &dyn Fn(usize) -> bool,
) -> Dense {
    let mut dense = Dense { layer, last: layer, norm: None, rectify: false, output: linear.output };
    while !seen(dense.last) {
        let mut readers = (0..taken.len()).filter(|&at| graph.ties()[at].reads.contains(&dense.output));
        let (Some(next), None) = (readers.next(), readers.next()) else { return dense };
        match graph.layers()[next].known() {
            Known::BatchNorm(norm) if dense.norm.is_none() && !dense.rectify => {
                (dense.norm, dense.output) = (Some(next), norm.output);
            }
            Known::Rectifier(rectifier) if !dense.rectify => {
                (dense.rectify, dense.output) = (true, rectifier.output);
            }
            Known::Dropout(dropout) => dense.output = dropout.output,
            _ => return dense,
        }
        (taken[next], dense.last) = (true, next);
    }
    dense
}

/// The table of all fields whose rows a value holds, and their width.
fn rows_of(graph: &Graph, slot: Slot) -> Option<(TableId, usize)> {
    graph.layers().iter().find_map(|layer| {
        layer.whole_table().filter(|embedding| embedding.output == slot).map(|e| (e.table, e.dim))
    })
}

/// The products of all table rows, where the rows look up enough of them.
fn fold(
    graph: &Graph,
    weights: Weights<'_>,
    kernels: Kernels,
    linear: &Linear,
    rows: usize,
) -> Option<Folded> {
    let fields = linear.fields?;
    let (table, dim) = rows_of(graph, linear.input)?;
    let table_rows = graph.config().table_rows();
    if dim > WIDEST || linear.outputs < FEWEST || rows.saturating_mul(fields) < LOOKUPS_PER_ROW * table_rows {
        return None;
    }
    let width = linear.outputs.next_multiple_of(LANES);
    let matrix = weights.f32s(linear.weight);
    // Each field's weights, `[F, J, D]`.
    let by_field: Vec<f32> = (0..fields)
        .flat_map(|f| {
            matrix
                .chunks_exact(linear.inputs)
                .flat_map(move |row| row[f * dim..(f + 1) * dim].iter().copied())
        })
        .collect();
    let table = weights.table(table);
    let mut products = graph.spare(table_rows * width);
    let scratch = || {
        let lanes = |width: usize| Buffer::<Lane>::zeroed(width * BLOCK / LANES);
        (vec![0u32; BLOCK], lanes(dim), lanes(linear.outputs), vec![0.0f32; BLOCK * linear.outputs])
    };
    products.par_chunks_mut(TASK * width).enumerate().for_each_init(scratch, |scratch, (task, mut out)| {
        let (ids, values, multiplied, row_major) = scratch;
        let mut first = task * TASK;
        while !out.is_empty() {
            // As many rows as are left in the field, at most a block.
            let field = graph.offsets().partition_point(|&offset| offset as usize <= first) - 1;
            let end = graph.offsets().get(field + 1).map_or(table_rows, |&next| next as usize);
            let count = BLOCK.min(end - first).min(out.len() / width);
            for (i, id) in ids.iter_mut().enumerate() {
                *id = (first + i.min(count - 1)) as u32;
            }
            kernels.gather(table, ids, 0, dim, values);
            let weights = &by_field[field * linear.outputs * dim..(field + 1) * linear.outputs * dim];
            kernels.linear(weights, &[], values, dim, multiplied);
            kernels.to_rows(multiplied, linear.outputs, row_major);
            let (now, rest) = out.split_at_mut(count * width);
            for (to, from) in now.chunks_exact_mut(width).zip(row_major.chunks_exact(linear.outputs)) {
                to[..linear.outputs].copy_from_slice(from);
            }
            (first, out) = (first + count, rest);
        }
    });
    Some(Folded { width, products })
}

/// Table rows of one task.
const TASK: usize = 4096;
