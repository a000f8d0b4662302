//! Checks on results: totals of a block's outputs beside what clean checksums say they are, and bounds.
//!
//! Totals are f64 chains per data row in the order of the features, multiplied and added apart, so that every path gives
//! the same bits.

use crate::lanes::{LANES, Lane, Lanes};

/// f64 values of 16 data rows.
pub type WideLane = [f64; LANES];

/// Checksums of the weights of a linear layer, by input, with what the bias adds.
#[derive(Debug, Clone, Copy)]
pub struct LinearSums<'a> {
    /// Σ_j of the weights of input k, `[K]`.
    pub sums: &'a [f64],
    /// Σ_j of their magnitudes, `[K]`.
    pub magnitudes: &'a [f64],
    /// Sum of the biases.
    pub bias: f64,
    /// Sum of their magnitudes.
    pub bias_magnitude: f64,
}

/// What a check of a linear layer compares, by data row, `[R]` each.
#[derive(Debug)]
pub struct LinearTotals<'a> {
    /// Sum of the outputs.
    pub totals: &'a mut [WideLane],
    /// What the checksums make of the inputs.
    pub expected: &'a mut [WideLane],
    /// The same of magnitudes.
    pub magnitudes: &'a mut [WideLane],
}

/// Bounds, and what stands for values beyond them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The smallest value that passes.
    pub low: f32,
    /// The largest value that passes.
    pub high: f32,
    /// What smaller ones become.
    pub below: f32,
    /// What larger ones become.
    pub above: f32,
    /// What NaN becomes.
    pub nan: f32,
}

#[expect(clippy::needless_pass_by_value, reason = "the slices that are written move in")]
#[inline(always)]
fn linear_totals<L: Lanes>(clean: LinearSums<'_>, x: &[Lane], y: &[Lane], out: LinearTotals<'_>) {
    let groups = out.totals.len();
    for g in 0..groups {
        let mut sum = [clean.bias; LANES];
        let mut magnitude = [clean.bias_magnitude; LANES];
        for ((x, &s), &m) in x[g..].iter().step_by(groups).zip(clean.sums).zip(clean.magnitudes) {
            for l in 0..LANES {
                let x = f64::from(x[l]);
                sum[l] += x * s;
                magnitude[l] += x.abs() * m;
            }
        }
        let mut total = [0.0; LANES];
        for y in y[g..].iter().step_by(groups) {
            for l in 0..LANES {
                total[l] += f64::from(y[l]);
            }
        }
        out.totals[g] = total;
        out.expected[g] = sum;
        out.magnitudes[g] = magnitude;
    }
}

#[inline(always)]
fn lookup_totals<L: Lanes>(clean: &[f64], (ids, fields): (&[u32], usize), x: &[Lane], failed: &mut [u16]) {
    let groups = ids.len() / LANES / fields;
    let width = x.len() / groups / fields;
    for (at, (failed, ids)) in failed.iter_mut().zip(ids.chunks_exact(LANES)).enumerate() {
        let (field, g) = (at / groups, at % groups);
        let mut total = [0.0f64; LANES];
        for x in x[field * width * groups + g..].iter().step_by(groups).take(width) {
            for l in 0..LANES {
                total[l] += f64::from(x[l]);
            }
        }
        let mut bits = 0;
        for l in 0..LANES {
            // NaN is no total.
            bits |= u16::from(total[l] != clean[ids[l] as usize]) << l;
        }
        *failed = bits;
    }
}

#[inline(always)]
fn bound<L: Lanes>(bounds: Bounds, x: &mut [Lane], outside: &mut [[u32; LANES]]) {
    let groups = outside.len();
    for (g, outside) in outside.iter_mut().enumerate() {
        let mut counts = [0; LANES];
        for x in x[g..].iter_mut().step_by(groups) {
            for l in 0..LANES {
                let value = x[l];
                let inside = value >= bounds.low && value <= bounds.high;
                let other = if value > bounds.high { bounds.above } else { bounds.below };
                let other = if value.is_nan() { bounds.nan } else { other };
                x[l] = if inside { value } else { other };
                counts[l] += u32::from(!inside);
            }
        }
        *outside = counts;
    }
}

