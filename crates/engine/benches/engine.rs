//! Trials beside the full pass: chips with one flip, and chips at rates, by target; on one thread and on all.
//!
//! `cargo bench -p radhard-engine --bench engine -- [MODEL… SHAPE… --rows N --chips N --seconds S --memory-mb N --only PART --target T --rate P]`
//!
//! Parts: `one-flip`, `rates`, `rows`, `threads`. Rows are those of the shape's test part, drawn as a stand-in; models are untrained, of default size.

use std::time::Instant;

use radhard_data::synth::{SHAPES, SynthOptions, synth};
use radhard_data::{DataSet, Part, RowsView};
use radhard_engine::{Changes, Crew, Engine, LentModel, Way};
use radhard_fault::{BitErrorRate, Chip, DrawnMap, Expose, Parameters, Target, parse_error_model};
use radhard_kernels::{Answered, Answers, Kernels};
use radhard_metrics::{Golden, Observed, Reference, ScoreOptions, TrialScores, UserRows};
use radhard_models::{
    BLOCK, Component, Config, Evaluation, Init, Model, Overlay, Scores, Together, Worker, architectures,
};
use rayon::prelude::*;

/// Shapes with the rows of their test parts.
const ROWS: [(&str, u64); 3] =
    [("movielens-1m", 100_021), ("movielens-20m", 2_000_027), ("criteo", 4_584_062)];

/// Bytes of probabilities of one pass, and changes in it, as the engine has them.
const TOGETHER: (usize, usize) = (256 << 20, 32);

/// Full passes that are timed.
const PASSES: usize = 5;

struct Options {
    rows: Option<u64>,
    chips: usize,
    seconds: f64,
    memory_bytes: u64,
    only: Option<String>,
    target: Option<String>,
    rate: Option<f64>,
    named: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            rows: None,
            chips: 200,
            seconds: 2.0,
            memory_bytes: 2 << 30,
            only: None,
            target: None,
            rate: None,
            named: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("an option has a value");
            match argument.as_str() {
                "--rows" => options.rows = value().parse().ok(),
                "--chips" => options.chips = value().parse().expect("chips are counted"),
                "--seconds" => options.seconds = value().parse().expect("seconds are a number"),
                "--memory-mb" => {
                    options.memory_bytes = value().parse::<u64>().expect("memory is a number") << 20;
                }
                "--target" => options.target = Some(value()),
                "--rate" => options.rate = value().parse().ok(),
                "--only" => options.only = Some(value()),
                _ => options.named.push(argument),
            }
        }
        options.check()
    }

    /// A word that names nothing would leave nothing out.
    fn check(self) -> Self {
        let known = |name: &str| {
            SHAPES.iter().any(|shape| shape.name == name) || architectures().iter().any(|a| a.name() == name)
        };
        let other = self.named.iter().find(|name| !known(name));
        assert!(other.is_none(), "{} is no option, model or shape", other.map_or("", |name| name));
        self
    }

    fn takes(&self, name: &str, mut all: impl Iterator<Item = &'static str>) -> bool {
        let named = |of: &str| self.named.iter().any(|named| named == of);
        named(name) || !all.any(named)
    }

    fn part(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }
}

/// Seconds of one run.
fn time<T>(f: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let value = f();
    (start.elapsed().as_secs_f64(), value)
}

/// Median, smallest and largest.
fn spread(mut times: Vec<f64>) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    [times[times.len() / 2], times[0], times[times.len() - 1]]
}

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * u128::from(n)) >> 64) as u64
    }
}

/// A model with its golden run, and how long full passes take.
struct Bench<'a> {
    lent: LentModel,
    rows: RowsView<'a>,
    engine: Engine,
    reference: &'a Reference<'a>,
    crew: Crew,
    out: Scores,
    /// Seconds of a pass, and of its metrics on one thread.
    pass: f64,
    metrics: f64,
}

