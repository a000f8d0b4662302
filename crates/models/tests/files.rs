//! Model files: what is written is read, and everything else is refused with a reason.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_models::{
    Config, DataMeta, Init, Model, NamedTensor, NumberFormat, OpenError, StateDictError, TrainOptions,
    TrainingMeta,
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
