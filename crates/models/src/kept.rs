//! Golden values kept for all rows, from which a pass starts where only dense parameters changed.

use radhard_data::RowsView;
use radhard_kernels::{Kernels, LANES, Lane, RowIds};
use radhard_memory::Buffer;
use rayon::prelude::*;

use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::Weights;
use crate::model::Model;
use crate::overlay::Overlay;
use crate::parameter::Component;
use crate::pass::{Pass, Workspace};
use crate::route::{Route, Start, Step};
use crate::scores::{BLOCK, Scores, canonical};
use crate::worker::{Evaluation, Worker};

/// Lane groups of a block.
const GROUPS: usize = BLOCK / LANES;

/// What a slot has to save, in parts of a full pass on average over the words outside the tables: so much, and so much for
/// each of its values. A slot of one value need only save something.
const WORTH: (f64, f64) = (0.002, 2e-5);

/// Values of some slots for all rows, as the golden pass had them.
#[derive(Debug)]
pub struct Kept {
    /// By slot.
    slots: Vec<bool>,
    /// Block after block, within it slot after slot, `[width, R]` each.
    lanes: Buffer<Lane>,
    /// Lanes of a block.
    stride: usize,
    rows: usize,
    /// Ids of the table rows that some row reads, ascending; empty where no layer asks.
    read: Vec<u32>,
    /// By layer: whether its golden result does not depend on its parameters.
    settled: Vec<bool>,
    /// The largest magnitude in the tables, where a layer asks.
    largest: f32,
}

impl Kept {
    /// Nothing kept: every evaluation from dense parameters is a full pass.
    pub fn nothing(rows: usize) -> Self {
        let (lanes, read) = (Buffer::default(), Vec::new());
        Self { slots: Vec::new(), lanes, stride: 0, rows, read, settled: Vec::new(), largest: f32::NAN }
    }

    /// Bytes that are held for rows.
    pub fn bytes(&self) -> u64 {
        size_of_val(&self.lanes[..]) as u64
    }

    /// The route under an overlay.
    fn route<'g>(&self, model: &'g Model, overlay: &Overlay) -> Route<'g> {
        let graph = model.graph();
        let mut settled = self.settled.clone();
        settled.resize(graph.layers().len(), false);
        let weights = Weights::dense_under(model.parameters(), overlay);
        for (layer, settled) in graph.layers().iter().zip(&mut settled) {
            *settled = *settled && layer.settled(weights, self.largest);
        }
        let mut slots = self.slots.clone();
        slots.resize(graph.widths().len(), false);
        let start = Start { kept: &slots, settled: &settled, rows: self.rows, read: self.read.len() };
        Route::of(graph, start, overlay.dense_elements())
    }

    /// Puts the values of one block back.
    fn load(&self, block: usize, slots: &[Slot], workspace: &mut Workspace, widths: &[usize]) {
        let mut lanes = &self.lanes[block * self.stride..(block + 1) * self.stride];
        for (slot, width) in
            widths.iter().enumerate().filter(|(slot, _)| self.slots.get(*slot) == Some(&true))
        {
            let (own, rest) = lanes.split_at(width * GROUPS);
            if slots.contains(&slot) {
                workspace.values.get_mut(slot).copy_from_slice(own);
            }
            lanes = rest;
        }
    }
}

fn worth(width: usize) -> f64 {
    if width == 1 { 0.0 } else { WORTH.0 + WORTH.1 * width as f64 }
}

/// What the choice of slots goes by.
struct Choice<'a> {
    graph: &'a Graph,
    /// One element of each parameter that each layer reads, and how many it stands for.
    changes: Vec<((ParameterId, u64), f64)>,
    settled: &'a [bool],
    rows: usize,
    read: usize,
    full: f64,
}

