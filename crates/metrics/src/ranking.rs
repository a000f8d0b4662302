//! Ranking a million scores in a few linear passes, most of them in the first cache.
//!
//! Scores from +0 up order as their bits do: the bits are the key, 30 of them for a probability because 1.0 is
//! 0x3f80_0000. One pass scatters the rows into buckets by the high 15 bits; what a row leaves there is 16 bits, the
//! low half of its key above its label, so a million rows take 2 MB. In a bucket, one more scatter orders the words
//! by their low byte; the high byte needs none: the words arrive at each value of it in order of the low byte, so
//! each value keeps its own running count of pairs. The counts are joined in order of the keys. NaN has a bucket of its own, which
//! is only counted.
//!
//! Scores that are negative or beyond 2, which no probability is, take the comparison sort.

use radhard_memory::{Buffer, Wide, widest};

use crate::auc::{AucCounts, Aucs, MannWhitney, NonFinite, Standing, count_pairs};

/// Reusable memory for ranking scores; after the first call on n rows nothing is allocated for n rows again.
///
/// Numerics: -0 ties with +0; ±Inf rank at the ends; NaN is counted, not ranked.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    sweep: Sweep,
    rows: Vec<(f32, u8)>,
}

/// Memory of the linear passes.
#[derive(Clone, Debug, Default)]
struct Sweep {
    /// Per bucket the place of its next word; after the scatter, the end of the bucket.
    places: Vec<u32>,
    words: Buffer<u16>,
    bucket: Vec<u16>,
}

const KEY_BITS: u32 = 30;
/// Bits of the key that stay in a word.
const LOW_BITS: u32 = 15;
const BUCKETS: usize = 1 << (KEY_BITS - LOW_BITS);
/// Smaller buckets are sorted by comparison.
const LEAST_SCATTERED: usize = 64;

/// The words seen so far with one high byte.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    negatives: u32,
    positives: u32,
    /// Negatives before the current group of ties.
    below: u32,
    /// The group's key, and one more so that no key is 0.
    group: u32,
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
        let mut counts = self.sweep.count(scores, labels).unwrap_or_else(|| {
            let mut counts = AucCounts::default();
            self.rows.clear();
            for (&score, &label) in scores.iter().zip(labels) {
                match (score.is_nan(), label != 0) {
                    (true, true) => counts.nan_positives += 1,
                    (true, false) => counts.nan_negatives += 1,
                    (false, _) => self.rows.push((score, label)),
                }
            }
            counts.finite = count_pairs(&mut self.rows);
            counts
        });
        if counts.nan_positives + counts.nan_negatives > 0 {
            assert!(!substitute.is_nan(), "the substitute for scores that are not numbers is not a number");
            counts.substitute = Standing::of(substitute, scores, labels);
        }
        counts
    }
}

impl Sweep {
    /// Counts the pairs of scores from +0 to below 2, and NaN apart; `None` where a score has a sign or is larger.
    fn count(&mut self, scores: &[f32], labels: &[u8]) -> Option<AucCounts> {
        let Found { keys, nan } = widest(Find(scores));
        match (keys >> KEY_BITS, nan) {
            (0, false) => self.sweep(scores, labels, |key| key as usize % BUCKETS),
            (0, true) => self.sweep(scores, labels, |key| (key as usize).min(BUCKETS)),
            _ => None,
        }
    }

