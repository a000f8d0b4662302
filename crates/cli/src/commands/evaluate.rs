//! `radhard evaluate`: the scores of a model on prepared data.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use radhard_campaign::files::Mark;
use radhard_campaign::subject::Subject;
use radhard_engine::{Computed, Transients};
use radhard_fault::{BitErrorRate, Chip, DrawnMap, Flips, Parameters, Persistence, Target};
use radhard_memory::write_atomically;
use radhard_metrics::auc::auc_logit;
use radhard_metrics::{NonFinite, Observed, TrialScores};
use radhard_models::{Acting, Integrity, Noted, Scores, Upsets};
use radhard_protect::{Protected, parse_protection};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::run::open;
use crate::arguments::Evaluate;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit, failure};
use crate::output::CommandFiles;

pub(crate) fn run(arguments: &Evaluate, console: &Console) -> Result<Exit, Failure> {
    let part = arguments.split.parse().map_err(|error| failure(Exit::Usage, format!("--split: {error}")))?;
    let non_finite: NonFinite = arguments
        .non_finite
        .parse()
        .map_err(|error| failure(Exit::Usage, format!("--non-finite: {error}")))?;
    if let Some(scores) = &arguments.scores {
        let mut files = CommandFiles::new(arguments.overwrite.force)
            .reads("the model", &arguments.model)
            .reads("--data", &arguments.data)
            .writes("--scores", scores);
        if let Some(campaign) = &arguments.bounds {
            files = files.reads("the records of --bounds", &campaign.join(radhard_records::FILE));
        }
        files.check()?;
    }
    let subject =
        Subject::open(&arguments.model, &arguments.data, None, part, non_finite).or_exit(Exit::Input)?;
    let protected = protection(arguments, &subject)?;
    let start = Instant::now();
    let (mut scores, mut noted) = (Scores::default(), Noted::default());
    let (model, rows) = (subject.lent.model(), subject.rows.view());
    let hooks = protected.as_ref().and_then(Protected::hooks);
    let transients = transients(arguments, &subject, hooks.is_some())?;
    let upsets = transients.as_ref().map(|transients| transients as &dyn Upsets);
    if hooks.is_some() || upsets.is_some() {
        model.scores_under(&rows, Acting { hooks, upsets }, &mut scores, &mut noted)
    } else {
        model.scores(&rows, &mut scores)
    }
    .or_exit(Exit::Input)?;
    let labels = subject.rows.labels();
    let observed = Observed { probabilities: &scores.probabilities, logits: Some(&scores.logits), labels };
    let options = subject.options();
    let metrics = TrialScores::of(&observed, None, &options);
    let by_logit = || auc_logit(&scores.logits, labels, options.non_finite, options.fallback);
    let auc_logit = options.probabilities.then(by_logit).flatten();
    let seconds = start.elapsed().as_secs_f64();
    if let Some(path) = &arguments.scores {
        write_scores(path, &scores, labels)?;
    }
    let warnings = warnings(&subject, &arguments.model);
    let result = json!({
        "model": subject.model_name,
        "data": subject.data_name,
        "stand_in": subject.data.stand_in,
        "split": part.to_string(),
        "rows": labels.len(),
        "auc": metrics.auc,
        "auc_finite": metrics.auc_finite,
        "auc_worst": metrics.auc_worst,
        "log_loss": metrics.log_loss,
        "normalised_entropy": metrics.normalised_entropy,
        "calibration": metrics.calibration,
        "non_finite": metrics.non_finite,
        "saturated": metrics.saturated,
        "ties_at_bounds": metrics.ties_at_bounds,
        "auc_logit": auc_logit,
        "warnings": warnings,
        "flips": transients.as_ref().map(Transients::flips),
        "detected": noted.events.detected,
        "fault": subject.mark.as_ref().map(Mark::provenance),
        "seconds": seconds,
    });
    console.result(&result, || {
        let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.6}"));
        let stand_in = if subject.data.stand_in { " (stand-in)" } else { "" };
        format!(
            "{} on {}{stand_in}, {part}: {} rows in {seconds:.3} s\n\
             auc        {}\nauc_finite {}   (non-finite scores left out)\nauc_worst  {}   (non-finite scores on the wrong side)\n\
             log_loss   {}\nnon-finite {} · saturated {} · ties at bounds {}{}{}",
            subject.model_name,
            subject.data_name,
            labels.len(),
            show(metrics.auc),
            show(metrics.auc_finite),
            show(metrics.auc_worst),
            show(metrics.log_loss),
            metrics.non_finite,
            metrics.saturated,
            metrics.ties_at_bounds.map_or_else(|| "–".to_owned(), |rows| rows.to_string()),
            ties(&metrics, auc_logit),
            subject.mark.as_ref().map_or_else(String::new, |mark| format!("\nholds injected faults: {mark}"))
        )
    })?;
    for warning in &warnings {
        console.say(&format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}

/// The cost of ties of probabilities, in words; empty where none is exactly 0 or 1 and logits rank the rows alike.
fn ties(metrics: &TrialScores, auc_logit: Option<f64>) -> String {
    let (Some(ties), Some(auc), Some(logit)) = (metrics.ties_at_bounds, metrics.auc, auc_logit) else {
        return String::new();
    };
    if ties == 0 && (logit - auc).abs() < 5e-7 {
        return String::new();
    }
    let lost = match logit - auc {
        same if same.abs() < 5e-7 => "as by probability".to_owned(),
        gained if gained < 0.0 => format!("so ties of probabilities add {:.6}", -gained),
        lost => format!("so ties of probabilities cost {lost:.6}"),
    };
    let alike = match ties {
        0 => "rows of nearly equal logits share a probability, and rank alike".to_owned(),
        ties => {
            let rows = metrics.rows;
            format!(
                "{ties} of {rows} rows have a probability of exactly 0 or 1, and those at one bound rank alike"
            )
        }
    };
    format!("\n{alike}:\nby logit the AUC is {logit:.6}, {lost}")
}

/// Reasons why scores are worth less than they look.
fn warnings(subject: &Subject, model: &Path) -> Vec<String> {
    match &subject.integrity {
        Integrity::Damaged { stored, found } => vec![format!(
            "{}: its tensors have the SHA-256 {found}, radhard wrote {stored}: the file was changed since, and these are the \
             scores of what it holds now",
            model.display()
        )],
        Integrity::Unknown | Integrity::Marked | Integrity::Intact => Vec::new(),
    }
}

/// The transient faults of a chip, where they are asked for.
fn transients(arguments: &Evaluate, subject: &Subject, again: bool) -> Result<Option<Transients>, Failure> {
    let usage = |error: &dyn std::fmt::Display| failure(Exit::Usage, error.to_string());
    let (Some(persistence), Some(ber)) = (&arguments.persistence, arguments.ber) else { return Ok(None) };
    if persistence.parse::<Persistence>().map_err(|e| usage(&format!("--persistence: {e}")))?
        == Persistence::Memory
    {
        return Err(usage(&"--persistence: faults in memory are put into a file by inject"));
    }
    let rate = BitErrorRate::new(ber).map_err(|error| usage(&format!("--ber: {error}")))?;
    let target: Target = arguments.target.parse().map_err(|error| usage(&format!("--target: {error}")))?;
    let computed = Computed::of(&subject.lent, &target, subject.rows.len())
        .map_err(|error| usage(&format!("--target: {error}")))?;
    let chip = (Chip::new(arguments.seed, arguments.chip), Some(rate));
    let drawn = Transients::draw(&Flips, chip, &computed, again, &mut DrawnMap::new()).or_exit(Exit::Bug)?;
    Ok(Some(drawn))
}

/// The protection of activations that a text names; others are refused, since this command has one model and no chip.
fn protection(arguments: &Evaluate, subject: &Subject) -> Result<Option<Protected>, Failure> {
    let text = &arguments.protection;
    let usage = |reason: &dyn std::fmt::Display| failure(Exit::Usage, format!("--protection: {reason}"));
    let mut combination = parse_protection(text).map_err(|error| usage(&error))?;
    if combination.is_none() {
        return Ok(None);
    }
    match (&arguments.bounds, combination.calibrates()) {
        (None, true) => {
            let rule = "takes bounds from the clean model, which a faulty file is not; give them as LOW..HIGH, or give \
                the directory of a campaign that calibrated them with --bounds";
            return Err(usage(&format!("{text} {rule}")));
        }
        (Some(_), false) => return Err(failure(Exit::Usage, format!("--bounds: {text} takes no bounds"))),
        (Some(dir), true) => {
            let bounds = recorded_bounds(dir, &combination.name(), subject)?;
            combination = combination.with_bounds(&bounds).map_err(|stage| {
                failure(Exit::Input, format!("{}: no bounds of {stage} are on record", dir.display()))
            })?;
        }
        (None, false) => {}
    }
    let looked_up = vec![0.0; subject.lent.specs().len()];
    let prepared = combination.prepare(&radhard_protect::Subject {
        model: Some(subject.lent.model()),
        parameters: &subject.lent,
        calibration: None,
        looked_up: &looked_up,
    });
    let protected = prepared.map_err(|error| usage(&error))?;
    if protected.guards_words() || combination.rewrites() {
        let rule = "protects stored words, which matters where faults are drawn: inject takes it";
        return Err(usage(&format!("{text} {rule}")));
    }
    Ok(Some(protected))
}

/// The bounds that a campaign calibrated for a protection, of this model where it has several.
fn recorded_bounds(
    dir: &Path,
    protection: &str,
    subject: &Subject,
) -> Result<radhard_protect::StageBounds, Failure> {
    let store = open(dir)?;
    let all = || store.protections().filter(|cost| cost.subject.protection == protection);
    let own =
        all().find(|cost| cost.subject.model == subject.model_name && cost.subject.data == subject.data_name);
    let mut others = all();
    let only = others.next().filter(|_| others.next().is_none());
    let found = own.or(only).ok_or_else(|| {
        let of = format!("{} on {}", subject.model_name, subject.data_name);
        failure(Exit::Input, format!("{}: it has no protection {protection} of {of}", dir.display()))
    })?;
    let text = found.bounds.as_ref().ok_or_else(|| {
        let rule = "was recorded without its bounds; run the plan again into that directory";
        failure(Exit::Input, format!("{}: {protection} {rule}", dir.display()))
    })?;
    radhard_campaign::guard::read_bounds(text)
        .map_err(|error| failure(Exit::Input, format!("{}: bounds of {protection}: {error}", dir.display())))
}

fn write_scores(path: &Path, scores: &Scores, labels: &[u8]) -> Result<(), Failure> {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let (probabilities, logits) = (bytes(&scores.probabilities), bytes(&scores.logits));
    let shape = || vec![labels.len()];
    let tensors = [
        ("probability", TensorView::new(Dtype::F32, shape(), &probabilities).or_exit(Exit::Bug)?),
        ("logit", TensorView::new(Dtype::F32, shape(), &logits).or_exit(Exit::Bug)?),
        ("label", TensorView::new(Dtype::U8, vec![labels.len()], labels).or_exit(Exit::Bug)?),
    ];
    let file = safetensors::serialize(tensors, None::<HashMap<String, String>>).or_exit(Exit::Bug)?;
    write_atomically(path, |out| std::io::Write::write_all(out, &file))
        .map_err(|error| failure(Exit::Input, format!("{}: {error}", path.display())))
}
