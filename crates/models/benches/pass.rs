//! The full pass beside what bounds it: a loop that only gathers and adds the same table rows, and the peak of a matrix
//! product. All cores; the sides take turns.
//!
//! `cargo bench -p radhard-models --bench pass -- [MODEL… SHAPE… --rows N --rounds N --threads N]`; with `--torch` (or
//! `--venv DIR`) torch, eager and compiled, takes turns on the same rows, at the batch size that suits it best.

mod torch;

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use radhard_data::synth::{SHAPES, SynthOptions, synth};
use radhard_data::{DataSet, Part, Rows};
use radhard_kernels::{GlobalId, Kernels, Table};
use radhard_memory::Buffer;
use radhard_models::{Config, Init, Model, Scores, architectures};
use rayon::prelude::*;

/// Batch sizes that torch may choose from.
const BATCHES: [usize; 3] = [512, 4096, 65_536];

/// Runs of each side in a turn, of which the median counts.
const RUNS: usize = 8;

/// Most numbers that torch may hold of a batch's pairs of fields.
const PAIRS: usize = 1 << 27;

/// Data rows whose table rows the limit asks for at once, and the most indices of a field that it does not ask for.
const BURST: usize = 4;
const NEAR: u32 = 1024;

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

/// Gathers and adds each row's table rows, 16 values each, and nothing else; the rows are asked for ahead, in the way that was
/// the quickest of those tried.
fn gather_and_add(table: &[[f32; 16]], offsets: &[u32], rows: &Rows<'_>) {
    let fields = offsets.len();
    let ask = |index: u32, offset: u32| {
        let id = [GlobalId::new(index + offset)];
        Kernels::detected().prefetch(Table::F32(table.as_flattened()), &id, GlobalId::FIRST, 16);
    };
    // Of many fields only those whose table rows don't stay in the caches, for some data rows at once.
    let burst = if fields < 8 { 1 } else { BURST };
    let ahead = (64 / fields + 1).max(burst);
    let far = far(offsets, table.len());
    rows.view().indices.par_chunks(fields * 1024).for_each(|indices| {
        let mut total = [0.0f32; 16];
        for (r, row) in indices.chunks_exact(fields).enumerate() {
            if burst == 1 {
                if let Some(next) = indices.get((r + ahead) * fields..(r + ahead + 1) * fields) {
                    offsets.iter().zip(next).for_each(|(offset, index)| ask(*index, *offset));
                }
            } else if r % burst == 0 {
                let [from, to] = [ahead, ahead + burst].map(|by| ((r + by) * fields).min(indices.len()));
                for next in indices[from..to].chunks_exact(fields) {
                    for &f in &far {
                        ask(next[f], offsets[f]);
                    }
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

/// The same of the rows of two tables of many fields.
fn gather_and_add_two(tables: [&[[f32; 16]]; 2], offsets: &[u32], rows: &Rows<'_>) {
    let fields = offsets.len();
    let ahead = (64 / fields + 1).max(BURST);
    let far = far(offsets, tables[0].len());
    rows.view().indices.par_chunks(fields * 1024).for_each(|indices| {
        let (mut first, mut second) = ([0.0f32; 16], [0.0f32; 16]);
        for (r, row) in indices.chunks_exact(fields).enumerate() {
            if r % BURST == 0 {
                let [from, to] = [ahead, ahead + BURST].map(|by| ((r + by) * fields).min(indices.len()));
                for next in indices[from..to].chunks_exact(fields) {
                    for &f in &far {
                        let id = [GlobalId::new(next[f] + offsets[f])];
                        for table in tables {
                            Kernels::detected().prefetch(
                                Table::F32(table.as_flattened()),
                                &id,
                                GlobalId::FIRST,
                                16,
                            );
                        }
                    }
                }
            }
            for (offset, index) in offsets.iter().zip(row) {
                let id = (index + offset) as usize;
                for (total, x) in first.iter_mut().zip(&tables[0][id]) {
                    *total += x;
                }
                for (total, x) in second.iter_mut().zip(&tables[1][id]) {
                    *total += x;
                }
            }
        }
        black_box((first, second));
    });
}

/// The fields whose table rows don't stay in the caches.
fn far(offsets: &[u32], table_rows: usize) -> Vec<usize> {
    let ends = offsets[1..].iter().copied().chain([table_rows as u32]);
    let spans = ends.zip(offsets).enumerate();
    spans.filter(|(_, (end, start))| end - *start > NEAR).map(|(field, _)| field).collect()
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

/// One side of the comparison with torch: its mode, its best batch size, and its times.
struct Side<'a> {
    mode: &'a str,
    batch: usize,
    rows_a_second: Vec<f64>,
}

/// Takes turns with torch; `pass` takes one full pass and gives rows a second.
fn beside(
    torch: &mut torch::Torch,
    (name, dims): (&str, &[u32]),
    (file, count): (&Path, usize),
    rounds: usize,
    mut pass: impl FnMut() -> f64,
) {
    let pairs = if name == "afm" { dims.len() * (dims.len() - 1) / 2 * 16 } else { 0 };
    let speed = |batch: usize, times: Vec<f64>| batch as f64 / spread(times)[0] * 1e3;
    torch.forget();
    let mut sides: Vec<Side<'_>> = Vec::new();
    for mode in ["eager", "compile"] {
        let fits = |batch: &&usize| **batch <= count && **batch * pairs <= PAIRS;
        let tried = BATCHES
            .iter()
            .filter(fits)
            .map(|&batch| (speed(batch, torch.scores((name, mode), dims, (file, batch), RUNS)), batch));
        let best = tried.max_by(|a, b| a.0.total_cmp(&b.0)).expect("a batch size fits");
        sides.push(Side { mode, batch: best.1, rows_a_second: Vec::new() });
    }
    let mut ours = Vec::new();
    for _ in 0..rounds {
        // As many runs a turn on both sides: the first one finds caches as the other side left them.
        ours.push(spread((0..RUNS).map(|_| pass()).collect())[0]);
        for side in &mut sides {
            let times = torch.scores((name, side.mode), dims, (file, side.batch), RUNS);
            side.rows_a_second.push(speed(side.batch, times));
        }
    }
    for Side { mode, batch, rows_a_second } in sides {
        let ratios = ours.iter().zip(&rows_a_second).map(|(ours, theirs)| ours / theirs).collect();
        let ([theirs, ..], [ratio, low, high]) = (spread(rows_a_second), spread(ratios));
        let [ours, ..] = spread(ours.clone());
        println!(
            "| {name} | {:.2} | torch {mode}, batch {batch} | {:.3} | {ratio:.1} ({low:.1}–{high:.1}) |",
            ours / 1e6,
            theirs / 1e6
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let number = |flag: &str| {
        let at = arguments.iter().position(|a| a == flag)?;
        arguments.get(at + 1)?.parse::<usize>().ok()
    };
    let (count, rounds) = (number("--rows"), number("--rounds").unwrap_or(9));
    if let Some(threads) = number("--threads") {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the pool is made once");
    }
    let mut torch = torch::Torch::asked_for(&arguments);
    let chosen = |name: &str, all: &mut dyn Iterator<Item = &'static str>| {
        let all: Vec<_> = all.collect();
        !arguments.iter().any(|a| all.contains(&a.as_str())) || arguments.iter().any(|a| a == name)
    };
    let named = arguments.iter().filter(|a| !a.starts_with("--") && a.parse::<usize>().is_err());
    for name in named.filter(|name| torch.is_none() || !Path::new(name).is_dir()) {
        let known = SHAPES.iter().any(|s| s.name == name) || architectures().iter().any(|a| a.name() == name);
        assert!(known, "{name} is no model or shape");
    }
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
        println!("\n{shape}, {} rows; M rows/s: median (smallest–largest) of {rounds}", rows.len());
        match torch {
            None => println!(
                "| model | full pass | gather and add | pass / limit | of two rows each | pass / that | dense layers / peak |\n|---|---:|---:|---:|---:|---:|---:|"
            ),
            Some(_) => {
                println!("| model | full pass | beside | M rows/s | ratio |\n|---|---:|---|---:|---:|");
            }
        }
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        if torch.is_some() {
            file.write_all(bytemuck::cast_slice(rows.view().indices)).expect("rows are written");
        }
        for name in &models {
            let config = Config::new(name, data.meta().field_dims.clone());
            let model = Model::new(&config, Init::TorchFm, 1).expect("the configuration is possible");
            let offsets: Vec<u32> = config.offsets().into_iter().map(GlobalId::get).collect();
            let table = (0..model.parameters().len()).filter_map(|i| Some((i, model.table_of(i)?)));
            let (table, _) = table.max_by_key(|(_, table)| table.words).expect("every model has a table");
            let (table, _) = model.parameters()[table].f32s().as_chunks::<16>();
            let mut out = Scores::default();
            // A second table of the same shape, for what a pass has to read that needs two rows of each index.
            let mut second = Buffer::<f32>::zeroed(table.as_flattened().len());
            second.copy_from_slice(table.as_flattened());
            let (second, _) = second.as_chunks::<16>();
            let (mut passes, mut gathers, mut both) = (Vec::new(), Vec::new(), Vec::new());
            let mut pass = || time(|| model.scores(&rows.view(), &mut out).expect("the rows fit"));
            if let Some(torch) = &mut torch {
                pass();
                let all = (file.path(), rows.len());
                let dims = &data.meta().field_dims;
                // As many passes as torch has batches, of which the median counts.
                let mut several = || spread((0..9).map(|_| pass()).collect())[0];
                beside(torch, (name, dims), all, rounds, || rows.len() as f64 / several());
                continue;
            }
            for _ in 0..rounds {
                passes.push(pass());
                gathers.push(time(|| gather_and_add(table, &offsets, &rows)));
                both.push(time(|| gather_and_add_two([table, second], &offsets, &rows)));
            }
            let of = |limits: &[f64]| spread(passes.iter().zip(limits).map(|(p, limit)| limit / p).collect());
            let ([share, low, high], [share_both, ..]) = (of(&gathers), of(&both));
            let ([pass, best, worst], [gather, ..], [both, ..]) =
                (spread(passes), spread(gathers), spread(both));
            let million = |seconds: f64| rows.len() as f64 / seconds / 1e6;
            println!(
                "| {name} | {:.2} ({:.2}–{:.2}) | {:.2} | {share:.2} ({low:.2}–{high:.2}) | {:.2} | {share_both:.2} | {:.2} |",
                million(pass),
                million(worst),
                million(best),
                million(gather),
                million(both),
                products(&model) * rows.len() as f64 / pass / peak,
            );
        }
    }
}
