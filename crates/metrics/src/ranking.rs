//! Ranking a million scores in a few linear passes.
//!
//! A score that is a number becomes an integer key of the same order: for probabilities the bits themselves,
//! which fit 30 bits because 1.0 is 0x3f80_0000. The label rides in the lowest bit. A least-significant-digit
//! radix sort of three passes orders the words, and one walk without branches counts the pairs.
//! Scores outside [0, 2) take the same road with 32-bit keys in `u64` words.

use crate::auc::{AucCounts, Aucs, MannWhitney, NonFinite, Standing};

/// Reusable memory for ranking scores; after the first call on n rows nothing is allocated for n rows again.
///
/// Numerics: -0 ties with +0; ±Inf rank at the ends; NaN is counted, not ranked.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    narrow: Pair<u32>,
    wide: Pair<u64>,
}

#[derive(Clone, Debug, Default)]
struct Pair<W> {
    from: Vec<W>,
    to: Vec<W>,
}

/// A key above a label bit.
trait Word: Copy + Default {
    /// Digit width that makes three passes cover the key.
    const DIGIT_BITS: u32;
    fn digit(self, pass: u32) -> usize;
    fn key(self) -> u32;
    fn label(self) -> u64;
}

impl Word for u32 {
    const DIGIT_BITS: u32 = 10;
    fn digit(self, pass: u32) -> usize {
        (self >> (1 + pass * Self::DIGIT_BITS)) as usize & ((1 << Self::DIGIT_BITS) - 1)
    }
    fn key(self) -> u32 {
        self >> 1
    }
    fn label(self) -> u64 {
        u64::from(self & 1)
    }
}

impl Word for u64 {
    const DIGIT_BITS: u32 = 11;
    fn digit(self, pass: u32) -> usize {
        (self >> (1 + pass * Self::DIGIT_BITS)) as usize & ((1 << Self::DIGIT_BITS) - 1)
    }
    fn key(self) -> u32 {
        (self >> 1) as u32
    }
    fn label(self) -> u64 {
        self & 1
    }
}

const PASSES: u32 = 3;

/// The order of all f32 as integers: sign bit set on numbers from +0 up, all bits inverted below.
fn ordered_bits(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000)
}

impl Ranking {
    /// The three AUCs of `scores` against `labels` (0 negative, else positive).
    ///
    /// # Panics
    ///
    /// If the lengths differ, at 2^32 rows, or if the fallback is needed and NaN.
    pub fn aucs(&mut self, scores: &[f32], labels: &[u8], non_finite: NonFinite, fallback: f64) -> Aucs {
        self.count(scores, labels, non_finite.rank_score(fallback)).aucs()
    }

    /// The exact counts behind the AUCs, with `substitute` standing in for NaN.
    ///
    /// # Panics
    ///
    /// If the lengths differ, at 2^32 rows, or if there is NaN and the substitute is NaN.
    pub fn count(&mut self, scores: &[f32], labels: &[u8], substitute: f32) -> AucCounts {
        assert_eq!(scores.len(), labels.len(), "scores and labels differ in length");
        assert!(u32::try_from(scores.len()).is_ok(), "{} rows are too many for exact counts", scores.len());
        let finite = if self.pack_narrow(scores, labels) {
            self.narrow.sort();
            count_pairs(&self.narrow.from)
        } else {
            self.pack_wide(scores, labels);
            self.wide.sort();
            count_pairs(&self.wide.from)
        };
        let mut counts = AucCounts { finite, ..AucCounts::default() };
        if finite.positives + finite.negatives < scores.len() as u64 {
            assert!(!substitute.is_nan(), "the substitute for scores that are not numbers is not a number");
            counts.nan_positives =
                scores.iter().zip(labels).filter(|(s, l)| s.is_nan() && **l != 0).count() as u64;
            counts.nan_negatives =
                scores.len() as u64 - finite.positives - finite.negatives - counts.nan_positives;
        }
        if !substitute.is_nan() && counts.nan_positives + counts.nan_negatives > 0 {
            counts.substitute = Standing::of(substitute, scores, labels);
        }
        counts
    }

    /// Packs the numbers among `scores`; false where one of them has no 30-bit key.
    fn pack_narrow(&mut self, scores: &[f32], labels: &[u8]) -> bool {
        let words = &mut self.narrow.from;
        words.resize(scores.len(), 0);
        let (mut kept, mut beyond) = (0, 0);
        for (&score, &label) in scores.iter().zip(labels) {
            let bits = (score + 0.0).to_bits();
            words[kept] = bits << 1 | u32::from(label != 0);
            let is_number = !score.is_nan();
            kept += usize::from(is_number);
            beyond |= (bits >> 30) * u32::from(is_number);
        }
        words.truncate(kept);
        beyond == 0
    }

    fn pack_wide(&mut self, scores: &[f32], labels: &[u8]) {
        self.wide.from.clear();
        let numbers = scores.iter().zip(labels).filter(|(score, _)| !score.is_nan());
        self.wide
            .from
            .extend(numbers.map(|(&s, &label)| u64::from(ordered_bits(s)) << 1 | u64::from(label != 0)));
    }
}

impl<W: Word> Pair<W> {
    /// Sorts `from` by key, the lowest digit first; a digit that all words share costs no pass.
    fn sort(&mut self) {
        let Self { from, to } = self;
        let buckets = 1 << W::DIGIT_BITS;
        let mut histogram = vec![[0_u32; PASSES as usize]; buckets];
        for &word in from.iter() {
            for pass in 0..PASSES {
                histogram[word.digit(pass)][pass as usize] += 1;
            }
        }
        to.resize(from.len(), W::default());
        for pass in 0..PASSES {
            if from.first().is_none_or(|w| histogram[w.digit(pass)][pass as usize] as usize == from.len()) {
                continue;
            }
            let mut next = vec![0_u32; buckets];
            let mut start = 0;
            for (slot, counts) in next.iter_mut().zip(&histogram) {
                *slot = start;
                start += counts[pass as usize];
            }
            for &word in from.iter() {
                let slot = &mut next[word.digit(pass)];
                to[*slot as usize] = word;
                *slot += 1;
            }
            std::mem::swap(from, to);
        }
    }
}

/// Counts the pairs of sorted words.
///
/// Each row adds what it decides against the rows before it: a positive 2 per negative below its group of ties
/// and 1 per negative before it in the group, a negative 1 per positive before it in the group.
fn count_pairs<W: Word>(sorted: &[W]) -> MannWhitney {
    let (mut doubled, mut positives, mut negatives) = (0_u64, 0_u64, 0_u64);
    let (mut positives_below, mut negatives_below) = (0_u64, 0_u64);
    let mut key = None;
    for &word in sorted {
        if key != Some(word.key()) {
            key = Some(word.key());
            (positives_below, negatives_below) = (positives, negatives);
        }
        let label = word.label();
        doubled += if label == 1 { negatives_below + negatives } else { positives - positives_below };
        positives += label;
        negatives += 1 - label;
    }
    MannWhitney { doubled, positives, negatives }
}
