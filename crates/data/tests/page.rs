//! The page docs/formats/data.md is exact: a writer and a reader made from it alone agree with this program.

use radhard_data::{Columns, DataSet, IdRule, Meta, Part, SplitMeta, Vocabulary};
use serde_json::Value;
use sha2::{Digest, Sha256};

const USERS: [i64; 3] = [7, 9, 4_000_000_000];
const ITEMS: [&str; 2] = ["heat", "ænima"];
const INDICES: [u32; 8] = [0, 1, 1, 0, 2, 2, 0, 2];
const NUMERIC: [f32; 4] = [0.5, -1.0, 0.0, 3e9];
const LABELS: [u8; 4] = [1, 0, 1, 1];
const PARTS: [u8; 4] = [0, 2, 0, 1];

/// Bytes as hexadecimal digits.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// SHA-256 of pieces, in hexadecimal.
fn sha256(pieces: &[Vec<u8>]) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece);
    }
    hex(hash.finalize())
}

fn u64_bytes(value: usize) -> Vec<u8> {
    (value as u64).to_le_bytes().to_vec()
}

/// A length in bytes, and the bytes.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [u64_bytes(bytes.len()), bytes.to_vec()].concat()
}

fn fingerprint(dims: &[u32], columns: [&[u8]; 4]) -> String {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| dim.to_le_bytes()).collect();
    let mut pieces = vec![b"radhard.data fingerprint 1\n".to_vec(), framed(&dims)];
    pieces.extend(columns.map(framed));
    sha256(&pieces)
}

/// Name, type, shape and bytes of a tensor.
struct Tensor {
    name: &'static str,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn checksum(tensors: &[Tensor], description: &str) -> String {
    let mut pieces = vec![b"radhard.data checksum 1\n".to_vec()];
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by_key(|tensor| tensor.name.as_bytes());
    for Tensor { name, dtype, shape, bytes } in sorted {
        pieces.extend([framed(name.as_bytes()), framed(dtype.as_bytes()), u64_bytes(shape.len())]);
        pieces.extend(shape.iter().map(|length| u64_bytes(*length)));
        if name.starts_with("vocabulary") {
            pieces.push(framed(bytes));
        }
    }
    pieces.push(framed(description.as_bytes()));
    sha256(&pieces)
}

