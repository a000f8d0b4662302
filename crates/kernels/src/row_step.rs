//! The optimiser's step on a stretch of a table, from the gradients of the data rows that read it.

use crate::adam::{AdamStep, update};
use crate::gather::fetch;
use crate::lanes::{LANES, Lane, Lanes};
use crate::row_gradient::lane_mut;

/// Reads that are asked for ahead.
const AHEAD: usize = 8;

/// The gradients of a batch's data rows for one field of a table, as they lie in the blocks of the batch.
#[derive(Debug, Clone, Copy)]
pub struct RowGradients<'a> {
    /// Row-major gradients of each block.
    pub blocks: &'a [&'a [f32]],
    /// Data rows of a block.
    pub rows: usize,
    /// Values from one data row to the next.
    pub stride: usize,
    /// Values before the field's in a data row.
    pub start: usize,
}

impl RowGradients<'_> {
    /// Block and place of what the data row of a read has.
    #[inline(always)]
    fn place(&self, read: u64) -> (usize, usize) {
        let row = read as u32 as usize;
        (row / self.rows, row % self.rows * self.stride + self.start)
    }
}

/// The table row of a read, within the stretch.
#[inline(always)]
fn local(read: u64, first_row: usize) -> usize {
    (read >> 32) as usize - first_row
}

/// A stretch of a table with its moments, and the first of its rows within the field.
type Stretch<'a> = (&'a mut [f32], &'a mut [f32], &'a mut [f32], usize);

#[inline(always)]
fn row_step<L: Lanes>(
    step: &AdamStep,
    every: bool,
    gradients: &RowGradients<'_>,
    reads: &[u64],
    width: usize,
    (w, m, v, first_row): Stretch<'_>,
) {
    let rows = w.len() / width;
    if !width.is_multiple_of(LANES) {
        return narrow(step, every, gradients, reads, width, (w, m, v, first_row));
    }
    let (mut done, mut i) = (0, 0);
    while i < reads.len() {
        let row = local(reads[i], first_row);
        let mut end = i + 1;
        while end < reads.len() && local(reads[end], first_row) == row {
            end += 1;
        }
        for &ahead in reads[(i + AHEAD).min(reads.len())..].iter().take(end - i) {
            let (block, at) = gradients.place(ahead);
            fetch(&gradients.blocks[block][at..], 0, width);
            if !every {
                let row = local(ahead, first_row);
                for array in [&*w, &*m, &*v] {
                    fetch(array, row, width);
                }
            }
        }
        if every {
            idle(step, done * width..row * width, w, m, v);
        }
        for d in (0..width).step_by(LANES) {
            let of = |read: u64| {
                let (block, at) = gradients.place(read);
                let lanes = &gradients.blocks[block][at + d..at + d + LANES];
                L::load(lanes.try_into().expect("the slice has this length"))
            };
            let mut sum = of(reads[i]);
            for &read in &reads[i + 1..end] {
                sum = sum.add(of(read));
            }
            let mut gradient = [0.0; LANES];
            sum.store(&mut gradient);
            let at = row * width + d;
            update_lane(step, &gradient, lane_mut(w, at), lane_mut(m, at), lane_mut(v, at));
        }
        done = row + 1;
        i = end;
    }
    if every {
        idle(step, done * width..rows * width, w, m, v);
    }
}

/// A step on rows that nobody reads; they fill whole lanes.
#[inline(always)]
fn idle(step: &AdamStep, range: std::ops::Range<usize>, w: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    for at in range.step_by(LANES) {
        update_lane(step, &[0.0; LANES], lane_mut(w, at), lane_mut(m, at), lane_mut(v, at));
    }
}

/// A loop of fixed length becomes vector code however short the stretch is.
#[inline(always)]
fn update_lane(step: &AdamStep, gradient: &Lane, w: &mut Lane, m: &mut Lane, v: &mut Lane) {
    for i in 0..LANES {
        update(step, gradient[i], &mut w[i], &mut m[i], &mut v[i]);
    }
}

