//! Laws of a campaign: its records are a function of the plan, the models and the data.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::workbench::{Workbench, csv};

const PLAN: &str = "seed = 11\nchips = 12\ntargets = [\"embedding\", \"dense\", \"all\"]\n\
    error_models = [\"flips\", \"count:3\", \"stuck-at:random\"]\nrates = [1e-6, 1e-4, 1e-2]\n";

#[test]
fn threads_and_the_order_of_cells_do_not_show() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(PLAN);
    bench.run("run plan.toml --out one --threads 1 --json").json();
    bench.run("run plan.toml --out two --threads 2 --json").json();
    let digest = bench.digests("one");
    assert!(digest[0].len() == 64 && digest[0] != digest[1]);
    assert_eq!(bench.digests("two"), digest);

    let turned = "seed = 11\nchips = 12\ntargets = [\"all\", \"dense\", \"embedding\"]\n\
        error_models = [\"stuck-at:random\", \"flips\", \"count:3\"]\nrates = [1e-2, 1e-6, 1e-4]\n";
    let text = format!(
        "{turned}[[subject]]\nmodel = \"wide-deep.model\"\ndata = \"small.data\"\n\
         [[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n"
    );
    bench.write("turned.toml", &text);
    bench.run("run turned.toml --out turned --json").json();
    assert_eq!(bench.digests("turned"), digest);
}

#[test]
fn full_and_auto_evaluation_give_the_same_digest() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(PLAN);
    let auto = bench.run("run plan.toml --out auto --json").json();
    let full = bench.run("run plan.toml --out full --evaluation full --json").json();
    assert!(auto["known"].as_u64().unwrap() > 0);
    assert_eq!(full["known"], 0);
    assert_eq!(full["evaluated"], full["trials"]);
    assert_eq!(bench.digests("auto"), bench.digests("full"));
}

#[test]
fn named_metrics_are_recorded_of_every_trial_and_go_into_the_digest() {
    let bench = Workbench::new();
    bench.models();
    let plan = "seed = 3\nchips = 4\ntargets = [\"dense\", \"embedding\"]\nrates = [1e-6, 1e-3]\nprotections = [\"none\", \"clip:paper\"]\n";
    bench.plan(plan);
    bench.run("run plan.toml --out plain --json").json();
    bench.plan(&format!("metrics = [\"auc_logit\"]\n{plan}"));
    bench.run("run plan.toml --out auto --threads 1 --json").json();
    bench.run("run plan.toml --out full --evaluation full --threads 2 --json").json();
    assert_eq!(bench.digests("auto"), bench.digests("full"));
    assert_ne!(bench.digest("auto"), bench.digest("plain"));
    // The list is part of what a directory is.
    bench.run("run plan.toml --out plain").fails(4, &["metrics: recorded \"\", requested \"auc_logit\""]);
    let connection = rusqlite::Connection::open(bench.path("auto/records.sqlite")).unwrap();
    let golden: Vec<(f64, f64)> = connection
        .prepare("SELECT auc, value FROM goldens JOIN golden_metrics USING (model, data, protection)")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(golden.len(), 4);
    // Without saturation the sigmoid keeps the order of logits but for what rounding ties.
    assert!(golden.iter().all(|(auc, logit)| (auc - logit).abs() < 1e-3), "{golden:?}");
    let differing: i64 = connection.query_row("SELECT count(*) FROM metrics", [], |row| row.get(0)).unwrap();
    assert!(differing > 4, "{differing}");
}

#[test]
fn killed_campaigns_continue_to_the_same_records() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(PLAN);
    bench.run("run plan.toml --out whole --json").json();
    let digest = bench.digests("whole");
    // Instants from before the first record to after the last; each continues what the one before left.
    let mut instants = Vec::new();
    let mut state = 7_u64;
    for _ in 0..12 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        instants.push(Duration::from_millis(5 + (state >> 33) % 150));
    }
    for (i, instant) in instants.into_iter().enumerate() {
        let mut child: std::process::Child = quiet(bench.command(&["run", "plan.toml", "--out", "killed"]));
        std::thread::park_timeout(instant);
        // A child that is done already can't be killed; that instant tests nothing, the others do.
        let _ = child.kill();
        let status = child.wait().unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "instant {i}: {status}");
    }
    bench.run("run plan.toml --out killed --json").json();
    assert_eq!(bench.digests("killed"), digest);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_the_same_command_continues() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(&PLAN.replace("chips = 12", "chips = 400"));
    let mut child = quiet(bench.command(&["run", "plan.toml", "--out", "stopped"]));
    let records = bench.path("stopped/records.sqlite");
    while !records.exists() {
        std::thread::yield_now();
    }
    std::thread::park_timeout(Duration::from_millis(300));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let files: Vec<_> =
        std::fs::read_dir(bench.path("stopped")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["records.sqlite"]);
    let continued = bench.run("run plan.toml --out stopped --json").json();
    assert!(continued["trials"].as_u64() > continued["evaluated"].as_u64());
    assert_eq!(continued["trials"], 2 * 3 * 7 * 400);
}

