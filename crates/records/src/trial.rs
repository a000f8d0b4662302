//! One trial: what one chip did to one cell.

use std::fmt;
use std::path::Path as FilePath;
use std::str::FromStr;

use radhard_metrics::TrialScores;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::cell::{CellId, CellKey};
use crate::checks::Sum;
use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::{Fields, Range};
use crate::golden::Golden;
use crate::metric::{self, Metrics};
use crate::rows::{optional, signed};
use crate::score;

/// What one chip did to one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of the chip.
    pub chip: u64,
    /// Bits that this chip changes in what the target exposes, check bits and copies included, before any protection reads
    /// them; 0 is the event whose probability the cell holds as `p_no_flip`.
    pub flips: u64,
    /// Of the bits that readers get otherwise than stored, those in words that a scored row reads; none where not counted.
    pub flips_read: Option<u64>,
    /// Sum over changed table words of the scored rows that read them; none where not counted.
    pub reads: Option<u64>,
    /// What protections noticed and did.
    pub noticed: Noticed,
    /// Scores and outcome.
    pub scores: TrialScores,
    /// How the scores were found.
    pub path: Path,
    /// Time the trial took.
    pub seconds: f64,
    /// Metrics that the plan names: those of the golden run, and no others.
    pub metrics: Metrics,
}

/// What protections noticed on a chip, and what they did; all 0 where nothing protects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noticed {
    /// Words, codewords, rows or results that a check found bad.
    pub detected: u64,
    /// Of these, restored from redundant bits or by computing again.
    pub corrected: u64,
    /// Of these, restored from the clean copy.
    pub reloads: u64,
    /// Bytes of the clean copy that were read.
    pub reload_bytes: u64,
    /// Computations that were repeated.
    pub retries: u64,
    /// Of those detected, replaced by a default.
    pub fallbacks: u64,
    /// Scored rows in which a check of results fired.
    pub rows_detected: u64,
    /// Of these, rows with the score of the golden run under the same protection.
    pub rows_recovered: u64,
    /// Scored rows in which no check of results fired though their score is another; 0 where none looks at results.
    pub rows_missed: u64,
}

impl Noticed {
    /// Names of the counts, in the order of the tables.
    pub const NAMES: [&'static str; 9] = [
        "detected",
        "corrected",
        "reloads",
        "reload_bytes",
        "retries",
        "fallbacks",
        "rows_detected",
        "rows_recovered",
        "rows_missed",
    ];

    /// The counts, in the order of [`NAMES`](Self::NAMES).
    pub fn counts(&self) -> [u64; 9] {
        [
            self.detected,
            self.corrected,
            self.reloads,
            self.reload_bytes,
            self.retries,
            self.fallbacks,
            self.rows_detected,
            self.rows_recovered,
            self.rows_missed,
        ]
    }

    /// From counts in the order of [`NAMES`](Self::NAMES).
    pub fn of_counts(counts: [u64; 9]) -> Self {
        let [detected, corrected, reloads, reload_bytes, retries, fallbacks, rows @ ..] = counts;
        let [rows_detected, rows_recovered, rows_missed] = rows;
        Self {
            detected,
            corrected,
            reloads,
            reload_bytes,
            retries,
            fallbacks,
            rows_detected,
            rows_recovered,
            rows_missed,
        }
    }

    /// Whether nothing was noticed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Trial {
    /// Errors: the first of flips, what was noticed, outcome and scores in which `offered` differs from this record; path and time may.
    pub(crate) fn check_same(&self, offered: &Self, cell: &CellKey) -> Result<(), RecordsError> {
        let conflict = |score, recorded_value: String, offered: String| {
            Err(RecordsError::Conflict {
                cell: Box::new(cell.clone()),
                chip: self.chip,
                score,
                recorded: recorded_value,
                offered,
            })
        };
        if self.flips != offered.flips {
            return conflict("flips", self.flips.to_string(), offered.flips.to_string());
        }
        let counts =
            Noticed::NAMES.into_iter().zip(self.noticed.counts().into_iter().zip(offered.noticed.counts()));
        if let Some((name, (recorded, offered))) = counts.into_iter().find(|(_, (a, b))| a != b) {
            return conflict(name, recorded.to_string(), offered.to_string());
        }
        if self.scores.outcome != offered.scores.outcome {
            return conflict("outcome", self.scores.outcome.to_string(), offered.scores.outcome.to_string());
        }
        for (name, recorded) in &self.metrics {
            let offered = offered.metrics.get(name).copied().flatten();
            if metric::bits(*recorded) != metric::bits(offered) {
                let [recorded, offered] =
                    [*recorded, offered].map(|value| crate::export::real(value).to_string());
                return conflict(metric::known_name(name), recorded, offered);
            }
        }
        match score::first_difference(&score::numbers(&self.scores), &score::numbers(&offered.scores)) {
            None => Ok(()),
            Some((score, recorded_value, offered)) => {
                conflict(score, recorded_value.to_string(), offered.to_string())
            }
        }
    }
}

