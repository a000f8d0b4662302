//! A block of a batch, and everything that is computed on it.

use std::sync::{Mutex, PoisonError};

use radhard_kernels::{Kernels, LANES};

use crate::graph::{Graph, Slot};
use crate::layers::{Block, Gradients, Values};
use crate::parameter::Component;
use crate::training::schedule::Schedule;

/// Rows of one block in training. It fixes the order of sums, and so the bits.
pub(super) const CHUNK: usize = 256;

/// Rows that are asked for ahead.
const AHEAD: usize = 16;

/// The training rows, and the order in which an epoch takes them.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) indices: &'a [u32],
    pub(super) numeric: &'a [f32],
    pub(super) labels: &'a [u8],
    pub(super) order: &'a [u32],
}

/// The rows of one block.
pub(super) struct Loaded {
    /// Table rows `[F, R]`, offsets included; padding repeats the last row.
    pub(super) ids: Vec<u32>,
    pub(super) labels: Vec<u8>,
    pub(super) first_row: usize,
}

impl Loaded {
    pub(super) fn new(graph: &Graph, place: usize) -> Self {
        let ids = vec![0; graph.offsets().len() * CHUNK];
        Self { ids, labels: Vec::with_capacity(CHUNK), first_row: place * CHUNK }
    }

    pub(super) fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Takes the rows of `order` from the batch, their numeric values straight into the block's.
    pub(super) fn load(
        &mut self,
        kernels: Kernels,
        graph: &Graph,
        batch: Batch<'_>,
        order: &[u32],
        values: &mut Values,
    ) {
        let offsets = graph.offsets();
        let fields = offsets.len();
        self.labels.clear();
        kernels.prefetch_rows(batch.labels, order, 1);
        kernels.prefetch_rows(batch.indices, &order[..AHEAD.min(order.len())], fields);
        for (place, &row) in order.iter().enumerate() {
            if let Some(ahead) = order.get(place + AHEAD..=place + AHEAD) {
                kernels.prefetch_rows(batch.indices, ahead, fields);
            }
            let row = row as usize;
            self.labels.push(batch.labels[row]);
            let indices = &batch.indices[row * fields..(row + 1) * fields];
            for ((index, offset), ids) in indices.iter().zip(offsets).zip(self.ids.chunks_exact_mut(CHUNK)) {
                ids[place] = index + offset;
            }
        }
        let last = order.len() - 1;
        for ids in self.ids.chunks_exact_mut(CHUNK) {
            let padding = ids[last];
            ids[last + 1..].fill(padding);
        }
        if let Some(slot) = graph.numeric() {
            let width = graph.config().numeric;
            let columns = values.get_mut(slot).as_flattened_mut().chunks_exact_mut(CHUNK);
            for (k, column) in columns.enumerate() {
                for (value, &row) in column.iter_mut().zip(order) {
                    *value = batch.numeric[row as usize * width + k];
                }
                let padding = column[last];
                column[last + 1..].fill(padding);
            }
        }
    }
}

/// What is computed on one block.
pub(super) struct Chunk {
    pub(super) values: Values,
    pub(super) gradients: Gradients,
    /// The gradient of the linear layer that reads table rows, [R, J] row-major.
    pub(super) slopes: Vec<f32>,
    pub(super) loss: f64,
}

impl Chunk {
    pub(super) fn new(graph: &Graph, schedule: &Schedule) -> Self {
        let fields = graph.offsets().len();
        let mut tables = vec![Vec::new(); graph.specs().len()];
        for table in graph.tables() {
            let reads = if table.shared { 1 } else { fields };
            tables[table.id.first] = vec![0.0; CHUNK * reads * table.width];
        }
        let of_dense = |s: &crate::TensorSpec| match s.component {
            Component::Dense => vec![0.0; s.elements()],
            _ => Vec::new(),
        };
        Self {
            values: Values::new(&schedule.value_widths, CHUNK / LANES),
            gradients: Gradients {
                values: Values::new(&schedule.gradient_widths, CHUNK / LANES),
                dense: graph.specs().iter().map(of_dense).collect(),
                tables,
            },
            slopes: Vec::new(),
            loss: 0.0,
        }
    }

    /// Loss and gradient of the logits, of a batch of `batch` rows.
    pub(super) fn start_backward(
        &mut self,
        kernels: Kernels,
        graph: &Graph,
        schedule: &Schedule,
        labels: &[u8],
        batch: usize,
    ) {
        for &slot in &schedule.cleared {
            self.gradients.values.get_mut(slot).fill([0.0; LANES]);
        }
        for dense in &mut self.gradients.dense {
            dense.fill(0.0);
        }
        let logits = self.values.get(graph.logit()).as_flattened();
        let slopes = self.gradients.values.get_mut(graph.logit()).as_flattened_mut();
        kernels.cross_entropy(logits, labels, 1.0 / batch as f64, slopes, &mut self.loss);
    }
}

/// Room for values that no block keeps, one for each that is at work.
#[derive(Default)]
pub(super) struct Room {
    blocks: Mutex<Vec<Block>>,
}

impl Room {
    /// Gives a value of a block room of `width` features; what it holds is left over.
    pub(super) fn lend(&self, values: &mut Values, slot: Slot, width: usize) {
        let kept = self.blocks.lock().unwrap_or_else(PoisonError::into_inner).pop();
        values.put(slot, kept.unwrap_or_else(|| Block::zeroed(width * values.groups())));
    }

    /// Takes it back.
    pub(super) fn return_from(&self, values: &mut Values, slot: Slot) {
        let block = values.take(slot);
        values.put(slot, Block::default());
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }
}
