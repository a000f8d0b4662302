//! Words read while they are looked up: what passes compute from them, beside passes over words that were read before.
#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use law_models::law_models;
use radhard_data::RowsView;
use radhard_fault::{Component, OwnedParameters};
use radhard_models::{Config, HookEvents, Hooks as _, Init, Model, Scores};
use radhard_protect::{Protected, Subject, parse_protection};

#[path = "../../models/tests/law_models/mod.rs"]
mod law_models;

const ROWS: usize = 200;
const DIMS: [u32; 3] = [50, 40, 30];

fn model(name: &str) -> Model {
    let config = Config { embed_dim: 16, ..Config::new(name, DIMS.to_vec()) };
    Model::new(&config, Init::TorchFm, 7).unwrap()
}

fn indices() -> Vec<u32> {
    (0..ROWS).flat_map(|row| DIMS.map(|dim| (row * row * 7 + row) as u32 % dim)).collect()
}

fn rows<'a>(indices: &'a [u32], labels: &'a [u8]) -> RowsView<'a> {
    RowsView { fields: 3, numeric_width: 0, indices, numeric: &[], labels, bags: None }
}

fn protect(model: &Model, name: &str) -> Protected {
    let mut parameters = OwnedParameters::default();
    for tensor in model.parameters() {
        let embedding = tensor.component() == radhard_models::Component::Embedding;
        let component = if embedding { Component::Embedding } else { Component::Dense };
        if tensor.name().ends_with("num_batches_tracked") {
            parameters.push_f32(tensor.name(), &[1], component, &[0.0]);
        } else {
            parameters.push_f32(tensor.name(), tensor.shape(), component, tensor.f32s());
        }
    }
    let looked_up = vec![0.0; model.parameters().iter().count()];
    let subject =
        Subject { model: Some(model), parameters: &parameters, calibration: None, looked_up: &looked_up };
    parse_protection(name).unwrap().prepare(&subject).unwrap()
}

/// Hits words of both tables: sign, exponent and mantissa bits, NaN and infinity among what they become.
fn hit(model: &mut Model) {
    for tensor in model.parameters_mut().iter_mut() {
        if tensor.component() == radhard_models::Component::Embedding {
            for (at, word) in tensor.f32s_mut().iter_mut().enumerate().filter(|(at, _)| at % 7 == 3) {
                let bits = match at % 5 {
                    0 => 0x7fc0_0000,
                    1 => 0xff80_0000,
                    _ => word.to_bits() ^ 1 << (at % 32),
                };
                *word = f32::from_bits(bits);
            }
        }
    }
}

/// Reads all words of all tables; gives how many checks fired among those of rows that are looked up.
fn read_all(model: &mut Model, protected: &Protected, clean: &Model) {
    let clean: Vec<Vec<u32>> = clean
        .parameters()
        .iter()
        .map(|tensor| {
            if tensor.component() == radhard_models::Component::Embedding {
                tensor.f32s().iter().map(|w| w.to_bits()).collect()
            } else {
                Vec::new()
            }
        })
        .collect();
    for (index, tensor) in model.parameters_mut().iter_mut().enumerate() {
        if tensor.component() == radhard_models::Component::Embedding {
            let mut words: Vec<u32> = tensor.f32s().iter().map(|w| w.to_bits()).collect();
            for mut reader in protected.slice_readers(index, &clean[index]) {
                reader(&mut words);
            }
            tensor.f32s_mut().iter_mut().zip(words).for_each(|(word, read)| *word = f32::from_bits(read));
        }
    }
}

const READERS: [&str; 8] = [
    "range-guard",
    "range-guard:clamp",
    "range-guard:row",
    "range-guard:row,clamp,margin=1.5",
    "constant-bits",
    "row-checksum",
    "row-checksum:zero",
    "constant-bits+range-guard:row",
];

#[test]
fn a_pass_that_reads_what_it_looks_up_equals_a_pass_over_words_read_before() {
    for law in law_models(ROWS) {
        let (name, rows, clean) = (&law.name, law.rows(), &law.model);
        for reader in READERS {
            let protected = protect(clean, reader);
            let Some(hooks) = protected.gather_hooks(clean) else {
                assert!(law.bags.is_some(), "{name} under {reader}: only words of bags are read apart");
                continue;
            };
            let (mut faulty, mut read) = (clean.clone(), clean.clone());
            hit(&mut faulty);
            hit(&mut read);
            read_all(&mut read, &protected, clean);
            let (mut wanted, mut scores) = (Scores::default(), Scores::default());
            read.scores(&rows, &mut wanted).unwrap();
            let events = faulty.scores_hooked(&rows, &hooks, &mut scores).unwrap();
            assert!(scores.same_bits(&wanted), "{name} under {reader}");
            assert!(events.detected > 0, "{name} under {reader}");
            let events = clean.scores_hooked(&rows, &hooks, &mut scores).unwrap();
            clean.scores(&rows, &mut wanted).unwrap();
            assert_eq!(events, HookEvents::default(), "{name} under {reader}: no false alarm");
            assert!(scores.same_bits(&wanted), "{name} under {reader}");
        }
    }
}

#[test]
fn a_clean_table_that_is_read_often_is_checked_once_and_a_bad_one_by_row() {
    let clean = model("deepfm");
    for reader in ["range-guard", "range-guard:row", "constant-bits", "row-checksum"] {
        let protected = protect(&clean, reader);
        let hooks = protected.gather_hooks(&clean).unwrap();
        for site in clean.lookups() {
            let words = clean.parameters().as_slice()[site.table].f32s();
            assert!(hooks.passes_whole(site.layer, words), "{reader}");
            // First-order weights beyond 2 have no constant bit.
            if reader == "constant-bits" && site.width == 1 {
                continue;
            }
            for at in [0, words.len() / 2, words.len() - 1] {
                let mut bad = words.to_vec();
                bad[at] = f32::NAN;
                assert!(!hooks.passes_whole(site.layer, &bad), "{reader} {at}");
            }
        }
    }
}

#[test]
fn each_bad_word_counts_once_for_every_row_that_looks_it_up() {
    let (indices, labels) = (indices(), vec![0; ROWS]);
    let rows = rows(&indices, &labels);
    let clean = model("deepfm");
    let protected = protect(&clean, "range-guard");
    let hooks = protected.gather_hooks(&clean).unwrap();
    let mut faulty = clean.clone();
    for tensor in faulty.parameters_mut().iter_mut() {
        match tensor.name() {
            "embedding.embedding.weight" => tensor.f32s_mut()[8 * 16 + 3] = f32::NAN,
            "linear.fc.weight" => tensor.f32s_mut()[8] = 1e9,
            _ => {}
        }
    }
    let readers = indices.iter().step_by(3).filter(|&&index| index == 8).count() as u64;
    let events = faulty.scores_hooked(&rows, &hooks, &mut Scores::default()).unwrap();
    assert_eq!((events.detected, events.fallbacks), (2 * readers, 2 * readers));
}

#[test]
fn what_has_no_kernel_for_the_gather_says_so() {
    let clean = model("fm");
    for name in ["mset", "secded", "tmr", "row-checksum:crc32", "range-guard+tmr", "sbp"] {
        assert!(protect(&clean, name).gather_hooks(&clean).is_none(), "{name}");
    }
}