impl Choice<'_> {
    /// The mean cost from these slots after a change of one word outside the tables, in parts of a full pass.
    fn cost(&self, kept: &[bool]) -> f64 {
        let start = Start { kept, settled: self.settled, rows: self.rows, read: self.read };
        let cost = |change: &(ParameterId, u64)| Route::of(self.graph, start, &[*change]).cost.min(self.full);
        let total: f64 = self.changes.iter().map(|(_, words)| words).sum();
        self.changes.iter().map(|(change, words)| words * cost(change)).sum::<f64>() / (total * self.full)
    }

    /// Slots within a budget: from all of them, what is missed least per byte goes first.
    fn slots(&self, budget_bytes: u64) -> Vec<bool> {
        let widths = self.graph.widths();
        let block_bytes = (self.rows.div_ceil(BLOCK) * BLOCK * size_of::<f32>()) as u64;
        let mut kept = vec![false; widths.len()];
        for result in self.graph.ties().iter().filter_map(|ties| ties.writes.last()) {
            kept[*result] = true;
        }
        loop {
            let now = self.cost(&kept);
            let least = (0..kept.len())
                .filter(|slot| kept[*slot])
                .map(|slot| {
                    let without: Vec<bool> = kept.iter().enumerate().map(|(i, k)| *k && i != slot).collect();
                    (slot, self.cost(&without) - now)
                })
                .min_by(|(a, lost_a), (b, lost_b)| {
                    (lost_a / widths[*a] as f64).total_cmp(&(lost_b / widths[*b] as f64))
                });
            let bytes =
                kept.iter().zip(widths).map(|(k, w)| u64::from(*k) * *w as u64 * block_bytes).sum::<u64>();
            match least {
                Some((slot, lost)) if lost <= worth(widths[slot]) || bytes > budget_bytes => {
                    kept[slot] = false;
                }
                _ => return kept,
            }
        }
    }
}

impl Model {
    /// The golden pass on all cores, with what is worth keeping of it.
    ///
    /// Rows are checked as by [`Model::scores`], which gives the same scores.
    ///
    /// # Errors
    /// As [`Model::scores`].
    pub fn keep(
        &self,
        rows: &RowsView<'_>,
        budget_bytes: u64,
        out: &mut Scores,
    ) -> Result<Kept, crate::ScoresError> {
        self.scores(rows, out)?;
        let graph = self.graph();
        let mut kept = Kept::nothing(rows.len());
        if graph.layers().iter().any(|layer| layer.field_layer().is_some()) {
            kept.read = read(rows, graph);
        }
        kept.largest = if graph.ties().iter().any(|ties| ties.settles) { self.largest() } else { f32::NAN };
        let weights = Weights::of(self.parameters());
        kept.settled = graph
            .layers()
            .iter()
            .zip(graph.ties())
            .map(|(layer, ties)| ties.settles && layer.settled(weights, kept.largest))
            .collect();
        let changes = graph.ties().iter().flat_map(|ties| &ties.parameters);
        let choice = Choice {
            graph,
            changes: changes
                .filter(|(id, _)| graph.specs()[*id].component == Component::Dense)
                .map(|(id, range)| ((*id, range.start as u64), range.len() as f64))
                .collect(),
            settled: &kept.settled,
            rows: kept.rows,
            read: kept.read.len(),
            full: Route::full_cost(graph),
        };
        kept.slots = choice.slots(budget_bytes);
        let widths = graph.widths().iter().zip(&kept.slots);
        kept.stride = widths.map(|(width, keep)| if *keep { width * GROUPS } else { 0 }).sum();
        if kept.stride == 0 {
            return Ok(kept);
        }
        kept.lanes = Buffer::zeroed(rows.len().div_ceil(BLOCK) * kept.stride);
        let pass = Pass::new(graph, self.parameters(), Kernels::detected());
        let slots = &kept.slots;
        kept.lanes.par_chunks_mut(kept.stride).enumerate().for_each_init(
            || (Workspace::new(graph, BLOCK), [0.0; BLOCK]),
            |(workspace, logits), (block, mut lanes)| {
                let first = block * BLOCK;
                let rows = rows.slice(first..rows.len().min(first + BLOCK));
                pass.block(&rows, workspace, &mut logits[..rows.len()]);
                for slot in (0..slots.len()).filter(|slot| slots[*slot]) {
                    let value = workspace.values.get(slot);
                    let (own, rest) = lanes.split_at_mut(value.len());
                    own.copy_from_slice(value);
                    lanes = rest;
                }
            },
        );
        Ok(kept)
    }

