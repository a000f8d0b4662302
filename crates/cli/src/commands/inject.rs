//! `radhard inject`, `apply` and `undo`: faults in files.

use radhard_campaign::files::{self, FileCause, FileError, Injection, Outputs, Protected, Request};
use radhard_fault::{BitErrorRate, Coverage, Expose, Target, parse_error_model};
use radhard_protect::parse_protection;

use crate::arguments::{Inject, Replay};
use crate::console::Console;
use crate::exit::{Exit, Failure, failure};
use crate::output::CommandFiles;

pub(crate) fn inject(arguments: &Inject, console: &Console) -> Result<Exit, Failure> {
    let usage = |flag: &str, error: &dyn std::fmt::Display| failure(Exit::Usage, format!("{flag}: {error}"));
    let target: Target = arguments.target.parse().map_err(|error| usage("--target", &error))?;
    let expose: Expose = arguments.expose.parse().map_err(|error| usage("--expose", &error))?;
    let error_model =
        parse_error_model(&arguments.error_model).map_err(|error| usage("--error-model", &error))?;
    let rate = match (error_model.takes_rate(), arguments.ber) {
        (true, Some(ber)) => Some(BitErrorRate::new(ber).map_err(|error| usage("--ber", &error))?),
        (true, None) => {
            return Err(failure(
                Exit::Usage,
                format!("--ber is missing: {} needs a rate", error_model.name()),
            ));
        }
        (false, Some(_)) => {
            return Err(failure(
                Exit::Usage,
                format!("--ber given, but {} takes no rate", error_model.name()),
            ));
        }
        (false, None) => None,
    };
    let protection =
        parse_protection(&arguments.protection).map_err(|error| usage("--protection", &error))?;
    let mut outputs = CommandFiles::new(arguments.overwrite.force).reads("the model", &arguments.model);
    for (flag, path) in [("--out", &arguments.out), ("--map", &arguments.map)] {
        if let Some(path) = path {
            outputs = outputs.writes(flag, path);
        }
    }
    outputs.check()?;
    let request = Request {
        target: &target,
        protection: &protection,
        expose,
        error_model: error_model.as_ref(),
        rate,
        seed: arguments.seed,
        chip: arguments.chip,
        strict: arguments.strict,
    };
    let outputs = Outputs {
        out: arguments.out.as_deref(),
        map: arguments.map.as_deref(),
        in_place: arguments.in_place,
    };
    let injection = files::inject(&arguments.model, outputs, &request).map_err(file_failure)?;
    let place = if arguments.in_place {
        format!(" into {}, to be undone by {}", arguments.model.display(), shown(outputs.map))
    } else {
        format!(" → {}", shown(outputs.out.or(outputs.map)))
    };
    show(&injection, &format!("injected{place}"), true, console)
}

pub(crate) fn apply(arguments: &Replay, console: &Console) -> Result<Exit, Failure> {
    check_out(arguments)?;
    let injection =
        files::apply(&arguments.model, &arguments.map, arguments.out.as_deref(), arguments.rebase)
            .map_err(file_failure)?;
    show(&injection, "applied", false, console)
}

pub(crate) fn undo(arguments: &Replay, console: &Console) -> Result<Exit, Failure> {
    if arguments.rebase {
        return Err(failure(Exit::Usage, "--rebase goes with apply; undo restores the recorded words"));
    }
    check_out(arguments)?;
    let injection =
        files::undo(&arguments.model, &arguments.map, arguments.out.as_deref()).map_err(file_failure)?;
    show(&injection, "undone", false, console)
}

/// Refuses a copy that would lose a file.
fn check_out(arguments: &Replay) -> Result<(), Failure> {
    let Some(out) = &arguments.out else { return Ok(()) };
    CommandFiles::new(arguments.overwrite.force)
        .reads("the model", &arguments.model)
        .reads("--map", &arguments.map)
        .writes("--out", out)
        .check()
}

fn shown(path: Option<&std::path::Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

/// Shows what was done; what a target reached and passed over is told where it was drawn.
fn show(injection: &Injection, what: &str, drawn: bool, console: &Console) -> Result<Exit, Failure> {
    console.result(injection, || {
        let mut text = text(injection, what);
        if let Some(coverage) = injection.coverage.as_ref().filter(|_| drawn) {
            text.push_str(&covered(coverage));
        }
        text
    })?;
    Ok(Exit::Done)
}

fn text(injection: &Injection, what: &str) -> String {
    let Injection { flips, words, zeroed, already, exposed_bits, target, ber, protected, .. } = injection;
    let rate = ber.map_or_else(String::new, |ber| format!(" at {ber:e}"));
    let mut lines = vec![format!(
        "{what}: {flips} flips in {words} words; target {target}, {exposed_bits} exposed bits{rate}"
    )];
    if let Some(Protected { protection, memory_flips, detected, restored }) = protected {
        lines.push(format!(
            "{protection}: {memory_flips} flips in memory, {detected} found bad, {restored} restored"
        ));
    }
    if *zeroed > 0 {
        lines.push(format!("{zeroed} of the words were zeroed by the protection, which counts as no flip"));
    }
    if *already > 0 {
        lines.push(format!(
            "{already} of the words were so already: a change that had been stopped was finished"
        ));
    }
    lines.join("\n")
}

fn covered(Coverage { hit, passed_over }: &Coverage) -> String {
    let mut lines = vec![String::new()];
    if hit.len() > 1 || !passed_over.is_empty() {
        let hit: Vec<String> = hit.iter().map(ToString::to_string).collect();
        lines.push(format!("hit: {}", hit.join(", ")));
    }
    if !passed_over.is_empty() {
        lines.push(format!("passed over: {}", files::listed(passed_over)));
    }
    lines.join("\n")
}

fn file_failure(error: FileError) -> Failure {
    let exit = if matches!(
        error.cause,
        FileCause::Target(_)
            | FileCause::ForeignAlone { .. }
            | FileCause::PassedOver { .. }
            | FileCause::Draw(_)
            | FileCause::Protect(_)
            | FileCause::InPlaceWithoutMap
            | FileCause::MapIsNoFile
            | FileCause::MapOfRewritten { .. }
    ) {
        Exit::Usage
    } else {
        Exit::Input
    };
    Failure { exit, error: error.into() }
}
