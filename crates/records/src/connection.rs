//! The file: locked for one writer, opened for readers, made and recognised.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::checks;
use crate::error::RecordsError;
use crate::fields::Fields;
use crate::header::{self, Header};
use crate::rows::each_row;
use crate::schema;

/// Locks the directory itself for one writer; the lock ends with the process, however it ends.
pub(crate) fn lock(dir: &Path) -> Result<File, RecordsError> {
    let handle = File::open(dir).map_err(|source| RecordsError::io(dir, "opening the directory", source))?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(RecordsError::Busy { path: dir.to_owned() }),
        // Where a directory cannot be locked two writers may meet: each chip is then still recorded once.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(handle),
    }
}

/// Refuses what is there and no regular file, before it is opened: opening a pipe would wait for its other end.
pub(crate) fn check_regular(file: &Path) -> Result<(), RecordsError> {
    match std::fs::metadata(file) {
        Ok(there) if !there.is_file() => {
            let reason = "it is not a regular file".to_owned();
            Err(RecordsError::Foreign { path: file.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

/// Opens for reading and holds the present state of the file until the connection ends.
pub(crate) fn open_reading(file: &Path) -> Result<Connection, RecordsError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let hold = |connection: Connection| {
        connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
        Ok(connection)
    };
    let mut opened = Connection::open_with_flags(file, flags).and_then(hold);
    // In a read-only directory SQLite cannot make the shared index of a write-ahead log. Without a log there is nothing that
    // the index would tell, and the file alone is the state.
    if cannot_open(&opened) && !has_log(file) {
        opened =
            Connection::open_with_flags(immutable(file), flags | OpenFlags::SQLITE_OPEN_URI).and_then(hold);
    }
    // A writer that was killed while it made or closed the file left a journal, which only a connection that may write takes back.
    if refused(&opened) == Some(rusqlite::ErrorCode::ReadOnly) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        opened = Connection::open_with_flags(file, flags).and_then(hold);
    }
    if cannot_open(&opened) && has_log(file) {
        return Err(RecordsError::LogLeft { path: file.to_owned() });
    }
    opened.map_err(|source| RecordsError::sqlite(file, "opening the records", source))
}

fn cannot_open(opened: &rusqlite::Result<Connection>) -> bool {
    refused(opened) == Some(rusqlite::ErrorCode::CannotOpen)
}

fn refused(opened: &rusqlite::Result<Connection>) -> Option<rusqlite::ErrorCode> {
    opened.as_ref().err().and_then(rusqlite::Error::sqlite_error_code)
}

/// Whether another connection has the file.
pub(crate) fn is_busy(source: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(source.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

/// Whether a write-ahead log with anything in it lies beside the file.
fn has_log(file: &Path) -> bool {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// The address under which SQLite opens a file as one that nobody changes.
fn immutable(file: &Path) -> String {
    let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?immutable=1")
}

/// The schema of the file; `None` where nothing was ever written to it. A foreign file is an error.
pub(crate) fn version(connection: &Connection, file: &Path) -> Result<Option<i64>, RecordsError> {
    let read = |sql: &str| -> rusqlite::Result<i64> { connection.query_row(sql, [], |row| row.get(0)) };
    let failed = |source| RecordsError::sqlite(file, "opening the records", source);
    let application = read("PRAGMA application_id").map_err(failed)?;
    let version = read("PRAGMA user_version").map_err(failed)?;
    let tables = read("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    check_whole_pages(read("PRAGMA page_size").map_err(failed)?, file)?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(None),
        (schema::APPLICATION, schema::VERSION) => check_schema(connection, file).map(|()| Some(version)),
        (schema::APPLICATION, found @ schema::OLDEST..schema::VERSION) => Ok(Some(found)),
        (schema::APPLICATION, found) => {
            Err(RecordsError::SchemaVersion { path: file.to_owned(), found, known: schema::VERSION })
        }
        _ => Err(RecordsError::Foreign {
            path: file.to_owned(),
            reason: format!("it is a database with application id {application:#x}"),
        }),
    }
}

/// Every table, index and view must be made by the statement that makes it here; a user may have added others.
fn check_schema(connection: &Connection, file: &Path) -> Result<(), RecordsError> {
    let mut found = BTreeMap::new();
    let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
    each_row(connection, file, ("reading the schema", sql), |row| {
        let fields = Fields { row, file, table: "sqlite_schema", key: &String::new };
        found.insert(fields.text(0, "name")?.to_owned(), fields.text(1, "sql")?.to_owned());
        Ok::<_, RecordsError>(())
    })?;
    let unlike = schema::objects().into_iter().find(|(name, sql)| found.get(*name) != Some(sql));
    unlike.map_or(Ok(()), |(name, _)| {
        Err(RecordsError::Damaged {
            path: file.to_owned(),
            place: format!("the definition of {name}"),
            reason: "it is not that of this schema version".to_owned(),
        })
    })
}

/// SQLite reads a last page that is cut short as if zeros followed; here it is damage. A log may hold the page whole.
fn check_whole_pages(page_bytes: i64, file: &Path) -> Result<(), RecordsError> {
    let length = std::fs::metadata(file)
        .map_err(|source| RecordsError::io(file, "opening the records", source))?
        .len();
    if has_log(file) || length.is_multiple_of(page_bytes.cast_unsigned()) {
        return Ok(());
    }
    Err(RecordsError::Damaged {
        path: file.to_owned(),
        place: format!("byte {length}"),
        reason: format!("the file ends inside a page of {page_bytes} bytes"),
    })
}

/// Makes the tables and the header, all at once.
pub(crate) fn begin(connection: &mut Connection, header: &Header) -> rusqlite::Result<()> {
    write_ahead(connection)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(&schema::create())?;
    header::write(&transaction, header)?;
    for table in schema::SMALL {
        checks::seal(&transaction, table)?;
    }
    transaction.commit()
}

/// Commits go to a log beside the file: one append each, whole or not at all, and readers are not kept out.
pub(crate) fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")
}