impl Bench<'_> {
    /// Seconds of a full trial, where passes use all threads and metrics one each.
    fn full_trial(&self) -> f64 {
        self.pass + self.metrics / rayon::current_num_threads() as f64
    }

    /// Seconds of chips, each by the way that the engine takes, full passes included; with how many took each way.
    fn trials(&mut self, chips: &[Changes]) -> (f64, [usize; 4]) {
        let mut ways = [0; 4];
        let (seconds, ()) = time(|| {
            let list: Vec<&Changes> = chips.iter().collect();
            let outcomes = self.engine.beside(&self.lent, &self.rows, self.reference, &list, &mut self.crew);
            for (chip, (_, outcome)) in chips.iter().zip(outcomes) {
                let way = outcome.map_or(Way::Full, |outcome| outcome.way);
                ways[match way {
                    Way::Known => 0,
                    Way::Rows => 1,
                    Way::Layers => 2,
                    Way::Full => 3,
                }] += 1;
                if way == Way::Full {
                    Engine::full(&mut self.lent, &self.rows, chip, &mut self.out).expect("the rows fit");
                }
            }
        });
        // Metrics of full passes run side by side.
        (seconds + ways[3] as f64 * self.metrics / rayon::current_num_threads() as f64, ways)
    }

    /// Seconds of evaluation alone, without metrics, of changes outside the tables.
    fn evaluation(&mut self, chips: &[Changes], kept: &radhard_models::Kept) -> f64 {
        let model = self.lent.model();
        let overlays: Vec<Overlay> = chips
            .iter()
            .map(|chip| {
                let mut overlay = Overlay::new(model);
                for (index, words) in chip.iter() {
                    for &(element, word) in words {
                        overlay.write(model, index, element, word);
                    }
                }
                overlay.finish(model);
                overlay
            })
            .collect();
        let at_once = (TOGETHER.0 / (4 * self.rows.len())).clamp(1, TOGETHER.1);
        let task = 32 * BLOCK;
        let mut out = vec![vec![0.0_f32; self.rows.len()]; at_once];
        let rows = &self.rows;
        let (seconds, ()) = time(|| {
            for overlays in overlays.chunks(at_once) {
                let together = Together::new(model, kept, Kernels::detected(), overlays);
                let mut parts: Vec<_> = out.iter_mut().map(|all| all.chunks_mut(task)).collect();
                let tasks: Vec<Vec<&mut [f32]>> = (0..rows.len().div_ceil(task))
                    .map(|_| parts.iter_mut().filter_map(Iterator::next).collect())
                    .collect();
                let golden = self.reference.probabilities();
                tasks.into_par_iter().enumerate().for_each_init(
                    || together.room(),
                    |room, (at, out)| {
                        let range = at * task..rows.len().min((at + 1) * task);
                        let answers = out.into_iter().take(overlays.len()).map(|answers| Answers {
                            golden: &golden[range.clone()],
                            answers,
                            logits: &mut [],
                            counted: Answered::default(),
                        });
                        together.run(rows, range.clone(), room, &mut answers.collect::<Vec<_>>());
                    },
                );
            }
        });
        seconds
    }

    /// Chips with one flip each, in a bit of these parameters, each bit as likely.
    fn one_flip(&self, chips: usize, of: impl Fn(&str, Component) -> bool) -> Vec<Changes> {
        let parameters = self.lent.model().parameters();
        let own: Vec<(usize, u64, u64)> = (0..parameters.len())
            .filter(|&i| of(parameters[i].name(), parameters[i].component()))
            .map(|i| (i, parameters[i].elements() as u64, 8 * parameters[i].format().bytes() as u64))
            .collect();
        let total = own.iter().map(|(_, elements, bits)| elements * bits).sum();
        let mut draws = Draws(1);
        let chip = |_| {
            let mut at = draws.below(total);
            let (index, _, bits) = own
                .iter()
                .find(|(_, elements, bits)| {
                    let here = at < elements * bits;
                    at -= if here { 0 } else { elements * bits };
                    here
                })
                .expect("the place is below the total");
            let word = self.lent.words(*index).get(at / bits) ^ 1 << (at % bits);
            let mut changes = Changes::default();
            changes.push(&self.lent, *index, [(at / bits, word)]);
            changes
        };
        (0..chips).map(chip).collect()
    }

    /// Chips at a rate that have a flip, and the seconds that drawing one took.
    fn at_rate(&self, target: &str, rate: f64, chips: usize) -> (Vec<Changes>, f64) {
        let exposure =
            target.parse::<Target>().expect("a target").resolve(self.lent.specs(), Expose::Parameters);
        let exposure = exposure.expect("it exposes something");
        let flips = parse_error_model("flips").expect("an error model");
        let rate = BitErrorRate::new(rate).expect("a rate");
        let mut drawn = DrawnMap::new();
        let (mut found, mut number) = (Vec::new(), 0);
        let (seconds, ()) = time(|| {
            while found.len() < chips && number < 400_000 {
                flips.draw(Chip::new(1, number), &exposure, Some(rate), &mut drawn).expect("flips are drawn");
                let changes = Changes::of(&drawn, &self.lent);
                if !changes.is_empty() {
                    found.push(changes);
                }
                number += 1;
            }
        });
        (found, seconds / number as f64)
    }
}

