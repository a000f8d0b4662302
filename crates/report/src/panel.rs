//! Panels: the curves that share a chart, one a target.

use serde::Serialize;

use crate::crossing::{Crossing, DEVIATION, ONSET_LOSS, SEVERE_LOSS};
use crate::quantity::score;
use crate::summary::CellLine;

/// The curves of one model on one data set under one error model and protection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Panel {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// How bits go wrong.
    pub error_model: String,
    /// What protects the model.
    pub protection: String,
    /// AUC of the golden run under this protection.
    pub golden: Option<f64>,
    /// AUC that losses are taken against: the unprotected golden one, or this one where that was not run.
    pub reference: Option<f64>,
    /// Whether the data were made up in the shape of the set they are named after.
    pub stand_in: bool,
    /// One curve a target.
    pub curves: Vec<Curve>,
}

/// One target over all rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// What is hit.
    pub target: String,
    /// First tested rate whose mean loss exceeds [`ONSET_LOSS`].
    pub onset: Crossing,
    /// First tested rate whose mean loss exceeds [`SEVERE_LOSS`].
    pub severe: Crossing,
    /// BER_50: the rate at which half of the lead over guessing is lost.
    pub half: Crossing,
    /// The same of the predicted curve.
    pub half_predicted: Crossing,
    /// First tested rate whose median distance from golden exceeds [`DEVIATION`]; of models without an AUC.
    pub deviating: Crossing,
    /// First tested rate where half of the chips have an output that is no finite number; of models without an AUC.
    pub non_finite: Crossing,
    /// The cells by ascending rate, those without a rate first.
    #[serde(skip)]
    pub cells: Vec<CellLine>,
}

/// Groups cells, which come in the order of every export, into panels.
pub(crate) fn panels(cells: &[CellLine]) -> Vec<Panel> {
    let key = |cell: &CellLine| {
        (cell.model.clone(), cell.data.clone(), cell.error_model.clone(), cell.protection.clone())
    };
    let mut sorted: Vec<&CellLine> = cells.iter().collect();
    sorted.sort_by_key(|cell| key(cell));
    sorted
        .chunk_by(|a, b| key(a) == key(b))
        .map(|group| {
            let first = group[0];
            let reference = first.unprotected.or(first.golden);
            Panel {
                model: first.model.clone(),
                data: first.data.clone(),
                error_model: first.error_model.clone(),
                protection: first.protection.clone(),
                golden: first.golden,
                reference,
                stand_in: first.stand_in,
                curves: group
                    .chunk_by(|a, b| a.target == b.target)
                    .map(|cells| Curve::of(cells, reference))
                    .collect(),
            }
        })
        .collect()
}

impl Curve {
    fn of(cells: &[&CellLine], reference: Option<f64>) -> Self {
        let points = |score: fn(&CellLine) -> Option<f64>| -> Vec<(f64, f64)> {
            cells.iter().filter_map(|cell| cell.ber.zip(score(cell))).collect()
        };
        let (mean, predicted) = (points(|cell| cell.mean), points(|cell| cell.predicted));
        let below = |loss| {
            reference.map_or(Crossing::Undefined, |golden| Crossing::first_below(&mean, golden - loss))
        };
        let half = |points: &[(f64, f64)]| {
            reference.map_or(Crossing::Undefined, |golden| {
                Crossing::interpolated(points, 0.5 + 0.5 * (golden - 0.5))
            })
        };
        let without_auc = cells.iter().all(|cell| cell.by_rmse());
        // A crossing looks for a fall, so what rises is taken negative.
        let reached = |rising: fn(&CellLine) -> f64, bound: f64| {
            let points: Vec<(f64, f64)> =
                cells.iter().filter_map(|cell| Some((cell.ber?, -rising(cell)))).collect();
            if without_auc { Crossing::first_below(&points, -bound) } else { Crossing::Undefined }
        };
        Self {
            deviating: reached(|cell| cell.deviation.rmse_median.unwrap_or(f64::INFINITY), DEVIATION),
            non_finite: reached(|cell| cell.deviation.rmse_undefined_share.unwrap_or(1.0), 0.5 - 1e-12),
            target: cells[0].target.clone(),
            onset: below(ONSET_LOSS),
            severe: below(SEVERE_LOSS),
            half: half(&mean),
            half_predicted: half(&predicted),
            cells: cells.iter().copied().cloned().collect(),
        }
    }

    /// The cells that have a rate above 0, which a logarithmic axis can show.
    pub fn rated(&self) -> impl DoubleEndedIterator<Item = (f64, &CellLine)> {
        self.cells.iter().filter_map(|cell| cell.ber.filter(|ber| *ber > 0.0).map(|ber| (ber, cell)))
    }
}

impl Panel {
    /// Whether it is measured by the distance from golden: its rows have no labels, so there is no AUC.
    pub fn by_rmse(&self) -> bool {
        self.curves.iter().flat_map(|curve| &curve.cells).all(CellLine::by_rmse)
    }

    /// Whether any cell has a bit error rate, so that there is a curve over rates.
    pub fn has_rates(&self) -> bool {
        self.curves.iter().flat_map(|curve| &curve.cells).any(|cell| cell.ber.is_some())
    }

    /// The golden score in words.
    pub fn golden_line(&self) -> String {
        if self.by_rmse() {
            return "No labels, so no AUC: RMSE against golden".to_owned();
        }
        match (self.golden, self.reference) {
            (Some(golden), Some(reference)) if golden != reference => {
                format!("Golden AUC {} (unprotected {})", score(self.golden), score(self.reference))
            }
            _ => format!("Golden AUC {}", score(self.golden)),
        }
    }

    /// Model and data set, marked where the data are a stand-in.
    pub fn subject(&self) -> String {
        let mark = if self.stand_in { " (stand-in)" } else { "" };
        format!("{} on {}{mark}", self.model, self.data)
    }

    /// Model and data set, marked where the data are a stand-in; error model and protection where they are not the usual ones.
    pub fn title(&self) -> String {
        let mut title = self.subject();
        if self.error_model != "flips" {
            title.push_str(", ");
            title.push_str(&self.error_model);
        }
        if self.protection != "none" {
            title.push_str(", protected by ");
            title.push_str(&self.protection);
        }
        title
    }
}
