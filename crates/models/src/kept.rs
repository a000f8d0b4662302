//! Golden values kept for all rows, from which a pass starts where only dense parameters changed.

use radhard_data::RowsView;
use radhard_kernels::{Answered, Answers, Kernels, LANES, Lane};
use radhard_memory::Buffer;
use rayon::prelude::*;

use crate::apart::Apart;
use crate::cost::pass_cost;
use crate::graph::{Graph, Slot};
use crate::layers::{Values, Weights};
use crate::model::Model;
use crate::overlay::Overlay;
use crate::parameter::Component;
use crate::reach::{Change, Golden, parts_cost};
use crate::scores::{BLOCK, Scores};
use crate::together::Together;
use crate::units::Unit;
use crate::worker::Evaluation;

/// Lane groups of a block.
const GROUPS: usize = BLOCK / LANES;

/// What a slot has to save, in parts of a full pass on average over the words outside the tables: so much, and so much for
/// each of its values. A slot of one value need only save something.
const WORTH: (f64, f64) = (0.002, 2e-5);

/// Changes that are evaluated together share the golden values; about so many there are.
const SHARED_BY: f64 = 8.0;

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
    /// By layer: whether its golden result does not depend on its parameters.
    settled: Vec<bool>,
    /// The largest magnitude in the tables, where a layer asks.
    largest: f32,
    apart: Option<Apart>,
}

impl Kept {
    /// Nothing kept: every evaluation from dense parameters is a full pass.
    pub fn nothing(rows: usize) -> Self {
        Self {
            slots: Vec::new(),
            lanes: Buffer::default(),
            stride: 0,
            rows,
            settled: Vec::new(),
            largest: f32::NAN,
            apart: None,
        }
    }

    /// Bytes that are held for rows, and of products of table rows.
    pub fn bytes(&self) -> u64 {
        size_of_val(&self.lanes[..]) as u64 + self.apart.as_ref().map_or(0, Apart::bytes)
    }

    /// What rows that lie apart look up, where only tables changed.
    pub fn apart(&self) -> Option<&Apart> {
        self.apart.as_ref()
    }

    /// The number of rows that values are of.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// By slot: whether it is kept.
    pub(crate) fn slots_of(&self, graph: &Graph) -> Vec<bool> {
        let mut slots = self.slots.clone();
        slots.resize(graph.widths().len(), false);
        slots
    }

    /// By layer: whether its result does not depend on its parameters, in the golden model and under an overlay.
    pub(crate) fn settled_under(&self, model: &Model, overlay: &Overlay) -> Vec<bool> {
        let layers = model.graph().layers();
        let mut settled = self.settled.clone();
        settled.resize(layers.len(), false);
        let weights = Weights::dense_under(model.parameters(), overlay);
        for (layer, settled) in layers.iter().zip(&mut settled) {
            *settled = *settled && layer.settled(weights, self.largest);
        }
        settled
    }

    /// Puts values of the rows from `first` on back, a multiple of [`BLOCK`]; rows beyond the last block are left as they are.
    pub(crate) fn load(&self, first: usize, slots: &[Slot], values: &mut Values, widths: &[usize]) {
        let groups = values.groups();
        let blocks = self.lanes.chunks_exact(self.stride.max(1)).skip(first / BLOCK);
        for (block, mut lanes) in blocks.take(groups / GROUPS).enumerate() {
            for (slot, width) in
                widths.iter().enumerate().filter(|(slot, _)| self.slots.get(*slot) == Some(&true))
            {
                let (own, rest) = lanes.split_at(width * GROUPS);
                lanes = rest;
                if !slots.contains(&slot) {
                    continue;
                }
                let to = values.get_mut(slot).chunks_exact_mut(groups);
                for (own, to) in own.chunks_exact(GROUPS).zip(to) {
                    to[block * GROUPS..(block + 1) * GROUPS].copy_from_slice(own);
                }
            }
        }
    }
}

fn worth(width: usize) -> f64 {
    if width == 1 { 0.0 } else { WORTH.0 + WORTH.1 * width as f64 }
}

/// What the choice of slots goes by.
struct Choice<'a> {
    graph: &'a Graph,
    units: &'a [Unit],
    /// What a change of one element of each parameter that each unit reads comes to, and how many it stands for.
    changes: Vec<(Change, f64)>,
    rows: usize,
    full: f64,
}

