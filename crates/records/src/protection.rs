//! What a protection costs, apart from the scores under it.

use std::path::Path;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use crate::error::RecordsError;
use crate::golden::SubjectKey;
use crate::rows::{signed, unsigned};

/// Cost of one protection of one model on one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtectionCost {
    /// Model, data set and protection.
    #[serde(flatten)]
    pub subject: SubjectKey,
    /// Bits kept beside the model's own.
    pub memory_bits: u64,
    /// These as a share of the model's bits.
    pub memory_share: f64,
    /// Operations more per scored row.
    pub operations_per_sample: f64,
    /// Clean rows passed to take bounds.
    pub calibration_rows: u64,
    /// Checks made on clean data.
    pub checks: u64,
    /// How many of a million of these fired; none where none was made.
    pub false_alarms_per_million: Option<f64>,
    /// Whether fault-free scores differ from the unprotected ones, or may.
    pub acts_on_clean: bool,
    /// Time of a protected pass over that of an unprotected one in the same run; none where not measured.
    pub time: Option<TimeRatio>,
    /// What is taken as safe though it lies in memory too, separated by semicolons.
    pub assumptions: String,
}

/// A ratio of times, measured side by side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeRatio {
    /// Median over the pairs of passes.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Pairs of passes.
    pub n: u64,
}

pub(crate) fn write(connection: &Connection, file: &Path, cost: &ProtectionCost) -> Result<(), RecordsError> {
    let values = params![
        cost.subject.model,
        cost.subject.data,
        cost.subject.protection,
        signed("memory bits", cost.memory_bits)?,
        cost.memory_share,
        cost.operations_per_sample,
        signed("calibration rows", cost.calibration_rows)?,
        signed("checks", cost.checks)?,
        cost.false_alarms_per_million,
        cost.acts_on_clean,
        cost.time.map(|time| time.median),
        cost.time.map(|time| time.low),
        cost.time.map(|time| time.high),
        cost.time.map(|time| signed("pairs of passes", time.n)).transpose()?,
        cost.assumptions,
    ];
    let marks = vec!["?"; values.len()].join(", ");
    connection
        .execute(&format!("INSERT INTO protections VALUES ({marks})"), values)
        .map_err(|source| RecordsError::sqlite(file, "writing a protection", source))?;
    Ok(())
}

/// Every protection's cost.
pub(crate) fn read(connection: &Connection, file: &Path) -> Result<Vec<ProtectionCost>, RecordsError> {
    let of = |row: &Row<'_>| -> rusqlite::Result<ProtectionCost> {
        let times: [Option<f64>; 3] = [row.get(10)?, row.get(11)?, row.get(12)?];
        let pairs: Option<i64> = row.get(13)?;
        let time = match (times, pairs) {
            ([Some(median), Some(low), Some(high)], Some(n)) => {
                Some(TimeRatio { median, low, high, n: n.cast_unsigned() })
            }
            _ => None,
        };
        Ok(ProtectionCost {
            subject: SubjectKey { model: row.get(0)?, data: row.get(1)?, protection: row.get(2)? },
            memory_bits: unsigned(row, 3)?,
            memory_share: row.get(4)?,
            operations_per_sample: row.get(5)?,
            calibration_rows: unsigned(row, 6)?,
            checks: unsigned(row, 7)?,
            false_alarms_per_million: row.get(8)?,
            acts_on_clean: row.get(9)?,
            time,
            assumptions: row.get(14)?,
        })
    };
    let read = || -> rusqlite::Result<Vec<ProtectionCost>> {
        connection.prepare("SELECT * FROM protections")?.query_map([], of)?.collect()
    };
    read().map_err(|source| RecordsError::sqlite(file, "reading protections", source))
}
