//! What each user of the golden run sees, so that only those whose rows changed are looked at again.

use std::ops::Range;

use crate::top_k::{self, OfUser, OverUsers, TopK, UserRows, UserWork};

/// Users whose rows are brought together before they are ranked.
const TOGETHER: usize = 256;

/// The golden rankings of all users.
///
/// Memory: 64 bytes and 4 per golden place a user, and a byte a row.
#[derive(Debug)]
pub(crate) struct Users<'a> {
    rows: &'a UserRows,
    places: usize,
    /// What stands in for a score that is not a number.
    substitute: f32,
    /// Labels of the rows in the order of users.
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
    changed: Vec<u32>,
    users: Vec<User>,
    rows: Vec<u32>,
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
        let in_order = rows.in_order().iter().map(|row| labels[*row as usize]).collect();
        let mut of = Self { rows, places, substitute, labels: in_order, first, each, all };
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

    /// The user of each row, by place among the users.
    pub(crate) fn of_rows(&self) -> Vec<u32> {
        let mut of = vec![0; self.rows.len()];
        for (user, rows) in (0..).zip(self.rows.groups()) {
            for row in rows {
                of[*row as usize] = user;
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

    /// A user's rows, as they are ranked, behind others.
    fn rank(&self, user: &User, rows: &[u32], scores: &[f32], ranked: &mut Vec<u64>) {
        let labels = &self.labels[user.rows.start as usize..user.rows.end as usize];
        ranked.extend(rows.iter().zip(labels).enumerate().map(|(place, (row, label))| {
            top_k::ranked(scores[*row as usize], place, *label, self.substitute)
        }));
    }

    /// What users see of scores of which any may have changed.
    pub(crate) fn all(&self, scores: &[f32], work: &mut UsersWork) -> TopK {
        let UsersWork { ranked, user: work, .. } = work;
        let mut all = OverUsers::default();
        for users in self.each.chunks(TOGETHER) {
            // Scores are on their way from memory for many users before those of one are compared.
            ranked.clear();
            for user in users {
                self.rank(user, self.rows(user), scores, ranked);
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

    /// What users see of scores of which only those of some rows changed, whose users these are.
    ///
    /// Each loop touches one array, so that many rows are on their way from memory at a time.
    pub(crate) fn changed(
        &self,
        of_rows: impl Iterator<Item = u32>,
        scores: &[f32],
        work: &mut UsersWork,
    ) -> TopK {
        let UsersWork { changed, users, rows, ranked, user: work } = work;
        changed.clear();
        changed.extend(of_rows);
        changed.dedup();
        changed.sort_unstable();
        changed.dedup();
        users.clear();
        users.extend(changed.iter().map(|user| self.each[*user as usize].clone()));
        rows.clear();
        for user in &*users {
            rows.extend_from_slice(self.rows(user));
        }
        ranked.clear();
        let mut left = rows.as_slice();
        for user in &*users {
            let (own, later) = left.split_at(user.rows.len());
            left = later;
            self.rank(user, own, scores, ranked);
        }
        let mut all = self.all;
        let mut left = ranked.as_slice();
        for user in &*users {
            let (own, later) = left.split_at(user.rows.len());
            left = later;
            all.take(&user.seen);
            all.add(&work.seen(own, self.places, Some(self.first(user))));
        }
        all.top_k()
    }
}
