//! The check column of a linear layer that is folded into tables, and totals of a table's rows.
//!
//! A table row's check value is the sum of its products over all outputs, taken from clean checksums of the weights: what a
//! data row's outputs must add up to is the sum of the check values that it looks up. Kept in f32, these sums are near enough
//! to clear rows that pass a narrower bound; what they don't clear has to be looked at in full.

use crate::lanes::{LANES, Lane};
use crate::words::{Checks, Wide as _};

/// What clears a data row.
#[derive(Debug, Clone, Copy)]
pub struct Clearing {
    /// Added to the sum of check values: what the bias adds up to.
    pub bias: f64,
    /// Of the magnitudes of outputs, the part by which their total may be off.
    pub share: f64,
}

#[inline(always)]
fn check_values<L: Checks>(sums: &[f64], x: &[Lane], out: &mut [Lane]) {
    let groups = out.len();
    for (g, out) in out.iter_mut().enumerate() {
        let mut value = L::Wide::splat(0.0);
        for (x, &sum) in x[g..].iter().step_by(groups).zip(sums) {
            value = L::Wide::load(x).fma(L::Wide::splat(sum), value);
        }
        let mut wide = [0.0; LANES];
        value.store(&mut wide);
        for (out, x) in out.iter_mut().zip(wide) {
            *out = x as f32;
        }
    }
}

#[inline(always)]
fn block_checks<L: Checks>(sums: &[f32], dim: usize, x: &[Lane], out: &mut [Lane]) {
    let groups = out.len();
    let mut g = 0;
    while g + 4 <= groups {
        checks_of::<L, 4>(sums, dim, x, (groups, g), out);
        g += 4;
    }
    for g in g..groups {
        checks_of::<L, 1>(sums, dim, x, (groups, g), out);
    }
}

/// The check values of G lane groups side by side, from the first on.
#[inline(always)]
fn checks_of<L: Checks, const G: usize>(
    sums: &[f32],
    dim: usize,
    x: &[Lane],
    (groups, first): (usize, usize),
    out: &mut [Lane],
) {
    let mut total = [L::Wide::splat(0.0); G];
    let mut lane = [0.0; LANES];
    for (sums, x) in sums.chunks_exact(dim).zip(x.chunks_exact(dim * groups)) {
        let mut chain = [L::splat(0.0); G];
        for (&sum, x) in sums.iter().zip(x.chunks_exact(groups)) {
            let sum = L::splat(sum);
            for g in 0..G {
                chain[g] = L::load(&x[first + g]).fma(sum, chain[g]);
            }
        }
        for g in 0..G {
            chain[g].store(&mut lane);
            total[g] = total[g].add(L::Wide::load(&lane));
        }
    }
    let mut wide = [0.0; LANES];
    for g in 0..G {
        total[g].store(&mut wide);
        for l in 0..LANES {
            out[first + g][l] = wide[l] as f32;
        }
    }
}

/// One bit for each lane that is 0, of lanes that are 0 or 1.
#[inline(always)]
pub(crate) fn open(cleared: &[u64; LANES]) -> u16 {
    let mut open = 0;
    for l in 0..LANES {
        open |= (cleared[l] ^ 1) << l;
    }
    open as u16
}

#[inline(always)]
fn suspects<L: Checks>(expected: &[Lane], clearing: Clearing, y: &[Lane], out: &mut [u16]) {
    let groups = out.len();
    for (g, (out, expected)) in out.iter_mut().zip(expected).enumerate() {
        let (mut total, mut magnitude) = (L::Wide::splat(0.0), L::splat(0.0));
        for y in y[g..].iter().step_by(groups) {
            total = total.add(L::Wide::load(y));
            magnitude = magnitude.add(L::load(y).magnitude());
        }
        let (mut totals, mut magnitudes) = ([0.0; LANES], [0.0; LANES]);
        total.store(&mut totals);
        magnitude.store(&mut magnitudes);
        let mut cleared = [0u64; LANES];
        for l in 0..LANES {
            let difference = totals[l] - (f64::from(expected[l]) + clearing.bias);
            // NaN and infinity are not cleared.
            let finite = magnitudes[l] <= f32::MAX;
            let near = difference.abs() <= clearing.share * f64::from(magnitudes[l]);
            cleared[l] = u64::from(finite & near);
        }
        *out = open(&cleared);
    }
}

