//! Files seen as bytes in memory, read-only or changed there alone.
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::signals::Watched;

/// Why a file could not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file could not be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path names a directory or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be mapped into memory.
    #[error("cannot map {} into memory: {source}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file mapped read-only.
#[derive(Debug)]
pub struct Mapped {
    /// Before the map, so that it ends first.
    _watched: Watched,
    map: Mmap,
    file: File,
}

impl Mapped {
    /// Maps the file at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MapError> {
        let path = path.as_ref();
        let file = open_regular(path, OpenOptions::new().read(true))?;
        // SAFETY: the map is read-only and lives no longer than this value. The contract of memmap2 is that the
        // file is not changed while it is mapped: radhard never writes into a file that it reads through `Mapped`,
        // it replaces files by rename, which leaves the mapped bytes as they were.
        let map = unsafe { Mmap::map(&file) };
        match map {
            Ok(map) => Ok(Self { _watched: Watched::new(&map, path), map, file }),
            Err(source) => Err(MapError::Map { path: path.to_owned(), source }),
        }
    }

    /// Reads bytes by a call instead of the map, so that their pages are the system's alone: what is read so never counts as
    /// memory of this process.
    ///
    /// Where the system has no such call, the bytes are copied from the map.
    ///
    /// # Errors
    /// If the system cannot read them, or the file ends before.
    pub fn read_at(&self, start: usize, into: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        {
            std::os::unix::fs::FileExt::read_exact_at(&self.file, into, start as u64)
        }
        #[cfg(not(unix))]
        {
            let end = start.checked_add(into.len());
            let bytes = end.and_then(|end| self.map.get(start..end)).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.copy_from_slice(bytes);
            Ok(())
        }
    }

    /// Tells the system that reads are scattered, so that a page that is read brings no others with it.
    pub fn scattered(&self) {
        #[cfg(unix)]
        // Where the system takes no advice, it reads ahead.
        let _ = self.map.advise(memmap2::Advice::Random);
    }

    /// Gives the memory of a range back to the system; whoever reads it again finds it as it was.
    ///
    /// For files that are read once, piece by piece: what was read no longer counts as this process's memory. Where the system
    /// refuses, nothing happens.
    pub fn release(&self, range: Range<usize>) {
        if range.start >= range.end || range.end > self.map.len() {
            return;
        }
        #[cfg(unix)]
        // SAFETY: the map is read-only and of a file that is not changed while it is mapped, so that pages which are dropped are read
        // from it again with the same bytes; no reference into the map can see another value.
        let _ = unsafe {
            self.map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                range.start,
                range.end - range.start,
            )
        };
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

/// The bytes of a file to be changed in memory: what is stored in them never reaches the file.
///
/// Files themselves are written by calls ([`write_at`](crate::write_at)): through a map, a full disk would end the process.
#[derive(Debug)]
pub struct MappedMut {
    /// Before the map, so that it ends first.
    _watched: Watched,
    map: MmapMut,
}

impl MappedMut {
    /// Maps the file at `path` privately: what is changed in the bytes stays in memory, page by page, and never reaches it.
    pub fn open_private(path: impl AsRef<Path>) -> Result<Self, MapError> {
        let path = path.as_ref();
        let file = open_regular(path, OpenOptions::new().read(true))?;
        // SAFETY: as for `Mapped`: the file keeps its bytes while it is mapped; changed pages are this process's own.
        // No memory is set aside for it: a file may be larger than memory, and pages are copied only as they are changed.
        let map = unsafe { MmapOptions::new().no_reserve_swap().map_copy(&file) };
        map.map(|map| Self { _watched: Watched::new(&map, path), map })
            .map_err(|source| MapError::Map { path: path.to_owned(), source })
    }
}

impl MappedMut {
    /// Tells the system that reads are scattered, so that a page that is read brings no others with it.
    pub fn scattered(&self) {
        #[cfg(unix)]
        // Where the system takes no advice, it reads ahead.
        let _ = self.map.advise(memmap2::Advice::Random);
    }
}

impl Deref for MappedMut {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl DerefMut for MappedMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }
}

pub(crate) fn open_regular(path: &Path, options: &OpenOptions) -> Result<File, MapError> {
    // Looked at before it is opened: opening a pipe would wait for its other end.
    let metadata =
        std::fs::metadata(path).map_err(|source| MapError::Open { path: path.to_owned(), source })?;
    if !metadata.is_file() {
        return Err(MapError::NotAFile { path: path.to_owned() });
    }
    options.open(path).map_err(|source| MapError::Open { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_has_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"bits").unwrap();
        assert_eq!(&*Mapped::open(&path).unwrap(), b"bits");
    }

    #[test]
    fn bytes_are_the_same_read_by_a_call_and_after_their_pages_were_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0..100_000_u32).map(|place| (place % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let map = Mapped::open(&path).unwrap();
        for range in [0..100_000, 5000..9000, 99_999..100_000, 0..0, 7..100_001] {
            map.release(range);
            assert_eq!(&*map, bytes);
        }
        let mut some = [0; 5000];
        map.read_at(70_001, &mut some).unwrap();
        assert_eq!(some[..], bytes[70_001..75_001]);
        assert_eq!(map.read_at(95_001, &mut some).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Mapped::open(&path).unwrap().len(), 0);
        assert_eq!(MappedMut::open_private(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_replaced_file_leaves_the_mapped_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"old").unwrap();
        let map = Mapped::open(&path).unwrap();
        crate::write_atomically(&path, |w| io::Write::write_all(w, b"new")).unwrap();
        assert_eq!(&*map, b"old");
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = Mapped::open(&missing).unwrap_err();
        assert!(matches!(error, MapError::Open { .. }));
        assert!(error.to_string().contains("missing"), "{error}");
        assert!(matches!(Mapped::open(dir.path()).unwrap_err(), MapError::NotAFile { .. }));
        assert!(matches!(MappedMut::open_private(dir.path()).unwrap_err(), MapError::NotAFile { .. }));
    }

    #[test]
    fn a_private_map_never_reaches_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, [1, 2, 3]).unwrap();
        let mut map = MappedMut::open_private(&path).unwrap();
        map[0] = 9;
        assert_eq!(&map[..], [9, 2, 3]);
        drop(map);
        assert_eq!(std::fs::read(&path).unwrap(), [1, 2, 3]);
    }
}
