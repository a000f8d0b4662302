//! Rounding down without a cast, so that loops over it become vector code.

/// A number in [0, 2^51) rounded down, by putting it into the mantissa of 2^52.
#[inline(always)]
pub(crate) fn floor_to_u64(number: f64) -> u64 {
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    let nearest = number + TWO_TO_52;
    let whole = nearest.to_bits() & ((1 << 52) - 1);
    whole - u64::from(nearest - TWO_TO_52 > number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox;

    #[test]
    fn floors_are_those_of_the_cast() {
        let edges = [0.0, 0.5, 1.0, 1.5, 2.5, 1e9 + 0.5, 2_251_799_813_685_247.5];
        let near = edges.iter().flat_map(|x: &f64| [x.next_down().max(0.0), *x, x.next_up()]);
        let scattered = (0..100_000).map(|i| philox::block([i, 0, 0, 0], [3, 4]));
        let spread = scattered.map(|[a, b, ..]| f64::from(a) / (f64::from(b) + 1.0) * f64::from(a >> 12));
        for number in near.chain(spread).filter(|&number| number < 2_251_799_813_685_248.0) {
            assert_eq!(floor_to_u64(number), number as u64, "{number}");
        }
    }
}
