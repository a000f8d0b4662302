//! The kernels for one data row, as defined: the reference that every fast path equals bit for bit.

/// Inputs per block of a linear layer's chain.
pub const CHAIN: usize = 256;

/// The sum of `values` by the fixed tree; +0 for none.
pub fn tree(values: &[f32]) -> f32 {
    match values {
        [] => 0.0,
        [one] => *one,
        more => {
            let left = more.len().next_power_of_two() / 2;
            tree(&more[..left]) + tree(&more[left..])
        }
    }
}

/// The sum over a dimension: 16 virtual lanes, then their tree.
pub fn sum(values: &[f32]) -> f32 {
    let used = values.len().min(crate::LANES);
    let mut lanes = [0.0; crate::LANES];
    lanes[..used].copy_from_slice(&values[..used]);
    for (i, &x) in values.iter().enumerate().skip(used) {
        lanes[i % crate::LANES] += x;
    }
    tree(&lanes[..used])
}

/// The number of an IEEE binary16 word, exactly; NaN for NaN.
#[inline(always)]
pub fn f16(word: u16) -> f32 {
    let magnitude = u32::from(word & 0x7fff);
    // 112 is the difference of the biases; a subnormal counts in steps of 2^-24.
    let normal = (magnitude << 13) + (112 << 23);
    let subnormal = (magnitude as f32 * (1.0 / 16_777_216.0)).to_bits();
    let special = (magnitude << 13) | 0x7f80_0000;
    let value = if magnitude < 0x400 { subnormal } else { normal };
    let value = if magnitude >= 0x7c00 { special } else { value };
    f32::from_bits(value | (u32::from(word & 0x8000) << 16))
}

/// The number of a bfloat16 word, exactly.
#[inline(always)]
pub fn bf16(word: u16) -> f32 {
    f32::from_bits(u32::from(word) << 16)
}

/// The value of a quantised byte: fma(code, scale, bias), rounded once.
#[inline(always)]
pub fn dequantised(code: u8, scale: f32, bias: f32) -> f32 {
    f32::from(code).mul_add(scale, bias)
}

/// The dot product as one fma chain from +0.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    chain(b, a)
}

/// One fma chain from +0.
fn chain(weights: &[f32], x: &[f32]) -> f32 {
    weights.iter().zip(x).fold(0.0, |sum, (&w, &x)| x.mul_add(w, sum))
}

fn with_bias(value: f32, bias: &[f32], output: usize) -> f32 {
    bias.get(output).map_or(value, |b| value + b)
}

/// A linear layer on the concatenated embedding rows.
///
/// # Shapes
/// `weights` [J, F · D], `bias` `[J]` or empty, `x` [F · D], `y` `[J]`.
pub fn field_layer(weights: &[f32], bias: &[f32], x: &[f32], fields: usize, y: &mut [f32]) {
    let dim = x.len() / fields;
    for (output, (y, row)) in y.iter_mut().zip(weights.chunks_exact(x.len())).enumerate() {
        let parts: Vec<f32> =
            row.chunks_exact(dim).zip(x.chunks_exact(dim)).map(|(w, x)| chain(w, x)).collect();
        *y = with_bias(tree(&parts), bias, output);
    }
}

/// A linear layer.
///
/// # Shapes
/// `weights` `[J, K]`, `bias` `[J]` or empty, `x` `[K]`, `y` `[J]`.
pub fn linear(weights: &[f32], bias: &[f32], x: &[f32], y: &mut [f32]) {
    for (output, (y, row)) in y.iter_mut().zip(weights.chunks_exact(x.len())).enumerate() {
        let blocks = row.chunks(CHAIN).zip(x.chunks(CHAIN)).map(|(w, x)| chain(w, x));
        *y = with_bias(blocks.reduce(|a, b| a + b).unwrap_or(0.0), bias, output);
    }
}

/// The coefficients α and β of batch norm in evaluation.
pub fn batch_norm(weight: f32, bias: f32, mean: f32, variance: f32, epsilon: f32) -> (f32, f32) {
    let alpha = weight * (1.0 / (variance + epsilon).sqrt());
    (alpha, bias - mean * alpha)
}

/// fma(α, x, β).
pub fn affine(alpha: f32, beta: f32, x: f32) -> f32 {
    alpha.mul_add(x, beta)
}

/// +0 where x ≤ 0, x elsewhere; NaN stays NaN.
pub fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// The second-order term of a factorisation machine.
///
/// # Shapes
/// `v` [F · D].
pub fn factorisation(v: &[f32], fields: usize) -> f32 {
    let dim = v.len() / fields;
    let terms: Vec<f32> = (0..dim)
        .map(|d| {
            let column: Vec<f32> = v.chunks_exact(dim).map(|row| row[d]).collect();
            let squares: Vec<f32> = column.iter().map(|x| x * x).collect();
            let total = tree(&column);
            total * total - tree(&squares)
        })
        .collect();
    0.5 * sum(&terms)
}

/// One cross layer: fma(x0, s, b) + x.
pub fn cross(x0: f32, s: f32, b: f32, x: f32) -> f32 {
    x0.mul_add(s, b) + x
}