#[inline(always)]
fn totals_unlike<L: Checks>(clean: &[f64], words: &[f32], found: &mut bool) {
    let width = words.len() / clean.len().max(1);
    let (groups, last) = clean.as_chunks::<LANES>();
    let mut tile = [[0.0f32; LANES]; LANES];
    let mut differs = 0;
    for (group, clean) in groups.iter().enumerate() {
        let words = &words[group * LANES * width..(group + 1) * LANES * width];
        let mut total = L::Wide::splat(0.0);
        let mut d = 0;
        while d + LANES <= width {
            for (r, lane) in tile.iter_mut().enumerate() {
                lane.copy_from_slice(&words[r * width + d..r * width + d + LANES]);
            }
            L::transpose(&mut tile);
            for lane in &tile {
                total = total.add(L::Wide::load(lane));
            }
            d += LANES;
        }
        for d in d..width {
            let mut lane = [0.0; LANES];
            for (lane, word) in lane.iter_mut().zip(words[d..].iter().step_by(width)) {
                *lane = *word;
            }
            total = total.add(L::Wide::load(&lane));
        }
        differs |= total.differs(L::Wide::of(clean));
    }
    let words = words[groups.len() * LANES * width..].chunks_exact(width.max(1));
    for (words, clean) in words.zip(last) {
        let total = words.iter().fold(0.0, |total, &x| total + f64::from(x));
        // NaN is unlike every total.
        differs |= u16::from(total != *clean);
    }
    *found = differs != 0;
}

#[inline(always)]
fn beyond<L: Checks>((low, high): (f32, f32), words: &[f32], found: &mut bool) {
    let mut beyond = false;
    for x in words {
        // NaN is beyond.
        beyond |= !(*x >= low && *x <= high);
    }
    *found = beyond;
}

