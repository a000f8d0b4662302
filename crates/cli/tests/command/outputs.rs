//! Outputs never destroy inputs, nor anything else that is there, on any command.

use std::fs;

use crate::workbench::{Ran, Workbench};

/// A command that writes one file where the user says: its words, and the files that it reads.
struct Writing {
    words: &'static str,
    flag: &'static str,
    reads: &'static [&'static str],
}

/// Every command with an output that the user names.
const COMMANDS: [Writing; 16] = [
    Writing {
        words: "data prepare movielens-latest-small ratings.csv",
        flag: "--out",
        reads: &["ratings.csv"],
    },
    Writing {
        words: "data prepare csv ratings.csv --label rating --positive >3 --categorical userId,movieId --vocabulary small.data",
        flag: "--out",
        reads: &["ratings.csv", "small.data"],
    },
    Writing {
        words: "data synth dummy --rows 4 --dense-dim 2 --sparse-dim 8 --sparsity 0.5",
        flag: "--out",
        reads: &[],
    },
    Writing { words: "data synth movielens-100k --rows 50", flag: "--out", reads: &[] },
    Writing { words: "train --model fm --data small.data --epochs 1", flag: "--out", reads: &["small.data"] },
    Writing { words: "init --model fm --data small.data", flag: "--out", reads: &["small.data"] },
    Writing {
        words: "import fm.model --model fm --data small.data",
        flag: "--out",
        reads: &["fm.model", "small.data"],
    },
    Writing { words: "convert fm.model --tables f16", flag: "--out", reads: &["fm.model"] },
    Writing {
        words: "evaluate fm.model --data small.data",
        flag: "--scores",
        reads: &["fm.model", "small.data"],
    },
    Writing { words: "inject fm.model --ber 1e-2", flag: "--out", reads: &["fm.model"] },
    Writing { words: "inject fm.model --ber 1e-2", flag: "--map", reads: &["fm.model"] },
    Writing {
        words: "inject fm.model --ber 1e-2 --map other.map --force",
        flag: "--out",
        reads: &["fm.model"],
    },
    Writing { words: "apply fm.model --map a.map", flag: "--out", reads: &["fm.model", "a.map"] },
    Writing { words: "undo faulty.model --map a.map", flag: "--out", reads: &["faulty.model", "a.map"] },
    Writing { words: "report run", flag: "--out", reads: &["run/records.sqlite"] },
    Writing { words: "data prepare criteo train.txt", flag: "--out", reads: &["train.txt"] },
];

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.data();
    bench.run("init --model fm --data small.data --out fm.model --json").json();
    bench.run("inject fm.model --ber 1e-2 --map a.map --out faulty.model --json").json();
    bench.write(
        "plan.toml",
        "chips = 2\nrates = [1e-3]\n[[subject]]\nmodel = \"fm.model\"\ndata = \"small.data\"\n",
    );
    bench.run("run plan.toml --out run --json").json();
    let numbers = vec!["1"; 13].join("\t");
    let words = vec!["0000000a"; 26].join("\t");
    bench.write("train.txt", &format!("1\t{numbers}\t{words}\n").repeat(20));
    bench
}

impl Writing {
    /// The command with an output, and with `--force` or without.
    fn run(&self, bench: &Workbench, out: &str, force: bool) -> Ran {
        let force = if force && !self.words.contains("--force") { " --force" } else { "" };
        let Self { words, flag, .. } = self;
        bench.run(&format!("{words}{force} {flag} {out}"))
    }
}

