//! Golden scores in their order, to be asked where a score stands.
//!
//! The sorted scores are the lowest level of a search tree of nodes of 16: each level above holds the first entry of each node
//! below. A node is one cache line, and many scores go down the tree side by side, so that one waits for memory while others
//! are compared.

use radhard_memory::Buffer;

use crate::auc::Standing;

/// Keys of scores from +0 to below 2 have so many bits.
const KEY_BITS: u32 = 30;
/// Entries of a node.
const NODE: usize = 16;
/// Scores that go down the tree together.
const TOGETHER: usize = 32;
/// Behind the last entry: no entry is larger.
const PADDING: i32 = i32::MAX;

/// Scores from +0 to below 2 with their labels, sorted.
///
/// Memory: 4.5 bytes a row.
#[derive(Debug)]
pub(crate) struct Order {
    /// The lowest level first; an entry is a key above its label.
    levels: Vec<Buffer<[i32; NODE]>>,
    /// Positives before each node of the lowest level.
    positives: Buffer<u32>,
    rows: usize,
    /// Positives of all rows.
    all: u32,
}

/// The key of a score, if it has one.
pub(crate) fn key(score: f32) -> Option<u32> {
    let bits = score.to_bits();
    (bits >> KEY_BITS == 0).then_some(bits)
}

/// Rows that are taken away and others that come, each a key, a label and which of both it is.
#[derive(Debug, Default)]
pub(crate) struct Exchange(Vec<u32>);

impl Exchange {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// A row that is there no more.
    pub(crate) fn goes(&mut self, key: u32, positive: bool) {
        self.0.push(key << 2 | u32::from(positive) << 1);
    }

    /// A row that is there now.
    pub(crate) fn comes(&mut self, key: u32, positive: bool) {
        self.0.push(key << 2 | u32::from(positive) << 1 | 1);
    }

    /// The doubled pairs within the set of old rows less new ones.
    ///
    /// Pairs are bilinear: a pair of an old and a new row counts against one of two old or two new rows.
    fn doubled(&mut self) -> i64 {
        self.0.sort_unstable();
        let (mut doubled, mut negatives) = (0, 0);
        for ties in self.0.chunk_by(|a, b| a >> 2 == b >> 2) {
            let mut of = [0_i64; 2];
            for row in ties {
                of[(row >> 1 & 1) as usize] += 1 - 2 * i64::from(row & 1);
            }
            doubled += of[1] * (2 * negatives + of[0]);
            negatives += of[0];
        }
        doubled
    }
}

