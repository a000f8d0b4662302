//! One trial: what one chip did to one cell.

use std::fmt;
use std::str::FromStr;

use radhard_metrics::TrialScores;
use serde::{Deserialize, Serialize};

use crate::cell::CellKey;
use crate::error::RecordsError;
use crate::score;

/// What one chip did to one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of the chip.
    pub chip: u64,
    /// Bits that this chip changes in what the target exposes, check bits and copies included, before any protection reads
    /// them; 0 is the event whose probability the cell holds as `p_no_flip`.
    pub flips: u64,
    /// Of the bits that readers get otherwise than stored, those in words that a scored row reads; none where not counted.
    pub flips_read: Option<u64>,
    /// Sum over changed table words of the scored rows that read them; none where not counted.
    pub reads: Option<u64>,
    /// What protections noticed and did.
    pub noticed: Noticed,
    /// Scores and outcome.
    pub scores: TrialScores,
    /// How the scores were found.
    pub path: Path,
    /// Time the trial took.
    pub seconds: f64,
}

/// What protections noticed on a chip, and what they did; all 0 where nothing protects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noticed {
    /// Words, codewords, rows or results that a check found bad.
    pub detected: u64,
    /// Of these, restored from redundant bits or by computing again.
    pub corrected: u64,
    /// Of these, restored from the clean copy.
    pub reloads: u64,
    /// Bytes of the clean copy that were read.
    pub reload_bytes: u64,
    /// Computations that were repeated.
    pub retries: u64,
    /// Of those detected, replaced by a default.
    pub fallbacks: u64,
    /// Scored rows in which a check of results fired.
    pub rows_detected: u64,
    /// Of these, rows with the score of the golden run under the same protection.
    pub rows_recovered: u64,
    /// Scored rows in which no check of results fired though their score is another; 0 where none looks at results.
    pub rows_missed: u64,
}

impl Noticed {
    /// Names of the counts, in the order of the tables.
    pub const NAMES: [&'static str; 9] = [
        "detected",
        "corrected",
        "reloads",
        "reload_bytes",
        "retries",
        "fallbacks",
        "rows_detected",
        "rows_recovered",
        "rows_missed",
    ];

    /// The counts, in the order of [`NAMES`](Self::NAMES).
    pub fn counts(&self) -> [u64; 9] {
        [
            self.detected,
            self.corrected,
            self.reloads,
            self.reload_bytes,
            self.retries,
            self.fallbacks,
            self.rows_detected,
            self.rows_recovered,
            self.rows_missed,
        ]
    }

    /// From counts in the order of [`NAMES`](Self::NAMES).
    pub fn of_counts(counts: [u64; 9]) -> Self {
        let [detected, corrected, reloads, reload_bytes, retries, fallbacks, rows @ ..] = counts;
        let [rows_detected, rows_recovered, rows_missed] = rows;
        Self {
            detected,
            corrected,
            reloads,
            reload_bytes,
            retries,
            fallbacks,
            rows_detected,
            rows_recovered,
            rows_missed,
        }
    }

    /// Whether nothing was noticed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Trial {
    /// Errors: the first of flips, what was noticed, outcome and scores in which `offered` differs from this record; path and time may.
    pub(crate) fn check_same(&self, offered: &Self, cell: &CellKey) -> Result<(), RecordsError> {
        let conflict = |score, recorded_value: String, offered: String| {
            Err(RecordsError::Conflict {
                cell: Box::new(cell.clone()),
                chip: self.chip,
                score,
                recorded: recorded_value,
                offered,
            })
        };
        if self.flips != offered.flips {
            return conflict("flips", self.flips.to_string(), offered.flips.to_string());
        }
        let counts =
            Noticed::NAMES.into_iter().zip(self.noticed.counts().into_iter().zip(offered.noticed.counts()));
        if let Some((name, (recorded, offered))) = counts.into_iter().find(|(_, (a, b))| a != b) {
            return conflict(name, recorded.to_string(), offered.to_string());
        }
        if self.scores.outcome != offered.scores.outcome {
            return conflict("outcome", self.scores.outcome.to_string(), offered.scores.outcome.to_string());
        }
        match score::first_difference(&score::numbers(&self.scores), &score::numbers(&offered.scores)) {
            None => Ok(()),
            Some((score, recorded_value, offered)) => {
                conflict(score, recorded_value.to_string(), offered.to_string())
            }
        }
    }
}

/// How a trial's scores were found; all paths give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Not evaluated: nothing changed, so the scores are the golden ones.
    Known,
    /// Only the rows that read a changed table row were scored again.
    Rows,
    /// Every row was scored again, from the first changed layer on.
    Layers,
    /// Every row was scored again, from its inputs.
    Full,
}

impl Path {
    /// Every path, with the word it is written as.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Known, "known"), (Self::Rows, "rows"), (Self::Layers, "layers"), (Self::Full, "full")];

    /// The word it is written as.
    pub fn word(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Rows => "rows",
            Self::Layers => "layers",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|(_, word)| *word == text)
            .map(|(path, _)| path)
            .ok_or_else(|| format!("path \"{text}\" is not one of known, rows, layers, full"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_reads_back_from_its_word() {
        for (path, word) in Path::ALL {
            assert_eq!((path.to_string().as_str(), word.parse()), (word, Ok(path)));
        }
    }
}
