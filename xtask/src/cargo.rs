//! Programs that a task starts, always at the root of the workspace.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the workspace: the parent of the directory that `cargo run` names for this package.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("start this program as `cargo xtask`")?;
    let root = PathBuf::from(package).parent().map(PathBuf::from);
    root.context("the directory of xtask has no parent")
}

fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// True where `cargo SUBCOMMAND` is installed.
pub(crate) fn has(subcommand: &str) -> bool {
    let mut command = Command::new(program());
    command.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs `cargo ARGUMENTS`, its output unchanged, and fails where it fails.
pub(crate) fn run<S: AsRef<str>>(arguments: &[S]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    finish(Command::new(program()).args(&arguments), &format!("cargo {}", arguments.join(" ")))
}

/// Runs `cargo ARGUMENTS` with these variables set besides.
pub(crate) fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program());
    command.args(arguments).envs(variables.iter().copied());
    let mut words: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    words.push(format!("cargo {}", arguments.join(" ")));
    finish(&mut command, &words.join(" "))
}

/// Runs `cargo ARGUMENTS` in a directory of the repository, whose own configuration of cargo holds there.
pub(crate) fn run_in(directory: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program());
    // A workspace of its own has its own directory of results.
    command.args(arguments).env_remove("CARGO_TARGET_DIR");
    let line = format!("cargo {} in {directory}", arguments.join(" "));
    let status = command.current_dir(workspace_root()?.join(directory)).status();
    done(status.with_context(|| format!("cannot start `{line}`"))?, &line)
}

/// Runs a script of the workspace.
pub(crate) fn run_script(path: &str) -> Result<()> {
    finish(&mut Command::new(workspace_root()?.join(path)), path)
}

/// What a program prints on standard output.
pub(crate) fn output(name: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let line = format!("{name} {}", arguments.join(" "));
    let mut command = Command::new(name);
    command.args(arguments).current_dir(workspace_root()?);
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

fn finish(command: &mut Command, line: &str) -> Result<()> {
    let status = command.current_dir(workspace_root()?).status();
    done(status.with_context(|| format!("cannot start `{line}`"))?, line)
}

fn done(status: ExitStatus, line: &str) -> Result<()> {
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}
