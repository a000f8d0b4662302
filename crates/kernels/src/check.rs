//! Checks on results: totals of a block's outputs beside what clean checksums say they are, and bounds.
//!
//! Totals are f64 chains per data row in the order of the features, products added by fma, so that every path gives the same
//! bits.

use crate::column::open;
use crate::id::TableRow;
use crate::lanes::{LANES, Lane};
use crate::words::{Checks, Wide as _};

/// f64 values of 16 data rows.
pub type WideLane = [f64; LANES];

/// Checksums of the weights of a linear layer, by input, with what the bias adds.
#[derive(Debug, Clone, Copy)]
pub struct LinearSums<'a> {
    /// Σ_j of the weights of input k, `[K]`.
    pub sums: &'a [f64],
    /// Σ_j of their magnitudes, `[K]`.
    pub magnitudes: &'a [f64],
    /// The same in f32, rounded up.
    pub rough: &'a [f32],
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
    /// The same of magnitudes, or slightly more.
    pub magnitudes: &'a mut [WideLane],
}

/// What a check of sums over fields compares them to, by data row, `[R]` each.
#[derive(Debug)]
pub struct LookupSums<'a> {
    /// Sums of the clean totals.
    pub expected: &'a mut [WideLane],
    /// Sums of their magnitudes.
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

/// How many values bounds replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outside {
    /// Beyond a bound.
    pub beyond: u64,
    /// NaN.
    pub nan: u64,
}

#[inline(always)]
fn linear_totals<L: Checks>(clean: LinearSums<'_>, x: &[Lane], y: &[Lane], out: LinearTotals<'_>) {
    let groups = out.totals.len();
    if groups == 4 {
        return totals_of::<L, 4>(clean, (x, y, groups, 0), out);
    }
    for (g, ((totals, expected), magnitudes)) in
        out.totals.iter_mut().zip(out.expected).zip(out.magnitudes).enumerate()
    {
        let [totals, expected, magnitudes] = [totals, expected, magnitudes].map(std::slice::from_mut);
        totals_of::<L, 1>(clean, (x, y, groups, g), LinearTotals { totals, expected, magnitudes });
    }
}

/// The totals of G lane groups side by side, from the `first` of `groups` on.
#[expect(clippy::needless_pass_by_value, reason = "the slices that are written move in")]
#[inline(always)]
fn totals_of<L: Checks, const G: usize>(
    clean: LinearSums<'_>,
    (x, y, groups, first): (&[Lane], &[Lane], usize, usize),
    out: LinearTotals<'_>,
) {
    let mut sum = [L::Wide::splat(clean.bias); G];
    let mut rough = [L::splat(0.0); G];
    for ((x, &s), &m) in x[first..].chunks(groups).zip(clean.sums).zip(clean.rough) {
        let (s, m) = (L::Wide::splat(s), L::splat(m));
        for g in 0..G {
            sum[g] = L::Wide::load(&x[g]).fma(s, sum[g]);
            rough[g] = L::load(&x[g]).magnitude().fma(m, rough[g]);
        }
    }
    let mut total = [L::Wide::splat(0.0); G];
    for y in y[first..].chunks(groups) {
        for g in 0..G {
            total[g] = total[g].add(L::Wide::load(&y[g]));
        }
    }
    for g in 0..G {
        total[g].store(&mut out.totals[g]);
        sum[g].store(&mut out.expected[g]);
        out.magnitudes[g] = magnitudes(clean, rough[g], x[first + g..].iter().step_by(groups));
    }
}

/// Upper bounds of sums of magnitudes from their f32 chains; where these overflow, the sums in f64.
#[inline(always)]
fn magnitudes<'a, L: Checks>(clean: LinearSums<'_>, rough: L, x: impl Iterator<Item = &'a Lane>) -> WideLane {
    // A chain of K roundings to f32 loses less than K · 2^-24 / (1 − K · 2^-24) of the sum, and K · 2^-150 where it is subnormal.
    let inputs = clean.sums.len() as f64;
    let (grown, added) = (1.0 + (inputs + 2.0) / 4_194_304.0, inputs * f64::from(f32::from_bits(1)));
    let mut lane = [0.0; LANES];
    rough.store(&mut lane);
    let mut out = [0.0; LANES];
    if !lane.iter().all(|lane| *lane <= f32::MAX) {
        let mut sum = L::Wide::splat(clean.bias_magnitude);
        for (x, &m) in x.zip(clean.magnitudes) {
            sum = L::Wide::load(x).abs().fma(L::Wide::splat(m), sum);
        }
        sum.store(&mut out);
    }
    for (out, &lane) in out.iter_mut().zip(&lane) {
        if lane <= f32::MAX {
            *out = clean.bias_magnitude + f64::from(lane).mul_add(grown, added);
        }
    }
    out
}

