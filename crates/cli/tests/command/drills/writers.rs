//! Two processes that would write one thing: one does, the other is refused, and what is written is what one alone writes.

use std::process::{Command, Stdio};

use super::kills;
use crate::workbench::Workbench;

/// Starts the command several times at once; exit codes and what each said.
fn at_once(commands: Vec<Command>) -> Vec<(Option<i32>, String)> {
    let started: Vec<_> = commands
        .into_iter()
        .map(|mut command| command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts"))
        .collect();
    let ended = started.into_iter().map(|child| child.wait_with_output().expect("it can be waited for"));
    ended.map(|output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())).collect()
}

#[test]
fn campaigns_started_at_once_leave_the_records_of_one() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 4\nchips = 40\ntargets = [\"embedding\", \"all\"]\nrates = [1e-5, 1e-3]\n");
    assert_eq!(bench.run("run plan.toml --out whole --json").code, Some(0));
    let digest = bench.digest("whole");
    let mut refused = 0;
    for round in 0..kills() {
        let out = format!("twice-{round}");
        let commands = (0..3).map(|_| bench.command(&["run", "plan.toml", "--out", &out])).collect();
        let ended = at_once(commands);
        assert!(ended.iter().any(|(code, _)| *code == Some(0)), "{ended:?}");
        for (code, said) in ended.iter().filter(|(code, _)| *code != Some(0)) {
            assert!(*code == Some(5) && said.contains("another"), "{code:?} {said}");
            refused += 1;
        }
        assert_eq!(bench.digest(&out), digest, "round {round}");
    }
    assert!(refused > 0, "no start met another");
    println!("drill two writers, run: {} rounds of three, {refused} refused, 0 digests differ", kills());
}
