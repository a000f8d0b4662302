//! The page docs/formats/error-map.md is exact: a writer and a reader made from it alone agree with this program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use radhard_fault::*;
use sample::{draw, exposure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn parameters() -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    parameters.push_f32("mlp.weight", &[2, 3], Component::Dense, &[0.5, -1.0, 2.0, 0.0, 1.5, 3.0]);
    let spec = |name: &str, format| ParameterSpec {
        name: name.to_owned(),
        shape: vec![4],
        format,
        component: Component::Embedding,
    };
    parameters.push(spec("a.half", Format::F16));
    parameters.push(spec("codes", Format::I8));
    parameters
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// SHA-256 over all parameters by name: lengths, dimensions and texts.
fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for (name, format, shape) in
        [("a.half", "f16", &[4_u64][..]), ("codes", "i8", &[4]), ("mlp.weight", "f32", &[2, 3])]
    {
        for text in [name, format] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update((shape.len() as u64).to_le_bytes());
        for length in shape {
            hash.update(length.to_le_bytes());
        }
    }
    hex(hash.finalize())
}

/// SHA-256 of a file with the digits of its own taken as zeros.
fn sha256(bytes: &[u8], stated: &str) -> String {
    let at = bytes.windows(64).position(|window| window == stated.as_bytes()).unwrap();
    let mut zeroed = bytes.to_vec();
    zeroed[at..at + 64].fill(b'0');
    hex(Sha256::digest(&zeroed))
}

/// A file of these tensors, put together by hand.
fn file(metadata: &Value, tensors: &[(&str, &str, Vec<u8>, usize)]) -> Vec<u8> {
    let mut header = json!({ "__metadata__": { "radhard.error_map": metadata.to_string() } });
    let (mut body, mut begin) = (Vec::new(), 0);
    for (name, dtype, bytes, length) in tensors {
        let end = begin + bytes.len();
        header[*name] = json!({ "dtype": dtype, "shape": [length], "data_offsets": [begin, end] });
        body.extend(bytes);
        begin = end;
    }
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    [(header.len() as u64).to_le_bytes().to_vec(), header, body].concat()
}

#[test]
fn a_map_written_from_the_page_is_read_and_applied() {
    let words = |words: &[u64], width: usize| -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()[..width].to_vec()).collect()
    };
    let old = [0.5_f32, 3.0].map(|value| u64::from(value.to_bits()));
    let tensors = [
        ("mlp.weight.element", "U64", words(&[0, 5], 8), 2),
        ("mlp.weight.mask", "U32", words(&[1 << 30, 1 << 31], 4), 2),
        ("mlp.weight.old", "U32", words(&old, 4), 2),
        ("codes.element", "U64", words(&[3], 8), 1),
        ("codes.mask", "U8", words(&[0x81], 1), 1),
        ("codes.old", "U8", words(&[0], 1), 1),
    ];
    let metadata = json!({
        "sha256": "0".repeat(64), "format_version": 1, "stream_version": 1, "seed": u64::MAX, "trial": 7, "ber": null,
        "error_model": "count:4", "target": "all", "expose": "parameters", "exposed_bits": 288, "written": false,
        "fingerprint": fingerprint(),
        "parameters": [
            { "name": "mlp.weight", "shape": [2, 3], "format": "f32" },
            { "name": "codes", "shape": [4], "format": "i8" },
        ],
    });
    let zeroed = file(&metadata, &tensors);
    let digits = sha256(&zeroed, &"0".repeat(64));
    let at = zeroed.windows(64).position(|window| window == "0".repeat(64).as_bytes()).unwrap();
    let mut bytes = zeroed.clone();
    bytes[at..at + 64].copy_from_slice(digits.as_bytes());
    let map = ErrorMap::from_bytes(&bytes).unwrap();
    assert_eq!((map.flips(), map.words()), (4, 3));
    assert_eq!((map.origin.chip.seed, map.origin.chip.trial, map.origin.rate), (u64::MAX, 7, None));
    let mut changed = parameters();
    map.apply(&mut changed).unwrap();
    assert_eq!(changed.words(0).get(0), u64::from(0.5_f32.to_bits() ^ 1 << 30));
    assert_eq!(changed.words(2).get(3), 0x81);
    assert!(map.apply(&mut changed).is_err());
    map.undo(&mut changed).unwrap();
    assert_eq!(changed.words(0).get(5), u64::from(3.0_f32.to_bits()));
    // The page's rule for damage: the digits are compared.
    let last = bytes.len() - 1;
    bytes[last] ^= 4;
    assert!(ErrorMap::from_bytes(&bytes).unwrap_err().to_string().contains("SHA-256"));
}

#[test]
fn a_reader_made_from_the_page_reads_what_this_program_writes() {
    let parameters = parameters();
    let drawn = draw("flips", Chip::new(5, 2), &exposure(&parameters, "all"), Some(0.1));
    let map = drawn.resolve(&parameters).unwrap();
    let bytes = map.to_bytes().unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let metadata: Value =
        serde_json::from_str(header["__metadata__"]["radhard.error_map"].as_str().unwrap()).unwrap();
    let stated = metadata["sha256"].as_str().unwrap();
    assert_eq!(stated, sha256(&bytes, stated));
    assert_eq!(metadata["fingerprint"], fingerprint());
    assert_eq!((metadata["format_version"].as_u64(), metadata["ber"].as_f64()), (Some(1), Some(0.1)));
    assert_eq!((metadata["seed"].as_u64(), metadata["trial"].as_u64()), (Some(5), Some(2)));
    let tensor = |name: &str, width: usize| -> Vec<u64> {
        let entry = &header[name];
        let [begin, end] = [0, 1].map(|i| 8 + length + entry["data_offsets"][i].as_u64().unwrap() as usize);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        bytes[begin..end].chunks(width).map(word).collect()
    };
    let mut flips = 0;
    for parameter in metadata["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let width = match parameter["format"].as_str().unwrap() {
            "f32" => 4,
            "f16" => 2,
            "i8" => 1,
            other => panic!("{other}"),
        };
        let index = parameters.specs().iter().position(|spec| spec.name == name).unwrap();
        let (elements, masks, old) = (
            tensor(&format!("{name}.element"), 8),
            tensor(&format!("{name}.mask"), width),
            tensor(&format!("{name}.old"), width),
        );
        assert!(elements.windows(2).all(|pair| pair[0] < pair[1]));
        for ((element, mask), old) in elements.iter().zip(&masks).zip(&old) {
            assert_eq!(parameters.words(index).get(*element), *old, "{name} {element}");
            flips += u64::from(mask.count_ones());
        }
    }
    assert_eq!(flips, map.flips());
    assert!(flips > 10);
}
