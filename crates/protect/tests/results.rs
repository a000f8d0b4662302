//! Checks on results: clean rows never fail, flips that show do, and each way to go on does what it says.
#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use law_models::{LawModel, law_models};
use radhard_fault::{ParameterSpec, Parameters, Words};
use radhard_kernels::Kernels;
use radhard_models::{HookCall, HookEvents, Hooks, LookupResult, Scores, TableFormat, TableRow, convert};
use radhard_protect::{Protected, Subject, parse_protection};

#[path = "../../models/tests/law_models/mod.rs"]
mod law_models;

/// The subject lends no words: these protections look at results alone.
struct NoWords;

impl Parameters for NoWords {
    fn specs(&self) -> &[ParameterSpec] {
        &[]
    }

    fn words(&self, index: usize) -> Words<'_> {
        panic!("words of parameter {index} were asked for")
    }

    fn words_mut(&mut self, index: usize) -> radhard_fault::WordsMut<'_> {
        panic!("words of parameter {index} were asked for")
    }
}

const ROWS: usize = 300;

/// A model of the list that all laws run over.
struct Fixture(LawModel);

impl Fixture {
    fn of(name: &str) -> Self {
        Self(law_models(ROWS).into_iter().find(|law| law.name == name).unwrap())
    }

    fn all() -> Vec<Self> {
        law_models(ROWS).into_iter().map(Self).collect()
    }

    fn protect(&self, name: &str) -> Protected {
        let subject = Subject {
            model: Some(&self.0.model),
            parameters: &NoWords,
            calibration: None,
            looked_up: &[48.0, 48.0, 48.0],
        };
        parse_protection(name).unwrap().prepare(&subject).unwrap()
    }

    fn golden(&self) -> Scores {
        let mut scores = Scores::default();
        self.0.model.scores(&self.0.rows(), &mut scores).unwrap();
        scores
    }

    fn hooked(&self, hooks: &dyn Hooks) -> (Scores, HookEvents) {
        let mut scores = Scores::default();
        let events = self.0.model.scores_hooked(&self.0.rows(), hooks, &mut scores).unwrap();
        (scores, events)
    }

    fn flip(&mut self, parameter: &str, element: usize, bit: u32) {
        let tensor = self.0.model.parameters_mut().iter_mut().find(|tensor| tensor.name() == parameter);
        let word = &mut tensor.unwrap().f32s_mut()[element];
        *word = f32::from_bits(word.to_bits() ^ 1 << bit);
    }
}

#[test]
fn clean_rows_never_fail_and_keep_their_bits() {
    for fixture in Fixture::all() {
        let name = &fixture.0.name;
        for check in ["abft-gemm:reload", "abft-gemm:fallback", "abft-embedding:fallback"] {
            let protected = fixture.protect(check);
            let Some(hooks) = protected.hooks() else {
                assert!(name == "fm" && check.starts_with("abft-gemm"), "{name} {check}");
                assert!(protected.cost().assumptions[0].starts_with("none: "), "{name} {check}");
                continue;
            };
            let (scores, events) = fixture.hooked(hooks);
            assert_eq!(events, HookEvents::default(), "{name} {check}");
            assert!(scores.same_bits(&fixture.golden()), "{name} {check}");
        }
    }
}

#[test]
fn reload_gives_the_golden_scores_back_and_recompute_never_does() {
    for name in ["deepfm", "wide-deep", "dcn"] {
        let mut fixture = Fixture::of(name);
        let golden = fixture.golden();
        let (reload, recompute) =
            (fixture.protect("abft-gemm:reload"), fixture.protect("abft-gemm:recompute"));
        fixture.flip("mlp.mlp.0.weight", 21, 30);
        let unprotected = fixture.golden();
        assert!(!unprotected.same_bits(&golden));
        let (scores, events) = fixture.hooked(reload.hooks().unwrap());
        assert!(scores.same_bits(&golden), "{name}");
        assert_eq!((events.detected, events.reloads), (ROWS as u64, ROWS as u64), "{name}");
        let (weight, bias) = ("mlp.mlp.0.weight", "mlp.mlp.0.bias");
        let bytes = |name| fixture.0.model.parameters().named(name).unwrap().bytes().len() as u64;
        assert_eq!(events.reload_bytes, bytes(weight) + bytes(bias), "a tensor is reloaded once");
        let (scores, events) = fixture.hooked(recompute.hooks().unwrap());
        assert!(scores.same_bits(&unprotected), "{name}");
        assert_eq!((events.detected, events.corrected), (ROWS as u64, 0), "{name}");
        assert_eq!(events.retries, 2 * ROWS as u64, "retries are capped");
    }
}

