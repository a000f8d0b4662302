//! Binary cross entropy on the logits of a block, in f64.

use crate::lanes::{LANES, Lanes};

/// log₂ e.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two parts; the first has zeros enough that its product with a whole number below 2^11 is exact.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1.5 · 2^52: added to a number of moderate size, it leaves the nearest whole number in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Beyond this exp(−a) no longer counts beside 1, and its power of two is still normal.
const FARTHEST: f64 = 700.0;

/// 0! to 13!.
const FACTORIALS: [f64; 14] = [
    1.0,
    1.0,
    2.0,
    6.0,
    24.0,
    120.0,
    720.0,
    5040.0,
    40_320.0,
    362_880.0,
    3_628_800.0,
    39_916_800.0,
    479_001_600.0,
    6_227_020_800.0,
];

/// exp(−a) of a ≥ 0, within 2 ULP; NaN stays NaN.
///
/// # Numerics
/// a = k ln 2 + r with |r| ≤ ½ ln 2; the Taylor series of exp(−r) up to r¹³, times 2^−k. Without fma, so that no
/// instruction set differs. From 700 on the value is exp(−700).
#[inline(always)]
fn exp_negative(a: f64) -> f64 {
    let a = if a > FARTHEST { FARTHEST } else { a };
    let rounded = a * LOG2_E + ROUND;
    let k = rounded - ROUND;
    let r = (k * LN_2_HIGH - a) + k * LN_2_LOW;
    let mut sum = 1.0 / FACTORIALS[13];
    for i in (0..13).rev() {
        sum = sum * r + 1.0 / FACTORIALS[i];
    }
    // The low bits of `rounded` are k above those of ROUND.
    let exponent = 1023u64.wrapping_sub(rounded.to_bits().wrapping_sub(ROUND.to_bits()));
    sum * f64::from_bits(exponent << 52)
}

/// ln(1 + e) of e in [0, 1], within 3 ULP; NaN stays NaN.
///
/// # Numerics
/// 2 artanh(s) of s = e / (2 + e) ≤ ⅓, by its series up to s³⁵. Without fma.
#[inline(always)]
fn log_one_plus(e: f64) -> f64 {
    let s = e / (2.0 + e);
    let square = s * s;
    let mut sum = 1.0 / 35.0;
    for i in (0..17u32).rev() {
        sum = sum * square + 1.0 / f64::from(2 * i + 1);
    }
    2.0 * s * sum
}

/// The loss of one row and its derivative by the logit.
#[inline(always)]
fn of_row(z: f64, y: f64) -> (f64, f64) {
    let small = exp_negative(z.abs());
    let positive = if z > 0.0 { z } else { 0.0 };
    let loss = positive - z * y + log_one_plus(small);
    let of_label_one = if z >= 0.0 { 1.0 } else { small };
    (loss, of_label_one / (1.0 + small) - y)
}

#[inline(always)]
fn cross_entropy<L: Lanes>(logits: &[f32], labels: &[u8], scale: f64, slopes: &mut [f32], loss: &mut f64) {
    let mut sums = [0.0f64; LANES];
    let (whole, rest) = labels.as_chunks::<LANES>();
    let (logits, _) = logits.as_chunks::<LANES>();
    let (slopes, _) = slopes.as_chunks_mut::<LANES>();
    for ((labels, logits), slopes) in whole.iter().zip(logits).zip(&mut *slopes) {
        for lane in 0..LANES {
            let (loss, slope) = of_row(f64::from(logits[lane]), f64::from(labels[lane]));
            sums[lane] += loss;
            slopes[lane] = (slope * scale) as f32;
        }
    }
    for (i, slopes) in slopes.iter_mut().enumerate().skip(whole.len()) {
        for (lane, slope) in slopes.iter_mut().enumerate() {
            let label = if i == whole.len() { rest.get(lane) } else { None };
            *slope = 0.0;
            if let Some(&label) = label {
                let (loss, d) = of_row(f64::from(logits[i][lane]), f64::from(label));
                sums[lane] += loss;
                *slope = (d * scale) as f32;
            }
        }
    }
    *loss = tree(sums);
}

