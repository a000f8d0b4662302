//! What a protection costs, apart from the scores under it.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::checks::{self, Sum};
use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::{Fields, Range};
use crate::golden::SubjectKey;
use crate::rows::{each_row, optional, signed};
use crate::schema;

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
    /// Bounds that calibration found, as JSON: what is bounded → [low, high]; none where nothing was calibrated.
    pub bounds: Option<String>,
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

/// Writes a cost, or the bounds that an older schema lacked.
pub(crate) fn write(connection: &Connection, file: &Path, cost: &ProtectionCost) -> Result<(), RecordsError> {
    let mut values = vec![
        Value::from(cost.subject.model.clone()),
        cost.subject.data.clone().into(),
        cost.subject.protection.clone().into(),
        signed("memory bits", cost.memory_bits)?.into(),
        cost.memory_share.into(),
        cost.operations_per_sample.into(),
        signed("calibration rows", cost.calibration_rows)?.into(),
        signed("checks", cost.checks)?.into(),
        optional(cost.false_alarms_per_million),
        cost.acts_on_clean.into(),
        optional(cost.time.map(|time| time.median)),
        optional(cost.time.map(|time| time.low)),
        optional(cost.time.map(|time| time.high)),
        optional(cost.time.map(|time| signed("pairs of passes", time.n)).transpose()?),
        cost.assumptions.clone().into(),
        optional(cost.bounds.clone()),
    ];
    let mut checksum = Checksum::default();
    checksum.values("protections", &values);
    values.push(checksum.finish().into());
    let marks = vec!["?"; values.len()].join(", ");
    let sql = format!(
        "INSERT INTO protections VALUES ({marks})
         ON CONFLICT DO UPDATE SET bounds = excluded.bounds, checksum = excluded.checksum"
    );
    connection
        .execute(&sql, params_from_iter(values))
        .and_then(|_| checks::seal(connection, "protections"))
        .map_err(|source| RecordsError::sqlite(file, "writing a protection", source))
}

/// Every protection's cost in a file of this schema version.
pub(crate) fn read(
    connection: &Connection,
    file: &Path,
    version: i64,
) -> Result<Vec<ProtectionCost>, RecordsError> {
    let checked = version >= schema::CHECKED;
    let mut sum = Sum::of("protections", version);
    let mut costs = Vec::new();
    each_row(connection, file, ("reading protections", "SELECT * FROM protections"), |row| {
        let name = |at| row.get_ref(at).ok().and_then(|name| name.as_str().ok()).unwrap_or("?");
        let key = || format!("{} on {}, protection {}", name(0), name(1), name(2));
        let fields = Fields { row, file, table: "protections", key: &key };
        sum.row(&fields, 16)?;
        let text = |at, column| fields.text(at, column).map(str::to_owned);
        let time = |at, column| fields.real_or_none(at, column, Range::Finite);
        let times = [time(10, "time_ratio")?, time(11, "time_ratio_low")?, time(12, "time_ratio_high")?];
        let time = match (times, fields.count_or_none(13, "time_ratio_n")?) {
            ([Some(median), Some(low), Some(high)], Some(n)) => Some(TimeRatio { median, low, high, n }),
            _ => None,
        };
        costs.push(ProtectionCost {
            subject: SubjectKey {
                model: text(0, "model")?,
                data: text(1, "data")?,
                protection: text(2, "protection")?,
            },
            memory_bits: fields.count(3, "memory_bits")?,
            memory_share: fields.real(4, "memory_share", Range::Finite)?,
            operations_per_sample: fields.real(5, "operations_per_sample", Range::Finite)?,
            calibration_rows: fields.count(6, "calibration_rows")?,
            checks: fields.count(7, "checks")?,
            false_alarms_per_million: fields.real_or_none(8, "false_alarms_per_million", Range::Finite)?,
            acts_on_clean: fields.yes(9, "acts_on_clean")?,
            time,
            assumptions: text(14, "assumptions")?,
            bounds: if checked { fields.text_or_none(15, "bounds")?.map(str::to_owned) } else { None },
        });
        Ok::<_, RecordsError>(())
    })?;
    sum.check(connection, file)?;
    Ok(costs)
}
