//! The split, drawn once by seed and stored.
use std::fmt;
use std::str::FromStr;

use crate::UnknownWord;
use crate::meta::SplitMeta;
use crate::random::{Draws, Stream};

/// The shares of train, validation and test, as `8:1:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitRatio([u32; 3]);

impl SplitRatio {
    /// The ratio train : validation : test; `None` when all three are 0.
    pub fn new(ratio: [u32; 3]) -> Option<Self> {
        (ratio != [0; 3]).then_some(Self(ratio))
    }

    /// Rows of each part: test and validation get their shares rounded up (test first, and never more than there are),
    /// train the rest.
    pub fn counts(self, rows: u64) -> [u64; 3] {
        let [train, validation, test] = self.0.map(u128::from);
        let sum = train + validation + test;
        let share = |part: u128| (u128::from(rows) * part).div_ceil(sum) as u64;
        let test = share(test);
        let validation = share(validation).min(rows - test);
        [rows - test - validation, validation, test]
    }
}

impl Default for SplitRatio {
    /// 8:1:1.
    fn default() -> Self {
        Self([8, 1, 1])
    }
}

impl fmt::Display for SplitRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, test] = self.0;
        write!(f, "{train}:{validation}:{test}")
    }
}

impl FromStr for SplitRatio {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let unknown = || UnknownWord {
            value: word.to_owned(),
            expected: "a split as train:validation:test in whole numbers, like 8:1:1",
        };
        let parts: Vec<u32> =
            word.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| unknown())?;
        <[u32; 3]>::try_from(parts).ok().and_then(Self::new).ok_or_else(unknown)
    }
}

/// A split to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Split {
    /// Shares of the parts.
    pub ratio: SplitRatio,
    /// The seed of the draw.
    pub seed: u64,
}

impl Split {
    /// The part of every row, each assignment with the counts of [`SplitRatio::counts`] being equally likely.
    ///
    /// Row i goes to a part with probability (rows the part still lacks) / (rows still to come), from draw i of the
    /// seed's split stream.
    ///
    /// Source: Fan, Muller, Rezucha 1962, the selection sampling of Knuth, TAOCP 2, 3.4.2, Algorithm S, for three parts.
    pub fn draw(self, rows: u64) -> (Vec<u8>, SplitMeta) {
        let counts = self.ratio.counts(rows);
        let draws = Draws::new(self.seed, Stream::Split);
        let [mut train, mut validation, mut test] = counts;
        let parts = (0..rows)
            .map(|row| {
                let place = draws.below(row, train + validation + test);
                if place < train {
                    train -= 1;
                    0
                } else if place < train + validation {
                    validation -= 1;
                    1
                } else {
                    test -= 1;
                    2
                }
            })
            .collect();
        (parts, SplitMeta { seed: self.seed, ratio: self.ratio.0, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_round_test_and_validation_up() {
        let ratio = SplitRatio::default();
        assert_eq!(ratio.counts(1_000_209), [800_167, 100_021, 100_021]);
        assert_eq!(ratio.counts(20_000_263), [16_000_209, 2_000_027, 2_000_027]);
        assert_eq!(ratio.counts(45_840_617), [36_672_493, 4_584_062, 4_584_062]);
        assert_eq!(ratio.counts(1), [0, 0, 1]);
        assert_eq!(ratio.counts(0), [0, 0, 0]);
        assert_eq!(ratio.counts(u64::MAX).iter().sum::<u64>(), u64::MAX);
        assert_eq!(SplitRatio::new([1, 0, 0]).unwrap().counts(7), [7, 0, 0]);
    }

    #[test]
    fn a_split_has_exactly_its_counts_and_depends_on_the_seed_alone() {
        for rows in [1, 2, 3, 10, 997] {
            let split = Split { ratio: SplitRatio::default(), seed: 7 };
            let (parts, meta) = split.draw(rows);
            let mut counts = [0; 3];
            for part in &parts {
                counts[usize::from(*part)] += 1;
            }
            assert_eq!(counts, meta.counts);
            assert_eq!(split.draw(rows).0, parts);
        }
        let first = Split { seed: 1, ..Split::default() }.draw(997).0;
        assert_ne!(first, Split { seed: 2, ..Split::default() }.draw(997).0);
    }

    #[test]
    fn the_split_of_seed_0_is_this_one_on_every_machine() {
        let (parts, _) = Split::default().draw(40);
        let text: String = parts.iter().map(|p| char::from(b'0' + p)).collect();
        assert_eq!(text, "0020000020002201100000000000000000000011");
    }

    #[test]
    fn every_place_is_as_likely_in_test() {
        // 2,000 seeds of 20 rows: each row is in test 200 times on average, standard deviation sqrt(2000·0.1·0.9) = 13.4.
        // 5 of them in 20 rows: false alarms 1.2e-5, and the seeds are fixed.
        let mut hits = [0u32; 20];
        for seed in 0..2000 {
            let (parts, _) = Split { seed, ..Split::default() }.draw(20);
            for (hit, part) in hits.iter_mut().zip(parts) {
                *hit += u32::from(part == 2);
            }
        }
        assert!(hits.iter().all(|&h| (133..=267).contains(&h)), "{hits:?}");
    }

    #[test]
    fn ratios_are_three_whole_numbers() {
        assert_eq!("8:1:1".parse(), Ok(SplitRatio::default()));
        assert_eq!(SplitRatio::default().to_string(), "8:1:1");
        for word in ["", "8:1", "8:1:1:1", "0:0:0", "8:-1:1", "0.8:0.1:0.1", "a:b:c"] {
            assert!(word.parse::<SplitRatio>().is_err(), "{word}");
        }
    }
}
