//! Error maps as files: what is written is read, and each way to be wrong is told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;
mod weights;

use std::collections::HashMap;
use std::fs;

use proptest::prelude::*;
use radhard_fault::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sample::{draw, exposure};
use weights::model;

fn map(error_model: &str) -> ErrorMap {
    let parameters = model();
    let rate = (!error_model.starts_with("count")).then_some(0.01);
    let target = "embedding@0-30,dense";
    draw(error_model, Chip::new(u64::MAX, 3), &exposure(&parameters, target), rate)
        .resolve(&parameters)
        .unwrap()
}

/// A file taken apart, to be put together wrongly.
#[derive(Clone)]
struct Parts {
    json: serde_json::Value,
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn of(map: &ErrorMap) -> Self {
        let bytes = map.to_bytes().unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let mut json: serde_json::Value =
            serde_json::from_str(&header.metadata().as_ref().unwrap()["radhard.error_map"]).unwrap();
        // As a writer that states no checksum: what else is wrong is to be told.
        json.as_object_mut().unwrap().remove("sha256").unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let part = |(name, view): (&str, TensorView<'_>)| {
            (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
        };
        let mut tensors: Vec<_> = tensors.iter().map(part).collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Self { json, tensors }
    }

    fn tensor(&mut self, name: &str) -> &mut (String, Dtype, Vec<usize>, Vec<u8>) {
        self.tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap()
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        let view = |(name, dtype, shape, bytes): &(String, Dtype, Vec<usize>, Vec<u8>)| {
            (name.clone(), TensorView::new(*dtype, shape.clone(), bytes.clone().leak()).unwrap())
        };
        let metadata = HashMap::from([(key.to_owned(), self.json.to_string())]);
        safetensors::serialize(self.tensors.iter().map(view), Some(metadata)).unwrap()
    }

    fn error(&self) -> MapFileError {
        ErrorMap::from_bytes(&self.bytes("radhard.error_map")).unwrap_err()
    }
}

/// The error after one change to a good file of written words.
fn broken(change: impl FnOnce(&mut Parts)) -> MapFileError {
    let mut parts = Parts::of(&map("value:uniform"));
    change(&mut parts);
    parts.error()
}

#[test]
fn maps_read_back_what_they_wrote() {
    for error_model in
        ["flips", "count:5", "count:0", "burst:3:0.5", "stuck-at:random", "asymmetric:0:1", "value:uniform"]
    {
        let map = map(error_model);
        let bytes = map.to_bytes().unwrap();
        assert_eq!(bytes, map.to_bytes().unwrap(), "the same map has the same bytes");
        assert_eq!(ErrorMap::from_bytes(&bytes).unwrap(), map, "{error_model}");
        assert_eq!(map.origin.target, "embedding@0-30,dense");
        assert_eq!(map.origin.error_model, error_model);
        assert_eq!(map.origin.chip, Chip::new(u64::MAX, 3));
    }
}

#[test]
fn maps_of_every_format_read_back_what_they_wrote() {
    let mut parameters = OwnedParameters::default();
    for format in Format::ALL {
        let spec = ParameterSpec {
            name: format!("in.{format}.element"),
            shape: vec![5, 9],
            format,
            component: Component::Unknown,
        };
        parameters.push(spec);
    }
    for error_model in ["flips", "value:uniform"] {
        let map = draw(error_model, Chip::new(1, 1), &exposure(&parameters, "all"), Some(0.3));
        let map = map.resolve(&parameters).unwrap();
        assert_eq!(map.parameters().len(), Format::ALL.len());
        let read = ErrorMap::from_bytes(&map.to_bytes().unwrap()).unwrap();
        assert_eq!(read, map);
        let clean = parameters.clone();
        read.apply(&mut parameters).unwrap();
        assert_ne!(parameters, clean);
        map.undo(&mut parameters).unwrap();
        assert_eq!(parameters, clean);
    }
}

#[test]
fn tensors_hold_what_the_format_says() {
    let map = map("value:uniform");
    let parts = Parts::of(&map);
    let first = &map.parameters()[0];
    let word = |name: &str| {
        let (_, dtype, shape, bytes) =
            parts.tensors.iter().find(|tensor| tensor.0 == format!("embedding.weight.{name}")).unwrap();
        let width = if name == "element" { 8 } else { 4 };
        assert_eq!(*dtype, if name == "element" { Dtype::U64 } else { Dtype::U32 });
        assert_eq!((shape, bytes.len()), (&vec![first.elements().len()], width * first.elements().len()));
        bytes[..width].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    assert_eq!(word("element"), first.elements()[0]);
    assert_eq!(word("mask"), first.masks()[0]);
    assert_eq!(word("old"), first.old()[0]);
    assert_eq!(word("value"), first.old()[0] ^ first.masks()[0]);
    assert_eq!(parts.json["format_version"], 1);
    assert_eq!(parts.json["stream_version"], STREAM_VERSION);
    assert_eq!(parts.json["seed"], u64::MAX);
    assert_eq!(parts.json["ber"], 0.01);
    assert_eq!(parts.json["exposed_bits"], map.origin.exposed_bits);
    assert_eq!(parts.json["parameters"][0]["name"], "embedding.weight");
    assert!(!Parts::of(&self::map("flips")).tensors.iter().any(|tensor| tensor.0.contains(".value")));
}

#[test]
fn files_cut_anywhere_are_refused() {
    let bytes = map("count:20").to_bytes().unwrap();
    for length in 0..bytes.len() {
        assert!(ErrorMap::from_bytes(&bytes[..length]).is_err(), "cut to {length} of {}", bytes.len());
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(ErrorMap::from_bytes(&longer), Err(MapFileError::NotSafetensors(_))));
}

#[test]
fn other_safetensors_files_are_not_error_maps() {
    let bytes = Parts::of(&map("flips")).bytes("radhard.data");
    assert!(matches!(ErrorMap::from_bytes(&bytes), Err(MapFileError::NotErrorMap)));
}

#[test]
fn metadata_must_make_sense() {
    for (key, value) in [
        ("seed", serde_json::json!(-1)),
        ("ber", serde_json::json!(1.5)),
        ("expose", serde_json::json!("everything")),
        ("parameters", serde_json::json!({})),
        ("format_version", serde_json::json!("one")),
    ] {
        let error = broken(|parts| parts.json[key] = value);
        assert!(matches!(error, MapFileError::Metadata(_)), "{key}: {error}");
    }
    let error = broken(|parts| parts.json["parameters"][0]["format"] = "f31".into());
    assert!(matches!(error, MapFileError::Metadata(_)));
}

#[test]
fn other_versions_are_refused_whatever_else_they_hold() {
    let error = broken(|parts| parts.json = serde_json::json!({ "format_version": 2 }));
    assert_eq!(error.to_string(), "error map of format version 2, this program reads version 1");
}

#[test]
fn parameters_are_listed_once() {
    let error = broken(|parts| {
        let again = parts.json["parameters"][0].clone();
        parts.json["parameters"].as_array_mut().unwrap().push(again);
    });
    assert!(matches!(error, MapFileError::DuplicateParameter(name) if name == "embedding.weight"));
}

#[test]
fn tensors_belong_to_listed_parameters() {
    let error = broken(|parts| {
        parts.tensors.push(("spare.element".to_owned(), Dtype::U64, vec![0], Vec::new()));
    });
    assert!(matches!(error, MapFileError::ForeignTensor(name) if name == "spare.element"));
    // A written value for flips would be read by nobody.
    let error = broken(|parts| parts.json["parameters"].as_array_mut().unwrap().truncate(1));
    assert!(matches!(error, MapFileError::ForeignTensor(_)));
}

#[test]
fn tensors_of_listed_parameters_are_all_there() {
    for suffix in ["element", "mask", "old"] {
        let name = format!("mlp.0.weight.{suffix}");
        let error = broken(|parts| parts.tensors.retain(|tensor| tensor.0 != name));
        assert!(matches!(error, MapFileError::MissingTensor(missing) if missing == name));
    }
}

#[test]
fn tensors_have_the_type_of_their_format() {
    let error = broken(|parts| parts.tensor("mlp.0.weight.mask").1 = Dtype::F32);
    assert_eq!(error.to_string(), "tensor \"mlp.0.weight.mask\" has type F32, expected U32");
    let error = broken(|parts| parts.tensor("mlp.0.weight.element").1 = Dtype::I64);
    assert!(matches!(error, MapFileError::Type { expected: Dtype::U64, .. }));
}

#[test]
fn tensors_have_one_dimension() {
    let error = broken(|parts| parts.tensor("mlp.0.weight.old").2.push(1));
    assert!(matches!(error, MapFileError::Shape { shape, .. } if shape.len() == 2));
}

#[test]
fn tensors_of_a_parameter_are_equally_long() {
    for suffix in ["mask", "old", "value"] {
        let error = broken(|parts| {
            let tensor = parts.tensor(&format!("mlp.0.weight.{suffix}"));
            tensor.2[0] += 1;
            tensor.3.extend([1; 4]);
        });
        assert!(matches!(error, MapFileError::Length { found, expected, .. } if found == expected + 1));
    }
}

#[test]
fn elements_rise() {
    let error = broken(|parts| {
        let bytes = &mut parts.tensor("embedding.weight.element").3;
        bytes.copy_within(8..16, 16);
    });
    assert!(matches!(error, MapFileError::NotSorted { place: 2, .. }), "{error}");
}

#[test]
fn elements_are_inside_their_parameter() {
    let error = broken(|parts| {
        let bytes = &mut parts.tensor("embedding.weight.element").3;
        let last = bytes.len() - 8;
        bytes[last..].copy_from_slice(&2400_u64.to_le_bytes());
    });
    assert_eq!(error.to_string(), "element 2400 of \"embedding.weight\" is beyond its 2400 elements");
}

#[test]
fn listed_words_change() {
    let error = broken(|parts| parts.tensor("embedding.weight.mask").3[..4].fill(0));
    assert!(matches!(error, MapFileError::NoChange { .. }));
}

#[test]
fn words_fit_their_format() {
    let mut parameters = OwnedParameters::default();
    let spec = ParameterSpec {
        name: "codes".to_owned(),
        shape: vec![3],
        format: Format::I4,
        component: Component::Unknown,
    };
    parameters.push(spec);
    let drawn = draw("flips", Chip::new(1, 1), &exposure(&parameters, "all"), Some(1.0));
    let mut parts = Parts::of(&drawn.resolve(&parameters).unwrap());
    parts.tensor("codes.old").3[1] = 0x10;
    assert_eq!(parts.error().to_string(), "word 0x10 in tensor \"codes.old\" is wider than format i4");
}

#[test]
fn written_values_agree_with_their_masks() {
    let error = broken(|parts| parts.tensor("embedding.weight.value").3[0] ^= 1);
    assert!(matches!(error, MapFileError::OtherValue { found, expected, .. } if found == expected ^ 1));
}

#[test]
fn a_map_with_another_fingerprint_is_not_applied() {
    let mut parts = Parts::of(&map("flips"));
    parts.json["fingerprint"] = "0".repeat(64).into();
    let map = ErrorMap::from_bytes(&parts.bytes("radhard.error_map")).unwrap();
    assert!(matches!(map.apply(&mut model()), Err(ApplyError::OtherParameters { .. })));
}

#[test]
fn a_map_that_lies_about_a_parameter_is_not_applied() {
    let change = |change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::of(&map("flips"));
        change(&mut parts);
        let map = ErrorMap::from_bytes(&parts.bytes("radhard.error_map")).unwrap();
        let mut parameters = model();
        let error = map.apply(&mut parameters).unwrap_err();
        assert_eq!(parameters, model());
        error
    };
    let error = change(&|parts| {
        parts.json["parameters"][0]["shape"] = serde_json::json!([5000]);
        let bytes = &mut parts.tensor("embedding.weight.element").3;
        let last = bytes.len() - 8;
        bytes[last..].copy_from_slice(&2400_u64.to_le_bytes());
    });
    assert!(matches!(error, ApplyError::NoElement { element: 2400, elements: 2400, .. }), "{error}");
    let error = change(&|parts| parts.json["parameters"][0]["format"] = "i32".into());
    assert!(matches!(error, ApplyError::NoParameter { format: Format::I32, .. }), "{error}");
}

#[test]
fn a_map_of_before_f4_and_scales_were_formats_fits_a_model_that_has_them() {
    let mut parameters = OwnedParameters::default();
    parameters.push_f32("w", &[100], Component::Dense, &[0.5; 100]);
    let older =
        draw("count:9", Chip::new(3, 0), &exposure(&parameters, "all"), None).resolve(&parameters).unwrap();
    for (name, format) in [("experts", Format::F4), ("scale", Format::F8E8M0)] {
        let (name, shape) = (name.to_owned(), vec![16]);
        parameters.push(ParameterSpec { name, shape, format, component: Component::Dense });
    }
    older.apply(&mut parameters).unwrap();
    parameters.push(ParameterSpec {
        name: "other".to_owned(),
        shape: vec![1],
        format: Format::F32,
        component: Component::Dense,
    });
    assert!(matches!(older.undo(&mut parameters), Err(ApplyError::OtherParameters { .. })));
}

#[test]
fn no_changed_bit_of_a_map_goes_unseen() {
    let whole = map("count:7");
    let bytes = whole.to_bytes().unwrap();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        if let Ok(read) = ErrorMap::from_bytes(&damaged) {
            assert_eq!(read, whole, "byte {place}");
        }
    }
    let mut parts = Parts::of(&whole);
    parts.json["sha256"] = "5".repeat(64).into();
    assert!(matches!(parts.error(), MapFileError::Damaged { .. }));
}

