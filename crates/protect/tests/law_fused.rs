//! The law of passes that take layers together: hooks whose work is done on the way get the scores, events and flags of rows that
//! they have where every layer is shown to them.
#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use law_models::{LawModel, law_models};
use radhard_fault::{Component, OwnedParameters};
use radhard_kernels::Lane;
use radhard_models::{
    Acting, Config, HookCall, HookEvents, Hooks, Init, Model, Noted, ROW_DETECTED, Scores, Upsets,
};
use radhard_protect::{Protected, Subject, parse_protection};

#[path = "../../models/tests/law_models/mod.rs"]
mod law_models;

/// The same hooks, shown every layer: they vouch for nothing, and nobody does their work for them.
struct Plainly<'a>(&'a dyn Hooks);

impl Hooks for Plainly<'_> {
    fn acts(&self, layer: usize) -> bool {
        self.0.acts(layer)
    }

    fn reads(&self, layer: usize) -> bool {
        self.0.reads(layer)
    }

    fn read(&self, call: &HookCall<'_>, words: &mut [Lane]) -> HookEvents {
        self.0.read(call, words)
    }

    fn acts_inside(&self, layer: usize) -> bool {
        self.0.acts_inside(layer)
    }

    fn inside(&self, call: &HookCall<'_>, product: usize, results: &mut [Lane]) -> HookEvents {
        self.0.inside(call, product, results)
    }

    fn clean_bytes(&self, layer: usize) -> u64 {
        self.0.clean_bytes(layer)
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        self.0.behind(call, values)
    }
}

/// Flips a bit of the results of some layers, by data row.
struct Hits(Vec<usize>);

impl Upsets for Hits {
    fn acts(&self, layer: usize) -> bool {
        self.0.contains(&layer)
    }

    fn each(&self, layer: usize, attempt: u32, rows: &[u32], flip: &mut dyn FnMut(usize, usize, u32)) {
        for (at, &row) in rows.iter().enumerate().filter(|(_, row)| **row % 29 == 3 && attempt < 2) {
            flip(at, 0, 1 << ((row as usize + layer) % 32));
        }
    }
}

const ROWS: usize = 333;

/// Models of the list that all laws run over, and more.
struct Fixture(LawModel);

impl Fixture {
    fn of(name: &str, dims: &[u32], mlp: &[usize]) -> Self {
        let config = Config { embed_dim: 16, mlp_dims: mlp.to_vec(), ..Config::new(name, dims.to_vec()) };
        let model = Model::new(&config, Init::TorchFm, 7).unwrap();
        let index = |row: usize, f: usize| (row * row * 7 + row * (f + 1)) as u32 % dims[f];
        let indices = (0..ROWS).flat_map(|row| (0..dims.len()).map(move |f| (row, f)));
        let indices = indices.map(|(row, f)| index(row, f)).collect();
        let name = format!("{name} of {} fields", dims.len());
        Self(LawModel { name, model, indices, numeric: Vec::new(), labels: vec![0; ROWS], bags: None })
    }

    fn protect(&self, name: &str) -> Protected {
        let mut parameters = OwnedParameters::default();
        for tensor in self.0.model.parameters() {
            let embedding = tensor.component() == radhard_models::Component::Embedding;
            let component = if embedding { Component::Embedding } else { Component::Dense };
            if tensor.name().ends_with("num_batches_tracked") {
                parameters.push_f32(tensor.name(), &[1], component, &[0.0]);
            } else {
                parameters.push_f32(tensor.name(), tensor.shape(), component, tensor.f32s());
            }
        }
        let looked_up = vec![0.0; self.0.model.parameters().iter().count()];
        let subject = Subject {
            model: Some(&self.0.model),
            parameters: &parameters,
            calibration: Some(self.0.rows()),
            looked_up: &looked_up,
        };
        parse_protection(name).unwrap().prepare(&subject).unwrap()
    }

    fn pass(&self, model: &Model, acting: Acting<'_>) -> (Scores, Noted) {
        let (mut scores, mut noted) = (Scores::default(), Noted::default());
        model.scores_under(&self.0.rows(), acting, &mut scores, &mut noted).unwrap();
        (scores, noted)
    }