/// The tensors of the sample, words of eight bytes first, then of four, then bytes.
fn tensors() -> Vec<Tensor> {
    let words = |words: &[i64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let ends = [0, ITEMS[0].len() as i64, (ITEMS[0].len() + ITEMS[1].len()) as i64];
    let of = |name, dtype, shape: &[usize], bytes| Tensor { name, dtype, shape: shape.to_vec(), bytes };
    vec![
        of("vocabulary.user", "I64", &[3], words(&USERS)),
        of("vocabulary_offsets.item", "I64", &[3], words(&ends)),
        of("indices", "U32", &[4, 2], INDICES.iter().flat_map(|index| index.to_le_bytes()).collect()),
        of("numeric", "F32", &[4, 1], NUMERIC.iter().flat_map(|value| value.to_le_bytes()).collect()),
        of("label", "U8", &[4], LABELS.to_vec()),
        of("part", "U8", &[4], PARTS.to_vec()),
        of("vocabulary.item", "U8", &[ITEMS.concat().len()], ITEMS.concat().into_bytes()),
    ]
}

/// The sample as a file, put together by hand.
fn written_by_the_page() -> Vec<u8> {
    let tensors = tensors();
    let [indices, numeric] = [2, 3].map(|place| &tensors[place].bytes[..]);
    let fingerprint = fingerprint(&[3, 3], [indices, numeric, &LABELS, &PARTS]);
    let description = format!(
        r#"{{"format_version":1,"name":"sample","source":"a.csv","field_names":["user","item"],"field_dims":[3,3],"numeric_names":["age"],"rows":4,"positives":3,"bad_lines":0,"stand_in":false,"user_field":0,"item_field":1,"ids":"dense","positive":"label = 1","split":{{"seed":18446744073709551615,"ratio":[2,1,1],"counts":[2,1,1]}},"fingerprint":"{fingerprint}","train_positive_rate":1,"attainable_auc":null,"planted":null,"notes":["by hand"]}}"#
    );
    let checksum = checksum(&tensors, &description);
    let mut entries = Vec::new();
    let mut begin = 0;
    for Tensor { name, dtype, shape, bytes } in &tensors {
        let end = begin + bytes.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
        begin = end;
    }
    let mut header = format!(
        r#"{{"__metadata__":{{"radhard.data":{},"radhard.checksum":"{checksum}"}},{}}}"#,
        Value::String(description),
        entries.join(",")
    );
    while !(8 + header.len()).is_multiple_of(64) {
        header.push(' ');
    }
    let bodies = tensors.iter().flat_map(|tensor| tensor.bytes.clone());
    framed(header.as_bytes()).into_iter().chain(bodies).collect()
}

#[test]
fn a_file_written_from_the_page_opens_and_says_what_it_was_written_with() {
    let data = DataSet::from_bytes(&written_by_the_page()).unwrap();
    assert_eq!(data.indices(), INDICES);
    assert_eq!(data.numeric(), NUMERIC);
    assert_eq!((data.labels(), data.parts()), (&LABELS[..], &PARTS[..]));
    assert_eq!(data.vocabulary(0), Some(&Vocabulary::Integers(USERS.to_vec())));
    let items = ITEMS.map(|item| Box::from(item.as_bytes())).to_vec();
    assert_eq!(data.vocabulary(1), Some(&Vocabulary::Strings(items)));
    let meta = data.meta();
    assert_eq!((meta.user_field, meta.item_field, meta.ids), (Some(0), Some(1), IdRule::Dense));
    assert_eq!(meta.split.as_ref().unwrap().seed, u64::MAX);
    assert_eq!(data.select(Part::Train).row_ids.as_deref(), Some(&[0, 2][..]));
    // The checksum that the page describes is compared.
    let mut other = written_by_the_page();
    let at = other.windows(7).position(|bytes| bytes == b"by hand").unwrap();
    other[at] = b'B';
    assert!(DataSet::from_bytes(&other).unwrap_err().to_string().starts_with("checksum "));
}

#[test]
fn a_reader_made_from_the_page_reads_what_this_program_writes() {
    let mut meta = Meta::new("sample", vec!["user".into(), "item".into()], vec![3, 3]);
    meta.numeric_names = vec!["age".into()];
    meta.split = Some(SplitMeta { seed: 3, ratio: [2, 1, 1], counts: [2, 1, 1] });
    meta.ids = IdRule::Dense;
    let columns = Columns {
        indices: INDICES.to_vec(),
        numeric: NUMERIC.to_vec(),
        labels: LABELS.to_vec(),
        parts: PARTS.to_vec(),
        vocabularies: vec![
            Some(Vocabulary::Integers(USERS.to_vec())),
            Some(Vocabulary::Strings(ITEMS.map(|item| Box::from(item.as_bytes())).to_vec())),
        ],
        bags: None,
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.data");
    columns.write(&path, meta).unwrap();
    let bytes = std::fs::read(&path).unwrap();

    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let description = header["__metadata__"]["radhard.data"].as_str().unwrap();
    let meta: Value = serde_json::from_str(description).unwrap();
    assert_eq!(meta["field_names"], serde_json::json!(["user", "item"]));
    assert_eq!(meta["train_positive_rate"].as_f64(), Some(1.0));
    for (key, is_of_its_type) in [
        ("rows", meta["rows"].is_u64()),
        ("user_field", meta["user_field"].is_null()),
        ("stand_in", meta["stand_in"].is_boolean()),
        ("split", meta["split"]["counts"].is_array()),
        ("notes", meta["notes"].is_array()),
        ("rare_below", meta.get("rare_below").is_none()),
    ] {
        assert!(is_of_its_type, "{key}");
    }
    for Tensor { name, dtype, shape, bytes: expected } in tensors() {
        let entry = &header[name];
        assert_eq!(
            (entry["dtype"].as_str(), &entry["shape"]),
            (Some(dtype), &serde_json::json!(shape)),
            "{name}"
        );
        let [begin, end] = [0, 1].map(|i| 8 + length + entry["data_offsets"][i].as_u64().unwrap() as usize);
        assert_eq!(&bytes[begin..end], expected, "{name}");
    }
    let tensors = tensors();
    let columns = [&tensors[2].bytes[..], &tensors[3].bytes, &LABELS, &PARTS];
    assert_eq!(meta["fingerprint"], fingerprint(&[3, 3], columns));
    assert_eq!(header["__metadata__"]["radhard.checksum"], checksum(&tensors, description));
}
