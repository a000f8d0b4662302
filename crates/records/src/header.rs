//! The header: which plan the records belong to, and what wrote them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Which plan a directory belongs to, and what wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The plan as the user wrote it; the text of the last run replaces that of earlier ones, since a plan may grow.
    pub plan: String,
    /// What must not change while the directory is continued, by name: the keys whose values decide what a trial is.
    pub identity: BTreeMap<String, String>,
    /// Seed of every chip.
    pub seed: u64,
    /// Version of the program that wrote last.
    pub version: String,
    /// Version of the random stream that chips are drawn from.
    pub stream_version: u32,
    /// Version of the numeric contract that scores follow.
    pub numeric_contract: u32,
}

impl Header {
    /// What keeps records under `self` from being continued as `other`: keys both name, with unlike values.
    ///
    /// A key that only one of them names is no difference: a plan may grow by a subject, and its keys with it. The seed, the
    /// stream version and the numeric contract always count.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut differences: Vec<Difference> = [
            ("seed", self.seed.to_string(), other.seed.to_string()),
            ("stream_version", self.stream_version.to_string(), other.stream_version.to_string()),
            ("numeric_contract", self.numeric_contract.to_string(), other.numeric_contract.to_string()),
        ]
        .into_iter()
        .filter(|(_, recorded, requested)| recorded != requested)
        .map(|(key, recorded, requested)| Difference { key: key.to_owned(), recorded, requested })
        .collect();
        for (key, recorded) in &self.identity {
            let Some(requested) = other.identity.get(key) else { continue };
            if recorded != requested && !differences.iter().any(|difference| difference.key == *key) {
                differences.push(Difference {
                    key: key.clone(),
                    recorded: recorded.clone(),
                    requested: requested.clone(),
                });
            }
        }
        differences
    }
}

/// One key on which the recorded plan and the requested one disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Name of the key.
    pub key: String,
    /// What the directory was written with.
    pub recorded: String,
    /// What is asked for now.
    pub requested: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: recorded \"{}\", requested \"{}\"", self.key, self.recorded, self.requested)
    }
}
