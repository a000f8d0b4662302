//! `radhard report`: what a campaign found, as table, page and pictures.

use std::path::Path;

use radhard_records::export::{CELLS_FILE, TRIALS_FILE};
use radhard_report::Summary;
use radhard_report::files::{FIGURES, PAGE_FILE, figure_names};

use super::run::open;
use crate::arguments::Report;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit};
use crate::output::CommandFiles;

pub(crate) fn run(arguments: &Report, console: &Console) -> Result<Exit, Failure> {
    let store = open(&arguments.dir)?;
    let summary = Summary::of(&store).or_exit(Exit::Input)?;
    let files = CommandFiles::new(arguments.overwrite.force).reads("the records", store.file());
    match &arguments.out {
        // The page of the campaign's own directory is radhard's, however it is named.
        Some(page) if is_own_page(page, &arguments.dir) => files.writes_into(&arguments.dir, PAGE_FILE, true),
        Some(page) => files.writes("--out", page),
        None => own_files(&summary)
            .iter()
            .fold(files, |files, name| files.writes_into(&arguments.dir, name, true)),
    }
    .check()?;
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

/// Whether a path is that of the page which a report leaves in a campaign's directory.
fn is_own_page(page: &Path, dir: &Path) -> bool {
    let directory = page.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let same = matches!((directory.canonicalize(), dir.canonicalize()), (Ok(a), Ok(b)) if a == b);
    same && page.file_name().is_some_and(|name| name == PAGE_FILE)
}

/// The names of all files that a report leaves in a campaign's directory.
pub(super) fn own_files(summary: &Summary) -> Vec<String> {
    let mut names = vec![PAGE_FILE.to_owned(), CELLS_FILE.to_owned(), TRIALS_FILE.to_owned()];
    for (name, _) in figure_names(summary) {
        names.extend(["svg", "png"].map(|ending| format!("{FIGURES}/{name}.{ending}")));
    }
    names
}
