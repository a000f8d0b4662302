//! Tables with a label column and named categorical and numeric columns, whatever file they come from.
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::UnknownWord;
use crate::assembly::Piece;
use crate::bad_line::{Reason, excerpt};
use crate::id_rule::FieldRule;
use crate::meta::Meta;
use crate::prepare::{PrepareError, PrepareOptions};

/// When a number means a positive label, as `>3`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    comparison: Comparison,
    bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

/// Longer signs first, so that `>=` is not read as `>`.
const COMPARISONS: [(&str, Comparison); 7] = [
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    ("!=", Comparison::NotEqual),
    ("==", Comparison::Equal),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
    ("=", Comparison::Equal),
];

impl Condition {
    /// Whether it holds for `value`, which is finite.
    pub fn holds(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Greater => value > self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Equal => value == self.bound,
            Comparison::NotEqual => value != self.bound,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison);
        write!(f, "{}{}", found.map_or("", |(sign, _)| sign), self.bound)
    }
}

impl FromStr for Condition {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let text = word.trim();
        let read = || {
            let (sign, comparison) = COMPARISONS.iter().find(|(sign, _)| text.starts_with(sign))?;
            let bound: f64 = text[sign.len()..].trim().parse().ok()?;
            bound.is_finite().then_some(Self { comparison: *comparison, bound })
        };
        read().ok_or_else(|| UnknownWord {
            value: word.to_owned(),
            expected: "a condition on the label: one of > >= < <= = != and a number, like >3",
        })
    }
}

/// Which columns of a table mean what.
#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    /// The column with the label.
    pub label: String,
    /// When a label is positive; without it labels must be 0 or 1.
    pub positive: Option<Condition>,
    /// The categorical columns, in the order of the fields.
    pub categorical: Vec<String>,
    /// The numeric columns, in their order.
    pub numeric: Vec<String>,
    /// What all preparations have in common. Ids are dense unless said otherwise.
    pub common: PrepareOptions,
}

impl TableOptions {
    /// Where each column that was asked for stands among `columns`: label, categorical, numeric.
    pub(crate) fn locate(&self, path: &Path, columns: &[String]) -> Result<Places, PrepareError> {
        let mut asked: Vec<&String> = self.categorical.iter().chain(&self.numeric).collect();
        asked.push(&self.label);
        asked.sort();
        if let Some([name, ..]) = asked.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(PrepareError::RepeatedColumn((*name).clone()));
        }
        let place = |name: &String| {
            let mut found = columns.iter().enumerate().filter(|(_, column)| *column == name);
            match (found.next(), found.next()) {
                (Some((place, _)), None) => Ok(place),
                (Some(_), Some(_)) => Err(PrepareError::RepeatedColumn(name.clone())),
                (None, _) => Err(PrepareError::UnknownColumn {
                    path: path.to_owned(),
                    column: name.clone(),
                    columns: columns.join(", "),
                }),
            }
        };
        Ok(Places {
            label: place(&self.label)?,
            categorical: self.categorical.iter().map(place).collect::<Result<_, _>>()?,
            numeric: self.numeric.iter().map(place).collect::<Result<_, _>>()?,
        })
    }

    /// The description of the table, without dims.
    pub(crate) fn meta(&self, name: &str) -> Meta {
        let mut meta = Meta::new(name, self.categorical.clone(), Vec::new());
        meta.numeric_names.clone_from(&self.numeric);
        meta.user_field = named(&self.categorical, &["user", "userid"]);
        meta.item_field = named(&self.categorical, &["item", "itemid", "movie", "movieid"]);
        meta.positive = self
            .positive
            .map_or_else(|| format!("{} = 1", self.label), |rule| format!("{} {rule}", self.label));
        meta
    }
}

/// The field whose name, in small letters and without `_`, is one of `names`.
fn named(fields: &[String], names: &[&str]) -> Option<usize> {
    fields.iter().position(|field| names.contains(&field.replace('_', "").to_ascii_lowercase().as_str()))
}

