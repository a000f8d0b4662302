//! Benchmarks by short name.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use crate::cargo;
use crate::finding::Finding;
use crate::tree::Tree;

/// One benchmark: its short name, the room it stands in, and what it shows.
struct Benchmark {
    name: &'static str,
    room: &'static str,
    shows: &'static str,
}

/// Every benchmark there is; each is a bench target of its room under the same name.
const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "inject",
        room: "fault",
        shows: "draw, inject and undo at each rate, beside one draw per bit and a copy",
    },
    Benchmark {
        name: "auc",
        room: "metrics",
        shows: "AUC of a million scores, beside a comparison sort of them",
    },
    Benchmark {
        name: "metrics",
        room: "metrics",
        shows: "scores of a trial of few changed rows and of all, beside the plain scoring",
    },
    Benchmark {
        name: "protect",
        room: "protect",
        shows: "full passes at Criteo's size under each protection that acts in them, beside the pass alone",
    },
    Benchmark {
        name: "stored",
        room: "protect",
        shows: "reading protected words, beside the pass that looks them up",
    },
    Benchmark {
        name: "pass",
        room: "models",
        shows: "the full pass of each model and shape, beside a loop that only gathers and adds, and a product's peak",
    },
    Benchmark {
        name: "engine",
        room: "engine",
        shows: "trials by target and rate beside the full pass, known, incremental and full, on one thread and on all; takes models and shapes",
    },
    Benchmark {
        name: "train",
        room: "models",
        shows: "one training step of each model and optimiser at MovieLens-1M's and Criteo's size",
    },
    Benchmark {
        name: "page",
        room: "report",
        shows: "the report's page at the size of the paper's grid: bytes, time to write it, time until a browser has it ready",
    },
];

/// The names, one a line, with what each shows.
pub(crate) fn list() -> String {
    let mut text = String::new();
    for benchmark in BENCHMARKS {
        let _ = writeln!(text, "{:<10}{}", benchmark.name, benchmark.shows);
    }
    text
}

/// What a benchmark says of itself and its arguments: the comment that its file begins with.
fn help(benchmark: &Benchmark) -> Result<String> {
    let path = format!("crates/{}/benches/{}.rs", benchmark.room, benchmark.name);
    let source = std::fs::read_to_string(cargo::workspace_root()?.join(&path)).context(path)?;
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    Ok(lines.flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect())
}

/// Runs one benchmark with the arguments passed on.
pub(crate) fn run(name: &str, benchmark_arguments: &[String]) -> Result<()> {
    let Some(benchmark) = BENCHMARKS.iter().find(|benchmark| benchmark.name == name) else {
        let names: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        bail!("benchmark {name:?} is none of {}", names.join(", "));
    };
    if benchmark_arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{}", help(benchmark)?);
        return Ok(());
    }
    let package = format!("radhard-{}", benchmark.room);
    let mut call = vec!["bench", "--package", &package, "--bench", name];
    if !benchmark_arguments.is_empty() {
        call.push("--");
        call.extend(benchmark_arguments.iter().map(String::as_str));
    }
    cargo::run(&call)
}

/// Listed benchmarks that no room has.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for benchmark in BENCHMARKS {
        let file = format!("crates/{}/benches/{}.rs", benchmark.room, benchmark.name);
        if !tree.has_file(&file) {
            let what = format!("benchmark {:?} is listed, but {file} is not there", benchmark.name);
            findings.push(Finding::new("xtask/src/bench.rs", 1, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_says_what_it_is() {
        for benchmark in BENCHMARKS {
            assert!(help(benchmark).unwrap().lines().count() > 0, "{}", benchmark.name);
        }
    }

    #[test]
    fn a_listed_benchmark_without_a_file_is_found() {
        let tree = Tree::of(&[("crates/fault/benches/inject.rs", "")]);
        let findings = findings(&tree);
        assert_eq!(findings.len(), BENCHMARKS.len() - 1);
        assert!(findings[0].to_string().contains("crates/metrics/benches/auc.rs is not there"));
    }

    #[test]
    fn an_unknown_name_shows_the_known_ones() {
        let error = run("speed", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "benchmark \"speed\" is none of inject, auc, metrics, protect, stored, pass, engine, train, page"
        );
    }
}
