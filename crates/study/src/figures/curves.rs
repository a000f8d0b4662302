//! Figures 7 to 10: AUC against the bit error rate.

use radhard_metrics::quantile::quantile;

use crate::campaigns::RATES;
use crate::figures::plot::{Line, Mark, Plot, Sheet};
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::training::MODELS;

/// Figures 7, 8 and 9: all five models on the three data sets, with faults in one target.
pub fn curves(findings: &Findings, target: &str, title: &str, made: &Made) -> Sheet {
    let plots = made.chosen().map(|place| (&SETS[place], &made.captions[place])).map(|(set, caption)| Plot {
        title: caption.clone(),
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
    sheet(title, made, plots.collect())
}

fn sheet(title: &str, made: &Made, plots: Vec<Plot>) -> Sheet {
    let (title, note) = (title.to_owned(), made.note.clone());
    Sheet { title, note, score: "AUC", guess: Some(0.5), whiskers: true, plots }
}

/// Captions on the data and models of a study.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Made {
    /// Of each data set: its title, kind and rows; empty where it is not studied.
    pub captions: [String; 3],
    /// How the models were trained: rows and epochs.
    pub note: String,
}

impl Made {
    fn chosen(&self) -> impl Iterator<Item = usize> {
        (0..self.captions.len()).filter(|place| !self.captions[*place].is_empty())
    }
}

/// Figure 10 of one data set: each model without a protection and with each of these, on the same chips.
pub fn recovery(findings: &Findings, set: usize, protections: &[&str], title: &str, made: &Made) -> Sheet {
    let data = SETS[set].name;
    let plots = MODELS.iter().map(|model| Plot {
        title: (*model).to_owned(),
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
    sheet(title, made, plots.collect())
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
            let mut aucs = cell.aucs();
            aucs.sort_unstable_by(f64::total_cmp);
            Some(Mark {
                rate,
                mean: statistics.mean?,
                band: (!aucs.is_empty()).then(|| [0.05, 0.95].map(|share| quantile(&aucs, share)))?,
                ends: [statistics.min?, statistics.max?],
                interval: statistics.mean_interval.map(|interval| [interval.low, interval.high]),
                predicted: cell.predicted.as_ref().map(|predicted| predicted.mean),
            })
        })
        .collect();
    Line { name, golden, marks }
}
