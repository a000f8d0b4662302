//! The scores of a trial as columns: one list that the tables, the csv and the digest share.

use std::fmt;

use radhard_metrics::{Outcome, TrialScores};
use rusqlite::types::{Value, ValueRef};

use crate::error::RecordsError;

/// One score as it is stored.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// Undefined: NULL in the tables, empty in csv.
    Undefined,
    /// A measured value.
    Real(f64),
    /// A count, or a yes (1) or no (0).
    Count(u64),
}

impl Number {
    /// Whether two scores are the same: the same count, or the same bits.
    pub fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) => true,
            (Self::Real(a), Self::Real(b)) => a.to_bits() == b.to_bits(),
            (Self::Count(a), Self::Count(b)) => a == b,
            _ => false,
        }
    }

    pub(crate) fn value(self, what: &'static str) -> Result<Value, RecordsError> {
        Ok(match self {
            Self::Undefined => Value::Null,
            Self::Real(real) => Value::Real(real),
            Self::Count(count) => Value::Integer(
                i64::try_from(count).map_err(|_| RecordsError::TooLarge { what, value: count })?,
            ),
        })
    }

    pub(crate) fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(Self::Undefined),
            ValueRef::Real(real) => Some(Self::Real(real)),
            ValueRef::Integer(count) => u64::try_from(count).ok().map(Self::Count),
            ValueRef::Text(_) | ValueRef::Blob(_) => None,
        }
    }
}

/// Shortest decimal that reads back to the same bits; empty where undefined.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => Ok(()),
            Self::Real(real) => write!(f, "{real:?}"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// A type of score, its SQL type, and both ways between it and [`Number`].
trait Stored: Sized {
    const SQL: &'static str;
    fn number(&self) -> Number;
    fn of(number: Number) -> Option<Self>;
}

impl Stored for Option<f64> {
    const SQL: &'static str = "REAL";

    /// NaN is undefined; -0 is 0, as SQLite keeps no sign of zero.
    fn number(&self) -> Number {
        match self {
            Some(value) if !value.is_nan() => Number::Real(value + 0.0),
            _ => Number::Undefined,
        }
    }

    fn of(number: Number) -> Option<Self> {
        match number {
            Number::Undefined => Some(None),
            Number::Real(value) => Some(Some(value)),
            Number::Count(_) => None,
        }
    }
}

impl Stored for u64 {
    const SQL: &'static str = "INTEGER NOT NULL";

    fn number(&self) -> Number {
        Number::Count(*self)
    }

    fn of(number: Number) -> Option<Self> {
        match number {
            Number::Count(count) => Some(count),
            Number::Undefined | Number::Real(_) => None,
        }
    }
}

impl Stored for Option<u64> {
    const SQL: &'static str = "INTEGER";

    fn number(&self) -> Number {
        self.map_or(Number::Undefined, Number::Count)
    }

    fn of(number: Number) -> Option<Self> {
        match number {
            Number::Undefined => Some(None),
            Number::Count(count) => Some(Some(count)),
            Number::Real(_) => None,
        }
    }
}

impl Stored for Option<bool> {
    const SQL: &'static str = "INTEGER";

    fn number(&self) -> Number {
        self.map_or(Number::Undefined, |yes| Number::Count(u64::from(yes)))
    }

    fn of(number: Number) -> Option<Self> {
        match number {
            Number::Undefined => Some(None),
            Number::Count(0) => Some(Some(false)),
            Number::Count(1) => Some(Some(true)),
            Number::Count(_) | Number::Real(_) => None,
        }
    }
}

macro_rules! scores {
    ($($field:ident: $kind:ty),+ $(,)?) => {
        /// Number of scores, the outcome apart.
        pub const COUNT: usize = [$(stringify!($field)),+].len();

        /// Names of the scores, in the order of the tables.
        pub const NAMES: [&str; COUNT] = [$(stringify!($field)),+];

        const TYPES: [&str; COUNT] = [$(<$kind as Stored>::SQL),+];

        /// The scores of a trial, the outcome apart, in the order of [`NAMES`].
        pub fn numbers(scores: &TrialScores) -> [Number; COUNT] {
            [$(<$kind as Stored>::number(&scores.$field)),+]
        }

        /// The scores that `numbers` were taken from; the name of the first column that holds a value of another type, if one
        /// does.
        pub(crate) fn of_numbers(numbers: [Number; COUNT], outcome: Outcome) -> Result<TrialScores, &'static str> {
            let [$($field),+] = numbers;
            Ok(TrialScores { $($field: <$kind as Stored>::of($field).ok_or(stringify!($field))?,)+ outcome })
        }
    };
}

scores! {
    auc: Option<f64>,
    auc_finite: Option<f64>,
    auc_worst: Option<f64>,
    log_loss: Option<f64>,
    non_finite: u64,
    saturated: u64,
    rows: u64,
    normalised_entropy: Option<f64>,
    calibration: Option<f64>,
    rmse: Option<f64>,
    rmse_finite: Option<f64>,
    max_abs_difference: Option<f64>,
    changed_share: Option<f64>,
    decision_flips: Option<u64>,
    saturated_high: u64,
    saturated_low: u64,
    masked: u64,
    tolerable: u64,
    sdc: u64,
    due: u64,
    auc_loss: Option<f64>,
    critical: Option<bool>,
    ndcg: Option<f64>,
    hit_rate: Option<f64>,
    top_k_overlap: Option<f64>,
}

/// Where in [`NAMES`] a score is.
///
/// Panics: if no score has this name.
pub(crate) fn place(name: &str) -> usize {
    let place = NAMES.iter().position(|known| *known == name);
    place.unwrap_or_else(|| panic!("no score is called {name}"))
}

/// Name and SQL type of each score.
pub(crate) fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES.into_iter().zip(TYPES)
}

/// Whether all scores are the same, bit for bit.
pub(crate) fn same(a: &[Number; COUNT], b: &[Number; COUNT]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.is(*b))
}

/// The first score that differs, with both values.
pub(crate) fn first_difference(
    a: &[Number; COUNT],
    b: &[Number; COUNT],
) -> Option<(&'static str, Number, Number)> {
    NAMES.into_iter().zip(a.iter().zip(b)).find(|(_, (a, b))| !a.is(**b)).map(|(name, (a, b))| (name, *a, *b))
}
