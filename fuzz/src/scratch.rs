//! A place for the inputs of parsers that read files.

use std::path::PathBuf;
use std::sync::OnceLock;

use tempfile::TempDir;

static DIRECTORY: OnceLock<TempDir> = OnceLock::new();

/// A file of this name in the directory of this thread.
pub(crate) fn file(name: &str) -> PathBuf {
    directory().join(name)
}

/// The directory of this thread; tests run targets side by side.
pub(crate) fn directory() -> PathBuf {
    let all = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a temporary directory can be made"));
    let mine = all.path().join(format!("{:?}", std::thread::current().id()));
    std::fs::create_dir_all(&mine).expect("a directory can be made in a temporary one");
    mine
}
