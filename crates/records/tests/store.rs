//! What a store promises: continuation, one result a chip, and nothing half written.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::fs;
use std::path::Path as FilePath;

use fixture::{cell, golden, header, scores, trial};
use radhard_records::{FILE, Golden, Noticed, Path, ProtectionCost, RecordsError, Store, TimeRatio, Trial};

fn filled(dir: &FilePath, chips: u64) -> Store {
    let mut store = Store::create_or_continue(dir, &header()).unwrap();
    store.put_golden(&golden("fm", "none")).unwrap();
    for ber in [1e-4, 1e-9] {
        let id = store.put_cell(&cell("fm", "all", ber)).unwrap();
        let batch: Vec<_> = (0..chips).map(|chip| (id, trial(chip))).collect();
        store.append(&batch).unwrap();
    }
    store
}

fn names(dir: &FilePath) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The files of a directory as they are at this instant: what a killed process leaves.
fn snapshot(from: &FilePath) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), to.path().join(&name)).unwrap();
    }
    to
}

#[test]
fn records_read_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 10).close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.header(), &header());
    assert_eq!(store.goldens().collect::<Vec<_>>(), [&golden("fm", "none")]);
    let cells: Vec<_> = store.cells().collect();
    assert_eq!(cells.len(), 2);
    assert_eq!((cells[0].1, cells[1].1), (&cell("fm", "all", 1e-9), &cell("fm", "all", 1e-4)));
    for (id, _) in cells {
        assert_eq!(store.trials(id).unwrap(), (0..10).map(trial).collect::<Vec<_>>());
        assert_eq!(store.chips_done(id).unwrap(), (0..10).collect::<Vec<_>>());
    }
    assert_eq!(store.trial_count().unwrap(), 20);
}

#[test]
fn floats_keep_their_bits_and_undefined_stays_undefined() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::create_or_continue(dir.path(), &header()).unwrap();
    store.put_golden(&golden("fm", "none")).unwrap();
    let id = store.put_cell(&cell("fm", "all", 1e-9)).unwrap();
    let values = [5e-324, f64::MAX, 1.0, 0.1 + 0.2, 1.0 / 3.0, f64::INFINITY, 0.0, 1e300];
    for (chip, value) in values.into_iter().enumerate() {
        let mut trial = trial(1);
        trial.chip = chip as u64;
        trial.scores.log_loss = Some(value);
        trial.scores.auc = None;
        store.append(&[(id, trial)]).unwrap();
    }
    store.close().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for (trial, value) in store.trials(id).unwrap().iter().zip(values) {
        assert_eq!(trial.scores.log_loss.map(f64::to_bits), Some(value.to_bits()));
        assert_eq!(trial.scores.auc, None);
    }
}

#[test]
fn nan_is_stored_as_undefined_and_minus_zero_as_zero() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 0);
    let (id, _) = store.cells().next().unwrap();
    let mut odd = trial(1);
    odd.scores.log_loss = Some(f64::NAN);
    odd.scores.calibration = Some(-0.0);
    store.append(&[(id, odd.clone())]).unwrap();
    store.append(&[(id, odd)]).unwrap();
    let read = store.trials(id).unwrap().remove(0);
    assert_eq!(read.scores.log_loss, None);
    assert_eq!(read.scores.calibration.map(f64::to_bits), Some(0));
}

#[test]
fn after_a_clean_end_one_file_remains() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 100).close().unwrap();
    assert_eq!(names(dir.path()), [FILE]);
    drop(filled(dir.path(), 200));
    assert_eq!(names(dir.path()), [FILE]);
}

#[test]
fn what_append_returned_from_survives_a_death_at_that_instant() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 500);
    let dead = snapshot(dir.path());
    let digest = store.digest().unwrap();
    assert!(names(dead.path()).len() > 1, "the log was not beside the file: {:?}", names(dead.path()));
    let read = Store::open(dead.path()).unwrap();
    assert_eq!((read.trial_count().unwrap(), read.digest().unwrap()), (1000, digest.clone()));
    drop(read);
    let continued = filled(dead.path(), 500);
    assert_eq!(continued.digest().unwrap(), digest);
    continued.close().unwrap();
    assert_eq!(names(dead.path()), [FILE]);
}

