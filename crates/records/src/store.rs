//! The store: one SQLite file in the output directory, written by one process at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};

use crate::cell::{Cell, CellId, CellKey};
use crate::connection::{begin, is_empty, lock, open_reading, write_ahead};
use crate::error::RecordsError;
use crate::golden::{Golden, SubjectKey};
use crate::header::Header;
use crate::protection::{self, ProtectionCost};
use crate::rows::{each_trial, read_cells, read_goldens, read_header, signed, write_header};
use crate::score::{self, Number};
use crate::trial::{Noticed, Trial};

/// Name of the records file inside a campaign's output directory.
pub const FILE: &str = "records.sqlite";

/// The records of one campaign.
///
/// A store made by [`Store::create_or_continue`] writes; one made by [`Store::open`] reads, also from a read-only directory and
/// while another process writes. What a write call has returned from survives the death of the process; a call that fails
/// leaves nothing behind. [`Store::close`], or dropping it, leaves the single file [`FILE`].
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    file: PathBuf,
    /// Held on the directory for as long as this store may write; none in a reading one.
    lock: Option<File>,
    header: Header,
    goldens: BTreeMap<SubjectKey, Golden>,
    protections: BTreeMap<SubjectKey, ProtectionCost>,
    cells: BTreeMap<CellId, Cell>,
    ids: BTreeMap<CellKey, CellId>,
}

impl Store {
    /// Begins the records of a plan in `dir`, which is made if it is not there, or continues them.
    ///
    /// Errors: another plan, another writer, a foreign or damaged file, another schema, a directory that cannot be written.
    pub fn create_or_continue(dir: &Path, header: &Header) -> Result<Self, RecordsError> {
        std::fs::create_dir_all(dir)
            .map_err(|source| RecordsError::io(dir, "making the directory", source))?;
        let lock = lock(dir)?;
        let file = dir.join(FILE);
        if let Err(source) = File::options().write(true).create_new(true).open(&file)
            && source.kind() != std::io::ErrorKind::AlreadyExists
        {
            return Err(RecordsError::io(&file, "making the records", source));
        }
        let opened = Connection::open_with_flags(
            &file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        );
        let mut connection =
            opened.map_err(|source| RecordsError::sqlite(&file, "opening the records", source))?;
        if is_empty(&connection, &file)? {
            begin(&mut connection, header)
                .map_err(|source| RecordsError::sqlite(&file, "making the records", source))?;
        }
        let recorded = read_header(&connection, &file)?;
        let differences = recorded.differences(header);
        if !differences.is_empty() {
            return Err(RecordsError::OtherPlan { path: file, differences });
        }
        write_ahead(&connection)
            .and_then(|()| write_header(&mut connection, header))
            .map_err(|source| RecordsError::sqlite(&file, "writing the header", source))?;
        Self::load(connection, file, Some(lock))
    }

