//! Names and values from files: none steers a terminal or a spreadsheet, and every name can be targeted.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::process::Output;

use safetensors::tensor::{Dtype, TensorView};

use crate::workbench::{Workbench, csv};

/// A file with tensors of these names.
fn tensors(bench: &Workbench, file: &str, names: &[&str]) {
    let words: Vec<u8> = (0..64_u16).flat_map(|i| (f32::from(i) / 64.0).to_le_bytes()).collect();
    let views = names.iter().map(|name| (*name, TensorView::new(Dtype::F32, vec![64], &words).unwrap()));
    safetensors::serialize_to_file(views, None, &bench.path(file)).unwrap();
}

/// Asserts that nothing of what a command prints would steer a terminal.
fn shows_no_control(bench: &Workbench, words: &[&str]) {
    let Output { stdout, stderr, .. } = bench.command(words).output().unwrap();
    for text in [stdout, stderr] {
        let text = String::from_utf8(text).unwrap();
        let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}');
        assert!(!text.contains(steers), "{words:?}: {text:?}");
    }
}

#[test]
fn control_characters_of_files_never_reach_a_terminal() {
    let bench = Workbench::new();
    let evil = "w\u{1b}[2J\u{7}\r\u{9b}31m\u{202e}";
    tensors(&bench, "evil.safetensors", &[evil, "plain"]);
    for words in [
        &["inspect", "evil.safetensors"][..],
        &["inject", "evil.safetensors", "--ber", "1e-2", "--target", "none.*", "--out", "x"],
        &["inject", "evil.safetensors", "--ber", "1e-2", "--target", "w*", "--map", "a.map"],
        &["import", "evil.safetensors", "--model", "fm", "--field-dims", "3,4", "--out", "x"],
        &["evaluate", "evil.safetensors", "--data", "evil.safetensors"],
    ] {
        shows_no_control(&bench, words);
    }
    let inspected = bench.run("inspect evil.safetensors");
    assert!(inspected.out.contains("w\\u{1b}[2J"), "{}", inspected.out);
    // In JSON the name is whole.
    let json = bench.run("inspect evil.safetensors --json").json();
    assert!(json["parameters"].as_array().unwrap().iter().any(|row| row["name"] == evil));

    bench
        .write("evil.csv", &format!("y,{evil},b\n1,\u{1b}[31m,2\n0,x,\u{1b}]0;title\u{7}\nx\u{1b}[2J,x,3\n"));
    for words in [
        &["data", "prepare", "csv", "evil.csv", "--label", "no", "--categorical", "b", "--out", "e.data"][..],
        &["data", "prepare", "csv", "evil.csv", "--label", "y", "--categorical", "b", "--out", "e.data"],
        &[
            "data",
            "prepare",
            "csv",
            "evil.csv",
            "--label",
            "y",
            "--categorical",
            evil,
            "--max-bad-lines",
            "1",
            "--split",
            "none",
            "--out",
            "e.data",
        ],
        &["data", "info", "e.data"],
    ] {
        shows_no_control(&bench, words);
    }
    assert!(bench.run("data info e.data").out.contains("w\\u{1b}[2J"));
    bench.write("plan.toml", "rates = [1e-3]\n\"\u{e9}x\\u001b[2J\" = 1\n");
    shows_no_control(&bench, &["run", "plan.toml", "--out", "run"]);
}

#[test]
fn a_name_in_quotes_is_targeted_as_it_is() {
    let bench = Workbench::new();
    let names = ["a,b", "c@d", "e*", "e1", "all", "say \"no\""];
    tensors(&bench, "odd.safetensors", &names);
    for (target, name) in [
        ("\"a,b\"", "a,b"),
        ("\"c@d\"@30", "c@d"),
        ("\"e*\"", "e*"),
        ("\"all\"@exponent", "all"),
        ("\"say \"\"no\"\"\"", "say \"no\""),
    ] {
        let words = [
            "inject",
            "odd.safetensors",
            "--ber",
            "1",
            "--target",
            target,
            "--map",
            "a.map",
            "--force",
            "--json",
        ];
        assert_eq!(bench.command(&words).output().unwrap().status.code(), Some(0), "{target}");
        let map = fs::read(bench.path("a.map")).unwrap();
        let map = safetensors::SafeTensors::deserialize(&map).unwrap();
        let hit: Vec<String> =
            map.names().iter().filter_map(|n| n.strip_suffix(".mask").map(str::to_owned)).collect();
        assert_eq!(hit, [name], "{target}");
    }
    let open =
        bench.command(&["inject", "odd.safetensors", "--ber", "1", "--target", "\"a,b", "--map", "b.map"]);
    let Output { status, stderr, .. } = { open }.output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8(stderr).unwrap().contains("closing quote"));
}

#[test]
fn texts_that_a_spreadsheet_would_run_are_shielded_in_csv_files() {
    let bench = Workbench::new();
    bench.data();
    bench.run("init --model fm --data small.data --out fm.model --json").json();
    let subject = "[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\nname = \"=cmd()\"\n";
    bench.write("plan.toml", &format!("chips = 3\nrates = [1e-3]\n{subject}"));
    bench.run("run plan.toml --out run --json").json();
    let digest = bench.digest("run");
    bench.run("report run --csv --json").json();
    for file in ["run/cells.csv", "run/trials.csv"] {
        for row in csv(&bench.path(file)) {
            assert_eq!(row["model"], "'=cmd()");
        }
    }
    // The digest is taken over the name as it is.
    assert_eq!(bench.digest("run"), digest);
    assert_eq!(bench.run("report run --json").json()["cells"][0]["model"], "=cmd()");
}

#[test]
fn the_greatest_seed_names_the_same_chip_in_a_plan_and_on_the_command_line() {
    let bench = Workbench::new();
    bench.data();
    let seed = u64::MAX;
    bench.run(&format!("init --model fm --data small.data --seed {seed} --out fm.model --json")).json();
    let subject = "[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n";
    bench.write("plan.toml", &format!("seed = \"{seed}\"\nchips = 2\nrates = [1e-2]\n{subject}"));
    bench.run("run plan.toml --out run --json").json();
    bench.run("run plan.toml --out run --json").json();
    bench.run("export run --json").json();
    let report = bench.run("report run --json").json();
    assert_eq!((report["seed"].as_u64(), report["cells"][0]["seed"].as_u64()), (Some(seed), Some(seed)));
    for trial in csv(&bench.path("run/trials.csv")) {
        assert_eq!(trial["seed"], seed.to_string());
        let words = format!(
            "inject fm.model --ber 1e-2 --seed {seed} --chip {} --map c.map --force --json",
            trial["chip"]
        );
        assert_eq!(bench.run(&words).json()["flips"].to_string(), trial["flips"]);
    }
    let words = format!("data prepare movielens-latest-small ratings.csv --seed {seed} --out s.data --json");
    bench.run(&words).json();
    let words = format!("train --model fm --data small.data --epochs 1 --seed {seed} --out t.model --json");
    bench.run(&words).json();
    bench.run(&format!("data synth movielens-100k --rows 50 --seed {seed} --out y.data --json")).json();
}
