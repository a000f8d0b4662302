//! `radhard run`: a campaign from a plan.

use std::path::Path;
use std::sync::Mutex;

use indicatif::ProgressBar;
use radhard_campaign::files::listed;
use radhard_campaign::guard::GuardError;
use radhard_campaign::{CheckedPlan, How, Plan, PlanError, RunError, RunReport, Watch};
use radhard_records::{CellKey, RecordsError};
use radhard_report::Summary;
use serde_json::json;

use super::bounds;
use crate::arguments::Run;
use crate::console::{Console, StopFlag, in_line};
use crate::exit::{Exit, Failure, OrExit, failure};
use crate::output::CommandFiles;

const BAR: &str = "{bar:24} {human_pos}/{human_len} trials · {per_sec} · {eta} left · {msg}";

pub(crate) fn run(arguments: &Run, console: &Console) -> Result<Exit, Failure> {
    let plan = CheckedPlan::read(&arguments.plan).map_err(plan_failure)?;
    let plan = match &arguments.persistence {
        Some(text) => {
            let persistence =
                text.parse().map_err(|error| failure(Exit::Usage, format!("--persistence: {error}")))?;
            let changed = Plan { persistence, ..plan.plan().clone() };
            CheckedPlan::check(changed, plan.text(), &arguments.plan).map_err(plan_failure)?
        }
        None => plan,
    };
    let evaluation = match &arguments.evaluation {
        Some(how) => how.parse().map_err(|error| failure(Exit::Usage, error))?,
        None => plan.plan().evaluation,
    };
    let bounds = bounds::parsed(arguments, &plan)?;
    let mut files = CommandFiles::new(false).reads("the plan", &arguments.plan);
    for subject in &plan.plan().subjects {
        files = files
            .reads("a model of the plan", &plan.resolve(&subject.model))
            .reads("data of the plan", &plan.resolve(&subject.data));
    }
    files.continues("the records", &arguments.out.join(radhard_records::FILE)).check()?;
    let stop = StopFlag::listen();
    let how = How {
        memory_bytes: arguments.memory,
        allow_faulty: arguments.allow_faulty,
        strict: arguments.strict,
        ..How::new(evaluation)
    };
    let report = campaign(&plan, &arguments.out, how, console, &stop)?;
    let checks = if bounds.is_empty() || report.interrupted {
        Vec::new()
    } else {
        let summary = Summary::of(&open(&arguments.out)?).or_exit(Exit::Input)?;
        bounds::checked(&bounds, &summary)?
    };
    console.result(
        &json!({
            "cells": report.cells,
            "trials": report.trials,
            "evaluated": report.evaluated,
            "known": report.known,
            "paths": {
                "known": report.paths[0],
                "rows": report.paths[1],
                "layers": report.paths[2],
                "full": report.paths[3],
            },
            "kept_bytes": report.kept_bytes,
            "seconds": report.seconds,
            "bounds": checks,
            "passed_over": report.passed_over,
        }),
        || text(&report, &arguments.out),
    )?;
    if report.interrupted {
        console.say("interrupted; the same command continues");
        return Ok(Exit::Interrupted);
    }
    Ok(bounds::outcome(&checks, arguments.fail_undecided, console))
}

/// Runs a plan with a progress bar.
pub(crate) fn campaign(
    plan: &CheckedPlan,
    dir: &Path,
    how: How,
    console: &Console,
    stop: &StopFlag,
) -> Result<RunReport, Failure> {
    let watch = Bar {
        progress: console.bar(0, BAR),
        stop: stop.clone(),
        paths: Mutex::default(),
        stage: Mutex::default(),
    };
    let report = radhard_campaign::run(plan, dir, how, &watch);
    watch.progress.finish_and_clear();
    report.map_err(run_failure)
}

fn text(report: &RunReport, dir: &Path) -> String {
    let RunReport { cells, trials, evaluated, known, seconds, passed_over, .. } = report;
    let passed_over: Vec<String> = passed_over
        .iter()
        .map(|of| format!("\n{}, target {}: passes over {}", of.model, of.target, listed(&of.tensors)))
        .collect();
    format!(
        "{cells} cells, {trials} trials on record in {}; this run evaluated {evaluated} ({}) and knew {known} without a run, in \
         {seconds:.1} s{}",
        dir.display(),
        ways(&report.paths),
        passed_over.concat()
    )
}

fn plan_failure(error: PlanError) -> Failure {
    let exit = match error {
        PlanError::Value { .. } => Exit::Usage,
        PlanError::Read { .. } | PlanError::Syntax { .. } => Exit::Input,
    };
    Failure { exit, error: error.into() }
}

pub(crate) fn run_failure(error: RunError) -> Failure {
    let exit = match &error {
        RunError::Target { .. }
        | RunError::Draw { .. }
        | RunError::PassedOver(_)
        | RunError::SameName { .. }
        | RunError::Guard(GuardError::Protect { .. }) => Exit::Usage,
        RunError::Golden(_) | RunError::Guard(GuardError::Golden { .. }) => Exit::Golden,
        RunError::Records(RecordsError::OtherPlan { .. }) => Exit::Mismatch,
        RunError::Subject(_)
        | RunError::Faulty { .. }
        | RunError::Records(_)
        | RunError::Guard(GuardError::Subject(_)) => Exit::Input,
        RunError::Trial(_) => Exit::Bug,
    };
    Failure { exit, error: error.into() }
}

/// How evaluated trials were evaluated, in words.
fn ways(paths: &[u64; 4]) -> String {
    let [_, rows, layers, full] = paths;
    format!("rows {rows} · layers {layers} · full {full}")
}

struct Bar {
    progress: ProgressBar,
    stop: StopFlag,
    paths: Mutex<[u64; 4]>,
    stage: Mutex<String>,
}

impl Bar {
    fn show(&self) {
        if let (Ok(paths), Ok(stage)) = (self.paths.lock(), self.stage.lock()) {
            let text = format!("{stage} · known {} · {}", paths[0], ways(&paths));
            self.progress.set_message(in_line(&text).into_owned());
        }
    }
}

impl Watch for Bar {
    fn size(&self, trials: u64, recorded: u64) {
        self.progress.set_length(trials);
        self.progress.set_position(recorded);
        self.progress.reset_eta();
    }

    fn stage(&self, what: &str) {
        self.progress.set_message(in_line(what).into_owned());
    }

    fn cell(&self, key: &CellKey) {
        let rate = key.ber.map_or_else(String::new, |ber| format!(" at {ber:e}"));
        if let Ok(mut stage) = self.stage.lock() {
            *stage = format!("{} {}{rate}", key.model, key.target);
        }
        self.show();
    }

    fn recorded(&self, paths: &[u64; 4]) {
        self.progress.inc(paths.iter().sum());
        if let Ok(mut totals) = self.paths.lock() {
            for (total, count) in totals.iter_mut().zip(paths) {
                *total += count;
            }
        }
        self.show();
    }

    fn stop(&self) -> bool {
        self.stop.raised()
    }
}

/// The failure of reading records, for commands that only read.
pub(crate) fn open(dir: &Path) -> Result<radhard_records::Store, Failure> {
    radhard_records::Store::open(dir).or_exit(Exit::Input)
}
