//! Losses while the command works: standard error, a reader, a terminal, a file; and signals.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};

use crate::workbench::Workbench;

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.data();
    bench.run("init --model fm --data small.data --out fm.model --json").json();
    bench.write(
        "plan.toml",
        "chips = 20\nrates = [1e-3]\n[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n",
    );
    bench
}

/// The exit code of a script that has the command as `$R`.
fn script(bench: &Workbench, text: &str) -> Option<i32> {
    let mut command = Command::new("bash");
    command.args(["-c", text]).env("R", env!("CARGO_BIN_EXE_radhard")).current_dir(bench.path("."));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
}

fn send(signal: &str, child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let bench = bench();
    for closed in ["2>&-", "2> >(exec <&-)", "2>/dev/full"] {
        assert_eq!(script(&bench, &format!("$R run plan.toml --out a {closed}")), Some(0), "{closed}");
        assert_eq!(script(&bench, &format!("$R report a {closed}")), Some(0), "{closed}");
        assert_eq!(script(&bench, &format!("$R inspect nowhere {closed}")), Some(5), "{closed}");
        assert_eq!(
            script(&bench, &format!("$R inject fm.model --ber 2 --out x {closed}")),
            Some(1),
            "{closed}"
        );
        assert_eq!(script(&bench, &format!("$R frobnicate {closed}")), Some(1), "{closed}");
        fs::remove_dir_all(bench.path("a")).unwrap();
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure_and_a_full_device_is_one() {
    let bench = bench();
    for closed in [">&-", "> >(exec <&-)"] {
        assert_eq!(script(&bench, &format!("$R inspect fm.model {closed}")), Some(0), "{closed}");
        assert_eq!(script(&bench, &format!("$R --help {closed}")), Some(0), "{closed}");
    }
    assert_eq!(script(&bench, "$R inspect fm.model > /dev/full"), Some(5));
}

#[test]
fn signals_end_every_command_with_the_code_of_an_interruption() {
    let bench = bench();
    assert!(Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap().success());
    for signal in ["-INT", "-TERM", "-HUP"] {
        // A preparation that waits for its input in the middle of its work.
        let words = ["data", "prepare", "movielens-latest-small", "fifo", "--out", "x.data"];
        let mut waiting = bench.command(&words).stderr(Stdio::null()).spawn().unwrap();
        // Opened for writing once the other end reads.
        let pipe = fs::OpenOptions::new().write(true).open(bench.path("fifo")).unwrap();
        send(signal, &waiting);
        assert_eq!(waiting.wait().unwrap().code(), Some(130), "{signal}");
        drop(pipe);
        // A campaign, which first records what is done.
        let plan =
            "chips = 1000000\nrates = [1e-2]\n[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n";
        bench.write("long.toml", plan);
        let mut run =
            bench.command(&["run", "long.toml", "--out", "run"]).stderr(Stdio::null()).spawn().unwrap();
        while !bench.path("run/records.sqlite").exists() {
            std::thread::yield_now();
        }
        send(signal, &run);
        assert_eq!(run.wait().unwrap().code(), Some(130), "{signal}");
        bench.run("report run --json").json();
        fs::remove_dir_all(bench.path("run")).unwrap();
    }
    assert_eq!(bench.files(), ["fifo", "fm.model", "long.toml", "plan.toml", "ratings.csv", "small.data"]);
}

#[test]
fn a_command_that_is_ended_leaves_no_temporary_file() {
    let bench = bench();
    let words = ["data", "synth", "movielens-20m", "--rows", "20000000", "--out", "x.data"];
    let mut drawing = bench.command(&words).stderr(Stdio::null()).spawn().unwrap();
    while !bench.files().iter().any(|name| name.starts_with(".x.data")) {
        std::thread::yield_now();
    }
    send("-TERM", &drawing);
    assert_eq!(drawing.wait().unwrap().code(), Some(130));
    assert_eq!(bench.files(), ["fm.model", "plan.toml", "ratings.csv", "small.data"]);
}

#[test]
fn a_hangup_that_is_ignored_from_the_start_stays_ignored() {
    let bench = bench();
    bench.write(
        "plan.toml",
        "chips = 3000\nrates = [1e-2]\n[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n",
    );
    let radhard = env!("CARGO_BIN_EXE_radhard");
    let text = format!("trap '' HUP; exec {radhard} run plan.toml --out run --json");
    let mut run = Command::new("bash")
        .args(["-c", &text])
        .current_dir(bench.path("."))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !bench.path("run/records.sqlite").exists() {
        std::thread::yield_now();
    }
    send("-HUP", &run);
    send("-HUP", &run);
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let report = bench.run("report run --json").json();
    assert_eq!(report["cells"][0]["n"], 3000);
}

#[test]
fn a_mapped_file_that_is_cut_is_an_error_with_its_name() {
    let bench = bench();
    // Rows of few fields are read from the map in every epoch, those of many by calls.
    let mut wide = String::from("y");
    for column in 0..20 {
        write!(wide, ",c{column}").unwrap();
    }
    wide.push('\n');
    for row in 0..2000_u32 {
        wide.push_str(&(row % 2).to_string());
        for column in 0..20 {
            write!(wide, ",{}", (row * (column + 3)) % 11).unwrap();
        }
        wide.push('\n');
    }
    bench.write("wide.csv", &wide);
    let columns: Vec<String> = (0..20).map(|column| format!("c{column}")).collect();
    let words =
        format!("data prepare csv wide.csv --label y --categorical {} --out wide.data", columns.join(","));
    assert_eq!(bench.run(&words).code, Some(0));
    for data in ["small.data", "wide.data"] {
        let words = [
            "train",
            "--model",
            "fm",
            "--data",
            data,
            "--out",
            "x.model",
            "--epochs",
            "100000",
            "--patience",
            "100000",
        ];
        let training = bench.command(&words).stderr(Stdio::piped()).spawn().unwrap();
        while !bench.path("x.model.checkpoint").exists() {
            std::thread::yield_now();
        }
        fs::OpenOptions::new().write(true).open(bench.path(data)).unwrap().set_len(0).unwrap();
        let output = training.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{err}");
        assert!(err.contains(data) && err.contains("cut"), "{err}");
        fs::remove_file(bench.path("x.model.checkpoint")).unwrap();
    }
}