    /// The same with the bucket of each key's high bits; [`BUCKETS`] is that of NaN.
    #[inline(always)]
    fn sweep(
        &mut self,
        scores: &[f32],
        labels: &[u8],
        bucket_of: impl Fn(u32) -> usize,
    ) -> Option<AucCounts> {
        self.places.clear();
        self.places.resize(BUCKETS + 1, 0);
        let places: &mut [u32; BUCKETS + 1] = self.places.as_mut_slice().try_into().ok()?;
        for score in scores {
            places[bucket_of(score.to_bits() >> LOW_BITS)] += 1;
        }
        let (mut start, mut largest) = (0, 0);
        for place in places.iter_mut() {
            largest = largest.max(*place);
            start += std::mem::replace(place, start);
        }
        if self.words.len() < scores.len() {
            self.words = Buffer::zeroed(scores.len());
        }
        let words = &mut self.words[..scores.len()];
        // Written once in order, the words are in cache when the scatter comes.
        words.fill(0);
        for (score, &label) in scores.iter().zip(labels) {
            let key = score.to_bits();
            let place = &mut places[bucket_of(key >> LOW_BITS)];
            words[*place as usize] = (key << 1 | u32::from(label != 0)) as u16;
            *place += 1;
        }
        self.bucket.resize(self.bucket.len().max(largest as usize), 0);
        let mut total = MannWhitney::default();
        let mut start = 0;
        let (nan, buckets) = places.split_last()?;
        for &end in buckets {
            let words = &mut words[start..end as usize];
            start = end as usize;
            if words.len() < LEAST_SCATTERED {
                words.sort_unstable();
                join(words, &mut [Run::default()], |_| 0, &mut total);
            } else {
                let bucket = &mut self.bucket[..words.len()];
                scatter(words, bucket);
                join(bucket, &mut [Run::default(); 256], |word| usize::from(word >> 8), &mut total);
            }
        }
        let nan = &words[start..*nan as usize];
        let nan_positives = nan.iter().map(|word| u64::from(word & 1)).sum();
        let nan_negatives = nan.len() as u64 - nan_positives;
        Some(AucCounts { finite: total, nan_positives, nan_negatives, ..AucCounts::default() })
    }
}

/// Looks for what has no key.
struct Find<'a>(&'a [f32]);

/// What scores are like.
struct Found {
    /// The bits that numbers have.
    keys: u32,
    nan: bool,
}

impl Wide for Find<'_> {
    type Output = Found;

    #[inline(always)]
    fn run(self) -> Found {
        let (mut keys, mut nan) = (0, false);
        for score in self.0 {
            keys |= if score.is_nan() { 0 } else { score.to_bits() };
            nan |= score.is_nan();
        }
        Found { keys, nan }
    }
}

/// Puts the words in order of their low byte.
fn scatter(words: &[u16], to: &mut [u16]) {
    let mut next = [0_u32; 256];
    for &word in words {
        next[usize::from(word) % 256] += 1;
    }
    let mut start = 0;
    for slot in &mut next {
        start += std::mem::replace(slot, start);
    }
    for &word in words {
        let slot = &mut next[usize::from(word) % 256];
        to[*slot as usize] = word;
        *slot += 1;
    }
}

/// Adds the pairs of a bucket whose words arrive in order within each run, negatives first among ties.
///
/// A positive adds 2 per negative below its group of ties and 1 per negative in the group, all of them seen before
/// it; pairs of different runs are added at the end.
fn join<const RUNS: usize>(
    words: &[u16],
    runs: &mut [Run; RUNS],
    run_of: impl Fn(u16) -> usize,
    total: &mut MannWhitney,
) {
    let mut doubled = 0;
    for &word in words {
        let run = &mut runs[run_of(word)];
        let group = u32::from(word >> 1) + 1;
        let positive = u32::from(word & 1);
        // Neither labels nor ties can be predicted, so nothing here branches on them.
        run.below = if group == run.group { run.below } else { run.negatives };
        run.group = group;
        doubled += (u64::from(run.below) + u64::from(run.negatives)) & u64::from(positive).wrapping_neg();
        run.positives += positive;
        run.negatives += 1 - positive;
    }
    total.doubled += doubled;
    for run in runs.iter() {
        total.doubled += 2 * u64::from(run.positives) * total.negatives;
        total.positives += u64::from(run.positives);
        total.negatives += u64::from(run.negatives);
    }
}
