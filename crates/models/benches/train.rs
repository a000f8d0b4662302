//! One training step of each model and optimiser, on random rows of MovieLens-1M's and Criteo's shape.
//!
//! Indices are uniform within their fields: a batch then touches more different table rows than real data do, which is
//! to the disadvantage of `lazy-adam`. Names of models, of shapes (`movielens-1m`, `criteo`) and of optimizers as arguments leave the others out. With `--torch` (or `--venv DIR`) torch's Adam takes turns on the same shapes. A step is forward, backward and the optimiser on 4096 rows, on all threads.

#[expect(dead_code, reason = "another benchmark asks for scores")]
mod torch;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use radhard_data::{Columns, DataSet, Meta};
use radhard_models::{
    Architecture, Config, Init, Model, Optimizer, Progress, TrainOptions, architectures, train,
};

const BATCH: usize = 4096;

/// Steps not counted: buffers are made in the first.
const WARM_UP: u64 = 2;

/// Steps per measurement, at most.
const STEPS: usize = 200;

/// Wall-clock time after which a measurement ends, once it has a few steps.
const BUDGET: Duration = Duration::from_secs(3);

const FEWEST: usize = 5;

/// Turns of both sides, and torch's steps in each.
const TURNS: usize = 3;
const TORCH_STEPS: usize = 6;

const MOVIELENS_1M: [u32; 2] = [6040, 3952];

/// Field dims of Criteo's train.txt where values seen fewer than ten times share a slot.
const CRITEO: [u32; 39] = [
    49, 101, 126, 45, 223, 118, 84, 76, 95, 9, 30, 40, 75, 1458, 555, 193_949, 138_801, 306, 19, 11970, 634,
    4, 42646, 5178, 192_773, 3175, 27, 11422, 181_075, 11, 4654, 2032, 5, 189_657, 18, 16, 59697, 86, 45571,
];

/// Random rows with labels by coin.
fn rows(dims: &[u32], numeric: usize) -> DataSet {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let count = BATCH * (STEPS + WARM_UP as usize);
    let mut below = |dim: u32| ((u64::from(next()) * u64::from(dim)) >> 32) as u32;
    let columns = Columns {
        indices: (0..count).flat_map(|_| dims).map(|&dim| below(dim)).collect(),
        numeric: (0..count * numeric).map(|_| below(1000) as f32 / 1000.0).collect(),
        labels: (0..count).map(|_| below(2) as u8).collect(),
        parts: vec![0; count],
        ..Columns::default()
    };
    let names = |prefix: &str, count: usize| (0..count).map(|i| format!("{prefix}{i}")).collect();
    let mut meta = Meta::new("random", names("c", dims.len()), dims.to_vec());
    meta.numeric_names = names("n", numeric);
    DataSet::from_columns(meta, &columns).expect("the columns fit their dims")
}

/// Milliseconds of each counted step.
fn steps(architecture: &dyn Architecture, data: &DataSet, optimizer: Optimizer) -> Vec<f64> {
    let mut config = Config::new(architecture.name(), data.meta().field_dims.clone());
    if architecture.takes_numeric() {
        config.numeric = data.meta().numeric_names.len();
        config.bottom_dims = vec![64];
    }
    let mut model = Model::new(&config, Init::ZeroFirstOrder, 1).expect("the configuration is possible");
    let options = TrainOptions { optimizer, batch_size: BATCH, epochs: 1, ..TrainOptions::default() };
    let mut times = Vec::new();
    let (mut began, mut last): (Option<Instant>, Option<Instant>) = (None, None);
    let mut progress = |progress| {
        let now = Instant::now();
        if let (Progress::Step { step, .. }, Some(last)) = (progress, last)
            && step > WARM_UP
        {
            times.push((now - last).as_secs_f64() * 1e3);
        }
        let began = *began.get_or_insert(now);
        last = Some(Instant::now());
        if times.len() >= FEWEST && now - began > BUDGET {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    train(&mut model, data, &options, &|_, _| None, &mut progress).expect("random rows can be trained on");
    times
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// One line of the table.
fn line(model: &str, shape: &str, what: impl std::fmt::Display, mut times: Vec<f64>) {
    times.sort_unstable_by(f64::total_cmp);
    println!(
        "| {model} | {shape} | {what} | {:.2} ({:.2}–{:.2}) | {} |",
        times[times.len() / 2],
        times[0],
        times[times.len() - 1],
        times.len()
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut torch = torch::Torch::asked_for(&arguments);
    let known = |name: &String| architectures().iter().any(|a| a.name() == name);
    let wanted: Vec<String> = arguments.iter().filter(|a| known(a)).cloned().collect();
    println!(
        "milliseconds per step of {BATCH} rows, {} threads: median (min–max) of n steps\n",
        rayon::current_num_threads()
    );
    println!("| model | shape | optimizer | step | n |");
    println!("|---|---|---|---:|---:|");
    let asked = |name: &str, of: &[&str]| {
        let named: Vec<_> =
            of.iter().filter(|of| arguments.iter().any(|a| a.eq_ignore_ascii_case(of))).collect();
        named.is_empty() || named.iter().any(|named| **named == name)
    };
    let optimizers = [Optimizer::Adam, Optimizer::LazyAdam]
        .into_iter()
        .filter(|o| asked(&o.to_string(), &["adam", "lazy-adam"]));
    for (shape, dims) in [("MovieLens-1M", &MOVIELENS_1M[..]), ("Criteo", &CRITEO)] {
        if !asked(shape, &["MovieLens-1M", "Criteo"]) {
            continue;
        }
        let [plain, numeric] = [0, 13].map(|numeric| rows(dims, numeric));
        for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
            if !wanted.is_empty() && !wanted.iter().any(|name| name == architecture.name()) {
                continue;
            }
            let data = if architecture.takes_numeric() { &numeric } else { &plain };
            for optimizer in optimizers.clone() {
                line(architecture.name(), shape, optimizer, steps(*architecture, data, optimizer));
            }
            let Some(torch) = torch.as_mut().filter(|_| !architecture.takes_numeric()) else { continue };
            // Three turns each; the ratio is that of the medians of a turn.
            for theirs in ["adam", "adam-fused"] {
                for optimizer in optimizers.clone() {
                    let (mut ratios, mut all) = (Vec::new(), Vec::new());
                    for _ in 0..TURNS {
                        let ours = median(steps(*architecture, data, optimizer));
                        let times = torch.steps(architecture.name(), dims, BATCH, theirs, TORCH_STEPS);
                        ratios.push(median(times.clone()) / ours);
                        all.extend(times);
                    }
                    ratios.sort_unstable_by(f64::total_cmp);
                    let what = format!(
                        "torch {theirs}: {:.1} ({:.1}–{:.1}) times {optimizer}",
                        ratios[TURNS / 2],
                        ratios[0],
                        ratios[TURNS - 1]
                    );
                    line(architecture.name(), shape, what, all);
                }
            }
        }
    }
}