#[test]
fn a_file_that_is_there_is_kept_unless_force_is_given() {
    let bench = bench();
    for command in COMMANDS.iter().filter(|command| !command.words.contains("--force")) {
        bench.write("there", "mine");
        let files = bench.files();
        command.run(&bench, "there", false).fails(1, &["there is there already", command.flag, "--force"]);
        assert_eq!(fs::read_to_string(bench.path("there")).unwrap(), "mine", "{}", command.words);
        assert_eq!(bench.files(), files, "{}", command.words);
        let ran = command.run(&bench, "there", true);
        assert_eq!(ran.code, Some(0), "{}: {}", command.words, ran.err);
        assert_ne!(fs::read(bench.path("there")).unwrap(), b"mine", "{}", command.words);
        assert_eq!(bench.files(), files, "{}", command.words);
        fs::remove_file(bench.path("there")).unwrap();
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_whatever_it_is_called() {
    let bench = bench();
    fs::create_dir(bench.path("sub")).unwrap();
    for command in &COMMANDS {
        for input in command.reads {
            let before = fs::read(bench.path(input)).unwrap();
            let mut names = vec![(*input).to_owned(), format!("./{input}"), format!("sub/../{input}")];
            fs::hard_link(bench.path(input), bench.path("hard")).unwrap();
            names.push("hard".to_owned());
            #[cfg(unix)]
            {
                let link = |target: &str, link: &str| {
                    std::os::unix::fs::symlink(target, bench.path(link)).unwrap();
                };
                link(input, "link");
                link("link", "chain");
                link(".", "here");
                names.extend(["link", "chain"].map(str::to_owned));
                names.push(format!("here/{input}"));
            }
            let files = bench.files();
            for name in &names {
                for force in [false, true] {
                    let ran = command.run(&bench, name, force);
                    ran.fails(1, &[name, "itself", "another name"]);
                    assert_eq!(fs::read(bench.path(input)).unwrap(), before, "{} {name}", command.words);
                }
            }
            assert_eq!(bench.files(), files, "{}", command.words);
            for name in ["hard", "link", "chain", "here"] {
                let _ = fs::remove_file(bench.path(name));
            }
        }
    }
}

#[test]
fn a_file_in_a_directory_that_is_read_is_an_input_too() {
    let bench = bench();
    fs::create_dir(bench.path("set")).unwrap();
    fs::rename(bench.path("ratings.csv"), bench.path("set/ratings.csv")).unwrap();
    fs::rename(bench.path("train.txt"), bench.path("set/train.txt")).unwrap();
    for (format, name) in [("movielens-latest-small", "ratings.csv"), ("criteo", "train.txt")] {
        let before = fs::read(bench.path("set").join(name)).unwrap();
        bench
            .run(&format!("data prepare {format} set --out set/{name} --force"))
            .fails(1, &["the input itself"]);
        assert_eq!(fs::read(bench.path("set").join(name)).unwrap(), before);
    }
}

#[test]
fn two_outputs_that_are_one_file_are_refused() {
    let bench = bench();
    fs::create_dir(bench.path("sub")).unwrap();
    for map in ["x", "./x", "sub/../x"] {
        let words = format!("inject fm.model --ber 1e-2 --out x --map {map} --force");
        bench.run(&words).fails(1, &["one file", "--out x", "--map"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("x", bench.path("link")).unwrap();
        bench.run("inject fm.model --ber 1e-2 --out x --map link --force").fails(1, &["one file"]);
    }
    assert!(!bench.path("x").exists());
}

#[test]
fn a_missing_directory_is_named_before_any_work() {
    let bench = bench();
    let files = bench.files();
    for command in COMMANDS.iter().filter(|command| !command.words.contains("--force")) {
        command.run(&bench, "nowhere/x", false).fails(5, &["nowhere", "make it first", command.flag]);
        command.run(&bench, "small.data/x", false).fails(5, &["small.data", "no directory"]);
        command.run(&bench, "run", false).fails(5, &["run", "a directory is there"]);
        assert_eq!(bench.files(), files, "{}", command.words);
    }
    // With a model that does not exist: the place of the output is what is told.
    bench.run("evaluate none.model --data none.data --scores nowhere/x").fails(5, &["nowhere", "make it"]);
}

#[cfg(unix)]
#[test]
fn a_link_is_written_through_and_its_target_is_what_is_judged() {
    use std::os::unix::fs::symlink;

    let bench = bench();
    fs::create_dir(bench.path("sub")).unwrap();
    for command in COMMANDS.iter().filter(|command| !command.words.contains("--force")) {
        symlink("sub/target", bench.path("link")).unwrap();
        let ran = command.run(&bench, "link", false);
        assert_eq!(ran.code, Some(0), "{}: {}", command.words, ran.err);
        assert!(fs::symlink_metadata(bench.path("link")).unwrap().is_symlink(), "{}", command.words);
        let written = fs::read(bench.path("sub/target")).unwrap();
        assert!(!written.is_empty());
        command.run(&bench, "link", false).fails(1, &["link", "sub/target", "--force"]);
        assert_eq!(fs::read(bench.path("sub/target")).unwrap(), written);
        assert_eq!(command.run(&bench, "link", true).code, Some(0));
        assert!(fs::symlink_metadata(bench.path("link")).unwrap().is_symlink());
        fs::remove_file(bench.path("link")).unwrap();
        fs::remove_file(bench.path("sub/target")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_need_no_force() {
    let bench = bench();
    for command in &COMMANDS {
        let ran = command.run(&bench, "/dev/null", false);
        assert_eq!(ran.code, Some(0), "{}: {}", command.words, ran.err);
    }
    assert_eq!(bench.run("inject fm.model --ber 1e-2 --out /dev/null --map /dev/null").code, Some(0));
    // A pipe gets what a file gets.
    bench.run("init --model fm --data small.data --out same.model --json").json();
    let radhard = env!("CARGO_BIN_EXE_radhard");
    let script = format!(
        "{radhard} init --model fm --data small.data --out /dev/stderr 2>&1 >/dev/null | cat > piped"
    );
    let status =
        std::process::Command::new("bash").args(["-c", &script]).current_dir(bench.path(".")).status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read(bench.path("piped")).unwrap(), fs::read(bench.path("same.model")).unwrap());
}

#[test]
fn names_of_radhards_own_are_free_in_a_directory_of_its_records() {
    let bench = bench();
    for _ in 0..2 {
        bench.run("report run --json").json();
        bench.run("report run --out run/report.html --json").json();
        bench.run("export run --json").json();
        bench.run("run plan.toml --out run --json").json();
    }
    // Elsewhere the same names are the user's.
    fs::create_dir(bench.path("mine")).unwrap();
    fs::write(bench.path("mine/trials.csv"), "mine").unwrap();
    bench.run("export run --out mine").fails(1, &["trials.csv", "--force"]);
    assert_eq!(fs::read_to_string(bench.path("mine/trials.csv")).unwrap(), "mine");
    assert!(!bench.path("mine/cells.csv").exists());
    bench.run("export run --out mine --force --json").json();
    assert_ne!(fs::read_to_string(bench.path("mine/trials.csv")).unwrap(), "mine");
    bench.run("export run --out new/directory --json").json();
    assert!(bench.path("new/directory/cells.csv").exists());
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_directory_of_records_is_no_free_name() {
    let bench = bench();
    bench.write("page.html", "mine");
    std::os::unix::fs::symlink("../page.html", bench.path("run/report.html")).unwrap();
    bench.run("report run").fails(1, &["report.html", "page.html", "--force"]);
    assert_eq!(fs::read_to_string(bench.path("page.html")).unwrap(), "mine");
    assert!(!bench.path("run/cells.csv").exists());
}

#[cfg(unix)]
#[test]
fn records_that_are_an_input_of_the_plan_are_refused() {
    let bench = bench();
    fs::create_dir(bench.path("other")).unwrap();
    std::os::unix::fs::symlink("../fm.model", bench.path("other/records.sqlite")).unwrap();
    let before = fs::read(bench.path("fm.model")).unwrap();
    bench.run("run plan.toml --out other").fails(1, &["records.sqlite", "a model of the plan", "itself"]);
    assert_eq!(fs::read(bench.path("fm.model")).unwrap(), before);
}

#[test]
fn a_demo_or_a_study_does_not_write_over_what_is_not_its_own() {
    let bench = Workbench::new();
    for (name, words, part) in [
        ("wide-deep.safetensors", "demo --chips 1 --out d", "wide-deep.safetensors"),
        ("plan.toml", "demo --chips 1 --out d", "plan.toml"),
        ("figures/a.svg", "demo --chips 1 --out d", "figures"),
        ("paper/a.svg", "reproduce table1 --quick --out d", "paper"),
        ("models/a", "reproduce table1 --quick --out d", "models"),
    ] {
        let path = bench.path("d").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        bench.run(words).fails(1, &[part, "--force"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_dir_all(bench.path("d")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_training_that_continues_its_checkpoint_needs_no_force() {
    let bench = Workbench::new();
    bench.data();
    let train = "train --model fm --data small.data --out m.model --epochs 300 --patience 300";
    let mut training = bench.command(&train.split(' ').collect::<Vec<_>>()).spawn().unwrap();
    let checkpoint = bench.path("m.model.checkpoint");
    while !checkpoint.exists() {
        std::thread::yield_now();
    }
    let pid = training.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(training.wait().unwrap().code(), Some(130));
    let interrupted = fs::read(&checkpoint).unwrap();
    // As if the run had been allowed to write over this file.
    bench.write("m.model", "mine");
    bench.run(&format!("{train} --lr 0.5")).fails(4, &["another run"]);
    fs::write(&checkpoint, "not a checkpoint").unwrap();
    bench.run(train).fails(5, &["m.model.checkpoint"]);
    assert_eq!(fs::read_to_string(bench.path("m.model")).unwrap(), "mine");
    fs::write(&checkpoint, &interrupted).unwrap();
    assert_eq!(bench.run(train).code, Some(0));
    assert!(!checkpoint.exists());
    let whole = fs::read(bench.path("m.model")).unwrap();
    bench.run(train).fails(1, &["m.model", "--force"]);
    assert_eq!(fs::read(bench.path("m.model")).unwrap(), whole);
    // A checkpoint has no place where the data are.
    fs::rename(bench.path("small.data"), bench.path("n.model.checkpoint")).unwrap();
    bench
        .run("train --model fm --data n.model.checkpoint --out n.model --force")
        .fails(1, &["n.model.checkpoint", "itself"]);
}