    /// Opens the records in `dir` for reading, as they are at this moment.
    ///
    /// Errors: no records there, a foreign or damaged file, another schema.
    pub fn open(dir: &Path) -> Result<Self, RecordsError> {
        let file = dir.join(FILE);
        match file.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(RecordsError::NotFound { path: dir.to_owned() }),
            Err(source) => return Err(RecordsError::io(&file, "opening the records", source)),
        }
        let connection = open_reading(&file)?;
        if is_empty(&connection, &file)? {
            return Err(RecordsError::NotFound { path: dir.to_owned() });
        }
        Self::load(connection, file, None)
    }

    fn load(connection: Connection, file: PathBuf, lock: Option<File>) -> Result<Self, RecordsError> {
        let header = read_header(&connection, &file)?;
        let goldens: BTreeMap<_, _> = read_goldens(&connection, &file)?
            .into_iter()
            .map(|golden| (golden.subject.clone(), golden))
            .collect();
        let cells: BTreeMap<_, _> = read_cells(&connection, &file)?.into_iter().collect();
        if let Some(cell) = cells.values().find(|cell| !goldens.contains_key(&cell.key.subject())) {
            return Err(RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) });
        }
        let protections = protection::read(&connection, &file)?
            .into_iter()
            .map(|cost| (cost.subject.clone(), cost))
            .collect();
        let ids = cells.iter().map(|(id, cell)| (cell.key.clone(), *id)).collect();
        Ok(Self { connection, file, lock, header, goldens, protections, cells, ids })
    }

    /// Ends writing: everything is in the one file [`FILE`], which can be read from a read-only medium.
    pub fn close(self) -> Result<(), RecordsError> {
        let Self { connection, file, lock, .. } = self;
        if lock.is_some() {
            // A reader may hold the file at this moment; then it stays in its present form, which is as good.
            match connection.pragma_update(None, "journal_mode", "DELETE") {
                Err(source)
                    if !matches!(
                        source.sqlite_error_code(),
                        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
                    ) =>
                {
                    return Err(RecordsError::sqlite(&file, "closing the records", source));
                }
                _ => {}
            }
        }
        connection.close().map_err(|(_, source)| RecordsError::sqlite(&file, "closing the records", source))
    }

    /// Path of the records file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The header, as the last writer left it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Every golden run, ordered by subject.
    pub fn goldens(&self) -> impl Iterator<Item = &Golden> {
        self.goldens.values()
    }

    /// The golden run of a subject, if it is recorded.
    pub fn golden(&self, subject: &SubjectKey) -> Option<&Golden> {
        self.goldens.get(subject)
    }

    /// Every cell, ordered by key.
    pub fn cells(&self) -> impl Iterator<Item = (CellId, &Cell)> {
        self.ids.values().map(|id| (*id, &self.cells[id]))
    }

    /// The cell with this number, if there is one.
    pub fn cell(&self, id: CellId) -> Option<&Cell> {
        self.cells.get(&id)
    }

    /// The number of the cell with this key, if it is recorded.
    pub fn cell_id(&self, key: &CellKey) -> Option<CellId> {
        self.ids.get(key).copied()
    }

    /// Records a golden run; one that is recorded already must have the same scores and fingerprints.
    pub fn put_golden(&mut self, golden: &Golden) -> Result<(), RecordsError> {
        if let Some(recorded) = self.goldens.get(&golden.subject) {
            return recorded.check_same(golden);
        }
        self.check_writable("a golden run")?;
        let mut values = vec![
            Value::from(golden.subject.model.clone()),
            golden.subject.data.clone().into(),
            golden.subject.protection.clone().into(),
            signed("positives", golden.positives)?.into(),
            golden.split.clone().into(),
            golden.stand_in.into(),
            signed("parameters", golden.parameters)?.into(),
            golden.model_fingerprint.clone().into(),
            golden.data_fingerprint.clone().into(),
            golden.seconds.into(),
            golden.scores.outcome.to_string().into(),
        ];
        for (number, (name, _)) in score::numbers(&golden.scores).into_iter().zip(score::columns()) {
            values.push(number.value(name)?);
        }
        let marks = vec!["?"; values.len()].join(", ");
        self.connection
            .execute(&format!("INSERT INTO goldens VALUES ({marks})"), params_from_iter(values))
            .map_err(|source| self.failed("writing a golden run", source))?;
        self.goldens.insert(golden.subject.clone(), golden.clone());
        Ok(())
    }

    /// What protections cost, ordered by subject.
    pub fn protections(&self) -> impl Iterator<Item = &ProtectionCost> {
        self.protections.values()
    }

    /// What the protection of a subject costs, if it is recorded.
    pub fn protection(&self, subject: &SubjectKey) -> Option<&ProtectionCost> {
        self.protections.get(subject)
    }

    /// Records what a protection costs, once: times differ from run to run, and the first stay.
    ///
    /// Errors: its golden run is not recorded.
    pub fn put_protection(&mut self, cost: &ProtectionCost) -> Result<(), RecordsError> {
        if self.protections.contains_key(&cost.subject) {
            return Ok(());
        }
        self.check_writable("a protection")?;
        protection::write(&self.connection, &self.file, cost)?;
        self.protections.insert(cost.subject.clone(), cost.clone());
        Ok(())
    }

    /// Records a cell and gives its number; one that is recorded already must have the same seed, exposed bits and probability
    /// of no flip, and takes the newer prediction.
    pub fn put_cell(&mut self, cell: &Cell) -> Result<CellId, RecordsError> {
        if let Some(ber) = cell.key.ber
            && !(0.0..=1.0).contains(&ber)
        {
            return Err(RecordsError::Rate { cell: Box::new(cell.key.clone()), value: ber });
        }
        if let Some(id) = self.cell_id(&cell.key) {
            let recorded = &self.cells[&id];
            recorded.check_same(cell)?;
            if recorded.predicted == cell.predicted {
                return Ok(id);
            }
        }
        if !self.goldens.contains_key(&cell.key.subject()) {
            return Err(RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) });
        }
        self.check_writable("a cell")?;
        let predicted = cell.predicted.as_ref();
        let id = self
            .connection
            .query_row(
                "INSERT INTO cells (model, data, target, error_model, ber, protection, seed, exposed_bits, p_no_flip,
                     predicted, prediction_kind, prediction_note)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT DO UPDATE SET predicted = excluded.predicted, prediction_kind = excluded.prediction_kind,
                     prediction_note = excluded.prediction_note
                 RETURNING cell",
                params![
                    cell.key.model,
                    cell.key.data,
                    cell.key.target,
                    cell.key.error_model,
                    cell.key.ber,
                    cell.key.protection,
                    cell.seed.to_string(),
                    signed("exposed bits", cell.exposed_bits)?,
                    cell.p_no_flip,
                    predicted.map(|prediction| prediction.mean),
                    predicted.map(|prediction| prediction.kind.to_string()),
                    predicted.map(|prediction| prediction.note.clone()),
                ],
                |row| row.get(0).map(CellId),
            )
            .map_err(|source| self.failed("writing a cell", source))?;
        self.ids.insert(cell.key.clone(), id);
        self.cells.insert(id, cell.clone());
        Ok(id)
    }

    /// Records trials, all of them or none.
    ///
    /// A chip that its cell holds already is passed over if it has the same flips, outcome and scores; the recorded path and
    /// time stay. With another result it is [`RecordsError::Conflict`], and nothing of the batch is recorded.
    pub fn append(&mut self, trials: &[(CellId, Trial)]) -> Result<(), RecordsError> {
        self.check_writable("trials")?;
        let Self { connection, file, goldens, cells, .. } = self;
        let failed = |source| RecordsError::sqlite(file, "writing trials", source);
        let transaction = connection.transaction().map_err(failed)?;
        {
            let mut insert_trial = transaction
                .prepare_cached(
                    "INSERT INTO trials VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
                     ON CONFLICT (cell, chip) DO NOTHING",
                )
                .map_err(failed)?;
            let marks = vec!["?"; 2 + score::COUNT].join(", ");
            let mut insert_scores = transaction
                .prepare_cached(&format!("INSERT INTO scores VALUES ({marks})"))
                .map_err(failed)?;
            let mut current: Option<(CellId, &Cell, &Golden, [Number; score::COUNT])> = None;
            for (id, trial) in trials {
                if current.as_ref().is_none_or(|(current, ..)| current != id) {
                    let cell = cells.get(id).ok_or(RecordsError::UnknownCell { id: *id })?;
                    let golden = goldens
                        .get(&cell.key.subject())
                        .ok_or_else(|| RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) })?;
                    current = Some((*id, cell, golden, score::numbers(&golden.scores)));
                }
                let Some((_, cell, golden, golden_numbers)) = &current else { continue };
                let chip = signed("chip number", trial.chip)?;
                let counted = |what, count: Option<u64>| count.map(|count| signed(what, count)).transpose();
                let mut values = vec![
                    Value::from(id.0),
                    chip.into(),
                    signed("number of flips", trial.flips)?.into(),
                    trial.path.word().to_owned().into(),
                    trial.scores.outcome.to_string().into(),
                    trial.seconds.into(),
                    counted("flips read", trial.flips_read)?.into(),
                    counted("reads", trial.reads)?.into(),
                ];
                for (count, name) in trial.noticed.counts().into_iter().zip(Noticed::NAMES) {
                    values.push(signed(name, count)?.into());
                }
                let inserted = insert_trial.execute(params_from_iter(values)).map_err(failed)?;
                let numbers = score::numbers(&trial.scores);
                if inserted == 0 {
                    let mut recorded = None;
                    each_trial(&transaction, file, *id, golden, Some(trial.chip), |trial| {
                        recorded = Some(trial);
                        Ok::<_, RecordsError>(())
                    })?;
                    let recorded = recorded.ok_or_else(|| RecordsError::Damaged {
                        path: file.clone(),
                        place: "trials".to_owned(),
                        reason: format!("chip {chip} of cell {id} is refused and not there"),
                    })?;
                    recorded.check_same(trial, &cell.key)?;
                } else if !score::same(&numbers, golden_numbers) {
                    let mut values = vec![Value::from(id.0), chip.into()];
                    for (number, (name, _)) in numbers.into_iter().zip(score::columns()) {
                        values.push(number.value(name)?);
                    }
                    insert_scores.execute(params_from_iter(values)).map_err(failed)?;
                }
            }
        }
        transaction.commit().map_err(failed)
    }

    /// Chips of a cell that are recorded, ascending.
    pub fn chips_done(&self, cell: CellId) -> Result<Vec<u64>, RecordsError> {
        let read = || -> rusqlite::Result<Vec<u64>> {
            let mut statement =
                self.connection.prepare_cached("SELECT chip FROM trials WHERE cell = ?1 ORDER BY chip")?;
            let chips = statement.query_map([cell.0], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?;
            chips.collect()
        };
        read().map_err(|source| self.failed("reading chips", source))
    }

    /// Number of trials recorded in all cells.
    pub fn trial_count(&self) -> Result<u64, RecordsError> {
        self.connection
            .query_row("SELECT count(*) FROM trials", [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
            .map_err(|source| self.failed("counting trials", source))
    }

    /// Trials of a cell, by ascending chip.
    pub fn trials(&self, cell: CellId) -> Result<Vec<Trial>, RecordsError> {
        let mut trials = Vec::new();
        self.each_trial(cell, |trial| {
            trials.push(trial);
            Ok::<_, RecordsError>(())
        })?;
        Ok(trials)
    }

    /// Hands over the trials of a cell one by one, by ascending chip, until there is none left or `take` fails.
    pub fn each_trial<E: From<RecordsError>>(
        &self,
        cell: CellId,
        take: impl FnMut(Trial) -> Result<(), E>,
    ) -> Result<(), E> {
        let key = &self.cells.get(&cell).ok_or(RecordsError::UnknownCell { id: cell })?.key;
        let golden = self
            .goldens
            .get(&key.subject())
            .ok_or_else(|| RecordsError::GoldenMissing { cell: Box::new(key.clone()) })?;
        each_trial(&self.connection, &self.file, cell, golden, None, take)
    }

    fn failed(&self, action: &'static str, source: rusqlite::Error) -> RecordsError {
        RecordsError::sqlite(&self.file, action, source)
    }

    fn check_writable(&self, action: &'static str) -> Result<(), RecordsError> {
        if self.lock.is_some() {
            return Ok(());
        }
        Err(RecordsError::ReadOnly { path: self.file.clone(), action })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use radhard_metrics::{Observed, ScoreOptions, TrialScores};

    use super::*;
    use crate::trial::Path as TrialPath;

    #[test]
    fn a_full_disk_is_named_and_leaves_whole_batches() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header {
            plan: String::new(),
            identity: BTreeMap::new(),
            seed: 1,
            version: String::new(),
            stream_version: 1,
            numeric_contract: 1,
        };
        let probabilities = [0.1, 0.9];
        let observed = Observed { probabilities: &probabilities, logits: None, labels: &[0, 1] };
        let golden = radhard_metrics::Golden { probabilities: &probabilities, auc: Some(1.0) };
        let scores = TrialScores::of(&observed, Some(&golden), &ScoreOptions::new(0.5));
        let subject = SubjectKey { model: "fm".into(), data: "ml".into(), protection: "none".into() };
        let key = CellKey {
            model: "fm".into(),
            data: "ml".into(),
            target: "all".into(),
            error_model: "flips".into(),
            ber: Some(1e-9),
            protection: "none".into(),
        };
        let mut store = Store::create_or_continue(dir.path(), &header).unwrap();
        store
            .put_golden(&Golden {
                subject,
                scores: scores.clone(),
                positives: 1,
                split: "test".into(),
                stand_in: false,
                parameters: 1,
                model_fingerprint: String::new(),
                data_fingerprint: String::new(),
                seconds: 0.0,
            })
            .unwrap();
        let id = store
            .put_cell(&Cell { key, seed: 1, exposed_bits: 32, p_no_flip: None, predicted: None })
            .unwrap();
        let pages: i64 = store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        store.connection.pragma_update(None, "max_page_count", pages + 3).unwrap();

        let batch = |first: u64| -> Vec<(CellId, Trial)> {
            let trial = |chip| Trial {
                chip,
                flips: 0,
                flips_read: None,
                reads: None,
                noticed: Noticed::default(),
                scores: scores.clone(),
                path: TrialPath::Known,
                seconds: 0.0,
            };
            (first..first + 100).map(|chip| (id, trial(chip))).collect()
        };
        let mut written = 0;
        let error = loop {
            match store.append(&batch(written)) {
                Ok(()) => written += 100,
                Err(error) => break error,
            }
        };
        assert!(written > 0 && written < 10_000);
        assert!(matches!(error, RecordsError::Full { .. }), "{error}");
        assert!(error.to_string().starts_with("no space left for "), "{error}");
        assert_eq!(store.chips_done(id).unwrap(), (0..written).collect::<Vec<_>>());
        store.connection.pragma_update(None, "max_page_count", pages + 300).unwrap();
        store.append(&batch(written)).unwrap();
        drop(store);
        assert_eq!(Store::open(dir.path()).unwrap().trial_count().unwrap(), written + 100);
    }
}
