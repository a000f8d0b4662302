//! Evaluation of some rows under an overlay, on the calling thread.

use radhard_data::{BagsView, RowsView};
use radhard_kernels::{Answered, Answers, Kernels, LANES};

use crate::apart::{Apart, ChangedRows};
use crate::graph::Slot;
use crate::layers::Weights;
use crate::model::Model;
use crate::overlay::Overlay;
use crate::pass::{Pass, Workspace, numeric_values, table_rows};
use crate::scores::{BLOCK, Scores};
use crate::units::{Derived, Unit, answer, terms};
use crate::watch::Watch;

/// What an evaluation reads: rows, whose indices lie in their fields, and parameters under an overlay.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// The kernels; all give the same bits.
    pub kernels: Kernels,
    /// All rows.
    pub rows: RowsView<'a>,
    /// What reads otherwise than the model stores it.
    pub overlay: &'a Overlay,
    /// What rows that lie apart may look up of the golden model, where it is at hand.
    pub apart: Option<&'a Apart>,
}

/// Buffers of one thread, for one model.
pub struct Worker {
    /// A whole block, and one lane group for few rows.
    pub(crate) workspaces: [Workspace; 2],
    pub(crate) staged: Staged,
    changed: ChangedRows,
    units: Vec<Unit>,
    terms: Vec<Slot>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// Rows that lie apart, brought together.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    indices: Vec<u32>,
    numeric: Vec<f32>,
    labels: Vec<u8>,
    bag_offsets: Vec<u64>,
    bag_indices: Vec<u32>,
}

impl Worker {
    /// Buffers for evaluations of a model.
    pub fn new(model: &Model) -> Self {
        Self {
            workspaces: [BLOCK, LANES].map(|rows| Workspace::new(model.graph(), rows)),
            staged: Staged::default(),
            changed: ChangedRows::default(),
            units: Unit::all(model.graph()),
            terms: terms(model.graph()),
        }
    }
}

impl Staged {
    pub(crate) fn gather(&mut self, rows: &RowsView<'_>, selected: &[u32]) -> RowsView<'_> {
        self.indices.clear();
        self.numeric.clear();
        self.labels.clear();
        self.bag_offsets.clear();
        self.bag_indices.clear();
        for &row in selected {
            let row = row as usize;
            self.indices.extend_from_slice(rows.indices_of(row));
            self.numeric.extend_from_slice(rows.numeric_of(row));
            self.labels.push(rows.labels[row]);
            if let Some(bags) = rows.bags {
                self.bag_offsets.push(self.bag_indices.len() as u64);
                self.bag_indices.extend_from_slice(bags.of(row));
            }
        }
        self.bag_offsets.push(self.bag_indices.len() as u64);
        RowsView {
            fields: rows.fields,
            numeric_width: rows.numeric_width,
            indices: &self.indices,
            numeric: &self.numeric,
            labels: &self.labels,
            bags: rows.bags.map(|_| BagsView { offsets: &self.bag_offsets, indices: &self.bag_indices }),
        }
    }
}

impl Model {
    /// Evaluates some rows on the calling thread: `out[i]` belongs to row `selected[i]`.
    ///
    /// # Numerics
    /// Bit for bit what a pass over all rows gives with the overlay written into the model: a row's scores depend on the row
    /// and the parameters alone.
    ///
    /// # Panics
    /// If there is no such row, or it has an index beyond its field.
    pub fn scores_of(
        &self,
        evaluation: &Evaluation<'_>,
        selected: &[u32],
        worker: &mut Worker,
        out: &mut Scores,
    ) {
        out.logits.resize(selected.len(), 0.0);
        out.probabilities.resize(selected.len(), 0.0);
        if selected.is_empty() {
            return;
        }
        let graph = self.graph();
        let Evaluation { kernels, rows, overlay, apart } = *evaluation;
        let weights = Weights::under(self.parameters(), overlay);
        let Worker { workspaces, staged, changed, units, terms } = worker;
        let ready: Vec<Derived<'_>> = units.iter().map(|unit| unit.derived(graph, weights)).collect();
        let apart = apart.filter(|_| !overlay.dense_changed());
        if let Some(apart) = apart {
            apart.begin(self, (kernels, overlay), changed);
        }
        // What is not looked up goes on as in a pass over all rows; no products pay for none.
        let pass = apart.map(|_| Pass::under(graph, self.parameters(), overlay, kernels));
        let onward = pass.as_ref().map(|pass| (pass, pass.steps(0, &Watch::nothing(graph))));
        let blocks = selected.chunks(BLOCK).zip(out.logits.chunks_mut(BLOCK));
        for ((selected, logits), probabilities) in blocks.zip(out.probabilities.chunks_mut(BLOCK)) {
            let workspace = &mut workspaces[usize::from(selected.len() <= LANES)];
            let rows = staged.gather(&rows, selected);
            let Workspace { ids, values, .. } = workspace;
            let apart =
                apart.filter(|apart| apart.look_up(self, (kernels, &ready), rows.indices, changed, values));
            if rows.bags.is_none() && apart.is_none_or(Apart::needs_ids) {
                table_rows(rows.indices, graph.offsets(), ids);
            }
            if let Some(slot) = graph.numeric() {
                numeric_values(rows.numeric, graph.config().numeric, values.get_mut(slot));
            }
            if let (Some(apart), Some((pass, steps))) = (apart, &onward) {
                for (_, step) in steps.all.iter().filter(|(_, step)| !apart.covers(step)) {
                    pass.step(step, &rows, workspace);
                }
            } else {
                for (unit, derived) in units.iter().zip(&ready) {
                    unit.forward(graph, (kernels, weights, derived), (&rows, ids), values);
                }
            }
            let values = &workspace.values;
            let mut answers =
                Answers { golden: &[], answers: probabilities, logits, counted: Answered::default() };
            answer(graph, kernels, (terms, None), values, &mut answers);
        }
        if apart.is_some() {
            Apart::end(changed);
        }
    }
}