#[test]
fn a_flipped_bias_is_seen_and_nan_is() {
    for bit in [22, 26, 30, 31] {
        let mut fixture = Fixture::of("deepfm");
        let golden = fixture.golden();
        let reload = fixture.protect("abft-gemm:reload");
        fixture.flip("mlp.mlp.4.bias", 3, bit);
        let (scores, events) = fixture.hooked(reload.hooks().unwrap());
        assert_eq!(events.reloads, ROWS as u64, "bit {bit}");
        assert!(scores.same_bits(&golden), "bit {bit}");
    }
    let mut fixture = Fixture::of("deepfm");
    let fallback = fixture.protect("abft-gemm:fallback");
    let parameters = fixture.0.model.parameters_mut();
    let tensor = parameters.iter_mut().find(|t| t.name() == "mlp.mlp.0.weight").unwrap();
    tensor.f32s_mut()[5] = f32::NAN;
    let (scores, events) = fixture.hooked(fallback.hooks().unwrap());
    assert_eq!((events.detected, events.fallbacks), (ROWS as u64, ROWS as u64));
    assert!(scores.probabilities.iter().all(|p| p.is_finite()));
}

#[test]
fn every_product_of_matrices_is_checked_inside_an_attention_and_across_a_cut_too() {
    let mut seen = 0;
    for (name, parameters) in [
        ("afm", &["attention.weight", "attention.bias", "projection.weight", "projection.bias"][..]),
        ("dcn", &["linear.weight", "linear.bias"]),
    ] {
        let names: Vec<(String, usize)> = Fixture::of(name)
            .0
            .model
            .parameters()
            .iter()
            .filter(|tensor| parameters.iter().any(|ends| tensor.name().ends_with(ends)))
            .map(|tensor| (tensor.name().to_owned(), tensor.shape().iter().product()))
            .collect();
        assert_eq!(names.len(), parameters.len(), "{name}");
        for (parameter, elements) in names {
            // The first and last element lie on both sides of a cut.
            for element in [0, elements - 1] {
                let mut fixture = Fixture::of(name);
                let golden = fixture.golden();
                let (reload, recompute) =
                    (fixture.protect("abft-gemm:reload"), fixture.protect("abft-gemm:recompute"));
                let assumptions = reload.cost().assumptions;
                assert!(assumptions.iter().all(|of| !of.contains("unchecked")), "{assumptions:?}");
                fixture.flip(&parameter, element, 30);
                let unprotected = fixture.golden();
                let (scores, events) = fixture.hooked(reload.hooks().unwrap());
                assert!(scores.same_bits(&golden), "{parameter} {element}");
                // A unit that is never active reads no weight that shows.
                assert!(events.reloads > 0 || unprotected.same_bits(&golden), "{parameter} {element}");
                assert_eq!(events.corrected, 0, "{parameter} {element}");
                seen += usize::from(events.reloads > 0);
                let (scores, events) = fixture.hooked(recompute.hooks().unwrap());
                assert!(scores.same_bits(&unprotected), "{parameter} {element}");
                assert_eq!((events.corrected, events.retries), (0, 2 * events.detected));
            }
        }
    }
    assert!(seen >= 8, "{seen} of 12");
}

#[test]
fn flipped_table_rows_are_seen_where_they_are_read_and_reloaded() {
    let mut tables = 0;
    for mut fixture in Fixture::all() {
        let golden = fixture.golden();
        let reload = fixture.protect("abft-embedding:reload");
        let recompute = fixture.protect("abft-embedding:recompute");
        let fallback = fixture.protect("abft-embedding:fallback");
        for site in fixture.0.model.lookups().into_iter().filter(|site| site.width == 16) {
            let (name, view) = (fixture.0.name.clone(), fixture.0.rows());
            // A value of the first field of the table, and the data rows that read it.
            let value = 5;
            let reads = |row: &usize| match view.bags {
                Some(bags) => bags.of(*row).contains(&value),
                None => view.indices_of(*row)[site.fields.start] == value,
            };
            let readers = (0..ROWS).filter(reads).count() as u64;
            assert!(readers > 0, "{name}, fields {:?}", site.fields);
            let table = fixture.0.model.parameters()[site.table].name().to_owned();
            let what = format!("{name}, {table}");
            fixture.flip(&table, value as usize * 16 + 3, 30);
            let unprotected = fixture.golden();
            let (scores, events) = fixture.hooked(reload.hooks().unwrap());
            assert!(scores.same_bits(&golden), "{what}");
            assert_eq!((events.detected, events.reloads), (readers, readers), "{what}");
            if site.gives == LookupResult::Rows {
                assert_eq!(events.reload_bytes, 64, "{what}: a reload mends a row");
            }
            assert_eq!((events.corrected, events.retries), (0, readers), "{what}");
            let (scores, events) = fixture.hooked(recompute.hooks().unwrap());
            assert!(scores.same_bits(&unprotected), "{what}");
            assert_eq!((events.corrected, events.retries), (0, 2 * readers), "{what}");
            let (_, events) = fixture.hooked(fallback.hooks().unwrap());
            assert_eq!(events.fallbacks, readers, "{what}");
            fixture.flip(&table, value as usize * 16 + 3, 30);
            tables += 1;
        }
    }
    // One in each model with a table of all fields or bags, and three in dlrm.
    assert_eq!(tables, 5 + 3 + 2);
}

