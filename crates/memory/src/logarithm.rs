//! The logarithm of `libm` without its branches, so that loops over it become vector code.
//!
//! Source: `e_log.c` of FreeBSD's msun, which `libm` follows; equal to `libm::log` bit for bit on positive normal numbers.

const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
/// Coefficients of (log(1 + f) − f + f²/2) / s − f²/2 in powers of z = s², where s = f / (2 + f).
const LG: [f64; 7] = [
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];
/// Distance, in units of the last place, from the word of √2/2 to that of 1.
const FROM_ROOT_HALF: u64 = 0x3ff0_0000_0000_0000 - ROOT_HALF;
/// The word of √2/2, lower half cut.
const ROOT_HALF: u64 = 0x3fe6_a09e_0000_0000;

/// log(x) for a positive normal x: the bits of `libm::log`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must become part of a loop that is compiled for vectors")]
pub fn log(x: f64) -> f64 {
    // x = 2^k · (1 + f) with 1 + f in [√2/2, √2].
    let shifted = x.to_bits().wrapping_add(FROM_ROOT_HALF);
    let k = small_to_f64(shifted >> 52) - 1023.0;
    let f = f64::from_bits((shifted & ((1 << 52) - 1)) + ROOT_HALF) - 1.0;
    let half_square = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (LG[1] + w * (LG[3] + w * LG[5]));
    let odd = z * (LG[0] + w * (LG[2] + w * (LG[4] + w * LG[6])));
    s * (half_square + (odd + even)) + k * LN2_LO - half_square + f + k * LN2_HI
}

/// A whole number below 2^52, by putting it into the mantissa of 2^52.
#[inline(always)]
fn small_to_f64(number: u64) -> f64 {
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    f64::from_bits(TWO_TO_52.to_bits() | number) - TWO_TO_52
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_libm_bit_for_bit() {
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The low bits of such a generator have short periods.
            state ^ state >> 33
        };
        let edges = [1.0, 0.5, 2.0_f64.sqrt(), 0.5_f64.sqrt(), f64::MIN_POSITIVE, f64::MAX];
        let near = edges.iter().flat_map(|x| (0..2000).map(|i| f64::from_bits(x.to_bits() - i)));
        let scattered: Vec<u64> = (0..400_000).map(|_| draw()).collect();
        let uniform = scattered.iter().map(|number| (number >> 11) as f64 * f64::EPSILON / 2.0);
        let any = scattered.iter().map(|number| f64::from_bits(number >> 1));
        for x in near.chain(uniform).chain(any).filter(|x| x.is_normal()) {
            assert_eq!(log(x).to_bits(), libm::log(x).to_bits(), "{x:e}");
        }
        assert_eq!(log(f64::EPSILON / 2.0).to_bits(), libm::log(f64::EPSILON / 2.0).to_bits());
    }
}
