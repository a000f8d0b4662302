//! `radhard report`: what a campaign found, as text and as a page; or what two of them show on the same chips.

use std::path::Path;

use radhard_records::export::{CELLS_FILE, TRIALS_FILE};
use radhard_report::files::{FIGURES, PAGE_FILE, figure_names};
use radhard_report::{Comparison, ComparisonError, Extras, Summary};

use super::run::open;
use crate::arguments::Report;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit, failure};
use crate::output::CommandFiles;

/// Name of the page of two campaigns.
const COMPARISON: &str = "comparison.html";

pub(crate) fn run(arguments: &Report, console: &Console) -> Result<Exit, Failure> {
    if let Some(other) = &arguments.other {
        return compare(arguments, other, console);
    }
    let store = open(&arguments.dir)?;
    let mut summary = Summary::of(&store).or_exit(Exit::Input)?;
    if let Some(at) = arguments.at {
        summary = summary.decided_at(at).or_exit(Exit::Usage)?;
    }
    let extras = Extras { figures: arguments.figures, csv: arguments.csv };
    let files = CommandFiles::new(arguments.overwrite.force).reads("the records", store.file());
    match &arguments.out {
        // The page of the campaign's own directory is radhard's, however it is named.
        Some(page) if is_own(page, &arguments.dir, PAGE_FILE) => {
            files.writes_into(&arguments.dir, PAGE_FILE, true)
        }
        Some(page) => files.writes("--out", page),
        None => own_files(&summary, extras)
            .iter()
            .fold(files, |files, name| files.writes_into(&arguments.dir, name, true)),
    }
    .check()?;
    let written = match &arguments.out {
        Some(page) => vec![radhard_report::files::write_page(page, &summary).or_exit(Exit::Input)?],
        None => radhard_report::write_all(&arguments.dir, &summary, &store, extras).or_exit(Exit::Input)?,
    };
    console.result(&summary, || {
        let mut text = radhard_report::terminal_summary(&summary);
        if arguments.cells {
            text.push('\n');
            text.push_str(&radhard_report::terminal_cells(&summary));
        }
        text
    })?;
    for path in written {
        console.say(&format!("wrote {}", path.display()));
    }
    if !arguments.cells {
        console.say("every cell: the same command with --cells");
    }
    Ok(Exit::Done)
}

/// Two campaigns on the same chips.
fn compare(arguments: &Report, other: &Path, console: &Console) -> Result<Exit, Failure> {
    if arguments.at.is_some() || arguments.figures || arguments.csv {
        return Err(failure(
            Exit::Usage,
            "--at, --figures and --csv are for one campaign; two are compared in one page",
        ));
    }
    let stores = [open(&arguments.dir)?, open(other)?];
    let page = arguments.out.clone().unwrap_or_else(|| arguments.dir.join(COMPARISON));
    let mut files = CommandFiles::new(arguments.overwrite.force);
    for store in &stores {
        files = files.reads("the records", store.file());
    }
    if is_own(&page, &arguments.dir, COMPARISON) {
        files = files.writes_into(&arguments.dir, COMPARISON, true);
    } else {
        files = files.writes("--out", &page);
    }
    files.check()?;
    let [first, second] = stores.each_ref().map(|store| Summary::of(store).or_exit(Exit::Input));
    let comparison = Comparison::of(&first?, &second?).map_err(|error| {
        let exit = match error {
            ComparisonError::OtherChips { .. } => Exit::Mismatch,
            ComparisonError::NothingShared => Exit::Usage,
        };
        Failure { exit, error: error.into() }
    })?;
    let html = comparison.html().or_exit(Exit::Bug)?;
    let written = radhard_report::files::write_text(&page, &html).or_exit(Exit::Input)?;
    console.result(&comparison, || comparison.text())?;
    console.say(&format!("wrote {}", written.display()));
    Ok(Exit::Done)
}

/// Whether a path is that of a page which radhard itself leaves in a campaign's directory.
fn is_own(page: &Path, dir: &Path, name: &str) -> bool {
    let directory = page.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let same = matches!((directory.canonicalize(), dir.canonicalize()), (Ok(a), Ok(b)) if a == b);
    same && page.file_name().is_some_and(|own| own == name)
}

/// The names of all files that a report leaves in a campaign's directory.
fn own_files(summary: &Summary, extras: Extras) -> Vec<String> {
    let mut names = vec![PAGE_FILE.to_owned()];
    if extras.csv {
        names.extend([CELLS_FILE, TRIALS_FILE].map(str::to_owned));
    }
    for (name, _) in figure_names(summary).into_iter().filter(|_| extras.figures) {
        names.extend(["svg", "png"].map(|ending| format!("{FIGURES}/{name}.{ending}")));
    }
    names
}
