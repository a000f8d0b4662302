//! Everything that must pass.

use anyhow::Result;

use crate::browser;
use crate::cargo;

/// Runs the tests and, unless arguments choose some of them, the doc tests; says first and last what this machine cannot test.
pub(crate) fn run(runner_arguments: &[String]) -> Result<()> {
    let missing = browser::missing();
    if let Some(said) = &missing {
        println!("{said}");
    }
    for step in steps(cargo::has("nextest"), runner_arguments) {
        cargo::run(&step)?;
    }
    if let Some(said) = &missing {
        println!("{said}");
    }
    Ok(())
}

/// The calls of cargo, in order. nextest runs no doc tests, so it gets a second call for them.
fn steps(nextest: bool, runner_arguments: &[String]) -> Vec<Vec<String>> {
    let everything = runner_arguments.is_empty();
    let mut first = words(if nextest { "nextest run --no-fail-fast" } else { "test --no-fail-fast" });
    if everything {
        first.push("--workspace".into());
    }
    first.extend_from_slice(runner_arguments);
    let mut steps = vec![first];
    if nextest && everything {
        steps.push(words("test --workspace --doc --no-fail-fast"));
    }
    steps
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(nextest: bool, arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        steps(nextest, &arguments).iter().map(|step| step.join(" ")).collect()
    }

    #[test]
    fn doc_tests_follow_nextest() {
        let expected = ["nextest run --no-fail-fast --workspace", "test --workspace --doc --no-fail-fast"];
        assert_eq!(lines(true, &[]), expected);
    }

    #[test]
    fn cargo_test_alone_runs_the_doc_tests_too() {
        assert_eq!(lines(false, &[]), ["test --no-fail-fast --workspace"]);
    }

    #[test]
    fn arguments_replace_the_whole_workspace() {
        assert_eq!(lines(true, &["-p", "radhard-fault"]), ["nextest run --no-fail-fast -p radhard-fault"]);
    }
}
