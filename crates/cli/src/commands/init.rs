//! `radhard init`: an untrained model.

use radhard_models::{Config, Model};
use serde_json::json;

use super::train::{config, init, inputs};
use crate::arguments::Init;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit, failure};
use crate::output::CommandFiles;

pub(crate) fn run(arguments: &Init, console: &Console) -> Result<Exit, Failure> {
    let mut files = CommandFiles::new(arguments.overwrite.force).writes("--out", &arguments.out);
    if let Some(data) = &arguments.inputs.data {
        files = files.reads("--data", data);
    }
    files.check()?;
    let config = shape(arguments)?;
    let model = Model::new(&config, init(&arguments.shape)?, arguments.shape.seed).or_exit(Exit::Usage)?;
    model
        .save(&arguments.out)
        .map_err(|error| failure(Exit::Input, format!("{}: {error}", arguments.out.display())))?;
    let parameters = model.parameters().trained();
    console.result(&json!({ "model": config.name, "parameters": parameters }), || {
        format!("{}: untrained {}, {parameters} parameters", arguments.out.display(), config.name)
    })?;
    Ok(Exit::Done)
}

/// The configuration that the flags ask for: a dummy model has flags of its own.
fn shape(arguments: &Init) -> Result<Config, Failure> {
    let (name, widths) = (&arguments.shape.model, &arguments.shape.widths);
    let dummy = &arguments.dummy;
    if name == "dummy" {
        let mut config = Config::dummy(
            dummy.depth.unwrap_or(1),
            dummy.hidden.unwrap_or(64),
            widths.embed_dim,
            dummy.dense_dim.unwrap_or(128),
            dummy.sparse_dim.unwrap_or(8192),
        );
        if dummy.depth.is_none() && dummy.hidden.is_none() {
            config.mlp_dims.clone_from(&widths.mlp_dims);
        }
        if let Some(path) = &arguments.inputs.data {
            let (field_dims, numeric) = inputs(&arguments.inputs)?;
            if field_dims.is_empty() {
                return Err(failure(Exit::Usage, format!("{}: the rows have no bags", path.display())));
            }
            (config.field_dims, config.numeric) = (field_dims, numeric);
        }
        return Ok(config);
    }
    let given = [
        ("--depth", dummy.depth.is_some()),
        ("--hidden", dummy.hidden.is_some()),
        ("--dense-dim", dummy.dense_dim.is_some()),
        ("--sparse-dim", dummy.sparse_dim.is_some()),
    ];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(failure(Exit::Usage, format!("{flag} goes with the model dummy, not with {name}")));
    }
    let (field_dims, numeric) = inputs(&arguments.inputs)?;
    Ok(config(widths, name, field_dims, numeric))
}