/// The tree of sixteen sums.
#[inline(always)]
pub(crate) fn tree(x: [f64; LANES]) -> f64 {
    let eight: [f64; 8] = std::array::from_fn(|i| x[2 * i] + x[2 * i + 1]);
    let four: [f64; 4] = std::array::from_fn(|i| eight[2 * i] + eight[2 * i + 1]);
    (four[0] + four[1]) + (four[2] + four[3])
}

kernels! {
    /// The summed loss of a block's rows, and `scale` times the derivative by each logit; padding gets 0.
    ///
    /// # Shapes
    /// `logits`, `slopes` `[R]`, `labels` `[B]`, B ≤ R.
    ///
    /// # Numerics
    /// max(z, 0) − z y + ln(1 + exp(−|z|)) in f64, which neither overflows nor cancels; sixteen lanes of sums, then
    /// their tree.
    pub fn cross_entropy(logits: &[f32], labels: &[u8], scale: f64, slopes: &mut [f32], loss: &mut f64)
        = cross_entropy;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    #[test]
    fn exp_and_log_are_those_of_libm_to_a_few_ulp() {
        let mut worst = (0.0f64, 0.0f64);
        for i in 0..200_000 {
            let a = f64::from(i) * f64::from(i) / 4e10 * 700.0;
            let (found, expected) = (exp_negative(a), libm::exp(-a));
            worst.0 = worst.0.max((found - expected).abs() / (expected * f64::EPSILON));
            let e = f64::from(i) / 199_999.0;
            let (found, expected) = (log_one_plus(e), libm::log1p(e));
            if e > 0.0 {
                worst.1 = worst.1.max((found - expected).abs() / (expected * f64::EPSILON));
            }
        }
        assert!(worst.0 <= 2.0 && worst.1 <= 3.0, "{worst:?}");
        assert_eq!((exp_negative(0.0), log_one_plus(0.0)), (1.0, 0.0));
        assert!(exp_negative(f64::NAN).is_nan() && log_one_plus(f64::NAN).is_nan());
        assert!(exp_negative(f64::INFINITY) < 1e-300);
    }

    #[test]
    fn the_derivative_is_the_slope() {
        for z in [-20.0f64, -1.5, 0.0, 0.3, 4.0] {
            for y in [0.0, 1.0] {
                let h = 1e-3;
                let slope = (of_row(z + h, y).0 - of_row(z - h, y).0) / (2.0 * h);
                assert!((slope - of_row(z, y).1).abs() < 1e-6, "{z} {y}");
            }
        }
    }

    #[test]
    fn extreme_logits_have_finite_loss_and_nan_stays() {
        assert_eq!((of_row(200.0, 0.0).0, of_row(-200.0, 1.0).0), (200.0, 200.0));
        assert_eq!(of_row(3e38, 0.0), (3e38, 1.0));
        assert!(of_row(f64::NAN, 1.0).0.is_nan() && of_row(f64::NAN, 1.0).1.is_nan());
    }

    #[test]
    fn every_path_and_every_place_gives_the_same_bits() {
        let logits: Vec<f32> = (0..64).map(|i| (i as f32 - 30.0) * 0.77).collect();
        let labels: Vec<u8> = (0..64).map(|i| u8::from(i % 3 == 0)).collect();
        for rows in [1, 15, 16, 17, 40, 64] {
            let of = |kernels: Kernels| {
                let (mut slopes, mut loss) = (vec![9.0f32; 64], 0.0);
                kernels.cross_entropy(&logits, &labels[..rows], 0.25, &mut slopes, &mut loss);
                (slopes, loss)
            };
            let plain = of(Kernels::on(Path::Portable).unwrap());
            let mut sums = [0.0; LANES];
            for row in 0..64 {
                let (loss, slope) = of_row(f64::from(logits[row]), f64::from(labels[row]));
                let expected = if row < rows { (slope * 0.25) as f32 } else { 0.0 };
                assert_eq!(plain.0[row], expected);
                sums[row % LANES] += if row < rows { loss } else { 0.0 };
            }
            assert_eq!(plain.1, tree(sums));
            for &path in Path::available() {
                assert_eq!(of(Kernels::on(path).unwrap()), plain, "{rows} rows on {path}");
            }
        }
    }
}
