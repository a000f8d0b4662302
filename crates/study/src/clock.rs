//! What a study is told by the clock: kept apart, because it differs from run to run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::costs::Cost;
use crate::injection::Injection;
use crate::study::{Study, StudyError, write};

/// Everything that depends on the clock; what was measured once is not measured again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Seconds of each stage, over all calls that it took.
    pub stages: BTreeMap<String, f64>,
    /// What an injection takes.
    pub injection: Option<Injection>,
    /// What protections cost.
    pub costs: Vec<Cost>,
}

impl Clock {
    /// What was measured so far; nothing where the file is not there or was written by another version.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps it for the next call.
    pub(crate) fn keep(&self, path: &Path) -> Result<(), StudyError> {
        write(path, &serde_json::to_vec_pretty(self).map_err(StudyError::Json)?)
    }
}

impl Study<'_> {
    /// What was measured so far.
    pub fn clock(&self) -> Clock {
        Clock::read(&self.out.join("clock.json"))
    }

    pub(crate) fn keep(&self, clock: &Clock) -> Result<(), StudyError> {
        clock.keep(&self.out.join("clock.json"))
    }

    /// Adds to the seconds of a stage.
    pub(crate) fn spent(&self, stage: &str, seconds: f64) -> Result<(), StudyError> {
        let mut clock = self.clock();
        *clock.stages.entry(stage.to_owned()).or_default() += seconds;
        self.keep(&clock)
    }
}
