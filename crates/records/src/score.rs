//! The scores of a trial as columns: one list that the tables, the csv and the digest share.

use std::fmt;

use radhard_metrics::{Detection, Outcome, SampleOutcomes, TrialScores};
use rusqlite::types::{Value, ValueRef};

use crate::error::RecordsError;
use crate::fields::{Fields, LARGEST, Range};
use crate::rows::{optional, signed};

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
            Self::Count(count) => Value::Integer(signed(what, count)?),
        })
    }

    pub(crate) fn read(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Null => Some(Self::Undefined),
            ValueRef::Real(real) => Some(Self::Real(real)),
            ValueRef::Integer(count) => {
                u64::try_from(count).ok().filter(|count| *count <= LARGEST).map(Self::Count)
            }
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
            Ok(TrialScores {
                $($field: <$kind as Stored>::of($field).ok_or(stringify!($field))?,)+
                outcome,
                ties_at_bounds: None,
            })
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

/// The range of each score, in the order of [`NAMES`]; counts have their own rule.
fn range(name: &str) -> Range {
    match name {
        "auc" | "auc_finite" | "auc_worst" => Range::Share,
        "changed_share" | "ndcg" | "hit_rate" | "top_k_overlap" => Range::AboutShare,
        "auc_loss" => Range::Difference,
        _ => Range::NotNegative,
    }
}

/// Errors: the column that holds what no run gives, and the reason.
fn check(scores: &TrialScores) -> Result<(), (&'static str, String)> {
    for (name, number) in NAMES.into_iter().zip(numbers(scores)) {
        let range = range(name);
        if let Number::Real(value) = number
            && !range.holds(value)
        {
            return Err((name, format!("{value:?} is outside {}", range.words())));
        }
    }
    let TrialScores { rows, masked, tolerable, sdc, due, non_finite, saturated, .. } = *scores;
    let samples = SampleOutcomes { recovered: 0, due, masked, tolerable, sdc };
    let within = |name, count: u64| {
        let reason = || format!("{count} of {rows} rows");
        if count > rows { Err((name, reason())) } else { Ok(()) }
    };
    within("masked", masked + tolerable + sdc + due)?;
    within("non_finite", non_finite)?;
    within("saturated", saturated)?;
    within("ties_at_bounds", scores.ties_at_bounds.unwrap_or(0))?;
    within("decision_flips", scores.decision_flips.unwrap_or(0))?;
    if scores.saturated_high + scores.saturated_low != saturated {
        let reason = format!("{} and {} are not {saturated}", scores.saturated_high, scores.saturated_low);
        return Err(("saturated", reason));
    }
    let silent = Outcome::of_trial(&samples, Detection::Silent);
    // Detections make a trial recovered or DUE, whatever its rows are.
    if ![silent, Outcome::Recovered, Outcome::Due].contains(&scores.outcome) {
        return Err(("outcome", format!("{}, and its rows make it {silent}", scores.outcome)));
    }
    Ok(())
}

/// The scores that stand in a row from column `first` on, checked.
///
/// Ties at the bounds stand after them, where the schema has them.
pub(crate) fn read(
    fields: &Fields<'_>,
    first: usize,
    outcome: Outcome,
    ties: bool,
) -> Result<TrialScores, RecordsError> {
    let another = |column: &str| fields.damaged(column, "a value of another type");
    let mut numbers = [Number::Undefined; COUNT];
    for (column, number) in numbers.iter_mut().enumerate() {
        *number = Number::read(fields.value(first + column)?).ok_or_else(|| another(NAMES[column]))?;
    }
    let mut scores = of_numbers(numbers, outcome).map_err(another)?;
    if ties {
        scores.ties_at_bounds = fields.count_or_none(first + COUNT, "ties_at_bounds")?;
    }
    checked(scores, fields)
}

/// Ties at the bounds as they are stored.
pub(crate) fn ties(scores: &TrialScores) -> Result<Value, RecordsError> {
    Ok(optional(scores.ties_at_bounds.map(|ties| signed("ties at bounds", ties)).transpose()?))
}

/// Errors: scores that no run gives.
pub(crate) fn checked(scores: TrialScores, fields: &Fields<'_>) -> Result<TrialScores, RecordsError> {
    check(&scores).map_err(|(column, reason)| fields.damaged(column, reason))?;
    Ok(scores)
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