#[test]
fn flipped_first_order_weights_are_seen_in_the_sum_over_fields() {
    let mut fixture = Fixture::of("deepfm");
    let golden = fixture.golden();
    let reload = fixture.protect("abft-embedding:reload");
    fixture.flip("linear.fc.weight", 8, 30);
    let (scores, events) = fixture.hooked(reload.hooks().unwrap());
    assert!(scores.same_bits(&golden));
    assert!(events.reloads > 0);
}

#[test]
fn every_flip_in_scale_and_bias_of_a_quantised_row_that_moves_a_value_is_seen() {
    let mut fixture = Fixture::of("fm");
    fixture.0.model = convert(&fixture.0.model, TableFormat::Int8Rowwise).unwrap();
    let fallback = fixture.protect("abft-embedding:fallback");
    let table = fixture.0.model.lookups().into_iter().find(|site| site.width == 16).unwrap().table;
    let (_, clean) = fixture.hooked(fallback.hooks().unwrap());
    assert_eq!(clean, HookEvents::default());
    let row = |fixture: &Fixture| {
        let mut values = vec![0.0; 16];
        fixture.0.model.table_row(table, TableRow::new(8), &mut values);
        values
    };
    let stored = row(&fixture);
    let mut moving = 0;
    for part in ["scale", "bias"] {
        for bit in 0..32 {
            let name = format!("embedding.embedding.weight.{part}");
            fixture.flip(&name, 8, bit);
            let (_, events) = fixture.hooked(fallback.hooks().unwrap());
            let moves = row(&fixture) != stored;
            assert_eq!(events.detected > 0, moves, "{part}, bit {bit}");
            moving += u32::from(moves);
            fixture.flip(&name, 8, bit);
        }
    }
    assert!(moving >= 60, "{moving} of 64 flips move a value");
}

/// Sees every layer.
struct Nothing;

impl Hooks for Nothing {
    fn acts(&self, _layer: usize) -> bool {
        true
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [radhard_kernels::Lane]) -> HookEvents {
        assert!(call.kernels == Kernels::detected() && !values.is_empty());
        HookEvents::default()
    }
}

#[test]
fn a_hook_that_sees_everything_and_does_nothing_changes_nothing() {
    for fixture in Fixture::all() {
        let name = &fixture.0.name;
        assert!(fixture.hooked(&Nothing).0.same_bits(&fixture.golden()), "{name}");
    }
}

#[test]
fn clean_rows_never_fail_whatever_the_numbers_are() {
    // Constant, alternating, scaled and cancelling weights: what a tolerance by √(k + n) fails on.
    type Weight = fn(usize) -> f32;
    let kinds: [Weight; 6] = [
        |_| 1.0,
        |i| if i % 2 == 0 { 1e10 } else { -1e10 },
        |i| (i as f32 * 0.37).sin() * 1e-30,
        |i| f32::from_bits(i as u32 % 1000 + 1),
        |i| if i % 17 == 0 { 3e12 } else { 1.234_567e-3 },
        |i| 0.1 + i as f32 * 1e-7,
    ];
    for (kind, weight) in kinds.into_iter().enumerate() {
        let mut fixture = Fixture::of("deepfm");
        for tensor in fixture.0.model.parameters_mut().iter_mut() {
            if tensor.name().contains("mlp.mlp.0") || tensor.name().contains("embedding") {
                tensor.f32s_mut().iter_mut().enumerate().for_each(|(i, w)| *w = weight(i));
            }
        }
        for check in ["abft-gemm:recompute", "abft-embedding:recompute"] {
            let (_, events) = fixture.hooked(fixture.protect(check).hooks().unwrap());
            assert_eq!(events, HookEvents::default(), "{check}, kind {kind}");
        }
    }
}
