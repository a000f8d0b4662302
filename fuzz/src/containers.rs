//! Safetensors files: of anybody, of a model, of an error map.

use std::sync::OnceLock;

use radhard_fault::{
    Chip, Component, DrawnMap, ErrorMap, Expose, SafetensorsBytes, Target, parse_error_model,
};
use radhard_models::{Config, Init, Model};

use crate::{edits, files, scratch};

/// Bits that a chip flips in an accepted file.
const FLIPS: &str = "count:3";

/// Any safetensors file: a chip is injected and undone, and the bytes are those that came.
pub(crate) fn safetensors(input: &[u8]) {
    let mut bytes = edits::file(files::safetensors(), input);
    let before = bytes.clone();
    let Ok(mut parameters) = SafetensorsBytes::new(&mut bytes[..], |_| Component::Unknown) else { return };
    for index in 0..parameters.specs().len() {
        let (words, elements) = (parameters.words(index), parameters.specs()[index].elements());
        assert_eq!(words.len() as u64, elements);
    }
    let Ok(exposure) = Target::all().resolve(parameters.specs(), Expose::Parameters) else { return };
    let model = parse_error_model(FLIPS).expect("an error model of this crate");
    let mut drawn = DrawnMap::new();
    if model.draw(Chip::new(1, 0), &exposure, None, &mut drawn).is_err() {
        return;
    }
    let map = drawn.resolve(&parameters).expect("drawn sites are sites of the file");
    assert_eq!(map.flips(), 3);
    map.apply(&mut parameters).expect("the words are those of the map");
    map.undo(&mut parameters).expect("the words are those that were applied");
    assert_eq!(bytes, before);
}

/// The model file that inputs edit.
pub(crate) fn model_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let model = Model::new(&Config::new("fm", vec![3, 2]), Init::TorchFm, 1).expect("a small model");
        bytes_of(&model)
    })
}

fn bytes_of(model: &Model) -> Vec<u8> {
    let path = scratch::file("model.safetensors");
    model.save(&path).expect("a model can be saved");
    std::fs::read(&path).expect("what was saved can be read")
}

/// Model files: what is accepted is saved, and the saved file is the same model with the same bytes.
pub(crate) fn model(input: &[u8]) {
    let bytes = edits::file(model_file(), input);
    let Ok(model) = Model::from_bytes(&bytes) else { return };
    let saved = bytes_of(&model);
    let again = Model::from_bytes(&saved).expect("a saved model is a model");
    assert_eq!(again.fingerprint(), model.fingerprint());
    assert_eq!(again.config(), model.config());
    assert_eq!(bytes_of(&again), saved);
}

/// The error map that inputs edit.
pub(crate) fn map_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| map_of("value:uniform"))
}

/// The map of one chip on the small safetensors file.
pub(crate) fn map_of(error_model: &str) -> Vec<u8> {
    let mut bytes = files::safetensors().to_vec();
    let parameters =
        SafetensorsBytes::new(&mut bytes[..], |_| Component::Unknown).expect("a file of this crate");
    let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters).expect("there are words");
    let model = parse_error_model(error_model).expect("an error model of this crate");
    let rate = 0.05.try_into().expect("a rate in [0, 1]");
    let mut drawn = DrawnMap::new();
    model
        .draw(Chip::new(1, 0), &exposure, model.takes_rate().then_some(rate), &mut drawn)
        .expect("a chip can be drawn");
    drawn
        .resolve(&parameters)
        .expect("drawn sites are sites of the file")
        .to_bytes()
        .expect("a map is written")
}

/// Error maps: what is accepted is written, and reads back as the same map.
pub(crate) fn error_map(input: &[u8]) {
    let bytes = edits::file(map_file(), input);
    let Ok(map) = ErrorMap::from_bytes(&bytes) else { return };
    for parameter in map.parameters() {
        assert!(parameter.elements().is_sorted() && parameter.masks().iter().all(|&mask| mask != 0));
    }
    let written = map.to_bytes().expect("a map that was read is written");
    let again = ErrorMap::from_bytes(&written).expect("a written map is a map");
    assert_eq!(again.parameters(), map.parameters());
    assert_eq!(again.to_bytes().expect("a map that was read is written"), written);
}
