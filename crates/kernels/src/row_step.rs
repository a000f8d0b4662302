//! The optimiser's step on a stretch of a table, from what the data rows that read it have for it.

use crate::adam::{AdamStep, update};
use crate::gather::{cache, fetch};
use crate::lanes::{LANES, Lane, Lanes};

/// Reads that are asked for ahead.
const AHEAD: usize = 8;

/// Table rows that are taken together.
const STAGED: usize = 32;

/// Chains of a sum over many slopes.
const CHAINS: usize = 4;

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

/// A linear layer on the concatenated table rows, and the gradients of its results.
#[derive(Debug, Clone, Copy)]
pub struct RowSlopes<'a> {
    /// Row-major gradients of the layer's results in each block: from one data row to the next J, rounded up to 16, with
    /// zeros behind the J of them.
    pub blocks: &'a [&'a [f32]],
    /// Data rows of a block.
    pub rows: usize,
    /// `[J, K]`.
    pub weights: &'a [f32],
    /// K.
    pub inputs: usize,
    /// The first input that belongs to the field.
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

impl RowSlopes<'_> {
    /// J.
    #[inline(always)]
    fn outputs(&self) -> usize {
        self.weights.len() / self.inputs
    }

    #[inline(always)]
    fn stride(&self) -> usize {
        self.outputs().next_multiple_of(LANES)
    }

    #[inline(always)]
    fn lane<L: Lanes>(&self, read: u64, j: usize) -> L {
        let row = read as u32 as usize;
        L::load(lane(self.blocks[row / self.rows], row % self.rows * self.stride() + j))
    }
}

/// Sixteen neighbouring values from `at` on.
#[inline(always)]
fn lane(x: &[f32], at: usize) -> &Lane {
    x[at..at + LANES].try_into().expect("the slice has this length")
}

#[inline(always)]
fn lane_mut(x: &mut [f32], at: usize) -> &mut Lane {
    (&mut x[at..at + LANES]).try_into().expect("the slice has this length")
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
    stretch: Stretch<'_>,
) {
    if width.is_multiple_of(LANES) {
        wide::<L>(step, every, (Some(gradients), None), reads, width, stretch, &mut []);
    } else {
        narrow(step, every, gradients, reads, width, stretch);
    }
}

#[inline(always)]
fn row_step_through<L: Lanes>(
    (step, every): (&AdamStep, bool),
    (gradients, slopes): (Option<&RowGradients<'_>>, &RowSlopes<'_>),
    reads: &[u64],
    width: usize,
    stretch: Stretch<'_>,
    dw: &mut [f32],
) {
    assert!(width.is_multiple_of(LANES), "rows of whole lanes");
    assert_eq!(dw.len(), slopes.outputs() * width, "weights of one field");
    wide::<L>(step, every, (gradients, Some(slopes)), reads, width, stretch, dw);
}

