//! The heat map: what is hit against rate, coloured by the mean loss; a table whose cells are text, so that nothing hangs on colour.

use crate::crossing::{ONSET_LOSS, SEVERE_LOSS};
use crate::quantity::{loss, rate, rmse, share};
use crate::summary::{CellLine, Summary};

/// Least losses of the classes of colour, after the first.
pub const LOSS_LEVELS: [f64; 7] = [0.0005, ONSET_LOSS, 0.005, 0.02, SEVERE_LOSS, 0.1, 0.2];

/// Least RMSE against golden of the classes of colour, after the first; the last holds what is not finite.
pub const RMSE_LEVELS: [f64; 7] = [1e-3, 1e-2, 1e-1, 1.0, 1e3, 1e10, f64::INFINITY];

/// Cells of one error model and protection: a row for each target of a model on a data set, a column for each rate.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// How bits go wrong.
    pub error_model: String,
    /// What protects the models.
    pub protection: String,
    /// The rates, ascending.
    pub rates: Vec<f64>,
    /// The rows, in the order of every export.
    pub rows: Vec<HeatRow>,
}

/// One target of one model on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatRow {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// What is hit.
    pub target: String,
    /// One field a rate; none where there is no cell.
    pub fields: Vec<Option<HeatField>>,
}

/// What is told of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatField {
    /// Class of its colour, from 0, nothing lost, to 7; none where the score is undefined.
    pub level: Option<usize>,
    /// Share of chips that lose more than the severe bound, and mean loss of AUC; or median RMSE against golden where there is no AUC.
    pub shown: String,
}

/// The maps of a campaign: without protection first.
pub fn heat_maps(summary: &Summary) -> Vec<HeatMap> {
    let mut keys: Vec<(bool, &str, &str)> = summary
        .cells
        .iter()
        .filter(|cell| rated(cell).is_some())
        .map(|cell| (cell.protection != "none", cell.error_model.as_str(), cell.protection.as_str()))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|(_, error_model, protection)| heat_map(summary, error_model, protection)).collect()
}

fn rated(cell: &CellLine) -> Option<f64> {
    cell.ber.filter(|ber| *ber > 0.0)
}

fn heat_map(summary: &Summary, error_model: &str, protection: &str) -> HeatMap {
    let cells: Vec<(&CellLine, f64)> = summary
        .cells
        .iter()
        .filter(|cell| cell.error_model == error_model && cell.protection == protection)
        .filter_map(|cell| Some((cell, rated(cell)?)))
        .collect();
    let mut rates: Vec<f64> = cells.iter().map(|cell| cell.1).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let mut rows: Vec<HeatRow> = Vec::new();
    for (cell, ber) in cells {
        let names =
            |row: &HeatRow| (&row.model, &row.data, &row.target) == (&cell.model, &cell.data, &cell.target);
        if !rows.last().is_some_and(names) {
            rows.push(HeatRow {
                model: cell.model.clone(),
                data: cell.data.clone(),
                target: cell.target.clone(),
                fields: vec![None; rates.len()],
            });
        }
        if let (Some(row), Some(place)) = (rows.last_mut(), rates.iter().position(|rate| *rate == ber)) {
            row.fields[place] = Some(HeatField::of(cell));
        }
    }
    HeatMap { error_model: error_model.to_owned(), protection: protection.to_owned(), rates, rows }
}

impl HeatField {
    fn of(cell: &CellLine) -> Self {
        if cell.by_rmse() {
            let value = cell.deviation.rmse_median.unwrap_or(f64::INFINITY);
            return Self { level: Some(level(value, &RMSE_LEVELS)), shown: rmse(Some(value)) };
        }
        Self {
            level: cell.loss.map(|value| level(value, &LOSS_LEVELS)),
            shown: format!("{} · {}", share(cell.severe_share), loss(cell.loss)),
        }
    }
}

fn level(value: f64, levels: &[f64]) -> usize {
    levels.iter().filter(|least| value >= **least).count()
}

/// What the classes of colour mean, the first first.
pub fn legend(levels: &[f64; 7]) -> Vec<String> {
    let name = |value: f64| {
        if value.is_infinite() {
            "not finite".to_owned()
        } else if !(5e-4..1e4).contains(&value) {
            rate(value)
        } else {
            format!("{value}")
        }
    };
    let mut names = vec![format!("< {}", name(levels[0]))];
    names.extend(
        levels.iter().map(
            |least| {
                if least.is_infinite() { name(*least) } else { format!("≥ {}", name(*least)) }
            },
        ),
    );
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_begins_its_class() {
        assert_eq!(
            [-0.1, 0.0, 0.001, 0.0499, 0.05, 0.3].map(|loss| level(loss, &LOSS_LEVELS)),
            [0, 0, 2, 4, 5, 7]
        );
        assert_eq!([0.0, 1e-3, 1e30, f64::INFINITY].map(|rmse| level(rmse, &RMSE_LEVELS)), [0, 1, 6, 7]);
        assert_eq!(legend(&RMSE_LEVELS)[6..], ["≥ 1e10", "not finite"]);
    }
}
