//! Csv for other programs: `cells.csv` and `trials.csv`, as docs/formats/export.md describes them.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use radhard_memory::write_atomically;
use radhard_metrics::{Method, Proportion};

use crate::cell::CellKey;
use crate::error::RecordsError;
use crate::score::{self, Number};
use crate::statistics::CellRecord;
use crate::store::Store;

/// Name of the file with one line a cell.
pub const CELLS_FILE: &str = "cells.csv";

/// Name of the file with one line a trial.
pub const TRIALS_FILE: &str = "trials.csv";

/// Columns that name a cell, in both files.
pub const KEY_COLUMNS: [&str; 7] = ["model", "data", "target", "error_model", "ber", "protection", "seed"];

/// Columns of `trials.csv` after those of the key.
pub const TRIAL_COLUMNS: [&str; 11] = [
    "chip",
    "flips",
    "auc",
    "auc_finite",
    "auc_worst",
    "log_loss",
    "non_finite",
    "saturated",
    "outcome",
    "path",
    "seconds",
];

/// Columns of `cells.csv` after those of the key.
pub const CELL_COLUMNS: [&str; 37] = [
    "n",
    "known",
    "golden",
    "mean",
    "stratified_mean",
    "sd",
    "min",
    "max",
    "median",
    "quartile_1",
    "quartile_3",
    "ci_low",
    "ci_high",
    "ci_method",
    "non_finite_share",
    "collapse",
    "flips_mean",
    "exposed_bits",
    "p_no_flip",
    "predicted",
    "prediction",
    "stand_in",
    "median_ci_low",
    "median_ci_high",
    "loss_q95",
    "loss_q95_ci_low",
    "loss_q95_ci_high",
    "bad_share",
    "bad_share_ci_low",
    "bad_share_ci_high",
    "severe_share",
    "severe_share_ci_low",
    "severe_share_ci_high",
    "non_finite_ci_low",
    "non_finite_ci_high",
    "collapse_ci_low",
    "collapse_ci_high",
];

/// What stops an export: the file that is written, or the records that are read.
enum Failure {
    File(io::Error),
    Records(RecordsError),
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self::File(source)
    }
}

impl From<csv::Error> for Failure {
    fn from(source: csv::Error) -> Self {
        Self::File(source.into())
    }
}

impl From<RecordsError> for Failure {
    fn from(source: RecordsError) -> Self {
        Self::Records(source)
    }
}

impl Store {
    /// Writes [`CELLS_FILE`] and [`TRIALS_FILE`] into `dir`, which is made if it is not there; each appears whole or not at all.
    pub fn export_csv(&self, dir: &Path) -> Result<(), RecordsError> {
        let cells = self.cell_records()?;
        std::fs::create_dir_all(dir)
            .map_err(|source| RecordsError::io(dir, "making the directory", source))?;
        write_file(&dir.join(CELLS_FILE), |out| Ok(write_cells(out, &cells)?))?;
        write_file(&dir.join(TRIALS_FILE), |out| self.write_trials(out))
    }

    fn write_trials(&self, out: impl Write) -> Result<(), Failure> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(KEY_COLUMNS.iter().chain(&TRIAL_COLUMNS))?;
        let [auc, auc_finite, auc_worst, log_loss, non_finite, saturated] =
            ["auc", "auc_finite", "auc_worst", "log_loss", "non_finite", "saturated"].map(score::place);
        for (id, cell) in self.cells() {
            let key = shielded_fields(&cell.key, cell.seed);
            self.each_trial(id, |trial| {
                let numbers = score::numbers(&trial.scores);
                for field in &key {
                    csv.write_field(field)?;
                }
                let fields: [&dyn Display; 11] = [
                    &trial.chip,
                    &trial.flips,
                    &numbers[auc],
                    &numbers[auc_finite],
                    &numbers[auc_worst],
                    &numbers[log_loss],
                    &numbers[non_finite],
                    &numbers[saturated],
                    &trial.scores.outcome,
                    &trial.path,
                    &Number::Real(trial.seconds),
                ];
                for field in fields {
                    csv.write_field(field.to_string())?;
                }
                Ok::<_, Failure>(csv.write_record(None::<&[u8]>)?)
            })?;
        }
        Ok(csv.flush()?)
    }
}

