//! The full pass beside what bounds it: a loop that only gathers and adds the same table rows, and the peak of a matrix
//! product. All cores; the sides take turns.
//!
//! `cargo bench -p radhard-models --bench pass -- [MODEL… SHAPE… --rows N --rounds N]`

use std::hint::black_box;
use std::time::Instant;

use radhard_data::synth::{SHAPES, SynthOptions, synth};
use radhard_data::{DataSet, Part, Rows};
use radhard_kernels::{Kernels, Table};
use radhard_models::{BLOCK, Config, Init, Model, Scores, architectures};
use rayon::prelude::*;

/// Edge of the square matrices of the peak.
const EDGE: usize = 1536;

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

/// Median, smallest and largest.
fn spread(mut times: Vec<f64>) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    [times[times.len() / 2], times[0], times[times.len() - 1]]
}

/// Gathers and adds each row's table rows, 16 values each, and nothing else.
fn gather_and_add(table: &[[f32; 16]], offsets: &[u32], rows: &Rows<'_>) {
    let fields = offsets.len();
    let ahead = 64 / fields + 1;
    rows.view().indices.par_chunks(fields * 1024).for_each(|indices| {
        let mut total = [0.0f32; 16];
        for (r, row) in indices.chunks_exact(fields).enumerate() {
            if let Some(next) = indices.get((r + ahead) * fields..(r + ahead + 1) * fields) {
                for (offset, index) in offsets.iter().zip(next) {
                    let id = [index + offset];
                    Kernels::detected().prefetch(Table::F32(table.as_flattened()), &id, 0, 16);
                }
            }
            for (offset, index) in offsets.iter().zip(row) {
                for (total, x) in total.iter_mut().zip(&table[(index + offset) as usize]) {
                    *total += x;
                }
            }
        }
        black_box(total);
    });
}

/// Multiply-adds a second of a large matrix product on every core at once, each its own.
fn peak() -> f64 {
    let a = ndarray::Array2::from_elem((EDGE, EDGE), 0.5f32);
    let cores = rayon::current_num_threads();
    let seconds = (0..3).map(|_| {
        time(|| {
            (0..cores).into_par_iter().for_each(|_| {
                black_box(a.dot(&a));
            });
        })
    });
    (cores * EDGE * EDGE * EDGE) as f64 / spread(seconds.collect())[1]
}

/// Multiply-adds of dense layers per row.
fn products(model: &Model) -> f64 {
    let config = model.config();
    let fields = config.field_dims.len();
    let pairs = if config.name == "afm" { fields * (fields - 1) / 2 } else { 1 };
    let matrices = model
        .parameters()
        .iter()
        .filter(|tensor| tensor.component() == radhard_models::Component::Dense && tensor.shape().len() == 2);
    // Each pair of fields has a product of its own, and one more in the weighted sum.
    (matrices.map(radhard_models::Tensor::elements).sum::<usize>() * pairs) as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let number = |flag: &str| {
        let at = arguments.iter().position(|a| a == flag)?;
        arguments.get(at + 1)?.parse::<usize>().ok()
    };
    let (count, rounds) = (number("--rows"), number("--rounds").unwrap_or(9));
    let chosen = |name: &str, all: &mut dyn Iterator<Item = &'static str>| {
        let all: Vec<_> = all.collect();
        !arguments.iter().any(|a| all.contains(&a.as_str())) || arguments.iter().any(|a| a == name)
    };
    let models: Vec<_> = architectures()
        .iter()
        .filter(|a| !a.takes_bags() && !a.takes_numeric())
        .map(|a| a.name())
        .filter(|name| chosen(name, &mut architectures().iter().map(|a| a.name())))
        .collect();
    let peak = peak();
    println!(
        "{} threads, peak of a matrix product {:.1} G multiply-adds/s",
        rayon::current_num_threads(),
        peak / 1e9
    );
    for (shape, rows) in [("movielens-1m", 100_021), ("movielens-20m", 2_000_027), ("criteo", 4_584_062)] {
        if !chosen(shape, &mut SHAPES.iter().map(|s| s.name)) {
            continue;
        }
        let data = data(shape, count.unwrap_or(rows) as u64);
        let rows = data.select(Part::All);
        println!(
            "\n{shape}, {} rows, blocks of {BLOCK}; M rows/s: median (smallest–largest) of {rounds}",
            rows.len()
        );
        println!(
            "| model | full pass | gather and add | pass / limit | dense layers / peak |\n|---|---:|---:|---:|---:|"
        );
        for name in &models {
            let config = Config::new(name, data.meta().field_dims.clone());
            let model = Model::new(&config, Init::TorchFm, 1).expect("the configuration is possible");
            let offsets = config.offsets();
            let table = (0..model.parameters().len()).filter_map(|i| Some((i, model.table_of(i)?)));
            let (table, _) = table.max_by_key(|(_, table)| table.words).expect("every model has a table");
            let (table, _) = model.parameters()[table].f32s().as_chunks::<16>();
            let mut out = Scores::default();
            let (mut passes, mut gathers) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                passes.push(time(|| model.scores(&rows.view(), &mut out).expect("the rows fit")));
                gathers.push(time(|| gather_and_add(table, &offsets, &rows)));
            }
            let shares = passes.iter().zip(&gathers).map(|(pass, gather)| gather / pass).collect();
            let ([pass, best, worst], [gather, ..], [share, low, high]) =
                (spread(passes), spread(gathers), spread(shares));
            let million = |seconds: f64| rows.len() as f64 / seconds / 1e6;
            println!(
                "| {name} | {:.2} ({:.2}–{:.2}) | {:.2} | {share:.2} ({low:.2}–{high:.2}) | {:.2} |",
                million(pass),
                million(worst),
                million(best),
                million(gather),
                products(&model) * rows.len() as f64 / pass / peak,
            );
        }
    }
}