#[inline(always)]
fn totals_fail<L: Checks>(found: [&[WideLane]; 3], (share, absolute): (f64, f64), failed: &mut [u16]) {
    let [totals, expected, magnitudes] = found;
    for (g, failed) in failed.iter_mut().enumerate() {
        let (totals, expected, magnitudes) = (&totals[g], &expected[g], &magnitudes[g]);
        let mut passes = [0u64; LANES];
        for l in 0..LANES {
            let difference = (totals[l] - expected[l]).abs();
            passes[l] = u64::from(difference <= share * magnitudes[l] + absolute);
        }
        *failed = open(&passes);
    }
}

#[inline(always)]
fn lookup_totals<L: Checks>(
    clean: &[f64],
    (rows, fields): (&[TableRow], usize),
    x: &[Lane],
    failed: &mut [u16],
) {
    let (ids, _) = TableRow::numbers(rows).as_chunks();
    let groups = ids.len() / fields;
    let width = x.len() / groups / fields;
    for (field, x) in x.chunks_exact(width * groups).enumerate() {
        let at = field * groups;
        let (ids, failed) = (&ids[at..at + groups], &mut failed[at..at + groups]);
        if groups == 4 {
            totals_differ::<L, 4>(clean, ids, (x, groups), failed);
        } else {
            for g in 0..groups {
                totals_differ::<L, 1>(clean, &ids[g..], (&x[g..], groups), &mut failed[g..]);
            }
        }
    }
}