/// Rows that fill whole lanes.
#[inline(always)]
fn wide<L: Lanes>(
    step: &AdamStep,
    every: bool,
    (gradients, slopes): (Option<&RowGradients<'_>>, Option<&RowSlopes<'_>>),
    reads: &[u64],
    width: usize,
    (w, m, v, first_row): Stretch<'_>,
    dw: &mut [f32],
) {
    let slope_width = slopes.map_or(0, RowSlopes::stride);
    let mut staged = Staged {
        rows: [0; STAGED],
        count: 0,
        slopes: vec![0.0; STAGED * slope_width],
        gradients: vec![0.0; STAGED * width],
    };
    let (mut done, mut i) = (0, 0);
    while i < reads.len() {
        let row = local(reads[i], first_row);
        let mut end = i + 1;
        while end < reads.len() && local(reads[end], first_row) == row {
            end += 1;
        }
        for &ahead in reads[(i + AHEAD).min(reads.len())..].iter().take(end - i) {
            if let Some(gradients) = gradients {
                let (block, at) = gradients.place(ahead);
                fetch::<{ cache::FIRST }, _>(&gradients.blocks[block][at..], 0, width);
            }
            if !every {
                let row = local(ahead, first_row);
                for array in [&*w, &*m, &*v] {
                    fetch::<{ cache::FIRST }, _>(array, row, width);
                }
            }
        }
        let n = staged.count;
        for d in (0..width).step_by(LANES) {
            let mut sum = L::splat(0.0);
            if let Some(gradients) = gradients {
                let of = |read: u64| {
                    let (block, at) = gradients.place(read);
                    L::load(lane(gradients.blocks[block], at + d))
                };
                sum = of(reads[i]);
                for &read in &reads[i + 1..end] {
                    sum = sum.add(of(read));
                }
            }
            sum.store(lane_mut(&mut staged.gradients, n * width + d));
        }
        if let Some(slopes) = slopes {
            for j in (0..slope_width).step_by(LANES) {
                let sum = slope_sum::<L>(slopes, &reads[i..end], j);
                sum.store(lane_mut(&mut staged.slopes, n * slope_width + j));
            }
        }
        staged.rows[n] = row;
        staged.count += 1;
        i = end;
        if staged.count == STAGED || i == reads.len() {
            if let Some(slopes) = slopes {
                staged.through::<L>(slopes, width, w, dw);
            }
            for (n, &row) in staged.rows[..staged.count].iter().enumerate() {
                if every {
                    idle(step, done * width..row * width, w, m, v);
                }
                for d in (0..width).step_by(LANES) {
                    let (gradient, at) = (lane(&staged.gradients, n * width + d), row * width + d);
                    update_lane(step, gradient, lane_mut(w, at), lane_mut(m, at), lane_mut(v, at));
                }
                done = row + 1;
            }
            staged.count = 0;
        }
    }
    if every {
        idle(step, done * width..w.len(), w, m, v);
    }
}

