//! The file: locked for one writer, opened for readers, made and recognised.

use std::fs::{File, TryLockError};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::RecordsError;
use crate::header::Header;
use crate::rows::write_header_in;
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
    if cannot_open(&opened) && has_log(file) {
        return Err(RecordsError::LogLeft { path: file.to_owned() });
    }
    opened.map_err(|source| RecordsError::sqlite(file, "opening the records", source))
}

fn cannot_open(opened: &rusqlite::Result<Connection>) -> bool {
    let refused = opened.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
    refused == Some(rusqlite::ErrorCode::CannotOpen)
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

/// Whether nothing was ever written to the file; a foreign file is an error.
pub(crate) fn is_empty(connection: &Connection, file: &Path) -> Result<bool, RecordsError> {
    let read = |sql: &str| -> rusqlite::Result<i64> { connection.query_row(sql, [], |row| row.get(0)) };
    let failed = |source| RecordsError::sqlite(file, "opening the records", source);
    let application = read("PRAGMA application_id").map_err(failed)?;
    let version = read("PRAGMA user_version").map_err(failed)?;
    let tables = read("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    check_whole_pages(read("PRAGMA page_size").map_err(failed)?, file)?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(true),
        (schema::APPLICATION, schema::VERSION) => Ok(false),
        (schema::APPLICATION, found) => {
            Err(RecordsError::SchemaVersion { path: file.to_owned(), found, known: schema::VERSION })
        }
        _ => Err(RecordsError::Foreign {
            path: file.to_owned(),
            reason: format!("it is a database with application id {application:#x}"),
        }),
    }
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
    write_header_in(&transaction, header)?;
    transaction.commit()
}

/// Commits go to a log beside the file: one append each, whole or not at all, and readers are not kept out.
pub(crate) fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")
}
