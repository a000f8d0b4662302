//! Every backward pass against central differences.

use radhard_data::RowReader;

use crate::parameter::Component;
use crate::random::{Purpose, Random};
use crate::training::TrainOptions;
use crate::training::batch::{Batch, Trainer};
use crate::training::schedule::Schedule;
use crate::{Config, Init, Model, architectures};

/// The loss and the gradients of one batch, without a step.
fn gradients(model: &mut Model, batch: Batch<'_>) -> (f64, Vec<Vec<f64>>) {
    let (graph, parameters) = model.split_mut();
    let mut trainer = Trainer::new(graph, parameters);
    let loss = trainer.gradients(graph, parameters, batch, TrainOptions::default().seed).unwrap();
    let gradients = trainer.collected(graph, parameters);
    (loss, gradients)
}

#[test]
fn every_gradient_is_the_slope_of_the_loss() {
    for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
        for dropout in [0.0, 0.3] {
            let name = architecture.name();
            let mut config = Config::new(name, vec![16, 3, 19, 2]);
            config.embed_dim = 5;
            config.mlp_dims = vec![7, 3];
            config.attention_dim = 6;
            config.dropout = dropout;
            config.numeric = if architecture.takes_numeric() { 4 } else { 0 };
            config.bottom_dims = vec![6];
            let mut model = Model::new(&config, Init::TorchFm, 5).unwrap();
            let random = Random::new(9, Purpose::Shuffle(0));
            let rows = 1200;
            let indices: Vec<u32> = (0..4 * rows)
                .map(|i| (random.bits(i as u64) % u64::from(config.field_dims[i % 4])) as u32)
                .collect();
            let labels: Vec<u8> = (0..rows).map(|i| (random.bits(10_000 + i as u64) & 1) as u8).collect();
            let numeric: Vec<f32> =
                (0..rows * config.numeric).map(|i| random.uniform(20_000 + i as u64) as f32 - 0.5).collect();
            let order: Vec<u32> = (0..rows as u32).collect();
            let rows = RowReader::of_memory(config.field_dims.len(), config.numeric, &indices, &numeric);
            let batch = Batch { rows, labels: &labels, order: &order };
            let (_, analytic) = gradients(&mut model, batch);
            for (i, analytic) in analytic.iter().enumerate() {
                if model.parameters()[i].component() == Component::State {
                    continue;
                }
                let tensor = model.parameters()[i].name().to_owned();
                let (mut errors, mut slopes, mut count) = (0.0, 0.0, 0.0);
                for element in (0..analytic.len()).step_by(analytic.len().div_ceil(12)) {
                    let at = |delta: f32| {
                        let mut moved = model.clone();
                        let w = &mut moved.parameters_mut()[i].f32s_mut()[element];
                        *w += delta;
                        (f64::from(*w), gradients(&mut moved, batch).0)
                    };
                    let ((high, above), (low, below)) = (at(2.5e-4), at(-2.5e-4));
                    let slope = (above - below) / (high - low);
                    errors += (slope - analytic[element]).powi(2);
                    slopes += slope.powi(2);
                    count += 1.0;
                }
                // Per element 3e-4: the loss is rounded at about 1e-8, so its slope over a step of 5e-4 at 2e-5, and
                // a row whose rectifier opens inside the step adds up to 1 / 1200 of its own slope.
                let bound = 0.03 * f64::sqrt(slopes) + 3e-4 * f64::sqrt(count);
                assert!(
                    f64::sqrt(errors) <= bound,
                    "{name}, dropout {dropout}, {tensor}: off by {errors} of {slopes} squared, bound {bound}"
                );
            }
        }
    }
}

/// Sums of up to 256 products are taken in another order; everything else has the same bits.
#[test]
fn layers_taken_together_have_the_gradients_of_each_by_itself() {
    for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
        for (dropout, dims) in [(0.0, vec![16, 16]), (0.2, vec![21]), (0.2, vec![5, 16, 3])] {
            let name = architecture.name();
            let mut config = Config::new(name, vec![40, 3, 600]);
            (config.dropout, config.mlp_dims) = (dropout, dims);
            config.numeric = if architecture.takes_numeric() { 4 } else { 0 };
            let random = Random::new(9, Purpose::Shuffle(0));
            let rows = 600;
            let indices: Vec<u32> = (0..3 * rows)
                .map(|i| (random.bits(i as u64) % u64::from(config.field_dims[i % 3])) as u32)
                .collect();
            let labels: Vec<u8> = (0..rows).map(|i| (random.bits(10_000 + i as u64) & 1) as u8).collect();
            let numeric: Vec<f32> =
                (0..rows * config.numeric).map(|i| random.uniform(i as u64) as f32).collect();
            let order: Vec<u32> = (0..rows as u32).rev().collect();
            let rows = RowReader::of_memory(config.field_dims.len(), config.numeric, &indices, &numeric);
            let batch = Batch { rows, labels: &labels, order: &order };
            let of = |plain: bool| {
                let mut model = Model::new(&config, Init::TorchFm, 5).unwrap();
                let (graph, parameters) = model.split_mut();
                let mut trainer = Trainer::new(graph, parameters);
                if plain {
                    trainer.schedule = Schedule::plain(graph);
                }
                let loss = trainer.gradients(graph, parameters, batch, 3).unwrap();
                (loss, trainer.collected(graph, parameters), model)
            };
            let (plain, together) = (of(true), of(false));
            assert_eq!(plain.0, together.0, "{name}");
            assert_eq!(plain.2.fingerprint(), together.2.fingerprint(), "{name}: statistics");
            for ((tensor, plain), together) in plain.2.parameters().iter().zip(&plain.1).zip(&together.1) {
                let tensor = tensor.name();
                let largest = plain
                    .iter()
                    .fold(0.0, |largest: f64, x| if x.abs() > largest { x.abs() } else { largest });
                for (i, (p, t)) in plain.iter().zip(together).enumerate() {
                    assert!(
                        (p - t).abs() <= 2e-6 * largest,
                        "{name}, {tensor}[{i}]: {p} by itself, {t} together"
                    );
                }
                let same = plain == together;
                assert!(
                    same || tensor.contains("embedding") || tensor.ends_with("mlp.0.weight"),
                    "{name}, {tensor}"
                );
            }
        }
    }
}

#[test]
fn a_step_is_the_same_on_any_number_of_threads() {
    for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
        let mut config = Config::new(architecture.name(), vec![50, 9000, 3]);
        config.numeric = usize::from(architecture.takes_numeric());
        let rows = 700u32;
        let indices: Vec<u32> = (0..rows).flat_map(|i| [i % 50, (i * 37) % 9000, i % 3]).collect();
        let labels: Vec<u8> = (0..rows).map(|i| u8::from(i % 5 < 2)).collect();
        let order: Vec<u32> = (0..rows).rev().collect();
        let numeric: Vec<f32> = (0..rows as usize * config.numeric).map(|i| i as f32 / 700.0).collect();
        let after = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut model = Model::new(&config, Init::TorchFm, 1).unwrap();
                let mut trainer = Trainer::new(model.graph(), model.parameters());
                for order in order.chunks(300) {
                    let rows = RowReader::of_memory(3, config.numeric, &indices, &numeric);
                    let batch = Batch { rows, labels: &labels, order };
                    let (graph, parameters) = model.split_mut();
                    trainer.step(graph, parameters, batch, &TrainOptions::default()).unwrap();
                }
                model.fingerprint()
            })
        };
        assert_eq!(after(1), after(3), "{}", architecture.name());
    }
}
