//! Golden scores in their order, to be asked where a score stands.

use crate::auc::{MannWhitney, Standing, count_pairs};

/// Bits of a key below those that name its bucket.
const BUCKET_SHIFT: u32 = 14;
/// Keys of scores from +0 to below 2 have so many bits.
const KEY_BITS: u32 = 30;

/// Scores from +0 to below 2 with their labels, sorted.
///
/// Memory: 8 bytes a row.
#[derive(Debug)]
pub(crate) struct Order {
    /// The bits of the scores, ascending: they order as the scores do.
    keys: Vec<u32>,
    /// Positives before each place, and at last all.
    positives: Vec<u32>,
    /// Where each bucket of keys begins, and at last where the last one ends.
    buckets: Vec<u32>,
}

/// The key of a score, if it has one.
pub(crate) fn key(score: f32) -> Option<u32> {
    let bits = score.to_bits();
    (bits >> KEY_BITS == 0).then_some(bits)
}

impl Order {
    /// Sorts scores; `None` where one of them has no key, or there are 2^32.
    pub(crate) fn of(scores: &[f32], labels: &[u8]) -> Option<Self> {
        u32::try_from(scores.len()).ok()?;
        let mut rows = Vec::with_capacity(scores.len());
        for (&score, &label) in scores.iter().zip(labels) {
            rows.push(key(score)? << 1 | u32::from(label != 0));
        }
        rows.sort_unstable();
        let mut positives = Vec::with_capacity(rows.len() + 1);
        let mut before = 0;
        for row in &rows {
            positives.push(before);
            before += row & 1;
        }
        positives.push(before);
        let keys: Vec<u32> = rows.into_iter().map(|row| row >> 1).collect();
        let mut buckets = vec![0; (1 << (KEY_BITS - BUCKET_SHIFT)) + 1];
        for key in &keys {
            buckets[(key >> BUCKET_SHIFT) as usize + 1] += 1;
        }
        for at in 1..buckets.len() {
            buckets[at] += buckets[at - 1];
        }
        Some(Self { keys, positives, buckets })
    }

    /// Places of the rows below a key, and of those below or equal.
    fn bounds(&self, key: u32) -> (usize, usize) {
        let bucket = (key >> BUCKET_SHIFT) as usize;
        let (from, to) = (self.buckets[bucket] as usize, self.buckets[bucket + 1] as usize);
        let within = &self.keys[from..to];
        let below = from + within.partition_point(|other| *other < key);
        let equal = self.keys[below..to].partition_point(|other| *other == key);
        (below, below + equal)
    }

    /// How many rows with a number stand where, seen from a key.
    pub(crate) fn standing(&self, key: u32) -> Standing {
        let (below, upto) = self.bounds(key);
        let positives_below = self.positives[below];
        let positives_upto = self.positives[upto];
        let all = self.positives[self.keys.len()];
        let positives_equal = u64::from(positives_upto - positives_below);
        Standing {
            negatives_below: below as u64 - u64::from(positives_below),
            negatives_equal: (upto - below) as u64 - positives_equal,
            positives_above: u64::from(all - positives_upto),
            positives_equal,
        }
    }

    /// Twice the pairs that rows win, and those they tie, against all rows here of the other label.
    pub(crate) fn doubled_with(&self, rows: &[(f32, u8)]) -> u64 {
        rows.iter()
            .map(|&(score, label)| {
                let standing = self.standing(score.to_bits());
                if label == 0 {
                    2 * standing.positives_above + standing.positives_equal
                } else {
                    2 * standing.negatives_below + standing.negatives_equal
                }
            })
            .sum()
    }

    /// Twice the won pairs, and the tied ones, once `old` rows of these became `new` ones, all of which have keys.
    ///
    /// With D(A, B) the doubled pairs between two sets and D(A) those within one: the rows that stay have
    /// D(all, X) − D(old, X) with a set X; D(old, old) counts each pair twice, and D(old, new) = D(old ∪ new) − D(old) −
    /// D(new).
    pub(crate) fn replaced(
        &self,
        doubled: u64,
        old: &mut [(f32, u8)],
        new: &mut [(f32, u8)],
        both: &mut Vec<(f32, u8)>,
    ) -> u64 {
        both.clear();
        both.extend_from_slice(old);
        both.extend_from_slice(new);
        let within = |rows: &mut [(f32, u8)]| -> MannWhitney { count_pairs(rows) };
        let (old_new, of_old, of_new) = (within(both), within(old), within(new));
        let (with_old, with_new) = (self.doubled_with(old), self.doubled_with(new));
        doubled + 2 * of_old.doubled + with_new + 2 * of_new.doubled - with_old - old_new.doubled
    }
}