/// Peak resident memory in MB, where the system tells.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? >> 10)
}

/// The tensors of the last linear layer: those that share the last dense one's name up to its last dot.
fn last_linear(model: &Model) -> Option<String> {
    let weight =
        |t: &&radhard_models::Tensor| t.component() == Component::Dense && t.name().ends_with(".weight");
    let last = model.parameters().as_slice().iter().rfind(weight)?;
    Some(last.name().rsplit_once('.')?.0.to_owned())
}

fn run(name: &str, shape: &str, data: &DataSet, options: &Options) {
    let rows = data.select(Part::All);
    let view = rows.view();
    let config = Config::new(name, data.meta().field_dims.clone());
    let model = Model::new(&config, Init::TorchFm, 1).expect("the configuration is possible");
    let users = data.meta().user_field.map(|field| UserRows::of(&rows.field(field).collect::<Vec<u32>>()));
    let score_options = ScoreOptions { users: users.as_ref(), ..ScoreOptions::new(0.5) };
    let lent = LentModel::new(model);
    let mut golden = Scores::default();
    let (prepare, engine) = time(|| Engine::new(&lent, &view, options.memory_bytes, &mut golden));
    let engine = engine.expect("the rows fit");
    let observed = Observed {
        probabilities: &golden.probabilities,
        logits: Some(&golden.logits),
        labels: rows.labels(),
    };
    let auc = TrialScores::of(&observed, None, &score_options).auc;
    let against = Golden { probabilities: &golden.probabilities, auc };
    let (prepare_metrics, reference) = time(|| Reference::new(observed, against, score_options));
    let crew = Crew::new(lent.model());
    let mut bench = Bench {
        lent,
        rows: view,
        engine,
        reference: &reference,
        crew,
        out: Scores::default(),
        pass: f64::NAN,
        metrics: f64::NAN,
    };
    let passes = (0..PASSES)
        .map(|_| time(|| bench.lent.model().scores(&bench.rows, &mut bench.out).expect("the rows fit")).0);
    let [pass, fastest, slowest] = spread(passes.collect());
    let metrics = (0..PASSES).map(|_| {
        let mut work = bench.crew.work();
        time(|| reference.all(work.metrics(), &golden.probabilities, &golden.logits)).0
    });
    let [metrics, ..] = spread(metrics.collect());
    (bench.pass, bench.metrics) = (pass, metrics);
    let million = |seconds: f64| rows.len() as f64 / seconds / 1e6;
    let (kept, readers) = bench.engine.bytes();
    println!(
        "\n{name}, {shape}, {} rows, {} threads: full pass {:.1} ms ({:.1}–{:.1}), {:.2} M rows/s; metrics of all rows {:.1} ms on one thread; \
         prepared in {prepare:.2} s, metrics in {prepare_metrics:.2} s; {} MB kept, {} MB readers",
        rows.len(),
        rayon::current_num_threads(),
        pass * 1e3,
        fastest * 1e3,
        slowest * 1e3,
        million(pass),
        metrics * 1e3,
        kept >> 20,
        readers >> 20,
    );
    if options.part("one-flip") {
        one_flip(&mut bench, options);
    }
    if options.part("rates") {
        rates(&mut bench, options);
    }
    if options.part("rows") {
        rows_apart(&mut bench);
    }
    if options.part("threads") {
        threads(&mut bench, options);
    }
    if let Some(peak) = peak_mb() {
        println!("peak memory so far {peak} MB");
    }
}

fn ways_text([known, rows, layers, full]: [usize; 4]) -> String {
    format!("{known}/{rows}/{layers}/{full}")
}

