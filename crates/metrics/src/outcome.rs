//! What became of a fault: the classes of dependability research, for a row and for a trial.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The class of a row or a trial; where several apply, the first in this order.
///
/// Source: Mukherjee et al. 2003 (masked, SDC, DUE); `Tolerable` splits off silent changes too small to matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A detector fired and the right value was restored.
    Recovered,
    /// Detected, unrecoverable: the score is not a number, or a detector fired and nothing was restored.
    Due,
    /// The bits equal the golden ones.
    Masked,
    /// Changed by no more than the tolerance.
    Tolerable,
    /// Silent data corruption: changed by more, and nobody noticed.
    Sdc,
}

/// What detectors did in a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detection {
    /// None fired.
    #[default]
    Silent,
    /// Some fired, and every detected fault was undone.
    Recovered,
    /// Some fired, and a detected fault stayed.
    Unrecovered,
}

impl Outcome {
    /// All outcomes in order of precedence.
    pub const ALL: [Self; 5] = [Self::Recovered, Self::Due, Self::Masked, Self::Tolerable, Self::Sdc];

    /// The class of one row where no detector fired.
    ///
    /// Numerics: equality is on canonical scores, so any NaN equals any NaN, but NaN is DUE before it is masked;
    /// -0 and +0 differ in bits and are tolerable.
    pub fn of_sample(observed: f32, golden: f32, tolerance: f64) -> Self {
        if observed.is_nan() {
            Self::Due
        } else if observed.to_bits() == golden.to_bits() {
            Self::Masked
        } else if (f64::from(observed) - f64::from(golden)).abs() <= tolerance {
            Self::Tolerable
        } else {
            Self::Sdc
        }
    }

    /// The class of a trial from those of its rows and from what detectors did.
    pub fn of_trial(samples: &SampleOutcomes, detection: Detection) -> Self {
        match detection {
            Detection::Recovered => Self::Recovered,
            Detection::Unrecovered => Self::Due,
            Detection::Silent if samples.due > 0 => Self::Due,
            Detection::Silent if samples.sdc > 0 => Self::Sdc,
            Detection::Silent if samples.tolerable > 0 => Self::Tolerable,
            Detection::Silent => Self::Masked,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recovered => "recovered",
            Self::Due => "due",
            Self::Masked => "masked",
            Self::Tolerable => "tolerable",
            Self::Sdc => "sdc",
        })
    }
}

/// A word that names no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outcome {0:?} is not one of recovered, due, masked, tolerable, sdc")]
pub struct UnknownOutcome(pub String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.to_string() == word)
            .ok_or_else(|| UnknownOutcome(word.to_owned()))
    }
}

/// Number of rows per outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SampleOutcomes {
    /// Rows that a detector saved.
    pub recovered: u64,
    /// Rows without a number.
    pub due: u64,
    /// Rows equal to golden.
    pub masked: u64,
    /// Rows changed within the tolerance.
    pub tolerable: u64,
    /// Rows changed beyond it.
    pub sdc: u64,
}

impl SampleOutcomes {
    /// Counts one more row.
    pub fn add(&mut self, outcome: Outcome) {
        *self.count(outcome) += 1;
    }

    /// Counts one row less.
    ///
    /// # Panics
    /// If there was none.
    pub fn remove(&mut self, outcome: Outcome) {
        *self.count(outcome) -= 1;
    }

    fn count(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Recovered => &mut self.recovered,
            Outcome::Due => &mut self.due,
            Outcome::Masked => &mut self.masked,
            Outcome::Tolerable => &mut self.tolerable,
            Outcome::Sdc => &mut self.sdc,
        }
    }
}
