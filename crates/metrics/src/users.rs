//! What each user sees of the run that others start from, so that only those who see something else are looked at again.

use std::ops::Range;

use radhard_memory::{Wide, widest};

use crate::top_k::{OfUser, OverUsers, TopK, UserRows, UserWork, ranked};

/// Users whose scores are brought together before they are compared.
const TOGETHER: usize = 256;

/// The rankings of all users in the run that others start from, beside the golden ones.
///
/// Memory: 12 bytes a row, 48 and 4 per place a user.
#[derive(Debug)]
pub(crate) struct Users {
    /// Places that a user sees.
    seen: usize,
    /// What stands in for a score that is not a number.
    substitute: f32,
    /// All rows, user after user, each user's as they are ranked.
    rows: Vec<u32>,
    /// The scores of these rows.
    scores: Vec<f32>,
    /// Of each its place among the user's rows in order of the data, above its label.
    places: Vec<u32>,
    /// Places of each user's first rows in the golden ranking.
    first: Vec<u32>,
    each: Vec<User>,
    all: OverUsers,
}

/// One user.
#[derive(Clone, Debug)]
struct User {
    sees: OfUser,
    /// Where the rows lie.
    rows: Range<u32>,
    /// Where the golden first ones do.
    first: u32,
    /// Whether the scores are in order ([`in_order`]).
    in_order: bool,
}

/// Memory for users whose rows changed.
#[derive(Debug, Default)]
pub(crate) struct UsersWork {
    /// Changed rows, each its user above its place in the user's ranking, with its score.
    changed: Vec<(u64, f32)>,
    /// Their users, and how many of the rows are each one's.
    users: Vec<(User, usize)>,
    scores: Vec<f32>,
    rank: RankWork,
}

/// Memory for the ranking of one user.
#[derive(Debug, Default)]
struct RankWork {
    rows: Vec<u64>,
    user: UserWork,
}

/// Whether the first `seen` scores fall strictly, and all others stay strictly below them.
///
/// Scores that are in order in both runs show a user the same rows at the same places, without ties, so the user sees the same. NaN is
/// never in order, but for a row that is alone.
#[inline(always)]
fn in_order(scores: &[f32], seen: usize) -> bool {
    let (first, rest) = scores.split_at(seen.min(scores.len()));
    let Some(last) = first.last() else { return true };
    let falls = first.windows(2).all(|pair| pair[0] > pair[1]);
    falls
        && rest.iter().fold(true, |all, score| {
            let below = score < last;
            all & below
        })
}

impl Users {
    /// The rankings of a run, and of the golden one: `scores` are of both.
    pub(crate) fn of(
        rows: &UserRows,
        seen: usize,
        (scores, golden): (&[f32], &[f32]),
        labels: &[u8],
        substitute: f32,
    ) -> Self {
        let own = || Vec::with_capacity(rows.len());
        let (first, each, all) = (Vec::new(), Vec::new(), OverUsers::default());
        let (places, scores_of) = (own(), Vec::with_capacity(rows.len()));
        let mut of = Self { seen, substitute, rows: own(), scores: scores_of, places, first, each, all };
        let mut work = RankWork::default();
        for rows in rows.groups() {
            let (start, first) = (of.rows.len(), of.first.len());
            let places = work.user.places(rows, golden, labels, substitute);
            of.first.extend(places.take(seen).map(|place| place >> 1));
            let places = work.user.places(rows, scores, labels, substitute);
            of.rows.extend(places.clone().map(|place| rows[(place >> 1) as usize]));
            of.places.extend(places);
            of.scores.extend(of.rows[start..].iter().map(|row| scores[*row as usize]));
            let mut user = User {
                sees: OfUser::default(),
                rows: start as u32..of.rows.len() as u32,
                first: first as u32,
                in_order: in_order(&of.scores[start..], seen),
            };
            user.sees = of.rank(&user, &of.scores[start..], &mut work);
            of.all.add(&user.sees);
            of.each.push(user);
        }
        of
    }

    /// The user of each row, by place among the users, and the row's place in the user's ranking.
    pub(crate) fn of_rows(&self) -> Vec<(u32, u32)> {
        let mut of = vec![(0, 0); self.rows.len()];
        for (number, user) in (0..).zip(&self.each) {
            for (place, row) in (0..).zip(&self.rows[range(user)]) {
                of[*row as usize] = (number, place);
            }
        }
        of
    }

    /// What a user sees whose rows have these scores.
    #[inline(always)]
    fn rank(&self, user: &User, scores: &[f32], work: &mut RankWork) -> OfUser {
        let RankWork { rows, user: work } = work;
        let places = self.places[range(user)].iter().zip(scores);
        rows.clear();
        rows.extend(places.map(|(place, score)| ranked(*score, *place, self.substitute)));
        let first = &self.first[user.first as usize..][..self.seen.min(rows.len())];
        work.seen(rows, self.seen, Some(first))
    }