#[test]
fn files_are_written_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("map.safetensors");
    let map = map("flips");
    map.save(&path).unwrap();
    assert_eq!(ErrorMap::load(&path).unwrap(), map);
    map.save(&path).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no temporary file stays");

    let taken = directory.path().join("taken");
    fs::create_dir(&taken).unwrap();
    let refused = map.save(&taken).unwrap_err();
    assert!(matches!(refused, MapFileError::Io { .. }));
    assert!(refused.to_string().contains("not a regular file"), "{refused}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "no temporary file stays after an error");
    assert!(map.save(directory.path().join("missing").join("map")).is_err());
    let missing = ErrorMap::load(directory.path().join("no such map")).unwrap_err();
    assert!(missing.to_string().contains("no such map"), "{missing}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        prop_assert!(ErrorMap::from_bytes(&bytes).is_err());
    }

    #[test]
    fn no_changed_byte_makes_the_reader_or_apply_panic(place: prop::sample::Index, value: u8) {
        let mut bytes = map("value:zero").to_bytes().unwrap();
        let place = place.index(bytes.len());
        bytes[place] = value;
        if let Ok(map) = ErrorMap::from_bytes(&bytes) {
            let mut parameters = model();
            if map.apply(&mut parameters).is_err() {
                prop_assert_eq!(parameters, model());
            }
        }
    }
}
