//! torch as the other side of a benchmark: a Python process that takes turns.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A worker with torch.
pub(crate) struct Torch {
    worker: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

fn done(command: &mut Command) {
    let status = command.status().expect("the command starts");
    assert!(status.success(), "{command:?} failed: {status}");
}

impl Torch {
    /// Where the arguments ask for it: `--torch` with a virtual environment of its own, made at first and kept under
    /// `target/`, or `--venv DIR` with one that has torch.
    pub(crate) fn asked_for(arguments: &[String]) -> Option<Self> {
        let given = arguments.iter().position(|a| a == "--venv").and_then(|at| arguments.get(at + 1));
        if given.is_none() && !arguments.iter().any(|a| a == "--torch") {
            return None;
        }
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/torch");
        let venv = given.map_or(own, PathBuf::from);
        let python = venv.join("bin/python");
        if !python.exists() {
            eprintln!("installing torch into {}", venv.display());
            done(Command::new("python3").args(["-m", "venv"]).arg(&venv));
            done(Command::new(&python).args(["-m", "pip", "install", "--quiet", "torch", "numpy"]));
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/torch/worker.py");
        let mut worker = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let requests = worker.stdin.take().expect("the worker reads");
        let answers = BufReader::new(worker.stdout.take().expect("the worker answers"));
        Some(Self { worker, requests, answers })
    }

    fn ask(&mut self, request: &Value) -> Vec<f64> {
        writeln!(self.requests, "{request}").expect("the worker reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the worker answers");
        let answer: Value = serde_json::from_str(&line).expect("the worker answers in JSON");
        answer["milliseconds"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    }

    /// Milliseconds of training steps; `optimizer` is `adam` or `adam-fused`.
    pub(crate) fn steps(
        &mut self,
        model: &str,
        dims: &[u32],
        batch: usize,
        optimizer: &str,
        runs: usize,
    ) -> Vec<f64> {
        self.ask(&json!({
            "task": "step", "model": model, "optimizer": optimizer, "field_dims": dims, "batch": batch,
            "runs": runs, "alone": true,
        }))
    }

    /// Milliseconds of evaluations of batches of the rows in a file; `mode` is `eager` or `compile`.
    pub(crate) fn scores(
        &mut self,
        (model, mode): (&str, &str),
        dims: &[u32],
        (rows, batch): (&Path, usize),
        runs: usize,
    ) -> Vec<f64> {
        self.ask(&json!({
            "task": "score", "model": model, "mode": mode, "field_dims": dims, "rows": rows, "batch": batch,
            "runs": runs,
        }))
    }

    /// Forgets what requests have built.
    pub(crate) fn forget(&mut self) {
        self.steps("fm", &[2], 2, "adam", 1);
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}
