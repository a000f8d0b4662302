//! A model that is never restored: each batch meets its own errors and all before it.

use radhard_data::Part;
use radhard_data::synth::DummyOptions;
use radhard_metrics::{Golden, Observed, ScoreOptions, TrialScores};
use radhard_models::{Config, Scores};

use super::Shown;
use super::struck::Struck;
use crate::audience::Audience;
use crate::campaigns::DUMMY_RATES;
use crate::dummy::{DENSE_DIM, SPARSE_DIM};
use crate::figures::{Line, Mark, Plot, Sheet, printed_inf_nan};
use crate::study::{Study, StudyError};

const MODEL: &str = "dummy-d1-h64-e64";
/// Batches of a pass over the data. The description does not say how many there were.
const BATCHES: usize = 10;
/// Sparsities in the order in which they are gone through.
const SPARSITIES: [f64; 2] = [0.001, 0.01];

/// Shares of chips printed inf or nan where each trial starts from the stored words, and where nothing is ever restored.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    study.untrained(MODEL, &Config::dummy(1, 64, 64, DENSE_DIM, SPARSE_DIM))?;
    let mut subjects = Vec::new();
    for sparsity in SPARSITIES {
        let name = format!("dummy-{sparsity}");
        study.dummy_data(&name, &DummyOptions { sparsity, ..study.dummy_options() }, audience)?;
        subjects.push(Struck::open(study, MODEL, &name, Part::All)?);
    }
    let chips = study.scale.artefact_chips;
    let goldens: Vec<Scores> =
        subjects.iter().map(|subject| subject.scores(&subject.rows.view())).collect::<Result<_, _>>()?;
    // By sparsity and rate: chips printed inf or nan, restored and never restored.
    let mut printed = [[[0_u64; 2]; DUMMY_RATES.len()]; SPARSITIES.len()];
    audience.stage("as-artefact: errors that are never taken back");
    for chip in 0..chips {
        if audience.stop() {
            return Ok(None);
        }
        audience.step(chip, chips);
        // What was drawn for one sparsity stays for the next.
        let mut steps: Vec<(u64, f64)> = Vec::new();
        for place in 0..SPARSITIES.len() {
            let subject = &mut subjects[place];
            subject.restored(study)?;
            for &(chip, rate) in &steps {
                subject.strike(chip, rate)?;
            }
            for (at, rate) in DUMMY_RATES.into_iter().enumerate() {
                let rows = subject.rows.len();
                let mut scores = Scores::default();
                for batch in 0..BATCHES {
                    // Errors of a chip nest in the rate: on one chip, each rate would take back what the one before flipped.
                    let struck = chips * (steps.len() as u64 + 1) + chip;
                    subject.strike(struck, rate)?;
                    steps.push((struck, rate));
                    let of_batch = rows * batch / BATCHES..rows * (batch + 1) / BATCHES;
                    let found = subject.scores(&subject.rows.slice(of_batch))?;
                    scores.logits.extend(found.logits);
                    scores.probabilities.extend(found.probabilities);
                }
                printed[place][at][1] += u64::from(is_printed(&scores, &goldens[place], subject));
            }
            subject.restored(study)?;
            for (at, rate) in DUMMY_RATES.into_iter().enumerate() {
                let scores = subject.scores_under(chip, rate)?;
                printed[place][at][0] += u64::from(is_printed(&scores, &goldens[place], subject));
            }
        }
    }
    let share = |count: u64| count as f64 / chips as f64;
    let plots: Vec<Plot> = SPARSITIES
        .iter()
        .zip(&printed)
        .map(|(sparsity, printed)| {
            let line = |name: &str, way: usize| Line {
                name: name.to_owned(),
                golden: None,
                marks: DUMMY_RATES
                    .into_iter()
                    .zip(printed)
                    .map(|(rate, counts)| {
                        let mean = share(counts[way]);
                        Mark { rate, mean, band: [mean; 2], ends: [mean; 2], interval: None, predicted: None }
                    })
                    .collect(),
            };
            Plot {
                title: format!("sparsity {sparsity}, all parameters"),
                lines: vec![line("restored", 0), line("never restored, as-artefact", 1)],
            }
        })
        .collect();
    let at = |place: usize, rate: usize, way: usize| share(printed[place][rate][way]);
    let effect = format!(
        "with {BATCHES} batches a pass, errors at a rate are followed by those of all batches before: at 1e-7 {:.0} % of chips are \
         printed inf or nan instead of {:.0} %, at 1e-6 {:.0} % instead of {:.0} %; the sparsity that comes second starts from a \
         ruined model, at 1e-9 with {:.0} % instead of {:.0} %, which looks like an effect of the denser input",
        100.0 * at(0, 2, 1),
        100.0 * at(0, 2, 0),
        100.0 * at(0, 3, 1),
        100.0 * at(0, 3, 0),
        100.0 * at(1, 0, 1),
        100.0 * at(1, 0, 0),
    );
    Ok(Some(Shown {
        sheet: Sheet {
            title: format!("as-artefact: {MODEL} never restored, sparsities one after the other"),
            note: String::new(),
            score: "share of chips printed inf or nan",
            guess: None,
            whiskers: false,
            plots,
        },
        effect,
        n: chips,
        stand_in: false,
    }))
}

fn is_printed(scores: &Scores, golden: &Scores, subject: &Struck) -> bool {
    let observed = Observed {
        probabilities: &scores.probabilities,
        logits: Some(&scores.logits),
        labels: subject.rows.labels(),
    };
    let golden = Golden { probabilities: &golden.probabilities, auc: None };
    let options = ScoreOptions { probabilities: false, ..ScoreOptions::new(subject.base_rate) };
    printed_inf_nan(&TrialScores::of(&observed, Some(&golden), &options))
}
