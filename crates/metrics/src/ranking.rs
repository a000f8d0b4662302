//! Ranking a million scores in a few linear passes.
//!
//! Scores from +0 up order as their bits do: the bits are the key, 30 of them for a probability because 1.0 is
//! 0x3f80_0000. The label rides in the lowest bit of the word.
//!
//! Two scatter passes order the words by the low 20 bits of the key, as a least-significant-digit radix sort does.
//! The high bits need no pass of their own: the words arrive at each high value in order of their low bits, so each
//! high value keeps its own running count of pairs, and the counts are joined at the end.
//! Negative scores, which no probability is, take the comparison sort.

use crate::auc::{AucCounts, Aucs, MannWhitney, NonFinite, Standing, count_pairs};

/// Reusable memory for ranking scores; after the first call on n rows nothing is allocated for n rows again.
///
/// Numerics: -0 ties with +0; ±Inf rank at the ends; NaN is counted, not ranked.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    sweep: Sweep,
    numbers: Vec<f32>,
    number_labels: Vec<u8>,
    rows: Vec<(f32, u8)>,
}

/// Memory of the linear passes.
#[derive(Clone, Debug, Default)]
struct Sweep {
    half_sorted: Vec<u32>,
    sorted: Vec<u32>,
    runs: Vec<Run>,
}

const DIGIT_BITS: u32 = 10;
const DIGITS: usize = 1 << DIGIT_BITS;
/// High parts of the keys of all scores from 0 to +Inf.
const RUNS: usize = 1 << (31 - 2 * DIGIT_BITS);
/// Bits of the largest key; NaN, -0 and the negative scores lie above.
const INFINITY: u32 = 0x7f80_0000;

/// The digit of a key that scatter pass 0 or 1 sorts by.
fn digit(key: u32, pass: u32) -> usize {
    (key >> (pass * DIGIT_BITS)) as usize % DIGITS
}

/// The words seen so far with one value of the high bits.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Positives in the upper half, negatives in the lower.
    seen: u64,
    /// `seen` where the current group of ties began.
    below: u64,
    /// The key of that group.
    key: u32,
}

const EMPTY: Run = Run { seen: 0, below: 0, key: u32::MAX };
const LOWER_HALF: u64 = 0xffff_ffff;

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
        if let Some(finite) = self.sweep.count(scores, labels) {
            return AucCounts { finite, ..AucCounts::default() };
        }
        self.numbers.clear();
        self.number_labels.clear();
        let mut counts = AucCounts::default();
        for (&score, &label) in scores.iter().zip(labels) {
            match (score.is_nan(), label != 0) {
                (true, true) => counts.nan_positives += 1,
                (true, false) => counts.nan_negatives += 1,
                (false, _) => {
                    self.numbers.push(score + 0.0);
                    self.number_labels.push(label);
                }
            }
        }
        let (numbers, labels) = (&self.numbers, &self.number_labels);
        counts.finite = self.sweep.count(numbers, labels).unwrap_or_else(|| {
            self.rows.clear();
            self.rows.extend(numbers.iter().copied().zip(labels.iter().copied()));
            count_pairs(&mut self.rows)
        });
        if counts.nan_positives + counts.nan_negatives > 0 {
            assert!(!substitute.is_nan(), "the substitute for scores that are not numbers is not a number");
            counts.substitute = Standing::of(substitute, numbers, labels);
        }
        counts
    }
}

impl Sweep {
    /// Counts the pairs of scores from +0 to +Inf; `None` where a score has a sign or is NaN.
    fn count(&mut self, scores: &[f32], labels: &[u8]) -> Option<MannWhitney> {
        let mut next = [[0_u32; DIGITS]; 2];
        let mut highest = 0;
        for &score in scores {
            let key = score.to_bits();
            highest = highest.max(key);
            next[0][digit(key, 0)] += 1;
            next[1][digit(key, 1)] += 1;
        }
        if highest > INFINITY {
            return None;
        }
        for counts in &mut next {
            let mut start = 0;
            for count in counts {
                start += std::mem::replace(count, start);
            }
        }
        self.half_sorted.resize(scores.len(), 0);
        self.sorted.resize(scores.len(), 0);
        let (half_sorted, sorted) = (self.half_sorted.as_mut_slice(), self.sorted.as_mut_slice());
        for (&score, &label) in scores.iter().zip(labels) {
            let key = score.to_bits();
            let slot = &mut next[0][digit(key, 0)];
            half_sorted[*slot as usize] = key << 1 | u32::from(label != 0);
            *slot += 1;
        }
        for &word in half_sorted.iter() {
            let slot = &mut next[1][digit(word >> 1, 1)];
            sorted[*slot as usize] = word;
            *slot += 1;
        }
        self.runs.clear();
        self.runs.resize(RUNS, EMPTY);
        Some(join(sorted, &mut self.runs))
    }
}

/// Counts the pairs of words sorted by the low bits of their keys.
///
/// Masks choose, since branches on labels cannot be predicted. Within a run, a positive adds 2 per negative below its group of ties and 1 per negative before it in the group,
/// a negative adds 1 per positive before it in the group; pairs of different runs are added at the end.
fn join(words: &[u32], runs: &mut [Run]) -> MannWhitney {
    let mut doubled = 0;
    for &word in words {
        let run = &mut runs[(word >> (1 + 2 * DIGIT_BITS)) as usize];
        let key = word >> 1;
        let tied = u64::from(key == run.key).wrapping_neg();
        let below = (run.below & tied) | (run.seen & !tied);
        let label = u64::from(word & 1);
        let of_positive = (below & LOWER_HALF) + (run.seen & LOWER_HALF);
        let of_negative = (run.seen - below) >> 32;
        let positive = label.wrapping_neg();
        doubled += (of_positive & positive) | (of_negative & !positive);
        (run.key, run.below) = (key, below);
        run.seen += 1 << (label * 32);
    }
    let within_runs = MannWhitney { doubled, ..MannWhitney::default() };
    runs.iter().fold(within_runs, |total, run| {
        let (positives, negatives) = (run.seen >> 32, run.seen & LOWER_HALF);
        MannWhitney {
            doubled: total.doubled + 2 * positives * total.negatives,
            positives: total.positives + positives,
            negatives: total.negatives + negatives,
        }
    })
}
