//! Table gradients and their optimiser steps, without atomics: per field the rows of the batch are sorted by table
//! row, and every stretch of a table belongs to one task.

use radhard_kernels::{AdamStep, Kernels};
use rayon::prelude::*;

use crate::graph::{Graph, Table};
use crate::parameter::Parameters;
use crate::training::Optimizer;
use crate::training::batch::{CHUNK, Chunk};
use crate::training::optimizer::Moments;

/// Table rows of one task.
const STRETCH: usize = 4096;

/// The reads of a batch: per field, table row (32 high bits) and batch row, sorted.
#[derive(Debug, Default)]
pub(super) struct Reads {
    fields: Vec<Vec<u64>>,
    spare: Vec<Vec<u64>>,
}

impl Reads {
    /// Sorts the reads of a batch of `rows` rows.
    pub(super) fn sort(&mut self, graph: &Graph, chunks: &[Chunk]) {
        let offsets = graph.offsets();
        self.fields.resize_with(offsets.len(), Vec::new);
        self.spare.resize_with(offsets.len(), Vec::new);
        self.fields.par_iter_mut().zip(&mut self.spare).enumerate().for_each(|(f, (reads, spare))| {
            reads.clear();
            for chunk in chunks {
                let ids = &chunk.ids[f * CHUNK..f * CHUNK + chunk.rows];
                let first = chunk.first_row as u64;
                reads.extend((first..).zip(ids).map(|(row, &id)| (u64::from(id - offsets[f]) << 32) | row));
            }
            sort(reads, spare, graph.config().field_dims[f]);
        });
    }
}

/// Sorts by the 32 high bits, keeping the order of equal ones; `limit` is above all of them.
fn sort(reads: &mut Vec<u64>, spare: &mut Vec<u64>, limit: u32) {
    const BITS: u32 = 11;
    let mut shift = 0;
    while shift < 32 && (limit - 1) >> shift > 0 {
        let mut starts = [0u32; 1 << BITS];
        let digit = |read: u64| (read >> (32 + shift)) as usize & ((1 << BITS) - 1);
        for &read in &*reads {
            starts[digit(read)] += 1;
        }
        let mut next = 0;
        for start in &mut starts {
            next += std::mem::replace(start, next);
        }
        spare.resize(reads.len(), 0);
        for &read in &*reads {
            let start = &mut starts[digit(read)];
            spare[*start as usize] = read;
            *start += 1;
        }
        std::mem::swap(reads, spare);
        shift += BITS;
    }
}

/// A stretch of rows of one table, all of one field.
struct Task<'a> {
    table: Table,
    field: usize,
    /// Within the field.
    first_row: usize,
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

/// One step on all tables.
pub(super) fn step(
    graph: &Graph,
    parameters: &mut Parameters,
    moments: &mut Moments,
    step: &AdamStep,
    optimizer: Optimizer,
    reads: &Reads,
    chunks: &[Chunk],
) {
    let dims = &graph.config().field_dims;
    let mut tasks = Vec::new();
    let tensors = parameters.iter_mut().zip(&mut moments.first).zip(&mut moments.second);
    for (parameter, ((tensor, first), second)) in tensors.enumerate() {
        let Some(&table) = graph.tables().iter().find(|t| t.id.first == parameter) else { continue };
        let (mut weights, mut first, mut second) = (tensor.f32s_mut(), &mut first[..], &mut second[..]);
        for (field, &dim) in dims.iter().enumerate().filter(|(f, _)| table.field.is_none_or(|own| own == *f))
        {
            for first_row in (0..dim as usize).step_by(STRETCH) {
                let len = STRETCH.min(dim as usize - first_row) * table.width;
                let parts =
                    (weights.split_off_mut(..len), first.split_off_mut(..len), second.split_off_mut(..len));
                let (Some(w), Some(m), Some(v)) = parts else { continue };
                tasks.push(Task { table, field, first_row, weights: w, first: m, second: v });
            }
        }
    }
    let kernels = Kernels::detected();
    tasks.into_par_iter().for_each(|task| task.run(kernels, step, optimizer, &reads.fields, chunks));
}

impl Task<'_> {
    fn run(
        self,
        kernels: Kernels,
        step: &AdamStep,
        optimizer: Optimizer,
        reads: &[Vec<u64>],
        chunks: &[Chunk],
    ) {
        let fields = reads.len();
        let width = self.table.width;
        let reads = &reads[self.field];
        let rows = self.weights.len() / width;
        let until = |row: usize| reads.partition_point(|&read| ((read >> 32) as usize) < row);
        let mut reads = &reads[until(self.first_row)..until(self.first_row + rows)];
        let gradient_of = |read: u64| {
            let row = read as u32 as usize;
            let gradients = &chunks[row / CHUNK].gradients.tables[self.table.id.first];
            let at = if self.table.shared { row % CHUNK } else { (row % CHUNK) * fields + self.field };
            &gradients[at * width..(at + 1) * width]
        };
        let local = |read: u64| (read >> 32) as usize - self.first_row;
        if width < 8 && optimizer == Optimizer::Adam {
            let mut gradient = vec![0.0; rows * width];
            for &read in reads {
                let row = local(read);
                for (sum, g) in gradient[row * width..(row + 1) * width].iter_mut().zip(gradient_of(read)) {
                    *sum += g;
                }
            }
            kernels.adam(step, &gradient, self.weights, self.first, self.second);
            return;
        }
        let mut gradient = vec![0.0; width];
        let mut done = 0;
        let (w, m, v) = (self.weights, self.first, self.second);
        let idle = |from: usize, to: usize, w: &mut [f32], m: &mut [f32], v: &mut [f32]| {
            if optimizer == Optimizer::Adam && from < to {
                let range = from * width..to * width;
                kernels.adam_idle(step, &mut w[range.clone()], &mut m[range.clone()], &mut v[range]);
            }
        };
        while let Some(&first) = reads.first() {
            let row = local(first);
            let same = reads.iter().take_while(|&&read| local(read) == row).count();
            gradient.copy_from_slice(gradient_of(first));
            for &read in &reads[1..same] {
                for (sum, g) in gradient.iter_mut().zip(gradient_of(read)) {
                    *sum += g;
                }
            }
            reads = &reads[same..];
            idle(done, row, w, m, v);
            let range = row * width..(row + 1) * width;
            kernels.adam(step, &gradient, &mut w[range.clone()], &mut m[range.clone()], &mut v[range]);
            done = row + 1;
        }
        idle(done, rows, w, m, v);
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
            sort(&mut reads, &mut Vec::new(), limit);
            assert_eq!(reads, expected, "{limit}");
        }
    }
}
