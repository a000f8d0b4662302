//! Inputs that are of the wrong kind, or that would cost more memory than there is: refused in words, at once.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::workbench::{Ran, Workbench};

/// The command in a shell with this before it; its words are as in [`Workbench::run`].
fn after(bench: &Workbench, before: &str, words: &str) -> Ran {
    let script = format!("{before} exec {} {words}", env!("CARGO_BIN_EXE_radhard"));
    let Output { status, stdout, stderr } =
        Command::new("bash").args(["-c", &script]).current_dir(bench.path(".")).output().unwrap();
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// The command with so many KiB of address space.
fn within(bench: &Workbench, kibibytes: u64, words: &str) -> Ran {
    after(bench, &format!("ulimit -v {kibibytes};"), words)
}

#[test]
fn pipes_and_devices_are_no_plans_models_maps_data_or_parquet_files() {
    let bench = Workbench::new();
    bench.data();
    bench.run("init --model fm --data small.data --out fm.model --json").json();
    assert!(Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap().success());
    for place in ["fifo", "/dev/zero"] {
        for words in [
            "run IT --out run",
            "inspect IT",
            "inject IT --ber 1e-3 --out x",
            "apply fm.model --map IT",
            "undo fm.model --map IT",
            "evaluate IT --data small.data",
            "evaluate fm.model --data IT",
            "data info IT",
            "train --model fm --data IT --out x",
            "import IT --model fm --field-dims 3,4 --out x",
            "convert IT --tables f16 --out x",
            "data prepare parquet IT --label l --categorical a --out x",
            "data prepare movielens-latest-small ratings.csv --vocabulary IT --out x",
        ] {
            let ran = within(&bench, 1_500_000, &words.replace("IT", place));
            ran.fails(5, &[place, "not a regular file"]);
        }
    }
    std::fs::create_dir(bench.path("dir")).unwrap();
    std::fs::rename(bench.path("fifo"), bench.path("dir/records.sqlite")).unwrap();
    bench.write("plan.toml", "rates = [1e-3]\n[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n");
    for words in ["report dir", "export dir", "run plan.toml --out dir"] {
        after(&bench, "", words).fails(5, &["dir/records.sqlite", "not a regular file"]);
    }
    let ran = after(&bench, "cat ratings.csv |", "data prepare criteo /dev/stdin --out x");
    ran.fails(5, &["/dev/stdin", "read twice"]);
    assert!(!bench.path("run").exists() && !bench.path("x").exists());
}

#[test]
fn a_plan_of_more_than_16_mib_is_refused_before_it_is_read() {
    let bench = Workbench::new();
    let plan = std::fs::File::create(bench.path("plan.toml")).unwrap();
    plan.set_len((16 << 20) + 1).unwrap();
    bench.run("run plan.toml --out run").fails(5, &["plan.toml", "16777217", "at most 16777216"]);
}

#[test]
fn a_table_that_comes_through_a_pipe_is_the_table_in_the_file() {
    let bench = Workbench::new();
    bench.data();
    let of_file = bench.run("data info small.data --json").json();
    for (number, before) in ["cat ratings.csv |", "gzip -c ratings.csv |"].into_iter().enumerate() {
        let words = format!("data prepare movielens-latest-small /dev/stdin --out {number}.data --json");
        after(&bench, before, &words).json();
        let piped = bench.run(&format!("data info {number}.data --json")).json();
        assert_eq!(piped["fingerprint"], of_file["fingerprint"]);
    }
    after(&bench, "cat /dev/zero |", "data prepare csv /dev/stdin --label a --categorical b --out x")
        .fails(5, &["/dev/stdin", "a line of more than"]);
}

#[test]
fn sizes_beyond_the_memory_are_refused_with_the_bytes_needed_and_there() {
    let bench = Workbench::new();
    bench.write("index.csv", "user,item,click\n3000000000,4,1\n0,9,0\n");
    bench
        .run(
            "data prepare csv index.csv --label click --categorical user,item --ids index --split none \
             --field-dims 3000000001,10 --out d.data --json",
        )
        .json();
    // Its ids can be counted all the same: their number follows the rows.
    let info = within(&bench, 1_500_000, "data info d.data --json").json();
    assert_eq!((info["fields"][0]["occurring"].as_u64(), info["rows"].as_u64()), (Some(2), Some(2)));
    for (code, words) in [
        (1, "init --model fm --data d.data --out x"),
        (1, "init --model deepfm --field-dims 4294967295 --out x"),
        (1, "init --model dummy --hidden 65536 --depth 64 --out x"),
        (1, "init --model fm --field-dims 9,9,100000000 --embed-dim 65536 --out x"),
        (5, "train --model fm --data d.data --out x"),
        (5, "data synth movielens-1m --rows 4294967295 --out x"),
        (5, "data synth dummy --rows 4294967295 --dense-dim 4294967295 --out x"),
        (5, "data synth dummy --rows 4294967 --sparse-dim 4294967295 --sparsity 1 --out x"),
    ] {
        let ran = within(&bench, 2_000_000, words);
        ran.fails(code, &["memory are needed", "are there", "bytes ("]);
        assert!(!ran.err.contains("bug"), "{}", ran.err);
    }
    assert_eq!(bench.files(), ["d.data", "index.csv"]);
}

#[test]
fn a_billion_chips_cost_no_memory() {
    let bench = Workbench::new();
    bench.data();
    bench.run("init --model fm --data small.data --out fm.model --json").json();
    for (chips, dir) in [("1000000000", "a"), ("1000000000000", "b")] {
        let plan = format!(
            "chips = {chips}\nrates = [1e-2]\n[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n"
        );
        bench.write("plan.toml", &plan);
        // A first process makes records, so that the next one has some to pass over.
        for _ in 0..2 {
            let script = format!(
                "ulimit -v 2000000; exec {} run plan.toml --out {dir} --threads 2",
                env!("CARGO_BIN_EXE_radhard")
            );
            let before =
                std::fs::metadata(bench.path(dir).join("records.sqlite-wal")).map_or(0, |log| log.len());
            let mut run =
                Command::new("bash").args(["-c", &script]).current_dir(bench.path(".")).spawn().unwrap();
            let log =
                || std::fs::metadata(bench.path(dir).join("records.sqlite-wal")).map_or(0, |log| log.len());
            while log() <= before.max(100_000) && run.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            let pid = run.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            assert_eq!(run.wait().unwrap().code(), Some(130));
        }
        let json = bench.run(&format!("report {dir} --json")).json();
        assert!(json["cells"][0]["n"].as_u64().unwrap() > 10);
    }
    bench.write(
        "plan.toml",
        "chips = 9007199254740993\nrates = [1e-2]\n[[subject]]\nmodel = \"a\"\ndata = \"b\"\n",
    );
    bench.run("run plan.toml --out c").fails(1, &["9007199254740993", "9007199254740992"]);
}

#[test]
fn a_parquet_header_that_never_ends_is_refused_at_once() {
    let bench = Workbench::new();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/data/loop.parquet");
    std::fs::copy(file, bench.path("loop.parquet")).unwrap();
    let words = "data prepare parquet loop.parquet --label l --positive '>3' --categorical a,b --numeric n --out p.data";
    // Processor time, in seconds: without a bound it is half a minute.
    after(&bench, "ulimit -t 5; ulimit -v 1000000;", words).fails(5, &["loop.parquet", "page header"]);
    assert_eq!(bench.files(), ["loop.parquet"]);
}
