//! Table gradients and their optimiser steps, without atomics: per field the rows of the batch are sorted by table
//! row, and every stretch of a table belongs to one task.

use std::sync::{Mutex, PoisonError};

use radhard_kernels::{AdamStep, GlobalId, Kernels, RowGradients, RowSlopes};
use rayon::prelude::*;

use crate::graph::{Graph, Table};
use crate::parameter::{Component, Parameters};
use crate::training::Optimizer;
use crate::training::chunk::{CHUNK, Chunk, Loaded};
use crate::training::optimizer::Moments;
use crate::training::schedule::Through;

/// Values of one task.
const STRETCH: usize = 1 << 14;

/// The reads of a batch: per field, table row (32 high bits) and batch row, sorted.
#[derive(Debug, Default)]
pub(super) struct Reads {
    fields: Vec<Vec<u64>>,
    /// One for each thread that sorts.
    rooms: Mutex<Vec<Room>>,
}

/// Room for sorting the reads of one field.
#[derive(Debug, Default)]
struct Room {
    reads: Vec<u64>,
    starts: Vec<u32>,
}

impl Reads {
    /// Sorts the reads of a batch.
    pub(super) fn sort(&mut self, graph: &Graph, loaded: &[Loaded]) {
        let offsets = graph.offsets();
        self.fields.resize_with(offsets.len(), Vec::new);
        let rooms = &self.rooms;
        let rooms = || rooms.lock().unwrap_or_else(PoisonError::into_inner);
        self.fields.par_iter_mut().enumerate().for_each(|(f, reads)| {
            reads.clear();
            for loaded in loaded {
                let ids = &loaded.ids[f * CHUNK..f * CHUNK + loaded.rows()];
                let first = loaded.first_row as u64;
                let row_of = |id: &GlobalId| u64::from(id.row(offsets[f]).get());
                reads.extend((first..).zip(ids).map(|(row, id)| (row_of(id) << 32) | row));
            }
            let mut room = rooms().pop().unwrap_or_default();
            sort(reads, &mut room, graph.config().field_dims[f]);
            rooms().push(room);
        });
    }
}

/// Sorts by the 32 high bits, keeping the order of equal ones; `limit` is above all of them.
fn sort(reads: &mut Vec<u64>, room: &mut Room, limit: u32) {
    const MOST_BITS: u32 = 13;
    let all_bits = u32::BITS - (limit - 1).leading_zeros();
    let bits = all_bits.div_ceil(all_bits.div_ceil(MOST_BITS).max(1));
    let Room { reads: spare, starts } = room;
    let mut shift = 0;
    while shift < all_bits {
        starts.clear();
        starts.resize(1 << bits, 0);
        let digit = |read: u64| (read >> (32 + shift)) as usize & ((1 << bits) - 1);
        for &read in &*reads {
            starts[digit(read)] += 1;
        }
        let mut next = 0;
        for start in &mut *starts {
            next += std::mem::replace(start, next);
        }
        spare.resize(reads.len(), 0);
        for &read in &*reads {
            let start = &mut starts[digit(read)];
            spare[*start as usize] = read;
            *start += 1;
        }
        std::mem::swap(reads, spare);
        shift += bits;
    }
}

/// What one task steps.
enum Task<'a> {
    /// A dense parameter: Σ over the blocks of its gradients comes first.
    Dense { parameter: usize, total: &'a mut [f32], values: Stepped<'a> },
    /// A stretch of rows of one table, all of one field.
    Stretch {
        table: Table,
        field: usize,
        /// Within the field.
        first_row: usize,
        values: Stepped<'a>,
    },
}

/// Weights and both moments.
struct Stepped<'a> {
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

