//! Tensors of any safetensors file are parameters in place.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use radhard_fault::*;
use safetensors::tensor::{Dtype, TensorView};

fn file() -> Vec<u8> {
    let data: Vec<u8> = (0..=255).collect();
    let dtypes = [
        ("z.f32", Dtype::F32, vec![2, 3], 24),
        ("a.f64", Dtype::F64, vec![2], 16),
        ("h.f16", Dtype::F16, vec![3], 6),
        ("b.bf16", Dtype::BF16, vec![3], 6),
        ("e4", Dtype::F8_E4M3, vec![5], 5),
        ("e5", Dtype::F8_E5M2, vec![5], 5),
        ("i64", Dtype::I64, vec![], 8),
        ("i32", Dtype::I32, vec![1], 4),
        ("i16", Dtype::I16, vec![1], 2),
        ("i8", Dtype::I8, vec![0], 0),
        ("u8", Dtype::U8, vec![7], 7),
        ("mask", Dtype::BOOL, vec![4], 4),
        ("ids", Dtype::U32, vec![1], 4),
        ("u16", Dtype::U16, vec![3], 6),
        ("u64", Dtype::U64, vec![1], 8),
        ("w4", Dtype::F4, vec![3, 2], 3),
        ("s8", Dtype::F8_E8M0, vec![4], 4),
    ];
    let views = dtypes
        .map(|(name, dtype, shape, length)| (name, TensorView::new(dtype, shape, &data[..length]).unwrap()));
    let metadata = std::collections::HashMap::from([("architecture".to_owned(), "unknown".to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn open(bytes: Vec<u8>) -> SafetensorsBytes<Vec<u8>> {
    SafetensorsBytes::new(
        bytes,
        |name| if name.contains('.') { Component::Dense } else { Component::Unknown },
    )
    .unwrap()
}

#[test]
fn every_numeric_tensor_is_a_parameter_in_the_order_of_names() {
    let parameters = open(file());
    let names: Vec<_> = parameters.specs().iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "a.f64", "b.bf16", "e4", "e5", "h.f16", "i16", "i32", "i64", "i8", "ids", "s8", "u16", "u64",
            "u8", "w4", "z.f32"
        ]
    );
    let foreign: Vec<_> = parameters.layout().foreign().iter().map(ToString::to_string).collect();
    assert_eq!(foreign, ["mask (BOOL)"]);
    assert_eq!(parameters.layout().foreign()[0].bits, 32);
    assert_eq!(parameters.layout().metadata()["architecture"], "unknown");
    let last = &parameters.specs()[15];
    assert_eq!((last.format, &last.shape[..], last.component), (Format::F32, &[2, 3][..], Component::Dense));
    assert_eq!(parameters.words(15).get(1), 0x0706_0504);
    assert_eq!(parameters.words(0).get(1), 0x0F0E_0D0C_0B0A_0908);
}

#[test]
fn injection_touches_data_only_and_is_undone() {
    let clean = file();
    let mut parameters = open(clean.clone());
    let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters).unwrap();
    let mut drawn = DrawnMap::new();
    Flips.draw(Chip::new(0, 0), &exposure, Some(BitErrorRate::ONE), &mut drawn).unwrap();
    let injected = Injected::new(&mut parameters, &drawn).unwrap();
    let exposed_bytes = usize::try_from(exposure.bits() / 8).unwrap();
    let changed = injected.bytes().iter().zip(&clean).filter(|(a, b)| a != b);
    assert_eq!(changed.clone().count(), exposed_bytes);
    assert!(changed.clone().all(|(a, b)| *a == !b));
    let reopened = open(injected.bytes().to_vec());
    assert_eq!(reopened.specs(), injected.specs());
    drop(injected);
    assert_eq!(parameters.into_inner(), clean);
}

#[test]
fn a_file_is_changed_and_restored_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    fs::write(&path, file()).unwrap();
    let mut parameters = open(fs::read(&path).unwrap());
    let exposure =
        "z.*@sign".parse::<Target>().unwrap().resolve(parameters.specs(), Expose::Parameters).unwrap();
    let mut drawn = DrawnMap::new();
    Flips.draw(Chip::new(0, 0), &exposure, Some(BitErrorRate::ONE), &mut drawn).unwrap();
    let map = drawn.resolve(&parameters).unwrap();
    assert_eq!(map.flips(), 6);
    map.apply(&mut parameters).unwrap();
    fs::write(&path, parameters.bytes()).unwrap();
    let mut again = open(fs::read(&path).unwrap());
    assert_eq!(again.words(15).get(0), 0x8302_0100);
    map.undo(&mut again).unwrap();
    assert_eq!(again.into_inner(), file());
}

#[test]
fn the_place_of_a_word_in_the_file_is_where_its_view_finds_it() {
    let mut bytes = file();
    let parameters = open(bytes.clone());
    let layout = parameters.layout().clone();
    for (index, spec) in layout.specs().iter().enumerate() {
        for element in 0..spec.elements() {
            let place = layout.place(index, element);
            let word = parameters.words(index).get(element);
            assert_eq!(place.get(&bytes[place.at as usize..], spec.format), word, "{} {element}", spec.name);
            place.set(&mut bytes[place.at as usize..], spec.format, !word);
        }
    }
    let flipped = open(bytes);
    for index in 0..layout.specs().len() {
        let mask = layout.specs()[index].format.word_mask();
        assert!(flipped.words(index).iter().eq(parameters.words(index).iter().map(|word| !word & mask)));
    }
}

#[test]
fn files_cut_anywhere_are_refused() {
    let bytes = file();
    for length in 0..bytes.len() {
        assert!(SafetensorsBytes::new(bytes[..length].to_vec(), |_| Component::Unknown).is_err(), "{length}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(SafetensorsBytes::new(bytes, |_| Component::Unknown).is_err());
    }
}
