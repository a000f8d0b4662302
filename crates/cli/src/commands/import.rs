//! `radhard import` and `radhard convert`: models from other files, and tables in other formats.

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
    save(&model, &arguments.out, "imported", console)
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
    save(&model, &arguments.out, &format!("tables in {format}"), console)
}

fn save(model: &Model, out: &std::path::Path, what: &str, console: &Console) -> Result<Exit, Failure> {
    model.save(out).map_err(|error| failure(Exit::Input, format!("{}: {error}", out.display())))?;
    let bytes: usize = model.parameters().iter().map(|tensor| tensor.bytes().len()).sum();
    let (name, parameters) = (&model.config().name, model.parameters().trained());
    console.result(&json!({ "model": name, "parameters": parameters, "bytes": bytes }), || {
        format!("{}: {name}, {what}, {parameters} parameters in {bytes} bytes", out.display())
    })?;
    Ok(Exit::Done)
}
