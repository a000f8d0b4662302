//! What a user sees of a ranking: NDCG@k, hit rate@k, overlap of the top k with golden.

use std::ops::Range;

use radhard_memory::{Wide, widest};

use crate::exact_sum::ExactSum;

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
    /// At 2^31 rows.
    pub fn of(users: &[u32]) -> Self {
        assert!(
            i32::try_from(users.len()).is_ok(),
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
    /// Numerics: means are sums without rounding; NDCG and hit rate are the expected values over a random order of tied rows; the overlap breaks
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
        widest(OfUsers { users, k, scores, labels, golden, substitute }).top_k()
    }
}

/// All users, and what they are ranked by.
struct OfUsers<'a> {
    users: &'a UserRows,
    k: usize,
    scores: &'a [f32],
    labels: &'a [u8],
    golden: Option<&'a [f32]>,
    substitute: f32,
}

impl Wide for OfUsers<'_> {
    type Output = OverUsers;

    #[inline(always)]
    fn run(self) -> OverUsers {
        let Self { users, k, scores, labels, golden, substitute } = self;
        let mut all = OverUsers::default();
        let (mut work, mut golden_work, mut first) = (UserWork::default(), UserWork::default(), Vec::new());
        for rows in users.groups() {
            first.clear();
            if let Some(golden) = golden {
                let places = golden_work.places(rows, golden, labels, substitute);
                first.extend(places.take(k).map(|place| place >> 1));
            }
            all.add(&work.of(rows, k, scores, labels, golden.and(Some(&first)), substitute));
        }
        all
    }
}

/// Sums over users.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OverUsers {
    gains: ExactSum,
    hits: ExactSum,
    with_positive: usize,
    overlaps: ExactSum,
    compared: usize,
}

impl OverUsers {
    pub(crate) fn add(&mut self, user: &OfUser) {
        if let Some((gain, hit)) = user.gain_and_hit {
            self.gains.add(gain);
            self.hits.add(hit);
            self.with_positive += 1;
        }
        if let Some(overlap) = user.overlap {
            self.overlaps.add(overlap);
            self.compared += 1;
        }
    }

    /// Takes a user out that was added.
    pub(crate) fn take(&mut self, user: &OfUser) {
        if let Some((gain, hit)) = user.gain_and_hit {
            self.gains.take(gain);
            self.hits.take(hit);
            self.with_positive -= 1;
        }
        if let Some(overlap) = user.overlap {
            self.overlaps.take(overlap);
            self.compared -= 1;
        }
    }

    pub(crate) fn top_k(&self) -> TopK {
        TopK {
            ndcg: self.gains.mean(self.with_positive),
            hit_rate: self.hits.mean(self.with_positive),
            overlap: self.overlaps.mean(self.compared),
        }
    }
}

/// What one user sees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct OfUser {
    /// NDCG and hit rate; none where no row is positive.
    pub(crate) gain_and_hit: Option<(f64, f64)>,
    /// Share of the golden first k that is still there; none without golden.
    pub(crate) overlap: Option<f64>,
}

/// A row of a user as a number that orders as its ranking does: score, falling, above its place among the user's rows, which stands
/// above its label.
#[inline(always)]
pub(crate) fn ranked(score: f32, place: u32, substitute: f32) -> u64 {
    let score = if score.is_nan() { substitute } else { score + 0.0 };
    u64::from(falling(score)) << 32 | u64::from(place)
}

/// The place among the user's rows.
#[inline(always)]
fn place(ranked: u64) -> u32 {
    ranked as u32 >> 1
}

/// Memory for the rankings of one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserWork {
    rows: Vec<u64>,
    /// Rows that may be among the first.
    left: Vec<u64>,
    sorted: Vec<u64>,
    discounts: Discounts,
}

