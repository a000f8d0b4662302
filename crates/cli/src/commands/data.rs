//! `radhard data`: prepare, synth, info.

use std::path::Path;

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use indicatif::ProgressBar;
use radhard_data::prepare::{
    self, Condition, CriteoIntegers, CriteoOptions, MovieLens, MovieLensOptions, PrepareError,
    PrepareOptions, TableOptions,
};
use radhard_data::synth::{self, DummyOptions, Shape, SynthOptions};
use radhard_data::{IdRule, Info, Meta, Split, SplitRatio};
use serde_json::{Value, json};

use crate::arguments::{Ids, InputFormat, Prepare, Synth};
use crate::console::{Console, in_line};
use crate::exit::{Exit, Failure, failure};
use crate::output::CommandFiles;

const BAR: &str = "{bar:24} {percent}% · {eta} left · {msg}";

pub(crate) fn prepare(arguments: &Prepare, console: &Console) -> Result<Exit, Failure> {
    let usage = |flag: &str, error: &dyn std::fmt::Display| failure(Exit::Usage, format!("{flag}: {error}"));
    let split = match arguments.split.as_str() {
        "none" => None,
        ratio => {
            let ratio: SplitRatio = ratio.parse().map_err(|error| usage("--split", &error))?;
            Some(Split { ratio, seed: arguments.seed })
        }
    };
    if arguments.format != InputFormat::Criteo && (arguments.dense_integers || arguments.rare_below.is_some())
    {
        return Err(failure(Exit::Usage, "--dense-integers and --rare-below go with criteo"));
    }
    files(arguments)?.check()?;
    let common = PrepareOptions {
        ids: arguments.ids.map(id_rule),
        field_dims: arguments.field_dims.clone(),
        vocabulary: arguments.vocabulary.clone(),
        split,
        max_bad_lines: arguments.max_bad_lines,
    };
    let bar = console.bar(0, BAR);
    let prepared = if let Some(set) = movielens(arguments.format) {
        refuse_columns(arguments, set.name())?;
        let options = MovieLensOptions { set, common };
        prepare::movielens(&arguments.input, &arguments.out, &options, &mut told(&bar))
    } else if arguments.format == InputFormat::Criteo {
        refuse_columns(arguments, "criteo")?;
        let integers =
            if arguments.dense_integers { CriteoIntegers::Dense } else { CriteoIntegers::Categories };
        let rare_below = arguments.rare_below.unwrap_or(CriteoOptions::default().rare_below);
        let options = CriteoOptions { integers, rare_below, common };
        prepare::criteo(&arguments.input, &arguments.out, &options, &mut told(&bar))
    } else {
        let options = table(arguments, common)?;
        let prepare = if arguments.format == InputFormat::Parquet { prepare::parquet } else { prepare::csv };
        prepare(&arguments.input, &arguments.out, &options, &mut told(&bar))
    };
    bar.finish_and_clear();
    let meta = prepared.map_err(prepare_failure)?;
    show(&meta, &arguments.out, console)
}

/// The files that a preparation reads and writes.
fn files(arguments: &Prepare) -> Result<CommandFiles, Failure> {
    let located = match (movielens(arguments.format), arguments.format) {
        (Some(set), _) => prepare::movielens_file(set, &arguments.input),
        (None, InputFormat::Criteo) => prepare::criteo_file(&arguments.input),
        _ => Ok(arguments.input.clone()),
    };
    let mut files = CommandFiles::new(arguments.overwrite.force)
        .reads("the input", &located.map_err(prepare_failure)?)
        .writes("--out", &arguments.out);
    if let Some(vocabulary) = &arguments.vocabulary {
        files = files.reads("--vocabulary", vocabulary);
    }
    Ok(files)
}

/// The columns of a table, from the flags that name them.
fn table(arguments: &Prepare, common: PrepareOptions) -> Result<TableOptions, Failure> {
    let missing = "--label is missing: a table needs the name of its label column";
    let label = arguments.label.clone().ok_or_else(|| failure(Exit::Usage, missing))?;
    let positive: Option<Condition> = match &arguments.positive {
        Some(text) => {
            Some(text.parse().map_err(|error| failure(Exit::Usage, format!("--positive: {error}")))?)
        }
        None => None,
    };
    let (categorical, numeric) = (arguments.categorical.clone(), arguments.numeric.clone());
    Ok(TableOptions { label, positive, categorical, numeric, common })
}

