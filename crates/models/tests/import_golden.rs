//! Files that torch wrote: the same tensors bit for bit, the same logits, and nothing else under damage.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::PathBuf;

use proptest::prelude::*;
use radhard_data::RowsView;
use radhard_models::import::{self, Convert, Element, StateDict};
use radhard_models::{Config, Scores};
use safetensors::{Dtype, SafeTensors};

const NAMES: [&str; 5] = ["fm", "wide-deep", "deepfm", "dcn", "afm"];

const MAGICS: [&[u8]; 4] = [b"PK\x03\x04", b"\x93NUMPY", b"\x00\x00\x00\x00\x00\x00\x00\x00{", b""];

fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../testdata/models", file].iter().collect()
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(path(file)).unwrap()
}

fn is_weight(name: &str) -> bool {
    !name.starts_with("io.") && !name.starts_with("fault.")
}

#[test]
fn torch_files_have_the_tensors_of_the_golden_weights_bit_for_bit() {
    for name in NAMES {
        let golden = bytes(&format!("{name}.safetensors"));
        let golden = SafeTensors::deserialize(&golden).unwrap();
        for kind in ["state_dict", "module"] {
            let state = import::read(path(&format!("{name}.{kind}.pt")), Convert::No).unwrap();
            let mut wanted = 0;
            for (key, view) in golden.tensors().iter().filter(|(key, _)| is_weight(key)) {
                let tensor = state.named(key).unwrap_or_else(|| panic!("{name}.{kind}: {key} is missing"));
                assert_eq!(tensor.shape, view.shape(), "{name}.{kind}: {key}");
                assert_eq!(
                    tensor.element == Element::I64,
                    view.dtype() == Dtype::I64,
                    "{name}.{kind}: {key}"
                );
                assert!(tensor.bytes == view.data(), "{name}.{kind}: {key}");
                wanted += 1;
            }
            assert_eq!(state.tensors().len(), wanted, "{name}.{kind}");
        }
    }
}

#[test]
fn a_module_has_the_order_of_its_state_dict() {
    for name in NAMES {
        let order = |kind: &str| -> Vec<String> {
            let state = import::read(path(&format!("{name}.{kind}.pt")), Convert::No).unwrap();
            state.tensors().iter().map(|t| t.name.clone()).collect()
        };
        assert_eq!(order("module"), order("state_dict"), "{name}");
    }
}

#[test]
fn imported_models_have_the_logits_of_torch() {
    for name in NAMES {
        let golden = bytes(&format!("{name}.safetensors"));
        let (_, header) = SafeTensors::read_metadata(&golden).unwrap();
        let dims = serde_json::from_str(&header.metadata().as_ref().unwrap()["field_dims"]).unwrap();
        let config = Config::new(name, dims);
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let data = |key: &str| golden.tensor(key).unwrap().data().to_vec();
        let indices: Vec<u32> =
            data("io.indices").as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        let logits: Vec<f32> =
            data("io.logit").as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        for kind in ["state_dict", "module"] {
            let state = import::read(path(&format!("{name}.{kind}.pt")), Convert::No).unwrap();
            let model = import::model(&config, &state).unwrap();
            let labels = data("io.label");
            let fields = config.fields();
            let rows = RowsView {
                fields,
                numeric_width: 0,
                indices: &indices,
                numeric: &[],
                labels: &labels,
                bags: None,
            };
            let mut scores = Scores::default();
            model.scores(&rows, &mut scores).unwrap();
            assert_eq!(scores.logits.len(), logits.len());
            for (torch, here) in logits.iter().zip(&scores.logits) {
                assert!(
                    (torch - here).abs() <= 1e-5 * (1.0 + torch.abs()),
                    "{name}.{kind}: {torch}, here {here}"
                );
            }
        }
    }
}

/// The bytes of a safetensors file with the weights of a golden file under other names.
fn renamed(file: &str, name: impl Fn(usize, &str) -> String) -> Vec<u8> {
    let golden = bytes(file);
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let mut weights: Vec<_> = golden.tensors().into_iter().filter(|(key, _)| is_weight(key)).collect();
    weights.sort_by(|(a, _), (b, _)| a.cmp(b));
    let renamed = weights.into_iter().enumerate().map(|(i, (key, view))| (name(i, &key), view));
    safetensors::serialize(renamed, None).unwrap()
}

