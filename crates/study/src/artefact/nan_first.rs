//! NaN scores sorted before all others, after a second sigmoid.

use radhard_data::Part;
use radhard_metrics::Ranking;
use radhard_metrics::auc::{AucCounts, NonFinite};
use radhard_metrics::sum::mean;

use super::struck::Struck;
use super::{Shown, largest_gap};
use crate::audience::Audience;
use crate::campaigns::RATES;
use crate::figures::{Line, Mark, Plot, Sheet};
use crate::sets::SETS;
use crate::study::{Study, StudyError};
use crate::training::MODELS;

/// The ways to rank scores that are no numbers.
const WAYS: [&str; 2] = ["NaN at the base rate", "NaN first, second sigmoid, as-artefact"];

/// AUC against the rate of the same scores, ranked in two ways.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    let Some(trained) = study.models_on(&[0], audience)? else { return Ok(None) };
    let set = &SETS[0];
    let stand_in = if trained.iter().any(|model| model.stand_in) { ", stand-in" } else { "" };
    let chips = study.scale.artefact_chips;
    let (mut plots, mut without_number) = (Vec::new(), Vec::new());
    for model in MODELS {
        audience.stage(&format!("as-artefact: ranking NaN scores of {model} first"));
        let mut subject = Struck::open(study, &format!("{model}-{}", set.name), set.name, Part::Test)?;
        let golden = ranked(&subject.scores(&subject.rows.view())?.probabilities, &subject)[0];
        let mut marks = [Vec::new(), Vec::new()];
        for rate in RATES {
            let mut aucs = [Vec::new(), Vec::new()];
            for chip in 0..chips {
                if audience.stop() {
                    return Ok(None);
                }
                let scores = subject.scores_under(chip, rate)?.probabilities;
                for (aucs, auc) in aucs.iter_mut().zip(ranked(&scores, &subject)) {
                    aucs.extend(auc);
                }
                if scores.iter().any(|score| score.is_nan()) {
                    without_number.push(model);
                }
            }
            for (marks, aucs) in marks.iter_mut().zip(&aucs) {
                marks.extend(mark(rate, aucs));
            }
        }
        let lines = WAYS.iter().zip(marks);
        plots.push(Plot {
            title: format!("{model} ({}{stand_in})", set.title),
            lines: lines.map(|(name, marks)| Line { name: (*name).to_owned(), golden, marks }).collect(),
        });
    }
    let with_nan: Vec<String> = MODELS
        .iter()
        .filter_map(|model| {
            let count = without_number.iter().filter(|other| *other == model).count();
            (count > 0).then(|| format!("{model} {count}"))
        })
        .collect();
    let gap = largest_gap(&plots, 1, 0).filter(|(.., gap)| *gap != 0.0);
    let effect = match gap {
        Some((plot, rate, gap)) => format!(
            "where a chip gives NaN, those rows count as the surest clicks: their order carries nothing, as at the base rate, but \
             they stand above every row that is still right; the largest difference of the mean is {gap:+.3} ({plot} at {rate:.0e}); \
             chips with NaN, of {} each: {}",
            chips * RATES.len() as u64,
            with_nan.join(", ")
        ),
        None => "no chip gave a NaN, and both ways agree".to_owned(),
    };
    Ok(Some(Shown {
        sheet: Sheet {
            title: "as-artefact: NaN scores ranked first after a second sigmoid, errors in all parameters"
                .to_owned(),
            note: String::new(),
            score: "AUC",
            guess: Some(0.5),
            whiskers: false,
            plots,
        },
        effect,
        n: chips,
        stand_in: !stand_in.is_empty(),
    }))
}

fn mark(rate: f64, aucs: &[f64]) -> Option<Mark> {
    let smallest = aucs.iter().copied().min_by(f64::total_cmp)?;
    let largest = aucs.iter().copied().max_by(f64::total_cmp)?;
    Some(Mark {
        rate,
        mean: mean(aucs)?,
        band: [smallest, largest],
        ends: [smallest, largest],
        interval: None,
        predicted: None,
    })
}

/// The AUC with NaN at the base rate, and as the artefact takes it.
///
/// Deviation: rows with NaN tie among each other; a sort would leave them in some order, which is as good on average.
fn ranked(scores: &[f32], subject: &Struck) -> [Option<f64>; 2] {
    let count = |scores: &[f32], place: NonFinite| -> AucCounts {
        let labels = subject.rows.labels();
        Ranking::default().count(scores, labels, place.rank_score(subject.base_rate))
    };
    let ours = count(scores, NonFinite::Fallback).substituted().auc();
    let theirs = count(&twice(scores), NonFinite::Highest).substituted().auc();
    [ours, theirs]
}

/// What an AUC that takes scores outside [0, 1] for logits makes of probabilities: with a NaN among them all go through a sigmoid.
fn twice(scores: &[f32]) -> Vec<f32> {
    if scores.iter().all(|score| (0.0..=1.0).contains(score)) {
        return scores.to_vec();
    }
    scores.iter().map(|score| 1.0 / (1.0 + libm::expf(-score))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_go_through_a_second_sigmoid_only_beside_a_nan() {
        assert_eq!(twice(&[0.0, 0.25, 1.0]), [0.0, 0.25, 1.0]);
        let squeezed = twice(&[0.0, 1.0, f32::NAN]);
        assert_eq!(squeezed[0], 0.5);
        assert!((squeezed[1] - 0.731_058_6).abs() < 1e-6 && squeezed[2].is_nan());
    }

    #[test]
    fn small_probabilities_tie_after_a_second_sigmoid() {
        let squeezed = twice(&[1e-9, 1e-8, f32::NAN]);
        assert_eq!(squeezed[0], squeezed[1]);
    }
}