    /// Exchanges what a user saw for what these scores show, where that is another ranking.
    #[inline(always)]
    fn compare(&self, user: &User, scores: &[f32], work: &mut RankWork, all: &mut OverUsers) {
        if !(user.in_order && in_order(scores, self.seen)) {
            all.take(&user.sees);
            all.add(&self.rank(user, scores, work));
        }
    }

    /// What users see of scores of which any may have changed.
    pub(crate) fn all(&self, scores: &[f32], work: &mut UsersWork) -> TopK {
        widest(AllUsers { users: self, scores, work }).top_k()
    }

    /// What users see of scores of which only those of some rows changed: each its user, its place in the user's ranking, and its
    /// score.
    ///
    /// Each loop touches one array, so that many users are on their way from memory at a time.
    pub(crate) fn changed(&self, rows: impl Iterator<Item = (u32, u32, f32)>, work: &mut UsersWork) -> TopK {
        let UsersWork { changed, users, scores, .. } = &mut *work;
        changed.clear();
        changed.extend(rows.map(|(user, place, score)| (u64::from(user) << 32 | u64::from(place), score)));
        changed.sort_unstable_by_key(|(at, _)| *at);
        users.clear();
        for own in changed.chunk_by(|a, b| a.0 >> 32 == b.0 >> 32) {
            users.push((self.each[(own[0].0 >> 32) as usize].clone(), own.len()));
        }
        scores.clear();
        for (user, _) in &*users {
            scores.extend_from_slice(&self.scores[range(user)]);
        }
        widest(SomeUsers { users: self, work }).top_k()
    }
}

/// Users of which some rows changed; `work` holds who they are, the scores of their rows, and the changed ones.
struct SomeUsers<'a> {
    users: &'a Users,
    work: &'a mut UsersWork,
}

impl Wide for SomeUsers<'_> {
    type Output = OverUsers;

    #[inline(always)]
    fn run(self) -> OverUsers {
        let UsersWork { changed, users, scores, rank } = self.work;
        let mut all = self.users.all;
        let (mut left, mut changed) = (scores.as_mut_slice(), changed.as_slice());
        for (user, count) in &*users {
            let (own, later) = std::mem::take(&mut left).split_at_mut(user.rows.len());
            let (now, others) = changed.split_at(*count);
            (left, changed) = (later, others);
            for (at, score) in now {
                own[*at as u32 as usize] = *score;
            }
            self.users.compare(user, own, rank, &mut all);
        }
        all
    }
}

/// All users with the scores of all rows.
struct AllUsers<'a> {
    users: &'a Users,
    scores: &'a [f32],
    work: &'a mut UsersWork,
}

impl Wide for AllUsers<'_> {
    type Output = OverUsers;

    #[inline(always)]
    fn run(self) -> OverUsers {
        let Self { users: of, scores, work } = self;
        let UsersWork { scores: own, rank, .. } = work;
        let mut all = of.all;
        for users in of.each.chunks(TOGETHER) {
            // Scores are on their way from memory for many users before those of one are compared.
            own.clear();
            let rows = users[0].rows.start as usize..users[users.len() - 1].rows.end as usize;
            own.extend(of.rows[rows].iter().map(|row| scores[*row as usize]));
            let mut left = own.as_slice();
            for user in users {
                let (own, later) = left.split_at(user.rows.len());
                left = later;
                of.compare(user, own, rank, &mut all);
            }
        }
        all
    }
}

#[inline(always)]
fn range(user: &User) -> Range<usize> {
    user.rows.start as usize..user.rows.end as usize
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn scores_are_in_order_where_places_are_beyond_doubt() {
        for (scores, seen, expected) in [
            (&[0.9, 0.5, 0.1][..], 2, true),
            (&[0.9, 0.5, 0.1], 10, true),
            (&[0.9, 0.5, 0.1, 0.3], 2, true),
            (&[0.9, 0.5, 0.1, 0.3], 3, false),
            (&[0.9, 0.5, 0.5], 2, false),
            (&[0.9, 0.9, 0.5], 2, false),
            (&[0.9, 0.5, 0.7], 2, false),
            (&[0.5, 0.9], 2, false),
            (&[0.9, f32::NAN, 0.5], 2, false),
            (&[f32::NAN, 0.9, 0.5], 2, false),
            (&[0.9, 0.5, f32::NAN], 2, false),
            (&[0.0, -0.0], 2, false),
            (&[f32::NAN], 2, true),
            (&[0.1, 0.9], 0, true),
            (&[0.1, 0.9], 1, false),
        ] {
            assert_eq!(in_order(scores, seen), expected, "{scores:?} of which {seen} are seen");
        }
    }
}
