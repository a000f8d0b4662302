//! What a prepared file says about itself.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UnknownWord;

/// The version of the prepared file that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// How ids of the input become rows of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdRule {
    /// Renumbered from 0 in the order of the values; the values are kept as the field's vocabulary.
    Dense,
    /// Taken as they are, from 0.
    Index,
    /// One less than they are; ids that never occur are rows too.
    OneBased,
}

impl fmt::Display for IdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dense => "dense",
            Self::Index => "index",
            Self::OneBased => "one-based",
        })
    }
}

impl FromStr for IdRule {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "dense" => Ok(Self::Dense),
            "index" => Ok(Self::Index),
            "one-based" => Ok(Self::OneBased),
            _ => Err(UnknownWord {
                value: word.to_owned(),
                expected: "a rule for ids: dense, index or one-based",
            }),
        }
    }
}

/// How the stored split was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMeta {
    /// The seed of the draw.
    pub seed: u64,
    /// Train : validation : test.
    pub ratio: [u32; 3],
    /// Rows of train, validation and test.
    pub counts: [u64; 3],
}

/// The planted model behind the labels of a stand-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planted {
    /// The shape that was made.
    pub shape: String,
    /// Its seed.
    pub seed: u64,
    /// The expected AUC of the planted probability, to which the model was calibrated.
    pub expected_auc: f64,
    /// The share of positives to which the model was calibrated.
    pub expected_positive_rate: f64,
}

/// What a data set is, as stored in its file under the key `radhard.data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The version of the format, [`FORMAT_VERSION`].
    pub format_version: u32,
    /// What the data are, as `movielens-1m` or `csv`.
    pub name: String,
    /// The file they came from, without its directory.
    pub source: String,
    /// Names of the categorical fields, `[F]`.
    pub field_names: Vec<String>,
    /// Table rows of each field, `[F]`.
    pub field_dims: Vec<u32>,
    /// Names of the numeric columns, `[N]`.
    pub numeric_names: Vec<String>,
    /// Rows, B.
    pub rows: u64,
    /// Rows with label 1.
    pub positives: u64,
    /// Lines of the input that are no rows because they could not be read.
    pub bad_lines: u64,
    /// Whether the rows were drawn from a planted model instead of read.
    pub stand_in: bool,
    /// The field that names the user, where there is one.
    pub user_field: Option<usize>,
    /// The field that names the item, where there is one.
    pub item_field: Option<usize>,
    /// How ids became rows of the fields.
    pub ids: IdRule,
    /// When a row is positive, as `rating > 3`.
    pub positive: String,
    /// How the parts were drawn; `None` when all rows are `train` because no split was asked for.
    pub split: Option<SplitMeta>,
    /// SHA-256 of field dims, indices, numeric values, labels and parts, in hexadecimal.
    pub fingerprint: String,
    /// Share of positives in `train`; of all rows when `train` is empty.
    pub train_positive_rate: f64,
    /// Of stand-ins: the AUC of the planted probability against the drawn labels, which no model can expect to beat.
    pub attainable_auc: Option<f64>,
    /// Of stand-ins: the planted model.
    pub planted: Option<Planted>,
    /// Values that the input has fewer times than this share one row of their field: the one after those of the
    /// vocabulary. `None` where every value has a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rare_below: Option<u32>,
    /// Rows of the table that bags refer to; `None` where rows have no bags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bag_dim: Option<u32>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
}

impl Meta {
    /// A description of a data set without rows yet; the writer fills in what follows from the rows.
    pub fn new(name: impl Into<String>, field_names: Vec<String>, field_dims: Vec<u32>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            name: name.into(),
            source: String::new(),
            field_names,
            field_dims,
            numeric_names: Vec::new(),
            rows: 0,
            positives: 0,
            bad_lines: 0,
            stand_in: false,
            user_field: None,
            item_field: None,
            ids: IdRule::Index,
            positive: "label = 1".to_owned(),
            split: None,
            fingerprint: String::new(),
            train_positive_rate: 0.0,
            attainable_auc: None,
            planted: None,
            rare_below: None,
            bag_dim: None,
            notes: Vec::new(),
        }
    }

    /// Categorical fields, F.
    pub fn fields(&self) -> usize {
        self.field_dims.len()
    }

    /// Rows of train, validation and test.
    pub fn part_counts(&self) -> [u64; 3] {
        self.split.as_ref().map_or([self.rows, 0, 0], |split| split.counts)
    }
}
