//! `radhard data`: prepare, synth, info.

use std::path::Path;

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use indicatif::ProgressBar;
use radhard_data::prepare::{
    self, Condition, MovieLens, MovieLensOptions, PrepareError, PrepareOptions, TableOptions,
};
use radhard_data::synth::{self, Shape, SynthOptions};
use radhard_data::{IdRule, Info, Meta, Split, SplitRatio};
use serde_json::{Value, json};

use crate::arguments::{Ids, InputFormat, Prepare, Synth};
use crate::console::Console;
use crate::exit::{Exit, Failure, failure};

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
    let common = PrepareOptions {
        ids: arguments.ids.map(id_rule),
        field_dims: arguments.field_dims.clone(),
        vocabulary: arguments.vocabulary.clone(),
        split,
        max_bad_lines: arguments.max_bad_lines,
    };
    let bar = console.bar(0, BAR);
    let mut report = told(&bar);
    let (input, out) = (&arguments.input, &arguments.out);
    let prepared = match movielens(arguments.format) {
        Some(set) => {
            for (flag, given) in [
                ("--label", arguments.label.is_some()),
                ("--positive", arguments.positive.is_some()),
                ("--categorical", !arguments.categorical.is_empty()),
                ("--numeric", !arguments.numeric.is_empty()),
            ] {
                if given {
                    return Err(failure(
                        Exit::Usage,
                        format!("{flag} goes with csv and parquet; {set} has columns of its own"),
                    ));
                }
            }
            prepare::movielens(input, out, &MovieLensOptions { set, common }, &mut report)
        }
        None => {
            let Some(label) = arguments.label.clone() else {
                return Err(failure(
                    Exit::Usage,
                    "--label is missing: a table needs the name of its label column",
                ));
            };
            let positive: Option<Condition> = match &arguments.positive {
                Some(text) => Some(text.parse().map_err(|error| usage("--positive", &error))?),
                None => None,
            };
            let (categorical, numeric) = (arguments.categorical.clone(), arguments.numeric.clone());
            let options = TableOptions { label, positive, categorical, numeric, common };
            match arguments.format {
                InputFormat::Parquet => prepare::parquet(input, out, &options, &mut report),
                _ => prepare::csv(input, out, &options, &mut report),
            }
        }
    };
    bar.finish_and_clear();
    let meta = prepared.map_err(prepare_failure)?;
    show(&meta, out, console)
}

pub(crate) fn synth(arguments: &Synth, console: &Console) -> Result<Exit, Failure> {
    let shape = Shape::named(&arguments.shape).map_err(|error| failure(Exit::Usage, error))?;
    let options = SynthOptions {
        rows: arguments.rows,
        seed: arguments.seed,
        split: Some(Split { seed: arguments.seed, ..Split::default() }),
    };
    let bar = console.bar(0, BAR);
    let made = synth::synth(shape, &arguments.out, &options, &mut told(&bar));
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
    table.load_style(UTF8_HORIZONTAL_ONLY);
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
        let mut cells = vec![Cell::new(&field.name)];
        cells.extend(counts.map(|count| Cell::new(count).set_alignment(CellAlignment::Right)));
        cells.push(Cell::new(format!("{:.3}", field.gini)).set_alignment(CellAlignment::Right));
        cells.push(Cell::new(field.unseen_in_train).set_alignment(CellAlignment::Right));
        table.add_row(cells);
    }
    let parts = ["train", "validation", "test"].iter().zip(&info.parts).map(|(name, part)| {
        let rate = part.positive_rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.2} %", 100.0 * rate));
        format!("{name} {} ({rate} positive)", part.rows)
    });
    let mut text = format!(
        "{}{stand_in} from {}: {} rows, {:.3} % positive\n{}\n{table}\nfingerprint {}",
        info.name,
        info.source,
        info.rows,
        100.0 * info.positive_rate,
        parts.collect::<Vec<_>>().join(" · "),
        info.fingerprint
    );
    if let Some(auc) = info.attainable_auc {
        text.push_str(&format!("\nattainable AUC {auc:.4}: that of the planted model itself"));
    }
    if info.bad_lines > 0 {
        text.push_str(&format!("\n{} bad lines were left out", info.bad_lines));
    }
    if !info.intact {
        text.push_str("\nthe content does not match the stored fingerprint");
    }
    for note in &info.notes {
        text.push_str(&format!("\n{note}"));
    }
    text
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
        let bad = if meta.bad_lines > 0 { format!("\n{} bad lines left out", meta.bad_lines) } else { String::new() };
        let notes: String = meta.notes.iter().map(|note| format!("\n{note}")).collect();
        let attainable = meta.attainable_auc.map_or_else(String::new, |auc| format!("\nattainable AUC {auc:.4}"));
        format!(
            "{}: {}{stand_in}, {} rows, {:.3} % positive, field dims {:?}\ntrain {train} · validation {validation} · test \
             {test}{attainable}{bad}{notes}",
            out.display(),
            meta.name,
            meta.rows,
            100.0 * meta.positives as f64 / meta.rows.max(1) as f64,
            meta.field_dims
        )
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
        InputFormat::Csv | InputFormat::Parquet => None,
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
    Failure { exit: Exit::Input, error: error.into() }
}
