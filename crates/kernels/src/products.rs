//! Table rows times a matrix: what a linear layer makes of each row of a field's table.
//!
//! A vector holds sixteen outputs of one table row here, so that rows are read and products written as they lie.

use crate::Table;
use crate::gather::{Bf16, F16, Rowwise, Words};
use crate::lanes::{LANES, Lane, Lanes};

/// Table rows whose chains run side by side.
const ROWS: usize = 8;

#[inline(always)]
fn row_products<L: Lanes>(
    table: Table<'_>,
    (first, dim): (usize, usize),
    weights: &[f32],
    width: usize,
    out: &mut [f32],
) {
    assert!(width.is_multiple_of(LANES) && weights.len() == dim * width, "weights of whole vectors");
    assert!(out.len().is_multiple_of(width), "products of whole rows");
    let rows = first..first + out.len() / width;
    match table {
        Table::F32(words) => {
            products::<L, false>(&words[rows.start * dim..rows.end * dim], dim, weights, width, out);
        }
        Table::F16(words) => decoded::<L>(F16(words), first, dim, weights, width, out),
        Table::Bf16(words) => decoded::<L>(Bf16(words), first, dim, weights, width, out),
        Table::Int8Rowwise { codes, scales, biases } => {
            decoded::<L>(Rowwise { codes, scales, biases }, first, dim, weights, width, out);
        }
    }
}

/// Rows of words that are no numbers, some at a time.
#[inline(always)]
fn decoded<L: Lanes>(
    words: impl Words,
    first: usize,
    dim: usize,
    weights: &[f32],
    width: usize,
    out: &mut [f32],
) {
    let mut values = vec![0.0; ROWS * dim];
    for (chunk, out) in out.chunks_mut(ROWS * width).enumerate() {
        let count = out.len() / width;
        for (r, values) in values.chunks_exact_mut(dim).enumerate().take(count) {
            let row = first + chunk * ROWS + r;
            let (lanes, rest) = values.as_chunks_mut::<LANES>();
            for (i, lane) in lanes.iter_mut().enumerate() {
                words.lane(row, dim, i * LANES, lane);
            }
            let done = dim - rest.len();
            for (i, value) in rest.iter_mut().enumerate() {
                *value = words.value(row, dim, done + i);
            }
        }
        products::<L, false>(&values[..count * dim], dim, weights, width, out);
    }
}

#[inline(always)]
fn rows_and_products<L: Lanes>(rows: &[f32], dim: usize, weights: &[f32], width: usize, out: &mut [f32]) {
    assert!(dim.is_multiple_of(LANES) && width.is_multiple_of(LANES), "rows of whole vectors");
    assert!(weights.len() == dim * width && rows.len().is_multiple_of(dim), "weights of whole rows");
    assert!(out.len() == rows.len() / dim * (dim + width), "room for rows and products");
    products::<L, true>(rows, dim, weights, width, out);
}

/// The products of rows, behind the rows themselves where these are to stand there too.
#[inline(always)]
fn products<L: Lanes, const BOTH: bool>(
    values: &[f32],
    dim: usize,
    weights: &[f32],
    width: usize,
    out: &mut [f32],
) {
    let (out, _) = out.as_chunks_mut::<LANES>();
    let (weights, _) = weights.as_chunks::<LANES>();
    let (vectors, before) = (width / LANES, if BOTH { dim / LANES } else { 0 });
    let stride = before + vectors;
    for (values, out) in values.chunks(ROWS * dim).zip(out.chunks_mut(ROWS * stride)) {
        if BOTH {
            for (values, out) in values.chunks_exact(dim).zip(out.chunks_exact_mut(stride)) {
                out[..before].as_flattened_mut().copy_from_slice(values);
            }
        }
        for column in 0..vectors {
            let weights = Columns { weights, vectors, column };
            if values.len() == ROWS * dim {
                some::<L, ROWS>(values, dim, weights, (stride, before + column), out);
            } else {
                for (values, out) in values.chunks_exact(dim).zip(out.chunks_exact_mut(stride)) {
                    some::<L, 1>(values, dim, weights, (stride, before + column), out);
                }
            }
        }
    }
}

/// The weights of sixteen outputs.
#[derive(Clone, Copy)]
struct Columns<'a> {
    weights: &'a [Lane],
    vectors: usize,
    column: usize,
}

/// Sixteen outputs of N rows.
#[inline(always)]
fn some<L: Lanes, const N: usize>(
    values: &[f32],
    dim: usize,
    weights: Columns<'_>,
    (stride, at): (usize, usize),
    out: &mut [Lane],
) {
    let Columns { weights, vectors, column } = weights;
    let values: [&[f32]; N] = std::array::from_fn(|r| &values[r * dim..(r + 1) * dim]);
    let mut sums = [L::splat(0.0); N];
    for (d, weights) in weights.chunks_exact(vectors).enumerate().take(dim) {
        let w = L::load(&weights[column]);
        for r in 0..N {
            sums[r] = L::splat(values[r][d]).fma(w, sums[r]);
        }
    }
    for r in 0..N {
        sums[r].store(&mut out[r * stride + at]);
    }
}

kernels! {
    /// Products of neighbouring table rows with a matrix, from row `rows.0` on.
    ///
    /// # Shapes
    /// `rows` = (first, D), `weights` `[D, W]`: a column for each output, W a multiple of 16; `out` `[n, W]`.
    ///
    /// # Numerics
    /// Bit for bit as [`Kernels::linear`](crate::Kernels::linear) of the gathered rows, as long as D is within one chain.
    ///
    /// # Panics
    /// If a row is outside the table, or a shape is another.
    pub fn row_products(table: Table<'_>, rows: (usize, usize), weights: &[f32], width: usize, out: &mut [f32])
        = row_products;

    /// Rows of f32, each followed by its products with a matrix.
    ///
    /// # Shapes
    /// `rows` `[n, D]`, `weights` `[D, W]`, `out` `[n, D + W]`; D and W are multiples of 16.
    ///
    /// # Numerics
    /// As [`row_products`](crate::Kernels::row_products).
    ///
    /// # Panics
    /// If a shape is another.
    pub fn rows_and_products(rows: &[f32], dim: usize, weights: &[f32], width: usize, out: &mut [f32])
        = rows_and_products;
}
