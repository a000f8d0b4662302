//! The parts of a data set: what is trained on, what chooses the epoch, what is reported.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UnknownWord;

/// A part of a data set, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Rows to train on.
    Train,
    /// Rows that choose the best epoch.
    Validation,
    /// Rows that scores are reported on.
    Test,
    /// Every row.
    All,
}

impl Part {
    /// The parts that rows belong to, in the order of their codes.
    pub const STORED: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The byte that a prepared file stores; `None` for [`Part::All`].
    pub fn code(self) -> Option<u8> {
        match self {
            Self::Train => Some(0),
            Self::Validation => Some(1),
            Self::Test => Some(2),
            Self::All => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::All => "all",
        })
    }
}

impl FromStr for Part {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "train" => Ok(Self::Train),
            "validation" => Ok(Self::Validation),
            "test" => Ok(Self::Test),
            "all" => Ok(Self::All),
            _ => Err(UnknownWord {
                value: word.to_owned(),
                expected: "a part of the data: train, validation, test or all",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_reads_what_it_writes() {
        for part in [Part::Train, Part::Validation, Part::Test, Part::All] {
            assert_eq!(part.to_string().parse::<Part>().unwrap(), part);
            assert_eq!(serde_json::to_string(&part).unwrap(), format!("\"{part}\""));
        }
        assert!("Test".parse::<Part>().unwrap_err().to_string().contains("\"Test\""));
    }
}
