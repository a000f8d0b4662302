//! Decisions from a campaign: the report's first lines, bounds in scripts, two campaigns on the same chips.

use crate::workbench::Workbench;

const PLAN: &str = "seed = 5\nchips = 40\ntargets = [\"all\", \"dense\"]\nrates = [1e-7, 1e-2]\nprotections = [\"none\", \"range-guard\"]\n";

#[test]
fn bounds_end_a_run_with_the_code_of_what_is_shown() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(PLAN);
    let run = |bound: &str, more: &[&str]| {
        let mut words = vec!["run", "plan.toml", "--out", "run", "--fail-if", bound];
        words.extend(more);
        let output = bench.command(&words).output().expect("the command starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // Wrong ones end before anything runs.
    for (bound, part) in [
        ("loss@3e-5 > 0.1", "which has 1e-7, 1e-2"),
        ("tables/loss@1e-2 > 0.1", "\"tables\" is neither a target nor a protection"),
        ("auc@1e-2 > 0.1", "bad_share, severe_share, loss, loss_q95"),
    ] {
        let (code, said) = run(bound, &[]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(part), "{said}");
        assert!(!bench.path("run").exists());
    }
    // Nearly every chip is lost at 1e-2 without protection, and hardly any has a bit error at 1e-7.
    assert_eq!(run("all/none/bad_share@1e-2 > 0.1", &[]).0, Some(2));
    assert_eq!(run("loss@1e-7 > 0.2", &[]).0, Some(0));
    let (code, said) = run("loss_q95@1e-2 > 0.9", &[]);
    assert!(code == Some(0) && said.contains("warning: bound undecided"), "{said}");
    assert_eq!(run("loss_q95@1e-2 > 0.9", &["--fail-undecided"]).0, Some(2));
}

#[test]
fn a_report_leaves_one_page_and_says_what_it_decides() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(PLAN);
    bench.run("run plan.toml --out run --json").json();
    let ran = bench.run("report run");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for question in
        ["What breaks first, and at which rate?", "What should be protected at", "Can I trust this?"]
    {
        assert!(ran.out.contains(question), "{}", ran.out);
    }
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert!(bench.path("run/report.html").exists() && !bench.path("run/cells.csv").exists());
    let more = bench.run("report run --cells --figures --csv --at 1e-2");
    assert!(more.out.len() > ran.out.len() && bench.path("run/cells.csv").exists(), "{}", more.out);
    assert!(bench.path("run/figures").is_dir());
    let json = bench.run("report run --at 1e-2 --json").json();
    assert_eq!((&json["complete"], &json["advice"]["at"]), (&true.into(), &0.01.into()));
    bench.run("report run --at 2e-2").fails(1, &["2e-2", "1e-7, 1e-2"]);
}

#[test]
fn two_campaigns_are_compared_on_the_same_chips_only() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(PLAN);
    bench.run("run plan.toml --out first --json").json();
    bench.run("run plan.toml --out second --json").json();
    let same = bench.run("report first second --json").json();
    assert_eq!(same["cells"].as_array().map(Vec::len), Some(2 * 2 * 2 * 2));
    assert!(same["cells"].as_array().is_some_and(|cells| cells.iter().all(|cell| cell["difference"] == 0.0)));
    assert!(bench.path("first/comparison.html").exists());
    bench.plan(&PLAN.replace("seed = 5", "seed = 6"));
    bench.run("run plan.toml --out other --json").json();
    bench.run("report first other").fails(4, &["5", "6", "same seed"]);
}
