//! Files read and written by calls at places, never through a map: what is not touched costs nothing, and a full disk is an error.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::mapped::open_regular;
use crate::{Advice, MapError, advise};

/// A regular file that is read and written at places.
///
/// The system is told that reads are scattered, so that it does not read ahead.
#[derive(Debug)]
pub struct Positioned {
    file: File,
    path: PathBuf,
}

/// Why a file could not be locked for one process alone.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has the lock.
    #[error("another process is changing {}; wait until it has ended", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file system has no locks, or gives none.
    #[error("the file system of {} gives no lock ({source}); write a copy with --out instead, or move the file to a local disk", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Positioned {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// If it is missing, not a regular file, or can't be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MapError> {
        Self::with(path.as_ref(), OpenOptions::new().read(true))
    }

    /// Opens a regular file for reading and writing.
    ///
    /// # Errors
    /// If it is missing, not a regular file, or can't be written.
    pub fn open_writable(path: impl AsRef<Path>) -> Result<Self, MapError> {
        Self::with(path.as_ref(), OpenOptions::new().read(true).write(true))
    }

    fn with(path: &Path, options: &OpenOptions) -> Result<Self, MapError> {
        let file = open_regular(path, options)?;
        advise(&file, Advice::Scattered);
        Ok(Self { file, path: path.to_owned() })
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Takes the lock of the file for this process alone, until this value is dropped.
    ///
    /// # Errors
    /// If another process holds it, or the file system has no locks.
    pub fn lock(&self) -> Result<(), LockError> {
        let path = || self.path.clone();
        match self.file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { path: path() }),
            Err(TryLockError::Error(source)) => Err(LockError::Unsupported { path: path(), source }),
        }
    }

    /// Whether the path still names this file: no other was renamed to it since it was opened.
    ///
    /// Where the system does not number files, it is taken to be so.
    pub fn is_still_there(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let number = |data: fs::Metadata| (data.dev(), data.ino());
            let (opened, named) = (self.file.metadata().map(number), fs::metadata(&self.path).map(number));
            matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
        }
        #[cfg(not(unix))]
        {
            fs::metadata(&self.path).is_ok()
        }
    }
}

/// Reads bytes at a place.
///
/// # Errors
/// If the system can't read them, or the file ends before.
pub fn read_at(file: &File, start: u64, into: &mut [u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, into, start)
    }
    #[cfg(not(unix))]
    {
        use std::io::{Read, Seek};
        let mut file = file;
        file.seek(io::SeekFrom::Start(start))?;
        file.read_exact(into)
    }
}

/// Writes bytes at a place.
///
/// # Errors
/// If the system can't write them all; a full disk is [`io::ErrorKind::StorageFull`].
pub fn write_at(file: &File, start: u64, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, start)
    }
    #[cfg(not(unix))]
    {
        use std::io::{Seek, Write};
        let mut file = file;
        file.seek(io::SeekFrom::Start(start))?;
        file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_and_written_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"0123456789").unwrap();
        let file = Positioned::open_writable(&path).unwrap();
        write_at(file.file(), 3, b"xy").unwrap();
        let mut read = [0; 4];
        read_at(file.file(), 2, &mut read).unwrap();
        assert_eq!(&read, b"2xy5");
        assert_eq!(read_at(file.file(), 8, &mut read).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(fs::read(&path).unwrap(), b"012xy56789");
    }

    #[test]
    fn a_file_opened_for_reading_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"bits").unwrap();
        let file = Positioned::open(&path).unwrap();
        assert!(write_at(file.file(), 0, b"x").is_err());
        assert!(matches!(Positioned::open(dir.path()).unwrap_err(), MapError::NotAFile { .. }));
        assert!(matches!(Positioned::open(dir.path().join("b")).unwrap_err(), MapError::Open { .. }));
    }

    #[test]
    fn the_second_lock_of_a_file_is_refused_by_name_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"bits").unwrap();
        let (first, second) =
            (Positioned::open_writable(&path).unwrap(), Positioned::open_writable(&path).unwrap());
        first.lock().unwrap();
        let error = second.lock().unwrap_err();
        assert!(matches!(error, LockError::Held { .. }));
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        drop(first);
        second.lock().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_replaced_is_no_longer_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"old").unwrap();
        let file = Positioned::open(&path).unwrap();
        assert!(file.is_still_there());
        fs::write(dir.path().join("b"), b"new").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert!(!file.is_still_there());
        fs::remove_file(&path).unwrap();
        assert!(!file.is_still_there());
    }
}
