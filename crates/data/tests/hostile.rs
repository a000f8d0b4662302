//! Damaged and foreign prepared files: an error that says what and where, never a panic.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test fails")]

use proptest::prelude::*;
use radhard_data::{Columns, DataSet, Meta, OpenError, SplitMeta, Vocabulary};
use serde_json::{Value, json};

fn meta() -> Meta {
    let mut meta = Meta::new("small", vec!["user".into(), "item".into()], vec![3, 4]);
    meta.numeric_names = vec!["age".into()];
    meta.split = Some(SplitMeta { seed: 0, ratio: [2, 1, 1], counts: [2, 1, 1] });
    meta
}

fn columns() -> Columns {
    Columns {
        indices: vec![0, 3, 1, 2, 2, 1, 0, 0],
        numeric: vec![0.5, 1.5, 2.5, 3.5],
        labels: vec![1, 0, 1, 0],
        parts: vec![0, 2, 0, 1],
        vocabularies: vec![
            Some(Vocabulary::Integers(vec![10, 20, 30])),
            Some(Vocabulary::Strings(vec![b"a".as_slice().into(), b"bc".as_slice().into()])),
        ],
        bags: None,
    }
}

fn whole() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.data");
    columns().write(&path, meta()).unwrap();
    std::fs::read(&path).unwrap()
}

/// The file with its header changed by `change`, tensors as they are.
fn with_header(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let bytes = whole();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(&mut header);
    let mut json = serde_json::to_vec(&header).unwrap();
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut out = (json.len() as u64).to_le_bytes().to_vec();
    out.extend(json);
    out.extend(&bytes[8 + length..]);
    out
}

/// The file with its metadata changed by `change`.
fn with_meta(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_header(|header| {
        let stored = &mut header["__metadata__"]["radhard.data"];
        let mut meta: Value = serde_json::from_str(stored.as_str().unwrap()).unwrap();
        change(&mut meta);
        *stored = json!(meta.to_string());
    })
}

/// The file with the rows of `columns`, unchecked.
fn with_columns(change: impl FnOnce(&mut Columns)) -> Result<DataSet, OpenError> {
    let mut columns = columns();
    change(&mut columns);
    DataSet::from_columns(meta(), &columns)
}

