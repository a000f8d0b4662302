//! Changes of a file in place, in an order of writes that survives a stop after any of them.
//!
//! The error map is the journal: it holds every word as it was and as it becomes, and is on the disk before the first word is
//! written. So is the side file, which says that the file is not what it was. A stop in between leaves words of both kinds, which
//! the map tells apart: `undo` makes all of them old, `apply` all of them injected.
//!
//! | step of apply | on the disk after it |
//! |---|---|
//! | sync the map and its directory | the map |
//! | write, sync and rename the side file, sync its directory | the map, the side file |
//! | write the words, sync the file | the map, the side file, all words injected |
//!
//! `undo` writes and syncs the words first and removes the side file then.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use radhard_fault::ApplyError;
use radhard_memory::{Positioned, sync_directory};

use super::FileCause;
use super::words::{Bytes, ChangedWords, State, Survey};

/// The operations on files that a change in place is made of, so that a test can lose each of them that no sync holds.
pub(crate) trait Disk: Bytes {
    /// Brings the words that were written to the disk.
    fn sync_words(&self) -> io::Result<()>;
    /// Writes a new file.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Brings the bytes of a file to the disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Brings the names in the directory of a file to the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A model that is open and locked, on the disks of this machine.
pub(crate) struct OpenModel<'a>(pub(crate) &'a Positioned);

impl Bytes for OpenModel<'_> {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.file().read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.file().write_at(at, bytes)
    }
}

impl Disk for OpenModel<'_> {
    fn sync_words(&self) -> io::Result<()> {
        self.0.file().sync_all()
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        sync_directory(path)
    }
}

/// The side file of a change in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    /// Where it is.
    pub(crate) path: &'a Path,
    /// Whether it is there already, from a change by the same map that was stopped.
    pub(crate) there: bool,
}

/// Writes a file so that it is there whole or not at all, and is on the disk under its name when this returns.
pub(crate) fn put_whole(disk: &impl Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    let written = disk
        .create(&temporary, bytes)
        .and_then(|()| disk.sync(&temporary))
        .and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        // Nothing can be done about a temporary file that can't be removed.
        let _ = disk.remove(&temporary);
    }
    written?;
    disk.sync_directory(path)
}

/// Brings a file that is there already to the disk, with its name.
pub(crate) fn settle(disk: &impl Disk, path: &Path) -> io::Result<()> {
    disk.sync(path)?;
    match disk.sync_directory(path) {
        // A directory that may be searched but not read can't be opened to be synced; its entry is older than this process.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

/// Makes all words injected: those of a clean file, or of one in which `apply` or `undo` was stopped.
///
/// The map must be on the disk already. `mark` is what the side file says.
///
/// Errors: every word is injected already; a word is of neither kind (nothing is written then); the disk refuses, after which the
/// words are old again where that could be done.
pub(crate) fn apply(
    disk: &impl Disk,
    words: &ChangedWords<'_>,
    side: Side<'_>,
    mark: &[u8],
) -> Result<Survey, FileCause> {
    let survey = words.survey(disk)?;
    if survey.all(State::Injected) {
        return Err(ApplyError::AppliedAlready { words: survey.injected }.into());
    }
    if survey == Survey::default() {
        return Ok(survey);
    }
    if !side.there {
        put_whole(disk, side.path, mark)?;
    }
    let written = words.set(disk, State::Injected).and_then(|()| disk.sync_words());
    let Err(source) = written else { return Ok(survey) };
    let whole_before = survey.all(State::Old);
    let restored = whole_before && restore(disk, words, Some(side.path)).is_ok();
    Err(FileCause::Stopped { source, restored })
}

/// Makes all words old again: those of an injected file, or of one in which `apply` or `undo` was stopped.
///
/// Errors: every word is old and no side file says otherwise; a word is of neither kind (nothing is written then); the disk refuses.
pub(crate) fn undo(
    disk: &impl Disk,
    words: &ChangedWords<'_>,
    side: Option<&Path>,
) -> Result<Survey, FileCause> {
    let survey = words.survey(disk)?;
    if survey.all(State::Old) && side.is_none() {
        return Err(ApplyError::NotApplied { words: survey.old }.into());
    }
    restore(disk, words, side).map_err(|source| FileCause::Stopped { source, restored: false })?;
    Ok(survey)
}

fn restore(disk: &impl Disk, words: &ChangedWords<'_>, side: Option<&Path>) -> io::Result<()> {
    words.set(disk, State::Old)?;
    disk.sync_words()?;
    if let Some(side) = side {
        disk.remove(side)?;
        disk.sync_directory(side)?;
    }
    Ok(())
}

/// A name next to `path`, of this process alone.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}