impl Choice<'_> {
    /// The mean cost from these slots after a change of one word outside the tables, in parts of a full pass.
    fn cost(&self, kept: &[bool]) -> f64 {
        let cost = |change: &Change| {
            let golden = Golden::of(self.graph, self.units, kept, &change.golden).cost;
            (change.cost + golden / SHARED_BY).min(self.full)
        };
        let total: f64 = self.changes.iter().map(|(_, words)| words).sum();
        self.changes.iter().map(|(change, words)| words * cost(change)).sum::<f64>() / (total * self.full)
    }

    /// Slots within a budget: from all of them, what is missed least per byte goes first.
    fn slots(&self, budget_bytes: u64) -> Vec<bool> {
        let widths = self.graph.widths();
        let block_bytes = (self.rows.div_ceil(BLOCK) * BLOCK * size_of::<f32>()) as u64;
        let mut kept = vec![false; widths.len()];
        for result in self.units.iter().filter_map(|unit| unit.writes(self.graph).last()) {
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
        kept.largest = if graph.ties().iter().any(|ties| ties.settles) { self.largest() } else { f32::NAN };
        let weights = Weights::of(self.parameters());
        kept.settled = graph
            .layers()
            .iter()
            .zip(graph.ties())
            .map(|(layer, ties)| ties.settles && layer.settled(weights, kept.largest))
            .collect();
        let units = Unit::all(graph);
        let elements = graph.ties().iter().flat_map(|ties| &ties.parameters);
        let changes =
            elements.filter(|(id, _)| graph.specs()[*id].component == Component::Dense).map(|(id, range)| {
                // One element in the middle stands for all.
                let element = (*id, range.start.midpoint(range.end) as u64);
                (Change::of(graph, &units, &kept.settled, &[element]), range.len() as f64)
            });
        let choice = Choice {
            graph,
            units: &units,
            changes: changes.collect(),
            rows: kept.rows,
            full: parts_cost(graph, &units),
        };
        kept.apart = Apart::new(graph, weights, rows.len(), budget_bytes);
        kept.slots = choice.slots(budget_bytes - kept.bytes());
        let widths = graph.widths().iter().zip(&kept.slots);
        kept.stride = widths.map(|(width, keep)| if *keep { width * GROUPS } else { 0 }).sum();
        if kept.stride == 0 {
            return Ok(kept);
        }
        let need = (0..kept.slots.len()).filter(|slot| kept.slots[*slot]).collect();
        let nothing = Kept::nothing(rows.len());
        let golden = Together::nothing(self, &nothing, Kernels::detected(), &need);
        let mut lanes = Buffer::zeroed(rows.len().div_ceil(BLOCK) * kept.stride);
        lanes.par_chunks_mut(kept.stride).enumerate().for_each_init(
            || golden.room(),
            |room, (block, mut lanes)| {
                let first = block * BLOCK;
                let rows = rows.slice(first..rows.len().min(first + BLOCK));
                golden.golden(&rows, first, room, |values| {
                    for slot in &need {
                        let value = values.get(*slot);
                        let (own, rest) = std::mem::take(&mut lanes).split_at_mut(value.len());
                        own.copy_from_slice(value);
                        lanes = rest;
                    }
                });
            },
        );
        kept.lanes = lanes;
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
    pub fn scores_from(&self, kept: &Kept, evaluation: &Evaluation<'_>, out: &mut Scores) {
        let Evaluation { kernels, rows, overlay, .. } = *evaluation;
        let together = Together::new(self, kept, kernels, [overlay]);
        out.resize(rows.len());
        let Scores { logits, probabilities } = out;
        let mut answers =
            [Answers { golden: &[], answers: probabilities, logits, counted: Answered::default() }];
        together.run(&rows, 0..rows.len(), &mut together.room(), &mut answers);
    }

    /// What a change outside the tables costs where its golden values are shared by others, in parts of a full pass.
    pub fn suffix_cost(&self, kept: &Kept, overlay: &Overlay) -> f64 {
        let (graph, units) = (self.graph(), Unit::all(self.graph()));
        let settled = kept.settled_under(self, overlay);
        Change::of(graph, &units, &settled, overlay.dense_elements()).cost / pass_cost(graph)
    }
}
