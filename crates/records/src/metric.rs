//! Named metrics outside the fixed list of scores.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Params};

use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::{Fields, Range};
use crate::golden::SubjectKey;

/// Metrics that the plan names, by name; none where one is undefined. Empty where the plan names none.
pub type Metrics = BTreeMap<String, Option<f64>>;

/// Every metric that a plan can name, with what it is.
pub const KNOWN: [(&str, &str); 1] =
    [("auc_logit", "AUC of the logits, which still differ where probabilities are rounded to 0 or 1")];

/// The value as it is stored: NaN is undefined, and zero has no sign.
pub(crate) fn stored(value: Option<f64>) -> Option<f64> {
    value.filter(|value| !value.is_nan()).map(|value| value + 0.0)
}

/// The names that a header lists, joined by commas: what the identity holds under [`IDENTITY`].
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(",")
}

/// Key of the identity that holds the names; without metrics there is none.
pub const IDENTITY: &str = "metrics";

/// Bits of a value as it is stored.
pub(crate) fn bits(value: Option<f64>) -> Option<u64> {
    stored(value).map(f64::to_bits)
}

/// The name as a word of the program; another is only told to be a metric.
pub(crate) fn known_name(name: &str) -> &'static str {
    KNOWN.iter().find(|(known, _)| *known == name).map_or("metric", |(known, _)| known)
}

/// The metrics of a golden run, which go into its checksum.
pub(crate) fn of_golden(
    connection: &Connection,
    file: &Path,
    subject: &SubjectKey,
    checksum: &mut Checksum,
) -> Result<Metrics, RecordsError> {
    let sql = "SELECT * FROM golden_metrics WHERE model = ?1 AND data = ?2 AND protection = ?3 ORDER BY name";
    let key = (&subject.model, &subject.data, &subject.protection);
    let mut metrics = Metrics::new();
    each(connection, file, (sql, "golden_metrics", 3), key, checksum, &mut metrics)?;
    Ok(metrics)
}

/// Puts the metrics of a trial that differ from those of its golden run in their place.
pub(crate) fn of_trial(
    connection: &Connection,
    file: &Path,
    (cell, chip): (i64, i64),
    checksum: &mut Checksum,
    metrics: &mut Metrics,
) -> Result<(), RecordsError> {
    let sql = "SELECT * FROM metrics WHERE cell = ?1 AND chip = ?2 ORDER BY name";
    each(connection, file, (sql, "metrics", 2), (cell, chip), checksum, metrics)
}

/// Reads rows of a table of metrics whose name is in column `at`.
fn each(
    connection: &Connection,
    file: &Path,
    (sql, table, at): (&str, &'static str, usize),
    key: impl Params,
    checksum: &mut Checksum,
    metrics: &mut Metrics,
) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "reading metrics", source);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(key).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let place = String::new;
        let fields = Fields { row, file, table, key: &place };
        checksum.row(table);
        for column in 0..at + 2 {
            checksum.take(fields.value(column)?);
        }
        let value = fields.real_or_none(at + 1, "value", Range::Any)?;
        metrics.insert(fields.text(at, "name")?.to_owned(), value);
    }
    Ok(())
}
