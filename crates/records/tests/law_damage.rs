//! Damage: a records file with any bytes changed is refused, or says the same as before; and nothing panics.
//!
//! Corruptions: 2,000 unless `RADHARD_CORRUPTIONS` says how many.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::fs;
use std::path::Path as FilePath;

use fixture::{cell, golden, header, scores, trial};
use radhard_records::{CellRecord, Covers, FILE, RecordsError, Store, Trial};

/// An AUC of one trial alone.
const UNIQUE: f64 = 0.123_456_789;

/// Everything that a reader takes from a file.
#[derive(Debug, PartialEq)]
struct Said {
    digest: String,
    statistics: Vec<CellRecord>,
    trials: u64,
}

fn said(dir: &FilePath) -> Result<Said, RecordsError> {
    let store = Store::open(dir)?;
    Ok(Said {
        digest: store.digest_of(Covers::All)?,
        statistics: store.cell_records()?,
        trials: store.trial_count()?,
    })
}

/// A small file with two golden runs, three cells and trials of every kind.
fn small(dir: &FilePath) -> Vec<u8> {
    let mut store = Store::create_or_continue(dir, &header()).unwrap();
    for model in ["fm", "afm"] {
        store.put_golden(&golden(model, "none")).unwrap();
    }
    for (model, ber) in [("fm", 1e-9), ("fm", 1e-4), ("afm", 1e-4)] {
        let id = store.put_cell(&cell(model, "all", ber)).unwrap();
        let batch: Vec<_> = (0..20).map(|chip| (id, trial(chip))).collect();
        store.append(&batch).unwrap();
        if model == "afm" {
            store.append(&[(id, Trial { scores: scores(UNIQUE, 1), ..trial(21) })]).unwrap();
        }
    }
    store.close().unwrap();
    fs::read(dir.join(FILE)).unwrap()
}

/// How many corruptions are tried.
fn corruptions() -> u64 {
    std::env::var("RADHARD_CORRUPTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Changes bytes in one of the ways in which disks and programs do.
fn corrupted(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let at = random.below(bytes.len());
    let length = (1 + random.below(512)).min(bytes.len() - at);
    match random.below(8) {
        // One bit, mostly: what this program is about.
        0..4 => bytes[at] ^= 1 << random.below(8),
        4 => bytes[at] = random.below(256) as u8,
        5 => bytes[at..at + length].fill(0),
        6 => {
            let from = random.below(bytes.len() - length + 1);
            bytes.copy_within(from..from + length, at);
        }
        _ => bytes.truncate(at),
    }
    bytes
}

#[test]
fn every_truncation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small(dir.path());
    assert!(said(dir.path()).is_ok());
    for length in 0..whole.len() {
        // Lengths near the ends of pages are all tried, others in steps.
        if length % 4096 > 40 && length % 4096 < 4056 && length % 61 != 0 {
            continue;
        }
        fs::write(dir.path().join(FILE), &whole[..length]).unwrap();
        let error = said(dir.path()).expect_err("a file cut short was read");
        assert!(error.to_string().contains(FILE) || length == 0, "{length}: {error}");
    }
}

#[test]
fn a_corrupted_file_is_refused_or_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small(dir.path());
    let expected = said(dir.path()).unwrap();
    let mut random = Random(0x6461_6d61_6765);
    let (mut refused, tries) = (0, corruptions());
    for number in 0..tries {
        fs::write(dir.path().join(FILE), corrupted(&whole, &mut random)).unwrap();
        match said(dir.path()) {
            Ok(found) => assert_eq!(found, expected, "corruption {number} was believed"),
            Err(_) => refused += 1,
        }
    }
    // Some corruptions fall on bytes that nothing reads, or write what is there.
    assert!(refused * 4 > tries, "{refused} of {tries} were refused");
}

#[test]
fn every_flip_in_the_rows_of_a_cell_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = small(dir.path());
    let expected = said(dir.path()).unwrap();
    // Pages that were split keep old rows that nothing reads; this value was written once.
    let value = UNIQUE.to_bits().to_be_bytes();
    let at = whole.windows(8).position(|bytes| bytes == value).unwrap();
    for bit in 0..64 * 8 {
        let mut bytes = whole.clone();
        bytes[at - 8 + bit / 8] ^= 1 << (bit % 8);
        fs::write(dir.path().join(FILE), bytes).unwrap();
        match said(dir.path()) {
            Ok(found) => {
                panic!("flip {bit} gives {}", if found == expected { "the same" } else { "another result" })
            }
            Err(error) => assert!(matches!(error, RecordsError::Damaged { .. }), "flip {bit}: {error}"),
        }
    }
}
