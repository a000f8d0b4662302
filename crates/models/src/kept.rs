//! Golden values kept for all rows, from which a pass starts where only dense parameters changed.

use std::collections::BTreeSet;

use radhard_data::RowsView;
use radhard_kernels::{Kernels, Lane, Table};
use rayon::prelude::*;

use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::LOOKUP_NS;
use crate::layers::linear::Linear;
use crate::model::Model;
use crate::overlay::Overlay;
use crate::pass::{Pass, Workspace};
use crate::scores::{BLOCK, Scores, canonical};
use crate::table::TableId;
use crate::worker::{Evaluation, Worker};

/// Lane groups of a block.
const GROUPS: usize = BLOCK / radhard_kernels::LANES;

/// Most columns of the first dense layer that are redone one by one.
const COLUMNS: usize = 4;

/// Widest row of a table whose product with a row of weights is one chain.
const FOLDED_WIDTH: usize = radhard_kernels::plain::CHAIN;

/// Values of some slots for all rows, as the golden pass had them.
///
/// Kept are results that are dear to work out again and cheap to hold: sums over fields, interactions, linear layers before
/// their normalisation. What lies between them is worked out again.
#[derive(Debug)]
pub struct Kept {
    slots: Vec<Slot>,
    /// Block after block, within it slot after slot, `[width, R]` each.
    lanes: Vec<Lane>,
    /// Lanes of a block.
    stride: usize,
    rows: usize,
}

impl Kept {
    /// Nothing kept: every evaluation from dense parameters is a full pass.
    pub fn nothing(rows: usize) -> Self {
        Self { slots: Vec::new(), lanes: Vec::new(), stride: 0, rows }
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        size_of_val(self.lanes.as_slice()) as u64
    }

    /// The slots worth keeping within a budget, the narrowest first.
    fn choose(graph: &Graph, rows: usize, budget_bytes: u64) -> Vec<Slot> {
        let mut candidates: Vec<(usize, Slot)> = graph
            .layers()
            .iter()
            .map(|layer| layer.ties())
            .filter(|ties| ties.dear)
            .filter_map(|ties| ties.writes.last().copied())
            .map(|slot| (graph.widths()[slot], slot))
            .collect();
        candidates.sort_unstable();
        let blocks = rows.div_ceil(BLOCK) as u64;
        let mut left = budget_bytes;
        let mut slots: Vec<Slot> = candidates
            .into_iter()
            .take_while(|(width, _)| {
                let bytes = blocks * (width * GROUPS * size_of::<Lane>()) as u64;
                let fits = bytes <= left;
                left -= if fits { bytes } else { 0 };
                fits
            })
            .map(|(_, slot)| slot)
            .collect();
        slots.sort_unstable();
        slots
    }
}

/// A part of a pass: what is loaded, and which layers run.
struct Route<'g> {
    load: Vec<Slot>,
    steps: Vec<Step<'g>>,
    cost: f64,
}

enum Step<'g> {
    Layer(usize),
    /// Some outputs of a linear layer on all fields, from a table of which their products were taken.
    Columns(Folding<'g>),
}

struct Folding<'g> {
    layer: &'g Linear,
    table: TableId,
    columns: Vec<usize>,
}

impl<'g> Route<'g> {
    /// The way from what is kept to the logits, under changes of these elements.
    fn of(graph: &'g Graph, kept: &Kept, changed: &[(ParameterId, u64)]) -> Self {
        let layers = graph.layers();
        let mut affected: BTreeSet<Slot> = BTreeSet::new();
        let mut foldings: Vec<Option<Folding<'g>>> = Vec::new();
        let mut runs = vec![false; layers.len()];
        for (at, layer) in layers.iter().enumerate() {
            let ties = layer.ties();
            let own: Vec<(ParameterId, u64)> = changed
                .iter()
                .copied()
                .filter(|(id, element)| {
                    ties.parameters
                        .iter()
                        .any(|(own, range)| own == id && range.contains(&(*element as usize)))
                })
                .collect();
            let downstream = ties.reads.iter().any(|slot| affected.contains(slot));
            let mut folding = None;
            if downstream || !own.is_empty() {
                runs[at] = true;
                if !downstream {
                    folding = layer.field_layer().and_then(|linear| folded(graph, kept, linear, &own));
                }
                affected.extend(&ties.writes);
            }
            foldings.push(folding);
        }
        let mut need = BTreeSet::from([graph.logit()]);
        let (mut load, mut steps, mut cost) = (BTreeSet::new(), Vec::new(), 0.0);
        for (at, layer) in layers.iter().enumerate().rev() {
            let ties = layer.ties();
            let Some(&result) =
                ties.writes.last().filter(|_| ties.writes.iter().any(|slot| need.contains(slot)))
            else {
                continue;
            };
            if !runs[at] && kept.slots.contains(&result) {
                load.insert(result);
                continue;
            }
            if let Some(folding) = foldings[at].take() {
                load.insert(result);
                cost += (folding.columns.len() * graph.offsets().len()) as f64 * LOOKUP_NS;
                steps.push(Step::Columns(folding));
                continue;
            }
            cost += ties.cost;
            steps.push(Step::Layer(at));
            need.extend(ties.reads);
        }
        steps.reverse();
        Self { load: load.into_iter().collect(), steps, cost }
    }
}

