//! `radhard report`: what a campaign found, as table, page and pictures.

use radhard_report::Summary;

use super::run::open;
use crate::arguments::Report;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit};

pub(crate) fn run(arguments: &Report, console: &Console) -> Result<Exit, Failure> {
    let store = open(&arguments.dir)?;
    let summary = Summary::of(&store).or_exit(Exit::Input)?;
    let written = match &arguments.out {
        Some(page) => vec![radhard_report::files::write_page(page, &summary).or_exit(Exit::Input)?],
        None => radhard_report::write_all(&arguments.dir, &summary, &store).or_exit(Exit::Input)?,
    };
    console.result(&summary, || radhard_report::terminal_table(&summary))?;
    for path in written {
        console.say(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Done)
}
