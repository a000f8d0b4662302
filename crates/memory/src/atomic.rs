//! Files that appear whole or not at all.
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The temporary files of this process that are there now.
static PRESENT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes the temporary files of this process, which is about to end in the middle of its writing.
///
/// None is made after this: whoever would make one waits for the end.
pub fn remove_temporaries() {
    let Ok(mut present) = PRESENT.lock() else { return };
    for path in std::mem::take(&mut *present) {
        // One that cannot be removed is removed by the next writer beside it.
        let _ = fs::remove_file(path);
    }
    std::mem::forget(present);
}

/// Links that are followed one after the other; more are a circle, as for the system itself.
const MOST_LINKS: usize = 40;

/// Where a file on its way into a pipe or a device is put together.
#[cfg(unix)]
const SCRATCH: &str = "/tmp";
#[cfg(not(unix))]
const SCRATCH: &str = ".";

/// Where writing to a path leads.
enum Target {
    /// A regular file, or a name that nothing has yet.
    File(PathBuf),
    /// A pipe or a character device, which takes bytes and keeps none.
    Stream(PathBuf),
}

impl Target {
    /// The target of `path` through any symbolic links.
    fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_file() => Ok(Self::File(followed(path)?)),
            Ok(there) if is_stream(there.file_type()) => Ok(Self::Stream(path.to_owned())),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is there and is not a regular file", path.display()),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::File(followed(path)?)),
            Err(error) => Err(error),
        }
    }
}

/// Whether a file takes bytes and keeps none: a pipe or a character device, such as `/dev/null`.
pub fn is_stream(kind: FileType) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        kind.is_fifo() || kind.is_char_device()
    }
    #[cfg(not(unix))]
    {
        let _ = kind;
        false
    }
}

/// The name at the end of a path's symbolic links; nothing need be there yet.
///
/// # Errors
/// If the links lead in a circle, or one of them cannot be read.
pub fn followed(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let mut path = path.as_ref().to_owned();
    for _ in 0..MOST_LINKS {
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Ok(path);
        }
        path = directory_of(&path).join(fs::read_link(&path)?);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} is a symbolic link that leads in a circle", path.display()),
    ))
}

/// Whether a file can be made where `path` leads, found by making a hidden one there and removing it.
///
/// # Errors
/// The system's error.
pub fn can_write(path: impl AsRef<Path>) -> io::Result<()> {
    match Target::of(path.as_ref())? {
        Target::File(path) => Temporary::beside(&path)?.create().map(drop),
        Target::Stream(_) => Ok(()),
    }
}

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
            forget(&self.path);
            // Nothing can be done about a temporary file that cannot be removed; the target is untouched.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A temporary file is no longer there, or no longer temporary.
fn forget(path: &Path) {
    if let Ok(mut present) = PRESENT.lock() {
        present.remove(path);
    }
}

impl Temporary {
    /// A name beside `path` that nothing else uses; the file is not there yet.
    fn beside(path: &Path) -> io::Result<Self> {
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

    /// A name among the system's own temporary files.
    fn scratch() -> Self {
        let name = format!(".radhard.{}.{}.tmp", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { path: Path::new(SCRATCH).join(name), kept: true, lock: None }
    }

    /// Creates the file, which is removed from now on unless it becomes the target.
    fn create(&mut self) -> io::Result<File> {
        let mut present = PRESENT
            .lock()
            .map_err(|_| io::Error::other("a thread died while it held the list of temporary files"))?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&self.path)?;
        self.kept = false;
        present.insert(self.path.clone());
        drop(present);
        // Where files can't be locked, orphans stay.
        self.lock = file.try_clone().ok().filter(|file| file.try_lock().is_ok());
        Ok(file)
    }

    /// Renames the file to `path`; a file that it replaces gives it its permissions.
    fn become_target(mut self, path: &Path) -> io::Result<()> {
        if let Ok(replaced) = fs::metadata(path) {
            // Where permissions can't be set, the file has those of a new one.
            let _ = fs::set_permissions(&self.path, replaced.permissions());
        }
        fs::rename(&self.path, path)?;
        self.kept = true;
        forget(&self.path);
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

/// Copies a whole file into a pipe or a device.
fn pour(from: &mut File, into: &Path) -> io::Result<()> {
    from.rewind()?;
    io::copy(from, &mut OpenOptions::new().write(true).open(into)?)?;
    Ok(())
}

/// Writes a file beside `path`, brings it to the disk and renames it to `path`.
///
/// The file is open for reading too, so `write` can go back to what it wrote. A symbolic link stays one: what it leads to is
/// written. Into a pipe or a character device the bytes are copied once all are there.
///
/// Errors: on any error, and on a panic in `write`, the temporary file is removed and `path` is what it was; a `path` that
/// is there and is neither a regular file nor such a device is refused before anything is written.
pub fn write_atomically<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let target = Target::of(path.as_ref())?;
    let mut temporary = match &target {
        Target::File(path) => Temporary::beside(path)?,
        Target::Stream(_) => Temporary::scratch(),
    };
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.create()?);
    let value = write(&mut writer)?;
    writer.flush()?;
    let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    match target {
        Target::File(path) => {
            file.sync_all()?;
            temporary.become_target(&path)?;
        }
        Target::Stream(path) => pour(&mut file, &path)?,
    }
    Ok(value)
}

/// Writes a file beside `path` by calls at places, brings it to the disk and renames it to `path`.
///
/// A symbolic link, a pipe or a device is written as by [`write_atomically`].
///
/// Errors: on any error, and on a panic in `write`, the temporary file is removed and `path` is what it was; a `path` that
/// is there and is neither a regular file nor such a device is refused before anything is written.
pub fn replace<T, E: From<io::Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&File) -> Result<T, E>,
) -> Result<T, E> {
    let target = Target::of(path.as_ref())?;
    let mut temporary = match &target {
        Target::File(path) => Temporary::beside(path)?,
        Target::Stream(_) => Temporary::scratch(),
    };
    let mut file = temporary.create()?;
    let value = write(&file)?;
    match target {
        Target::File(path) => {
            file.sync_all()?;
            drop(file);
            temporary.become_target(&path)?;
        }
        Target::Stream(path) => pour(&mut file, &path)?,
    }
    Ok(value)
}