/// The sum of some reads' slopes: read i goes to chain i mod 4, then the chains are added pair by pair.
#[inline(always)]
fn slope_sum<L: Lanes>(slopes: &RowSlopes<'_>, reads: &[u64], j: usize) -> L {
    if let [read] = *reads {
        return slopes.lane(read, j);
    }
    let mut sums = [L::splat(0.0); CHAINS];
    let (whole, rest) = reads.as_chunks::<CHAINS>();
    for reads in whole {
        for (sum, &read) in sums.iter_mut().zip(reads) {
            *sum = sum.add(slopes.lane(read, j));
        }
    }
    for (sum, &read) in sums.iter_mut().zip(rest) {
        *sum = sum.add(slopes.lane(read, j));
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

/// Table rows that are read, with the sums of their reads.
struct Staged {
    rows: [usize; STAGED],
    count: usize,
    /// Of the layer's results, [n, J rounded up].
    slopes: Vec<f32>,
    /// Of the rows' values, [n, D].
    gradients: Vec<f32>,
}

/// Goes through the outputs in blocks of 16, 4 and 1.
macro_rules! by_outputs {
    ($outputs:expr, $j:ident, $OUT:ident => $body:expr) => {{
        let mut $j = 0;
        while L::WIDE && $j + 16 <= $outputs {
            const $OUT: usize = 16;
            $body;
            $j += $OUT;
        }
        while $j + 4 <= $outputs {
            const $OUT: usize = 4;
            $body;
            $j += $OUT;
        }
        while $j < $outputs {
            const $OUT: usize = 1;
            $body;
            $j += $OUT;
        }
    }};
}

impl Staged {
    /// Adds slope · row to the gradients of the layer's weights, and weight · slope to those of the rows.
    #[inline(always)]
    fn through<L: Lanes>(&mut self, slopes: &RowSlopes<'_>, width: usize, w: &[f32], dw: &mut [f32]) {
        let outputs = slopes.outputs();
        for d in (0..width).step_by(LANES) {
            by_outputs!(outputs, j, OUT => {
                self.weights_of::<L, OUT>(slopes.stride(), (width, d), j, w, dw);
            });
            by_outputs!(outputs, j, OUT => {
                self.rows_of::<L, OUT>(slopes, (width, d), j);
            });
        }
    }

    #[inline(always)]
    fn weights_of<L: Lanes, const OUT: usize>(
        &self,
        stride: usize,
        (width, d): (usize, usize),
        j: usize,
        w: &[f32],
        dw: &mut [f32],
    ) {
        let mut sums: [L; OUT] = std::array::from_fn(|o| L::load(lane(dw, (j + o) * width + d)));
        for (n, &row) in self.rows[..self.count].iter().enumerate() {
            let x = L::load(lane(w, row * width + d));
            let slopes = self.slopes_of::<OUT>(n * stride + j);
            for o in 0..OUT {
                sums[o] = x.fma(L::splat(slopes[o]), sums[o]);
            }
        }
        for (o, sum) in sums.into_iter().enumerate() {
            sum.store(lane_mut(dw, (j + o) * width + d));
        }
    }

    #[inline(always)]
    fn rows_of<L: Lanes, const OUT: usize>(
        &mut self,
        slopes: &RowSlopes<'_>,
        (width, d): (usize, usize),
        j: usize,
    ) {
        let weight = |o: usize| L::load(lane(slopes.weights, (j + o) * slopes.inputs + slopes.start + d));
        let weights: [L; OUT] = std::array::from_fn(weight);
        let mut n = 0;
        while n + CHAINS <= self.count {
            self.some_rows_of::<L, OUT, CHAINS>(&weights, slopes.stride(), (width, d), j, n);
            n += CHAINS;
        }
        for n in n..self.count {
            self.some_rows_of::<L, OUT, 1>(&weights, slopes.stride(), (width, d), j, n);
        }
    }

    #[inline(always)]
    fn some_rows_of<L: Lanes, const OUT: usize, const N: usize>(
        &mut self,
        weights: &[L; OUT],
        stride: usize,
        (width, d): (usize, usize),
        j: usize,
        first: usize,
    ) {
        let mut sums: [L; N] =
            std::array::from_fn(|n| L::load(lane(&self.gradients, (first + n) * width + d)));
        let slopes: [&[f32; OUT]; N] =
            std::array::from_fn(|n| self.slopes_of::<OUT>((first + n) * stride + j));
        for o in 0..OUT {
            for n in 0..N {
                sums[n] = weights[o].fma(L::splat(slopes[n][o]), sums[n]);
            }
        }
        for (n, sum) in sums.into_iter().enumerate() {
            sum.store(lane_mut(&mut self.gradients, (first + n) * width + d));
        }
    }

    #[inline(always)]
    fn slopes_of<const OUT: usize>(&self, at: usize) -> &[f32; OUT] {
        self.slopes[at..at + OUT].try_into().expect("the slice has this length")
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

    /// As [`row_step`](crate::Kernels::row_step) for rows of whole lanes that a linear layer reads: its part of their
    /// gradients is taken from the gradients of its results, and that of its weights is added to `dw`.
    ///
    /// # Shapes
    /// `step` = (constants, `every`); `sources` = (the part of the gradients that does not come through the layer, the layer); `dw` `[J, D]`: the layer's
    /// weights for the field.
    ///
    /// # Numerics
    /// All reads of a table row share its values, so their slopes are summed first: read i goes to chain i mod 4, the
    /// chains are added pair by pair. Then dw ← fma(row, slope, dw) over the table rows in their order, before they are
    /// stepped; and the row's gradient is one fma chain over the outputs, from the sum of `sources.0`.
    ///
    /// # Panics
    /// As [`row_step`](crate::Kernels::row_step); and if a row does not fill whole lanes, or `dw` has another size.
    pub fn row_step_through(
        step: (&AdamStep, bool),
        sources: (Option<&RowGradients<'_>>, &RowSlopes<'_>),
        reads: &[u64],
        width: usize,
        stretch: (&mut [f32], &mut [f32], &mut [f32], usize),
        dw: &mut [f32],
    ) = row_step_through;
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

    #[test]
    fn rows_are_stepped_through_a_linear_layer_on_every_path() {
        let step = AdamStep::at(3, 1e-3, 1e-6, (0.9, 0.999), 1e-8);
        let number = |i: usize| ((i * 7919) % 1999) as f32 / 500.0 - 2.0;
        for (width, outputs, data_rows) in
            [(16, 16, 90), (16, 1, 3), (32, 21, 200), (16, 7, 40), (16, 36, 64)]
        {
            let (rows, first_row, fields, field, block) = (60, 20, 2, 1, 32);
            let (inputs, stride) = (width * fields, outputs_stride(outputs));
            let weights: Vec<f32> = (0..outputs * inputs).map(|i| number(i + 3)).collect();
            let mut slopes = vec![0.0; data_rows * stride];
            for (i, slope) in slopes.iter_mut().enumerate().filter(|(i, _)| i % stride < outputs) {
                *slope = number(i + 11);
            }
            let slope_blocks: Vec<&[f32]> = slopes.chunks(block * stride).collect();
            let layer = RowSlopes {
                blocks: &slope_blocks,
                rows: block,
                weights: &weights,
                inputs,
                start: field * width,
            };
            let more: Vec<f32> = (0..data_rows * inputs).map(|i| number(i + 17)).collect();
            let more_blocks: Vec<&[f32]> = more.chunks(block * inputs).collect();
            let gradients =
                RowGradients { blocks: &more_blocks, rows: block, stride: inputs, start: field * width };
            // Row 7 is read often, others once or never.
            let mut reads: Vec<u64> = (0..data_rows as u64)
                .map(|data| (if data % 3 == 0 { 7 } else { data * 11 % 60 } + 20) << 32 | data)
                .collect();
            reads.sort_unstable();
            for (every, with_more) in [(false, false), (false, true), (true, false), (true, true)] {
                let start: Vec<f32> = (0..rows * width).map(|i| number(i + 5)).collect();
                let moments: Vec<f32> = start.iter().map(|x| x.abs()).collect();
                let dw_before: Vec<f32> = (0..outputs * width).map(|i| number(i + 23)).collect();
                let (mut w, mut m, mut v) = (start.clone(), start.clone(), moments.clone());
                let mut dw = dw_before.clone();
                for row in 0..rows {
                    let mine = reads.iter().filter(|read| local(**read, first_row) == row);
                    let data: Vec<usize> = mine.map(|read| *read as u32 as usize).collect();
                    let sums: Vec<f32> = (0..outputs)
                        .map(|j| {
                            let mut chains = [0.0; CHAINS];
                            for (i, data) in data.iter().enumerate() {
                                chains[i % CHAINS] += slopes[data * stride + j];
                            }
                            (chains[0] + chains[1]) + (chains[2] + chains[3])
                        })
                        .collect();
                    for d in 0..width {
                        let at = row * width + d;
                        let of = |data: usize| more[data * inputs + field * width + d];
                        let mut gradient = 0.0;
                        if with_more {
                            gradient = data.iter().map(|data| of(*data)).reduce(|a, b| a + b).unwrap_or(0.0);
                        }
                        for (j, slope) in sums.iter().enumerate().filter(|_| !data.is_empty()) {
                            dw[j * width + d] = w[at].mul_add(*slope, dw[j * width + d]);
                            gradient = weights[j * inputs + field * width + d].mul_add(*slope, gradient);
                        }
                        if every || !data.is_empty() {
                            update(&step, gradient, &mut w[at], &mut m[at], &mut v[at]);
                        }
                    }
                }
                for &path in Path::available() {
                    let mut found = (start.clone(), start.clone(), moments.clone());
                    let mut found_dw = dw_before.clone();
                    let stretch = (&mut found.0[..], &mut found.1[..], &mut found.2[..], first_row);
                    let sources = (with_more.then_some(&gradients), &layer);
                    let kernels = Kernels::on(path).unwrap();
                    kernels.row_step_through((&step, every), sources, &reads, width, stretch, &mut found_dw);
                    assert_eq!(found_dw, dw, "{outputs} outputs on {path}");
                    assert_eq!(found, (w.clone(), m.clone(), v.clone()), "{outputs} outputs on {path}");
                }
            }
        }
    }

    fn outputs_stride(outputs: usize) -> usize {
        outputs.div_ceil(LANES) * LANES
    }
}
