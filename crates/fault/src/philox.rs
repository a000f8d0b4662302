//! Philox4x32-10, the counter-based generator behind every draw.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11. The tests hold the
//! known-answer vectors of their Random123 library.

use radhard_memory::{Wide, widest};

const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Blocks that [`numbers`] computes side by side.
const LANES: usize = 32;

/// One block: four 32-bit words from a counter and a key.
pub fn block(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut x0, mut x1, mut x2, mut x3] = counter;
    let [mut k0, mut k1] = key;
    for round in 0..ROUNDS {
        if round > 0 {
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        let a = MULTIPLIERS[0] * u64::from(x0);
        let b = MULTIPLIERS[1] * u64::from(x2);
        (x0, x1, x2, x3) = ((b >> 32) as u32 ^ x1 ^ k0, b as u32, (a >> 32) as u32 ^ x3 ^ k1, a as u32);
    }
    [x0, x1, x2, x3]
}

/// The two 64-bit numbers of a block, the first in its low words.
pub(crate) fn halves([x0, x1, x2, x3]: [u32; 4]) -> [u64; 2] {
    [u64::from(x0) | u64::from(x1) << 32, u64::from(x2) | u64::from(x3) << 32]
}

/// Fills `out` with the numbers of the blocks whose counters are `[first, first + 1, …]` in the low two words and
/// `high` in the upper two: `out[2 i]` and `out[2 i + 1]` come from block `first + i`.
pub(crate) fn numbers(first: u64, high: [u32; 2], key: [u32; 2], out: &mut [u64]) {
    let (groups, rest) = out.as_chunks_mut();
    let mut index = first.wrapping_add((groups.len() * LANES) as u64);
    if !groups.is_empty() {
        widest(Groups { first, high, key, out: groups });
    }
    for pair in rest.chunks_mut(2) {
        let halves = halves(block([index as u32, (index >> 32) as u32, high[0], high[1]], key));
        pair.copy_from_slice(&halves[..pair.len()]);
        index = index.wrapping_add(1);
    }
}

/// Groups of [`LANES`] blocks from one counter on.
struct Groups<'a> {
    first: u64,
    high: [u32; 2],
    key: [u32; 2],
    out: &'a mut [[u64; 2 * LANES]],
}

impl Wide for Groups<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must become part of the loop that is compiled for vectors")]
    fn run(self) {
        let mut index = self.first;
        for group in self.out {
            lanes(index, self.high, self.key, group);
            index = index.wrapping_add(LANES as u64);
        }
    }
}

/// [`block`] for [`LANES`] counters, in the shape that compilers turn into vector code: no step of the loop depends on
/// another, and words are kept in 64 bits of which the upper half is ignored.
#[inline(always)]
fn lanes(first: u64, high: [u32; 2], [k0, k1]: [u32; 2], out: &mut [u64; 2 * LANES]) {
    const LOW: u64 = 0xFFFF_FFFF;
    let keys: [[u64; 2]; ROUNDS] = std::array::from_fn(|round| {
        let step = |key: u32, weyl: u32| u64::from(key.wrapping_add(weyl.wrapping_mul(round as u32)));
        [step(k0, WEYL[0]), step(k1, WEYL[1])]
    });
    let [high0, high1] = high.map(u64::from);
    for (lane, pair) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let index = first.wrapping_add(lane as u64);
        let (mut x0, mut x1, mut x2, mut x3) = (index, index >> 32, high0, high1);
        for [k0, k1] in keys {
            let a = MULTIPLIERS[0] * (x0 & LOW);
            let b = MULTIPLIERS[1] * (x2 & LOW);
            (x0, x1, x2, x3) = (b >> 32 ^ x1 ^ k0, b, a >> 32 ^ x3 ^ k1, a);
        }
        *pair = [x0 & LOW | x1 << 32, x2 & LOW | x3 << 32];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        assert_eq!(block([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(block([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn numbers_equal_the_blocks_they_are_made_of_at_every_length() {
        let (high, key) = ([7, 0xdead_beef], [0x0123_4567, 0x89ab_cdef]);
        for first in [0, 5, u64::from(u32::MAX) - 2, u64::MAX - 1] {
            for length in 0..40 {
                let mut out = vec![0; length];
                numbers(first, high, key, &mut out);
                for (i, &number) in out.iter().enumerate() {
                    let index = first.wrapping_add(i as u64 / 2);
                    let expected = halves(block([index as u32, (index >> 32) as u32, high[0], high[1]], key));
                    assert_eq!(number, expected[i % 2], "number {i} of {length} from block {first}");
                }
            }
        }
    }
}
