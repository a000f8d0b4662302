//! The page docs/formats/model.md is exact: a writer and a reader made from it alone agree with this program.

use radhard_models::{Init, Model, TableFormat, convert};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Two rows of an embedding table of width 3, with a row whose scale is no short decimal.
const TABLE: [f32; 6] = [-1.0, 0.25, 4.1, 0.5, 0.5, 0.5];

/// Names, shapes and words of an fm model with fields of 1 and 1 rows, as the page lists them.
fn tensors() -> Vec<(&'static str, Vec<usize>, Vec<f32>)> {
    vec![
        ("embedding.embedding.weight", vec![2, 3], TABLE.to_vec()),
        ("linear.bias", vec![1], vec![-0.5]),
        ("linear.fc.weight", vec![2, 1], vec![2.0, 3.0]),
    ]
}

/// SHA-256 over the bytes of the tensors in the order of their names.
fn sha256(tensors: &[(&str, Vec<u8>)]) -> String {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by_key(|(name, _)| name.as_bytes());
    let mut hash = Sha256::new();
    for (_, bytes) in sorted {
        hash.update(bytes);
    }
    hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn bytes_of(words: &[f32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A model file put together by hand.
fn written_by_the_page() -> Vec<u8> {
    let all: Vec<(&str, Vec<u8>)> =
        tensors().iter().map(|(name, _, words)| (*name, bytes_of(words))).collect();
    let metadata = json!({
        "format": 1,
        "config": { "name": "fm", "field_dims": [1, 1], "embed_dim": 3 },
        "training": null,
        "data": {
            "name": "sample", "fingerprint": "00", "split_seed": null, "train_positive_rate": 0.25, "stand_in": false,
        },
        "sha256": sha256(&all),
    });
    let mut header = json!({ "__metadata__": { "radhard.model": metadata.to_string() } });
    let (mut body, mut begin) = (Vec::new(), 0);
    for (name, shape, words) in tensors() {
        let end = begin + 4 * words.len();
        header[name] = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] });
        body.extend(bytes_of(&words));
        begin = end;
    }
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    [(header.len() as u64).to_le_bytes().to_vec(), header, body].concat()
}

#[test]
fn a_model_written_from_the_page_opens() {
    let model = Model::from_bytes(&written_by_the_page()).unwrap();
    for (name, shape, words) in tensors() {
        let tensor = model.parameters().named(name).unwrap();
        assert_eq!((tensor.shape(), tensor.f32s()), (&shape[..], &words[..]), "{name}");
    }
    let config = model.config();
    assert_eq!((config.name.as_str(), config.embed_dim, config.numeric), ("fm", 3, 0));
    assert_eq!((config.cross_layers, config.attention_dim, config.tables), (3, 16, TableFormat::F32));
    assert_eq!(model.parameters().trained(), 2 * 3 + 1 + 2);
}

#[test]
fn a_reader_made_from_the_page_reads_what_this_program_writes() {
    let config = Model::from_bytes(&written_by_the_page()).unwrap().config().clone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fm.safetensors");
    let model = Model::new(&config, Init::TorchFm, 1).unwrap();
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let text = header["__metadata__"]["radhard.model"].as_str().unwrap();
    let metadata: Value = serde_json::from_str(text).unwrap();
    assert_eq!(metadata["format"], 1);
    assert_eq!(metadata["config"]["field_dims"], json!([1, 1]));
    assert!(metadata["training"].is_null() && metadata["data"].is_null());
    assert!(metadata["config"].get("tables").is_none());
    let mut all = Vec::new();
    for (name, shape, _) in tensors() {
        let entry = &header[name];
        assert_eq!((entry["dtype"].as_str(), &entry["shape"]), (Some("F32"), &json!(shape)), "{name}");
        let [begin, end] = [0, 1].map(|i| 8 + length + entry["data_offsets"][i].as_u64().unwrap() as usize);
        assert_eq!(bytes[begin..end], bytes_of(model.parameters().named(name).unwrap().f32s()), "{name}");
        all.push((name, bytes[begin..end].to_vec()));
    }
    assert_eq!(header.as_object().unwrap().len(), 1 + all.len());
    assert_eq!(metadata["sha256"], sha256(&all));
}

#[test]
fn rows_of_bytes_are_quantised_as_the_page_says() {
    let model = Model::from_bytes(&written_by_the_page()).unwrap();
    let converted = convert(&model, TableFormat::Int8Rowwise).unwrap();
    let named = |suffix: &str| {
        let name = format!("embedding.embedding.weight.{suffix}");
        converted.parameters().named(&name).unwrap().bytes().to_vec()
    };
    let (mut codes, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
    for row in TABLE.chunks(3) {
        let [min, max] = [f32::min, f32::max].map(|of| row.iter().copied().reduce(of).unwrap());
        let scale = ((f64::from(max) - f64::from(min)) / 255.0) as f32;
        for w in row {
            let code = (f64::from(*w) - f64::from(min)) / f64::from(scale);
            codes.push(if scale == 0.0 { 0 } else { code.round_ties_even().clamp(0.0, 255.0) as u8 });
        }
        scales.push(scale);
        biases.push(min);
    }
    assert_eq!(
        (named("codes"), named("scale"), named("bias")),
        (codes, bytes_of(&scales), bytes_of(&biases))
    );
    assert_eq!(converted.parameters().named("linear.fc.weight").unwrap().f32s(), [2.0, 3.0]);
}
