//! Everything that a report leaves in a directory.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use radhard_memory::write_atomically;
use radhard_records::{RecordsError, Store};

use crate::chart::chart;
use crate::page;
use crate::panel::Panel;
use crate::png::png;
use crate::summary::Summary;
use crate::svg::{Colours, svg};

/// Name of the page.
pub const PAGE_FILE: &str = "report.html";

/// Name of the directory of figures.
pub const FIGURES: &str = "figures";

/// What keeps a report from being written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The records cannot be read, or their csv cannot be written.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A file or directory cannot be written.
    #[error("{}: writing: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The page's template does not fit its values.
    #[error("the page cannot be made: {0}")]
    Page(#[from] minijinja::Error),
    /// A figure cannot be drawn.
    #[error("figure {name} cannot be drawn: {reason}")]
    Figure {
        /// Name of the figure.
        name: String,
        /// What the rasteriser said.
        reason: String,
    },
}

/// Files that a report writes besides its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extras {
    /// A chart for each panel, as svg and png.
    pub figures: bool,
    /// Both csv files.
    pub csv: bool,
}

/// Writes the page and, where wanted, figures and csv files into `dir`, each whole or not at all; the paths of all files written.
pub fn write_all(
    dir: &Path,
    summary: &Summary,
    store: &Store,
    extras: Extras,
) -> Result<Vec<PathBuf>, ReportError> {
    let mut written = Vec::new();
    if extras.csv {
        store.export_csv(dir)?;
        written.extend(
            [radhard_records::export::CELLS_FILE, radhard_records::export::TRIALS_FILE]
                .map(|name| dir.join(name)),
        );
    }
    if extras.figures {
        let figures = dir.join(FIGURES);
        std::fs::create_dir_all(&figures)
            .map_err(|source| ReportError::Write { path: figures.clone(), source })?;
        for (name, panel) in figure_names(summary) {
            let Some(drawing) = chart(panel, summary) else { continue };
            let image = png(&drawing).map_err(|reason| ReportError::Figure { name: name.clone(), reason })?;
            for (ending, bytes) in
                [("svg", svg(&drawing, Colours::Own, "chart").into_bytes()), ("png", image)]
            {
                written.push(write(figures.join(format!("{name}.{ending}")), &bytes)?);
            }
        }
    }
    written.push(write_page(&dir.join(PAGE_FILE), summary)?);
    Ok(written)
}

/// Writes the page to `path`, whole or not at all.
pub fn write_page(path: &Path, summary: &Summary) -> Result<PathBuf, ReportError> {
    write(path.to_owned(), page::html(summary)?.as_bytes())
}

/// Writes a page that was made already to `path`, whole or not at all.
pub fn write_text(path: &Path, html: &str) -> Result<PathBuf, ReportError> {
    write(path.to_owned(), html.as_bytes())
}

/// Every panel with the name of its figure: letters, digits, dots and hyphens of its names, and a number where two are alike.
pub fn figure_names(summary: &Summary) -> Vec<(String, &Panel)> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for panel in &summary.panels {
        let mut parts = vec![panel.model.as_str(), panel.data.as_str()];
        if panel.error_model != "flips" {
            parts.push(&panel.error_model);
        }
        if panel.protection != "none" {
            parts.push(&panel.protection);
        }
        let plain = parts.into_iter().map(plain).collect::<Vec<_>>().join("_");
        let mut name = plain.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        names.push((name, panel));
    }
    names
}

/// A name that is safe inside a path, on every system.
fn plain(name: &str) -> String {
    let mut text: String = name
        .chars()
        .take(60)
        .map(|character| {
            let kept = character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
            if kept { character.to_ascii_lowercase() } else { '-' }
        })
        .collect();
    if text.starts_with('.') || text.is_empty() {
        text.insert(0, '-');
    }
    text
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<PathBuf, ReportError> {
    match write_atomically(&path, |out| out.write_all(bytes)) {
        Ok(()) => Ok(path),
        Err(source) => Err(ReportError::Write { path, source }),
    }
}
