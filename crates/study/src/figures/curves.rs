//! Figures 7 to 10: AUC against the bit error rate.

use crate::campaigns::RATES;
use crate::figures::plot::{Line, Mark, Plot, Sheet};
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::training::MODELS;

/// Figures 7, 8 and 9: all five models on the three data sets, with faults in one target.
pub fn curves(findings: &Findings, target: &str, title: &str) -> Sheet {
    let plots = SETS.iter().map(|set| Plot {
        title: set_title(findings, set.name, set.title),
        lines: MODELS
            .iter()
            .map(|model| {
                let place = Place::new(model, set.name, target);
                let mut line = line_of(findings, &place, (*model).to_owned());
                // Half decades and higher rates belong to claims: the figure has the paper's rates.
                line.marks.retain(|mark| RATES.contains(&mark.rate));
                line
            })
            .collect(),
    });
    Sheet { title: title.to_owned(), score: "AUC", guess: Some(0.5), whiskers: true, plots: plots.collect() }
}

/// Figure 10 of one data set: each model without a protection and with each of these, on the same chips.
pub fn recovery(findings: &Findings, set: usize, protections: &[&str], title: &str) -> Sheet {
    let data = SETS[set].name;
    let plots = MODELS.iter().map(|model| Plot {
        title: set_title(findings, data, model),
        lines: std::iter::once("none")
            .chain(protections.iter().copied())
            .map(|protection| {
                let place = Place::new(model, data, "all").under(protection);
                let mut line = line_of(findings, &place, protection.to_owned());
                line.marks.retain(|mark| mark.rate >= 0.99e-5);
                line
            })
            .collect(),
    });
    Sheet { title: title.to_owned(), score: "AUC", guess: Some(0.5), whiskers: true, plots: plots.collect() }
}

fn set_title(findings: &Findings, data: &str, title: &str) -> String {
    if findings.stand_in(data) { format!("{title} (stand-in)") } else { title.to_owned() }
}

/// The recorded curve of a place.
pub(crate) fn line_of(findings: &Findings, place: &Place<'_>, name: String) -> Line {
    let golden = findings.unprotected_auc(place.model, place.data);
    let own = findings.golden(place.model, place.data, place.protection).and_then(|golden| golden.scores.auc);
    let marks = findings
        .curve(place)
        .into_iter()
        .filter_map(|(rate, cell)| {
            let statistics = cell.statistics(own?);
            Some(Mark {
                rate,
                mean: statistics.mean?,
                band: [statistics.min?, statistics.max?],
                interval: statistics.mean_interval.map(|interval| [interval.low, interval.high]),
                predicted: cell.predicted.as_ref().map(|predicted| predicted.mean),
            })
        })
        .collect();
    Line { name, golden, marks }
}
