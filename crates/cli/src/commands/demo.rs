//! `radhard demo`: real ratings → training → virtual chips → curves.

use std::fs;
use std::path::Path;

use radhard_campaign::{CheckedPlan, How};
use radhard_data::prepare::{self, PrepareOptions};
use radhard_data::{DataSet, Part, Split};
use radhard_models::training::bias_baseline;
use radhard_models::{Config, Init, Model, TrainOptions};
use radhard_records::Store;
use radhard_records::export::{CELLS_FILE, TRIALS_FILE};
use radhard_report::files::{FIGURES, PAGE_FILE};
use radhard_report::{Extras, Summary};

use super::data::{prepare_failure, told};
use super::run::{campaign, open};
use super::train::{text, train};
use crate::arguments::Demo;
use crate::console::{Console, StopFlag};
use crate::exit::{Exit, Failure, OrExit, failure};
use crate::output::CommandFiles;

const DATA: &str = "ml-latest-small.data";
const MODEL: &str = "wide-deep.safetensors";
const PLAN: &str = "plan.toml";
/// How every plan of the demo begins.
const PLAN_BEGINS: &str = "# The plan of `radhard demo`";
/// Of the split, of training and of the chips.
const SEED: u64 = 1;

pub(crate) fn run(arguments: &Demo, console: &Console) -> Result<Exit, Failure> {
    let out = &arguments.out;
    let path = out.join(PLAN);
    let own = is_demo(out);
    let mut files = CommandFiles::new(arguments.overwrite.force).fills(out.join(FIGURES), own);
    for name in [DATA, MODEL, PLAN, PAGE_FILE, CELLS_FILE, TRIALS_FILE] {
        files = files.writes_into(out, name, own);
    }
    files.check()?;
    let stop = StopFlag::listen();
    fs::create_dir_all(out).map_err(|error| failure(Exit::Input, format!("{}: {error}", out.display())))?;
    let text = plan_text(arguments.chips);
    // The plan says whose directory this is, so it comes first; that of records stays until they are continued.
    if !own {
        write(&path, &text)?;
    }
    let data = prepared(&out.join(DATA), console)?;
    let baseline = bias_baseline(&data, Part::Test);
    let test = data.select(Part::Test);
    let baseline = radhard_metrics::auc::auc(&baseline, test.labels());
    let Some(()) = trained(&out.join(MODEL), &data, baseline, console, &stop)? else {
        console.say("interrupted; the same command starts over");
        return Ok(Exit::Interrupted);
    };
    let plan = CheckedPlan::parse(&text, &path).or_exit(Exit::Usage)?;
    let report = campaign(&plan, out, How::new(plan.plan().evaluation), console, &stop)?;
    write(&path, &text)?;
    if report.interrupted {
        console.say("interrupted; the same command continues");
        return Ok(Exit::Interrupted);
    }
    console.say(&format!(
        "{} trials on virtual chips: {} evaluated, {} known without a run, {:.1} s",
        report.trials, report.evaluated, report.known, report.seconds
    ));
    let store = open(out)?;
    let summary = Summary::of(&store).or_exit(Exit::Input)?;
    let written = radhard_report::write_all(out, &summary, &store, Extras::default()).or_exit(Exit::Input)?;
    console.result(&summary, || radhard_report::terminal_summary(&summary))?;
    if let Some(page) = written.last() {
        console
            .say(&format!("Next: open {} in a browser; every cell: radhard report --cells", page.display()));
    }
    Ok(Exit::Done)
}

fn prepared(path: &Path, console: &Console) -> Result<DataSet, Failure> {
    let options =
        PrepareOptions { split: Some(Split { seed: SEED, ..Split::default() }), ..PrepareOptions::default() };
    let bar = console.bar(0, "{bar:24} preparing");
    let meta = prepare::embedded_ml_latest_small(path, options, &mut told(&bar));
    bar.finish_and_clear();
    let meta = meta.map_err(prepare_failure)?;
    console.say(&format!(
        "data: MovieLens ml-latest-small, {} real ratings, {:.1} % positive (rating > 3)",
        meta.rows,
        100.0 * meta.positives as f64 / meta.rows as f64
    ));
    super::train::open(path)
}

fn trained(
    path: &Path,
    data: &DataSet,
    baseline: Option<f64>,
    console: &Console,
    stop: &StopFlag,
) -> Result<Option<()>, Failure> {
    let config = Config::new("wide-deep", data.meta().field_dims.clone());
    let init = Init::ZeroFirstOrder;
    let mut model = Model::new(&config, init, SEED).or_exit(Exit::Bug)?;
    let options = TrainOptions { seed: SEED, ..TrainOptions::default() };
    let report = train(&mut model, data, &options, init, None, console, stop)?;
    if report.interrupted {
        return Ok(None);
    }
    let parameters = model.parameters().trained();
    console.say(&format!("model: wide-deep, {parameters} parameters, {}", text(&report)));
    if let Some(auc) = baseline {
        console.say(&format!("a smoothed user + item bias model reaches test AUC {auc:.4}"));
    }
    model.save(path).map_err(|error| failure(Exit::Input, format!("{}: {error}", path.display())))?;
    Ok(Some(()))
}

/// Whether a directory was begun by the demo: its plan, or that in its records, says so.
fn is_demo(dir: &Path) -> bool {
    let is_plan = |text: &str| text.starts_with(PLAN_BEGINS);
    let plan = radhard_memory::read_text(dir.join(PLAN), 1 << 20).is_ok_and(|text| is_plan(&text));
    plan || Store::open(dir).is_ok_and(|store| is_plan(&store.header().plan))
}

fn plan_text(chips: u64) -> String {
    format!(
        "{PLAN_BEGINS}; `radhard run` continues it.\n\
         seed = {SEED}\n\
         chips = {chips}\n\
         split = \"test\"\n\
         targets = [\"embedding\", \"dense\", \"all\"]\n\
         error_models = [\"flips\"]\n\
         rates = [1e-8, 1e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]\n\
         \n\
         [[subject]]\n\
         model = \"{MODEL}\"\n\
         data = \"{DATA}\"\n"
    )
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    radhard_memory::write_atomically(path, |out| std::io::Write::write_all(out, text.as_bytes()))
        .map_err(|error| failure(Exit::Input, format!("{}: {error}", path.display())))
}
