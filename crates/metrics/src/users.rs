//! What each user of the golden run sees, so that only those whose rows changed are looked at again.

use std::ops::Range;

use crate::top_k::{self, OfUser, OverUsers, TopK, UserRows, UserWork};

/// Users whose rows are brought together before they are ranked.
const TOGETHER: usize = 256;

/// The golden rankings of all users.
///
/// Memory: 64 bytes and 4 per golden place a user, and 5 bytes a row.
#[derive(Debug)]
pub(crate) struct Users<'a> {
    rows: &'a UserRows,
    places: usize,
    /// What stands in for a score that is not a number.
    substitute: f32,
    /// Golden scores and labels of the rows in the order of users.
    scores: Vec<f32>,
    labels: Vec<u8>,
    /// Places among each user's rows of the first ones.
    first: Vec<u32>,
    each: Vec<User>,
    all: OverUsers,
}

/// One user of the golden run.
#[derive(Clone, Debug)]
struct User {
    seen: OfUser,
    /// Where the first ones lie.
    first: Range<u32>,
    /// Where the rows lie.
    rows: Range<u32>,
}

/// Memory for users whose rows changed.
#[derive(Debug, Default)]
pub(crate) struct UsersWork {
    /// Changed rows, each its user above its place, with its score.
    changed: Vec<(u64, f32)>,
    /// Their users, and how many of the rows are each one's.
    users: Vec<(User, usize)>,
    ranked: Vec<u64>,
    user: UserWork,
}

impl<'a> Users<'a> {
    pub(crate) fn of(
        rows: &'a UserRows,
        places: usize,
        scores: &[f32],
        labels: &[u8],
        substitute: f32,
    ) -> Self {
        let (first, each, all) = (Vec::new(), Vec::new(), OverUsers::default());
        let in_order = || rows.in_order().iter().map(|row| *row as usize);
        let (own, its) = (in_order().map(|row| scores[row]).collect(), in_order().map(|row| labels[row]));
        let mut of = Self { rows, places, substitute, scores: own, labels: its.collect(), first, each, all };
        let mut work = UserWork::default();
        let mut start = 0;
        for rows in rows.groups() {
            let from = of.first.len();
            of.first.extend_from_slice(work.first(rows, places, scores, substitute));
            let seen = work.of(rows, places, scores, labels, Some(&of.first[from..]), substitute);
            of.all.add(&seen);
            let end = start + rows.len() as u32;
            of.each.push(User { seen, first: from as u32..of.first.len() as u32, rows: start..end });
            start = end;
        }
        of
    }

    /// The user of each row, by place among the users, and the row's place among the user's.
    pub(crate) fn of_rows(&self) -> Vec<(u32, u32)> {
        let mut of = vec![(0, 0); self.rows.len()];
        for (user, rows) in (0..).zip(self.rows.groups()) {
            for (place, row) in (0..).zip(rows) {
                of[*row as usize] = (user, place);
            }
        }
        of
    }

    fn first(&self, user: &User) -> &[u32] {
        &self.first[user.first.start as usize..user.first.end as usize]
    }

    fn rows(&self, user: &User) -> &[u32] {
        &self.rows.in_order()[user.rows.start as usize..user.rows.end as usize]
    }

    /// A user's rows with these scores, as they are ranked, behind others.
    fn rank(&self, user: &User, scores: impl Iterator<Item = f32>, ranked: &mut Vec<u64>) {
        let labels = &self.labels[user.rows.start as usize..user.rows.end as usize];
        ranked.extend(
            scores
                .zip(labels)
                .enumerate()
                .map(|(place, (score, label))| top_k::ranked(score, place, *label, self.substitute)),
        );
    }

    /// What users see of scores of which any may have changed.
    pub(crate) fn all(&self, scores: &[f32], work: &mut UsersWork) -> TopK {
        let UsersWork { ranked, user: work, .. } = work;
        let mut all = OverUsers::default();
        for users in self.each.chunks(TOGETHER) {
            // Scores are on their way from memory for many users before those of one are compared.
            ranked.clear();
            for user in users {
                let scores = self.rows(user).iter().map(|row| scores[*row as usize]);
                self.rank(user, scores, ranked);
            }
            let mut left = ranked.as_slice();
            for user in users {
                let (own, later) = left.split_at(user.rows.len());
                left = later;
                all.add(&work.seen(own, self.places, Some(self.first(user))));
            }
        }
        all.top_k()
    }

    /// What users see of scores of which only those of some rows changed: each its user, its place among the user's, and its score.
    ///
    /// Each loop touches one array, so that many users are on their way from memory at a time.
    pub(crate) fn changed(&self, rows: impl Iterator<Item = (u32, u32, f32)>, work: &mut UsersWork) -> TopK {
        let UsersWork { changed, users, ranked, user: work } = work;
        changed.clear();
        changed.extend(rows.map(|(user, place, score)| (u64::from(user) << 32 | u64::from(place), score)));
        changed.sort_unstable_by_key(|(at, _)| *at);
        users.clear();
        for own in changed.chunk_by(|a, b| a.0 >> 32 == b.0 >> 32) {
            users.push((self.each[(own[0].0 >> 32) as usize].clone(), own.len()));
        }
        ranked.clear();
        for (user, _) in &*users {
            let rows = user.rows.start as usize..user.rows.end as usize;
            self.rank(user, self.scores[rows].iter().copied(), ranked);
        }
        let mut all = self.all;
        let (mut left, mut changed) = (ranked.as_mut_slice(), changed.as_slice());
        for (user, count) in &*users {
            let (own, later) = std::mem::take(&mut left).split_at_mut(user.rows.len());
            let (now, others) = changed.split_at(*count);
            (left, changed) = (later, others);
            for (at, score) in now {
                let row = &mut own[*at as u32 as usize];
                *row = top_k::ranked(*score, *at as u32 as usize, (*row & 1) as u8, self.substitute);
            }
            all.take(&user.seen);
            all.add(&work.seen(own, self.places, Some(self.first(user))));
        }
        all.top_k()
    }
}
