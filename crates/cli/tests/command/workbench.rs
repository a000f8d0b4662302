//! A temporary directory with a small data set and trained models, and the command to run in it.
#![expect(clippy::unwrap_used, reason = "a bench that breaks fails its test")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A place to run the command in; gone when dropped.
pub(crate) struct Workbench {
    dir: tempfile::TempDir,
}

/// What a run of the command left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The object that `--json` printed; panics with all output where the command failed.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }

    /// Asserts the exit code and that standard error names all of these.
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{:?} lacks {part:?}", self.err);
        }
    }
}

impl Workbench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The command with these words, run in the bench.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radhard"));
        command.args(words).current_dir(self.dir.path());
        command
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split_whitespace().collect();
        let Output { status, stdout, stderr } = self.command(&words).output().unwrap();
        Ran {
            code: status.code(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// `ratings.csv` of 60 users and 40 items whose taste follows a planted pattern, prepared as `small.data`.
    pub(crate) fn data(&self) {
        let mut text = String::from("userId,movieId,rating,timestamp\n");
        for user in 0..60_u32 {
            for item in 0..40_u32 {
                if (user * 7 + item * 3) % 5 == 0 {
                    continue;
                }
                let liked = (user * 13 + item * 29 + user * item) % 10 < 3 + (item % 5);
                writeln!(text, "{},{},{},0", user + 1, item * 10 + 5, if liked { 4.5 } else { 2.0 }).unwrap();
            }
        }
        self.write("ratings.csv", &text);
        self.run("data prepare movielens-latest-small ratings.csv --out small.data --json").json();
    }

    /// `small.data` with `fm.model` and `wide-deep.model` trained on it for a few epochs.
    pub(crate) fn models(&self) {
        self.data();
        for model in ["fm", "wide-deep"] {
            let words = format!(
                "train --model {model} --data small.data --out {model}.model --epochs 4 --batch-size 128 --lr 0.02 --json"
            );
            self.run(&words).json();
        }
    }

    /// A plan of both models, written as `plan.toml`.
    pub(crate) fn plan(&self, keys: &str) -> PathBuf {
        let mut text = keys.to_owned();
        for model in ["fm", "wide-deep"] {
            write!(text, "\n[[subject]]\nmodel = \"{model}.model\"\ndata = \"small.data\"\n").unwrap();
        }
        self.write("plan.toml", &text)
    }

    /// Names of everything in the bench, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The digest of a campaign directory.
    pub(crate) fn digest(&self, dir: &str) -> String {
        self.run(&format!("export {dir} --digest")).out.trim().to_owned()
    }

    /// The digest of a campaign directory, and the one that also covers what protections noticed and cost.
    pub(crate) fn digests(&self, dir: &str) -> [String; 2] {
        let all = self.run(&format!("export {dir} --digest=all"));
        assert_eq!((all.code, all.out.trim().len()), (Some(0), 64), "{}", all.err);
        [self.digest(dir), all.out.trim().to_owned()]
    }
}

/// The rows of a csv file as maps from column to text.
pub(crate) fn csv(path: &Path) -> Vec<std::collections::BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| header.iter().map(|h| (*h).to_owned()).zip(line.split(',').map(str::to_owned)).collect())
        .collect()
}