/// Which parameters, by name and component.
type Chosen = dyn Fn(&str, Component) -> bool;

/// Chips with one flip, in batches of growing size until the time is up.
fn one_flip(bench: &mut Bench<'_>, options: &Options) {
    println!("\none flip a chip, known/rows/layers/full by way");
    println!(
        "| target | chips | by way | ms a trial | full trial / trial | ms evaluation alone | full pass / evaluation |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|");
    let mut golden = Scores::default();
    let kept = bench.lent.model().keep(&bench.rows, options.memory_bytes, &mut golden).expect("the rows fit");
    let last = last_linear(bench.lent.model());
    let targets: [(&str, Box<Chosen>); 3] = [
        ("embedding", Box::new(|_, of| of == Component::Embedding)),
        ("dense", Box::new(|_, of| of == Component::Dense)),
        (
            "last linear",
            Box::new(move |name, of| {
                of == Component::Dense
                    && last.as_ref().is_some_and(|last| name.rsplit_once('.').is_some_and(|n| n.0 == last))
            }),
        ),
    ];
    for (target, of) in targets {
        let asked = options.target.as_ref().is_none_or(|asked| asked == target);
        if !asked || target == "last linear" && bench.lent.model().config().name == "fm" {
            continue;
        }
        let chips = bench.one_flip(options.chips, of);
        let (mut seconds, mut ways, mut done) = (0.0, [0; 4], 0);
        for chips in chips.chunks(64) {
            if seconds > options.seconds {
                break;
            }
            let (more, taken) = bench.trials(chips);
            seconds += more;
            done += chips.len();
            ways.iter_mut().zip(taken).for_each(|(all, more)| *all += more);
        }
        let trial = seconds / done as f64;
        let alone = (target != "embedding").then(|| {
            let chips = &chips[..done];
            bench.evaluation(chips, &kept) / chips.len() as f64
        });
        println!(
            "| {target} | {done} | {} | {:.3} | {:.1} | {} | {} |",
            ways_text(ways),
            trial * 1e3,
            bench.full_trial() / trial,
            alone.map_or(String::new(), |alone| format!("{:.3}", alone * 1e3)),
            alone.map_or(String::new(), |alone| format!("{:.1}", bench.pass / alone)),
        );
    }
}

