//! Fuzz targets: one function per parser that takes any bytes and panics where the parser breaks its promise.
//!
//! A parser promises to end, to refuse with an error or to accept, and never to panic. Most targets check more: what was
//! accepted is written and read again, and both are equal; a damaged file is refused or equal to the whole one. The search
//! for such bytes is in `fuzz/search`, a workspace of its own; this crate is an ordinary one, whose tests run each target
//! on its seeds and on all that searches kept in `fuzz/corpus`.
#![forbid(unsafe_code)]

mod containers;
mod edits;
mod files;
mod grammars;
mod planted;
mod records;
mod scratch;
mod seeds;
mod tables;
mod training;
mod weights;
mod zip;

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, which is that of its corpus directory too.
    pub name: &'static str,
    /// Runs the parser on any bytes; a broken promise is a panic.
    pub run: fn(&[u8]),
    /// Inputs from which a search begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// One line per parser.
pub const TARGETS: &[Target] = &[
    Target { name: "target", run: grammars::target, seeds: seeds::target },
    Target { name: "error-model", run: grammars::error_model, seeds: seeds::error_model },
    Target { name: "protection", run: grammars::protection, seeds: seeds::protection },
    Target { name: "settings", run: grammars::settings, seeds: seeds::settings },
    Target { name: "plan", run: grammars::plan, seeds: seeds::plan },
    Target { name: "safetensors", run: containers::safetensors, seeds: seeds::safetensors },
    Target { name: "model", run: containers::model, seeds: seeds::model },
    Target { name: "error-map", run: containers::error_map, seeds: seeds::error_map },
    Target { name: "weights", run: weights::any, seeds: seeds::weights },
    Target { name: "pickle", run: weights::pickle, seeds: seeds::pickle },
    Target { name: "npy", run: weights::npy, seeds: seeds::npy },
    Target { name: "data", run: tables::data, seeds: seeds::data },
    Target { name: "csv", run: tables::csv, seeds: seeds::csv },
    Target { name: "movielens", run: tables::movielens, seeds: seeds::movielens },
    Target { name: "criteo", run: tables::criteo, seeds: seeds::criteo },
    Target { name: "parquet", run: tables::parquet, seeds: seeds::parquet },
    Target { name: "checkpoint", run: training::checkpoint, seeds: seeds::checkpoint },
    Target { name: "records", run: records::records, seeds: seeds::records },
    Target { name: "planted", run: planted::planted, seeds: seeds::target },
];

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
