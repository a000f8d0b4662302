//! Files that appear whole or not at all.
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::MappedMut;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A temporary file that is gone when this is dropped, unless it became the target.
struct Temporary {
    path: PathBuf,
    kept: bool,
    /// Held while the file is written: what nobody holds was left by a process that died.
    lock: Option<File>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing can be done about a temporary file that cannot be removed; the target is untouched.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Temporary {
    /// A name beside `path` that nothing else uses; the file is not there yet.
    fn beside(path: &Path) -> io::Result<Self> {
        // A rename would put a file in the place of a device, or fail only after all is written.
        if fs::metadata(path).is_ok_and(|target| !target.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is there and is not a regular file", path.display()),
            ));
        }
        let Some(name) = path.file_name() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} names no file", path.display()),
            ));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".");
        remove_orphans(directory_of(path), &hidden);
        hidden.push(format!("{}.{}.tmp", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        Ok(Self { path: directory_of(path).join(hidden), kept: true, lock: None })
    }

    /// Creates the file, which is removed from now on unless it becomes the target.
    fn create(&mut self) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&self.path)?;
        self.kept = false;
        // Where files can't be locked, orphans stay.
        self.lock = file.try_clone().ok().filter(|file| file.try_lock().is_ok());
        Ok(file)
    }

    /// Renames the file to `path`.
    fn become_target(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.kept = true;
        // The rename itself reaches the disk with its directory. Where a directory cannot be synced the system does so
        // in its own time: the file is whole either way.
        if let Ok(directory) = File::open(directory_of(path)) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

/// Removes the temporary files of this prefix that processes left when they were killed.
fn remove_orphans(directory: &Path, prefix: &OsStr) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (bytes, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
        if !(bytes.starts_with(prefix) && bytes.ends_with(b".tmp")) {
            continue;
        }
        if let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            // One that can't be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file beside `path`, brings it to the disk and renames it to `path`.
///
/// The file is open for reading too, so `write` can go back to what it wrote.
///
/// Errors: on any error, and on a panic in `write`, the temporary file is removed and `path` is what it was; a `path` that
/// is there and is not a regular file is refused before anything is written.
pub fn write_atomically<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let path = path.as_ref();
    let mut temporary = Temporary::beside(path)?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.create()?);
    let value = write(&mut writer)?;
    writer.flush()?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    temporary.become_target(path)?;
    Ok(value)
}

/// Copies the file `from` beside `to`, edits the copy in place as mapped bytes, and renames it to `to`.
///
/// The copy goes through the system, so memory holds only the pages that `edit` touches.
///
/// Errors: on any error, and on a panic in `edit`, the copy is removed and `to` is what it was; a `to` that is there and is
/// not a regular file is refused before anything is copied.
pub fn edit_copy<T, E: From<io::Error>>(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    edit: impl FnOnce(&mut [u8]) -> Result<T, E>,
) -> Result<T, E> {
    let to = to.as_ref();
    let mut source = File::open(from)?;
    let mut temporary = Temporary::beside(to)?;
    let mut copy = temporary.create()?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()?;
    drop(copy);
    let mut mapped = MappedMut::open(&temporary.path).map_err(io::Error::other)?;
    let value = edit(&mut mapped)?;
    mapped.flush()?;
    drop(mapped);
    temporary.become_target(to)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_there_whole_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomically(&path, |w| w.write_all(b"one")).unwrap();
        write_atomically(&path, |w| w.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn an_error_leaves_the_target_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"old").unwrap();
        let error = write_atomically::<()>(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(error.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_panic_leaves_the_target_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let result = std::panic::catch_unwind(|| write_atomically::<()>(&path, |_| panic!("stop")));
        assert!(result.is_err());
        assert!(names(dir.path()).is_empty());
    }

    #[track_caller]
    fn refused(path: &Path) {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::write(&from, b"one").unwrap();
        let mut written = false;
        let write = write_atomically(path, |_| {
            written = true;
            Ok(())
        });
        let edit = edit_copy(&from, path, |_| {
            written = true;
            Ok::<_, io::Error>(())
        });
        assert!(!written);
        for error in [write.unwrap_err(), edit.unwrap_err()] {
            assert_eq!(error.to_string(), format!("{} is there and is not a regular file", path.display()));
        }
    }

    #[test]
    fn a_target_that_is_a_directory_is_refused_and_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::create_dir(&path).unwrap();
        refused(&path);
        assert!(path.is_dir());
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_and_a_link_to_one_are_refused_and_stay_what_they_are() {
        use std::os::unix::fs::FileTypeExt;

        let dir = tempfile::tempdir().unwrap();
        let (socket, link) = (dir.path().join("socket"), dir.path().join("link"));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        refused(&socket);
        refused(&link);
        assert!(fs::metadata(&link).unwrap().file_type().is_socket());
        assert_eq!(names(dir.path()), ["link", "socket"]);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_atomically(dir.path().join("no").join("a"), |_| Ok(())).is_err());
        assert!(write_atomically("/", |_| Ok(())).is_err());
    }

    #[test]
    fn an_edited_copy_leaves_the_original_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&from, [1, 2, 3]).unwrap();
        let length = edit_copy(&from, &to, |bytes| {
            bytes[1] = 9;
            Ok::<_, io::Error>(bytes.len())
        });
        assert_eq!(length.unwrap(), 3);
        assert_eq!((fs::read(&from).unwrap(), fs::read(&to).unwrap()), (vec![1, 2, 3], vec![1, 9, 3]));
        assert_eq!(names(dir.path()), ["a", "b"]);
    }

    #[test]
    fn a_failed_edit_leaves_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&from, [1, 2, 3]).unwrap();
        edit_copy(&from, &to, |_| Err::<(), _>(io::Error::other("no"))).unwrap_err();
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for name in [".a.1.0.tmp", ".a.2.0.tmp", ".b.1.0.tmp"] {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        let held = File::open(dir.path().join(".a.2.0.tmp")).unwrap();
        held.try_lock().unwrap();
        write_atomically(&path, |out| out.write_all(b"whole")).unwrap();
        assert_eq!(names(dir.path()), [".a.2.0.tmp", ".b.1.0.tmp", "a"]);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }
}