/// The rows of one trial in the tables.
pub(crate) struct TrialRows {
    /// Of the table `trials`, the checksum last.
    pub(crate) trial: Vec<Value>,
    /// Of the table `scores`; none where the scores are those of the golden run.
    pub(crate) scores: Option<Vec<Value>>,
    /// Of the table `metrics`: those that differ from the golden run's.
    pub(crate) metrics: Vec<[Value; 4]>,
    /// Checksum of all these rows.
    pub(crate) checksum: i64,
}

impl TrialRows {
    /// The rows of a trial of a cell whose golden run has these numbers.
    pub(crate) fn of(
        id: CellId,
        trial: &Trial,
        (golden, golden_numbers): (&Golden, &[score::Number; score::COUNT]),
        checksum: &mut Checksum,
    ) -> Result<Self, RecordsError> {
        let chip = signed("chip number", trial.chip)?;
        let counted = |what, count: Option<u64>| -> Result<Value, RecordsError> {
            Ok(optional(count.map(|count| signed(what, count)).transpose()?))
        };
        let mut values = Vec::with_capacity(COLUMNS + 1);
        values.extend([
            Value::from(id.0),
            chip.into(),
            signed("number of flips", trial.flips)?.into(),
            trial.path.word().to_owned().into(),
            trial.scores.outcome.to_string().into(),
            trial.seconds.into(),
            counted("flips read", trial.flips_read)?,
            counted("reads", trial.reads)?,
        ]);
        for (count, name) in trial.noticed.counts().into_iter().zip(Noticed::NAMES) {
            values.push(signed(name, count)?.into());
        }
        checksum.values("trials", &values);
        let numbers = score::numbers(&trial.scores);
        let mut scores = None;
        if !score::same(&numbers, golden_numbers) {
            let mut values = Vec::with_capacity(3 + score::COUNT);
            values.extend([Value::from(id.0), chip.into()]);
            for (number, name) in numbers.into_iter().zip(score::NAMES) {
                values.push(number.value(name)?);
            }
            values.push(score::ties(&trial.scores)?);
            checksum.values("scores", &values);
            scores = Some(values);
        }
        let mut metrics = Vec::new();
        for (name, of_golden) in &golden.metrics {
            let value = trial.metrics.get(name).copied().flatten();
            if metric::bits(value) != metric::bits(*of_golden) {
                let row = [id.0.into(), chip.into(), name.clone().into(), optional(metric::stored(value))];
                checksum.values("metrics", &row);
                metrics.push(row);
            }
        }
        let checksum = checksum.finish();
        values.push(checksum.into());
        Ok(Self { trial: values, scores, metrics, checksum })
    }
}

/// Columns of the table `trials`, the checksum apart.
pub(crate) const COLUMNS: usize = 17;

