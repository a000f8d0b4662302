//! Named streams of random numbers: which numbers belong to which chip, parameter and purpose.
//!
//! A stream is a function of (seed, trial, parameter, purpose, lane): nothing else that a campaign does can move it.
//! One Philox call with the seed as key and (trial, parameter hash) as counter gives the 96 bits that key all streams
//! of that parameter on that chip; block `b` of a stream is then Philox at counter (b, purpose and lane).

use crate::philox;

/// Version of the map from (seed, trial, parameter) to draws; records of different versions must not be mixed.
pub const STREAM_VERSION: u32 = 1;

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Gaps between the hit bits of a band; the lane is the band.
    BitGaps,
    /// Marks of the hit bits inside their band; the lane is the band.
    BitMarks,
    /// Gaps between the hit words of a band; the lane is the band.
    WordGaps,
    /// Marks of the hit words inside their band; the lane is the band.
    WordMarks,
    /// A coin per bit; the block is the site.
    SiteCoin,
    /// Coins of the bits in a run; the block is the site of its start.
    RunCoins,
    /// The value written to a word; the block is the element.
    WordValue,
    /// For error models from outside: 128 purposes that this crate never uses, the number taken modulo 128.
    Custom(u8),
}

impl Purpose {
    const fn tag(self) -> u32 {
        match self {
            Self::BitGaps => 1,
            Self::BitMarks => 2,
            Self::WordGaps => 3,
            Self::WordMarks => 4,
            Self::SiteCoin => 5,
            Self::RunCoins => 6,
            Self::WordValue => 7,
            Self::Custom(number) => 0x80 | (number as u32 & 0x7F),
        }
    }
}

/// Key of all streams of one parameter on one chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKey {
    key: [u32; 2],
    salt: u32,
}

impl StreamKey {
    /// The key for a parameter, known by its [hash](crate::ParameterSpec::hash), on the chip (seed, trial).
    pub fn new(seed: u64, trial: u64, parameter: u64) -> Self {
        let counter = [trial as u32, (trial >> 32) as u32, parameter as u32, (parameter >> 32) as u32];
        let [a, b, salt, _] = philox::block(counter, [seed as u32, (seed >> 32) as u32]);
        Self { key: [a, b], salt }
    }

    /// Numbers `2 · block`, `2 · block + 1`, … of a stream; the lane counts modulo 2^24.
    pub fn fill(&self, purpose: Purpose, lane: u32, block: u64, out: &mut [u64]) {
        philox::numbers(block, self.high(purpose, lane), self.key, out);
    }

    /// The two numbers of one block of a stream.
    pub fn pair(&self, purpose: Purpose, lane: u32, block: u64) -> [u64; 2] {
        let [high0, high1] = self.high(purpose, lane);
        philox::halves(philox::block([block as u32, (block >> 32) as u32, high0, high1], self.key))
    }

    /// The upper words of the counter.
    fn high(&self, purpose: Purpose, lane: u32) -> [u32; 2] {
        [purpose.tag() << 24 | (lane & 0x00FF_FFFF), self.salt]
    }
}

/// A number as a uniform f64 in [0, 1), from its top 53 bits.
#[inline]
pub fn unit(number: u64) -> f64 {
    (number >> 11) as f64 * f64::EPSILON / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_keep_their_first_numbers() {
        // From a Philox of ten lines in Python.
        let key = StreamKey::new(1, 2, 3);
        assert_eq!(key.pair(Purpose::BitGaps, 0, 0), STORED[0]);
        assert_eq!(key.pair(Purpose::BitMarks, 40, 1), STORED[1]);
        assert_eq!(key.pair(Purpose::Custom(200), 5, u64::MAX), STORED[2]);
    }

    const STORED: [[u64; 2]; 3] = [
        [0xB2D1_9322_4358_6342, 0xC05C_D396_5D2C_EC34],
        [0x9849_FD0B_17C3_9154, 0xA2A0_8853_0F5C_D635],
        [0xA9DA_9AC4_6428_0FE8, 0x8B64_FF70_A22C_A423],
    ];

    #[test]
    fn every_part_of_the_key_changes_the_numbers() {
        let first = StreamKey::new(1, 2, 3).pair(Purpose::BitGaps, 4, 5);
        for other in [
            StreamKey::new(0, 2, 3).pair(Purpose::BitGaps, 4, 5),
            StreamKey::new(1 << 32, 2, 3).pair(Purpose::BitGaps, 4, 5),
            StreamKey::new(1, 2 + (1 << 32), 3).pair(Purpose::BitGaps, 4, 5),
            StreamKey::new(1, 2, 3 + (1 << 32)).pair(Purpose::BitGaps, 4, 5),
            StreamKey::new(1, 3, 2).pair(Purpose::BitGaps, 4, 5),
            StreamKey::new(1, 2, 3).pair(Purpose::BitMarks, 4, 5),
            StreamKey::new(1, 2, 3).pair(Purpose::BitGaps, 5, 5),
            StreamKey::new(1, 2, 3).pair(Purpose::BitGaps, 4, 5 + (1 << 32)),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn unit_stays_below_one() {
        assert_eq!(unit(0), 0.0);
        assert_eq!(unit(u64::MAX), 1.0 - f64::EPSILON / 2.0);
        assert_eq!(unit(1 << 63), 0.5);
    }
}
