//! Full passes under protections, beside the pass alone: words checked as they are looked up, values bounded behind layers, results
//! held against checksums.
//!
//! Rows are those of Criteo's stand-in (39 fields, 1,086,810 table rows, D = 16). All protections take turns with the pass
//! alone, on all threads; the overhead is the ratio within a turn, less 1. Rows are clean, so that nothing fires.
//!
//! `cargo xtask bench protect -- [MODEL… PROTECTION… --rows N --turns N]`

use std::time::Instant;

use radhard_data::synth::{SHAPES, SynthOptions, synth};
use radhard_data::{DataSet, Part};
use radhard_fault::{Component, OwnedParameters};
use radhard_kernels::Lane;
use radhard_models::{Config, HookCall, HookEvents, Hooks, Init, Model, Scores};
use radhard_protect::{Subject, parse_protection};

const PROTECTIONS: [&str; 10] = [
    "range-guard",
    "range-guard:row",
    "constant-bits",
    "row-checksum",
    "abft-gemm:recompute",
    "abft-embedding:recompute",
    "clip:paper",
    "clip:linear,-1e6..1e6",
    "ranger",
    "range-guard+abft-gemm:recompute",
];

/// A hook that acts nowhere: what the hooked pass itself costs.
struct Nowhere;

impl Hooks for Nowhere {
    fn acts(&self, _layer: usize) -> bool {
        false
    }
}

/// A hook that looks at every looked-up word and linear layer, and does nothing: what it costs that they can be looked at.
struct Seen(Vec<bool>);

impl Hooks for Seen {
    fn acts(&self, layer: usize) -> bool {
        self.0[layer]
    }

    fn behind(&self, _call: &HookCall<'_>, _values: &mut [Lane]) -> HookEvents {
        HookEvents::default()
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Median (min–max).
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_unstable_by(f64::total_cmp);
    let (median, low, high) = (values[values.len() / 2], values[0], values[values.len() - 1]);
    format!("{median:.digits$} ({low:.digits$}–{high:.digits$})")
}

fn words_of(model: &Model) -> OwnedParameters {
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
    parameters
}

fn main() {
    let (mut models, mut protections, mut rows, mut turns) = (Vec::new(), Vec::new(), 1_000_000, 9);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number");
        match argument.as_str() {
            "--rows" => rows = number(),
            "--turns" => turns = number(),
            "--bench" => {}
            name if parse_protection(name).is_ok() => protections.push(argument),
            _ => models.push(argument),
        }
    }
    if models.is_empty() {
        models = ["wide-deep", "deepfm", "dcn"].map(ToOwned::to_owned).to_vec();
    }
    if protections.is_empty() {
        protections = PROTECTIONS.map(ToOwned::to_owned).to_vec();
    }
    let shape = SHAPES.iter().find(|shape| shape.name == "criteo").expect("a known shape");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("rows.data");
    let options = SynthOptions { rows: Some(rows as u64), seed: 1, split: None };
    synth(shape, &path, &options, &mut |_| {}).expect("rows are drawn");
    let data = DataSet::open(&path).expect("what was written opens");
    let selected = data.select(Part::All).into_owned();
    let view = selected.view();
    for name in models {
        let config = Config { embed_dim: 16, ..Config::new(&name, data.meta().field_dims.clone()) };
        let model = Model::new(&config, Init::TorchFm, 1).expect("a known model");
        let parameters = words_of(&model);
        let looked_up = vec![0.0; model.parameters().iter().count()];
        let calibration = view.slice(0..rows.min(4096));
        let subject = Subject {
            model: Some(&model),
            parameters: &parameters,
            calibration: Some(calibration),
            looked_up: &looked_up,
        };
        let protected: Vec<_> = protections
            .iter()
            .map(|name| parse_protection(name).expect("a name").prepare(&subject).expect("a place to act"))
            .collect();
        let gathers: Vec<_> = protected.iter().map(|of| of.gather_hooks(&model)).collect();
        let seen =
            |wanted: &[usize]| Seen((0..model.sites().len()).map(|layer| wanted.contains(&layer)).collect());
        let lookups: Vec<usize> = model.lookups().into_iter().map(|site| site.layer).collect();
        let products: Vec<usize> = model.products().into_iter().map(|site| site.layer).collect();
        let (lookups, products) = (seen(&lookups), seen(&products));
        let mut hooks: Vec<(&str, &dyn Hooks)> = vec![
            ("nothing, hooked", &Nowhere),
            ("look-ups seen, unchecked", &lookups),
            ("linear layers seen, unchecked", &products),
        ];
        for ((name, protected), gather) in protections.iter().zip(&protected).zip(&gathers) {
            match gather {
                Some(gather) => hooks.push((name, gather)),
                None => hooks.extend(protected.hooks().map(|hooks| (name.as_str(), hooks))),
            }
        }
        let mut scores = Scores::default();
        let mut passes = Vec::new();
        let mut overheads = vec![Vec::new(); hooks.len()];
        let mut hooked = vec![Vec::new(); hooks.len()];
        for turn in 0..=turns {
            for (at, (name, hooks)) in hooks.iter().enumerate() {
                let alone = seconds(|| model.scores(&view, &mut scores).expect("rows fit"));
                let mut events = HookEvents::default();
                let with = seconds(|| {
                    events = model.scores_hooked(&view, *hooks, &mut scores).expect("rows fit");
                });
                assert_eq!(events.detected, 0, "{name}: no false alarm");
                // The first turn makes buffers.
                if turn > 0 {
                    passes.push(alone);
                    hooked[at].push(with * 1e3);
                    overheads[at].push((with / alone - 1.0) * 100.0);
                }
            }
        }
        let speed = passes.iter().map(|seconds| rows as f64 / seconds * 1e-6).collect();
        println!(
            "\n{name}: {rows} rows, the pass alone {} million rows/s, {turns} turns, median (min–max)\n",
            spread(speed, 2)
        );
        println!("| protection | pass with it, ms | overhead, % |\n|---|---:|---:|");
        for (((name, _), times), overheads) in hooks.iter().zip(hooked).zip(overheads) {
            println!("| `{name}` | {} | {} |", spread(times, 1), spread(overheads, 1));
        }
    }
}