/// Users of up to so many rows are ranked by comparing all with all, where no branch can go wrong.
const BY_COUNTING: usize = 24;

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
    /// Ranks the rows of one user; `golden` are the places among them of the first k of the golden ranking.
    #[inline(always)]
    fn of(
        &mut self,
        rows: &[u32],
        k: usize,
        scores: &[f32],
        labels: &[u8],
        golden: Option<&[u32]>,
        substitute: f32,
    ) -> OfUser {
        let mut own = std::mem::take(&mut self.rows);
        gather(rows, scores, labels, substitute, &mut own);
        let of = self.seen(&own, k, golden);
        self.rows = own;
        of
    }

    /// The same of rows as [`ranked`] gives them.
    #[inline(always)]
    pub(crate) fn seen(&mut self, rows: &[u64], k: usize, golden: Option<&[u32]>) -> OfUser {
        let seen = k.min(rows.len());
        self.sort_first(rows, seen);
        self.discounts.grow(seen);
        let positives: u64 = rows.iter().map(|row| row & 1).sum();
        let gain_and_hit = if positives > 0 && k > 0 {
            let (gain, hit) = self.gain_and_hit(k);
            Some((gain / self.discounts.sums[(positives as usize).min(k) - 1], hit))
        } else {
            None
        };
        let overlap = golden.filter(|_| k > 0).map(|golden| {
            let first = &self.sorted[..seen];
            let kept = if rows.len() <= 64 {
                let places = first.iter().fold(0, |places, row| places | 1_u64 << place(*row));
                golden.iter().filter(|golden| places >> **golden & 1 == 1).count()
            } else {
                golden.iter().filter(|golden| first.iter().any(|row| place(*row) == **golden)).count()
            };
            kept as f64 / golden.len() as f64
        });
        OfUser { gain_and_hit, overlap }
    }

    /// Places among the rows of one user, each above its row's label, as the rows are ranked.
    #[inline(always)]
    pub(crate) fn places(
        &mut self,
        rows: &[u32],
        scores: &[f32],
        labels: &[u8],
        substitute: f32,
    ) -> impl Iterator<Item = u32> + Clone {
        let mut own = std::mem::take(&mut self.rows);
        gather(rows, scores, labels, substitute, &mut own);
        self.sort(&own);
        self.rows = own;
        self.sorted.iter().map(|row| *row as u32)
    }

    /// Brings the first `seen` rows of the ranking into order, and all rows that are tied with them.
    ///
    /// No row behind the last one of any `seen` rows is among them. Where these are the golden first ones, few others are left.
    #[inline(always)]
    fn sort_first(&mut self, rows: &[u64], seen: usize) {
        if rows.len() <= BY_COUNTING {
            // Counted at one stroke; a number of rows that can't be foretold costs more than the rows.
            return self.sort(rows);
        }
        let last = rows[..seen].iter().fold(0, |last, row| if *row > last { *row } else { last });
        let tied = last | u64::from(u32::MAX);
        self.left.resize(rows.len().max(self.left.len()), 0);
        let mut count = 0;
        for row in rows {
            self.left[count] = *row;
            count += usize::from(*row <= tied);
        }
        let left = std::mem::take(&mut self.left);
        self.sort(&left[..count]);
        self.left = left;
    }

    /// Brings rows into the order of their ranking; no two are equal, since their places differ.
    #[inline(always)]
    fn sort(&mut self, rows: &[u64]) {
        self.sorted.clear();
        if rows.len() > BY_COUNTING {
            self.sorted.extend_from_slice(rows);
            self.sorted.sort_unstable();
            return;
        }
        match rows.len() {
            0..=8 => self.sort_by_counting::<8>(rows),
            9..=16 => self.sort_by_counting::<16>(rows),
            _ => self.sort_by_counting::<BY_COUNTING>(rows),
        }
    }

    /// The same of at most `MOST` rows: each goes where as many rows lie before it.
    #[inline(always)]
    fn sort_by_counting<const MOST: usize>(&mut self, rows: &[u64]) {
        // Rows side by side, so that counts are vectors.
        let (mut all, mut before) = ([0; MOST], [0_u64; MOST]);
        for (to, row) in all.iter_mut().zip(rows) {
            *to = *row;
        }
        for other in rows {
            for i in 0..MOST {
                before[i] += u64::from(*other < all[i]);
            }
        }
        self.sorted.resize(rows.len(), 0);
        for (row, before) in rows.iter().zip(before) {
            self.sorted[before as usize] = *row;
        }
    }

    /// Expected discounted gain and chance of a hit in the first k places.
    #[inline(always)]
    fn gain_and_hit(&self, k: usize) -> (f64, f64) {
        let seen = &self.sorted[..self.sorted.len().min(k + 1)];
        if seen.windows(2).all(|pair| pair[0] >> 32 != pair[1] >> 32) {
            // Without ties a place holds a gain or none.
            let places = seen[..seen.len().min(k)].iter().zip(&self.discounts.weights);
            return places.fold((0.0, 0.0), |(gain, hit), (row, weight)| {
                let positive = (row & 1) as f64;
                (gain + positive * weight, if row & 1 == 1 { 1.0 } else { hit })
            });
        }
        let (mut gain, mut miss, mut place) = (0.0, 1.0, 0);
        for group in self.sorted.chunk_by(|a, b| a >> 32 == b >> 32) {
            if place >= k {
                break;
            }
            let size = group.len();
            let positives = group.iter().filter(|row| **row & 1 == 1).count();
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

/// Brings the rows of one user together, as [`ranked`] gives them.
#[inline(always)]
fn gather(rows: &[u32], scores: &[f32], labels: &[u8], substitute: f32, out: &mut Vec<u64>) {
    out.clear();
    out.extend((0..).zip(rows).map(|(place, &row)| {
        let label = u32::from(labels[row as usize] != 0);
        ranked(scores[row as usize], place << 1 | label, substitute)
    }));
}

/// Bits that order as scores fall.
#[inline(always)]
fn falling(score: f32) -> u32 {
    let bits = score.to_bits();
    // Of a negative number the bits fall already, once the sign is set aside.
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_and_their_ties_are_ordered_as_all_rows_are() {
        let mut work = UserWork::default();
        let mut state = 7_u32;
        for rows in [1_u32, 2, 9, 24, 25, 70, 300] {
            for values in [1, 3, 40, 100_000] {
                let mut draw = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) % values
                };
                let own: Vec<u64> = (0..rows)
                    .map(|place| ranked(draw() as f32 / 1e5, place << 1 | (place & 1), 0.5))
                    .collect();
                let mut all = own.clone();
                all.sort_unstable();
                for seen in [0, 1, 3, 10, rows as usize] {
                    let seen = seen.min(rows as usize);
                    let last = if seen == 0 { 0 } else { all[seen - 1] >> 32 };
                    let tied = all.iter().take_while(|row| **row >> 32 <= last).count();
                    work.sort_first(&own, seen);
                    let case = format!("{seen} of {rows} rows with {values} values");
                    assert!(seen == 0 || work.sorted.len() >= tied, "{case}: ties are missing");
                    assert_eq!(work.sorted, all[..work.sorted.len()], "{case}");
                }
            }
        }
    }
}