#[test]
fn killed_training_continues_to_the_same_model() {
    let bench = Workbench::new();
    bench.data();
    let words = "train --model wide-deep --data small.data --epochs 60 --patience 60 --batch-size 64 --out";
    bench.run(&format!("{words} whole.model --json")).json();
    let words: Vec<&str> = words.split(' ').chain(["killed.model"]).collect();
    for milliseconds in [30, 120, 60, 200, 90] {
        let mut child = quiet(bench.command(&words));
        std::thread::park_timeout(Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
    }
    let other = format!("{} --seed 2", words.join(" "));
    if bench.path("killed.model.checkpoint").exists() {
        bench.run(&other).fails(4, &["killed.model.checkpoint", "seed", "remove it"]);
    }
    bench.run(&words.join(" "));
    let [whole, killed] =
        ["whole.model", "killed.model"].map(|name| std::fs::read(bench.path(name)).unwrap());
    assert!(whole == killed, "the models differ");
    assert_eq!(bench.files(), ["killed.model", "ratings.csv", "small.data", "whole.model"]);
}

fn quiet(mut command: Command) -> std::process::Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts")
}

#[test]
fn a_plan_that_grew_keeps_the_records_it_has() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 5\nchips = 6\ntargets = [\"dense\"]\nrates = [1e-3]\n");
    bench.run("run plan.toml --out grown --json").json();
    let grown = "seed = 5\nchips = 9\ntargets = [\"dense\", \"embedding\"]\nrates = [1e-4, 1e-3]\n";
    bench.plan(grown);
    let more = bench.run("run plan.toml --out grown --json").json();
    assert_eq!(more["trials"], 2 * 4 * 9);
    assert_eq!(more["evaluated"].as_u64().unwrap() + more["known"].as_u64().unwrap(), 2 * 4 * 9 - 2 * 6);
    bench.run("run plan.toml --out fresh --json").json();
    assert_eq!(bench.digests("grown"), bench.digests("fresh"));
}

#[test]
fn inject_then_evaluate_gives_the_recorded_scores() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(
        "seed = 3\nchips = 4\ntargets = [\"dense\", \"embedding@exponent\"]\n\
        error_models = [\"flips\", \"count:5\", \"burst:3:0.5\", \"value:uniform\"]\nrates = [1e-4, 1e-2]\n",
    );
    bench.run("run plan.toml --out run --json").json();
    bench.run("export run --json").json();
    let trials = csv(&bench.path("run/trials.csv"));
    assert_eq!(trials.len(), 2 * 2 * 7 * 4);
    let mut changed = 0;
    for trial in &trials {
        let rate = if trial["ber"].is_empty() { String::new() } else { format!("--ber {}", trial["ber"]) };
        let words = format!(
            "inject {}.model --target {} --error-model {} {rate} --seed 3 --chip {} --out faulty.model --force --json",
            trial["model"], trial["target"], trial["error_model"], trial["chip"]
        );
        let injected = bench.run(&words).json();
        assert_eq!(injected["flips"].to_string(), trial["flips"], "{words}");
        let scored = bench.run("evaluate faulty.model --data small.data --json").json();
        for key in ["auc", "auc_finite", "auc_worst", "log_loss"] {
            let recorded: Option<f64> = trial[key].parse().ok();
            assert_eq!(scored[key].as_f64().map(f64::to_bits), recorded.map(f64::to_bits), "{key}: {words}");
        }
        assert_eq!(scored["non_finite"].to_string(), trial["non_finite"], "{words}");
        changed += usize::from(trial["outcome"] != "masked");
    }
    assert!(changed > trials.len() / 4, "{changed} of {} trials changed a score", trials.len());
}
