//! One number for what was recorded: equal exactly where two campaigns recorded the same.

use std::fmt::Write as _;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::error::RecordsError;
use crate::export::{key_fields, real};
use crate::metric::Metrics;
use crate::protection::ProtectionCost;
use crate::score;
use crate::store::Store;
use crate::trial::Trial;

/// A writer whose bytes go into a hash.
struct Hashed(Sha256);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much a digest covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covers {
    /// Golden runs, cells and trials with every score.
    #[default]
    Scores,
    /// Besides, what protections noticed and cost, and how far chips were exposed; times apart.
    All,
}

impl Store {
    /// SHA-256 of the canonical export (docs/formats/export.md), in hexadecimal.
    ///
    /// It covers golden runs, cells and trials with every score, ordered by their keys; not the path and time of a trial, nor
    /// versions, plan text and predictions. So it is the same for any order and number of writers, and after any interruption.
    pub fn digest(&self) -> Result<String, RecordsError> {
        self.digest_of(Covers::Scores)
    }

    /// The same of the canonical export, or of the longer one.
    pub fn digest_of(&self, covers: Covers) -> Result<String, RecordsError> {
        let hashed = self.write_canonical(Hashed(Sha256::new()), covers)?;
        let mut text = String::with_capacity(64);
        for byte in hashed.0.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    /// Writes the canonical export that digests are taken of.
    pub fn write_canonical<W: Write>(&self, out: W, covers: Covers) -> Result<W, RecordsError> {
        let failed = |source: csv::Error| RecordsError::io(self.file(), "hashing", source.into());
        let mut csv = csv::WriterBuilder::new().flexible(true).from_writer(out);
        for golden in self.goldens() {
            let facts = [
                "golden".to_owned(),
                golden.subject.model.clone(),
                golden.subject.data.clone(),
                golden.subject.protection.clone(),
                golden.positives.to_string(),
                golden.split.clone(),
                golden.stand_in.to_string(),
                golden.parameters.to_string(),
                golden.model_fingerprint.clone(),
                golden.data_fingerprint.clone(),
                golden.scores.outcome.to_string(),
            ];
            let scores = score::numbers(&golden.scores).map(|number| number.to_string());
            csv.write_record(facts.into_iter().chain(scores).chain(fields(&golden.metrics)))
                .map_err(failed)?;
            if let (Covers::All, Some(cost)) = (covers, self.protection(&golden.subject)) {
                csv.write_record(cost_fields(cost)).map_err(failed)?;
            }
        }
        for (id, cell) in self.cells() {
            let facts = ["cell".to_owned(), cell.exposed_bits.to_string(), real(cell.p_no_flip).to_string()];
            csv.write_record(key_fields(&cell.key, cell.seed).iter().chain(&facts)).map_err(failed)?;
            self.each_trial(id, |trial| {
                let facts =
                    [trial.chip.to_string(), trial.flips.to_string(), trial.scores.outcome.to_string()];
                let scores = score::numbers(&trial.scores).map(|number| number.to_string());
                let line = facts.into_iter().chain(scores).chain(fields(&trial.metrics));
                csv.write_record(line).map_err(failed)?;
                if covers == Covers::All {
                    csv.write_record(noticed_fields(&trial)).map_err(failed)?;
                }
                Ok::<_, RecordsError>(())
            })?;
        }
        csv.into_inner().map_err(|failure| RecordsError::io(self.file(), "hashing", failure.into_error()))
    }
}

/// `metric`, name and value of each metric that was recorded.
fn fields(metrics: &Metrics) -> impl Iterator<Item = String> {
    metrics.iter().flat_map(|(name, value)| ["metric".to_owned(), name.clone(), real(*value).to_string()])
}

/// Detections of protections in a trial, and the exposure of its chip.
fn noticed_fields(trial: &Trial) -> impl Iterator<Item = String> {
    let count = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
    let exposed = ["noticed".to_owned(), count(trial.flips_read), count(trial.reads)];
    exposed.into_iter().chain(trial.noticed.counts().map(|count| count.to_string()))
}

/// The cost of a protection, times apart.
fn cost_fields(cost: &ProtectionCost) -> [String; 10] {
    [
        "protection".to_owned(),
        cost.memory_bits.to_string(),
        real(Some(cost.memory_share)).to_string(),
        real(Some(cost.operations_per_sample)).to_string(),
        cost.calibration_rows.to_string(),
        cost.checks.to_string(),
        real(cost.false_alarms_per_million).to_string(),
        cost.acts_on_clean.to_string(),
        cost.assumptions.clone(),
        cost.bounds.clone().unwrap_or_default(),
    ]
}
