//! What a user sees of a ranking: NDCG@k, hit rate@k, overlap of the top k with golden.

use std::cmp::Ordering;

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
        let mut work = UserWork::default();
        for rows in users.groups() {
            let OfUser { gain_and_hit, overlap } = work.rank(rows, k, scores, labels, golden, substitute);
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
    ranked: Vec<(f32, u32)>,
    golden: Vec<(f32, u32)>,
}

impl UserWork {
    /// Ranks the rows of one user.
    pub(crate) fn rank(
        &mut self,
        rows: &[u32],
        k: usize,
        scores: &[f32],
        labels: &[u8],
        golden: Option<&[f32]>,
        substitute: f32,
    ) -> OfUser {
        rank(&mut self.ranked, rows, scores, substitute);
        let positives = rows.iter().filter(|&&row| labels[row as usize] != 0).count();
        let gain_and_hit = (positives > 0 && k > 0).then(|| {
            let (gain, hit) = gain_and_hit(&self.ranked, labels, k);
            let ideal: f64 = (0..positives.min(k)).map(discount).sum();
            (gain / ideal, hit)
        });
        let overlap = golden.filter(|_| k > 0).map(|golden| {
            rank(&mut self.golden, rows, golden, substitute);
            let first = k.min(rows.len());
            let kept = self.golden[..first]
                .iter()
                .filter(|(_, row)| self.ranked[..first].iter().any(|(_, other)| other == row))
                .count();
            kept as f64 / first as f64
        });
        OfUser { gain_and_hit, overlap }
    }
}

/// The weight of a place, counted from 0.
fn discount(place: usize) -> f64 {
    1.0 / libm::log2(place as f64 + 2.0)
}

/// Orders `rows` by falling score, then by row.
fn rank(ranked: &mut Vec<(f32, u32)>, rows: &[u32], scores: &[f32], substitute: f32) {
    ranked.clear();
    ranked.extend(rows.iter().map(|&row| {
        let score = scores[row as usize];
        (if score.is_nan() { substitute } else { score + 0.0 }, row)
    }));
    ranked.sort_unstable_by(|a, b| match b.0.total_cmp(&a.0) {
        Ordering::Equal => a.1.cmp(&b.1),
        order => order,
    });
}

/// Expected discounted gain and chance of a hit in the first k places.
fn gain_and_hit(ranked: &[(f32, u32)], labels: &[u8], k: usize) -> (f64, f64) {
    let (mut gain, mut miss, mut place) = (0.0, 1.0, 0);
    for group in ranked.chunk_by(|a, b| a.0 == b.0) {
        if place >= k {
            break;
        }
        let size = group.len();
        let positives = group.iter().filter(|(_, row)| labels[*row as usize] != 0).count();
        let taken = size.min(k - place);
        let weights: f64 = (place..place + taken).map(discount).sum();
        gain += positives as f64 / size as f64 * weights;
        // Drawing `taken` of `size` rows without a positive: hypergeometric.
        for drawn in 0..taken {
            miss *= (size - positives).saturating_sub(drawn) as f64 / (size - drawn) as f64;
        }
        place += size;
    }
    (gain, 1.0 - miss)
}