#[test]
fn prefixes_of_wrappers_are_taken_off_where_all_names_have_them() {
    let config = Config::new("deepfm", vec![23, 7, 41, 13, 5]);
    let plain = import::from_bytes(&renamed("deepfm.safetensors", |_, key| key.to_owned()), Convert::No);
    let plain = import::model(&config, &plain.unwrap()).unwrap();
    for prefix in ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."] {
        let file = renamed("deepfm.safetensors", |_, key| format!("{prefix}{key}"));
        let mut state = import::from_bytes(&file, Convert::No).unwrap();
        assert_eq!(state.strip_wrappers(), prefix);
        assert!(state.named("linear.bias").is_some(), "{prefix}");
        assert_eq!(import::model(&config, &state).unwrap().fingerprint(), plain.fingerprint(), "{prefix}");
    }
    // What one name lacks, or what is no wrapper's, stays and is listed.
    for prefix in ["module.", "model."] {
        let some = renamed("deepfm.safetensors", |i, key| {
            format!("{}{key}", if i == 3 && prefix == "module." { "" } else { prefix })
        });
        let mut state = import::from_bytes(&some, Convert::No).unwrap();
        assert_eq!(state.strip_wrappers(), "");
        let error = import::model(&config, &state).unwrap_err().to_string();
        assert!(error.contains(&format!("the file has {prefix}")), "{error}");
    }
    // A name that is nothing but the prefix keeps it.
    let tensor = |name: &str| {
        safetensors::tensor::TensorView::new(Dtype::F32, vec![1], &[0; 4]).map(|v| (name.to_owned(), v))
    };
    let file = safetensors::serialize([tensor("module.").unwrap()], None).unwrap();
    let mut state = import::from_bytes(&file, Convert::No).unwrap();
    assert_eq!(state.strip_wrappers(), "");
    assert_eq!(import::StateDict::default().strip_wrappers(), "");
}

#[test]
fn weights_of_another_architecture_list_both_sides() {
    let state = import::read(path("fm.state_dict.pt"), Convert::No).unwrap();
    let error =
        import::model(&Config::new("deepfm", vec![23, 7, 41, 13, 6]), &state).unwrap_err().to_string();
    assert!(error.contains("model has embedding.embedding.weight f32 [90, 16], the file"), "{error}");
    assert!(error.contains("embedding.embedding.weight f32 [89, 16]"), "{error}");
    assert!(error.contains("model has mlp.mlp.0.weight f32 [16, 80], the file does not"), "{error}");
    let state = import::read(path("deepfm.state_dict.pt"), Convert::No).unwrap();
    let error = import::model(&Config::new("fm", vec![23, 7, 41, 13, 5]), &state).unwrap_err().to_string();
    assert!(error.contains("the file has mlp.mlp.0.weight f32 [16, 80], the model does not"), "{error}");
}

#[test]
fn safetensors_give_the_same_model_as_torch_files() {
    let config = Config::new("fm", vec![23, 7, 41, 13, 5]);
    let state = import::read(path("fm.module.pt"), Convert::No).unwrap();
    let model = import::model(&config, &state).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fm.model");
    model.save(&file).unwrap();
    let again = import::read(&file, Convert::No).unwrap();
    for tensor in state.tensors() {
        assert_eq!(again.named(&tensor.name), Some(tensor));
    }
    assert_eq!(again.tensors().len(), state.tensors().len());
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let whole = bytes("fm.state_dict.pt");
    for length in 0..whole.len() {
        assert!(import::from_bytes(&whole[..length], Convert::No).is_err(), "cut at {length}");
    }
}

#[test]
fn every_flipped_bit_of_a_file_is_refused_or_changes_nothing() {
    let mut file = bytes("fm.state_dict.pt");
    let whole = read(&file);
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            if let Some(state) = read(&file) {
                assert!(Some(&state) == whole.as_ref(), "byte {at}, bit {bit}");
            }
            file[at] ^= 1 << bit;
        }
    }
}

fn read(bytes: &[u8]) -> Option<StateDict> {
    import::from_bytes(bytes, Convert::Yes).ok()
}

/// Changes the pickle, which is the first entry and stored, and renews its sum in the directory.
fn with_pickle(mut file: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let short = |at: usize| usize::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap()));
    let directory = word(file.len() - 6);
    assert!(file[directory + 46..][..short(directory + 28)].ends_with(b"data.pkl"));
    let start = 30 + short(26) + short(28);
    let pickle = start..start + word(directory + 20);
    change(&mut file[pickle.clone()]);
    let mut crc = flate2::Crc::new();
    crc.update(&file[pickle]);
    file[directory + 16..directory + 20].copy_from_slice(&crc.sum().to_le_bytes());
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_is_refused_or_changes_nothing(
        name in prop::sample::select(&NAMES),
        kind in prop::sample::select(&["state_dict", "module"]),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let whole = bytes(&format!("{name}.{kind}.pt"));
        let mut flipped = whole.clone();
        flipped[at.index(whole.len())] ^= 1 << bit;
        if let Some(state) = read(&flipped) {
            prop_assert_eq!(Some(state), read(&whole));
        }
    }

    #[test]
    fn changed_pickles_are_read_or_refused_without_panic(
        name in prop::sample::select(&NAMES),
        kind in prop::sample::select(&["state_dict", "module"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let file = with_pickle(bytes(&format!("{name}.{kind}.pt")), |pickle| {
            for (at, value) in &changes {
                let at = at.index(pickle.len());
                pickle[at] = *value;
            }
        });
        if let Some(state) = read(&file) {
            for tensor in state.tensors() {
                let elements: usize = tensor.shape.iter().product();
                prop_assert_eq!(tensor.bytes.len(), elements * tensor.element.bytes());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_panic(
        magic in prop::sample::select(&MAGICS),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = read(&[magic, &rest].concat());
    }
}

#[test]
fn an_unchanged_pickle_passes_through_the_changing_of_pickles() {
    let whole = bytes("dcn.module.pt");
    assert_eq!(read(&with_pickle(whole.clone(), |_| ())), read(&whole));
    assert!(read(&whole).is_some());
}
