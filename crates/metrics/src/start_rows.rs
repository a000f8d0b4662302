//! What scoring asks of a row of the run that others start from, and of its neighbours, brought together so that each costs one look into memory.

use radhard_memory::Buffer;

use crate::loss;
use crate::trial::Observed;

/// One row of the run that others start from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartRow {
    pub(crate) probability: f32,
    pub(crate) positive: bool,
    /// Twice the pairs that it wins as a positive or loses as a negative, and those it ties.
    pub(crate) doubled: u32,
    /// Its user's place among the users, and its own among the user's rows; 0 without users.
    pub(crate) user: u32,
    pub(crate) place: u32,
}

/// All rows of that run.
///
/// Memory: 16 bytes a row.
#[derive(Debug)]
pub(crate) struct StartRows(Buffer<[u32; 4]>);

const POSITIVE: u32 = 1;

impl StartRows {
    pub(crate) fn of(run: &Observed<'_>, doubled: &[u32], users: &[(u32, u32)]) -> Self {
        let mut rows = Buffer::zeroed(run.probabilities.len());
        for (at, row) in rows.iter_mut().enumerate() {
            let positive = if run.labels[at] == 0 { 0 } else { POSITIVE };
            let (user, place) = users.get(at).copied().unwrap_or_default();
            *row = [run.probabilities[at].to_bits(), doubled[at], user, place << 1 | positive];
        }
        Self(rows)
    }

    pub(crate) fn get(&self, row: u32) -> StartRow {
        let [probability, doubled, user, place] = self.0[row as usize];
        let (positive, place) = (place & POSITIVE != 0, place >> 1);
        StartRow { probability: f32::from_bits(probability), positive, doubled, user, place }
    }
}

/// Rows whose likelihoods are multiplied before the logarithm is taken: its negative, and their labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) loss: f64,
    /// Bit i is that of the i-th row.
    labels: u64,
}

/// All groups of that run.
///
/// Memory: 1 byte a row.
#[derive(Debug)]
pub(crate) struct Groups(Buffer<[u64; 2]>);

impl Groups {
    pub(crate) fn of(run: &Observed<'_>, substitute: f32) -> Self {
        let mut groups = Buffer::zeroed(run.labels.len().div_ceil(loss::GROUP));
        for ((at, group), labels) in groups.iter_mut().enumerate().zip(run.labels.chunks(loss::GROUP)) {
            let loss = loss::group_log_loss(at, run.probabilities, run.labels, substitute);
            let bits = labels.iter().rev().fold(0, |bits, label| bits << 1 | u64::from(*label != 0));
            *group = [loss.to_bits(), bits];
        }
        Self(groups)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, at: usize) -> Group {
        let [loss, labels] = self.0[at];
        Group { loss: f64::from_bits(loss), labels }
    }
}

impl Group {
    /// Whether the row at a place of the group is positive.
    #[inline(always)]
    pub(crate) fn label(&self, place: usize) -> u8 {
        (self.labels >> place & 1) as u8
    }
}
