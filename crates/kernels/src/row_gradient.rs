//! Gradients of a linear layer that reads table rows, taken row by row: no block of columns is needed, kept or turned.

use crate::gather::fetch;
use crate::lanes::{LANES, Lane, Lanes};

/// Rows that are asked for ahead.
const AHEAD: usize = 8;

/// Rows whose chains run side by side.
const ROWS: usize = 4;

/// Sixteen neighbouring values from `at` on.
#[inline(always)]
fn lane(x: &[f32], at: usize) -> &Lane {
    x[at..at + LANES].try_into().expect("the slice has this length")
}

#[inline(always)]
pub(crate) fn lane_mut(x: &mut [f32], at: usize) -> &mut Lane {
    (&mut x[at..at + LANES]).try_into().expect("the slice has this length")
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

#[inline(always)]
fn row_weight_gradient<L: Lanes>(
    table: &[f32],
    (dim, fields): (usize, usize),
    (ids, rows): (&[u32], usize),
    slopes: &[f32],
    dw: &mut [f32],
) {
    let inputs = dim * fields;
    let outputs = dw.len() / inputs;
    assert!(dim.is_multiple_of(LANES), "rows of whole lanes");
    assert!(slopes.len() >= rows * outputs, "a slope for each row and output");
    let block = ids.len() / fields;
    for (f, ids) in ids.chunks_exact(block).enumerate() {
        for d in (0..dim).step_by(LANES) {
            let k = f * dim + d;
            by_outputs!(outputs, j, OUT => {
                weight_tile::<L, OUT>(table, (dim, d), &ids[..rows], slopes, (outputs, j), (inputs, k), dw);
            });
        }
    }
}

#[inline(always)]
fn weight_tile<L: Lanes, const OUT: usize>(
    table: &[f32],
    (dim, d): (usize, usize),
    ids: &[u32],
    slopes: &[f32],
    (outputs, j): (usize, usize),
    (inputs, k): (usize, usize),
    dw: &mut [f32],
) {
    let mut sums = [L::splat(0.0); OUT];
    for (r, &id) in ids.iter().enumerate() {
        if let Some(&ahead) = ids.get(r + AHEAD) {
            fetch(table, ahead as usize, dim);
        }
        let x = L::load(lane(table, id as usize * dim + d));
        let slopes: &[f32; OUT] =
            slopes[r * outputs + j..r * outputs + j + OUT].try_into().expect("the slice has this length");
        for o in 0..OUT {
            sums[o] = x.fma(L::splat(slopes[o]), sums[o]);
        }
    }
    for (o, sum) in sums.into_iter().enumerate() {
        let to = lane_mut(dw, (j + o) * inputs + k);
        L::load(to).add(sum).store(to);
    }
}

#[inline(always)]
fn row_input_gradient<L: Lanes>(
    weights: &[f32],
    (dim, fields): (usize, usize),
    rows: usize,
    slopes: &[f32],
    add: bool,
    out: &mut [f32],
) {
    let inputs = dim * fields;
    let outputs = weights.len() / inputs;
    assert!(dim.is_multiple_of(LANES), "rows of whole lanes");
    assert!(slopes.len() >= rows * outputs, "a slope for each row and output");
    for k in (0..inputs).step_by(LANES) {
        by_outputs!(outputs, j, OUT => {
            input_tile::<L, OUT>(weights, (inputs, k), rows, slopes, (outputs, j), add || j > 0, out);
        });
    }
}

#[inline(always)]
fn input_tile<L: Lanes, const OUT: usize>(
    weights: &[f32],
    (inputs, k): (usize, usize),
    rows: usize,
    slopes: &[f32],
    (outputs, j): (usize, usize),
    add: bool,
    out: &mut [f32],
) {
    let w: [L; OUT] = std::array::from_fn(|o| L::load(lane(weights, (j + o) * inputs + k)));
    let mut r = 0;
    while r + ROWS <= rows {
        input_rows::<L, OUT, ROWS>(&w, r, slopes, (outputs, j), (inputs, k), add, out);
        r += ROWS;
    }
    for r in r..rows {
        input_rows::<L, OUT, 1>(&w, r, slopes, (outputs, j), (inputs, k), add, out);
    }
}

#[inline(always)]
fn input_rows<L: Lanes, const OUT: usize, const N: usize>(
    w: &[L; OUT],
    r: usize,
    slopes: &[f32],
    (outputs, j): (usize, usize),
    (inputs, k): (usize, usize),
    add: bool,
    out: &mut [f32],
) {
    let of_row: [&[f32; OUT]; N] = std::array::from_fn(|n| {
        let at = (r + n) * outputs + j;
        slopes[at..at + OUT].try_into().expect("the slice has this length")
    });
    let mut sums = [L::splat(0.0); N];
    if add {
        for n in 0..N {
            sums[n] = L::load(lane(out, (r + n) * inputs + k));
        }
    }
    for o in 0..OUT {
        for n in 0..N {
            sums[n] = w[o].fma(L::splat(of_row[n][o]), sums[n]);
        }
    }
    for n in 0..N {
        sums[n].store(lane_mut(out, (r + n) * inputs + k));
    }
}

kernels! {
    /// Adds the gradient of the weights of a linear layer on the concatenated rows of one table.
    ///
    /// # Shapes
    /// `table` `[V, D]`, D a multiple of 16; `shape` = (D, F); `rows` = (ids `[F, R]`, B ≤ R); `slopes` [B, J] row-major;
    /// `dw` [J, F · D].
    ///
    /// # Numerics
    /// One fma chain over the B rows for each weight, added to what is there.
    ///
    /// # Panics
    /// If an id is outside the table, or a shape is another.
    pub fn row_weight_gradient(
        table: &[f32], shape: (usize, usize), rows: (&[u32], usize), slopes: &[f32], dw: &mut [f32],
    ) = row_weight_gradient;

    /// The gradient of the rows that a linear layer reads, Wᵀ · dy: put in the place of `out`, or added to it.
    ///
    /// # Shapes
    /// `weights` [J, F · D], D a multiple of 16; `shape` = (D, F); `slopes` [B, J] row-major; `out` [B, F · D] row-major.
    ///
    /// # Numerics
    /// One fma chain over the outputs, from +0 or from what is there.
    pub fn row_input_gradient(
        weights: &[f32], shape: (usize, usize), rows: usize, slopes: &[f32], add: bool, out: &mut [f32],
    ) = row_input_gradient;
}

#[cfg(test)]
mod tests {
    use crate::{Kernels, Path};

    #[test]
    fn gradients_by_row_are_chains_of_fma_on_every_path() {
        for (dim, fields, outputs, rows, block) in [
            (16, 3, 16, 32, 32),
            (32, 2, 21, 19, 32),
            (16, 1, 1, 5, 16),
            (16, 2, 7, 16, 16),
            (16, 2, 36, 9, 16),
        ] {
            let inputs = dim * fields;
            let number = |i: usize, seed: usize| ((i * 7919 + seed * 1009) % 1999) as f32 / 500.0 - 2.0;
            let table: Vec<f32> = (0..40 * dim).map(|i| number(i, 1)).collect();
            let ids: Vec<u32> = (0..fields * block).map(|i| (i * 11 % 40) as u32).collect();
            let slopes: Vec<f32> = (0..rows * outputs).map(|i| number(i, 2)).collect();
            let weights: Vec<f32> = (0..outputs * inputs).map(|i| number(i, 3)).collect();
            let before: Vec<f32> = (0..rows * inputs).map(|i| number(i, 4)).collect();
            let x = |r: usize, k: usize| table[ids[k / dim * block + r] as usize * dim + k % dim];
            let expected: Vec<f32> = (0..outputs * inputs)
                .map(|at| {
                    let (j, k) = (at / inputs, at % inputs);
                    let sum = (0..rows).fold(0.0, |sum, r| x(r, k).mul_add(slopes[r * outputs + j], sum));
                    weights[at] + sum
                })
                .collect();
            let by_input = |from: &dyn Fn(usize) -> f32| -> Vec<f32> {
                let chain = |at: usize| {
                    let (r, k) = (at / inputs, at % inputs);
                    (0..outputs).fold(from(at), |sum, j| {
                        weights[j * inputs + k].mul_add(slopes[r * outputs + j], sum)
                    })
                };
                (0..rows * inputs).map(chain).collect()
            };
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let mut dw = weights.clone();
                kernels.row_weight_gradient(&table, (dim, fields), (&ids, rows), &slopes, &mut dw);
                assert_eq!(dw, expected, "{path}, {outputs} outputs");
                let mut out = before.clone();
                kernels.row_input_gradient(&weights, (dim, fields), rows, &slopes, false, &mut out);
                assert_eq!(out, by_input(&|_| 0.0), "{path}, {outputs} outputs");
                let mut out = before.clone();
                kernels.row_input_gradient(&weights, (dim, fields), rows, &slopes, true, &mut out);
                assert_eq!(out, by_input(&|at| before[at]), "{path}, {outputs} outputs");
            }
        }
    }
}
