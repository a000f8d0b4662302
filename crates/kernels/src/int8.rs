//! Matrix products of u8 activations and i8 weights, checked by a column of sums modulo 127.
//!
//! Source: Li et al., "Efficient soft-error detection for low-precision deep learning recommendation models", 2022.
//! Row totals are taken in i64, and the modulus is prime, so that the check is exact: it never fires on a right result.

use crate::lanes::Lanes;

/// The modulus of the checksums, a prime: no power of two is a multiple of it.
pub const CHECK_MODULUS: i64 = 127;

/// The longest product whose accumulators can't leave i32: ⌊(2^31 − 1) / (255 · 128)⌋, since a flip can make −128.
pub const CHECKED_INPUTS: usize = 65_792;

/// The checksums of weights `[K, N]`: Σ_j B_kj modulo 127, `[K]`.
///
/// # Panics
/// If `weights` is not a multiple of `outputs`.
pub fn int8_checksums(weights: &[i8], outputs: usize) -> Vec<u8> {
    assert!(outputs > 0 && weights.len().is_multiple_of(outputs), "{} weights, N = {outputs}", weights.len());
    weights
        .chunks_exact(outputs)
        .map(|row| row.iter().map(|&w| i64::from(w)).sum::<i64>().rem_euclid(CHECK_MODULUS) as u8)
        .collect()
}

/// Whether the accumulators of one row `[N]` agree with the checksums `[K]` of the weights and the row's inputs `[K]`.
///
/// # Numerics
/// Exact in integers. A single flipped bit of a weight B_kj shifts the total by ±2^b · x_k and stays unseen only where
/// x_k is 0, 127 or 254: of m rows with uniform x_k, all miss it with probability (3/256)^m.
pub fn int8_row_agrees(checksums: &[u8], inputs: &[u8], accumulators: &[i32]) -> bool {
    let total: i64 = accumulators.iter().map(|&c| i64::from(c)).sum();
    let expected: i64 = inputs.iter().zip(checksums).map(|(&a, &s)| i64::from(a) * i64::from(s)).sum();
    (total - expected).rem_euclid(CHECK_MODULUS) == 0
}

#[inline(always)]
fn int8_product<L: Lanes>(inputs: &[u8], weights: &[i8], shape: (usize, usize), out: &mut [i32]) {
    let (inner, outputs) = shape;
    assert!(inner <= CHECKED_INPUTS, "{inner} inputs overflow i32; at most {CHECKED_INPUTS} do not");
    for (x, out) in inputs.chunks_exact(inner).zip(out.chunks_exact_mut(outputs)) {
        out.fill(0);
        for (&x, row) in x.iter().zip(weights.chunks_exact(outputs)) {
            for (out, &w) in out.iter_mut().zip(row) {
                *out += i32::from(x) * i32::from(w);
            }
        }
    }
}

kernels! {
    /// The product of u8 inputs and i8 weights in i32, exact.
    ///
    /// # Shapes
    /// `inputs` [M, K], `weights` [K, N], `shape` = (K, N), `out` [M, N].
    ///
    /// # Panics
    /// If K is beyond [`CHECKED_INPUTS`].
    pub fn int8_product(inputs: &[u8], weights: &[i8], shape: (usize, usize), out: &mut [i32]) = int8_product;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    /// A generator of bytes, xorshift.
    struct Bytes(u64);

    impl Bytes {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn inputs(&mut self, count: usize) -> Vec<u8> {
            (0..count).map(|_| (self.next() >> 32) as u8).collect()
        }

        fn weights(&mut self, count: usize) -> Vec<i8> {
            self.inputs(count).into_iter().map(u8::cast_signed).collect()
        }
    }

    fn fails(sums: &[u8], x: &[u8], weights: &[i8], (inner, outputs): (usize, usize)) -> usize {
        let mut out = vec![0; x.len() / inner * outputs];
        Kernels::detected().int8_product(x, weights, (inner, outputs), &mut out);
        let rows = x.chunks_exact(inner).zip(out.chunks_exact(outputs));
        rows.filter(|(x, out)| !int8_row_agrees(sums, x, out)).count()
    }

    #[test]
    fn products_are_exact_on_every_path() {
        let mut bytes = Bytes(7);
        let (rows, inner, outputs) = (3, 41, 19);
        let (x, w) = (bytes.inputs(rows * inner), bytes.weights(inner * outputs));
        for &path in Path::available() {
            let mut out = vec![1; rows * outputs];
            Kernels::on(path).unwrap().int8_product(&x, &w, (inner, outputs), &mut out);
            for (at, &out) in out.iter().enumerate() {
                let (r, j) = (at / outputs, at % outputs);
                let wanted: i32 =
                    (0..inner).map(|k| i32::from(x[r * inner + k]) * i32::from(w[k * outputs + j])).sum();
                assert_eq!(out, wanted, "{path}");
            }
        }
    }

    #[test]
    fn right_products_never_fail_up_to_the_longest() {
        let mut bytes = Bytes(11);
        for inner in [1, 127, 1024] {
            let (x, w) = (bytes.inputs(64 * inner), bytes.weights(inner * 16));
            assert_eq!(fails(&int8_checksums(&w, 16), &x, &w, (inner, 16)), 0);
        }
        for weight in [-128, 127] {
            let (x, w) = (vec![255; CHECKED_INPUTS], vec![weight; CHECKED_INPUTS * 2]);
            assert_eq!(fails(&int8_checksums(&w, 2), &x, &w, (CHECKED_INPUTS, 2)), 0);
        }
    }

    #[test]
    #[should_panic(expected = "65793 inputs overflow i32")]
    fn longer_products_are_refused() {
        let inner = CHECKED_INPUTS + 1;
        fails(&vec![0; inner], &vec![255; inner], &vec![-128; inner], (inner, 1));
    }

    #[test]
    fn one_flipped_weight_bit_is_seen_but_for_three_in_256_inputs() {
        // Every input value and every bit: the three multiples of 127 miss it, all others see it.
        let weights = [-77i8, 3, 127, 0];
        let sums = int8_checksums(&weights, 4);
        for bit in 0..8 {
            let mut hit = weights;
            hit[2] = (hit[2].cast_unsigned() ^ (1 << bit)).cast_signed();
            for x in 0..=255u8 {
                assert_eq!(
                    fails(&sums, &[x], &hit, (1, 4)) == 0,
                    matches!(x, 0 | 127 | 254),
                    "{x}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn detection_by_m_uniform_rows_is_one_minus_three_in_256_to_the_m() {
        // 200,000 trials: the count of misses lies within 5 standard deviations, a false alarm in 1.7 million seeds.
        let mut bytes = Bytes(13);
        for rows in [1, 2] {
            let trials = 200_000;
            let p = (3.0f64 / 256.0).powi(rows);
            let mut missed = 0;
            for _ in 0..trials {
                let w = (bytes.next() >> 24) as u8;
                let hit = w ^ (1 << (bytes.next() >> 61));
                let sums = int8_checksums(&[w.cast_signed()], 1);
                let seen = (0..rows).any(|_| {
                    let x = (bytes.next() >> 32) as u8;
                    !int8_row_agrees(&sums, &[x], &[i32::from(x) * i32::from(hit.cast_signed())])
                });
                missed += u32::from(!seen);
            }
            let (mean, deviation) = (f64::from(trials) * p, (f64::from(trials) * p * (1.0 - p)).sqrt());
            assert!((f64::from(missed) - mean).abs() < 5.0 * deviation, "{missed} missed, {mean} expected");
        }
    }
}
