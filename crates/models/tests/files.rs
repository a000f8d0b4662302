//! Model files: what is written is read, and everything else is refused with a reason.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_models::{
    Config, DataMeta, Init, Integrity, Model, NamedTensor, NumberFormat, OpenError, StateDictError,
    TrainOptions, TrainingMeta,
};

fn model() -> Model {
    let mut model = Model::new(&Config::new("wide-deep", vec![5, 7]), Init::TorchFm, 3).unwrap();
    model.training = Some(TrainingMeta {
        options: TrainOptions::default(),
        init: Some(Init::TorchFm),
        epochs: 7,
        best_epoch: 4,
        validation_auc: Some(0.8),
        test_auc: None,
    });
    model.data = Some(DataMeta {
        name: "d".into(),
        fingerprint: "ab".into(),
        split_seed: Some(1),
        train_positive_rate: 0.1 + 0.2,
        stand_in: true,
    });
    model
}

fn saved(model: &Model) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.safetensors");
    model.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// A safetensors file of this header and these bytes.
fn file(header: &str, body: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), body].concat()
}

#[test]
fn a_saved_model_opens_as_it_was() {
    let model = model();
    let bytes = saved(&model);
    let back = Model::from_bytes(&bytes).unwrap();
    assert_eq!(back.fingerprint(), model.fingerprint());
    assert_eq!(back.config(), model.config());
    assert_eq!(back.training, model.training);
    assert_eq!(back.data, model.data);
    assert_eq!(saved(&back), bytes);
}

/// The header of a file as JSON, and its tensors' bytes.
fn parts(bytes: &[u8]) -> (serde_json::Value, &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), &bytes[8 + length..])
}

/// The file with what its metadata say of the model changed, and other keys beside it.
fn with_metadata(
    bytes: &[u8],
    change: impl Fn(&mut serde_json::Map<String, serde_json::Value>),
    more: &[(&str, &str)],
) -> Vec<u8> {
    let (mut header, tensors) = parts(bytes);
    let metadata = header["__metadata__"].as_object_mut().unwrap();
    let mut model = serde_json::from_str(metadata["radhard.model"].as_str().unwrap()).unwrap();
    change(&mut model);
    metadata.insert("radhard.model".into(), serde_json::to_string(&model).unwrap().into());
    for (key, value) in more {
        metadata.insert((*key).into(), (*value).into());
    }
    file(&header.to_string(), tensors)
}

#[test]
fn a_saved_model_has_the_sha256_of_its_tensors_in_the_order_of_their_names() {
    let model = model();
    let bytes = saved(&model);
    let (header, tensors) = parts(&bytes);
    let mut named: Vec<(&String, &serde_json::Value)> = header.as_object().unwrap().iter().collect();
    named.retain(|(name, _)| *name != "__metadata__");
    named.sort_by_key(|(name, _)| *name);
    let mut hash = sha2::Sha256::default();
    for (_, tensor) in named {
        let [start, end] = [0, 1].map(|at| tensor["data_offsets"][at].as_u64().unwrap() as usize);
        sha2::Digest::update(&mut hash, &tensors[start..end]);
    }
    let digest = sha2::Digest::finalize(hash);
    let expected: String = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let said: serde_json::Value =
        serde_json::from_str(header["__metadata__"]["radhard.model"].as_str().unwrap()).unwrap();
    assert_eq!(said["sha256"], expected);
    assert_eq!(Model::from_bytes(&bytes).unwrap().integrity(), Integrity::Intact);
}

#[test]
fn every_changed_bit_of_a_saved_models_tensors_is_noticed_unless_the_file_is_marked() {
    let bytes = saved(&model());
    let start = bytes.len() - parts(&bytes).1.len();
    for bit in (8 * start..8 * bytes.len()).step_by(7) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let found = Model::from_bytes(&flipped).unwrap().integrity();
        assert!(matches!(found, Integrity::Damaged { .. }), "bit {bit}");
        if bit % 97 == 0 {
            let marked = with_metadata(&flipped, |_| (), &[("radhard.fault.seed", "3")]);
            assert_eq!(Model::from_bytes(&marked).unwrap().integrity(), Integrity::Marked);
        }
    }
}

