//! What can go wrong with records.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::ffi;

use crate::cell::{CellId, CellKey};
use crate::golden::SubjectKey;
use crate::header::Difference;

/// What keeps records from being written, continued or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The directory was written for another plan.
    #[error("{} holds the records of another plan: {}", path.display(), list(differences))]
    OtherPlan {
        /// The records file.
        path: PathBuf,
        /// Every key that differs.
        differences: Vec<Difference>,
    },
    /// Another process is writing to the directory.
    #[error("{} is being written by another process", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// There are no records in the directory.
    #[error("{} holds no records: there is no {} in it", path.display(), crate::FILE)]
    NotFound {
        /// The directory.
        path: PathBuf,
    },
    /// The file is of another program, or no database at all.
    #[error("{} is not a records file: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
    /// The file is of another version of the schema.
    #[error(
        "{} has records schema {found}, this program reads {} to {known}: use a radhard that knows it",
        path.display(), crate::schema::OLDEST
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Version that is understood.
        known: i64,
    },
    /// A value in the file is none that this program writes, or the file is cut short.
    #[error(
        "{} is damaged at {place}: {reason}; use a copy of it, or run the plan into another directory",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Table and column, or what was read.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process reads records of an older schema, which are to be rewritten.
    #[error("{} is being read by another process, and is to be rewritten in a newer schema: try again when it has ended",
        path.display())]
    BeingRead {
        /// The file.
        path: PathBuf,
    },
    /// Where a copy of the records in their older schema is to be kept, another file stands.
    #[error(
        "{} is there and is no copy of the records of schema {version} that are to be rewritten: move it away",
        path.display()
    )]
    CopyThere {
        /// The other file.
        path: PathBuf,
        /// The older schema.
        version: i64,
    },
    /// A killed process left a log that cannot be read where it lies.
    #[error(
        "{} was left by a process that was killed, and its log can be read only where the directory can be written: \
         copy the directory",
        path.display()
    )]
    LogLeft {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full; what was being written is not in the file.
    #[error("no space left for {} ({action})", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
    },
    /// The file system has no locks.
    #[error(
        "{} is on a file system without locks ({action}), and records need them: give --out a directory on a local disk, and copy it \
         when the campaign is done",
        path.display()
    )]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// The action that failed.
        action: &'static str,
    },
    /// The file or its directory cannot be written.
    #[error("{} cannot be written ({action}): it, or its directory, is read-only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
    },
    /// The operating system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// SQLite refused for another reason.
    #[error("{}: {action}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A chip of a cell is recorded already, with another result.
    #[error(
        "chip {chip} of cell ({cell}) is recorded with {score} {recorded} and now gives {offered}: \
         a trial must always give the same result"
    )]
    Conflict {
        /// The cell.
        cell: Box<CellKey>,
        /// The chip.
        chip: u64,
        /// The first score that differs.
        score: &'static str,
        /// What is recorded.
        recorded: String,
        /// What was offered.
        offered: String,
    },
    /// The golden run of a subject gave another result than the recorded one.
    #[error("the golden run of {subject} is recorded with {what} {recorded} and now has {offered}")]
    GoldenChanged {
        /// Model, data set and protection.
        subject: Box<SubjectKey>,
        /// What differs.
        what: &'static str,
        /// What is recorded.
        recorded: String,
        /// What was offered.
        offered: String,
    },
    /// A cell is recorded with other facts.
    #[error("cell ({cell}) is recorded with {what} {recorded} and now has {offered}")]
    CellChanged {
        /// The cell.
        cell: Box<CellKey>,
        /// What differs.
        what: &'static str,
        /// What is recorded.
        recorded: String,
        /// What was offered.
        offered: String,
    },
    /// A cell was put before its golden run.
    #[error("cell ({cell}) has no golden run: put the golden run of {} first", cell.subject())]
    GoldenMissing {
        /// The cell.
        cell: Box<CellKey>,
    },
    /// No cell has this number in this directory.
    #[error("cell number {id} is not in these records")]
    UnknownCell {
        /// The number.
        id: CellId,
    },
    /// A whole number is larger than the file can hold.
    #[error("{what} {value} is above {}, the largest that records hold", crate::fields::LARGEST)]
    TooLarge {
        /// What it counts.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// A rate is not a number.
    #[error("bit error rate {value} of cell ({cell}) is outside [0, 1]")]
    Rate {
        /// The cell.
        cell: Box<CellKey>,
        /// Its rate.
        value: f64,
    },
}

/// SQLite's codes where the file system refuses to lock or to share memory.
const LOCKING: [i32; 6] = [
    ffi::SQLITE_IOERR_LOCK,
    ffi::SQLITE_IOERR_RDLOCK,
    ffi::SQLITE_IOERR_UNLOCK,
    ffi::SQLITE_IOERR_CHECKRESERVEDLOCK,
    ffi::SQLITE_IOERR_SHMLOCK,
    ffi::SQLITE_IOERR_SHMMAP,
];

/// Whether the system refuses to lock a file at all, which SQLite tells as a lock that another holds.
fn lacks_locks(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::Error(_))))
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl RecordsError {
    /// Sorts what SQLite said of `path` into the cases that a user can act upon.
    pub(crate) fn sqlite(path: &Path, action: &'static str, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        match source.sqlite_error().map_or(0, |error| error.extended_code) {
            code if LOCKING.contains(&code) => return Self::NoLocks { path, action },
            // The index of the log has no room to grow.
            ffi::SQLITE_IOERR_SHMSIZE => return Self::Full { path, action },
            _ => {}
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) if lacks_locks(&path) => {
                Self::NoLocks { path, action }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path, action },
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied,
            ) => Self::ReadOnly { path, action },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::NotADatabase) => {
                Self::Foreign { path, reason: "it is no SQLite file".to_owned() }
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                place: action.to_owned(),
                reason: "the database is malformed or cut short".to_owned(),
            },
            // Statements are fixed, so that only a damaged schema can make one wrong.
            None if matches!(source, rusqlite::Error::SqlInputError { .. }) => {
                let reason = match source {
                    rusqlite::Error::SqlInputError { msg, .. } => msg,
                    other => other.to_string(),
                };
                Self::Damaged { path, place: "the schema".to_owned(), reason }
            }
            // Errors without a code of SQLite: a value that is not of the type that its column holds.
            None if !matches!(source, rusqlite::Error::InvalidPath(_)) => {
                Self::Damaged { path, place: action.to_owned(), reason: source.to_string() }
            }
            _ => Self::Sqlite { path, action, source },
        }
    }

    /// Sorts what the operating system said of `path` into the cases that a user can act upon.
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path, action },
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly { path, action },
            _ => Self::Io { path, action, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_of_locks_and_of_a_full_disk_is_named_as_that() {
        let told = |code: i32| {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            RecordsError::sqlite(Path::new("a"), "writing", source)
        };
        for code in LOCKING {
            let error = told(code);
            assert!(error.to_string().contains("without locks (writing)"), "{error}");
        }
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            assert!(matches!(told(code), RecordsError::Full { .. }));
        }
        assert!(matches!(told(ffi::SQLITE_BUSY), RecordsError::Busy { .. }));
        assert!(matches!(told(ffi::SQLITE_IOERR_READ), RecordsError::Sqlite { .. }));
    }
}
