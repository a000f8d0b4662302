//! One number for what was recorded: equal exactly where two campaigns recorded the same.

use std::fmt::Write as _;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::error::RecordsError;
use crate::export::{key_fields, real};
use crate::score;
use crate::store::Store;

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

impl Store {
    /// SHA-256 of the canonical export (docs/formats/export.md), in hexadecimal.
    ///
    /// It covers golden runs, cells and trials with every score, ordered by their keys; not the path and time of a trial, nor
    /// versions, plan text and predictions. So it is the same for any order and number of writers, and after any interruption.
    pub fn digest(&self) -> Result<String, RecordsError> {
        let mut csv = csv::WriterBuilder::new().flexible(true).from_writer(Hashed(Sha256::new()));
        self.write_canonical(&mut csv)?;
        let hashed = csv
            .into_inner()
            .map_err(|failure| RecordsError::io(self.file(), "hashing", failure.into_error()))?;
        let mut text = String::with_capacity(64);
        for byte in hashed.0.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    fn write_canonical<W: Write>(&self, csv: &mut csv::Writer<W>) -> Result<(), RecordsError> {
        let failed = |source: csv::Error| RecordsError::io(self.file(), "hashing", source.into());
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
            csv.write_record(facts.iter().chain(&scores)).map_err(failed)?;
        }
        for (id, cell) in self.cells() {
            let facts = ["cell".to_owned(), cell.exposed_bits.to_string(), real(cell.p_no_flip).to_string()];
            csv.write_record(key_fields(&cell.key, cell.seed).iter().chain(&facts)).map_err(failed)?;
            self.each_trial(id, |trial| {
                let facts =
                    [trial.chip.to_string(), trial.flips.to_string(), trial.scores.outcome.to_string()];
                let scores = score::numbers(&trial.scores).map(|number| number.to_string());
                csv.write_record(facts.iter().chain(&scores)).map_err(failed)
            })?;
        }
        Ok(())
    }
}