/// The columns of a layer on all fields that changes of its own elements redo, if they are few and the rest is kept.
fn folded<'g>(
    graph: &'g Graph,
    kept: &Kept,
    layer: &'g Linear,
    changed: &[(ParameterId, u64)],
) -> Option<Folding<'g>> {
    let embedding = graph
        .layers()
        .iter()
        .filter_map(|layer| layer.whole_table())
        .find(|embedding| embedding.output == layer.input && embedding.dim <= FOLDED_WIDTH)?;
    if !kept.slots.contains(&layer.output) {
        return None;
    }
    let columns: BTreeSet<usize> = changed
        .iter()
        .map(
            |&(id, element)| {
                if id == layer.weight { element as usize / layer.inputs } else { element as usize }
            },
        )
        .collect();
    let few = columns.len() <= COLUMNS;
    few.then(|| Folding { layer, table: embedding.table, columns: columns.into_iter().collect() })
}

/// The products of a table's rows with one output's weights, each field's rows with that field's weights.
struct Folded<'g> {
    layer: &'g Linear,
    column: usize,
    products: Vec<f32>,
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
        let slots = Kept::choose(graph, rows.len(), budget_bytes);
        let stride: usize = slots.iter().map(|slot| graph.widths()[*slot] * GROUPS).sum();
        if stride == 0 {
            return Ok(Kept::nothing(rows.len()));
        }
        let blocks = rows.len().div_ceil(BLOCK);
        let mut lanes = vec![[0.0; radhard_kernels::LANES]; blocks * stride];
        let pass = Pass::new(graph, self.parameters(), Kernels::detected());
        lanes.par_chunks_mut(stride).enumerate().for_each_init(
            || (Workspace::new(graph, BLOCK), [0.0; BLOCK]),
            |(workspace, logits), (block, mut lanes)| {
                let first = block * BLOCK;
                let rows = rows.slice(first..rows.len().min(first + BLOCK));
                pass.block(&rows, workspace, &mut logits[..rows.len()]);
                for slot in &slots {
                    let value = workspace.values.get(*slot);
                    let (own, rest) = lanes.split_at_mut(value.len());
                    own.copy_from_slice(value);
                    lanes = rest;
                }
            },
        );
        Ok(Kept { slots, lanes, stride, rows: rows.len() })
    }

    /// Evaluates all rows on the calling thread, where the overlay changes dense parameters alone: from what is kept.
    ///
    /// Rows of tables in the overlay are not read; [`Model::scores_of`] evaluates the rows that need them.
    ///
    /// # Numerics
    /// Bit for bit what a pass over all rows gives. A layer runs if one of its parameters changed or one of its inputs did;
    /// what else it reads is what the golden pass had.
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
        let rows = &evaluation.rows;
        assert_eq!(kept.rows, rows.len(), "values kept of other rows");
        let graph = self.graph();
        let route = Route::of(graph, kept, evaluation.overlay.dense_elements());
        let pass = Pass::dense_under(graph, self.parameters(), evaluation.overlay, evaluation.kernels);
        let folded: Vec<Folded<'_>> = route
            .steps
            .iter()
            .filter_map(|step| if let Step::Columns(folding) = step { Some(folding) } else { None })
            .flat_map(|folding| self.fold(folding, evaluation))
            .collect();
        out.logits.resize(rows.len(), 0.0);
        out.probabilities.resize(rows.len(), 0.0);
        let workspace = &mut worker.workspaces[0];
        let blocks = out.logits.chunks_mut(BLOCK).zip(out.probabilities.chunks_mut(BLOCK));
        for (block, (logits, probabilities)) in blocks.enumerate() {
            kept.load(block, &route.load, graph, workspace);
            let first = block * BLOCK;
            let rows = rows.slice(first..first + logits.len());
            pass.begin(&rows, workspace);
            for step in &route.steps {
                match step {
                    Step::Layer(layer) => pass.layer(*layer, &rows, workspace),
                    Step::Columns(folding) => {
                        for folded in folded.iter().filter(|folded| std::ptr::eq(folded.layer, folding.layer))
                        {
                            folded.run(&pass, workspace);
                        }
                    }
                }
            }
            pass.end(workspace, logits);
            pass.answers(logits, probabilities);
            canonical(logits, probabilities);
        }
    }

    /// What [`Model::scores_from`] costs under an overlay, in parts of a full pass; above 1 it saves nothing.
    pub fn suffix_cost(&self, kept: &Kept, overlay: &Overlay) -> f64 {
        let graph = self.graph();
        let full: f64 = graph.layers().iter().map(|layer| layer.ties().cost).sum();
        let route = Route::of(graph, kept, overlay.dense_elements());
        let foldings = route.steps.iter().filter_map(|step| match step {
            Step::Columns(folding) => Some(folding.columns.len()),
            Step::Layer(_) => None,
        });
        // Products of the whole table, per data row.
        let width = self.config().embed_dim as f64;
        let tables = self.config().table_rows() as f64 * (width * 0.06 + 1.0) / kept.rows.max(1) as f64;
        (route.cost + foldings.sum::<usize>() as f64 * tables) / full
    }

    fn fold<'g>(&'g self, folding: &Folding<'g>, evaluation: &Evaluation<'_>) -> Vec<Folded<'g>> {
        let layer = folding.layer;
        let (graph, kernels) = (self.graph(), evaluation.kernels);
        let weights = evaluation.overlay.dense(layer.weight);
        let weights = weights.unwrap_or_else(|| self.parameters()[layer.weight].f32s());
        let table: Table<'_> = folding.table.of(self.parameters().as_slice());
        let dims = &self.config().field_dims;
        let width = layer.inputs / dims.len();
        let total = self.config().table_rows();
        let mut values = vec![[0.0; radhard_kernels::LANES]; width * GROUPS];
        let mut out = [[0.0; radhard_kernels::LANES]; GROUPS];
        let mut ids = [0; BLOCK];
        folding
            .columns
            .iter()
            .map(|&column| {
                let row = &weights[column * layer.inputs..(column + 1) * layer.inputs];
                let mut products = vec![0.0; total];
                let fields = row.chunks_exact(width).zip(graph.offsets()).zip(dims);
                for ((weights, &first), &dim) in fields {
                    for from in (first..first + dim).step_by(BLOCK) {
                        let last = first + dim - 1;
                        for (at, id) in ids.iter_mut().enumerate() {
                            *id = last.min(from + at as u32);
                        }
                        kernels.gather(table, &ids, 0, width, &mut values);
                        kernels.linear(weights, &[], &values, width, &mut out);
                        let (from, used) = (from as usize, (last + 1 - from).min(BLOCK as u32) as usize);
                        products[from..from + used].copy_from_slice(&out.as_flattened()[..used]);
                    }
                }
                Folded { layer, column, products }
            })
            .collect()
    }
}