/// What a row costs that is evaluated among others that lie apart, and its metrics, beside one of all rows; one thread each.
fn rows_apart(bench: &mut Bench<'_>) {
    println!("\nrows apart, ns a row on one thread (of all threads for the full pass)");
    println!(
        "| share | evaluated apart | in a full pass | ratio | estimate | metrics of these | metrics of all |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let (chips, _) = bench.at_rate("embedding", 1e-5, 1);
    let model = bench.lent.model();
    let mut overlay = Overlay::new(model);
    for (index, words) in chips[0].iter() {
        for &(element, word) in words {
            overlay.write(model, index, element, word);
        }
    }
    overlay.finish(model);
    let evaluation = Evaluation {
        kernels: Kernels::detected(),
        rows: bench.rows,
        overlay: &overlay,
        apart: bench.engine.kept().apart(),
    };
    let (mut worker, mut some) = (Worker::new(model), Scores::default());
    let count = bench.rows.len();
    let ns = |seconds: f64, rows: usize| seconds * 1e9 / rows as f64;
    for hundredths in [1, 10, 50, 90] {
        let mut draws = Draws(1);
        let listed: Vec<u32> = (0..count as u32).filter(|_| draws.below(100) < hundredths).collect();
        let apart =
            (0..PASSES).map(|_| time(|| model.scores_of(&evaluation, &listed, &mut worker, &mut some)).0);
        let [apart, ..] = spread(apart.collect());
        let mut work = bench.crew.work();
        let metrics = (0..PASSES).map(|_| {
            let of = || bench.reference.changed(work.metrics(), &listed, &some.probabilities, &some.logits);
            time(of).0
        });
        let [metrics, ..] = spread(metrics.collect());
        let (apart, whole) =
            (ns(apart, listed.len()), ns(bench.pass, count) * rayon::current_num_threads() as f64);
        println!(
            "| {hundredths} % | {apart:.1} | {whole:.1} | {:.2} | {:.2} | {:.1} | {:.1} |",
            apart / whole,
            model.cost_apart(evaluation.apart),
            ns(metrics, listed.len()),
            ns(bench.metrics, count),
        );
    }
}

/// Chips at rates, those without a flip left out.
fn rates(bench: &mut Bench<'_>, options: &Options) {
    println!("\nchips at a rate that have a flip; a drawn chip may have none");
    println!(
        "| target | rate | µs to draw | chips | flips | by way | ms a trial | trials/s | full trial / trial | full pass / trial |"
    );
    println!("|---|---:|---:|---:|---:|---|---:|---:|---:|---:|");
    for target in ["embedding", "dense", "all"] {
        for rate in [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2] {
            if options.target.as_ref().is_some_and(|only| only != target)
                || options.rate.is_some_and(|only| (only / rate - 1.0).abs() > 0.5)
            {
                continue;
            }
            let (mut seconds, mut ways, mut done) = (0.0, [0; 4], 0);
            let most = if rate > 1e-5 { 10 } else { options.chips };
            let (chips, draw) = bench.at_rate(target, rate, most);
            for chips in chips.chunks(64) {
                if seconds > options.seconds {
                    break;
                }
                let (more, taken) = bench.trials(chips);
                seconds += more;
                done += chips.len();
                ways.iter_mut().zip(taken).for_each(|(all, more)| *all += more);
            }
            if done == 0 {
                continue;
            }
            let flips: u64 = chips.iter().map(Changes::flips).sum();
            let trial = seconds / done as f64;
            println!(
                "| {target} | {rate:e} | {:.2} | {done} | {:.1} | {} | {:.3} | {:.0} | {:.1} | {:.1} |",
                draw * 1e6,
                flips as f64 / chips.len() as f64,
                ways_text(ways),
                trial * 1e3,
                1.0 / trial,
                bench.full_trial() / trial,
                bench.pass / trial,
            );
        }
    }
}

/// The same work on one thread.
fn threads(bench: &mut Bench<'_>, options: &Options) {
    println!("\nall threads against one");
    println!("| what | ms on one | ms on all | ratio |\n|---|---:|---:|---:|");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let line = |what: &str, one: f64, all: f64| {
        println!("| {what} | {:.3} | {:.3} | {:.2} |", one * 1e3, all * 1e3, one / all);
    };
    let pass = |bench: &mut Bench<'_>| {
        let passes = (0..PASSES).map(|_| {
            time(|| bench.lent.model().scores(&bench.rows, &mut bench.out).expect("the rows fit")).0
        });
        spread(passes.collect())[0]
    };
    let alone = one.install(|| pass(bench));
    let all = pass(bench);
    line("full pass", alone, all);
    let (tables, _) = bench.at_rate("embedding", 1e-7, options.chips);
    let dense = bench.one_flip(32, |_, of| of == Component::Dense);
    for (what, chips) in [("tables at 1e-7", tables), ("one dense flip", dense)] {
        let trials = |bench: &mut Bench<'_>| {
            let times = (0..3).map(|_| bench.trials(&chips).0 / chips.len() as f64);
            spread(times.collect())[0]
        };
        let alone = one.install(|| {
            let crew = Crew::new(bench.lent.model());
            let crew = std::mem::replace(&mut bench.crew, crew);
            let seconds = trials(bench);
            bench.crew = crew;
            seconds
        });
        let all = trials(bench);
        line(what, alone, all);
    }
}

fn main() {
    let options = Options::read();
    for (shape, count) in ROWS {
        if !options.takes(shape, SHAPES.iter().map(|s| s.name)) {
            continue;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("rows.data");
        let known = SHAPES.iter().find(|s| s.name == shape).expect("the shape is known");
        let rows = SynthOptions { rows: Some(options.rows.unwrap_or(count)), seed: 1, split: None };
        synth(known, &path, &rows, &mut |_| {}).expect("rows are drawn");
        let data = DataSet::open(&path).expect("what was written opens");
        for architecture in architectures().iter().filter(|a| !a.takes_bags() && !a.takes_numeric()) {
            if options.takes(architecture.name(), architectures().iter().map(|a| a.name())) {
                run(architecture.name(), shape, &data, &options);
            }
        }
    }
}
