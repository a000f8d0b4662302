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
    assert!(error.contains("has records schema 99, this program reads 3 to 4"), "{error}");
}

#[test]
fn a_changed_row_is_named_by_its_table_and_key() {
    for (sql, place) in [
        ("UPDATE trials SET outcome = 'sdc' WHERE chip = 3", "trials row, cell 1, chip 3"),
        ("UPDATE trials SET flips = 1 WHERE chip = 0", "trials row, cell 1, chip 0"),
        ("UPDATE trials SET seconds = 9.5 WHERE chip = 8", "trials row, cell 1, chip 8"),
        ("UPDATE trials SET checksum = 7 WHERE chip = 8", "trials row, cell 1, chip 8"),
        ("UPDATE scores SET auc = auc + 1e-16 WHERE chip = 4", "trials row, cell 1, chip 4"),
        ("UPDATE scores SET ties_at_bounds = NULL WHERE chip = 4", "trials row, cell 1, chip 4"),
        ("DELETE FROM scores WHERE chip = 499", "trials row, cell 1, chip 499"),
        ("UPDATE scores SET chip = 0 WHERE chip = 1", "trials row, cell 1, chip 0"),
        ("DELETE FROM trials WHERE chip = 77", "trials of cell 1"),
        ("INSERT INTO trials SELECT cell, 500, flips, path, outcome, seconds, flips_read, reads, detected, corrected,
            reloads, reload_bytes, retries, fallbacks, rows_detected, rows_recovered, rows_missed, checksum
            FROM trials WHERE chip = 0", "trials row, cell 1, chip 500"),
        ("UPDATE checks SET sum = sum + 1 WHERE part = 'trials'", "trials of cell 1"),
        ("DELETE FROM checks WHERE part = 'goldens'", "goldens"),
        ("UPDATE cells SET p_no_flip = 0.5", "cells row, cell 1"),
        ("UPDATE cells SET predicted = NULL", "cells row, cell 1"),
        ("DELETE FROM cells", "cells"),
        ("UPDATE goldens SET data_fingerprint = 'x'", "goldens row, fm on ml, protection none"),
        ("UPDATE goldens SET baseline = 0.5", "goldens row, fm on ml, protection none"),
        ("INSERT INTO golden_metrics VALUES ('fm', 'ml', 'none', 'auc_logit', 0.5)",
            "goldens row, fm on ml, protection none"),
        ("DELETE FROM goldens", "goldens"),
        ("UPDATE header SET value = 'x' WHERE key = 'seed'", "header row, seed"),
        ("DELETE FROM header WHERE key = 'plan'", "header"),
        ("DELETE FROM identity WHERE key = 'split'", "identity"),
        ("DROP VIEW trial_scores; CREATE VIEW trial_scores AS SELECT 1", "the definition of trial_scores"),
    ] {
        let dir = tampered(sql);
        let error = read_all(dir.path()).expect_err(sql);
        let RecordsError::Damaged { place: found, .. } = &error else { panic!("{sql}: {error}") };
        assert_eq!(found, place, "{sql}: {error}");
        let before = fs::read(dir.path().join(FILE)).unwrap();
        let error = Store::create_or_continue(dir.path(), &header()).expect_err(sql);
        assert!(matches!(error, RecordsError::Damaged { .. }), "{sql}: {error}");
        assert!(fs::read(dir.path().join(FILE)).unwrap() == before, "{sql}: damaged records were written to");
    }
}

#[test]
fn what_a_user_adds_is_left_alone() {
    let dir = tampered("CREATE INDEX mine ON trials (flips); CREATE VIEW few AS SELECT chip FROM trials");
    assert_eq!(read_all(dir.path()).unwrap(), read_all(tampered("").path()).unwrap());
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
