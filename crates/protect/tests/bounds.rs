//! Bounds of activations: taken from clean rows, tuned on chips, refused where they make no sense.
#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use std::sync::Mutex;

use radhard_data::RowsView;
use radhard_fault::{Component, OwnedParameters};
use radhard_kernels::Lane;
use radhard_models::{Config, HookCall, HookEvents, Hooks, Init, Model, Scores, SiteKind};
use radhard_protect::{ProtectError, Protected, Subject, parse_protection};

const ROWS: usize = 500;
const DIMS: [u32; 3] = [50, 40, 30];

fn model(name: &str) -> Model {
    let config = Config { embed_dim: 16, ..Config::new(name, DIMS.to_vec()) };
    Model::new(&config, Init::TorchFm, 7).unwrap()
}

struct Data {
    indices: Vec<u32>,
    labels: Vec<u8>,
}

/// Rows whose labels follow the model's own scores.
fn data(model: &Model) -> Data {
    let indices: Vec<u32> =
        (0..ROWS).flat_map(|row| DIMS.map(|dim| (row * row * 7 + row) as u32 % dim)).collect();
    let mut data = Data { indices, labels: vec![0; ROWS] };
    let mut scores = Scores::default();
    model.scores(&data.rows(), &mut scores).unwrap();
    let mut sorted = scores.probabilities.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    data.labels = scores.probabilities.iter().map(|&p| u8::from(p > sorted[ROWS / 2])).collect();
    data
}

impl Data {
    fn rows(&self) -> RowsView<'_> {
        RowsView {
            fields: 3,
            numeric_width: 0,
            indices: &self.indices,
            numeric: &[],
            labels: &self.labels,
            bags: None,
        }
    }
}

fn protect(model: &Model, rows: Option<RowsView<'_>>, name: &str) -> Result<Protected, ProtectError> {
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
        Subject { model: Some(model), parameters: &parameters, calibration: rows, looked_up: &looked_up };
    parse_protection(name).unwrap().prepare(&subject)
}

/// Values behind the layers of one kind, and the largest magnitude that gets through.
struct Values {
    kind: SiteKind,
    layers: Vec<usize>,
    seen: Mutex<Vec<Vec<f32>>>,
}

impl Values {
    fn of(model: &Model, rows: &RowsView<'_>, kind: SiteKind) -> Vec<Vec<f32>> {
        let layers: Vec<usize> =
            model.sites().into_iter().filter(|site| site.kind == kind).map(|site| site.layer).collect();
        let seen = Mutex::new(vec![Vec::new(); layers.len()]);
        let values = Self { kind, layers, seen };
        model.scores_hooked(rows, &values, &mut Scores::default()).unwrap();
        assert!(values.kind == kind);
        values.seen.into_inner().unwrap()
    }
}

impl Hooks for Values {
    fn acts(&self, layer: usize) -> bool {
        self.layers.contains(&layer)
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let at = self.layers.iter().position(|&layer| layer == call.layer).unwrap();
        let of_rows =
            values.chunks_exact(call.groups()).flat_map(|feature| &feature.as_flattened()[..call.rows]);
        self.seen.lock().unwrap()[at].extend(of_rows);
        HookEvents::default()
    }
}

/// What a protection makes of the values behind the layers of one kind.
struct Bounded<'a>(&'a dyn Hooks, Values);

impl Hooks for Bounded<'_> {
    fn acts(&self, layer: usize) -> bool {
        self.0.acts(layer)
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        // Far beyond every bound, so that each bound shows.
        values.as_flattened_mut().fill(1e30);
        let events = self.0.behind(call, values);
        self.1.behind(call, values);
        events
    }
}

/// The upper bounds behind the layers of one kind.
fn bounds(model: &Model, rows: &RowsView<'_>, protected: &Protected, kind: SiteKind) -> Vec<f32> {
    let layers: Vec<usize> =
        model.sites().into_iter().filter(|site| site.kind == kind).map(|site| site.layer).collect();
    let seen = Mutex::new(vec![Vec::new(); layers.len()]);
    let bounded = Bounded(protected.hooks().unwrap(), Values { kind, layers, seen });
    model.scores_hooked(rows, &bounded, &mut Scores::default()).unwrap();
    bounded.1.seen.into_inner().unwrap().into_iter().map(|values| values[0]).collect()
}

#[test]
fn quantiles_are_those_of_all_values_sorted() {
    for name in ["deepfm", "dcn"] {
        let model = model(name);
        let data = data(&model);
        for (place, kind) in [("activation", SiteKind::Activation), ("linear", SiteKind::Linear)] {
            let values = Values::of(&model, &data.rows(), kind);
            for q in [1e-9, 0.1, 0.5, 0.9, 0.999, 1.0] {
                let text = format!("clip:{place},quantile={q}");
                let protected = protect(&model, Some(data.rows()), &text).unwrap();
                let found = bounds(&model, &data.rows(), &protected, kind);
                for (values, found) in values.iter().zip(found) {
                    let mut sorted: Vec<f32> = values
                        .iter()
                        .map(|v| if kind == SiteKind::Activation { v.max(0.0) } else { v.abs() })
                        .collect();
                    sorted.sort_unstable_by(f32::total_cmp);
                    let least = ((q * sorted.len() as f64).ceil() as usize).max(1);
                    assert_eq!(found.to_bits(), sorted[least - 1].to_bits(), "{name} {text}");
                }
                assert_eq!(protected.cost().calibration_rows, 2 * ROWS as u64);
            }
        }
    }
}

