//! Draws for resampling and for orders that owe nothing to the data.

/// SplitMix64 (Steele, Lea & Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below n: the high word of a 64-bit product, biased by less than n/2^64.
pub(crate) fn below(state: &mut u64, n: usize) -> usize {
    ((u128::from(next(state)) * n as u128) >> 64) as usize
}

/// Puts values into an order drawn from a seed (Fisher & Yates).
pub(crate) fn shuffle(values: &mut [f64], seed: u64) {
    let mut state = seed;
    for last in (1..values.len()).rev() {
        values.swap(last, below(&mut state, last + 1));
    }
}
