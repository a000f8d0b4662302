//! `radhard init`: an untrained model.

use radhard_models::Model;
use serde_json::json;

use super::train::{config, init, inputs};
use crate::arguments::Init;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit, failure};

pub(crate) fn run(arguments: &Init, console: &Console) -> Result<Exit, Failure> {
    let (field_dims, numeric) = inputs(&arguments.inputs)?;
    let config = config(&arguments.shape.widths, &arguments.shape.model, field_dims, numeric);
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
