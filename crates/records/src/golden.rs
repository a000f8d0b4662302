//! The golden run: the fault-free scores that every trial of a subject is held against.

use std::fmt;
use std::path::Path;

use radhard_metrics::TrialScores;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::checks::{self, Sum};
use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::{Fields, Range};
use crate::metric::{self, Metrics};
use crate::rows::{each_row, optional, signed};
use crate::schema;
use crate::score;

/// What a golden run is for: one model on one data set under one protection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubjectKey {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// Name of the protection; `none` is the unprotected model.
    pub protection: String,
}

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, protection {}", self.model, self.data, self.protection)
    }
}

/// One golden run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// Model, data set and protection.
    #[serde(flatten)]
    pub subject: SubjectKey,
    /// Scores of the fault-free run held against itself: those of a chip without flips.
    pub scores: TrialScores,
    /// Rows scored whose label is 1.
    pub positives: u64,
    /// Which rows are scored: `train`, `validation`, `test` or `all`.
    pub split: String,
    /// Whether the data were made up in the shape of the set they are named after.
    pub stand_in: bool,
    /// Number of the model's parameters.
    pub parameters: u64,
    /// SHA-256 of the model's names, shapes, formats and bytes.
    pub model_fingerprint: String,
    /// SHA-256 of the prepared data.
    pub data_fingerprint: String,
    /// Time the run took.
    pub seconds: f64,
    /// AUC that a simple fit of the train rows reaches on the scored ones; none where there is none to fit.
    pub baseline: Option<f64>,
    /// 95 % interval of the AUC that the choice of rows gives it (DeLong); none where it is undefined.
    pub auc_ci: Option<[f64; 2]>,
    /// Metrics that the plan names.
    pub metrics: Metrics,
}

impl Golden {
    /// Errors: the first fact or score in which `offered` differs from this record.
    pub(crate) fn check_same(&self, offered: &Self) -> Result<(), RecordsError> {
        let facts = [
            ("model fingerprint", self.model_fingerprint.clone(), offered.model_fingerprint.clone()),
            ("data fingerprint", self.data_fingerprint.clone(), offered.data_fingerprint.clone()),
            ("split", self.split.clone(), offered.split.clone()),
            ("positives", self.positives.to_string(), offered.positives.to_string()),
            ("stand-in", self.stand_in.to_string(), offered.stand_in.to_string()),
            ("outcome", self.scores.outcome.to_string(), offered.scores.outcome.to_string()),
        ]
        .into_iter()
        .find(|(_, recorded, offered)| recorded != offered);
        let scores = || {
            score::first_difference(&score::numbers(&self.scores), &score::numbers(&offered.scores))
                .map(|(what, recorded, offered)| (what, recorded.to_string(), offered.to_string()))
        };
        let metrics = || {
            let both = self.metrics.iter().chain(&offered.metrics);
            let (name, _) = both.into_iter().find(|(name, _)| {
                let [a, b] =
                    [self, offered].map(|golden| golden.metrics.get(*name).copied().map(metric::bits));
                a != b
            })?;
            let text = |golden: &Self| {
                golden
                    .metrics
                    .get(name)
                    .copied()
                    .flatten()
                    .map_or_else(String::new, |value| format!("{value:?}"))
            };
            Some((metric::known_name(name), text(self), text(offered)))
        };
        match facts.or_else(scores).or_else(metrics) {
            None => Ok(()),
            Some((what, recorded_value, offered)) => Err(RecordsError::GoldenChanged {
                subject: Box::new(self.subject.clone()),
                what,
                recorded: recorded_value,
                offered,
            }),
        }
    }
}

impl Golden {
    /// The facts that an older schema could not hold, taken from a run with the same scores; whether there was one.
    pub(crate) fn refresh(&mut self, offered: &Self) -> bool {
        let before = (self.scores.ties_at_bounds, self.baseline, self.auc_ci);
        self.scores.ties_at_bounds = self.scores.ties_at_bounds.or(offered.scores.ties_at_bounds);
        self.baseline = self.baseline.or(metric::stored(offered.baseline));
        self.auc_ci = self.auc_ci.or(offered.auc_ci);
        before != (self.scores.ties_at_bounds, self.baseline, self.auc_ci)
    }