#[test]
fn a_log_cut_anywhere_leaves_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 0);
    let (id, _) = store.cells().next().unwrap();
    for batch in 0..20 {
        let trials: Vec<_> = (batch * 50..(batch + 1) * 50).map(|chip| (id, trial(chip))).collect();
        store.append(&trials).unwrap();
    }
    let log = format!("{FILE}-wal");
    let length = fs::metadata(dir.path().join(&log)).unwrap().len();
    let mut seen = std::collections::BTreeSet::new();
    for part in 0..40 {
        let dead = snapshot(dir.path());
        let cut = fs::OpenOptions::new().write(true).open(dead.path().join(&log)).unwrap();
        cut.set_len(length * part / 40 + part).unwrap();
        drop(cut);
        let _ = fs::remove_file(dead.path().join(format!("{FILE}-shm")));
        match Store::create_or_continue(dead.path(), &header()) {
            Ok(continued) => {
                let count = continued.trial_count().unwrap();
                assert_eq!(count % 50, 0);
                seen.insert(count);
            }
            Err(error) => panic!("cut after {part} of 40 parts: {error}"),
        }
    }
    assert!(seen.len() > 5, "the cuts fell on {seen:?}");
}

#[test]
fn a_reader_sees_what_was_committed_while_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 10);
    let reader = Store::open(dir.path()).unwrap();
    let (id, _) = reader.cells().next().unwrap();
    let more: Vec<_> = (10..20).map(|chip| (id, trial(chip))).collect();
    store.append(&more).unwrap();
    assert_eq!((reader.trial_count().unwrap(), store.trial_count().unwrap()), (20, 30));
    store.close().unwrap();
    assert_eq!(reader.trial_count().unwrap(), 20);
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 3);
    let error = Store::create_or_continue(dir.path(), &header()).unwrap_err();
    assert!(matches!(error, RecordsError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("is being written by another process"), "{error}");
    drop(store);
    Store::create_or_continue(dir.path(), &header()).unwrap();
}

#[test]
fn another_plan_is_refused_with_every_key_that_differs() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3).close().unwrap();
    let before = fs::read(dir.path().join(FILE)).unwrap();
    let mut other = header();
    other.seed = 8;
    other.stream_version = 2;
    other.identity.insert("split".into(), "validation".into());
    let error = Store::create_or_continue(dir.path(), &other).unwrap_err();
    let RecordsError::OtherPlan { differences, .. } = &error else { panic!("{error}") };
    let keys: Vec<_> = differences.iter().map(|difference| difference.key.as_str()).collect();
    assert_eq!(keys, ["seed", "stream_version", "split"]);
    assert!(error.to_string().ends_with(
        "another plan: seed: recorded \"7\", requested \"8\"; stream_version: recorded \"1\", requested \"2\"; \
         split: recorded \"test\", requested \"validation\""
    ));
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), before);
}

#[test]
fn a_plan_may_grow() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3).close().unwrap();
    let mut grown = header();
    grown.plan.push_str("chips = 10\n");
    grown.identity.remove("split");
    grown.identity.insert("model.afm".into(), "1234".into());
    Store::create_or_continue(dir.path(), &grown).unwrap().close().unwrap();
    let mut union = grown.clone();
    union.identity.insert("split".into(), "test".into());
    assert_eq!(Store::open(dir.path()).unwrap().header(), &union);
}

#[test]
fn a_chip_recorded_twice_with_one_result_is_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 6);
    let (id, _) = store.cells().next().unwrap();
    let again = Trial { path: Path::Full, seconds: 9.0, ..trial(4) };
    store.append(&[(id, again), (id, trial(6)), (id, trial(6))]).unwrap();
    assert_eq!(store.trials(id).unwrap(), (0..7).map(trial).collect::<Vec<_>>());
}

#[test]
fn a_chip_with_another_result_is_a_conflict_and_its_batch_is_not_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 6);
    let (id, _) = store.cells().next().unwrap();
    for (other, score) in [
        (Trial { flips: 6, ..trial(4) }, "flips"),
        (Trial { noticed: Noticed { retries: 1, ..trial(4).noticed }, ..trial(4) }, "retries"),
        (Trial { scores: scores(0.7, 3), ..trial(4) }, "outcome"),
        (Trial { scores: scores(0.699, 1), ..trial(4) }, "auc"),
        (Trial { scores: scores(0.8, 0), flips: 5, ..trial(4) }, "outcome"),
    ] {
        let error = store.append(&[(id, trial(7)), (id, other)]).unwrap_err();
        let RecordsError::Conflict { score: found, chip, .. } = &error else { panic!("{error}") };
        assert_eq!((*found, *chip), (score, 4));
        assert_eq!(store.chips_done(id).unwrap().len(), 6);
    }
}