kernels! {
    /// Check values of table rows: Σ_d x · sum, by fma chains in f64, rounded to f32 once.
    ///
    /// # Shapes
    /// `sums` `[D]` of the rows' field, `x` `[D, R]`, `out` `[1, R]`.
    pub fn check_values(sums: &[f64], x: &[Lane], out: &mut [Lane]) = check_values;

    /// What the check values of a block's rows add up to, worked out from the rows: per field an fma chain from +0, the fields added
    /// in f64 in their order, rounded to f32 once.
    ///
    /// # Shapes
    /// `sums` `[F · D]`, `dim` = D, `x` `[F · D, R]`, `out` `[1, R]`.
    pub fn block_checks(sums: &[f32], dim: usize, x: &[Lane], out: &mut [Lane]) = block_checks;

    /// One bit for each data row whose outputs' total is not near enough to the sum of the check values that it looked up.
    ///
    /// # Shapes
    /// `expected` `[1, R]` such sums, `y` `[J, R]`, `out` `[G]`.
    pub fn suspects(expected: &[Lane], clearing: Clearing, y: &[Lane], out: &mut [u16]) = suspects;

    /// Whether a table has a row whose values, added in their order in f64, are not its clean total; NaN never is.
    ///
    /// # Shapes
    /// `clean` `[V]`, `words` `[V, D]`.
    pub fn totals_unlike(clean: &[f64], words: &[f32], found: &mut bool) = totals_unlike;

    /// Whether a value is not within two bounds; NaN never is.
    pub fn beyond(bounds: (f32, f32), words: &[f32], found: &mut bool) = beyond;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    fn number(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / 8_388_608.0 - 1.0
    }

    #[test]
    fn check_values_are_fma_chains_in_f64_on_every_path() {
        let (width, groups) = (19, 2);
        let mut state = 3;
        let sums: Vec<f64> = (0..width).map(|_| f64::from(number(&mut state)) * 1.1).collect();
        let x: Vec<Lane> = (0..width * groups).map(|_| std::array::from_fn(|_| number(&mut state))).collect();
        for &path in Path::available() {
            let mut out = vec![[9.0; LANES]; groups];
            Kernels::on(path).unwrap().check_values(&sums, &x, &mut out);
            for (row, found) in out.as_flattened().iter().enumerate() {
                let column = x[row / LANES..].iter().step_by(groups).map(|lane| lane[row % LANES]);
                let wanted = column.zip(&sums).fold(0.0, |sum, (x, s)| f64::from(x).mul_add(*s, sum));
                assert_eq!(found.to_bits(), (wanted as f32).to_bits(), "{path} row {row}");
            }
        }
    }

    #[test]
    fn check_values_of_a_block_are_chains_by_field_added_in_f64() {
        let (fields, dim) = (7, 19);
        let mut state = 4;
        let sums: Vec<f32> = (0..fields * dim).map(|_| number(&mut state)).collect();
        for groups in [1, 4, 6] {
            let x: Vec<Lane> =
                (0..fields * dim * groups).map(|_| std::array::from_fn(|_| number(&mut state))).collect();
            for &path in Path::available() {
                let mut out = vec![[9.0; LANES]; groups];
                Kernels::on(path).unwrap().block_checks(&sums, dim, &x, &mut out);
                for (row, found) in out.as_flattened().iter().enumerate() {
                    let column: Vec<f32> =
                        x[row / LANES..].iter().step_by(groups).map(|lane| lane[row % LANES]).collect();
                    let chain = |(x, sums): (&[f32], &[f32])| {
                        x.iter().zip(sums).fold(0.0f32, |sum, (x, s)| x.mul_add(*s, sum))
                    };
                    let by_field = column.chunks(dim).zip(sums.chunks(dim)).map(chain);
                    let wanted = by_field.fold(0.0, |sum, chain| sum + f64::from(chain));
                    assert_eq!(found.to_bits(), (wanted as f32).to_bits(), "{path} row {row}");
                }
            }
        }
    }

    #[test]
    fn data_rows_are_suspect_beyond_their_share_and_where_something_is_not_finite() {
        let (groups, outputs) = (2, 5);
        let mut state = 5;
        let expected: Vec<Lane> = (0..groups).map(|_| std::array::from_fn(|_| number(&mut state))).collect();
        let clearing = Clearing { bias: 0.75, share: 1e-3 };
        let mut y = vec![[5.0; LANES]; outputs * groups];
        for g in 0..groups {
            y[g] = expected[g].map(|x| x + 0.75 - 20.0);
        }
        for &path in Path::available() {
            let check = |y: &[Lane], clearing| {
                let mut out = [0xffff; 2];
                Kernels::on(path).unwrap().suspects(&expected, clearing, y, &mut out);
                out
            };
            assert_eq!(check(&y, clearing), [0, 0], "{path}");
            for off in [0.2, -0.2, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
                let mut hit = y.clone();
                hit[2 * groups][5] += off;
                assert_eq!(check(&hit, clearing), [1 << 5, 0], "{off} on {path}");
            }
            // Sums of magnitudes that overflow clear nothing.
            let mut large = y.clone();
            (large[2 * groups + 1][3], large[3 * groups + 1][3]) = (3e38, -3e38);
            assert_eq!(check(&large, Clearing { share: 10.0, ..clearing }), [0, 1 << 3], "{path}");
            assert_eq!(check(&y, Clearing { bias: f64::NAN, ..clearing }), [0xffff; 2], "{path}");
        }
    }

    #[test]
    fn one_bit_of_one_word_makes_a_table_unlike_its_totals() {
        for width in [1, 3, 16, 21, 32] {
            let rows = 37;
            let mut state = 7;
            let words: Vec<f32> = (0..rows * width).map(|_| number(&mut state)).collect();
            let total = |row: &[f32]| row.iter().fold(0.0, |sum, &x| sum + f64::from(x));
            let clean: Vec<f64> = words.chunks_exact(width).map(total).collect();
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let unlike = |words: &[f32]| {
                    let mut found = false;
                    kernels.totals_unlike(&clean, words, &mut found);
                    found
                };
                assert!(!unlike(&words), "{width} on {path}");
                for at in 0..words.len() {
                    let mut hit = words.clone();
                    hit[at] = f32::from_bits(hit[at].to_bits() ^ 1 << (at % 32));
                    assert!(unlike(&hit), "{width} on {path}, word {at}");
                    hit[at] = f32::NAN;
                    assert!(unlike(&hit), "{width} on {path}, word {at} is no number");
                }
            }
        }
    }

    #[test]
    fn a_value_beyond_bounds_is_found_and_nan_is_beyond() {
        let inside = [0.5, -1.0, 2.0, -0.0, 1.0];
        for &path in Path::available() {
            let beyond = |words: &[f32]| {
                let mut found = true;
                Kernels::on(path).unwrap().beyond((-1.0, 2.0), words, &mut found);
                found
            };
            assert!(!beyond(&inside.repeat(20)), "{path}");
            for bad in [f32::NAN, 2.000_001, -1.000_001, f32::INFINITY, f32::NEG_INFINITY] {
                for at in 0..100 {
                    let mut words = inside.repeat(20);
                    words[at] = bad;
                    assert!(beyond(&words), "{path}: {bad} at {at}");
                }
            }
        }
    }
}
