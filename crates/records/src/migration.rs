//! Older schemas: read as they are, and rewritten in one transaction when a campaign continues, with a copy kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use radhard_memory::write_atomically;
use rusqlite::{Connection, TransactionBehavior};

use crate::cell::{self, CellId};
use crate::checks;
use crate::connection::is_busy;
use crate::error::RecordsError;
use crate::golden;
use crate::header;
use crate::protection;
use crate::schema;
use crate::store::{Store, append_in};
use crate::trial::Trial;

/// Trials that are rewritten at a time.
const PIECE: usize = 1 << 12;

/// Finds what an old schema, which has no checksums, can still tell of damage: pages and rows out of order, values of other types,
/// trials without their cell.
pub(crate) fn check_pages(connection: &Connection, file: &Path) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "checking the pages", source);
    let damaged =
        |place: String, reason: String| RecordsError::Damaged { path: file.to_owned(), place, reason };
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found != "ok" {
        return Err(damaged("its pages".to_owned(), found));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    match rows.next().map_err(failed)? {
        None => Ok(()),
        Some(row) => {
            let name = |at| row.get::<_, String>(at).unwrap_or_default();
            Err(damaged(name(0), format!("a row belongs to no row of {}", name(2))))
        }
    }
}

/// Rewrites the file in the present schema, in one transaction; the file as it was is kept as `records.sqlite.N`.
pub(crate) fn migrate(connection: &mut Connection, file: &Path, found: i64) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "rewriting the records", source);
    // Folds in what a killed process left in the log, so that the one file holds everything.
    match connection.pragma_update(None, "journal_mode", "DELETE") {
        Err(source) if is_busy(&source) => return Err(RecordsError::BeingRead { path: file.to_owned() }),
        result => result.map_err(failed)?,
    }
    let copy = keep(file, found)?;
    let old = Store::open_file(copy.clone())?.ok_or_else(|| RecordsError::NotFound { path: copy })?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    transaction
        .execute_batch(
            "DROP VIEW trial_scores; DROP INDEX cell_keys; DROP TABLE scores; DROP TABLE trials; DROP TABLE cells;
             DROP TABLE protections; DROP TABLE goldens; DROP TABLE identity; DROP TABLE header;",
        )
        .and_then(|()| transaction.execute_batch(&schema::create()))
        .and_then(|()| header::write(&transaction, old.header()))
        .map_err(failed)?;
    for golden in old.goldens() {
        golden::write(&transaction, file, golden)?;
    }
    for cost in old.protections() {
        protection::write(&transaction, file, cost)?;
    }
    for (id, cell) in old.cells() {
        cell::write(&transaction, file, id, cell)?;
        copy_trials(&old, id, &transaction, file)?;
    }
    for table in schema::SMALL {
        checks::seal(&transaction, table).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn copy_trials(old: &Store, id: CellId, connection: &Connection, file: &Path) -> Result<(), RecordsError> {
    let cell = old.cell(id).ok_or(RecordsError::UnknownCell { id })?;
    let missing = || RecordsError::GoldenMissing { cell: Box::new(cell.key.clone()) };
    let golden = old.golden(&cell.key.subject()).ok_or_else(missing)?;
    let mut piece: Vec<Trial> = Vec::new();
    old.each_trial(id, |trial| {
        piece.push(trial);
        if piece.len() < PIECE {
            return Ok(());
        }
        append_in(connection, file, (id, cell), golden, &std::mem::take(&mut piece))
    })?;
    append_in(connection, file, (id, cell), golden, &piece)
}

/// Keeps the file under its name with the number of its schema. A copy that is there already must be the same.
fn keep(file: &Path, version: i64) -> Result<PathBuf, RecordsError> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{version}"));
    let copy = PathBuf::from(name);
    let failed = |source| RecordsError::io(&copy, "keeping a copy", source);
    if copy.try_exists().map_err(failed)? {
        if !are_equal(file, &copy).map_err(failed)? {
            return Err(RecordsError::CopyThere { path: copy, version });
        }
        return Ok(copy);
    }
    write_atomically(&copy, |out| io::copy(&mut File::open(file)?, out).map(|_| ())).map_err(failed)?;
    Ok(copy)
}

/// Whether two files hold the same bytes.
fn are_equal(a: &Path, b: &Path) -> io::Result<bool> {
    let [mut a, mut b] = [File::open(a)?, File::open(b)?].map(|file| BufReader::with_capacity(1 << 16, file));
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let common = left.len().min(right.len());
        if common == 0 || left[..common] != right[..common] {
            return Ok(left.is_empty() && right.is_empty());
        }
        a.consume(common);
        b.consume(common);
    }
}