#[test]
fn what_a_protection_costs_is_recorded_once_and_needs_its_golden_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 1);
    let cost = ProtectionCost {
        subject: golden("fm", "secded").subject,
        memory_bits: 20_000,
        memory_share: 0.125,
        operations_per_sample: 34.5,
        calibration_rows: 0,
        checks: 0,
        false_alarms_per_million: None,
        acts_on_clean: false,
        time: Some(TimeRatio { median: 1.2, low: 1.1, high: 1.5, n: 7 }),
        assumptions: "the clean copy".into(),
        bounds: None,
    };
    assert!(store.put_protection(&cost).is_err());
    store.put_golden(&golden("fm", "secded")).unwrap();
    store.put_protection(&cost).unwrap();
    store.put_protection(&ProtectionCost { time: None, ..cost.clone() }).unwrap();
    store.close().unwrap();
    let read = Store::open(dir.path()).unwrap();
    assert_eq!(read.protection(&cost.subject), Some(&cost));
    assert_eq!(read.protections().count(), 1);
}

#[test]
fn a_golden_run_that_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 1);
    store.put_golden(&Golden { seconds: 9.0, ..golden("fm", "none") }).unwrap();
    let changed = Golden { scores: scores(0.81, 0), ..golden("fm", "none") };
    let error = store.put_golden(&changed).unwrap_err().to_string();
    assert_eq!(
        error,
        "the golden run of fm on ml, protection none is recorded with auc 0.8 and now has 0.81"
    );
    let changed = Golden { model_fingerprint: "00".into(), ..golden("fm", "none") };
    let error = store.put_golden(&changed).unwrap_err().to_string();
    assert!(error.contains("with model fingerprint abab"), "{error}");
}

#[test]
fn a_cell_has_one_set_of_facts_and_needs_its_golden_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = filled(dir.path(), 1);
    let known = cell("fm", "all", 1e-9);
    let id = store.put_cell(&known).unwrap();
    let mut other = known.clone();
    other.exposed_bits += 1;
    let error = store.put_cell(&other).unwrap_err().to_string();
    assert!(error.ends_with("with exposed bits 160000 and now has 160001"), "{error}");
    let mut refined = known.clone();
    refined.predicted.as_mut().unwrap().mean = 0.5;
    assert_eq!(store.put_cell(&refined).unwrap(), id);
    assert_eq!(store.cell(id), Some(&refined));
    let mut counted = known.clone();
    counted.key.ber = None;
    assert_ne!(store.put_cell(&counted).unwrap(), id);
    assert_eq!(store.put_cell(&counted).unwrap(), store.cell_id(&counted.key).unwrap());

    let error = store.put_cell(&cell("afm", "all", 1e-9)).unwrap_err();
    assert!(matches!(error, RecordsError::GoldenMissing { .. }), "{error}");
    for rate in [-1e-9, 1.5, f64::NAN] {
        let error = store.put_cell(&cell("fm", "all", rate)).unwrap_err();
        assert!(matches!(error, RecordsError::Rate { .. }), "{error}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let mut empty = Store::create_or_continue(elsewhere.path(), &header()).unwrap();
    let error = empty.append(&[(id, trial(0))]).unwrap_err();
    assert!(matches!(error, RecordsError::UnknownCell { .. }), "{error}");
    let error = store.append(&[(id, Trial { chip: u64::MAX, ..trial(0) })]).unwrap_err().to_string();
    assert_eq!(
        error,
        "chip number 18446744073709551615 is above 9007199254740992, the largest that records hold"
    );
}

#[test]
fn a_store_opened_for_reading_does_not_write() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3).close().unwrap();
    let before = fs::read(dir.path().join(FILE)).unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let (id, _) = store.cells().next().unwrap();
    let error = store.append(&[(id, trial(9))]).unwrap_err();
    assert!(matches!(error, RecordsError::ReadOnly { .. }), "{error}");
    assert!(store.put_golden(&golden("afm", "none")).is_err());
    store.close().unwrap();
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), before);
    assert_eq!(names(dir.path()), [FILE]);
}
