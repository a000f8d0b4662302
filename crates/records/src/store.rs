//! The store: one SQLite file in the output directory, written by one process at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::cell::{self, Cell, CellId, CellKey};
use crate::checks::{self, Sum};
use crate::checksum::Checksum;
use crate::connection::{begin, check_regular, is_busy, lock, open_reading, version, write_ahead};
use crate::error::RecordsError;
use crate::golden::{self, Golden, SubjectKey};
use crate::header::{self, Header};
use crate::migration;
use crate::protection::{self, ProtectionCost};
use crate::schema;
use crate::score;
use crate::trial::{self, Trial, TrialRows};

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
    /// Schema of the file.
    version: i64,
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
        check_regular(&file)?;
        let opened = Connection::open_with_flags(
            &file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        );
        let mut connection =
            opened.map_err(|source| RecordsError::sqlite(&file, "opening the records", source))?;
        let found = version(&connection, &file)?;
        if found.is_none() {
            begin(&mut connection, header)
                .map_err(|source| RecordsError::sqlite(&file, "making the records", source))?;
        }
        let found = found.unwrap_or(schema::VERSION);
        let differences = header::read(&connection, &file, found)?.differences(header);
        if !differences.is_empty() {
            return Err(RecordsError::OtherPlan { path: file, differences });
        }
        if found < schema::VERSION {
            migration::migrate(&mut connection, &file, found)?;
        }
        let mut store = Self::load(connection, file, schema::VERSION, Some(lock))?;
        // Nothing is written into records that are damaged.
        store.verify()?;
        write_ahead(&store.connection).map_err(|source| store.failed("writing the header", source))?;
        store.write_header(header)?;
        Ok(store)
    }

    /// Opens the records in `dir` for reading, as they are at this moment.
    ///
    /// Errors: no records there, a foreign or damaged file, another schema.
    pub fn open(dir: &Path) -> Result<Self, RecordsError> {
        let file = dir.join(FILE);
        check_regular(&file)?;
        match file.try_exists() {
            Ok(true) => Self::open_file(file)?.ok_or_else(|| RecordsError::NotFound { path: dir.to_owned() }),
            Ok(false) => Err(RecordsError::NotFound { path: dir.to_owned() }),
            Err(source) => Err(RecordsError::io(&file, "opening the records", source)),
        }
    }

    /// Opens a records file for reading; `None` where nothing was ever written to it.
    pub(crate) fn open_file(file: PathBuf) -> Result<Option<Self>, RecordsError> {
        let connection = open_reading(&file)?;
        let Some(version) = version(&connection, &file)? else { return Ok(None) };
        if version < schema::CHECKED {
            migration::check_pages(&connection, &file)?;
        }
        Self::load(connection, file, version, None).map(Some)
    }

    fn load(
        connection: Connection,
        file: PathBuf,
        version: i64,
        lock: Option<File>,
    ) -> Result<Self, RecordsError> {
        let header = header::read(&connection, &file, version)?;
        let goldens: BTreeMap<_, _> = golden::read(&connection, &file, version)?
            .into_iter()
            .map(|golden| (golden.subject.clone(), golden))
            .collect();
        let cells: BTreeMap<_, _> = cell::read(&connection, &file, version)?.into_iter().collect();
        if let Some(cell) = cells.values().find(|cell| !goldens.contains_key(&cell.key.subject())) {
            return Err(RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) });
        }
        let protections = protection::read(&connection, &file, version)?
            .into_iter()
            .map(|cost| (cost.subject.clone(), cost))
            .collect();
        let ids: BTreeMap<_, _> = cells.iter().map(|(id, cell)| (cell.key.clone(), *id)).collect();
        if ids.len() != cells.len() {
            return Err(RecordsError::Damaged {
                path: file,
                place: "cells".to_owned(),
                reason: "a cell is there twice".to_owned(),
            });
        }
        Ok(Self { connection, file, version, lock, header, goldens, protections, cells, ids })
    }

    /// Reads every trial, and so compares every row with its checksum.
    pub fn verify(&self) -> Result<(), RecordsError> {
        for id in self.cells.keys() {
            self.each_trial(*id, |_| Ok::<_, RecordsError>(()))?;
        }
        self.trial_count().map(|_| ())
    }

    fn write_header(&mut self, header: &Header) -> Result<(), RecordsError> {
        self.connection
            .transaction()
            .and_then(|transaction| {
                header::write(&transaction, header)?;
                transaction.commit()
            })
            .map_err(|source| RecordsError::sqlite(&self.file, "writing the header", source))?;
        self.header = header::read(&self.connection, &self.file, self.version)?;
        Ok(())
    }

    /// Ends writing: everything is in the one file [`FILE`], which can be read from a read-only medium.
    pub fn close(self) -> Result<(), RecordsError> {
        let Self { connection, file, lock, .. } = self;
        if lock.is_some() {
            // A reader may hold the file at this moment; then it stays in its present form, which is as good.
            match connection.pragma_update(None, "journal_mode", "DELETE") {
                Err(source) if !is_busy(&source) => {
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
        let mut golden = golden.clone();
        if let Some(recorded) = self.goldens.get(&golden.subject) {
            recorded.check_same(&golden)?;
            let mut refreshed = recorded.clone();
            if !refreshed.refresh(&golden) {
                return Ok(());
            }
            golden = refreshed;
        }
        self.in_transaction("a golden run", |connection, file| golden::write(connection, file, &golden))?;
        self.goldens.insert(golden.subject.clone(), golden);
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
        self.write_protection(cost.clone())
    }

    /// Records the bounds that calibration found for a protection whose cost is on record without any.
    pub fn put_bounds(&mut self, subject: &SubjectKey, bounds: Option<String>) -> Result<(), RecordsError> {
        match self.protections.get(subject) {
            Some(cost) if cost.bounds.is_none() && bounds.is_some() => {
                self.write_protection(ProtectionCost { bounds, ..cost.clone() })
            }
            _ => Ok(()),
        }
    }

    fn write_protection(&mut self, cost: ProtectionCost) -> Result<(), RecordsError> {
        self.in_transaction("a protection", |connection, file| protection::write(connection, file, &cost))?;
        self.protections.insert(cost.subject.clone(), cost);
        Ok(())
    }

    /// Runs one change of a small table and of its sum, both or neither.
    fn in_transaction(
        &mut self,
        what: &'static str,
        change: impl FnOnce(&Connection, &Path) -> Result<(), RecordsError>,
    ) -> Result<(), RecordsError> {
        self.check_writable(what)?;
        let failed = |source| RecordsError::sqlite(&self.file, "writing the records", source);
        let transaction = self.connection.transaction().map_err(failed)?;
        change(&transaction, &self.file)?;
        transaction.commit().map_err(failed)
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
        let next = CellId(self.cells.keys().next_back().map_or(1, |last| last.0 + 1));
        let id = self.cell_id(&cell.key).unwrap_or(next);
        self.in_transaction("a cell", |connection, file| cell::write(connection, file, id, cell))?;
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
        for trials in trials.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((id, _)) = trials.first() else { continue };
            let cell = cells.get(id).ok_or(RecordsError::UnknownCell { id: *id })?;
            let golden = goldens
                .get(&cell.key.subject())
                .ok_or_else(|| RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) })?;
            append_in(&transaction, file, (*id, cell), golden, trials.iter().map(|(_, trial)| trial))?;
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
        let count = |sql: &str| -> Result<u64, RecordsError> {
            self.connection
                .query_row(sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
                .map_err(|source| self.failed("counting trials", source))
        };
        let there = count("SELECT count(*) FROM trials")?;
        if self.version >= schema::CHECKED {
            let written = count("SELECT ifnull(sum(rows), 0) FROM checks WHERE part = 'trials'")?;
            if written != there {
                return Err(RecordsError::Damaged {
                    path: self.file.clone(),
                    place: "trials".to_owned(),
                    reason: format!("it has {there} rows, and {written} were written"),
                });
            }
        }
        Ok(there)
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
        trial::each(&self.connection, (&self.file, self.version), cell, golden, None, take)
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

/// Records trials of one cell; a chip that is there already must have the same result.
pub(crate) fn append_in<'a>(
    connection: &Connection,
    file: &Path,
    (id, cell): (CellId, &Cell),
    golden: &Golden,
    trials: impl IntoIterator<Item = &'a Trial>,
) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "writing trials", source);
    let marks = |count: usize| vec!["?"; count].join(", ");
    let mut insert_trial = connection
        .prepare_cached(&format!(
            "INSERT INTO trials VALUES ({}) ON CONFLICT (cell, chip) DO NOTHING",
            marks(trial::COLUMNS + 1)
        ))
        .map_err(failed)?;
    let mut insert_scores = connection
        .prepare_cached(&format!("INSERT INTO scores VALUES ({})", marks(3 + score::COUNT)))
        .map_err(failed)?;
    let numbers = score::numbers(&golden.scores);
    let mut checksum = Checksum::default();
    let mut sum = Sum::of_trials(id, schema::VERSION);
    for trial in trials {
        let rows = TrialRows::of(id, trial, (golden, &numbers), &mut checksum)?;
        if insert_trial.execute(params_from_iter(rows.trial)).map_err(failed)? == 0 {
            let mut recorded = None;
            trial::each(connection, (file, schema::VERSION), id, golden, Some(trial.chip), |trial| {
                recorded = Some(trial);
                Ok::<_, RecordsError>(())
            })?;
            let recorded = recorded.ok_or_else(|| RecordsError::Damaged {
                path: file.to_owned(),
                place: "trials".to_owned(),
                reason: format!("chip {} of cell {id} is refused and not there", trial.chip),
            })?;
            recorded.check_same(trial, &cell.key)?;
            continue;
        }
        sum.add(rows.checksum);
        if let Some(scores) = rows.scores {
            insert_scores.execute(params_from_iter(scores)).map_err(failed)?;
        }
        for row in rows.metrics {
            connection
                .prepare_cached("INSERT INTO metrics VALUES (?, ?, ?, ?)")
                .and_then(|mut insert| insert.execute(params_from_iter(row)))
                .map_err(failed)?;
        }
    }
    checks::add(connection, sum).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use radhard_metrics::{Observed, ScoreOptions, TrialScores};

    use super::*;
    use crate::metric::Metrics;
    use crate::trial::{Noticed, Path as TrialPath};

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
            trials_planned: None,
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
                baseline: None,
                auc_ci: None,
                metrics: Metrics::default(),
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
                metrics: Metrics::default(),
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
