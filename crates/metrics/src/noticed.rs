//! What became of the rows in which a check of results fired.

use crate::outcome::{Outcome, SampleOutcomes};
use crate::trial::TrialScores;

/// What rows are held against.
#[derive(Clone, Copy, Debug)]
pub struct Noticing<'a> {
    /// Probabilities of the golden run under the same protection.
    pub start: &'a [f32],
    /// Those of the unprotected golden run, against which rows are classed.
    pub golden: &'a [f32],
    /// Largest |Δp| of a tolerable row.
    pub tolerance: f64,
}

/// Rows by what checks noticed of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsNoticed {
    /// Rows in which a check fired.
    pub detected: u64,
    /// Of these, rows with the score of the golden run.
    pub recovered: u64,
    /// Rows in which none fired, and whose score is another.
    pub missed: u64,
}

/// A check fired.
pub const DETECTED: u8 = 1;
/// What it found was not restored.
pub const UNRESTORED: u8 = 2;

impl Noticing<'_> {
    /// Puts rows in which a check fired into their classes: recovered, which are then in no other, where their score is that of the
    /// golden run; else DUE where something was not restored. `rows` holds number, probability and flags of all rows that may differ.
    pub fn classes(
        &self,
        mut scores: TrialScores,
        rows: impl Iterator<Item = (usize, f32, u8)>,
    ) -> (TrialScores, RowsNoticed) {
        let mut noticed = RowsNoticed::default();
        let mut samples = SampleOutcomes {
            recovered: 0,
            due: scores.due,
            masked: scores.masked,
            tolerable: scores.tolerable,
            sdc: scores.sdc,
        };
        for (row, probability, flags) in rows {
            let same = probability.to_bits() == self.start[row].to_bits();
            if flags & DETECTED == 0 {
                noticed.missed += u64::from(!same);
                continue;
            }
            noticed.detected += 1;
            let class = if same {
                noticed.recovered += 1;
                Outcome::Recovered
            } else if flags & UNRESTORED != 0 {
                Outcome::Due
            } else {
                continue;
            };
            samples.remove(Outcome::of_sample(probability, self.golden[row], self.tolerance));
            samples.add(class);
        }
        let SampleOutcomes { due, masked, tolerable, sdc, .. } = samples;
        (scores.due, scores.masked, scores.tolerable, scores.sdc) = (due, masked, tolerable, sdc);
        (scores, noticed)
    }
}
