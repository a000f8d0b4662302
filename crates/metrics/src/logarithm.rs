//! Natural logarithms of many numbers at once, with the bits of `libm::log`.

/// The coefficients of the minimax polynomial in s² of log(1 + f), s = f / (2 + f), and ln 2 in two parts.
///
/// Source: FreeBSD's msun, `e_log.c`, which is what `libm` follows.
const POLYNOMIAL: [f64; 7] = [
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];
const LN_2: [f64; 2] = [f64::from_bits(0x3fe6_2e42_fee0_0000), f64::from_bits(0x3dea_39ef_3579_3c76)];
/// The first word of √½, from which on mantissas are taken.
const ROOT_HALF: u64 = 0x3fe6_a09e << 32;
const ONE: u64 = 0x3ff0_0000 << 32;
const MANTISSA: u64 = (1 << 52) - 1;
/// 2^52: numbers beside it are whole.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// Replaces numbers by their logarithms; none may be below the smallest normal number, infinite or NaN.
#[inline(always)]
pub(crate) fn logarithms<const N: usize>(numbers: &mut [f64; N]) {
    let [c1, c2, c3, c4, c5, c6, c7] = POLYNOMIAL;
    for x in numbers {
        let shifted = x.to_bits() + (ONE - ROOT_HALF);
        let power = f64::from_bits(WHOLE.to_bits() | shifted >> 52) - (WHOLE + 1023.0);
        let f = f64::from_bits((shifted & MANTISSA) + ROOT_HALF) - 1.0;
        let half_square = 0.5 * f * f;
        let s = f / (2.0 + f);
        let z = s * s;
        let w = z * z;
        let even = w * (c2 + w * (c4 + w * c6));
        let odd = z * (c1 + w * (c3 + w * (c5 + w * c7)));
        *x = s * (half_square + (odd + even)) + power * LN_2[1] - half_square + f + power * LN_2[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_have_the_bits_of_libm() {
        let mut state = 1_u64;
        let near =
            |x: f64| (-40..40_i64).map(move |step| f64::from_bits(x.to_bits().wrapping_add_signed(step)));
        let drawn = (0..200_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Any normal number, more often one between 2^-700 and 1.
            let exponent = if state & 1 == 0 { 1 + (state >> 40) % 2046 } else { 323 + (state >> 40) % 700 };
            f64::from_bits(exponent << 52 | state >> 12)
        });
        let edges = [1.0, 0.5, 0.25, std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::SQRT_2, 2.0, 1e-192];
        for x in drawn.chain(edges.into_iter().flat_map(near)).chain([f64::MIN_POSITIVE, f64::MAX]) {
            let mut one = [x];
            logarithms(&mut one);
            assert_eq!(one[0].to_bits(), libm::log(x).to_bits(), "{x:e}");
        }
    }
}