/// One step on all parameters but state; `state` is (weights, moments, room for the sums of dense gradients).
pub(super) fn step(
    graph: &Graph,
    through: Option<&Through>,
    state: (&mut Parameters, &mut Moments, &mut [Vec<f32>]),
    (step, optimizer): (&AdamStep, Optimizer),
    reads: &Reads,
    chunks: &[Chunk],
) {
    let (parameters, moments, totals) = state;
    let dims = &graph.config().field_dims;
    let kernels = Kernels::detected();
    let gradients: Vec<Vec<&[f32]>> = (0..totals.len())
        .map(|parameter| chunks.iter().map(|chunk| &chunk.gradients.tables[parameter][..]).collect())
        .collect();
    let slopes: Vec<&[f32]> = chunks.iter().map(|chunk| &chunk.slopes[..]).collect();
    // The layer's weights as they were: rows are stepped by them, they by the rows.
    let layer_weights = through.map_or(Vec::new(), |through| parameters[through.weight].f32s().to_vec());
    let mut last = None;
    let mut tasks = Vec::new();
    let tensors = parameters.iter_mut().zip(&mut moments.first).zip(&mut moments.second);
    for (parameter, (((tensor, first), second), total)) in tensors.zip(totals).enumerate() {
        if tensor.component() == Component::State {
            continue;
        }
        let (mut weights, mut first, mut second) = (tensor.f32s_mut(), &mut first[..], &mut second[..]);
        let Some(&table) = graph.tables().iter().find(|t| t.id.first == parameter) else {
            let values = Stepped { weights, first, second };
            if through.is_some_and(|through| through.weight == parameter) {
                last = Some((total, values));
            } else {
                tasks.push(Task::Dense { parameter, total, values });
            }
            continue;
        };
        let stretch = (STRETCH / table.width).max(1);
        for (field, &dim) in dims.iter().enumerate().filter(|(f, _)| table.field.is_none_or(|own| own == *f))
        {
            for first_row in (0..dim as usize).step_by(stretch) {
                let len = stretch.min(dim as usize - first_row) * table.width;
                let parts =
                    (weights.split_off_mut(..len), first.split_off_mut(..len), second.split_off_mut(..len));
                let (Some(weights), Some(first), Some(second)) = parts else { continue };
                let values = Stepped { weights, first, second };
                tasks.push(Task::Stretch { table, field, first_row, values });
            }
        }
    }
    let every = optimizer == Optimizer::Adam;
    let stretch = |table: Table, field: usize, first_row: usize, values: Stepped<'_>| {
        let Stepped { weights, first, second } = values;
        let shared =
            RowGradients { blocks: &gradients[table.id.first], rows: CHUNK, stride: table.width, start: 0 };
        let by_field =
            RowGradients { stride: dims.len() * table.width, start: field * table.width, ..shared };
        let gradients = if table.shared { shared } else { by_field };
        let all = &reads.fields[field];
        let until = |row: usize| all.partition_point(|&read| ((read >> 32) as usize) < row);
        let some = &all[until(first_row)..until(first_row + weights.len() / table.width)];
        let stretch = (weights, first, second, first_row);
        let Some(through) = through.filter(|through| through.table == table.id.first) else {
            kernels.row_step(step, every, &gradients, some, table.width, stretch);
            return Vec::new();
        };
        let slopes = RowSlopes {
            blocks: &slopes,
            rows: CHUNK,
            weights: &layer_weights,
            inputs: through.inputs,
            start: field * table.width,
        };
        let sources = ((!through.alone).then_some(&gradients), &slopes);
        let read = !some.is_empty();
        let mut dw = vec![0.0; layer_weights.len() / through.inputs * table.width];
        kernels.row_step_through((step, every), sources, some, table.width, stretch, &mut dw);
        if read { dw } else { Vec::new() }
    };
    // In the order of the tasks: what rows of a field add to the gradient of the layer's weights.
    let parts: Vec<(usize, Vec<f32>)> = tasks
        .into_par_iter()
        .map(|task| match task {
            Task::Dense { parameter, total, values: Stepped { weights, first, second } } => {
                total.fill(0.0);
                for chunk in chunks {
                    for (sum, g) in total.iter_mut().zip(&chunk.gradients.dense[parameter]) {
                        *sum += g;
                    }
                }
                kernels.adam(step, total, weights, first, second);
                (0, Vec::new())
            }
            Task::Stretch { table, field, first_row, values } => {
                (field, stretch(table, field, first_row, values))
            }
        })
        .collect();
    if let (Some(through), Some((total, Stepped { weights, first, second }))) = (through, last) {
        total.fill(0.0);
        let width = through.inputs / dims.len();
        for (field, part) in &parts {
            let start = field * width;
            for (total, part) in total.chunks_exact_mut(through.inputs).zip(part.chunks_exact(width)) {
                for (sum, g) in total[start..start + width].iter_mut().zip(part) {
                    *sum += g;
                }
            }
        }
        kernels.adam(step, total, weights, first, second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sort_is_stable_and_complete() {
        for limit in [1u32, 2, 2048, 2049, 5_000_000, u32::MAX] {
            let mut reads: Vec<u64> = (0..3000u64)
                .map(|row| (((row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % u64::from(limit)) << 32) | row)
                .collect();
            let mut expected = reads.clone();
            expected.sort_unstable();
            sort(&mut reads, &mut Room::default(), limit);
            assert_eq!(reads, expected, "{limit}");
        }
    }
}
