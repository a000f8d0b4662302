//! Evaluation of some rows under an overlay, on the calling thread.

use radhard_data::{BagsView, RowsView};
use radhard_kernels::{Kernels, LANES};

use crate::model::Model;
use crate::overlay::Overlay;
use crate::pass::{Pass, Workspace};
use crate::scores::{BLOCK, Scores, canonical};

/// What an evaluation reads: rows, whose indices lie in their fields, and parameters under an overlay.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// The kernels; all give the same bits.
    pub kernels: Kernels,
    /// All rows.
    pub rows: RowsView<'a>,
    /// What reads otherwise than the model stores it.
    pub overlay: &'a Overlay,
}

/// Buffers of one thread, for one model.
pub struct Worker {
    /// A whole block, and one lane group for few rows.
    pub(crate) workspaces: [Workspace; 2],
    pub(crate) staged: Staged,
    /// Of each output that is redone, its products by table row.
    pub(crate) products: Vec<Vec<f32>>,
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
            products: Vec::new(),
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
        let pass = Pass::under(self.graph(), self.parameters(), evaluation.overlay, evaluation.kernels);
        let blocks = selected.chunks(BLOCK).zip(out.logits.chunks_mut(BLOCK));
        for ((selected, logits), probabilities) in blocks.zip(out.probabilities.chunks_mut(BLOCK)) {
            let workspace = &mut worker.workspaces[usize::from(selected.len() <= LANES)];
            let rows = worker.staged.gather(&evaluation.rows, selected);
            pass.block(&rows, workspace, logits);
            pass.answers(logits, probabilities);
            canonical(pass.kernels, [logits, probabilities]);
        }
    }
}