/// The exponential function.
///
/// # Numerics
/// x = k·ln 2 + r with |r| ≤ ½ ln 2 in two fma steps, a polynomial of degree 7 in r (Taylor's, remainder below 2^-29
/// relative), and 2^k in two factors so that subnormal results round once. Within 1 ULP for normal results;
/// +Inf above 88.722839, +0 below −103.972084, NaN for NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let clamped = if x > 89.0 { 89.0 } else { x };
    let clamped = if clamped < -105.0 { -105.0 } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let k = shifted - SHIFT;
    let r = k.mul_add(-0.693_359_4, clamped);
    let r = k.mul_add(2.121_944_4e-4, r);
    let p = (1.0f32 / 5040.0).mul_add(r, 1.0 / 720.0);
    let p = p.mul_add(r, 1.0 / 120.0);
    let p = p.mul_add(r, 1.0 / 24.0);
    let p = p.mul_add(r, 1.0 / 6.0);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    // `shifted` holds k in its low bits, above those of SHIFT.
    let whole = (shifted.to_bits() as i32).wrapping_sub(0x4b40_0000);
    let half = whole >> 1;
    let low = f32::from_bits((half.wrapping_add(127) << 23) as u32);
    let high = f32::from_bits((whole.wrapping_sub(half).wrapping_add(127) << 23) as u32);
    // NaN reaches this through `r`; its k is arbitrary, the products stay NaN.
    p * low * high
}

/// 1 / (1 + exp(−x)).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The softmax of `x` in place: exp(x − max), divided by the sum over the dimension.
///
/// # Numerics
/// A NaN anywhere makes every result NaN.
pub fn softmax(x: &mut [f32]) {
    let top = maximum(x);
    for x in x.iter_mut() {
        *x = exp(*x - top);
    }
    let total = sum(x);
    for x in x {
        *x /= total;
    }
}

/// The sum over the pairs i < j of share · (v_i ⊙ v_j).
///
/// # Shapes
/// `v` [F · D], `shares` [F(F − 1)/2], `out` `[D]`.
pub fn pair_sum(v: &[f32], shares: &[f32], fields: usize, out: &mut [f32]) {
    let dim = out.len();
    for (d, out) in out.iter_mut().enumerate() {
        let products =
            (0..fields).flat_map(|i| (i + 1..fields).map(move |j| v[i * dim + d] * v[j * dim + d]));
        let terms: Vec<f32> = shares.iter().zip(products).map(|(share, product)| share * product).collect();
        *out = sum(&terms);
    }
}

/// The largest value, NaN if there is one; −Inf for none.
pub fn maximum(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |top, &x| if x > top || x.is_nan() { x } else { top })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_pairs_neighbours_and_lifts_the_odd_one() {
        let v = [1e8, 1.0, -1e8, 1.0, 3.0];
        assert_eq!(tree(&v), ((1e8 + 1.0) + (-1e8 + 1.0)) + 3.0);
        assert_eq!(tree(&[]).to_bits(), 0);
    }

    #[test]
    fn half_precision_words_stand_for_their_numbers() {
        for (word, value) in [
            (0x0000u16, 0.0f32),
            (0x8000, -0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(f16(word).to_bits(), value.to_bits(), "{word:#x}");
        }
        assert!([0x7c01, 0x7e00, 0xffff].iter().all(|&word| f16(word).is_nan()));
        // Every finite word: sign, and mantissa times a power of two.
        for word in (0..=u16::MAX).filter(|word| word & 0x7c00 != 0x7c00) {
            let (exponent, fraction) = (i32::from(word >> 10 & 31), f64::from(word & 0x3ff));
            let hidden = if exponent == 0 { 0.0 } else { 1024.0 };
            let value = (hidden + fraction) * f64::exp2(f64::from(exponent.max(1) - 25));
            assert_eq!(f64::from(f16(word)).abs(), value, "{word:#x}");
            assert_eq!(f16(word).is_sign_negative(), word >> 15 == 1, "{word:#x}");
        }
        assert_eq!(bf16(0x3fc0), 1.5);
        assert_eq!(bf16(0xff80), f32::NEG_INFINITY);
        assert!(bf16(0x7fc0).is_nan());
    }

    #[test]
    fn a_quantised_byte_is_rounded_once() {
        assert_eq!(dequantised(255, 0.5, -1.0), 126.5);
        // 3 · 0.1 rounds up; the sum with −0.3 then loses the product's last bits unless they are kept.
        assert_eq!(dequantised(3, 0.1, -0.3), (3.0 * f64::from(0.1f32) + f64::from(-0.3f32)) as f32);
        assert!(dequantised(0, f32::INFINITY, 0.0).is_nan());
        assert!(dequantised(0, 0.0, f32::NAN).is_nan());
    }

    #[test]
    fn sums_use_sixteen_lanes() {
        let v: Vec<f32> = (0..35).map(|i| (i as f32).exp2()).collect();
        let mut lanes = [0.0f32; 16];
        lanes.copy_from_slice(&v[..16]);
        for i in 16..35 {
            lanes[i % 16] += v[i];
        }
        assert_eq!(sum(&v), tree(&lanes));
        assert_eq!(sum(&[-0.0]).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn exp_is_within_one_ulp_of_the_rounded_truth() {
        let mut worst = 0;
        for i in 0..2_000_000 {
            let x = -87.3 + i as f32 * (176.0 / 2_000_000.0);
            let truth = libm::exp(f64::from(x)) as f32;
            worst = worst.max((i64::from(exp(x).to_bits()) - i64::from(truth.to_bits())).abs());
        }
        assert!(worst <= 1, "{worst} ulp");
    }

    #[test]
    fn exp_keeps_edges() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(88.722_84), f32::INFINITY);
        assert!(exp(88.722_83).is_finite());
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(-103.0).to_bits(), 1);
        assert_eq!(exp(-104.0), 0.0);
        assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert_eq!(sigmoid(0.0), 0.5);
    }

    #[test]
    fn relu_keeps_nan() {
        assert!(relu(f32::NAN).is_nan());
        assert_eq!(relu(-0.0).to_bits(), 0);
        assert_eq!(relu(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    fn softmax_of_a_nan_is_nan_everywhere() {
        let mut x = [1.0, f32::NAN, 2.0];
        softmax(&mut x);
        assert!(x.iter().all(|x| x.is_nan()));
    }
}
