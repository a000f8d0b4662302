//! The door for files: what a path leads to, and how much it is, are looked at before anything is read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::available::need;
use crate::is_stream;

/// Opens a regular file for reading; a directory, a pipe or a device is refused without being opened.
///
/// # Errors
/// If it cannot be opened, or is no regular file.
pub fn open_regular(path: impl AsRef<Path>) -> io::Result<File> {
    // Looked at before it is opened: opening a pipe would wait for its other end.
    let path = path.as_ref();
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(not_regular("not a regular file")) }
}

/// Opens what bytes can be read from in their order: a regular file, a pipe or a character device; and its length, where it has one.
///
/// # Errors
/// If it cannot be opened, or is a directory, a socket or a disk.
pub fn open_stream(path: impl AsRef<Path>) -> io::Result<(File, Option<u64>)> {
    let path = path.as_ref();
    let found = fs::metadata(path)?;
    if !found.is_file() && !is_stream(found.file_type()) {
        return Err(not_regular("neither a regular file nor a pipe"));
    }
    Ok((File::open(path)?, found.is_file().then_some(found.len())))
}

/// The whole of a regular file of at most `most` bytes.
///
/// # Errors
/// If it cannot be read, is no regular file, is longer, or needs more memory than there is.
pub fn read_whole(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    let too_long = |length: u64| {
        io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {length} bytes; at most {most} are read"))
    };
    if length > most {
        return Err(too_long(length));
    }
    need(length).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(length as usize);
    // A file that grows meanwhile is bounded too.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_long(bytes.len() as u64)) } else { Ok(bytes) }
}

/// The text of a regular file of at most `most` bytes.
///
/// # Errors
/// As [`read_whole`], or if it is not UTF-8.
pub fn read_text(path: impl AsRef<Path>, most: u64) -> io::Result<String> {
    String::from_utf8(read_whole(path, most)?).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()),
        )
    })
}

fn not_regular(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "four").unwrap();
        assert_eq!(read_whole(&path, 4).unwrap(), b"four");
        assert_eq!(read_text(&path, 9).unwrap(), "four");
        assert_eq!(read_whole(&path, 3).unwrap_err().to_string(), "it has 4 bytes; at most 3 are read");
        fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_text(&path, 9).unwrap_err().to_string(), "not UTF-8 at byte 2");
        assert_eq!(open_stream(&path).unwrap().1, Some(3));
        assert_eq!(read_whole(dir.path(), 9).unwrap_err().to_string(), "not a regular file");
        assert!(open_stream(dir.path()).is_err() && open_regular(dir.path().join("no")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_streams_and_no_regular_files() {
        for device in ["/dev/zero", "/dev/null"] {
            assert_eq!(read_whole(device, 16).unwrap_err().to_string(), "not a regular file");
            assert_eq!(open_stream(device).unwrap().1, None);
        }
    }
}
