//! `radhard train`: a model from prepared data.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use radhard_data::{DataSet, Part};
use radhard_models::training::{CheckpointError, field_baseline_auc, train_with_checkpoint};
use radhard_models::{
    Config, ConfigError, Init, Model, Progress, TrainError, TrainOptions, TrainReport, architectures,
};
use serde_json::json;

use crate::arguments::{Inputs, Shape, Train, Widths};
use crate::console::{Console, StopFlag};
use crate::exit::{Exit, Failure, failure};
use crate::output::CommandFiles;

const BAR: &str = "{bar:24} epoch {msg}";

pub(crate) fn run(arguments: &Train, console: &Console) -> Result<Exit, Failure> {
    let checkpoint = checkpoint(&arguments.out);
    // A run that was interrupted goes on to the model that it was allowed to write; that the checkpoint is of this run is
    // seen before anything is written.
    let continues = checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.is_file());
    let mut files = CommandFiles::new(arguments.overwrite.force || continues)
        .reads("--data", &arguments.data)
        .writes("--out", &arguments.out);
    if let Some(checkpoint) = &checkpoint {
        files = files.continues("the checkpoint", checkpoint);
    }
    files.check()?;
    let data = open(&arguments.data)?;
    let shape = &arguments.shape;
    if shape.model == "dummy" {
        let name = shape.model.clone();
        return Err(failure(Exit::Usage, TrainError::Bags { name }));
    }
    let (dims, numeric) = (data.meta().field_dims.clone(), data.meta().numeric_names.len());
    let config = config(&shape.widths, &shape.model, dims, numeric);
    let reads_numbers = architectures().iter().any(|a| a.name() == shape.model && a.takes_numeric());
    if reads_numbers && numeric == 0 {
        let (data, model) = (arguments.data.display(), &shape.model);
        let how = "`data prepare criteo --dense-integers` and `data prepare csv --numeric` keep them";
        return Err(failure(
            Exit::Usage,
            format!("{data} has no numeric columns, and {model} needs them; {how}"),
        ));
    }
    let options = options(arguments)?;
    let mut model = started(arguments, &config)?;
    let at = |path: &Path, error| failure(Exit::Input, format!("{}: {error}", path.display()));
    let baseline_auc = field_baseline_auc(&data, Part::Test, &radhard_metrics::auc::auc)
        .map_err(|error| at(&arguments.data, error))?;
    let stop = StopFlag::listen();
    let init = init(&arguments.shape)?;
    let report = train(&mut model, &data, &options, init, checkpoint.as_deref(), console, &stop);
    let report = report.map_err(|other| match other.error.downcast_ref() {
        Some(error @ TrainError::Read(_)) => {
            let cut = matches!(error, TrainError::Read(error) if error.kind() == ErrorKind::UnexpectedEof);
            let cut = if cut { " (it was cut while it was in use)" } else { "" };
            failure(Exit::Input, format!("{}: {error}{cut}", arguments.data.display()))
        }
        Some(TrainError::Diverged { .. } | TrainError::DivergedWeights { .. }) => {
            // The same command would diverge again, and another one is not continued from it.
            if let Some(checkpoint) = &checkpoint {
                let _ = std::fs::remove_file(checkpoint);
            }
            other
        }
        _ => other,
    })?;
    if report.interrupted {
        console.say("interrupted; the same command continues after the last whole epoch");
        return Ok(Exit::Interrupted);
    }
    let warnings = report.warnings(&options, baseline_auc);
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    model.save(&arguments.out).map_err(|error| at(&arguments.out, error))?;
    if let Some(checkpoint) = &checkpoint {
        match std::fs::remove_file(checkpoint) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(checkpoint, error)),
            _ => {}
        }
    }
    let parameters = model.parameters().trained();
    console.result(
        &json!({
            "model": model.config().name,
            "parameters": parameters,
            "epochs": report.epochs.len(),
            "best_epoch": report.best_epoch,
            "validation_auc": report.validation_auc,
            "test_auc": report.test_auc,
            "baseline_auc": baseline_auc,
            "warnings": warnings,
            "seconds": report.seconds,
            "rows_per_second": report.rows_per_second,
            "stand_in": data.meta().stand_in,
        }),
        || {
            let baseline = baseline_auc.map_or_else(String::new, |auc| {
                format!("\nbaseline on the test rows (one log-odds per value of each field): AUC {auc:.4}")
            });
            format!(
                "{}: {} on {}, {parameters} parameters\n{}{baseline}",
                arguments.out.display(),
                model.config().name,
                data.meta().name,
                text(&report)
            )
        },
    )?;
    for warning in &warnings {
        console.say(&format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}

/// The options of training, from the flags.
fn options(arguments: &Train) -> Result<TrainOptions, Failure> {
    Ok(TrainOptions {
        optimizer: arguments
            .optimizer
            .parse()
            .map_err(|error| failure(Exit::Usage, format!("--optimizer: {error}")))?,
        learning_rate: arguments.lr,
        weight_decay: arguments.weight_decay,
        batch_size: arguments.batch_size,
        epochs: arguments.epochs,
        patience: arguments.patience,
        seed: arguments.shape.seed,
        ..TrainOptions::default()
    })
}

/// An untrained model with room to train it.
fn started(arguments: &Train, config: &Config) -> Result<Model, Failure> {
    let shape = &arguments.shape;
    let model = Model::new(config, init(shape)?, shape.seed).map_err(|error| {
        let exit = if matches!(error, ConfigError::Memory { .. }) { Exit::Input } else { Exit::Usage };
        Failure { exit, error: error.into() }
    })?;
    // The first and second moments of every parameter.
    let bytes: u64 = model.parameters().iter().map(|tensor| tensor.bytes().len() as u64).sum();
    radhard_memory::need(bytes.saturating_mul(2))
        .map_err(|error| failure(Exit::Input, format!("training {}: {error}", shape.model)))?;
    Ok(model)
}

/// What training came to, in words.
pub(crate) fn text(report: &TrainReport) -> String {
    let show = |auc: Option<f64>| auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.4}"));
    format!(
        "{} epochs, the best was {}: validation AUC {}, test AUC {} · {:.1} s, {:.2} M rows/s",
        report.epochs.len(),
        report.best_epoch,
        show(report.validation_auc),
        show(report.test_auc),
        report.seconds,
        report.rows_per_second / 1e6
    )
}