    /// The values of the table `goldens` in their order, and the rows of its metrics.
    fn values(&self) -> Result<(Vec<Value>, Vec<Vec<Value>>), RecordsError> {
        let SubjectKey { model, data, protection } = &self.subject;
        let key = [model, data, protection].map(|name| Value::from(name.clone()));
        let mut values = key.to_vec();
        values.extend([
            signed("positives", self.positives)?.into(),
            self.split.clone().into(),
            Value::from(self.stand_in),
            signed("parameters", self.parameters)?.into(),
            self.model_fingerprint.clone().into(),
            self.data_fingerprint.clone().into(),
            self.seconds.into(),
            self.scores.outcome.to_string().into(),
        ]);
        for (number, name) in score::numbers(&self.scores).into_iter().zip(score::NAMES) {
            values.push(number.value(name)?);
        }
        values.push(score::ties(&self.scores)?);
        values.push(optional(metric::stored(self.baseline)));
        values.push(optional(self.auc_ci.map(|[low, _]| low)));
        values.push(optional(self.auc_ci.map(|[_, high]| high)));
        let metrics = self.metrics.iter().map(|(name, value)| {
            let own = [Value::from(name.clone()), optional(metric::stored(*value))];
            key.iter().cloned().chain(own).collect()
        });
        Ok((values, metrics.collect()))
    }
}

/// Writes a golden run, or what an older schema lacked of it.
pub(crate) fn write(connection: &Connection, file: &Path, golden: &Golden) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "writing a golden run", source);
    let (mut values, metrics) = golden.values()?;
    let mut checksum = Checksum::default();
    checksum.values("goldens", &values);
    for row in &metrics {
        checksum.values("golden_metrics", row);
    }
    values.push(checksum.finish().into());
    let marks = vec!["?"; values.len()].join(", ");
    let sql = format!(
        "INSERT INTO goldens VALUES ({marks}) ON CONFLICT DO UPDATE SET ties_at_bounds = excluded.ties_at_bounds,
             baseline = excluded.baseline, auc_ci_low = excluded.auc_ci_low, auc_ci_high = excluded.auc_ci_high,
             checksum = excluded.checksum"
    );
    connection.execute(&sql, params_from_iter(values)).map_err(failed)?;
    for row in metrics {
        let sql = "INSERT OR REPLACE INTO golden_metrics VALUES (?, ?, ?, ?, ?)";
        connection.execute(sql, params_from_iter(row)).map_err(failed)?;
    }
    checks::seal(connection, "goldens").map_err(failed)
}

/// Columns of the table before the scores.
const FACTS: usize = 11;

/// Every golden run of a file of this schema version.
pub(crate) fn read(connection: &Connection, file: &Path, version: i64) -> Result<Vec<Golden>, RecordsError> {
    let checked = version >= schema::CHECKED;
    let ties = FACTS + score::COUNT;
    let mut sum = Sum::of("goldens", version);
    let mut goldens = Vec::new();
    each_row(connection, file, ("reading golden runs", "SELECT * FROM goldens"), |row| {
        let name = |at| row.get_ref(at).ok().and_then(|name| name.as_str().ok()).unwrap_or("?");
        let key = || format!("{} on {}, protection {}", name(0), name(1), name(2));
        let fields = Fields { row, file, table: "goldens", key: &key };
        let text = |at, column| fields.text(at, column).map(str::to_owned);
        let [model, data, protection] =
            [(0, "model"), (1, "data"), (2, "protection")].map(|(at, column)| text(at, column));
        let subject = SubjectKey { model: model?, data: data?, protection: protection? };
        let mut metrics = Metrics::new();
        if checked {
            let mut checksum = Checksum::default();
            checksum.row("goldens");
            for column in 0..ties + 4 {
                checksum.take(fields.value(column)?);
            }
            metrics = metric::of_golden(connection, file, &subject, &mut checksum)?;
            sum.compare(&fields, ties + 4, &mut checksum)?;
        }
        let share = |at, column| {
            if checked { fields.real_or_none(at, column, Range::Share) } else { Ok(None) }
        };
        let golden = Golden {
            subject,
            positives: fields.count(3, "positives")?,
            split: text(4, "split")?,
            stand_in: fields.yes(5, "stand_in")?,
            parameters: fields.count(6, "parameters")?,
            model_fingerprint: text(7, "model_fingerprint")?,
            data_fingerprint: text(8, "data_fingerprint")?,
            seconds: fields.real(9, "seconds", Range::NotNegative)?,
            scores: score::read(&fields, FACTS, fields.parsed(10, "outcome")?, checked)?,
            baseline: share(ties + 1, "baseline")?,
            auc_ci: share(ties + 2, "auc_ci_low")?.zip(share(ties + 3, "auc_ci_high")?).map(|(a, b)| [a, b]),
            metrics,
        };
        if golden.positives > golden.scores.rows {
            let reason = format!("{} of {} rows", golden.positives, golden.scores.rows);
            return Err(fields.damaged("positives", reason));
        }
        goldens.push(golden);
        Ok::<_, RecordsError>(())
    })?;
    sum.check(connection, file)?;
    Ok(goldens)
}