kernels! {
    /// The totals that a check of a linear layer compares.
    ///
    /// # Shapes
    /// `clean` of K inputs, `x` `[K, R]`, `y` `[J, R]`, `out` `[R]` each.
    pub fn linear_totals(clean: LinearSums<'_>, x: &[Lane], y: &[Lane], out: LinearTotals<'_>) = linear_totals;

    /// One bit for each lookup whose values, added in their order in f64, are not the clean total of its table row; NaN never
    /// is.
    ///
    /// # Shapes
    /// `clean` `[V]`, `lookups` = (ids `[F, R]`, F), `x` `[F · D, R]`, `failed` `[F, G]` with bit l of data row l of a group.
    ///
    /// # Panics
    /// If there is no such table row.
    pub fn lookup_totals(clean: &[f64], lookups: (&[u32], usize), x: &[Lane], failed: &mut [u16]) = lookup_totals;

    /// Replaces values beyond bounds, NaN too, and counts them by data row.
    ///
    /// # Shapes
    /// `x` `[H, R]`, `outside` `[R]`.
    pub fn bound(bounds: Bounds, x: &mut [Lane], outside: &mut [[u32; LANES]]) = bound;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    fn numbers(count: usize, seed: u32) -> Vec<Lane> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                std::array::from_fn(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    match state >> 26 {
                        0 => f32::from_bits(state.wrapping_mul(2_654_435_761)),
                        _ => (state >> 8) as f32 / 8_388_608.0 - 1.0,
                    }
                })
            })
            .collect()
    }

    #[test]
    fn totals_of_a_row_are_the_plain_sums_on_every_path_and_in_every_block() {
        let (inputs, outputs) = (37, 21);
        let sums: Vec<f64> = (0..inputs).map(|k| f64::from(k).sin()).collect();
        let magnitudes: Vec<f64> = sums.iter().map(|s| s.abs() * 1.5).collect();
        let clean = LinearSums { sums: &sums, magnitudes: &magnitudes, bias: 0.3, bias_magnitude: 0.7 };
        for groups in [1, 4] {
            let (x, y) = (numbers(37 * groups, 1), numbers(outputs * groups, 2));
            for &path in Path::available() {
                let mut out = [(); 3].map(|()| vec![[0.0; LANES]; groups]);
                let [totals, expected, magnitude] = &mut out;
                let view = LinearTotals { totals, expected, magnitudes: magnitude };
                Kernels::on(path).unwrap().linear_totals(clean, &x, &y, view);
                for row in 0..groups * LANES {
                    let (g, l) = (row / LANES, row % LANES);
                    let total = y[g..].iter().step_by(groups).fold(0.0, |sum, y| sum + f64::from(y[l]));
                    let mut wanted = (0.3, 0.7);
                    for (k, x) in x[g..].iter().step_by(groups).enumerate() {
                        wanted.0 += f64::from(x[l]) * sums[k];
                        wanted.1 += f64::from(x[l]).abs() * magnitudes[k];
                    }
                    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
                    assert!(same(out[0][g][l], total) && same(out[1][g][l], wanted.0), "{path} row {row}");
                    assert!(same(out[2][g][l], wanted.1), "{path} row {row}");
                }
            }
        }
    }

    #[test]
    fn a_lookup_fails_where_its_values_do_not_add_up_and_nan_fails() {
        let (fields, width, groups) = (3, 5, 2);
        let clean: Vec<f64> = (0..9u8).map(|id| f64::from(id) * 5.0).collect();
        let ids: Vec<u32> = (0..fields * groups * LANES).map(|at| (at % 9) as u32).collect();
        let mut x = vec![[0.0; LANES]; fields * width * groups];
        for field in 0..fields {
            for (row, &id) in ids[field * groups * LANES..][..groups * LANES].iter().enumerate() {
                for d in 0..width {
                    x[(field * width + d) * groups + row / LANES][row % LANES] = id as f32;
                }
            }
        }
        x[(2 * width + 3) * groups + 1][7] += 1e-6;
        x[4 * groups][2] = f32::NAN;
        for &path in Path::available() {
            let mut failed = vec![0xffff; fields * groups];
            Kernels::on(path).unwrap().lookup_totals(&clean, (&ids, fields), &x, &mut failed);
            assert_eq!(failed, [1 << 2, 0, 0, 0, 0, 1 << 7], "{path}");
        }
    }

    #[test]
    fn values_beyond_bounds_are_replaced_and_counted_and_nan_is_one_of_them() {
        let bounds = Bounds { low: -1.0, high: 2.0, below: -1.0, above: 2.0, nan: 0.0 };
        let special = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2.0, -1.0, -0.0, 2.1, -1.1];
        for &path in Path::available() {
            let mut x = numbers(3 * 4, 5);
            for (value, &special) in x.as_flattened_mut().iter_mut().zip(&special) {
                *value = special;
            }
            let before = x.clone();
            let mut outside = vec![[9; LANES]; 4];
            Kernels::on(path).unwrap().bound(bounds, &mut x, &mut outside);
            let mut counts = vec![[0; LANES]; 4];
            for (at, (x, before)) in x.iter().zip(&before).enumerate() {
                for l in 0..LANES {
                    let value = before[l];
                    let (wanted, hit) = match value {
                        v if v.is_nan() => (0.0, 1),
                        v if v > 2.0 => (2.0, 1),
                        v if v < -1.0 => (-1.0, 1),
                        v => (v, 0),
                    };
                    assert_eq!(x[l].to_bits(), wanted.to_bits(), "{path}: {value}");
                    counts[at % 4][l] += hit;
                }
            }
            assert_eq!(outside, counts, "{path}");
        }
    }
}
