//! Files and directories that are not what they should be: one error each, and nothing changed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::fs;
use std::path::Path as FilePath;

use fixture::{cell, golden, header, trial};
use radhard_records::{FILE, RecordsError, Store};
use rusqlite::Connection;

fn filled(dir: &FilePath) {
    let mut store = Store::create_or_continue(dir, &header()).unwrap();
    store.put_golden(&golden("fm", "none")).unwrap();
    let id = store.put_cell(&cell("fm", "all", 1e-9)).unwrap();
    let batch: Vec<_> = (0..500).map(|chip| (id, trial(chip))).collect();
    store.append(&batch).unwrap();
    store.close().unwrap();
}

/// Records in which one statement was run by hand.
fn tampered(sql: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let connection = Connection::open(dir.path().join(FILE)).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    dir
}

fn read_all(dir: &FilePath) -> Result<String, RecordsError> {
    Store::open(dir)?.digest()
}

#[test]
fn a_directory_without_records_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, RecordsError::NotFound { .. }), "{error}");
    let error = Store::open(&dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, RecordsError::NotFound { .. }), "{error}");
    fs::write(dir.path().join(FILE), b"").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, RecordsError::NotFound { .. }), "{error}");
    Store::create_or_continue(dir.path(), &header()).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_foreign_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    fs::write(&file, b"not a database, but long enough to have a header of one hundred bytes ".repeat(20))
        .unwrap();
    let before = fs::read(&file).unwrap();
    for error in
        [Store::open(dir.path()).unwrap_err(), Store::create_or_continue(dir.path(), &header()).unwrap_err()]
    {
        assert!(matches!(error, RecordsError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(FILE), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn the_database_of_another_program_is_foreign_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = Store::create_or_continue(dir.path(), &header()).unwrap_err();
    assert!(matches!(error, RecordsError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn another_schema_version_is_named() {
    let dir = tampered("PRAGMA user_version = 99");
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("has records schema 99, this program reads 3"), "{error}");
}

#[test]
fn values_that_nobody_writes_are_damage_with_a_place() {
    for (sql, place) in [
        ("UPDATE trials SET outcome = 'fine' WHERE chip = 3", "trials outcome"),
        ("UPDATE trials SET path = 'round' WHERE chip = 3", "trials path"),
        ("UPDATE cells SET seed = 'x'", "cells seed"),
        ("UPDATE cells SET prediction_kind = 'vague'", "cells prediction_kind"),
        ("UPDATE goldens SET outcome = 'x'", "goldens outcome"),
        ("UPDATE scores SET critical = 2", "scores critical"),
        ("UPDATE scores SET masked = -1", "scores masked"),
        ("UPDATE header SET value = 'x' WHERE key = 'seed'", "header seed"),
        ("DELETE FROM header WHERE key = 'plan'", "table header"),
    ] {
        let error = read_all(tampered(sql).path()).unwrap_err();
        let RecordsError::Damaged { place: found, .. } = &error else { panic!("{sql}: {error}") };
        assert_eq!(found, place, "{sql}");
    }
    let error = read_all(tampered("DELETE FROM goldens").path()).unwrap_err();
    assert!(matches!(error, RecordsError::GoldenMissing { .. }), "{error}");
    let dir = tampered("UPDATE scores SET auc = 1.5 WHERE chip = 4");
    let error = Store::open(dir.path()).unwrap().cell_records().unwrap_err().to_string();
    assert!(
        error.contains("chip 4 of cell (fm on ml") && error.ends_with("1.5 is outside [0, 1]"),
        "{error}"
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let whole = fs::read(dir.path().join(FILE)).unwrap();
    for part in 1..40 {
        let cut = tempfile::tempdir().unwrap();
        fs::write(cut.path().join(FILE), &whole[..whole.len() * part / 40 + part % 7]).unwrap();
        let error = read_all(cut.path()).expect_err("a file cut short was read");
        assert!(error.to_string().contains(FILE), "{error}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Store::create_or_continue(&file.join("out"), &header()).unwrap_err().to_string();
    assert!(error.contains("file/out: making the directory: "), "{error}");
    let error = Store::create_or_continue(FilePath::new("/proc/radhard"), &header()).unwrap_err().to_string();
    assert!(error.contains("/proc"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_is_read_and_not_written() {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &FilePath, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // Dropped, not closed: the file is then left in the form that needs a log.
    let mut store = Store::create_or_continue(dir.path(), &header()).unwrap();
    store.put_golden(&golden("fm", "none")).unwrap();
    drop(store);
    set(&dir.path().join(FILE), 0o444);
    set(dir.path(), 0o555);
    let read = read_all(dir.path());
    let written = Store::create_or_continue(dir.path(), &header());
    set(dir.path(), 0o755);
    read.unwrap();
    // Whoever runs as root may write everywhere.
    if let Err(error) = written {
        assert!(matches!(error, RecordsError::ReadOnly { .. }), "{error}");
    }
}