#[track_caller]
fn refused(bytes: &[u8], expected: &str) -> OpenError {
    let error = DataSet::from_bytes(bytes).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}, expected {expected}");
    error
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let bytes = whole();
    assert!(DataSet::from_bytes(&bytes).is_ok());
    for end in 0..bytes.len() {
        let error = DataSet::from_bytes(&bytes[..end]).unwrap_err();
        assert!(matches!(error, OpenError::NotSafetensors(_)), "{end}: {error}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(DataSet::from_bytes(&longer).unwrap_err(), OpenError::NotSafetensors(_)));
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = DataSet::open(dir.path().join("no.data")).unwrap_err();
    assert!(matches!(error, OpenError::Map(_)) && error.to_string().contains("no.data"), "{error}");
}

#[test]
fn a_file_of_something_else_is_foreign() {
    let error = refused(&with_header(|h| h["__metadata__"] = json!({ "format": "pt" })), "no metadata key");
    assert!(matches!(error, OpenError::Foreign));
    refused(b"userId,movieId,rating,timestamp\n1,2,3,4\n", "not a whole safetensors file");
    refused(&[0xff; 64], "not a whole safetensors file");
}

#[test]
fn another_version_is_named() {
    let error = refused(&with_meta(|m| m["format_version"] = json!(2)), "data format version 2");
    assert!(matches!(error, OpenError::Version { .. }));
    refused(&with_meta(|m| m["format_version"] = json!("1")), "data format version none");
}

#[test]
fn metadata_that_are_none_are_refused() {
    let error = refused(&with_meta(|m| m["field_dims"] = json!([-1, 4])), "cannot be read");
    assert!(matches!(error, OpenError::Meta(_)));
    refused(&with_header(|h| h["__metadata__"]["radhard.data"] = json!("{")), "cannot be read");
}

#[test]
fn metadata_that_contradict_themselves_are_refused() {
    for (key, value, expected) in [
        ("field_names", json!(["user"]), "1 field names for 2 field dims"),
        ("field_names", json!(["user", "user"]), "two columns are called `user`"),
        ("field_dims", json!([4_294_967_295u32, 4]), "sum to more than 4294967295"),
        ("rows", json!(0), "no rows"),
        ("rows", json!(5), "do not add up to 5 rows"),
        ("positives", json!(3), "3 positives, but the labels have 2"),
        ("user_field", json!(2), "field 2 is named as user or item"),
        ("train_positive_rate", json!(0.5), "train_positive_rate 0.5, but the labels have 1"),
        ("split", json!({ "seed": 0, "ratio": [2, 1, 1], "counts": [1, 2, 1] }), "parts of [1, 2, 1] rows"),
        ("split", json!({ "seed": 0, "ratio": [2, 1, 1], "counts": [u64::MAX, 5, 0] }), "do not add up"),
        ("split", Value::Null, "parts of [4, 0, 0] rows"),
    ] {
        let error = refused(&with_meta(|m| m[key] = value), expected);
        assert!(matches!(error, OpenError::Contradiction(_)), "{error}");
    }
    let many = with_meta(|m| {
        m["split"] = Value::Null;
        m["rows"] = json!(1u64 << 33);
    });
    refused(&many, "8589934592 rows, at most 4294967295 are allowed");
}

#[test]
fn a_missing_tensor_is_named() {
    for name in ["indices", "numeric", "label", "part"] {
        let renamed = with_header(|header| {
            let entry = header[name].take();
            header.as_object_mut().unwrap().remove(name);
            header["other"] = entry;
        });
        let error = refused(&renamed, &format!("tensor `{name}` is missing"));
        assert!(matches!(error, OpenError::Missing(_)));
    }
}

#[test]
fn a_tensor_of_another_type_or_shape_is_named() {
    let error =
        refused(&with_header(|h| h["indices"]["dtype"] = json!("F32")), "tensor `indices` is F32 [4, 2]");
    assert!(matches!(error, OpenError::Tensor { .. }));
    refused(&with_header(|h| h["indices"]["shape"] = json!([2, 4])), "expected U32 [4, 2]");
    refused(&with_header(|h| h["label"]["shape"] = json!([4, 1])), "expected U8 [4]");
    refused(&with_header(|h| h["vocabulary.user"]["dtype"] = json!("F64")), "vocabulary.user");
}

#[test]
fn a_tensor_off_its_boundary_is_named() {
    // The same tensors, with one byte of another tensor before them.
    let bytes = whole();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    for (name, entry) in header.as_object_mut().unwrap() {
        if name != "__metadata__" {
            let offsets = entry["data_offsets"].as_array().unwrap().clone();
            entry["data_offsets"] = offsets.iter().map(|o| json!(o.as_u64().unwrap() + 1)).collect();
        }
    }
    header["before"] = json!({ "dtype": "U8", "shape": [1], "data_offsets": [0, 1] });
    let mut json = serde_json::to_vec(&header).unwrap();
    json.resize(json.len().next_multiple_of(8), b' ');
    let shifted = [&(json.len() as u64).to_le_bytes()[..], &json, b"x", &bytes[8 + length..]].concat();
    let error = refused(&shifted, "does not begin on a multiple of its word");
    assert!(matches!(error, OpenError::Misaligned(_)));
}

#[test]
fn values_out_of_range_are_named_with_their_row() {
    let error = with_columns(|c| c.indices[5] = 4).unwrap_err();
    assert_eq!(error.to_string(), "row 2: index 4 of field `item` is not below its dim 4");
    let error = with_columns(|c| c.numeric[3] = f32::NAN).unwrap_err();
    assert_eq!(error.to_string(), "row 3: value NaN of column `age` is not finite");
    let error = with_columns(|c| c.labels[1] = 2).unwrap_err();
    assert_eq!(error.to_string(), "row 1: label 2 is neither 0 nor 1");
    let error = with_columns(|c| c.parts[0] = 3).unwrap_err();
    assert_eq!(error.to_string(), "row 0: part 3 is none of 0 train, 1 validation, 2 test");
}

#[test]
fn a_vocabulary_that_does_not_fit_is_named() {
    let error =
        with_columns(|c| c.vocabularies[0] = Some(Vocabulary::Integers(vec![1, 2, 3, 4]))).unwrap_err();
    assert_eq!(error.to_string(), "vocabulary of field `user`: 4 values for 3 rows");
    // The offsets of the strings are the three words after the three integers: 0, 1, 3.
    let bytes = whole();
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 24;
    for (word, value, expected) in [
        (0, 1i64, "do not span its 3 bytes"),
        (2, 2, "do not span its 3 bytes"),
        (1, -1, "are not ascending"),
        (1, 4, "are not ascending"),
        (1, i64::MIN, "are not ascending"),
    ] {
        let mut changed = bytes.clone();
        changed[start + 8 * word..start + 8 * word + 8].copy_from_slice(&value.to_le_bytes());
        let error = refused(&changed, expected);
        assert!(matches!(error, OpenError::Vocabulary { .. }));
    }
    let unpaired = with_header(|header| {
        let entry = header["vocabulary_offsets.item"].take();
        header.as_object_mut().unwrap().remove("vocabulary_offsets.item");
        header["other"] = entry;
    });
    refused(&unpaired, "tensor `vocabulary_offsets.item` is missing");
}

proptest! {
    #[test]
    fn damaged_bytes_open_or_are_refused(place in 0usize..2000, byte: u8, other in 0usize..2000, bit in 0u8..8) {
        let mut bytes = whole();
        let length = bytes.len();
        bytes[place % length] = byte;
        bytes[other % length] ^= 1 << bit;
        if let Ok(data) = DataSet::from_bytes(&bytes) {
            prop_assert!(data.labels().iter().all(|label| *label <= 1));
        }
    }

    #[test]
    fn any_bytes_open_or_are_refused(bytes: Vec<u8>) {
        prop_assert!(DataSet::from_bytes(&bytes).is_err());
        let framed = [&(bytes.len() as u64).to_le_bytes()[..], &bytes].concat();
        prop_assert!(DataSet::from_bytes(&framed).is_err());
    }
}