#[test]
fn the_largest_quantile_is_the_profiled_bound() {
    let model = model("wide-deep");
    let data = data(&model);
    for (place, kind) in [("activation", SiteKind::Activation), ("linear", SiteKind::Linear)] {
        let of = |how: &str| {
            let protected = protect(&model, Some(data.rows()), &format!("zero:{place},{how}")).unwrap();
            let hooks = protected.hooks().unwrap();
            let mut scores = Scores::default();
            let events = model.scores_hooked(&data.rows(), hooks, &mut scores).unwrap();
            assert_eq!(events.detected, 0);
            scores
        };
        let mut clean = Scores::default();
        model.scores(&data.rows(), &mut clean).unwrap();
        assert!(of("profiled").same_bits(&clean), "{kind:?}: no clean value is beyond the largest one");
        assert!(of("quantile=1").same_bits(&clean));
    }
}

#[test]
fn tuned_bounds_are_within_the_profiled_ones_and_the_same_every_time() {
    let model = model("deepfm");
    let data = data(&model);
    let kind = SiteKind::Activation;
    let of = |text: &str| {
        let protected = protect(&model, Some(data.rows()), text).unwrap();
        (bounds(&model, &data.rows(), &protected, kind), protected.cost())
    };
    let (profiled, _) = of("clip:activation,profiled");
    let (tuned, cost) = of("clip:activation,tuned");
    assert_eq!(of("clip:activation,tuned").0, tuned);
    for (tuned, profiled) in tuned.iter().zip(&profiled) {
        assert!(*tuned > 0.0 && tuned <= profiled, "{tuned} {profiled}");
        let steps = tuned / profiled * 32.0;
        assert!((steps - steps.round()).abs() < 1e-3, "a bound lies on a 32nd of the largest value");
    }
    let stated = cost.assumptions.iter().find(|a| a.starts_with("tuned by ")).unwrap();
    assert!(stated.contains("4 chips at each of [0.0001, 0.001, 0.01]"), "{stated}");
    let passes: u64 = stated.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(passes.is_multiple_of(13) && passes >= 2 * 4 * 13, "{stated}");
    assert_eq!(cost.calibration_rows, (passes + 1) * ROWS as u64);
}

#[test]
fn bounds_without_rows_or_without_two_classes_are_refused() {
    let model = model("deepfm");
    let mut data = data(&model);
    for text in ["clip:activation,quantile=0.9", "clip:linear,tuned", "zero:activation,profiled", "ranger"] {
        let error = protect(&model, None, text).err().unwrap().to_string();
        assert!(error.contains("takes bounds from clean rows of the train part, which has none"), "{error}");
    }
    data.labels.fill(0);
    let error = protect(&model, Some(data.rows()), "clip:linear,tuned").err().unwrap().to_string();
    assert!(error.contains("AUC, which is undefined: 0 of 500 calibration rows are positive"), "{error}");
}

#[test]
fn a_model_without_activations_is_left_alone_and_says_so() {
    for name in ["fm", "afm"] {
        let model = model(name);
        let data = data(&model);
        for text in ["clip:paper", "zero:linear,quantile=0.9", "clip:activation,tuned"] {
            let protected = protect(&model, Some(data.rows()), text).unwrap();
            assert!(protected.hooks().is_none());
            assert!(protected.cost().assumptions[0].starts_with("finds no place to act: the model has no "));
            assert_eq!(protected.cost().calibration_rows, 0, "{name}: nothing is passed for nothing");
        }
    }
}

#[test]
fn a_model_whose_clean_values_are_not_numbers_has_no_bounds() {
    let mut model = model("deepfm");
    let rows = data(&model);
    let bias = model.parameters().index_of("mlp.mlp.0.bias").unwrap();
    model.parameters_mut()[bias].f32s_mut().fill(f32::NAN);
    for text in [
        "ranger",
        "clip:linear,profiled",
        "clip:linear,quantile=1",
        "clip:linear,tuned",
        "clip:activation,profiled",
        "clip:activation,quantile=1",
        "clip:activation,tuned",
    ] {
        let refused = protect(&model, Some(rows.rows()), text).err().unwrap().to_string();
        let place = if text.contains("activation") { "mlp.mlp.1 activation" } else { "mlp.mlp.0" };
        assert!(refused.contains(place) && refused.contains("not numbers"), "{text}: {refused}");
    }
}