/// Hands over the trials of a cell by ascending chip, or the one of `chip`.
pub(crate) fn each<E: From<RecordsError>>(
    connection: &Connection,
    (file, version): (&FilePath, i64),
    cell: CellId,
    golden: &Golden,
    chip: Option<u64>,
    mut take: impl FnMut(Trial) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| RecordsError::sqlite(file, "reading trials", source);
    let mut statement = connection
        .prepare_cached(
            "SELECT t.*, s.* FROM trials t LEFT JOIN scores s ON s.cell = t.cell AND s.chip = t.chip
             WHERE t.cell = ?1 AND t.chip BETWEEN ?2 AND ?3 ORDER BY t.chip",
        )
        .map_err(failed)?;
    let (first, last) = chip.map_or((i64::MIN, i64::MAX), |chip| (chip.cast_signed(), chip.cast_signed()));
    let mut sum = Sum::of_trials(cell, version);
    let mut checksum = Checksum::default();
    let mut before = None;
    let mut rows = statement.query(params![cell.0, first, last]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let key = || format!("cell {cell}, chip {}", row.get::<_, i64>(1).unwrap_or(-1));
        let fields = Fields { row, file, table: "trials", key: &key };
        let trial = read(connection, &fields, golden, &mut sum, &mut checksum)?;
        if before.is_some_and(|before| before >= trial.chip) {
            return Err(fields.damaged("chip", "the chips don't rise").into());
        }
        before = Some(trial.chip);
        take(trial)?;
    }
    if chip.is_none() {
        sum.check(connection, file)?;
    }
    Ok(())
}

fn read(
    connection: &Connection,
    fields: &Fields<'_>,
    golden: &Golden,
    sum: &mut Sum,
    checksum: &mut Checksum,
) -> Result<Trial, RecordsError> {
    let checked = sum.is_checked();
    let of_scores = COLUMNS + usize::from(checked);
    let ties = of_scores + 2 + score::COUNT;
    let scored = fields.value(of_scores)? != ValueRef::Null;
    let mut metrics = golden.metrics.clone();
    if checked {
        checksum.row("trials");
        for column in 0..COLUMNS {
            checksum.take(fields.value(column)?);
        }
        if scored {
            checksum.row("scores");
            for column in of_scores..=ties {
                checksum.take(fields.value(column)?);
            }
        }
        if !metrics.is_empty() {
            let integer = |at, name| match fields.value(at)? {
                ValueRef::Integer(integer) => Ok(integer),
                _ => Err(fields.damaged(name, "a value of another type")),
            };
            let key = (integer(0, "cell")?, integer(1, "chip")?);
            metric::of_trial(connection, fields.file, key, checksum, &mut metrics)?;
        }
        sum.compare(fields, COLUMNS, checksum)?;
        if metrics.len() != golden.metrics.len() {
            return Err(fields.damaged("metrics", "a metric that the golden run lacks"));
        }
    }
    let outcome = fields.parsed(4, "outcome")?;
    let of_trial = Fields { table: "scores", ..*fields };
    let scores = if scored {
        score::read(&of_trial, of_scores + 2, outcome, checked)?
    } else {
        score::checked(TrialScores { outcome, ..golden.scores.clone() }, fields)?
    };
    let mut noticed = [0; 9];
    for (i, (count, name)) in noticed.iter_mut().zip(Noticed::NAMES).enumerate() {
        *count = fields.count(8 + i, name)?;
    }
    Ok(Trial {
        chip: fields.count(1, "chip")?,
        flips: fields.count(2, "flips")?,
        flips_read: fields.count_or_none(6, "flips_read")?,
        reads: fields.count_or_none(7, "reads")?,
        noticed: Noticed::of_counts(noticed),
        path: fields.parsed(3, "path")?,
        seconds: fields.real(5, "seconds", Range::NotNegative)?,
        scores,
        metrics,
    })
}

/// How a trial's scores were found; all paths give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Not evaluated: nothing changed, so the scores are the golden ones.
    Known,
    /// Only the rows that read a changed table row were scored again.
    Rows,
    /// Every row was scored again, from the first changed layer on.
    Layers,
    /// Every row was scored again, from its inputs.
    Full,
}

impl Path {
    /// Every path, with the word it is written as.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Known, "known"), (Self::Rows, "rows"), (Self::Layers, "layers"), (Self::Full, "full")];

    /// The word it is written as.
    pub fn word(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Rows => "rows",
            Self::Layers => "layers",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|(_, word)| *word == text)
            .map(|(path, _)| path)
            .ok_or_else(|| format!("path \"{text}\" is not one of known, rows, layers, full"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_reads_back_from_its_word() {
        for (path, word) in Path::ALL {
            assert_eq!((path.to_string().as_str(), word.parse()), (word, Ok(path)));
        }
    }
}
