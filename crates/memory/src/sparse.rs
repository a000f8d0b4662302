//! Copies of files in which holes stay holes, and what the system is told about how a file is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::{read_at, write_at};

/// Bytes of a run that are read and written through memory: for short runs, the call that copies within the system waits for the disk.
const SHORT: u64 = 1 << 20;

/// How a file is going to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Here and there: reading ahead would be in vain.
    Scattered,
}

/// Tells the system how a file is going to be read; where it takes no advice, nothing happens.
pub fn advise(file: &File, advice: Advice) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let Advice::Scattered = advice;
        // SAFETY: the descriptor is open for as long as `file` is borrowed; the call reads no memory of this process and changes no
        // byte of the file.
        let _ = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, advice);
}

/// Copies bytes `from` a file to a place in another; what is a hole in the first is not written, so that it is one in the second,
/// which must have nothing there yet and gets its full length.
///
/// Where the system does not tell holes, all bytes are written.
///
/// # Errors
/// If the system can't read or write, or the file ends before.
pub fn copy_sparse(from: &File, bytes: Range<u64>, to: &File, at: u64) -> io::Result<()> {
    let length = bytes.end.saturating_sub(bytes.start);
    to.set_len(at + length)?;
    let (mut source, mut target) = (from, to);
    let mut buffer = Vec::new();
    let mut start = bytes.start;
    while start < bytes.end {
        let Some(data) = next_data(from, start..bytes.end)? else { break };
        if data.end - data.start <= SHORT {
            buffer.resize((data.end - data.start) as usize, 0);
            read_at(from, data.start, &mut buffer)?;
            write_at(to, at + (data.start - bytes.start), &buffer)?;
            start = data.end;
            continue;
        }
        source.seek(SeekFrom::Start(data.start))?;
        target.seek(SeekFrom::Start(at + (data.start - bytes.start)))?;
        let wanted = data.end - data.start;
        let copied = io::copy(&mut Read::take(&mut source, wanted), &mut target)?;
        if copied < wanted {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was copied",
            ));
        }
        start = data.end;
    }
    Ok(())
}

/// The first run of bytes in a range that are no hole; none where the rest is one.
#[cfg(target_os = "linux")]
fn next_data(file: &File, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
    use std::os::fd::AsRawFd;
    let seek = |from: u64, what| {
        let from = libc::off64_t::try_from(from).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open for as long as `file` is borrowed; the call moves its offset, which every reader and writer of
        // this file sets anew.
        let found = unsafe { libc::lseek64(file.as_raw_fd(), from, what) };
        u64::try_from(found).map_err(|_| io::Error::last_os_error())
    };
    let start = match seek(range.start, libc::SEEK_DATA) {
        Ok(start) if start >= range.end => return Ok(None),
        Ok(start) => start,
        // No data from there on; or the file ends before, which the copy finds out.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            let ends = file.metadata()?.len();
            return Ok((ends < range.end).then_some(range));
        }
        // A file system that does not tell holes.
        Err(_) => return Ok(Some(range)),
    };
    let end = seek(start, libc::SEEK_HOLE).unwrap_or(range.end).min(range.end);
    Ok(Some(start..end.max(start + 1)))
}

#[cfg(not(target_os = "linux"))]
fn next_data(_: &File, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sparse(dir: &tempfile::TempDir, length: u64, data: &[(u64, &[u8])]) -> File {
        let path = dir.path().join("from");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.set_len(length).unwrap();
        for (at, bytes) in data {
            file.seek(SeekFrom::Start(*at)).unwrap();
            file.write_all(bytes).unwrap();
        }
        file.sync_all().unwrap();
        file
    }

    #[test]
    fn a_copy_has_the_bytes_of_the_range_at_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let from = sparse(&dir, 3_000_000, &[(5, b"one"), (1_000_000, b"two"), (2_999_997, b"end")]);
        let path = dir.path().join("to");
        let to = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        (&to).write_all(b"head").unwrap();
        copy_sparse(&from, 5..3_000_000, &to, 4).unwrap();
        let copied = std::fs::read(&path).unwrap();
        let original = std::fs::read(dir.path().join("from")).unwrap();
        assert_eq!(&copied[..4], b"head");
        assert_eq!(copied[4..], original[5..]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn holes_of_a_file_stay_holes_where_the_file_system_has_them() {
        use std::os::unix::fs::MetadataExt;

        let dir = tempfile::tempdir().unwrap();
        let from = sparse(&dir, 1 << 30, &[(1 << 29, b"data")]);
        let path = dir.path().join("to");
        let to = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        copy_sparse(&from, 0..1 << 30, &to, 0).unwrap();
        let disk = |file: &File| file.metadata().unwrap().blocks() * 512;
        assert_eq!(to.metadata().unwrap().len(), 1 << 30);
        assert!(disk(&to) <= disk(&from) + (1 << 20), "{} of {}", disk(&to), disk(&from));
        let mut bytes = [0; 4];
        crate::read_at(&to, 1 << 29, &mut bytes).unwrap();
        assert_eq!(&bytes, b"data");
    }

    #[test]
    fn a_file_that_ends_before_the_range_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let from = sparse(&dir, 100, &[(0, b"data")]);
        let to = tempfile::tempfile().unwrap();
        assert_eq!(copy_sparse(&from, 0..101, &to, 0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
