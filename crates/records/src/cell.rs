//! Cells: what is held fixed while chips vary.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use crate::checks::{self, Sum};
use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::{Fields, Range};
use crate::golden::SubjectKey;
use crate::rows::{each_row, optional, signed};
use crate::schema;

/// What names a cell: model × data × target × error model × rate × protection.
///
/// Ordered by these in turn, rates by value and a missing rate first: the order of every export.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellKey {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// What is hit, as the plan names it.
    pub target: String,
    /// How bits go wrong, as the plan names it.
    pub error_model: String,
    /// Bit error rate per exposed bit and trial; none where the error model has no rate (`count:8`).
    pub ber: Option<f64>,
    /// What protects the model; `none` is the unprotected model.
    pub protection: String,
}

impl CellKey {
    /// The golden run this cell is held against.
    pub fn subject(&self) -> SubjectKey {
        SubjectKey { model: self.model.clone(), data: self.data.clone(), protection: self.protection.clone() }
    }
}

impl Ord for CellKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.model, &self.data, &self.target, &self.error_model)
            .cmp(&(&other.model, &other.data, &other.target, &other.error_model))
            .then_with(|| match (self.ber, other.ber) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
                (Some(a), Some(b)) => a.total_cmp(&b),
            })
            .then_with(|| self.protection.cmp(&other.protection))
    }
}

impl PartialOrd for CellKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for CellKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for CellKey {}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, target {}, {}", self.model, self.data, self.target, self.error_model)?;
        if let Some(ber) = self.ber {
            write!(f, " at {ber:?}")?;
        }
        write!(f, ", protection {}", self.protection)
    }
}

/// Number of a cell inside one directory; it says nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub(crate) i64);

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One cell and what is known of it before any trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What names it.
    #[serde(flatten)]
    pub key: CellKey,
    /// Seed of its chips.
    pub seed: u64,
    /// Bits that the error model can hit.
    pub exposed_bits: u64,
    /// Exact probability that a chip has no flip; none where the error model has no closed form.
    pub p_no_flip: Option<f64>,
    /// Mean score that theory predicts, where it does.
    pub predicted: Option<Prediction>,
}

impl Cell {
    /// Errors: the first fact in which `offered` differs from this record.
    pub(crate) fn check_same(&self, offered: &Self) -> Result<(), RecordsError> {
        let bits = |p: Option<f64>| p.map(f64::to_bits);
        let text = |p: Option<f64>| p.map_or_else(|| "undefined".to_owned(), |p| format!("{p:?}"));
        let difference = if self.seed != offered.seed {
            ("seed", self.seed.to_string(), offered.seed.to_string())
        } else if self.exposed_bits != offered.exposed_bits {
            ("exposed bits", self.exposed_bits.to_string(), offered.exposed_bits.to_string())
        } else if bits(self.p_no_flip) != bits(offered.p_no_flip) {
            ("probability of no flip", text(self.p_no_flip), text(offered.p_no_flip))
        } else {
            return Ok(());
        };
        let (what, recorded_value, offered) = difference;
        Err(RecordsError::CellChanged {
            cell: Box::new(self.key.clone()),
            what,
            recorded: recorded_value,
            offered,
        })
    }
}

/// What theory says of a cell's mean score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Predicted mean of the AUC.
    pub mean: f64,
    /// How far it can be trusted.
    pub kind: PredictionKind,
    /// The law it comes from, and what it leaves out.
    pub note: String,
}

/// How far a prediction can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PredictionKind {
    /// Follows from the error model alone.
    Exact,
    /// Leaves something out that its note names.
    Approximate,
}

impl PredictionKind {
    /// Every kind, with the word it is written as.
    pub const ALL: [(Self, &'static str); 2] = [(Self::Exact, "exact"), (Self::Approximate, "approximate")];
}

impl fmt::Display for PredictionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
        })
    }
}

impl FromStr for PredictionKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|(_, word)| *word == text)
            .map(|(kind, _)| kind)
            .ok_or_else(|| format!("prediction kind \"{text}\" is not one of exact, approximate"))
    }
}

