//! Records of campaigns: a database in which bytes were changed.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use radhard_records::{FILE, RecordsError, Store};

use crate::{edits, scratch};

/// Records of schema 3, in which damage of a value cannot be told.
const OLD: &[u8] = include_bytes!("../../testdata/records-v3/flips.sqlite");

/// Records of the present schema, and what they say.
struct Whole {
    file: Vec<u8>,
    digest: String,
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        rewritten(directory.path()).expect("old records are continued in the present schema")
    })
}

fn rewritten(directory: &Path) -> Result<Whole, RecordsError> {
    let file = directory.join(FILE);
    fs::write(&file, OLD).expect("records are written");
    let header = Store::open(directory)?.header().clone();
    Store::create_or_continue(directory, &header)?.close()?;
    let digest = Store::open(directory)?.digest()?;
    Ok(Whole { file: fs::read(&file).expect("what was written can be read"), digest })
}

/// The database that inputs edit.
pub(crate) fn database() -> &'static [u8] {
    &whole().file
}

/// Reads all that a report and an export read.
fn read(directory: &Path) -> Result<String, RecordsError> {
    let store = Store::open(directory)?;
    store.cell_records()?;
    store.digest()
}

/// Records: any database is refused or read. One in which bytes of the present schema were changed is refused, or has the
/// digest of the whole one; after a 2 the edits are those of an old one, which is only refused or read.
pub(crate) fn records(input: &[u8]) {
    let directory = scratch::directory().join("records");
    fs::create_dir_all(&directory).expect("a directory can be made");
    for entry in fs::read_dir(&directory).expect("a directory is listed") {
        fs::remove_file(entry.expect("a directory is listed").path()).expect("a file is removed");
    }
    let first = input.first().copied();
    let base = if first == Some(2) { OLD } else { database() };
    fs::write(directory.join(FILE), edits::file(base, input)).expect("an input is written");
    if let Ok(digest) = read(&directory)
        && !matches!(first, Some(0 | 2))
    {
        assert_eq!(digest, whole().digest, "a changed database is believed");
    }
}