/// Where the columns of a table stand in its file.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) label: usize,
    pub(crate) categorical: Vec<usize>,
    pub(crate) numeric: Vec<usize>,
}

/// What turns the values of a row into a row of the data set.
#[derive(Debug)]
pub(crate) struct RowRules<'a> {
    pub(crate) options: &'a TableOptions,
    pub(crate) rules: &'a [FieldRule],
}

impl RowRules<'_> {
    /// Adds a row to `piece`, or says why it is none and leaves `piece` as it was.
    pub(crate) fn add<'v>(
        &self,
        label: f64,
        numeric: &[f32],
        category: impl Fn(usize) -> &'v [u8],
        piece: &mut Piece,
    ) -> Result<(), Reason> {
        let label = self.label(label)?;
        let begin = piece.indices.len();
        for (field, rule) in self.rules.iter().enumerate() {
            match rule.place(&self.options.categorical[field], category(field)) {
                Ok(row) => piece.indices.push(row.unwrap_or(0)),
                Err(reason) => {
                    piece.indices.truncate(begin);
                    return Err(reason);
                }
            }
        }
        // Only now, when the row is known to be good: values of bad lines are no part of a vocabulary.
        for (field, rule) in self.rules.iter().enumerate() {
            if matches!(rule, FieldRule::Dense) {
                piece.indices[begin + field] = piece.interners[field].intern(category(field));
            }
        }
        piece.numeric.extend_from_slice(numeric);
        piece.labels.push(label);
        Ok(())
    }

    fn label(&self, value: f64) -> Result<u8, Reason> {
        match self.options.positive {
            Some(rule) => Ok(u8::from(rule.holds(value))),
            None if value == 0.0 => Ok(0),
            None if value == 1.0 => Ok(1),
            None => Err(Reason::Label { text: value.to_string() }),
        }
    }
}

/// The number that `text` stands for.
pub(crate) fn number(column: &str, text: &[u8]) -> Result<f64, Reason> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<f64>().ok());
    let value =
        parsed.ok_or_else(|| Reason::NotANumber { column: column.to_owned(), text: excerpt(text) })?;
    finite(column, value)
}

/// `value`, unless it is NaN or infinite.
pub(crate) fn finite(column: &str, value: f64) -> Result<f64, Reason> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Reason::NotFinite { column: column.to_owned(), text: value.to_string() })
    }
}

/// `value` as a single, unless it overflows.
pub(crate) fn single(column: &str, value: f64) -> Result<f32, Reason> {
    let single = value as f32;
    if single.is_finite() {
        Ok(single)
    } else {
        Err(Reason::NotFinite { column: column.to_owned(), text: value.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_what_they_write() {
        for (word, holds) in [
            (">3", [false, false, true]),
            (">=3", [false, true, true]),
            ("< 3", [true, false, false]),
            ("<=3.0", [true, true, false]),
            ("=3", [false, true, false]),
            ("==3", [false, true, false]),
            (" != 3", [true, false, true]),
        ] {
            let condition: Condition = word.parse().unwrap();
            assert_eq!([2.5, 3.0, 3.5].map(|value| condition.holds(value)), holds, "{word}");
            assert_eq!(condition.to_string().parse(), Ok(condition));
        }
        for word in ["", ">", "3", ">x", ">NaN", ">inf", "=>3"] {
            assert!(word.parse::<Condition>().is_err(), "{word}");
        }
    }

    #[test]
    fn users_and_items_are_known_by_their_names() {
        let fields = ["hour", "User_ID", "movieId"].map(str::to_owned);
        assert_eq!(named(&fields, &["user", "userid"]), Some(1));
        assert_eq!(named(&fields, &["item", "movieid"]), Some(2));
        assert_eq!(named(&fields, &["users"]), None);
    }
}
