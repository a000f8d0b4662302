//! `cargo xtask test --long`: what takes too long for every change.

use anyhow::{Result, bail};

use crate::{browser, cargo, fuzz};

/// Kills of each drill.
const KILLS: &str = "30";
/// Damaged files of each sweep.
const CORRUPTIONS: &str = "100000";
/// Seconds of each search.
const FUZZ_SECONDS: u64 = 60;
/// Size of the sparse model file, in units of 10^9 bytes.
const SPARSE_GB: &str = "60";

/// A part: its name, and what it runs.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: &[Part] =
    &[("drills", drills), ("corruptions", corruptions), ("large files", large), ("fuzz", searches)];

/// Runs every part, also after one that failed; says first and last what this machine leaves out.
pub(crate) fn run() -> Result<()> {
    let skipped = skipped();
    let say = || skipped.iter().for_each(|line| println!("{line}"));
    say();
    let mut failed = Vec::new();
    for (name, part) in PARTS {
        println!("\n== {name}");
        if let Err(error) = part() {
            println!("{name}: FAILED: {error:#}");
            failed.push(*name);
        }
    }
    println!();
    say();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("long tests: every part passed");
    Ok(())
}

/// The parts left out here, and why.
fn skipped() -> Vec<String> {
    let has = |program: &str, arguments: &[&str]| cargo::output(program, arguments).is_ok();
    let mut lines: Vec<String> = [browser::missing(), fuzz::missing()].into_iter().flatten().collect();
    for (name, there, reason) in [
        ("mutants", cargo::has("mutants"), "cargo-mutants is not installed"),
        ("torch", has("python3", &["-c", "import torch"]), "this Python has no torch"),
        ("Slurm", has("sbatch", &["--version"]), "there is no sbatch"),
    ] {
        let reason = if there { "it is installed, but no long test uses it" } else { reason };
        lines.push(format!("{name}: skipped, {reason}"));
    }
    lines
}

fn drills() -> Result<()> {
    let line = "test -p radhard --test command drills:: -- --nocapture --test-threads 1";
    cargo::run_with(&[("RADHARD_KILLS", KILLS)], &words(line))
}

fn corruptions() -> Result<()> {
    let line = "test -p radhard-records -p radhard-data --test law_damage --no-fail-fast -- --nocapture";
    cargo::run_with(&[("RADHARD_CORRUPTIONS", CORRUPTIONS)], &words(line))
}

fn large() -> Result<()> {
    let line = "test -p radhard --test command sparse -- --nocapture --test-threads 1";
    cargo::run_with(&[("RADHARD_SPARSE_GB", SPARSE_GB)], &words(line))
}

fn searches() -> Result<()> {
    match fuzz::missing() {
        None => fuzz::run(FUZZ_SECONDS),
        Some(_) => Ok(()),
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_reason() {
        for line in skipped() {
            assert!(line.contains("skipped, ") || line.contains("not"), "{line}");
        }
    }
}
