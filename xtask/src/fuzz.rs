//! Searches of the fuzz targets: built once, then each for a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// The workspace that is built with coverage counters.
const WORKSPACE: &str = "fuzz/search";
/// The platform whose stable compiler places the counters.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// The target with a panic planted on purpose.
const PLANTED: &str = "planted";
/// Bytes that a process may hold, and seconds that one input may take.
const LIMITS: [&str; 3] = ["-rss_limit_mb=1024", "-timeout=20", "-max_len=8192"];

/// Why this machine cannot search, if it cannot.
pub(crate) fn missing() -> Option<String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Some(format!("fuzz: skipped, coverage counters are set up for {PLATFORM} only"));
    }
    let mut compiler = Command::new("c++");
    compiler.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = compiler.status().is_ok_and(|status| status.success());
    (!found).then(|| "fuzz: skipped, libFuzzer needs a C++ compiler, and there is no c++".to_owned())
}

/// Searches every target for some seconds each, prints a line for each, and fails where one breaks a promise or the
/// planted panic is not found.
pub(crate) fn run(seconds: u64) -> Result<()> {
    let root = cargo::workspace_root()?;
    cargo::run_in(WORKSPACE, &["build", "--release"])?;
    let workspace = root.join(WORKSPACE).join("target");
    let program = workspace.join(PLATFORM).join("release/radhard-fuzz-search");
    let mut broken = Vec::new();
    for name in names(&root)? {
        let found = search(&program, &root, &workspace.join("found"), &name, seconds)?;
        println!("{}", found.line(&name, seconds));
        if found.broke != (name == PLANTED) {
            broken.push(name);
        }
    }
    if !broken.is_empty() {
        bail!("targets that did not end as they should: {}", broken.join(", "));
    }
    Ok(())
}

/// The names in the table of targets.
fn names(root: &Path) -> Result<Vec<String>> {
    let path = root.join("fuzz/src/lib.rs");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(names_in(&text))
}

fn names_in(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("Target { name: \""));
    lines.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// How a search ended.
struct Found {
    broke: bool,
    executions: Option<u64>,
    edges: Option<u64>,
    log: PathBuf,
}

impl Found {
    fn line(&self, name: &str, seconds: u64) -> String {
        let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let (executions, edges) = (number(self.executions), number(self.edges));
        let ended = match (self.broke, name == PLANTED) {
            (false, false) => "no promise broken",
            (true, true) => "the planted panic was found",
            (false, true) => "THE PLANTED PANIC WAS NOT FOUND",
            (true, false) => "A PROMISE WAS BROKEN",
        };
        let log =
            if self.broke == (name == PLANTED) { String::new() } else { format!(": {}", self.log.display()) };
        format!(
            "fuzz {name:<12} {seconds} s at most, {executions:>9} executions, {edges:>6} edges: {ended}{log}"
        )
    }
}

fn search(program: &Path, root: &Path, found: &Path, name: &str, seconds: u64) -> Result<Found> {
    let inputs = found.join(name);
    let kept = root.join("fuzz/corpus").join(name);
    let log = found.join(format!("{name}.log"));
    let _ = fs::remove_dir_all(&inputs);
    for directory in [&inputs, &kept] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let scratch = Path::new("/dev/shm");
    let mut command = Command::new(program);
    command.args(LIMITS).arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-dict={}", root.join("fuzz/words.dict").display()));
    command.arg(format!("-artifact_prefix={}", found.join(format!("{name}-")).display()));
    command.arg("-print_final_stats=1").arg(&inputs).arg(&kept);
    command.env("RADHARD_FUZZ_TARGET", name).env("RADHARD_FUZZ_SEEDS", &inputs).env("RAYON_NUM_THREADS", "1");
    if scratch.is_dir() {
        command.env("TMPDIR", scratch);
    }
    let file = fs::File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
    let status = command.stdout(Stdio::null()).stderr(file).status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let broke = !status.success();
    if name == PLANTED && broke && !text.contains("the planted panic is found") {
        bail!("target {name} ended by something else than its planted panic: {}", log.display());
    }
    Ok(Found { broke, executions: executions(&text), edges: edges(&text), log })
}

fn executions(log: &str) -> Option<u64> {
    let line = log.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

fn edges(log: &str) -> Option<u64> {
    let line = log.lines().rev().find_map(|line| line.split_once(" cov: "))?.1;
    line.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_table() {
        let text = "pub struct Target {\n    pub name: u8,\n}\n    Target { name: \"csv\", run: a },\n    Target { name: \"npy\", run: b },\n";
        assert_eq!(names_in(text), ["csv", "npy"]);
    }

    #[test]
    fn a_log_tells_executions_and_edges() {
        let log = "#2\tINITED cov: 9 ft: 10\n#500\tDONE   cov: 89 ft: 319 corp: 1\nstat::number_of_executed_units: 500\n";
        assert_eq!((executions(log), edges(log)), (Some(500), Some(89)));
        assert_eq!((executions(""), edges("")), (None, None));
    }
}
