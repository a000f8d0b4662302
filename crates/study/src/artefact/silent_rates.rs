//! Rates at which the artefact's map is empty.

use super::{Shown, plots_of_models, recorded};
use crate::audience::Audience;
use crate::campaigns::Campaign;
use crate::figures::{Line, Sheet};
use crate::findings::{Findings, Place};
use crate::study::{Study, StudyError};

/// 1, 2, 3, 5 and 7 times each decade from 1e-9, up to 1e-2.
pub(crate) fn rates() -> Vec<f64> {
    let mut rates: Vec<f64> = (-9..=-3)
        .flat_map(|decade| {
            [1, 2, 3, 5, 7].map(|times| format!("{times}e{decade}").parse().unwrap_or(f64::NAN))
        })
        .collect();
    rates.push(1e-2);
    rates
}

/// Whether a map drawn as int(p · dropout(1, 1 − p)) in f32 has no flip, whatever is drawn.
///
/// Dropout keeps a one with probability p and divides it by 1 − (1 − p), which is taken in f64 and rounded to f32; the product
/// with p, rounded to f32 again, may be the number below 1, which is cut to 0.
pub(crate) fn injects_nothing(rate: f64) -> bool {
    let kept = 1.0 - (1.0 - rate);
    let scaled = 1.0_f32 / kept as f32;
    // Below the smallest rate that 1 − p can tell from 1, the scale is infinite.
    let product = rate as f32 * scaled;
    product < 1.0
}

/// AUC at rates between the decades, and with those that inject nothing at the fault-free score.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    let campaign = Campaign::silent_rates(&study.scale);
    if study.run(&campaign, audience)?.is_none() {
        return Ok(None);
    }
    let mut findings = Findings::default();
    findings.take_from(study, &campaign)?;
    let set = crate::sets::SETS[0].name;
    let plots = plots_of_models(&findings, |model| {
        let ours = recorded(&findings, &Place::new(model, set, "all"), "every rate injects");
        let theirs = silenced(&ours);
        vec![ours, theirs]
    });
    let silent: Vec<String> =
        rates().into_iter().filter(|rate| injects_nothing(*rate)).map(|rate| format!("{rate:e}")).collect();
    let share = (0..100_000).filter(|i| injects_nothing(spread(*i))).count();
    let lost = super::largest_gap(&plots, 1, 0).map_or_else(String::new, |(plot, rate, gap)| {
        format!("; at {rate:.0e} {plot} keeps {gap:.3} more than it should")
    });
    let effect = format!(
        "of these {} rates {} inject nothing, and the curve jumps back to the fault-free score there{lost}; of 100,000 rates spread \
         evenly over the logarithm from 1e-9 to 1e-2, {:.1} % inject nothing, and so does the default of 1e-10",
        rates().len(),
        silent.join(" and "),
        share as f64 / 1000.0
    );
    Ok(Some(Shown {
        sheet: Sheet {
            title: "as-artefact: rates that inject nothing in f32, errors in all parameters".to_owned(),
            note: String::new(),
            score: "AUC",
            guess: Some(0.5),
            whiskers: false,
            plots,
        },
        effect,
        n: study.scale.artefact_chips,
        stand_in: findings.stand_in(set),
    }))
}

/// A rate between 1e-9 and 1e-2, by its number among 100,000.
fn spread(number: u32) -> f64 {
    let decades = -9.0 + 7.0 * (f64::from(number) + 0.5) / 100_000.0;
    libm::exp(decades * std::f64::consts::LN_10)
}

/// The line as the artefact draws it.
fn silenced(line: &Line) -> Line {
    let marks = line
        .marks
        .iter()
        .map(|mark| match line.golden.filter(|_| injects_nothing(mark.rate)) {
            Some(golden) => crate::figures::Mark {
                mean: golden,
                band: [golden; 2],
                ends: [golden; 2],
                interval: None,
                predicted: None,
                ..*mark
            },
            None => *mark,
        })
        .collect();
    Line { name: "some inject nothing, as-artefact".to_owned(), golden: line.golden, marks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_round_rates_inject_nothing_and_so_does_the_default() {
        let silent: Vec<f64> = rates().into_iter().filter(|rate| injects_nothing(*rate)).collect();
        assert_eq!(silent, [2e-9, 7e-3]);
        assert!(injects_nothing(1e-10));
        assert!((-9..=-2).all(|decade| !injects_nothing(10_f64.powi(decade))));
    }

    #[test]
    fn more_than_a_tenth_of_all_rates_inject_nothing() {
        let share = (0..100_000).filter(|i| injects_nothing(spread(*i))).count();
        assert!((10_000..16_000).contains(&share), "{share}");
    }
}