impl Order {
    /// Sorts scores; `None` where one of them has no key, or there are 2^31.
    pub(crate) fn of(scores: &[f32], labels: &[u8]) -> Option<Self> {
        i32::try_from(scores.len()).ok()?;
        let mut entries = Vec::with_capacity(scores.len());
        for (&score, &label) in scores.iter().zip(labels) {
            entries.push(entry(key(score)?, label != 0));
        }
        entries.sort_unstable();
        let node = |entries: &[i32]| {
            let mut node = [PADDING; NODE];
            node[..entries.len()].copy_from_slice(entries);
            node
        };
        let mut levels: Vec<Buffer<_>> = vec![entries.chunks(NODE).map(node).collect()];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let firsts: Vec<i32> = level.iter().map(|node| node[0]).collect();
            levels.push(firsts.chunks(NODE).map(node).collect());
        }
        let mut all = 0;
        let before = |node: &[i32]| {
            let before = all;
            all += node.iter().map(|entry| entry.cast_unsigned() & 1).sum::<u32>();
            before
        };
        let positives = entries.chunks(NODE).map(before).collect();
        Some(Self { levels, positives, rows: scores.len(), all })
    }

    /// Of each of these rows: twice the pairs that it wins as a positive or loses as a negative, and those it ties.
    pub(crate) fn doubled_of(&self, scores: &[f32], labels: &[u8]) -> Vec<u32> {
        let mut doubled = Vec::with_capacity(scores.len());
        let rows = scores.iter().map(|score| score.to_bits()).zip(labels.iter().map(|label| *label != 0));
        self.each(rows, |standing, positive| doubled.push(wins(standing, positive) as u32));
        doubled
    }

    /// Where rows stand among all, many at a time.
    fn each(&self, rows: impl Iterator<Item = (u32, bool)>, mut take: impl FnMut(Standing, bool)) {
        let mut rows = rows.fuse();
        loop {
            let mut together = [(0, false); TOGETHER];
            let mut count = 0;
            for (place, row) in together.iter_mut().zip(&mut rows) {
                *place = row;
                count += 1;
            }
            if count == 0 {
                return;
            }
            let together = &together[..count];
            let mut nodes = [0; TOGETHER];
            for level in self.levels.iter().skip(1).rev() {
                for (node, (key, _)) in nodes.iter_mut().zip(together) {
                    *node = down(level, *node, |other| other < entry(*key, false));
                }
            }
            // Copied in one go, so that all are on their way at a time.
            let mut leaves = [([PADDING; NODE], 0); TOGETHER];
            for (leaf, node) in leaves.iter_mut().zip(&nodes[..count]) {
                *leaf = (self.levels[0][*node], self.positives[*node]);
            }
            for ((node, leaf), (key, positive)) in nodes.iter().zip(&leaves).zip(together) {
                take(self.standing_from(*node, leaf, *key), *positive);
            }
        }
    }

    /// Where a key stands; `node` holds the first entry not below it, or the last one below, and `leaf` is what is there.
    fn standing_from(&self, node: usize, leaf: &([i32; NODE], u32), key: u32) -> Standing {
        let (first, last) = (entry(key, false), entry(key, true));
        let (below, positives_below) = before((node, leaf), |other| other < first);
        let (mut upto, mut positives_upto) = before((node, leaf), |other| other <= last);
        if last == PADDING {
            (upto, positives_upto) = (self.rows as u32, self.all);
        } else if upto as usize >= (node + 1) * NODE {
            // Ties may go on in nodes behind.
            let mut node = 0;
            for level in self.levels.iter().skip(1).rev() {
                node = down(level, node, |other| other <= last);
            }
            let leaf = (self.levels[0][node], self.positives[node]);
            (upto, positives_upto) = before((node, &leaf), |other| other <= last);
        }
        Standing {
            negatives_below: u64::from(below - positives_below),
            negatives_equal: u64::from(upto - below) - u64::from(positives_upto - positives_below),
            positives_above: u64::from(self.all - positives_upto),
            positives_equal: u64::from(positives_upto - positives_below),
        }
    }

    /// Twice the won pairs, and the tied ones, once rows were exchanged; `taken` is the sum over the rows that are there no more of
    /// [`doubled_of`](Self::doubled_of).
    ///
    /// With D(A, B) the doubled pairs between two sets, D(A) those within one, and S the old rows less the new ones, in the sense in
    /// which pairs are bilinear: D(all − S) = D(all) − D(all, S) + D(S).
    pub(crate) fn exchanged(&self, doubled: u64, taken: u64, exchange: &mut Exchange) -> u64 {
        let mut come = 0;
        let new = exchange.0.iter().filter(|row| *row & 1 == 1).map(|row| (row >> 2, row >> 1 & 1 == 1));
        self.each(new, |standing, positive| come += wins(standing, positive));
        // What is taken away counts pairs of two old rows twice, so the way there may lead below zero.
        let left = i128::from(doubled + come) - i128::from(taken) + i128::from(exchange.doubled());
        u64::try_from(left).expect("a set of rows has no fewer pairs than none")
    }
}

