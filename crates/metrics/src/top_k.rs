//! What a user sees of a ranking: NDCG@k, hit rate@k, overlap of the top k with golden.

use std::ops::Range;

use crate::sum::mean;

/// The rows of each user, grouped once per data set and read by every trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRows {
    rows: Vec<u32>,
    ends: Vec<usize>,
}

impl UserRows {
    /// Groups rows by user id; users in order of id, rows in order of the data.
    ///
    /// # Panics
    ///
    /// At 2^32 rows.
    pub fn of(users: &[u32]) -> Self {
        assert!(
            u32::try_from(users.len()).is_ok(),
            "{} rows are too many for rankings of users",
            users.len()
        );
        let mut rows: Vec<u32> = (0..users.len() as u32).collect();
        rows.sort_by_key(|&row| users[row as usize]);
        let ends = rows
            .chunk_by(|&a, &b| users[a as usize] == users[b as usize])
            .scan(0, |end, group| {
                *end += group.len();
                Some(*end)
            })
            .collect();
        Self { rows, ends }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows of each user in turn.
    pub fn groups(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.rows[start..end])
    }
}

/// Means over users of what their first k places hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TopK {
    /// Normalised discounted cumulative gain over users with a positive row.
    pub ndcg: Option<f64>,
    /// Chance that a positive row is among the first k, over users with a positive row.
    pub hit_rate: Option<f64>,
    /// Share of the golden first k that is still there, over all users; `None` without golden.
    pub overlap: Option<f64>,
}

impl TopK {
    /// Ranks each user's rows by falling score, NaN replaced by `substitute`.
    ///
    /// Numerics: NDCG and hit rate are the expected values over a random order of tied rows; the overlap breaks
    /// ties by row order in both rankings, so equal scores overlap fully.
    /// Source: Järvelin & Kekäläinen 2002 (gain 1, discount log2(place + 1)); ties as in McSherry & Najork 2008.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn of(
        users: &UserRows,
        k: usize,
        scores: &[f32],
        labels: &[u8],
        golden: Option<&[f32]>,
        substitute: f32,
    ) -> Self {
        assert_eq!(users.len(), scores.len(), "users and scores differ in length");
        assert_eq!(labels.len(), scores.len(), "labels and scores differ in length");
        let (mut ndcg, mut hits, mut overlaps) = (Vec::new(), Vec::new(), Vec::new());
        let (mut work, mut golden_work) = (UserWork::default(), UserWork::default());
        for rows in users.groups() {
            let golden = golden.map(|golden| golden_work.first(rows, k, golden, substitute));
            let OfUser { gain_and_hit, overlap } = work.of(rows, k, scores, labels, golden, substitute);
            ndcg.extend(gain_and_hit.map(|(gain, _)| gain));
            hits.extend(gain_and_hit.map(|(_, hit)| hit));
            overlaps.extend(overlap);
        }
        Self { ndcg: mean(&ndcg), hit_rate: mean(&hits), overlap: mean(&overlaps) }
    }
}

/// What one user sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OfUser {
    /// NDCG and hit rate; none where no row is positive.
    pub(crate) gain_and_hit: Option<(f64, f64)>,
    /// Share of the golden first k that is still there; none without golden.
    pub(crate) overlap: Option<f64>,
}

/// Memory for the rankings of one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserWork {
    /// Score, falling, above the row: their order is the ranking's.
    ranked: Vec<u64>,
    first: Vec<u32>,
    discounts: Discounts,
}

/// The weights of the first places, and their sums from the first on.
#[derive(Clone, Debug, Default)]
struct Discounts {
    weights: Vec<f64>,
    sums: Vec<f64>,
}

impl Discounts {
    fn grow(&mut self, places: usize) {
        while self.weights.len() < places {
            let weight = 1.0 / libm::log2(self.weights.len() as f64 + 2.0);
            let sum = self.sums.last().map_or(weight, |sum| sum + weight);
            self.weights.push(weight);
            self.sums.push(sum);
        }
    }

    /// The sum over some places.
    fn over(&self, places: Range<usize>) -> f64 {
        match &self.weights[places] {
            [one] => *one,
            several => several.iter().sum(),
        }
    }
}

impl UserWork {
    /// Ranks the rows of one user; `golden` are the first k rows of the golden ranking.
    pub(crate) fn of(
        &mut self,
        rows: &[u32],
        k: usize,
        scores: &[f32],
        labels: &[u8],
        golden: Option<&[u32]>,
        substitute: f32,
    ) -> OfUser {
        self.rank(rows, scores, substitute);
        self.discounts.grow(k.min(rows.len()));
        let positives = rows.iter().filter(|&&row| labels[row as usize] != 0).count();
        let gain_and_hit = (positives > 0 && k > 0).then(|| {
            let (gain, hit) = self.gain_and_hit(labels, k);
            (gain / self.discounts.sums[positives.min(k) - 1], hit)
        });
        let overlap = golden.filter(|_| k > 0).map(|golden| {
            let first = &self.ranked[..k.min(rows.len())];
            let kept = golden.iter().filter(|row| first.iter().any(|key| *key as u32 == **row)).count();
            kept as f64 / golden.len() as f64
        });
        OfUser { gain_and_hit, overlap }
    }

    /// The first k rows of one user.
    pub(crate) fn first(&mut self, rows: &[u32], k: usize, scores: &[f32], substitute: f32) -> &[u32] {
        self.rank(rows, scores, substitute);
        self.first.clear();
        self.first.extend(self.ranked[..k.min(rows.len())].iter().map(|key| *key as u32));
        &self.first
    }

    /// Orders rows by falling score, then by row.
    fn rank(&mut self, rows: &[u32], scores: &[f32], substitute: f32) {
        self.ranked.clear();
        self.ranked.extend(rows.iter().map(|&row| {
            let score = scores[row as usize];
            let score = if score.is_nan() { substitute } else { score + 0.0 };
            u64::from(falling(score)) << 32 | u64::from(row)
        }));
        self.ranked.sort_unstable();
    }

    /// Expected discounted gain and chance of a hit in the first k places.
    fn gain_and_hit(&self, labels: &[u8], k: usize) -> (f64, f64) {
        let (mut gain, mut miss, mut place) = (0.0, 1.0, 0);
        for group in self.ranked.chunk_by(|a, b| a >> 32 == b >> 32) {
            if place >= k {
                break;
            }
            let size = group.len();
            let positives = group.iter().filter(|key| labels[**key as u32 as usize] != 0).count();
            let taken = size.min(k - place);
            gain += positives as f64 / size as f64 * self.discounts.over(place..place + taken);
            // Drawing `taken` of `size` rows without a positive: hypergeometric.
            for drawn in 0..taken {
                miss *= (size - positives).saturating_sub(drawn) as f64 / (size - drawn) as f64;
            }
            place += size;
        }
        (gain, 1.0 - miss)
    }
}

/// Bits that order as scores fall.
fn falling(score: f32) -> u32 {
    let bits = score.to_bits();
    // Of a negative number the bits fall already, once the sign is set aside.
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}
