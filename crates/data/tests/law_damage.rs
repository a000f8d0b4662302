//! Damage: a prepared file with any bytes changed is refused, or says the same as before; and nothing panics.
//!
//! Corruptions: 2,000 unless `RADHARD_CORRUPTIONS` says how many.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test fails")]

use radhard_data::{Bags, Columns, DataSet, Meta, OpenError, Part, SplitMeta, Vocabulary};

/// A small file with every kind of tensor but bags, or with them.
fn whole(bags: bool) -> Vec<u8> {
    let mut meta = Meta::new("small", vec!["user".into(), "item".into()], vec![3, 4]);
    meta.numeric_names = vec!["age".into()];
    meta.split = Some(SplitMeta { seed: 0, ratio: [2, 1, 1], counts: [2, 1, 1] });
    meta.user_field = Some(0);
    meta.notes = vec!["a note".into()];
    let bags = bags.then(|| Bags {
        dim: 9,
        offsets: vec![0, 2, 2, 3, 5].into(),
        indices: vec![1, 8, 0, 3, 4].into(),
    });
    let columns = Columns {
        indices: vec![0, 3, 1, 2, 2, 1, 0, 0],
        numeric: vec![0.5, 1.5, 2.5, 3.5],
        labels: vec![1, 0, 1, 0],
        parts: vec![0, 2, 0, 1],
        vocabularies: vec![
            Some(Vocabulary::Integers(vec![10, 20, 30])),
            Some(Vocabulary::Strings(vec![b"a".as_slice().into(), b"bc".as_slice().into()])),
        ],
        bags,
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.data");
    columns.write(&path, meta).unwrap();
    std::fs::read(&path).unwrap()
}

/// Everything that a reader takes from a file.
fn said(bytes: &[u8]) -> Result<String, OpenError> {
    let data = DataSet::from_bytes(bytes)?;
    let rows = data.select(Part::All);
    let bags = data.bags().map(|bags| (bags.dim, bags.offsets.to_vec(), bags.indices.to_vec()));
    let numeric: Vec<u32> = rows.numeric.iter().map(|value| value.to_bits()).collect();
    let vocabularies = [0, 1].map(|field| data.vocabulary(field).cloned());
    Ok(format!(
        "{:?} {:?} {numeric:?} {:?} {:?} {vocabularies:?} {bags:?}",
        data.meta(),
        rows.indices,
        rows.labels(),
        data.parts()
    ))
}

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

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    for bags in [false, true] {
        let whole = whole(bags);
        said(&whole).unwrap();
        for length in 0..whole.len() {
            assert!(said(&whole[..length]).is_err(), "{length} bytes");
        }
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(said(&bytes).is_err(), "bit {bit} was believed");
        }
    }
}

#[test]
fn a_corrupted_file_is_refused_or_says_the_same() {
    let (plain, with_bags) = (whole(false), whole(true));
    let expected = [said(&plain).unwrap(), said(&with_bags).unwrap()];
    let mut random = Random(0x6461_7461);
    let (mut refused, tries) = (0, corruptions());
    for number in 0..tries {
        let which = random.below(2);
        let mut bytes = if which == 0 { plain.clone() } else { with_bags.clone() };
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            let length = (1 + random.below(64)).min(bytes.len() - at);
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.below(256) as u8,
                2 => bytes[at..at + length].fill(0),
                3 => {
                    let from = random.below(bytes.len() - length + 1);
                    bytes.copy_within(from..from + length, at);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        match said(&bytes) {
            Ok(found) => assert_eq!(found, expected[which], "corruption {number} was believed"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused * 2 > tries, "{refused} of {tries} were refused");
}

#[test]
fn one_changed_id_is_told_with_both_fingerprints() {
    let bytes = whole(false);
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let begin = 8 + length + header["indices"]["data_offsets"][0].as_u64().unwrap() as usize;
    let mut changed = bytes.clone();
    // Row 0 of user, a valid id too.
    changed[begin] = 1;
    let stored = DataSet::from_bytes(&bytes).unwrap().meta().fingerprint.clone();
    match DataSet::from_bytes(&changed).unwrap_err() {
        OpenError::Fingerprint { computed, stored: told } => {
            assert_eq!(told, stored);
            assert_ne!(computed, stored);
        }
        other => panic!("{other}"),
    }
}
