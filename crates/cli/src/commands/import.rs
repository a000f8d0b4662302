//! `radhard import` and `radhard convert`: models from other files, and tables in other formats.

use std::path::Path;

use radhard_campaign::files::{self, Mark};
use radhard_models::import::{self, Convert};
use radhard_models::{Config, Model, TableFormat, convert as converted};
use serde_json::json;

use super::train::{config, inputs};
use crate::arguments::{Convert as ConvertArguments, Import};
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit, failure};
use crate::output::CommandFiles;

pub(crate) fn import(arguments: &Import, console: &Console) -> Result<Exit, Failure> {
    let mut files = CommandFiles::new(arguments.overwrite.force)
        .reads("the file of weights", &arguments.weights)
        .writes("--out", &arguments.out);
    if let Some(data) = &arguments.inputs.data {
        files = files.reads("--data", data);
    }
    files.check()?;
    let (field_dims, numeric) = inputs(&arguments.inputs)?;
    let config: Config = config(&arguments.widths, &arguments.model, field_dims, numeric);
    config.check().or_exit(Exit::Usage)?;
    let rule = if arguments.convert { Convert::Yes } else { Convert::No };
    let mut state = import::read(&arguments.weights, rule).or_exit(Exit::Input)?;
    let prefix = state.strip_wrappers();
    if !prefix.is_empty() {
        console.say(&format!("the prefix \"{prefix}\" of all names is a wrapper's and was taken off"));
    }
    let model = import::model(&config, &state)
        .map_err(|error| failure(Exit::Input, format!("{}: {error}", arguments.weights.display())))?;
    save(&model, (&arguments.weights, &arguments.out), "imported", console)
}

pub(crate) fn convert(arguments: &ConvertArguments, console: &Console) -> Result<Exit, Failure> {
    let format: TableFormat =
        arguments.tables.parse().map_err(|error| failure(Exit::Usage, format!("--tables: {error}")))?;
    CommandFiles::new(arguments.overwrite.force)
        .reads("the model", &arguments.model)
        .writes("--out", &arguments.out)
        .check()?;
    let model = Model::open(&arguments.model).or_exit(Exit::Input)?;
    let model = converted(&model, format)
        .map_err(|error| failure(Exit::Input, format!("{}: {error}", arguments.model.display())))?;
    save(&model, (&arguments.model, &arguments.out), &format!("tables in {format}"), console)
}

/// Saves a model that was made of a file; what that says of its faults is said of the model too.
fn save(model: &Model, (of, out): (&Path, &Path), what: &str, console: &Console) -> Result<Exit, Failure> {
    let at_out = |error: &dyn std::fmt::Display| failure(Exit::Input, format!("{}: {error}", out.display()));
    let mark = Mark::of(of).map_err(|error| failure(Exit::Input, format!("{}: {error}", of.display())))?;
    match &mark {
        Some(mark) => {
            files::write_marked(out, mark.provenance(), |path| model.save(path)).or_exit(Exit::Input)?;
        }
        None => model.save(out).map_err(|error| at_out(&error))?,
    }
    let bytes: usize = model.parameters().iter().map(|tensor| tensor.bytes().len()).sum();
    let (name, parameters) = (&model.config().name, model.parameters().trained());
    let fault = mark.as_ref().map(Mark::provenance);
    console.result(
        &json!({ "model": name, "parameters": parameters, "bytes": bytes, "fault": fault }),
        || {
            let faults = mark.as_ref().map_or_else(String::new, |mark| {
                format!("\n{} holds injected faults, and so does this model: {mark}", of.display())
            });
            format!("{}: {name}, {what}, {parameters} parameters in {bytes} bytes{faults}", out.display())
        },
    )?;
    Ok(Exit::Done)
}