/// One bit for each row of G lane groups whose values don't give its table row's total.
#[inline(always)]
fn totals_differ<L: Checks, const G: usize>(
    clean: &[f64],
    ids: &[[u32; LANES]],
    (x, groups): (&[Lane], usize),
    failed: &mut [u16],
) {
    let mut total = [L::Wide::splat(0.0); G];
    for x in x.chunks(groups) {
        for g in 0..G {
            total[g] = total[g].add(L::Wide::load(&x[g]));
        }
    }
    for g in 0..G {
        failed[g] = total[g].differs(L::Wide::gather(clean, &ids[g]));
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the slices that are written move in")]
#[inline(always)]
fn sum_totals<L: Checks>(clean: &[f64], (rows, fields): (&[TableRow], usize), out: LookupSums<'_>) {
    let groups = rows.len() / LANES / fields;
    let (ids, _) = TableRow::numbers(rows).as_chunks();
    for g in 0..groups {
        let (mut expected, mut magnitude) = (L::Wide::splat(0.0), L::Wide::splat(0.0));
        for field in 0..fields {
            let total = L::Wide::gather(clean, &ids[field * groups + g]);
            expected = expected.add(total);
            magnitude = magnitude.add(total.abs());
        }
        expected.store(&mut out.expected[g]);
        magnitude.store(&mut out.magnitudes[g]);
    }
}

#[inline(always)]
fn bound<L: Checks>(bounds: Bounds, (groups, rows): (usize, usize), x: &mut [Lane], outside: &mut Outside) {
    for x in x.chunks_exact_mut(groups) {
        for (g, x) in x.iter_mut().enumerate() {
            let (beyond, nan) = L::bound(&bounds, x);
            let used = ((1u32 << rows.saturating_sub(g * LANES).min(LANES)) - 1) as u16;
            outside.nan += u64::from((nan & used).count_ones());
            outside.beyond += u64::from((beyond & !nan & used).count_ones());
        }
    }
}

kernels! {
    /// The totals that a check of a linear layer compares.
    ///
    /// # Shapes
    /// `clean` of K inputs, `x` `[K, R]`, `y` `[J, R]`, `out` `[R]` each.
    pub fn linear_totals(clean: LinearSums<'_>, x: &[Lane], y: &[Lane], out: LinearTotals<'_>) = linear_totals;

    /// One bit for each row whose total is farther from what is expected than `allowed` = (share of the magnitude, absolute) allows;
    /// NaN is.
    ///
    /// # Shapes
    /// `found` = totals, what is expected, magnitudes, `[R]` each; `failed` `[G]`.
    pub fn totals_fail(found: [&[WideLane]; 3], allowed: (f64, f64), failed: &mut [u16]) = totals_fail;

    /// One bit for each lookup whose values, added in their order in f64, are not the clean total of its table row; NaN never
    /// is.
    ///
    /// # Shapes
    /// `clean` `[V]`, `lookups` = (rows `[F, R]`, F), `x` `[F · D, R]`, `failed` `[F, G]` with bit l of data row l of a group.
    ///
    /// # Panics
    /// If there is no such table row.
    pub fn lookup_totals(
        clean: &[f64], lookups: (&[TableRow], usize), x: &[Lane], failed: &mut [u16],
    ) = lookup_totals;

    /// What clean totals of looked-up rows of one value say their sums over the fields are.
    ///
    /// # Shapes
    /// `clean` `[V]`, `lookups` = (rows `[F, R]`, F), `out` `[R]` each.
    ///
    /// # Panics
    /// If there is no such table row.
    pub fn sum_totals(clean: &[f64], lookups: (&[TableRow], usize), out: LookupSums<'_>) = sum_totals;

    /// Replaces values beyond bounds, NaN too, and adds those of rows that are not padding to `outside`.
    ///
    /// # Shapes
    /// `block` = (G, rows that are not padding), `x` `[H, R]`.
    pub fn bound(bounds: Bounds, block: (usize, usize), x: &mut [Lane], outside: &mut Outside) = bound;
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
        let rough: Vec<f32> = magnitudes.iter().map(|&m| (m as f32).next_up()).collect();
        let clean = LinearSums {
            sums: &sums,
            magnitudes: &magnitudes,
            rough: &rough,
            bias: 0.3,
            bias_magnitude: 0.7,
        };
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
                        wanted.0 = f64::from(x[l]).mul_add(sums[k], wanted.0);
                        wanted.1 = f64::from(x[l]).abs().mul_add(magnitudes[k], wanted.1);
                    }
                    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
                    assert!(same(out[0][g][l], total) && same(out[1][g][l], wanted.0), "{path} row {row}");
                    // NaN and infinity are no bound, and no result of theirs passes.
                    let most = wanted.1 * (1.0 + 1e-4) + 1e-40;
                    let bounds = out[2][g][l] >= wanted.1 && out[2][g][l] <= most;
                    assert!(
                        bounds || !wanted.1.is_finite(),
                        "{path} row {row}: {} {}",
                        out[2][g][l],
                        wanted.1
                    );
                }
            }
        }
    }

    #[test]
    fn a_total_fails_beyond_what_is_allowed_and_nan_fails() {
        let mut totals = vec![[1.0; LANES]; 2];
        let expected = vec![[1.5; LANES]; 2];
        let mut magnitudes = vec![[4.0; LANES]; 2];
        (totals[0][3], totals[0][4], totals[1][5]) = (2.0, 2.0f64.next_up(), f64::NAN);
        (magnitudes[1][6], magnitudes[1][7], magnitudes[1][8]) = (3.9, f64::NAN, f64::INFINITY);
        (totals[1][9], magnitudes[1][9]) = (f64::NEG_INFINITY, f64::INFINITY);
        for &path in Path::available() {
            let mut failed = [0xaaaa; 2];
            let found = [&totals[..], &expected, &magnitudes];
            Kernels::on(path).unwrap().totals_fail(found, (0.0625, 0.25), &mut failed);
            assert_eq!(failed, [1 << 4, 1 << 5 | 1 << 6 | 1 << 7], "{path}");
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
            Kernels::on(path).unwrap().lookup_totals(&clean, (TableRow::all(&ids), fields), &x, &mut failed);
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
            let mut outside = Outside { beyond: 5, nan: 7 };
            Kernels::on(path).unwrap().bound(bounds, (4, 50), &mut x, &mut outside);
            let mut counts = Outside { beyond: 5, nan: 7 };
            for (at, (x, before)) in x.iter().zip(&before).enumerate() {
                for l in 0..LANES {
                    let value = before[l];
                    let (wanted, beyond) = match value {
                        v if v.is_nan() => (0.0, false),
                        v if v > 2.0 => (2.0, true),
                        v if v < -1.0 => (-1.0, true),
                        v => (v, false),
                    };
                    assert_eq!(x[l].to_bits(), wanted.to_bits(), "{path}: {value}");
                    if at % 4 * LANES + l < 50 {
                        counts.beyond += u64::from(beyond);
                        counts.nan += u64::from(value.is_nan());
                    }
                }
            }
            assert_eq!(outside, counts, "{path}");
        }
    }
}
