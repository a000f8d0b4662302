//! Two campaigns on the same chips: their paired differences, cell by cell.

use serde::Serialize;

use crate::chips::{Compared, Grade, grades};
use crate::folio::{Folio, Section, Table};
use crate::quantity::{rate, score, whole, with_ends};
use crate::summary::{CellLine, Summary};

/// One cell of both campaigns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedCell {
    /// Name of the model in the first campaign.
    pub model: String,
    /// Name of the model in the second.
    pub other_model: String,
    /// Name of the data set.
    pub data: String,
    /// The target.
    pub target: String,
    /// How bits go wrong.
    pub error_model: String,
    /// Bit error rate; none where the error model has none.
    pub ber: Option<f64>,
    /// The protection.
    pub protection: String,
    /// Chips of both.
    pub n: u64,
    /// Mean score in the first campaign.
    pub mean: Option<f64>,
    /// Mean score in the second.
    pub other_mean: Option<f64>,
    /// Mean difference, the first less the second.
    pub difference: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Chips that lose more than 0.05 in the first campaign alone, and in the second alone.
    pub severe_alone: [u64; 2],
    /// Whether one of the two is better, after adjustment for all cells.
    pub grade: Grade,
    /// The better one, where that is shown or likely: 1 or 2.
    pub better: Option<u8>,
}

/// Two campaigns on the same chips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Seed of the chips of both.
    pub seed: u64,
    /// The cells of both.
    pub cells: Vec<ComparedCell>,
    /// Cells that only one of them has.
    pub unpaired: u64,
}

/// Why two campaigns can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComparisonError {
    /// Their chips are not the same.
    #[error(
        "the campaigns have other chips: {what} {first} and {second}; run both plans with the same seed and version"
    )]
    OtherChips {
        /// The difference.
        what: &'static str,
        /// In the first.
        first: u64,
        /// In the second.
        second: u64,
    },
    /// They share no cell.
    #[error(
        "the campaigns share no cell: data, target, error model, rate and protection must agree in at least one"
    )]
    NothingShared,
}

impl Comparison {
    /// Compares two campaigns: a cell of the first with that of the second of the same model and data, or of the only other model on
    /// the data.
    ///
    /// Errors: other chips, or no cell in common.
    pub fn of(first: &Summary, second: &Summary) -> Result<Self, ComparisonError> {
        let versions = [
            ("seeds", first.seed, second.seed),
            ("stream versions", u64::from(first.stream_version), u64::from(second.stream_version)),
        ];
        if let Some((what, first, second)) = versions.into_iter().find(|(_, a, b)| a != b) {
            return Err(ComparisonError::OtherChips { what, first, second });
        }
        let same = |a: &CellLine, b: &CellLine| {
            (&a.data, &a.target, &a.error_model, a.ber, &a.protection)
                == (&b.data, &b.target, &b.error_model, b.ber, &b.protection)
        };
        let mut cells = Vec::new();
        let mut p_values = Vec::new();
        for one in &first.cells {
            let others: Vec<&CellLine> = second.cells.iter().filter(|other| same(one, other)).collect();
            let named = others.iter().find(|other| other.model == one.model);
            let only = match others.as_slice() {
                [only] if !first.cells.iter().any(|cell| same(cell, one) && cell.model != one.model) => {
                    Some(only)
                }
                _ => None,
            };
            let Some(other) = named.or(only) else { continue };
            let chips = first.chips.get(&one.key()).zip(second.chips.get(&other.key()));
            let Some((a, b)) = chips else { continue };
            let pair = Compared::of(a, b);
            if pair.difference.n == 0 {
                continue;
            }
            let (side, p) = pair.better();
            p_values.push(p);
            let interval = pair.difference.mean_interval;
            cells.push(ComparedCell {
                model: one.model.clone(),
                other_model: other.model.clone(),
                data: one.data.clone(),
                target: one.target.clone(),
                error_model: one.error_model.clone(),
                ber: one.ber,
                protection: one.protection.clone(),
                n: pair.difference.n,
                mean: one.mean,
                other_mean: other.mean,
                difference: pair.difference.mean,
                low: interval.map(|of| of.low),
                high: interval.map(|of| of.high),
                severe_alone: pair.severe_alone,
                grade: Grade::NotShown,
                better: Some(if side == crate::chips::Side::First { 1 } else { 2 }),
            });
        }
        if cells.is_empty() {
            return Err(ComparisonError::NothingShared);
        }
        for (cell, grade) in cells.iter_mut().zip(grades(&p_values)) {
            cell.grade = grade;
            cell.better = cell.better.filter(|_| grade != Grade::NotShown);
        }
        let unpaired = (first.cells.len() + second.cells.len() - 2 * cells.len()) as u64;
        Ok(Self { seed: first.seed, cells, unpaired })
    }