    /// The largest magnitude in the tables; NaN where one holds NaN.
    fn largest(&self) -> f32 {
        let weights = Weights::of(self.parameters());
        let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
        let of = |table: &crate::graph::Table| {
            let rows = self.parameters()[table.id.first].shape()[0];
            let row = |values: &mut Vec<f32>, row| {
                weights.table(table.id).row(row, values);
                values.iter().fold(0.0, |most, x| larger(most, x.abs()))
            };
            let rows = (0..rows).into_par_iter().with_min_len(1 << 12);
            rows.map_init(|| vec![0.0; table.width], row).reduce(|| 0.0, larger)
        };
        self.graph().tables().iter().map(of).fold(0.0, larger)
    }

    /// Evaluates all rows on the calling thread, where the overlay changes dense parameters alone: from what is kept.
    ///
    /// Rows of tables in the overlay are not read; [`Model::scores_of`] evaluates the rows that need them.
    ///
    /// # Numerics
    /// Bit for bit what a pass over all rows gives: see docs/exactness.md.
    ///
    /// # Panics
    /// If `kept` is of other rows.
    pub fn scores_from(
        &self,
        kept: &Kept,
        evaluation: &Evaluation<'_>,
        worker: &mut Worker,
        out: &mut Scores,
    ) {
        let Evaluation { kernels, rows, overlay } = *evaluation;
        assert_eq!(kept.rows, rows.len(), "values kept of other rows");
        let graph = self.graph();
        let route = kept.route(self, overlay);
        let pass = Pass::dense_under(graph, self.parameters(), overlay, kernels);
        let reads = (pass.weights, kernels);
        for step in &route.steps {
            if let Step::Columns(columns) = step {
                columns.multiply(graph, reads, &kept.read, &mut worker.products);
            }
        }
        out.logits.resize(rows.len(), 0.0);
        out.probabilities.resize(rows.len(), 0.0);
        let workspace = &mut worker.workspaces[0];
        let blocks = out.logits.chunks_mut(BLOCK).zip(out.probabilities.chunks_mut(BLOCK));
        for (block, (logits, probabilities)) in blocks.enumerate() {
            kept.load(block, &route.load, workspace, graph.widths());
            let first = block * BLOCK;
            let own = first..first + logits.len();
            if route.steps.iter().any(|step| matches!(step, Step::Columns(_))) {
                pass.row_ids(&rows, own.clone(), &mut workspace.row_ids);
            }
            let rows = rows.slice(own);
            if route.gathers {
                pass.ids(&rows, workspace);
            }
            pass.numeric(&rows, workspace);
            for step in &route.steps {
                match step {
                    Step::Layer(layer) => pass.layer(*layer, &rows, workspace),
                    Step::Columns(columns) => {
                        let Workspace { row_ids, values, .. } = workspace;
                        let ids =
                            RowIds { ids: row_ids, fields: rows.fields, far: graph.far(), rows: rows.len() };
                        columns.run(reads, ids, &worker.products, values);
                    }
                }
            }
            pass.end(workspace, logits);
            pass.answers(logits, probabilities);
            canonical(pass.kernels, [logits, probabilities]);
        }
    }

    /// What [`Model::scores_from`] costs under an overlay, in parts of a full pass; at 1 it saves nothing.
    pub fn suffix_cost(&self, kept: &Kept, overlay: &Overlay) -> f64 {
        kept.route(self, overlay).cost / Route::full_cost(self.graph())
    }
}

/// The ids of the table rows that some row reads, ascending.
fn read(rows: &RowsView<'_>, graph: &Graph) -> Vec<u32> {
    let offsets = graph.offsets();
    let words = graph.config().table_rows().div_ceil(64);
    let seen = rows
        .indices
        .par_chunks(offsets.len() << 14)
        .fold(
            || vec![0_u64; words],
            |mut seen, indices| {
                for row in indices.chunks_exact(offsets.len()) {
                    for (index, offset) in row.iter().zip(offsets) {
                        let id = index + offset;
                        seen[id as usize / 64] |= 1 << (id % 64);
                    }
                }
                seen
            },
        )
        .reduce(
            || vec![0; words],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
                a
            },
        );
    let ids = seen.iter().enumerate().flat_map(|(at, word)| {
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
    });
    ids.collect()
}
