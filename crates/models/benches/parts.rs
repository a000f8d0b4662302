//! Evaluation in part against the full pass, on one thread: some rows under changed table rows, and all rows under one
//! changed word of each dense parameter. Rows are stand-ins of MovieLens-1M and Criteo.
//!
//! `cargo bench -p radhard-models --bench parts -- [MODEL…]`

use std::time::Instant;

use radhard_data::synth::{SHAPES, SynthOptions, synth};
use radhard_data::{DataSet, Part, Rows};
use radhard_kernels::Kernels;
use radhard_models::{
    Component, Config, Evaluation, Init, Kept, Model, NumberFormat, Overlay, Scores, Worker, architectures,
};

/// Bytes of kept values at most.
const BUDGET: u64 = 2 << 30;

/// Words changed in each parameter, one after the other.
const WORDS: usize = 9;

/// Table rows changed together, and data rows that read them.
const TABLE_ROWS: u64 = 15;
const SELECTED: usize = 300;

fn data(shape: &str, rows: u64) -> DataSet {
    let shape = SHAPES.iter().find(|s| s.name == shape).expect("the shape is known");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("rows.data");
    let options = SynthOptions { rows: Some(rows), seed: 1, split: None };
    synth(shape, &path, &options, &mut |_| {}).expect("rows are drawn");
    DataSet::open(&path).expect("what was written opens")
}

/// Seconds of one run.
fn time(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

struct Bench<'a> {
    model: &'a Model,
    rows: &'a Rows<'a>,
    kept: Kept,
    overlay: Overlay,
    worker: Worker,
    out: Scores,
}

impl Bench<'_> {
    fn full(&mut self) -> f64 {
        time(|| self.model.scores(&self.rows.view(), &mut self.out).expect("the rows fit"))
    }

    /// Microseconds for some rows.
    fn rows(&mut self, count: usize) -> f64 {
        let table = (0..self.model.parameters().len())
            .filter_map(|i| Some((i, self.model.table_of(i)?)))
            .max_by_key(|(_, table)| table.words);
        let (table, shape) = table.expect("every model has a table");
        let rows = self.model.parameters()[table].elements() as u64 / shape.words as u64;
        let selected: Vec<u32> = (0..count).map(|i| (i * self.rows.len() / count) as u32).collect();
        let times = (0..51).map(|round| {
            let elements = (0..TABLE_ROWS).map(|i| (i * 7919 + round * 31) % rows * shape.words as u64);
            time(|| {
                self.overlay.clear();
                for element in elements {
                    self.overlay.write(self.model, table, element, 0x3f80_0000);
                }
                self.overlay.finish(self.model);
                let evaluation = Evaluation {
                    kernels: Kernels::detected(),
                    rows: self.rows.view(),
                    overlay: &self.overlay,
                    apart: self.kept.apart(),
                };
                self.model.scores_of(&evaluation, &selected, &mut self.worker, &mut self.out);
            }) * 1e6
        });
        median(times.collect())
    }

    /// Seconds from kept values with one changed word, and what they were estimated to be in parts of a full pass.
    fn layers(&mut self, parameter: usize, element: u64) -> (f64, f64) {
        self.overlay.clear();
        let word = self.model.parameters()[parameter].f32s()[element as usize].to_bits() ^ 1 << 22;
        self.overlay.write(self.model, parameter, element, u64::from(word));
        self.overlay.finish(self.model);
        let estimate = self.model.suffix_cost(&self.kept, &self.overlay);
        let evaluation = Evaluation {
            kernels: Kernels::detected(),
            rows: self.rows.view(),
            overlay: &self.overlay,
            apart: None,
        };
        let seconds = time(|| self.model.scores_from(&self.kept, &evaluation, &mut self.out));
        (seconds, estimate)
    }
}

fn run(name: &str, shape: &str, data: &DataSet) {
    let rows = data.select(Part::All);
    let config = Config::new(name, data.meta().field_dims.clone());
    let model = Model::new(&config, Init::TorchFm, 1).expect("the configuration is possible");
    let mut out = Scores::default();
    let kept = model.keep(&rows.view(), BUDGET, &mut out).expect("the rows fit");
    let (overlay, worker) = (Overlay::new(&model), Worker::new(&model));
    let mut bench = Bench { model: &model, rows: &rows, kept, overlay, worker, out };
    println!("\n{name}, {shape}, {} rows, {} MB kept", rows.len(), bench.kept.bytes() >> 20);
    println!(
        "{TABLE_ROWS} table rows: {:.0} µs for {SELECTED} data rows, {:.0} µs for 5",
        bench.rows(SELECTED),
        bench.rows(5)
    );
    let full = median((0..5).map(|_| bench.full()).collect());
    println!("full pass: {:.1} ns per row", full * 1e9 / rows.len() as f64);
    println!("| parameter | words | full pass / from kept | estimated |\n|---|---:|---:|---:|");
    let (mut words, mut share) = (0.0, 0.0);
    for parameter in 0..model.parameters().len() {
        let tensor = &model.parameters()[parameter];
        if tensor.component() == Component::Embedding || tensor.format() != NumberFormat::F32 {
            continue;
        }
        let mut estimates = Vec::new();
        let shares = (0..WORDS).map(|i| {
            let (seconds, estimate) = bench.layers(parameter, (i * 7919 % tensor.elements()) as u64);
            estimates.push(estimate);
            seconds / bench.full()
        });
        let found = median(shares.collect());
        println!(
            "| {} | {} | {:.1} | {:.1} |",
            tensor.name(),
            tensor.elements(),
            1.0 / found,
            1.0 / median(estimates)
        );
        if tensor.component() == Component::Dense {
            words += tensor.elements() as f64;
            share += tensor.elements() as f64 * found;
        }
    }
    println!("| any dense word | {words} | {:.1} | |", words / share);
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    for (shape, rows) in [("movielens-1m", 100_000), ("criteo", 100_000)] {
        if wanted.iter().any(|w| SHAPES.iter().any(|s| s.name == w)) && !wanted.iter().any(|w| w == shape) {
            continue;
        }
        let data = data(shape, rows);
        for architecture in architectures().iter().filter(|a| !a.takes_bags() && !a.takes_numeric()) {
            let name = architecture.name();
            let named = wanted.iter().any(|w| architectures().iter().any(|a| a.name() == w));
            if !named || wanted.iter().any(|w| w == name) {
                pool.install(|| run(name, shape, &data));
            }
        }
    }
}