    /// The result of the comparison, as sentences.
    pub fn sentences(&self) -> Vec<String> {
        let count = |better: u8, grade: Grade| {
            self.cells.iter().filter(|cell| cell.better == Some(better) && cell.grade == grade).count()
        };
        let [first, second] = [1, 2].map(|better| count(better, Grade::Shown));
        let open = self.cells.len() - first - second;
        let mut sentences = vec![format!(
            "Of {} cells on the same chips, the first campaign is shown to be better in {first}, the second in {second}; {open} are undecided.",
            self.cells.len()
        )];
        if self.unpaired > 0 {
            sentences.push(format!("{} cells are in one of the campaigns only.", whole(self.unpaired)));
        }
        sentences
    }

    fn table(&self) -> Table {
        let head = [
            "model",
            "data",
            "target",
            "errors",
            "BER",
            "protection",
            "n",
            "difference of AUC [95 %]",
            "severe in one alone",
            "better",
        ];
        let row = |cell: &ComparedCell| {
            let model = if cell.model == cell.other_model {
                cell.model.clone()
            } else {
                format!("{} / {}", cell.model, cell.other_model)
            };
            let better = cell.better.map_or_else(
                || "undecided".to_owned(),
                |better| format!("{} ({})", if better == 1 { "first" } else { "second" }, cell.grade.word()),
            );
            vec![
                model,
                cell.data.clone(),
                cell.target.clone(),
                cell.error_model.clone(),
                cell.ber.map_or_else(|| score(None), rate),
                cell.protection.clone(),
                cell.n.to_string(),
                with_ends(cell.difference, cell.low, cell.high),
                format!("{} / {}", cell.severe_alone[0], cell.severe_alone[1]),
                better,
            ]
        };
        Table {
            caption: "First campaign less second, on the same chips".to_owned(),
            wide: false,
            head: head.map(str::to_owned).to_vec(),
            numbers: vec![false, false, false, false, true, false, true, true, true, false],
            rows: self.cells.iter().map(row).collect(),
        }
    }

    /// The comparison as text for a terminal: what is shown, and a line for each cell.
    pub fn text(&self) -> String {
        let mut lines = self.sentences();
        lines.push(String::new());
        for cell in &self.cells {
            let better = cell.better.map_or_else(
                || "undecided".to_owned(),
                |better| {
                    format!(
                        "{} is better ({})",
                        if better == 1 { "first" } else { "second" },
                        cell.grade.word()
                    )
                },
            );
            let at = cell.ber.map_or_else(String::new, |ber| format!(" {}", rate(ber)));
            lines.push(format!(
                "{} {}{at}, {}: {} · {better}",
                cell.model,
                cell.target,
                cell.protection,
                with_ends(cell.difference, cell.low, cell.high)
            ));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// The comparison as a page that needs nothing else.
    ///
    /// Errors: a template that does not fit its values.
    pub fn html(&self) -> Result<String, minijinja::Error> {
        let section = Section {
            id: "cells".to_owned(),
            heading: "Cells".to_owned(),
            tables: vec![self.table()],
            ..Section::default()
        };
        let mut lead = self.sentences();
        lead.push(
            "Differences are of the AUC, the first campaign less the second, with 95 % intervals that hold at every number of chips; \
             better: after Holm's adjustment over all cells, by the mean or by chips that lose more than 0.05 in one alone."
                .to_owned(),
        );
        Folio {
            title: "Two campaigns on the same chips".to_owned(),
            lead,
            sections: vec![section],
            ..Folio::default()
        }
        .html()
    }
}
