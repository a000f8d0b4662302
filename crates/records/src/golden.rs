//! The golden run: the fault-free scores that every trial of a subject is held against.

use std::fmt;

use radhard_metrics::TrialScores;
use serde::{Deserialize, Serialize};

use crate::error::RecordsError;
use crate::score;

/// What a golden run is for: one model on one data set under one protection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubjectKey {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// Name of the protection; `none` is the unprotected model.
    pub protection: String,
}

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, protection {}", self.model, self.data, self.protection)
    }
}

/// One golden run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// Model, data set and protection.
    #[serde(flatten)]
    pub subject: SubjectKey,
    /// Scores of the fault-free run held against itself: those of a chip without flips.
    pub scores: TrialScores,
    /// Rows scored whose label is 1.
    pub positives: u64,
    /// Which rows are scored: `train`, `validation`, `test` or `all`.
    pub split: String,
    /// Whether the data were made up in the shape of the set they are named after.
    pub stand_in: bool,
    /// Number of the model's parameters.
    pub parameters: u64,
    /// SHA-256 of the model's names, shapes, formats and bytes.
    pub model_fingerprint: String,
    /// SHA-256 of the prepared data.
    pub data_fingerprint: String,
    /// Time the run took.
    pub seconds: f64,
}

impl Golden {
    /// Errors: the first fact or score in which `offered` differs from this record.
    pub(crate) fn check_same(&self, offered: &Self) -> Result<(), RecordsError> {
        let facts = [
            ("model fingerprint", self.model_fingerprint.clone(), offered.model_fingerprint.clone()),
            ("data fingerprint", self.data_fingerprint.clone(), offered.data_fingerprint.clone()),
            ("split", self.split.clone(), offered.split.clone()),
            ("positives", self.positives.to_string(), offered.positives.to_string()),
            ("stand-in", self.stand_in.to_string(), offered.stand_in.to_string()),
            ("outcome", self.scores.outcome.to_string(), offered.scores.outcome.to_string()),
        ]
        .into_iter()
        .find(|(_, recorded, offered)| recorded != offered);
        let scores = || {
            score::first_difference(&score::numbers(&self.scores), &score::numbers(&offered.scores))
                .map(|(what, recorded, offered)| (what, recorded.to_string(), offered.to_string()))
        };
        match facts.or_else(scores) {
            None => Ok(()),
            Some((what, recorded_value, offered)) => Err(RecordsError::GoldenChanged {
                subject: Box::new(self.subject.clone()),
                what,
                recorded: recorded_value,
                offered,
            }),
        }
    }
}
