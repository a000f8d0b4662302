//! `cargo xtask`: test, bench, and checks of the workspace.
#![forbid(unsafe_code)]

mod arrows;
mod bench;
mod browser;
mod cargo;
mod check;
mod finding;
mod forbid;
mod fuzz;
mod links;
mod lints;
mod long;
mod machine;
mod size;
mod source;
mod speech;
mod stub;
mod test;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests, benchmarks and checks of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test: with nextest where it is installed, else with cargo test; then the doc tests.
    Test {
        /// Run what takes too long for every change instead: drills, damaged files by the 100,000, large files, fuzz searches.
        #[arg(long, conflicts_with = "runner_arguments")]
        long: bool,
        /// Passed on to the runner (`-p radhard-fault`, a filter …); the doc tests are then left out.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        runner_arguments: Vec<String>,
    },
    /// Check what the compiler doesn't: arrows between rooms, unsafe code, output, sizes, links.
    Check,
    /// Run a benchmark by its short name; without a name, list them.
    Bench {
        /// One of the names that `cargo xtask bench` lists.
        name: Option<String>,
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        benchmark_arguments: Vec<String>,
    },
    /// Run every step of continuous integration: the script .ci/run.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { long: true, .. } => long::run(),
        Task::Test { runner_arguments, .. } => test::run(&runner_arguments),
        Task::Check => check::run(),
        Task::Bench { name: Some(name), benchmark_arguments } => bench::run(&name, &benchmark_arguments),
        Task::Bench { name: None, .. } => {
            print!("{}", bench::list());
            Ok(())
        }
        Task::Ci => cargo::run_script(".ci/run"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