/// Writes a cell under its number, or its newer prediction.
pub(crate) fn write(
    connection: &Connection,
    file: &Path,
    id: CellId,
    cell: &Cell,
) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "writing a cell", source);
    let (key, predicted) = (&cell.key, cell.predicted.as_ref());
    let mut values = vec![
        Value::from(id.0),
        key.model.clone().into(),
        key.data.clone().into(),
        key.target.clone().into(),
        key.error_model.clone().into(),
        optional(key.ber.map(|ber| ber + 0.0)),
        key.protection.clone().into(),
        cell.seed.to_string().into(),
        signed("exposed bits", cell.exposed_bits)?.into(),
        optional(cell.p_no_flip),
        optional(predicted.map(|prediction| prediction.mean)),
        optional(predicted.map(|prediction| prediction.kind.to_string())),
        optional(predicted.map(|prediction| prediction.note.clone())),
    ];
    let mut checksum = Checksum::default();
    checksum.values("cells", &values);
    let checksum = checksum.finish();
    values.push(checksum.into());
    let mut sum = Sum::of("cells", schema::VERSION);
    sum.add(checksum);
    let sql = "SELECT checksum FROM cells WHERE cell = ?1";
    let before = connection.query_row(sql, [id.0], |row| row.get(0)).optional().map_err(failed)?;
    if let Some(before) = before {
        sum.take_back(before);
    }
    let sql = "INSERT INTO cells VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
        ON CONFLICT (cell) DO UPDATE SET predicted = excluded.predicted, prediction_kind = excluded.prediction_kind,
            prediction_note = excluded.prediction_note, checksum = excluded.checksum";
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)))
        .and_then(|_| checks::add(connection, sum))
        .map_err(failed)
}

/// Every cell of a file of this schema version, with its number.
pub(crate) fn read(
    connection: &Connection,
    file: &Path,
    version: i64,
) -> Result<Vec<(CellId, Cell)>, RecordsError> {
    let mut sum = Sum::of("cells", version);
    let mut cells = Vec::new();
    each_row(connection, file, ("reading cells", "SELECT * FROM cells"), |row| {
        let key = || format!("cell {}", row.get::<_, i64>(0).unwrap_or(-1));
        let fields = Fields { row, file, table: "cells", key: &key };
        sum.row(&fields, 13)?;
        let text = |at, column| fields.text(at, column).map(str::to_owned);
        let mean = fields.real_or_none(10, "predicted", Range::Share)?;
        let predicted = match (mean, fields.text_or_none(11, "prediction_kind")?) {
            (Some(mean), Some(_)) => Some(Prediction {
                mean,
                kind: fields.parsed(11, "prediction_kind")?,
                note: fields.text_or_none(12, "prediction_note")?.unwrap_or_default().to_owned(),
            }),
            _ => None,
        };
        let cell = Cell {
            key: CellKey {
                model: text(1, "model")?,
                data: text(2, "data")?,
                target: text(3, "target")?,
                error_model: text(4, "error_model")?,
                ber: fields.real_or_none(5, "ber", Range::Share)?,
                protection: text(6, "protection")?,
            },
            seed: fields.parsed(7, "seed")?,
            exposed_bits: fields.count(8, "exposed_bits")?,
            p_no_flip: fields.real_or_none(9, "p_no_flip", Range::Share)?,
            predicted,
        };
        let id = row.get(0).map(CellId).map_err(|source| fields.damaged("cell", source))?;
        cells.push((id, cell));
        Ok::<_, RecordsError>(())
    })?;
    sum.check(connection, file)?;
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ber: Option<f64>, protection: &str) -> CellKey {
        CellKey {
            model: "fm".into(),
            data: "ml".into(),
            target: "all".into(),
            error_model: "flips".into(),
            ber,
            protection: protection.into(),
        }
    }

    #[test]
    fn rates_are_ordered_by_value_and_not_as_text() {
        let mut keys = [
            key(Some(1e-2), "none"),
            key(Some(5e-10), "none"),
            key(Some(1e-9), "sbp"),
            key(Some(1e-9), "none"),
            key(None, "none"),
        ];
        keys.sort();
        let order: Vec<_> = keys.iter().map(|key| (key.ber, key.protection.as_str())).collect();
        assert_eq!(
            order,
            [
                (None, "none"),
                (Some(5e-10), "none"),
                (Some(1e-9), "none"),
                (Some(1e-9), "sbp"),
                (Some(1e-2), "none")
            ]
        );
    }
}