/// A set with columns of its own takes no flags that name columns.
fn refuse_columns(arguments: &Prepare, set: &str) -> Result<(), Failure> {
    let given = [
        ("--label", arguments.label.is_some()),
        ("--positive", arguments.positive.is_some()),
        ("--categorical", !arguments.categorical.is_empty()),
        ("--numeric", !arguments.numeric.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(failure(
            Exit::Usage,
            format!("{flag} goes with csv and parquet; {set} has columns of its own"),
        )),
        None => Ok(()),
    }
}

pub(crate) fn synth(arguments: &Synth, console: &Console) -> Result<Exit, Failure> {
    CommandFiles::new(arguments.overwrite.force).writes("--out", &arguments.out).check()?;
    let split = Some(Split { seed: arguments.seed, ..Split::default() });
    let (out, seed) = (&arguments.out, arguments.seed);
    let bar = console.bar(0, BAR);
    let made = if arguments.shape == "dummy" {
        let options = DummyOptions {
            rows: arguments.rows.unwrap_or(DummyOptions::default().rows),
            seed,
            dense_dim: arguments.dense_dim,
            sparse_dim: arguments.sparse_dim,
            sparsity: arguments.sparsity,
            split: None,
        };
        synth::dummy(out, &options, &mut told(&bar))
    } else {
        let shape = Shape::named(&arguments.shape).map_err(|error| failure(Exit::Usage, error))?;
        synth::synth(shape, out, &SynthOptions { rows: arguments.rows, seed, split }, &mut told(&bar))
    };
    bar.finish_and_clear();
    show(&made.map_err(prepare_failure)?, &arguments.out, console)
}

pub(crate) fn info(file: &Path, console: &Console) -> Result<Exit, Failure> {
    let info = Info::of(&super::train::open(file)?);
    console.result(&info, || text(&info))?;
    Ok(Exit::Done)
}

fn text(info: &Info) -> String {
    let stand_in = if info.stand_in { " (stand-in)" } else { "" };
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
    table.set_header([
        "field",
        "dim",
        "occurring",
        "least",
        "median",
        "90 %",
        "greatest",
        "Gini",
        "unseen in train",
    ]);
    for field in &info.fields {
        let counts = [
            u64::from(field.dim),
            field.occurring,
            field.least,
            field.median,
            field.percentile_90,
            field.greatest,
        ];
        let mut cells = vec![Cell::new(in_line(&field.name))];
        cells.extend(counts.map(|count| Cell::new(count).set_alignment(CellAlignment::Right)));
        cells.push(Cell::new(format!("{:.3}", field.gini)).set_alignment(CellAlignment::Right));
        cells.push(Cell::new(field.unseen_in_train).set_alignment(CellAlignment::Right));
        table.add_row(cells);
    }
    let parts = ["train", "validation", "test"].iter().zip(&info.parts).map(|(name, part)| {
        let rate = part.positive_rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.2} %", 100.0 * rate));
        format!("{name} {} ({rate} positive)", part.rows)
    });
    let (rows, positive) = (info.rows, 100.0 * info.positive_rate);
    let mut lines = vec![
        format!(
            "{}{stand_in} from {}: {rows} rows, {positive:.3} % positive",
            in_line(&info.name),
            in_line(&info.source)
        ),
        parts.collect::<Vec<_>>().join(" · "),
        table.to_string(),
        format!("fingerprint {}", in_line(&info.fingerprint)),
    ];
    lines.extend(
        info.attainable_auc.map(|auc| format!("attainable AUC {auc:.4}: that of the planted model itself")),
    );
    let left_out = if info.bad_lines == 1 { "line was" } else { "lines were" };
    lines.extend((info.bad_lines > 0).then(|| format!("{} bad {left_out} left out", info.bad_lines)));
    lines.extend((!info.intact).then(|| "the content does not match the stored fingerprint".to_owned()));
    lines.extend(info.notes.iter().map(|note| in_line(note).into_owned()));
    lines.join("\n")
}

/// Tells a bar how far a preparation is.
pub(crate) fn told(bar: &ProgressBar) -> impl FnMut(radhard_data::Progress) + '_ {
    |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(format!("{:?}", progress.stage).to_lowercase());
    }
}

fn show(meta: &Meta, out: &Path, console: &Console) -> Result<Exit, Failure> {
    console.result(&contract(meta), || {
        let [train, validation, test] = meta.part_counts();
        let stand_in = if meta.stand_in { " (stand-in)" } else { "" };
        let positive = 100.0 * meta.positives as f64 / meta.rows.max(1) as f64;
        let (path, name, rows, dims) = (out.display(), in_line(&meta.name), meta.rows, &meta.field_dims);
        let mut lines = vec![
            format!("{path}: {name}{stand_in}, {rows} rows, {positive:.3} % positive, field dims {dims:?}"),
            format!("train {train} · validation {validation} · test {test}"),
        ];
        lines.extend(meta.attainable_auc.map(|auc| format!("attainable AUC {auc:.4}")));
        let plural = if meta.bad_lines == 1 { "" } else { "s" };
        lines.extend((meta.bad_lines > 0).then(|| format!("{} bad line{plural} left out", meta.bad_lines)));
        lines.extend(meta.notes.iter().map(|note| in_line(note).into_owned()));
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

fn contract(meta: &Meta) -> Value {
    let [train, validation, test] = meta.part_counts();
    json!({
        "name": meta.name,
        "rows": meta.rows,
        "field_dims": meta.field_dims,
        "positives": meta.positives,
        "bad_lines": meta.bad_lines,
        "train": train,
        "validation": validation,
        "test": test,
        "stand_in": meta.stand_in,
        "attainable_auc": meta.attainable_auc,
        "fingerprint": meta.fingerprint,
    })
}

fn movielens(format: InputFormat) -> Option<MovieLens> {
    match format {
        InputFormat::Movielens1m => Some(MovieLens::OneMillion),
        InputFormat::Movielens20m => Some(MovieLens::TwentyMillion),
        InputFormat::Movielens100k => Some(MovieLens::HundredThousand),
        InputFormat::MovielensLatestSmall => Some(MovieLens::LatestSmall),
        InputFormat::Criteo | InputFormat::Csv | InputFormat::Parquet => None,
    }
}

fn id_rule(ids: Ids) -> IdRule {
    match ids {
        Ids::Dense => IdRule::Dense,
        Ids::Index => IdRule::Index,
        Ids::OneBased => IdRule::OneBased,
    }
}

pub(crate) fn prepare_failure(error: PrepareError) -> Failure {
    let exit = match &error {
        // Whatever is in the files, these cannot be.
        PrepareError::HashedIds { .. }
        | PrepareError::VocabularyConflict(_)
        | PrepareError::Sparsity(_)
        | PrepareError::NoSparseBits => Exit::Usage,
        _ => Exit::Input,
    };
    Failure { exit, error: error.into() }
}
