//! `radhard reproduce`: the paper's tables, figures and claims.

use std::sync::Mutex;
use std::time::Instant;

use indicatif::ProgressBar;
use radhard_campaign::Watch;
use radhard_models::Init;
use radhard_records::CellKey;
use radhard_study::artefact::WAYS;
use radhard_study::{
    Audience, DIRECTORIES, Part, SCALE_FILE, SETS, Scale, Set, Study, StudyError, UnknownPart, reproduce,
    reproduce_as_artefact,
};
use serde_json::json;

use super::run::run_failure;
use crate::arguments::Reproduce;
use crate::console::{Console, StopFlag, in_line};
use crate::exit::{Exit, Failure, failure};
use crate::output::CommandFiles;

const BAR: &str = "{bar:24} {human_pos}/{human_len} · {eta} left · {msg}";

pub(crate) fn run(arguments: &Reproduce, console: &Console) -> Result<Exit, Failure> {
    let part: Part = arguments.part.parse().map_err(|error: UnknownPart| failure(Exit::Usage, error))?;
    if let Some(dir) = arguments.data_dir.as_ref().filter(|dir| !dir.is_dir()) {
        let text = format!("--data-dir: {} is no directory", dir.display());
        return Err(failure(Exit::Input, text));
    }
    let mut scale = if arguments.quick { Scale::quick() } else { Scale::full() };
    match arguments.train_rows.as_deref() {
        None => {}
        Some("all") => scale.train_rows = [None; 3],
        Some(text) => match text.parse() {
            Ok(rows) if rows > 0 => scale.train_rows = [Some(rows); 3],
            _ => {
                let text = format!("--train-rows: {text:?} is neither a number of rows nor all");
                return Err(failure(Exit::Usage, text));
            }
        },
    }
    if let Some(chips) = arguments.chips {
        scale = scale.with_chips(chips);
    }
    if let Some(start) = arguments.start.as_deref() {
        scale.init = match start {
            "torchfm" => Init::TorchFm,
            "zero" => Init::ZeroFirstOrder,
            _ => {
                let text = format!("--start: {start:?} is neither torchfm nor zero");
                return Err(failure(Exit::Usage, text));
            }
        };
    }
    if !arguments.sets.is_empty() {
        scale.sets = [false; 3];
        for name in &arguments.sets {
            let Some(place) = Set::place_of(name) else {
                let names: Vec<&str> = SETS.iter().map(|set| set.name).collect();
                let text =
                    format!("--sets: {name:?} is no data set of the paper; there are {}", names.join(", "));
                return Err(failure(Exit::Usage, text));
            };
            scale.sets[place] = true;
        }
    }
    if arguments.as_artefact && !scale.sets[0] {
        let text = "--as-artefact is shown on movielens-1m, which --sets leaves out";
        return Err(failure(Exit::Usage, text));
    }
    if arguments.as_artefact && !WAYS.iter().any(|way| way.changes(part)) {
        let text = format!("--as-artefact: no way of the released artefact changes {part}");
        return Err(failure(Exit::Usage, text));
    }
    let own = arguments.out.join(SCALE_FILE).is_file();
    let files = CommandFiles::new(arguments.overwrite.force);
    DIRECTORIES.iter().fold(files, |files, name| files.fills(arguments.out.join(name), own)).check()?;
    let start = Instant::now();
    let audience =
        Told { console, bar: console.bar(0, BAR), stop: StopFlag::listen(), stage: Mutex::default() };
    let study = Study { real: arguments.data_dir.as_deref(), out: &arguments.out, scale };
    let done = if arguments.as_artefact {
        reproduce_as_artefact(&study, part, &audience)
    } else {
        reproduce(&study, part, &audience)
    };
    audience.bar.finish_and_clear();
    let Some(done) = done.map_err(study_failure)? else {
        console.say("interrupted; the same command continues");
        return Ok(Exit::Interrupted);
    };
    let seconds = start.elapsed().as_secs_f64();
    let files: Vec<String> = done.written.iter().map(|path| path.display().to_string()).collect();
    let result = json!({
        "part": part.to_string(),
        "as_artefact": arguments.as_artefact,
        "scale": study.scale.name,
        "stand_in": done.stand_in,
        "claims": done.claims,
        "answers": done.answers,
        "files": files,
        "seconds": seconds,
    });
    console.result(&result, || {
        let mut text = done.tables.join("\n");
        if done.stand_in {
            text.push_str("\nsynthetic data (stand-in): some data are drawn in the shape of the set they are named after\n");
        }
        format!("{text}\n{} files in {}\n", files.len(), arguments.out.join("paper").display())
    })?;
    Ok(Exit::Done)
}

fn study_failure(error: StudyError) -> Failure {
    match error {
        StudyError::Run { source, .. } => run_failure(*source),
        error => {
            let exit = match &error {
                StudyError::Plan(_) | StudyError::Config(_) | StudyError::Json(_) | StudyError::Shape(_) => {
                    Exit::Bug
                }
                StudyError::OtherScale { .. } => Exit::Mismatch,
                _ => Exit::Input,
            };
            Failure { exit, error: error.into() }
        }
    }
}

/// Shows what happens on a progress bar.
struct Told<'a> {
    console: &'a Console,
    bar: ProgressBar,
    stop: StopFlag,
    stage: Mutex<String>,
}

impl Told<'_> {
    fn show(&self, text: &str) {
        if let Ok(mut stage) = self.stage.lock()
            && *stage != text
        {
            text.clone_into(&mut stage);
            self.bar.set_message(in_line(text).into_owned());
        }
    }
}

impl Watch for Told<'_> {
    fn size(&self, trials: u64, recorded: u64) {
        self.bar.set_length(trials);
        self.bar.set_position(recorded);
        self.bar.reset_eta();
    }

    fn stage(&self, what: &str) {
        self.show(what);
    }

    fn cell(&self, key: &CellKey) {
        let rate = key.ber.map_or_else(String::new, |ber| format!(" at {ber:e}"));
        self.show(&format!("{} on {}, {}{rate}, {}", key.model, key.data, key.target, key.protection));
    }

    fn recorded(&self, paths: &[u64; 4]) {
        self.bar.inc(paths.iter().sum());
    }

    fn stop(&self) -> bool {
        self.stop.raised()
    }
}

impl Audience for Told<'_> {
    fn step(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }

    fn done(&self, what: &str) {
        self.bar.suspend(|| self.console.say(what));
    }
}
