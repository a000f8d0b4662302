//! `radhard export`: records as csv, or their digest.

use radhard_records::Covers;
use serde_json::json;

use super::run::open;
use crate::arguments::{DigestOf, Export, ExportFormat};
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit};
use crate::output::{CommandFiles, holds_records};

pub(crate) fn run(arguments: &Export, console: &Console) -> Result<Exit, Failure> {
    let store = open(&arguments.dir)?;
    if let Some(covers) = arguments.digest {
        let covers = match covers {
            DigestOf::Scores => Covers::Scores,
            DigestOf::All => Covers::All,
        };
        let digest = store.digest_of(covers).or_exit(Exit::Input)?;
        console.result(&json!({ "digest": digest }), || digest.clone())?;
        return Ok(Exit::Done);
    }
    let ExportFormat::Csv = arguments.format;
    let out = arguments.out.as_ref().unwrap_or(&arguments.dir);
    let own = holds_records(out);
    CommandFiles::new(arguments.overwrite.force)
        .reads("the records", store.file())
        .writes_into(out, "cells.csv", own)
        .writes_into(out, "trials.csv", own)
        .check()?;
    store.export_csv(out).or_exit(Exit::Input)?;
    let names = ["cells.csv", "trials.csv"].map(|name| out.join(name).display().to_string());
    console.result(&json!({ "files": names }), || names.join("\n"))?;
    Ok(Exit::Done)
}
