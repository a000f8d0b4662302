//! A block of a batch, and everything that is computed on it.

use std::io;
use std::sync::{Mutex, PoisonError};

use radhard_data::RowReader;
use radhard_kernels::{GlobalId, Kernels, LANES, TableRow};

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
    pub(super) rows: RowReader<'a>,
    pub(super) labels: &'a [u8],
    pub(super) order: &'a [u32],
}

/// The rows of one block.
pub(super) struct Loaded {
    /// Table rows `[F, R]`; padding repeats the last row.
    pub(super) ids: Vec<GlobalId>,
    pub(super) labels: Vec<u8>,
    pub(super) first_row: usize,
    /// One row, where rows are read one by one.
    row: (Vec<u32>, Vec<f32>),
    /// Why rows could not be read.
    pub(super) failed: Option<io::Error>,
}

impl Loaded {
    pub(super) fn new(graph: &Graph, place: usize) -> Self {
        Self {
            ids: vec![GlobalId::FIRST; graph.offsets().len() * CHUNK],
            labels: Vec::with_capacity(CHUNK),
            first_row: place * CHUNK,
            row: (vec![0; graph.offsets().len()], vec![0.0; graph.config().numeric]),
            failed: None,
        }
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
        kernels.prefetch_rows(batch.labels, order, 1);
        let read = self.read(kernels, graph, batch.rows, order, values);
        self.labels.clear();
        self.labels.extend(order.iter().map(|row| batch.labels[*row as usize]));
        let last = order.len() - 1;
        let pad = |column: &mut [GlobalId]| {
            let padding = column[last];
            column[last + 1..].fill(padding);
        };
        self.ids.chunks_exact_mut(CHUNK).for_each(pad);
        if let Some(slot) = graph.numeric() {
            for column in values.get_mut(slot).as_flattened_mut().chunks_exact_mut(CHUNK) {
                let padding = column[last];
                column[last + 1..].fill(padding);
            }
        }
        self.failed = read.err();
    }

    fn read(
        &mut self,
        kernels: Kernels,
        graph: &Graph,
        rows: RowReader<'_>,
        order: &[u32],
        values: &mut Values,
    ) -> io::Result<()> {
        let offsets = graph.offsets();
        let (fields, width) = (offsets.len(), graph.config().numeric);
        let mut none = [];
        let columns = graph.numeric().map_or(&mut none[..], |slot| values.get_mut(slot).as_flattened_mut());
        let memory = rows.in_memory();
        if let Some((indices, _)) = memory {
            kernels.prefetch_rows(indices, &order[..AHEAD.min(order.len())], fields);
        }
        for (place, &row) in order.iter().enumerate() {
            let at = row as usize;
            let (indices, numeric) = if let Some((indices, numeric)) = memory {
                if let Some(ahead) = order.get(place + AHEAD..=place + AHEAD) {
                    kernels.prefetch_rows(indices, ahead, fields);
                }
                (&indices[at * fields..(at + 1) * fields], &numeric[at * width..(at + 1) * width])
            } else {
                rows.read(at, &mut self.row.0, &mut self.row.1)?;
                (&self.row.0[..], &self.row.1[..])
            };
            for ((index, offset), ids) in indices.iter().zip(offsets).zip(self.ids.chunks_exact_mut(CHUNK)) {
                ids[place] = TableRow::new(*index).id(*offset);
            }
            for (value, column) in numeric.iter().zip(columns.chunks_exact_mut(CHUNK)) {
                column[place] = *value;
            }
        }
        Ok(())
    }
}

/// What is computed on one block.
pub(super) struct Chunk {
    pub(super) values: Values,
    pub(super) gradients: Gradients,
    /// The gradient of the linear layer that reads table rows, row-major, J rounded up to 16 with zeros.
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
        let sizes =
            graph.specs().iter().map(|s| if s.component == Component::Dense { s.elements() } else { 0 });
        let mut dense: Vec<Vec<f32>> = sizes.map(|elements| vec![0.0; elements]).collect();
        let mut slopes = Vec::new();
        if let Some(through) = schedule.rows.as_ref().and_then(|rows| rows.through.as_ref()) {
            dense[through.weight] = Vec::new();
            slopes = vec![0.0; CHUNK * through.stride()];
            if through.alone {
                tables[through.table] = Vec::new();
            }
        }
        Self {
            values: Values::new(&schedule.value_widths, CHUNK / LANES),
            gradients: Gradients {
                values: Values::new(&schedule.gradient_widths, CHUNK / LANES),
                dense,
                tables,
            },
            slopes,
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
