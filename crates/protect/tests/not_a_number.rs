//! No comparison lets NaN or an infinity through, whatever the words are.
#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use proptest::prelude::*;
use radhard_data::RowsView;
use radhard_fault::{Component, OwnedParameters};
use radhard_kernels::{Bounds, Kernels, LANES, Lane, Limits, Outside, Path};
use radhard_models::{Config, Init, Model, Scores};
use radhard_protect::{Protected, Subject, parse_protection};

/// Any word, and often one at an edge.
fn word() -> impl Strategy<Value = u32> {
    let sign = any::<bool>().prop_map(|minus| u32::from(minus) << 31);
    prop_oneof![
        4 => any::<u32>(),
        2 => (sign.clone(), 0x7f80_0001u32..=0x7fff_ffff).prop_map(|(sign, nan)| sign | nan),
        1 => sign.clone().prop_map(|sign| sign | 0x7f80_0000),
        1 => (sign.clone(), 0u32..=0x007f_ffff).prop_map(|(sign, subnormal)| sign | subnormal),
        1 => sign.prop_map(|sign| sign | 0x7f7f_ffff),
    ]
}

fn lanes(words: &[u32]) -> Vec<Lane> {
    words.chunks_exact(LANES).map(|lane| std::array::from_fn(|l| f32::from_bits(lane[l]))).collect()
}

fn fixture() -> (Model, Vec<u32>) {
    let config = Config { embed_dim: 16, ..Config::new("deepfm", vec![4, 3]) };
    (Model::new(&config, Init::TorchFm, 7).unwrap(), (0..40).flat_map(|row| [row % 4, row % 3]).collect())
}

fn rows(indices: &[u32]) -> RowsView<'_> {
    RowsView { fields: 2, numeric_width: 0, indices, numeric: &[], labels: &[0; 40], bags: None }
}

fn protect(model: &Model, name: &str) -> Protected {
    let parameters = OwnedParameters::default();
    let looked_up = [0.0; 8];
    let subject =
        Subject { model: Some(model), parameters: &parameters, calibration: None, looked_up: &looked_up };
    parse_protection(name).unwrap().prepare(&subject).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bounded_values_are_within_bounds_and_every_nan_is_counted(
        words in prop::collection::vec(word(), 4 * LANES),
        clip in any::<bool>(),
        (low, high) in (-10.0f32..=0.0, 0.0f32..=10.0),
    ) {
        let (below, above) = if clip { (low, high) } else { (0.0, 0.0) };
        let bounds = Bounds { low, high, below, above, nan: 0.0 };
        let nan = words.iter().filter(|&&word| f32::from_bits(word).is_nan()).count() as u64;
        for &path in Path::available() {
            let (mut x, mut outside) = (lanes(&words), Outside::default());
            Kernels::on(path).unwrap().bound(bounds, (4, 64), &mut x, &mut outside);
            for (&value, &before) in x.as_flattened().iter().zip(&words) {
                prop_assert!(low <= value && value <= high, "{path}: {value}");
                let before = f32::from_bits(before);
                prop_assert!(!(low <= before && before <= high) || value.to_bits() == before.to_bits());
            }
            prop_assert_eq!(outside.nan, nan);
        }
    }

    #[test]
    fn words_behind_a_guard_are_within_its_limit(
        words in prop::collection::vec(word(), 4 * LANES),
        limit in 0u32..=0x7f7f_ffff,
        clamp in any::<bool>(),
    ) {
        let most = f32::from_bits(limit);
        for &path in Path::available() {
            let (mut x, mut changed) = (lanes(&words), vec![[0; LANES]; 4]);
            let kernels = Kernels::on(path).unwrap();
            let mut found = false;
            kernels.beyond_limits(Limits::All(limit), &x, &mut found);
            kernels.limit(Limits::All(limit), clamp, &mut x, &mut changed);
            let bad = words.iter().filter(|&&word| {
                let within = f32::from_bits(word).abs() <= most;
                !within
            });
            let bad = bad.count();
            prop_assert_eq!(found, bad > 0);
            prop_assert_eq!(changed.as_flattened().iter().sum::<u32>() as usize, bad);
            prop_assert!(x.as_flattened().iter().all(|value| value.abs() <= most));
        }
    }

    #[test]
    fn a_looked_up_word_that_is_no_number_is_seen(word in word(), at in 0usize..7 * 16) {
        let (mut model, indices) = fixture();
        let protected = protect(&model, "abft-embedding:fallback");
        let mut clean = 0.0;
        for tensor in model.parameters_mut().iter_mut() {
            if tensor.name() == "embedding.embedding.weight" {
                clean = std::mem::replace(&mut tensor.f32s_mut()[at], f32::from_bits(word));
            }
        }
        let mut scores = Scores::default();
        let events = model.scores_hooked(&rows(&indices), protected.hooks().unwrap(), &mut scores).unwrap();
        let value = f32::from_bits(word);
        prop_assert!(scores.probabilities.iter().all(|p| p.is_finite()));
        // What is far below the last place of the row's sum in f64 can't be seen there.
        if !value.is_finite() || (f64::from(value) - f64::from(clean)).abs() > 1e-15 {
            prop_assert!(events.detected > 0, "{} became {}", clean, value);
        }
    }

    #[test]
    fn a_weight_that_is_no_number_is_seen(word in word(), at in 0usize..16 * 32) {
        let value = f32::from_bits(word);
        prop_assume!(!value.is_finite());
        let (mut model, indices) = fixture();
        let protected = protect(&model, "abft-gemm:fallback");
        for tensor in model.parameters_mut().iter_mut() {
            if tensor.name() == "mlp.mlp.0.weight" {
                tensor.f32s_mut()[at] = value;
            }
        }
        let mut scores = Scores::default();
        let events = model.scores_hooked(&rows(&indices), protected.hooks().unwrap(), &mut scores).unwrap();
        prop_assert_eq!(events.detected, 40, "every row multiplies by it");
        prop_assert!(scores.probabilities.iter().all(|p| p.is_finite()));
    }
}

#[test]
fn a_clean_word_that_no_bound_holds_is_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut parameters = OwnedParameters::default();
        parameters.push_f32("w", &[2, 1], Component::Embedding, &[0.5, value]);
        let subject = Subject { model: None, parameters: &parameters, calibration: None, looked_up: &[1.0] };
        let error = parse_protection("range-guard").unwrap().prepare(&subject).err().unwrap().to_string();
        assert!(error.contains("word 1 of \"w\" is"), "{error}");
    }
}