/// Brings the entries of the directory that `path` is in to the disk: files that were created, renamed and removed there.
///
/// Systems on which directories can't be synced do so in their own time.
///
/// # Errors
/// If the directory can't be opened or the disk refuses.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        match File::open(directory_of(path))?.sync_all() {
            // File systems that have no such call.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            other => other,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
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
        let mut written = false;
        let write = write_atomically(path, |_| {
            written = true;
            Ok(())
        });
        let edit = replace(path, |_| {
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

    #[cfg(unix)]
    #[test]
    fn a_link_is_written_through_and_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::create_dir(&other).unwrap();
        let (link, chain, target) = (dir.path().join("link"), dir.path().join("chain"), other.join("a"));
        symlink("other/a", &link).unwrap();
        symlink("link", &chain).unwrap();
        // First nothing is at the end of the link, then a file with permissions of its own.
        write_atomically(&chain, |out| out.write_all(b"one")).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"one");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomically(&link, |out| out.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        replace(&chain, |file| crate::write_at(file, 0, b"Two")).unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"Two");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        for link in [link, chain] {
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
        }
        assert_eq!(names(&other), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_in_a_circle_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::os::unix::fs::symlink(&a, &b).unwrap();
        std::os::unix::fs::symlink(&b, &a).unwrap();
        write_atomically(&a, |_| Ok(())).unwrap_err();
        assert!(followed(&a).unwrap_err().to_string().contains("circle"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_takes_the_bytes_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;

        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), &link] {
            // Going back and reading, as a writer of prepared data does.
            write_atomically(path, |out| {
                out.write_all(b"abc")?;
                out.rewind()?;
                let mut read = Vec::new();
                io::Read::read_to_end(out.get_mut(), &mut read)?;
                assert_eq!(read, b"abc");
                Ok(())
            })
            .unwrap();
            replace(path, |file| crate::write_at(file, 0, b"abc")).unwrap();
            can_write(path).unwrap();
            assert!(fs::metadata(path).unwrap().file_type().is_char_device());
        }
        assert_eq!(names(dir.path()), ["link"]);
    }

    #[test]
    fn whether_a_file_can_be_made_is_found_without_leaving_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        can_write(&path).unwrap();
        fs::write(&path, b"old").unwrap();
        can_write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(can_write(path.join("b")).is_err() && can_write(dir.path().join("no").join("b")).is_err());
        assert!(can_write(dir.path()).is_err());
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_atomically(dir.path().join("no").join("a"), |_| Ok(())).is_err());
        assert!(write_atomically("/", |_| Ok(())).is_err());
    }

    #[test]
    fn a_file_written_at_places_is_there_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        let length = replace(&path, |file| {
            crate::write_at(file, 2, b"c")?;
            crate::write_at(file, 0, b"ab")?;
            Ok::<_, io::Error>(file.metadata()?.len())
        });
        assert_eq!((length.unwrap(), fs::read(&path).unwrap()), (3, b"abc".to_vec()));
        assert_eq!(names(dir.path()), ["a"]);
        sync_directory(&path).unwrap();
        assert!(sync_directory(&dir.path().join("no").join("a")).is_err());
    }

    #[test]
    fn a_failed_replacement_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, |_| Err::<(), _>(io::Error::other("no"))).unwrap_err();
        assert!(names(dir.path()).is_empty());
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