    /// Models with words hit in all the ways that matter, with what was hit.
    fn hit(&self) -> Vec<(String, Model)> {
        let mut all = vec![("nothing".to_owned(), self.0.model.clone())];
        for tensor in self.0.model.parameters() {
            if tensor.name().ends_with("num_batches_tracked") {
                continue;
            }
            let words = tensor.f32s().len();
            for bit in [0, 3, 12, 18, 22, 23, 26, 29, 30, 31, 32, 33, 34] {
                let mut model = self.0.model.clone();
                let of = model.parameters_mut().iter_mut().find(|of| of.name() == tensor.name()).unwrap();
                let element = (bit * 37 + 5) % words;
                let word = &mut of.f32s_mut()[element];
                *word = match bit {
                    32 => f32::NAN,
                    33 => f32::NEG_INFINITY,
                    34 => 3.0e38,
                    bit => f32::from_bits(word.to_bits() ^ 1 << bit),
                };
                all.push((format!("{} bit {bit}", tensor.name()), model));
            }
        }
        // Two words of one checksum, hit so that they cancel; magnitudes of a column that grow and that fall.
        for (down, up) in [(0.75, 0.75), (0.0, 0.0), (900.0, 900.0)] {
            let mut model = self.0.model.clone();
            let first = ["mlp.mlp.0.weight", "bot_l.0.weight", "dense_extractor.0.weight"];
            let weight = model.parameters_mut().iter_mut().find(|of| first.contains(&of.name()));
            let Some(weight) = weight else { break };
            let inputs = weight.shape()[1];
            weight.f32s_mut()[3] -= down;
            weight.f32s_mut()[2 * inputs + 3] += up;
            all.push((format!("two weights by {up}"), model));
        }
        all
    }
}

fn same(plain: &(Scores, Noted), fused: &(Scores, Noted), what: &str) {
    assert!(plain.0.same_bits(&fused.0), "{what}: scores");
    assert_eq!(plain.1.events, fused.1.events, "{what}");
    assert_eq!(plain.1.rows, fused.1.rows, "{what}");
}

const PROTECTIONS: [&str; 16] = [
    "clip:paper",
    "clip:activation,-0.01..0.01",
    "clip:linear,-0.02..0.03",
    "zero:activation,profiled",
    "zero:linear,-0.02..0.03",
    "ranger",
    "abft-gemm:recompute",
    "abft-gemm:reload",
    "abft-gemm:fallback",
    "abft-embedding:recompute",
    "abft-embedding:reload",
    "abft-embedding:fallback",
    "abft-gemm:reload+abft-embedding:reload",
    "abft-gemm:recompute+clip:paper",
    "abft-gemm:recompute+clip:linear,-0.02..0.03",
    "abft-gemm:reload+abft-embedding:fallback+zero:activation,profiled",
];

/// Models with folded first layers of one and of several vectors, with layers that are not folded, and without any.
fn fixtures() -> Vec<Fixture> {
    let dims = [50, 40, 9];
    let mut all: Vec<Fixture> = law_models(ROWS).into_iter().map(Fixture).collect();
    all.push(Fixture::of("wide-deep", &[8, 5, 7, 3, 9, 4, 6, 2, 3, 5, 4], &[40, 8]));
    all.push(Fixture::of("deepfm", &dims, &[4, 16]));
    // Cross layers of enough inputs to be read through under checks, beside folded products and layers as they are written.
    for mlp in [&[16, 16][..], &[4]] {
        all.push(Fixture::of("dcn", &[8, 5, 7, 3, 9, 4, 6, 2, 3, 5, 4], mlp));
    }
    all
}

#[test]
fn what_is_done_on_the_way_is_what_hooks_do_that_are_shown_every_layer() {
    let (mut noticed, mut silent) = (0, 0);
    for fixture in fixtures() {
        let hit = fixture.hit();
        for name in PROTECTIONS {
            let protected = fixture.protect(name);
            let Some(hooks) = protected.hooks() else { continue };
            for (what, model) in &hit {
                let plainly = Plainly(hooks);
                let plain = fixture.pass(model, Acting { hooks: Some(&plainly), upsets: None });
                let fused = fixture.pass(model, Acting { hooks: Some(hooks), upsets: None });
                same(&plain, &fused, &format!("{} {name}, {what}", fixture.0.name));
                let all = plain.1.rows.iter().filter(|flags| **flags & ROW_DETECTED != 0).count();
                *if all > 0 { &mut noticed } else { &mut silent } += 1;
            }
        }
    }
    // A law that is never asked tests nothing.
    assert!(noticed > 1000 && silent > 1000, "{noticed} {silent}");
}

#[test]
fn results_that_are_hit_as_they_are_computed_are_seen_where_they_are_hit() {
    for fixture in fixtures() {
        let outputs: Vec<usize> = fixture.0.model.outputs().into_iter().map(|site| site.layer).collect();
        let mut all: Vec<Vec<usize>> = outputs.iter().map(|&layer| vec![layer]).collect();
        all.push(outputs);
        for name in PROTECTIONS {
            let protected = fixture.protect(name);
            let Some(hooks) = protected.hooks() else { continue };
            for layers in &all {
                let hits = Hits(layers.clone());
                let plainly = Plainly(hooks);
                let plain =
                    fixture.pass(&fixture.0.model, Acting { hooks: Some(&plainly), upsets: Some(&hits) });
                let fused =
                    fixture.pass(&fixture.0.model, Acting { hooks: Some(hooks), upsets: Some(&hits) });
                same(&plain, &fused, &format!("{} {name}, layers {layers:?}", fixture.0.name));
            }
        }
    }
}
