//! The released artefact's ways, each made again from its description, on the same chips as ours, so that its curves can be
//! explained and not only contradicted.
//!
//! The findings are about the artefact as it was released; the runs behind the paper's figures may have differed. It is under
//! the GPL-3, and nothing of it is copied here.

mod accumulated;
pub(crate) mod bag_values;
mod clips;
mod empty_map;
mod nan_first;
pub(crate) mod redrawn_split;
pub(crate) mod silent_rates;
mod struck;

use crate::audience::Audience;
use crate::figures::{Line, Plot, Sheet};
use crate::findings::{Findings, Place};
use crate::reproduce::Part;
use crate::sets::SETS;
use crate::study::{Study, StudyError};

/// One way of the released artefact.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Its word in names of files.
    pub name: &'static str,
    /// The parts of the paper whose curves it changes.
    parts: &'static [Part],
    /// What the artefact does.
    pub there: &'static str,
    /// What is done here.
    pub here: &'static str,
    show: Show,
}

type Show = fn(&Study<'_>, &dyn Audience) -> Result<Option<Shown>, StudyError>;

/// A way laid beside ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its curves, with ours.
    pub sheet: Sheet,
    /// What it does to the curve, in a sentence with numbers.
    pub effect: String,
    /// Chips behind each point.
    pub n: u64,
    /// Whether the data are a stand-in for real ones; drawn data of dummy models stand for nothing.
    pub stand_in: bool,
}

/// The ways, in the order of the paper's parts.
pub const WAYS: [Way; 7] = [
    Way {
        name: "bag-values",
        parts: &[Part::Fig4, Part::Fig5, Part::Fig6],
        there: "the values 0 and 1 of the sparse vector are passed as places in the table: each sample sums row 0 as often as it has \
                zeros and row 1 as often as it has ones, and 2 of 8,192 rows are ever read",
        here: "the places of the ones are looked up",
        show: bag_values::show,
    },
    Way {
        name: "accumulated",
        parts: &[Part::Fig4, Part::Fig5, Part::Fig6],
        there: "the model is not restored between batches, rates and sparsities: each batch meets its own errors and all before it",
        here: "each trial starts from the stored words",
        show: accumulated::show,
    },
    Way {
        name: "redrawn-split",
        parts: &[Part::Table2, Part::Fig7, Part::Fig8, Part::Fig9],
        there: "the split is drawn anew without a seed, so that about 80 % of the rows tested on were trained on",
        here: "the split is drawn once and stored with the data; test rows are never trained on",
        show: redrawn_split::show,
    },
    Way {
        name: "nan-first",
        parts: &[Part::Fig7, Part::Fig8, Part::Fig9],
        there: "scores that are no numbers reach an AUC that sorts them first, after a second sigmoid",
        here: "they are replaced by the base rate, counted, and two more AUCs say what hangs on that",
        show: nan_first::show,
    },
    Way {
        name: "silent-rates",
        parts: &[Part::Fig7, Part::Fig8, Part::Fig9],
        there: "a bit flips where int(p · dropout(1, 1 − p)) is 1; in f32 the product falls short of 1 at some rates, and nothing flips",
        here: "rates are f64, and gaps between flips are drawn",
        show: silent_rates::show,
    },
    Way {
        name: "clips",
        parts: &[Part::Fig10],
        there: "clipping is to ±100 on outputs of linear layers before batch norm, with NaN to 0 (`clip:artefact`)",
        here: "the text's clip is of activations (`clip:paper`); both are measured",
        show: clips::show,
    },
    Way {
        name: "empty-map",
        parts: &[Part::Fig10],
        there: "selective bit protection was applied to an empty error map: no errors are left to protect from",
        here: "the bits that are protected do not flip, all others do",
        show: empty_map::show,
    },
];

impl Way {
    /// Whether it changes a part of the paper.
    pub fn changes(&self, part: Part) -> bool {
        part == Part::All || self.parts.contains(&part)
    }

    /// Measures it beside ours; `None` where the audience ended it.
    pub fn shown(&self, study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
        (self.show)(study, audience)
    }
}

/// A plot for each model on the smallest data set.
fn plots_of_models(findings: &Findings, lines: impl Fn(&'static str) -> Vec<Line>) -> Vec<Plot> {
    let set = &SETS[0];
    let stand_in = if findings.stand_in(set.name) { ", stand-in" } else { "" };
    crate::training::MODELS
        .into_iter()
        .map(|model| Plot { title: format!("{model} ({}{stand_in})", set.title), lines: lines(model) })
        .collect()
}

/// A recorded curve under a name of its own.
fn recorded(findings: &Findings, place: &Place<'_>, name: &str) -> Line {
    crate::figures::line_of(findings, place, name.to_owned())
}

/// The largest difference between two lines of each plot, first less second, with its model and rate.
fn largest_gap(plots: &[Plot], first: usize, second: usize) -> Option<(String, f64, f64)> {
    let mut largest: Option<(String, f64, f64)> = None;
    for plot in plots {
        for (a, b) in plot.lines[first].marks.iter().zip(&plot.lines[second].marks) {
            let gap = a.mean - b.mean;
            if largest.as_ref().is_none_or(|(_, _, found)| gap.abs() > found.abs()) {
                largest = Some((plot.title.clone(), a.rate, gap));
            }
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_changes_a_part_and_has_a_name_of_its_own() {
        for (place, way) in WAYS.iter().enumerate() {
            assert!(
                Part::WORDS.iter().any(|(part, _)| *part != Part::All && way.changes(*part)),
                "{}",
                way.name
            );
            assert!(WAYS[..place].iter().all(|other| other.name != way.name));
        }
        assert!(!WAYS[0].changes(Part::Fig10) && WAYS[0].changes(Part::All));
    }
}