/// Trains with a progress bar; the model keeps how it was made.
pub(crate) fn train(
    model: &mut Model,
    data: &DataSet,
    options: &TrainOptions,
    init: Init,
    checkpoint: Option<&Path>,
    console: &Console,
    stop: &StopFlag,
) -> Result<TrainReport, Failure> {
    let bar = console.bar(0, BAR);
    let mut best = None;
    let mut told = |progress| {
        match progress {
            Progress::Step { epoch, step, steps, loss } => {
                bar.set_length(steps);
                bar.set_position(step);
                let best =
                    best.map_or_else(String::new, |auc: f64| format!(" · best validation AUC {auc:.4}"));
                bar.set_message(format!("{epoch} · loss {loss:.4}{best}"));
            }
            Progress::Epoch(epoch) if epoch.best => best = epoch.validation_auc,
            _ => {}
        }
        if stop.raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let auc = &radhard_metrics::auc::auc;
    let report = match checkpoint {
        Some(path) => train_with_checkpoint(model, data, options, path, auc, &mut told),
        None => radhard_models::train(model, data, options, auc, &mut told),
    };
    bar.finish_and_clear();
    let report = report.map_err(|error| {
        let exit = match &error {
            TrainError::Option { .. } => Exit::Usage,
            TrainError::Checkpoint(CheckpointError::OtherRun { .. }) => Exit::Mismatch,
            _ => Exit::Input,
        };
        Failure { exit, error: error.into() }
    })?;
    if let Some(training) = &mut model.training {
        training.init = Some(init);
    }
    Ok(report)
}

pub(crate) fn open(path: &Path) -> Result<DataSet, Failure> {
    DataSet::open(path).map_err(|error| failure(Exit::Input, format!("{}: {error}", path.display())))
}

/// Where training keeps what it needs to go on: next to the model that it will write; nowhere for a pipe or a device.
fn checkpoint(out: &Path) -> Option<PathBuf> {
    if std::fs::metadata(out).is_ok_and(|there| radhard_memory::is_stream(there.file_type())) {
        return None;
    }
    let mut name = out.as_os_str().to_owned();
    name.push(".checkpoint");
    Some(name.into())
}

/// Field dims and numeric inputs that the flags give.
pub(crate) fn inputs(given: &Inputs) -> Result<(Vec<u32>, usize), Failure> {
    if let Some(path) = &given.data {
        let data = open(path)?;
        let meta = data.meta();
        let field_dims = meta.bag_dim.map_or_else(|| meta.field_dims.clone(), |dim| vec![dim]);
        return Ok((field_dims, meta.numeric_names.len()));
    }
    let missing = "--field-dims or --data is missing: a model needs the table rows of each field";
    let field_dims = given.field_dims.clone().ok_or_else(|| failure(Exit::Usage, missing))?;
    Ok((field_dims, given.numeric))
}

/// The configuration that the flags ask for.
pub(crate) fn config(widths: &Widths, model: &str, field_dims: Vec<u32>, numeric: usize) -> Config {
    let defaults = Config::new(model, field_dims);
    Config {
        numeric,
        embed_dim: widths.embed_dim,
        mlp_dims: widths.mlp_dims.clone(),
        dropout: widths.dropout,
        bottom_dims: widths.bottom_dims.clone().unwrap_or_else(|| defaults.bottom_dims.clone()),
        cross_layers: widths.cross_layers,
        attention_dim: widths.attention_dim,
        ..defaults
    }
}

pub(crate) fn init(shape: &Shape) -> Result<Init, Failure> {
    shape.init.parse().map_err(|error| failure(Exit::Usage, format!("--init: {error}")))
}
