//! The values of one row, read one by one: what no writer leaves there is damage with a place.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::error::RecordsError;

/// The largest count: whole in a double, and sums of counts stay far from overflow.
pub(crate) const LARGEST: u64 = 1 << 53;

/// A row with the place that errors name.
pub(crate) struct Fields<'a> {
    pub(crate) row: &'a Row<'a>,
    pub(crate) file: &'a Path,
    pub(crate) table: &'static str,
    /// Which row it is, such as `cell 3, chip 7`.
    pub(crate) key: &'a dyn Fn() -> String,
}

impl Fields<'_> {
    /// Damage in a column of this row.
    pub(crate) fn damaged(&self, column: &str, reason: impl Display) -> RecordsError {
        let key = (self.key)();
        let comma = if key.is_empty() { "" } else { ", " };
        RecordsError::Damaged {
            path: self.file.to_owned(),
            place: format!("{} {column}{comma}{key}", self.table),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn value(&self, at: usize) -> Result<ValueRef<'_>, RecordsError> {
        self.row.get_ref(at).map_err(|source| self.damaged("", source))
    }

    fn wrong(&self, column: &str) -> RecordsError {
        self.damaged(column, "a value of another type")
    }

    pub(crate) fn text_or_none(&self, at: usize, column: &str) -> Result<Option<&str>, RecordsError> {
        match self.value(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text)
                .map(Some)
                .map_err(|_| self.damaged(column, "a text that is not UTF-8")),
            _ => Err(self.wrong(column)),
        }
    }

    pub(crate) fn text(&self, at: usize, column: &str) -> Result<&str, RecordsError> {
        self.text_or_none(at, column)?.ok_or_else(|| self.wrong(column))
    }

    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &self,
        at: usize,
        column: &str,
    ) -> Result<T, RecordsError> {
        self.text(at, column)?.parse().map_err(|source: T::Err| self.damaged(column, source))
    }

    /// A number that is not NaN and passes the test.
    pub(crate) fn real_or_none(
        &self,
        at: usize,
        column: &str,
        range: Range,
    ) -> Result<Option<f64>, RecordsError> {
        match self.value(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Real(real) if range.holds(real) => Ok(Some(real)),
            ValueRef::Real(real) => {
                Err(self.damaged(column, format!("{real:?} is outside {}", range.words())))
            }
            _ => Err(self.wrong(column)),
        }
    }

    pub(crate) fn real(&self, at: usize, column: &str, range: Range) -> Result<f64, RecordsError> {
        self.real_or_none(at, column, range)?.ok_or_else(|| self.wrong(column))
    }

    pub(crate) fn count_or_none(&self, at: usize, column: &str) -> Result<Option<u64>, RecordsError> {
        match self.value(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(integer) => match u64::try_from(integer) {
                Ok(count) if count <= LARGEST => Ok(Some(count)),
                _ => Err(self.damaged(column, format!("{integer} is outside 0..{LARGEST}"))),
            },
            _ => Err(self.wrong(column)),
        }
    }

    pub(crate) fn count(&self, at: usize, column: &str) -> Result<u64, RecordsError> {
        self.count_or_none(at, column)?.ok_or_else(|| self.wrong(column))
    }

    pub(crate) fn yes(&self, at: usize, column: &str) -> Result<bool, RecordsError> {
        match self.count(at, column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damaged(column, format!("{other} is neither 0 nor 1"))),
        }
    }
}

/// The range of a column's numbers; NaN is in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// [0, 1].
    Share,
    /// The same for means of shares, which may err in the last place.
    AboutShare,
    /// Not below 0; infinity is a result.
    NotNegative,
    /// Finite and not below 0.
    Finite,
    /// [-1, 1].
    Difference,
    /// Any.
    Any,
}

impl Range {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::Share => (0.0..=1.0).contains(&value),
            Self::AboutShare => (0.0..=1.0 + 1e-9).contains(&value),
            Self::NotNegative => value >= 0.0,
            Self::Finite => value >= 0.0 && value.is_finite(),
            Self::Difference => (-1.0..=1.0).contains(&value),
            Self::Any => !value.is_nan(),
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Share | Self::AboutShare => "[0, 1]",
            Self::NotNegative => "[0, inf]",
            Self::Finite => "[0, inf)",
            Self::Difference => "[-1, 1]",
            Self::Any => "the numbers",
        }
    }
}