impl Folded<'_> {
    /// Redoes the column of one block.
    fn run(&self, pass: &Pass<'_>, workspace: &mut Workspace) {
        let Workspace { ids, values, looked_up, column } = workspace;
        looked_up.resize(ids.len() / radhard_kernels::LANES, [0.0; radhard_kernels::LANES]);
        column.resize(GROUPS, [0.0; radhard_kernels::LANES]);
        pass.kernels.gather(Table::F32(&self.products), ids, 0, 1, looked_up);
        let out = &mut values.get_mut(self.layer.output)[self.column * GROUPS..(self.column + 1) * GROUPS];
        pass.kernels.field_sum(looked_up, column);
        match self.layer.bias {
            Some(bias) => pass.kernels.add_number(column, pass.weights.f32s(bias)[self.column], out),
            None => out.copy_from_slice(column),
        }
    }
}

impl Kept {
    /// Puts the values of one block back.
    fn load(&self, block: usize, slots: &[Slot], graph: &Graph, workspace: &mut Workspace) {
        let mut lanes = &self.lanes[block * self.stride..(block + 1) * self.stride];
        for slot in &self.slots {
            let (own, rest) = lanes.split_at(graph.widths()[*slot] * GROUPS);
            if slots.contains(slot) {
                workspace.values.get_mut(*slot).copy_from_slice(own);
            }
            lanes = rest;
        }
    }
}