#[test]
fn a_model_beside_which_a_file_tells_its_flips_is_marked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.safetensors");
    let mut bytes = saved(&model());
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(Model::open(&path).unwrap().integrity(), Integrity::Damaged { .. }));
    std::fs::write(directory.path().join("m.safetensors.radhard-fault"), "{}").unwrap();
    assert_eq!(Model::open(&path).unwrap().integrity(), Integrity::Marked);
}

#[test]
fn a_model_of_a_version_without_checksums_opens_as_before_and_nobody_judges_it() {
    let model = model();
    let old = with_metadata(&saved(&model), |of| assert!(of.remove("sha256").is_some()), &[]);
    let back = Model::from_bytes(&old).unwrap();
    assert_eq!(back.fingerprint(), model.fingerprint());
    assert_eq!(back.integrity(), Integrity::Unknown);
    assert_eq!(saved(&back), saved(&model));
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let bytes = saved(&model());
    for end in 0..bytes.len() {
        assert!(Model::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(Model::from_bytes(&longer).is_err());
}

#[test]
fn a_changed_header_byte_never_panics() {
    let bytes = saved(&model());
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for at in 0..header {
        for change in [1u8, 0x80, 0x15] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let _ = Model::from_bytes(&bytes);
        }
    }
}

#[test]
fn foreign_files_say_what_they_lack() {
    assert!(matches!(Model::from_bytes(b""), Err(OpenError::Safetensors(_))));
    assert!(matches!(Model::from_bytes(&[0xff; 64]), Err(OpenError::Safetensors(_))));
    let plain = file(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]);
    assert!(matches!(Model::from_bytes(&plain), Err(OpenError::NoModel)));
    let with = |meta: &str| file(&format!(r#"{{"__metadata__":{{"radhard.model":{meta}}}}}"#), &[]);
    assert!(matches!(Model::from_bytes(&with(r#""{""#)), Err(OpenError::Metadata(_))));
    assert!(matches!(Model::from_bytes(&with(r#""{}""#)), Err(OpenError::Metadata(_))));
    assert!(matches!(Model::from_bytes(&with(r#""{\"format\":9}""#)), Err(OpenError::Version { found: 9 })));
}

#[test]
fn hostile_dims_are_refused_before_anything_is_allocated() {
    let config =
        r#"{\"format\":1,\"config\":{\"name\":\"fm\",\"field_dims\":[4294967295],\"embed_dim\":65536}}"#;
    let bytes = file(&format!(r#"{{"__metadata__":{{"radhard.model":"{config}"}}}}"#), &[]);
    assert!(matches!(Model::from_bytes(&bytes), Err(OpenError::StateDict(_))));
}

#[test]
fn a_mismatch_lists_both_sides() {
    let model = model();
    let mut tensors: Vec<_> = model
        .parameters()
        .iter()
        .map(|t| NamedTensor { name: t.name(), shape: t.shape(), format: Some(t.format()), bytes: t.bytes() })
        .collect();
    assert!(Model::from_state_dict(model.config(), &tensors).is_ok());
    tensors[0].name = "linear.offset";
    tensors[1].shape = &[6, 2];
    tensors[2].format = None;
    let Err(StateDictError::Mismatch { differences, .. }) = Model::from_state_dict(model.config(), &tensors)
    else {
        panic!("accepted");
    };
    assert_eq!(
        differences,
        [
            "  model has linear.bias f32 [1], the file does not",
            "  model has linear.fc.weight f32 [12, 1], the file linear.fc.weight f32 [6, 2]",
            "  model has embedding.embedding.weight f32 [12, 16], the file embedding.embedding.weight another format \
             [12, 16]",
            "  the file has linear.offset f32 [1], the model does not",
        ]
    );
    assert_eq!(NumberFormat::I64.bytes(), 8);
}

#[test]
fn a_directory_without_the_right_to_write_is_an_error() {
    assert!(model().save("/nowhere/at/all/m.safetensors").is_err());
    let error = Model::open("/nowhere/at/all/m.safetensors").unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all/m.safetensors"), "{error}");
}