/// Writes cells as the csv of [`CELLS_FILE`], in the order given.
pub fn write_cells(out: impl Write, cells: &[CellRecord]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(KEY_COLUMNS.iter().chain(&CELL_COLUMNS))?;
    for record in cells {
        let CellRecord { cell, stand_in, statistics, tail, .. } = record;
        for field in shielded_fields(&cell.key, cell.seed) {
            csv.write_field(field)?;
        }
        let interval = statistics.mean_interval;
        let quartile = |which: usize| real(statistics.quartiles.map(|quartiles| quartiles[which]));
        let fields: [&dyn Display; 22] = [
            &statistics.n,
            &statistics.known,
            &real(statistics.golden),
            &real(statistics.mean),
            &real(statistics.stratified_mean),
            &real(statistics.sd),
            &real(statistics.min),
            &real(statistics.max),
            &real(statistics.median),
            &quartile(0),
            &quartile(1),
            &real(interval.map(|interval| interval.low)),
            &real(interval.map(|interval| interval.high)),
            &interval.map_or("", |interval| method(interval.method)),
            &real(statistics.non_finite.share),
            &real(statistics.collapse.and_then(|collapse| collapse.share)),
            &real(statistics.flips_mean),
            &cell.exposed_bits,
            &real(cell.p_no_flip),
            &real(cell.predicted.as_ref().map(|predicted| predicted.mean)),
            &cell.predicted.as_ref().map_or_else(String::new, |predicted| predicted.kind.to_string()),
            &stand_in,
        ];
        for field in fields {
            csv.write_field(field.to_string())?;
        }
        let median = statistics.median_interval;
        csv.write_field(real(median.map(|of| of.low)).to_string())?;
        csv.write_field(real(median.map(|of| of.high)).to_string())?;
        csv.write_field(real(tail.map(|tail| tail.q95)).to_string())?;
        for end in tail.map_or([None; 2], |tail| tail.q95_ends) {
            csv.write_field(real(end).to_string())?;
        }
        for share in [tail.map(|tail| tail.bad), tail.map(|tail| tail.severe)] {
            csv.write_field(real(share.and_then(|share| share.estimate)).to_string())?;
            write_ends(&mut csv, share)?;
        }
        write_ends(&mut csv, Some(statistics.non_finite))?;
        write_ends(&mut csv, statistics.collapse)?;
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

/// Both ends of the interval of a share.
fn write_ends(csv: &mut csv::Writer<impl Write>, share: Option<Proportion>) -> io::Result<()> {
    let interval = share.and_then(|share| share.interval);
    for end in [interval.map(|of| of.low), interval.map(|of| of.high)] {
        csv.write_field(real(end).to_string())?;
    }
    Ok(())
}

/// The fields of [`KEY_COLUMNS`].
pub(crate) fn key_fields(key: &CellKey, seed: u64) -> [String; 7] {
    [
        key.model.clone(),
        key.data.clone(),
        key.target.clone(),
        key.error_model.clone(),
        real(key.ber).to_string(),
        key.protection.clone(),
        seed.to_string(),
    ]
}

/// The fields of [`KEY_COLUMNS`] for a csv file: the texts among them as [`shielded`] has them.
fn shielded_fields(key: &CellKey, seed: u64) -> [String; 7] {
    let [model, data, target, error_model, ber, protection, seed] = key_fields(key, seed);
    let [model, data, target, error_model, protection] =
        [model, data, target, error_model, protection].map(shielded);
    [model, data, target, error_model, ber, protection, seed]
}

/// A text that no spreadsheet takes for a formula: where it begins with `=`, `+`, `-`, `@`, a tab or a carriage return, an apostrophe comes
/// before it. Numbers are written as they are.
pub fn shielded(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

/// A value that csv leaves empty where it is undefined or NaN.
pub(crate) fn real(value: Option<f64>) -> Number {
    value.filter(|value| !value.is_nan()).map_or(Number::Undefined, Number::Real)
}

fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), Failure>,
) -> Result<(), RecordsError> {
    let mut reading = None;
    let written = write_atomically(path, |out| {
        write(out).map_err(|failure| match failure {
            Failure::File(source) => source,
            Failure::Records(source) => {
                reading = Some(source);
                io::Error::other("the records cannot be read")
            }
        })
    });
    match (reading, written) {
        (Some(source), _) => Err(source),
        (None, Err(source)) => Err(RecordsError::io(path, "writing", source)),
        (None, Ok(())) => Ok(()),
    }
}

/// The word an interval's method is written as.
pub fn method(method: Method) -> &'static str {
    match method {
        Method::Betting => "betting",
        Method::Anderson => "anderson",
        Method::Bootstrap => "bootstrap",
        Method::OrderStatistics => "order-statistics",
        Method::ClopperPearson => "clopper-pearson",
        Method::ZeroEvents => "zero-events",
        Method::DeLong => "de-long",
        Method::Woolf => "woolf",
        Method::Conditional => "conditional",
        Method::Bounds => "bounds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_would_run_is_shielded_and_a_number_is_not() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(shielded(text.to_owned()), format!("'{text}"));
        }
        for text in ["", "wide-deep", "'=1", "a=1", " =1"] {
            assert_eq!(shielded(text.to_owned()), text);
        }
        let key = CellKey {
            model: "=cmd()".into(),
            data: "ml".into(),
            target: "-a".into(),
            error_model: "flips".into(),
            ber: Some(1e-9),
            protection: "none".into(),
        };
        assert_eq!(shielded_fields(&key, 3), ["'=cmd()", "ml", "'-a", "flips", "1e-9", "none", "3"]);
    }
}