/// Rows of all nodes before one and of those that lie before a place in it, and the positives among them.
fn before((node, leaf): (usize, &([i32; NODE], u32)), lies: impl Fn(i32) -> bool) -> (u32, u32) {
    let (mut rows, mut positives) = (0, 0);
    for &other in &leaf.0 {
        let before = u32::from(lies(other));
        rows += before;
        positives += before & other.cast_unsigned();
    }
    ((node * NODE) as u32 + rows, leaf.1 + positives)
}

/// The node of the level below that holds the first entry that does not lie before a place, or the last one that does.
fn down(level: &[[i32; NODE]], node: usize, before: impl Fn(i32) -> bool) -> usize {
    let count: u32 = level[node].iter().map(|other| u32::from(before(*other))).sum();
    (node * NODE + count as usize).saturating_sub(1)
}

/// A key above its label.
fn entry(key: u32, positive: bool) -> i32 {
    (key << 1 | u32::from(positive)).cast_signed()
}

/// Twice the pairs that a row wins as a positive or loses as a negative, and those it ties.
fn wins(standing: Standing, positive: bool) -> u64 {
    if positive {
        2 * standing.negatives_below + standing.negatives_equal
    } else {
        2 * standing.positives_above + standing.positives_equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auc::count_pairs;

    /// Scores with long ties, at the ends of the range too, and some that stand alone.
    fn rows(count: u32) -> (Vec<f32>, Vec<u8>) {
        let largest = f32::from_bits((1 << KEY_BITS) - 1);
        let score = |i: u32| match i % 7 {
            0 => 0.0,
            1 => largest,
            2 | 3 => (i % 11) as f32 / 8.0,
            _ => (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0,
        };
        (
            (0..count).map(score).collect(),
            (0..count).map(|i| u8::from(i.wrapping_mul(40_503) >> 9 & 7 < 3)).collect(),
        )
    }

    #[test]
    fn every_score_stands_where_a_walk_over_all_finds_it() {
        for count in [1, 15, 16, 17, 255, 256, 257, 5000] {
            let (scores, labels) = rows(count);
            let order = Order::of(&scores, &labels).unwrap();
            let asked: Vec<f32> = scores.iter().copied().chain([0.3, f32::MIN_POSITIVE, 1.0]).collect();
            let mut found = Vec::new();
            order
                .each(asked.iter().map(|score| (score.to_bits(), false)), |standing, _| found.push(standing));
            for (score, standing) in asked.iter().zip(found) {
                assert_eq!(standing, Standing::of(*score, &scores, &labels), "{score} of {count}");
            }
        }
    }

    #[test]
    fn exchanged_rows_count_as_all_rows_counted_anew() {
        let (scores, labels) = rows(3000);
        let order = Order::of(&scores, &labels).unwrap();
        let doubled = order.doubled_of(&scores, &labels);
        let count = |scores: &[f32]| {
            let mut rows: Vec<(f32, u8)> = scores.iter().copied().zip(labels.iter().copied()).collect();
            count_pairs(&mut rows).doubled
        };
        let mut exchange = Exchange::default();
        for step in [1, 2, 3, 50, 2999] {
            let old: Vec<u32> = (0..3000).step_by(step).collect();
            let mut now = scores.clone();
            exchange.clear();
            for &row in &old {
                let (place, positive) = (row as usize, labels[row as usize] != 0);
                now[place] = if row % 5 == 0 { 0.25 } else { 1.9 - scores[place] * 0.5 };
                exchange.goes(scores[place].to_bits(), positive);
                exchange.comes(now[place].to_bits(), positive);
            }
            let taken = old.iter().map(|row| u64::from(doubled[*row as usize])).sum();
            assert_eq!(order.exchanged(count(&scores), taken, &mut exchange), count(&now), "every {step}th");
        }
    }

    #[test]
    fn scores_without_a_key_have_no_order() {
        for score in [-0.0, 2.0, f32::NAN, f32::INFINITY, -1.0] {
            assert!(Order::of(&[0.5, score], &[0, 1]).is_none(), "{score}");
        }
    }
}
