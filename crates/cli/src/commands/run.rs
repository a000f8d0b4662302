//! `radhard run`: a campaign from a plan.

use std::path::Path;

use indicatif::ProgressBar;
use radhard_campaign::{CheckedPlan, Evaluation, PlanError, RunError, RunReport, Watch};
use radhard_records::{CellKey, RecordsError};
use serde_json::json;

use crate::arguments::Run;
use crate::console::{Console, StopFlag};
use crate::exit::{Exit, Failure, OrExit, failure};

const BAR: &str = "{bar:24} {human_pos}/{human_len} trials · {per_sec} · {eta} left · {msg}";

pub(crate) fn run(arguments: &Run, console: &Console) -> Result<Exit, Failure> {
    let plan = CheckedPlan::read(&arguments.plan).map_err(plan_failure)?;
    let evaluation = match &arguments.evaluation {
        Some(how) => how.parse().map_err(|error| failure(Exit::Usage, error))?,
        None => plan.plan().evaluation,
    };
    let stop = StopFlag::listen()?;
    let report = campaign(&plan, &arguments.out, evaluation, console, &stop)?;
    console.result(
        &json!({
            "cells": report.cells,
            "trials": report.trials,
            "evaluated": report.evaluated,
            "known": report.known,
            "seconds": report.seconds,
        }),
        || text(&report, &arguments.out),
    )?;
    if report.interrupted {
        console.say("interrupted; the same command continues");
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::Done)
}

/// Runs a plan with a progress bar.
pub(crate) fn campaign(
    plan: &CheckedPlan,
    dir: &Path,
    evaluation: Evaluation,
    console: &Console,
    stop: &StopFlag,
) -> Result<RunReport, Failure> {
    let watch = Bar { bar: console.bar(0, BAR), stop: stop.clone() };
    let report = radhard_campaign::run(plan, dir, evaluation, &watch);
    watch.bar.finish_and_clear();
    report.map_err(run_failure)
}

fn text(report: &RunReport, dir: &Path) -> String {
    let RunReport { cells, trials, evaluated, known, seconds, .. } = report;
    format!(
        "{cells} cells, {trials} trials on record in {}; this run evaluated {evaluated} and knew {known} without a run, in \
         {seconds:.1} s",
        dir.display()
    )
}

fn plan_failure(error: PlanError) -> Failure {
    let exit = match error {
        PlanError::Value { .. } => Exit::Usage,
        PlanError::Read { .. } | PlanError::Syntax { .. } => Exit::Input,
    };
    Failure { exit, error: error.into() }
}

fn run_failure(error: RunError) -> Failure {
    let exit = match &error {
        RunError::Target { .. } | RunError::Draw { .. } | RunError::SameName { .. } => Exit::Usage,
        RunError::Golden(_) => Exit::Golden,
        RunError::Records(RecordsError::OtherPlan { .. }) => Exit::Mismatch,
        RunError::Subject(_) | RunError::Records(_) => Exit::Input,
        RunError::Trial(_) => Exit::Bug,
    };
    Failure { exit, error: error.into() }
}

struct Bar {
    bar: ProgressBar,
    stop: StopFlag,
}

impl Watch for Bar {
    fn size(&self, trials: u64, recorded: u64) {
        self.bar.set_length(trials);
        self.bar.set_position(recorded);
        self.bar.reset_eta();
    }

    fn stage(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn cell(&self, key: &CellKey) {
        let rate = key.ber.map_or_else(String::new, |ber| format!(" at {ber:e}"));
        self.bar.set_message(format!("{} {}{rate}", key.model, key.target));
    }

    fn recorded(&self, evaluated: u64, known: u64) {
        self.bar.inc(evaluated + known);
    }

    fn stop(&self) -> bool {
        self.stop.raised()
    }
}

/// The failure of reading records, for commands that only read.
pub(crate) fn open(dir: &Path) -> Result<radhard_records::Store, Failure> {
    radhard_records::Store::open(dir).or_exit(Exit::Input)
}