/// Rows that fill no lane: the gradients of those that are stepped are summed side by side first.
#[inline(always)]
fn narrow(
    step: &AdamStep,
    every: bool,
    gradients: &RowGradients<'_>,
    reads: &[u64],
    width: usize,
    (w, m, v, first_row): Stretch<'_>,
) {
    let mut sums = vec![0.0; if every { w.len() } else { 0 }];
    let mut rows = Vec::new();
    let mut i = 0;
    while i < reads.len() {
        let row = local(reads[i], first_row);
        let start = if every { row * width } else { sums.len() };
        if !every {
            rows.push(row);
            sums.resize(start + width, 0.0);
        }
        while i < reads.len() && local(reads[i], first_row) == row {
            let (block, at) = gradients.place(reads[i]);
            for (sum, g) in sums[start..].iter_mut().zip(&gradients.blocks[block][at..at + width]) {
                *sum += g;
            }
            i += 1;
        }
    }
    if every {
        steps(step, &sums, w, m, v);
        return;
    }
    let mut some = [&*w, &*m, &*v].map(|array| {
        let mut some = Vec::with_capacity(sums.len());
        for &row in &rows {
            some.extend((0..width).map(|d| array[row * width + d]));
        }
        some
    });
    let [some_w, some_m, some_v] = &mut some;
    steps(step, &sums, some_w, some_m, some_v);
    for (array, some) in [w, m, v].into_iter().zip(&some) {
        for (row, values) in rows.iter().zip(some.chunks_exact(width)) {
            for (d, &value) in values.iter().enumerate() {
                array[row * width + d] = value;
            }
        }
    }
}

#[inline(always)]
fn steps(step: &AdamStep, gradient: &[f32], w: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    for (((g, w), m), v) in gradient.iter().zip(w).zip(m).zip(v) {
        update(step, *g, w, m, v);
    }
}

kernels! {
    /// One step on a stretch of a table: rows that are read get the sum of their reads' gradients, in their order; all
    /// others a gradient of zero if `every` is set, and nothing else.
    ///
    /// # Shapes
    /// `reads`, sorted: table row within the field (32 high bits) and data row within the batch; `stretch` = (weights,
    /// moments, [n, width] each, the field's row that is its first).
    ///
    /// # Numerics
    /// Sums from left to right; then as [`Kernels::adam`](crate::Kernels::adam).
    ///
    /// # Panics
    /// If a read is outside the stretch, or a gradient outside its block.
    pub fn row_step(
        step: &AdamStep,
        every: bool,
        gradients: &RowGradients<'_>,
        reads: &[u64],
        width: usize,
        stretch: (&mut [f32], &mut [f32], &mut [f32], usize),
    ) = row_step;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    #[test]
    fn rows_are_stepped_by_the_sums_of_their_reads_on_every_path() {
        let step = AdamStep::at(3, 1e-3, 1e-6, (0.9, 0.999), 1e-8);
        for width in [1, 3, 16, 32] {
            let (rows, first_row, fields, field, block) = (9, 20, 2, 1, 4);
            let stride = width * fields;
            let number = |i: usize| ((i * 7919) % 1999) as f32 / 500.0 - 2.0;
            let all: Vec<f32> = (0..12 * stride).map(number).collect();
            let blocks: Vec<&[f32]> = all.chunks(block * stride).collect();
            let gradients = RowGradients { blocks: &blocks, rows: block, stride, start: field * width };
            let reads: Vec<u64> = [(1u64, 0u64), (1, 5), (1, 11), (4, 2), (8, 3)]
                .map(|(row, data)| (row + 20) << 32 | data)
                .into();
            for every in [false, true] {
                let start: Vec<f32> = (0..rows * width).map(|i| number(i + 5)).collect();
                let moments: Vec<f32> = start.iter().map(|x| x.abs()).collect();
                let (mut w, mut m, mut v) = (start.clone(), start.clone(), moments.clone());
                for row in 0..rows {
                    let mine = reads.iter().filter(|read| local(**read, first_row) == row);
                    let data: Vec<usize> = mine.map(|read| *read as u32 as usize).collect();
                    for d in 0..width {
                        let of = |data: usize| all[data * stride + field * width + d];
                        let sum = data.iter().map(|data| of(*data)).reduce(|a, b| a + b);
                        if every || sum.is_some() {
                            let at = row * width + d;
                            update(&step, sum.unwrap_or(0.0), &mut w[at], &mut m[at], &mut v[at]);
                        }
                    }
                }
                for &path in Path::available() {
                    let mut found = (start.clone(), start.clone(), moments.clone());
                    let stretch = (&mut found.0[..], &mut found.1[..], &mut found.2[..], first_row);
                    Kernels::on(path).unwrap().row_step(&step, every, &gradients, &reads, width, stretch);
                    assert_eq!(found, (w.clone(), m.clone(), v.clone()), "{width} wide on {path}");
                }
            }
        }
    }
}
