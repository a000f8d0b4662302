//! Figures 4 to 6: dummy models by hidden and embedding width, one map a rate and component.

use radhard_metrics::TrialScores;
use radhard_report::drawing::{Anchor, Drawing, Ink, Shape, Stroke};
use radhard_report::quantity::{rate, share};

use crate::campaigns::WEIGHTS;
use crate::dummy::DummyShape;
use crate::figures::plot::{line, text};
use crate::findings::{CellFindings, Findings, Place};

const CELL_WIDTH: f64 = 88.0;
const CELL_HEIGHT: f64 = 46.0;
const LEFT: f64 = 92.0;
const GAP: f64 = 26.0;
const TITLE: f64 = 58.0;
const ABOVE: f64 = 44.0;

/// The components in the paper's order and by its names, and the targets that they are here; last the paper's own target, which
/// leaves biases out.
const COMPONENTS: [(&str, &str); 4] = [
    ("Entire Model", "all"),
    ("MLP", "dense"),
    ("Embedding", "embedding"),
    ("Entire Model, weights only", WEIGHTS),
];

/// The maps of one figure: components down, rates across; hidden widths down and embedding widths across in each.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// What it shows, in a line.
    pub title: String,
    widths: Vec<usize>,
    rates: Vec<f64>,
    /// By component, rate, hidden width and embedding width.
    fields: Vec<Option<Failures>>,
}

/// What became of the chips of one dummy cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failures {
    /// Chips.
    pub chips: u64,
    /// Chips whose RMSE the paper prints as inf or nan: more than one output that is no finite number, or an RMSE beyond
    /// f32.
    pub printed: u64,
    /// Median RMSE over the chips; a chip without one counts as infinite.
    pub median_rmse: f64,
    /// Share of outputs that are no finite number, over all chips.
    pub non_finite: f64,
    /// Share of outputs that differ from golden, over all chips.
    pub touched: f64,
}

impl Failures {
    /// What became of a cell's chips; `None` of none.
    pub fn of(cell: &CellFindings) -> Option<Self> {
        let chips = cell.trials.len() as u64;
        let rows: u64 = cell.trials.iter().map(|trial| trial.scores.rows).sum();
        if rows == 0 {
            return None;
        }
        let mut rmse: Vec<f64> =
            cell.trials.iter().map(|trial| trial.scores.rmse.unwrap_or(f64::INFINITY)).collect();
        rmse.sort_by(f64::total_cmp);
        let non_finite: u64 =
            cell.trials.iter().map(|trial| trial.scores.non_finite + trial.scores.saturated).sum();
        let masked: u64 = cell.trials.iter().map(|trial| trial.scores.masked).sum();
        Some(Self {
            chips,
            printed: cell.count(printed_inf_nan),
            median_rmse: f64::midpoint(rmse[(rmse.len() - 1) / 2], rmse[rmse.len() / 2]),
            non_finite: non_finite as f64 / rows as f64,
            touched: 1.0 - masked as f64 / rows as f64,
        })
    }
}

/// Whether the paper prints a chip as inf or nan: more than one output is no finite number, or the RMSE is beyond f32.
pub(crate) fn printed_inf_nan(scores: &TrialScores) -> bool {
    scores.non_finite + scores.saturated > 1 || overflows(scores.rmse)
}

/// Whether an RMSE computed in f32 is no number: its mean of squares is beyond f32.
pub(crate) fn overflows(rmse: Option<f64>) -> bool {
    rmse.is_none_or(|rmse| rmse.is_nan() || rmse * rmse > f64::from(f32::MAX))
}

/// The maps of the dummy models of one depth and sparsity.
pub fn heat_maps(
    findings: &Findings,
    (depth, sparsity): (usize, f64),
    widths: &[usize],
    rates: &[f64],
    title: &str,
) -> HeatMap {
    let mut fields = Vec::new();
    for (_, target) in COMPONENTS {
        for &ber in rates {
            for &hidden in widths {
                for &embedding in widths {
                    let shape = DummyShape { depth, hidden, embedding, sparsity };
                    // The data set's name does not tell the sparsity: the model's name does.
                    let cell = findings.cell(&Place::new(&shape.name(), &shape.data(), target), ber);
                    fields.push(cell.and_then(Failures::of));
                }
            }
        }
    }
    HeatMap { title: title.to_owned(), widths: widths.to_vec(), rates: rates.to_vec(), fields }
}

impl HeatMap {
    /// The values in the order of the drawing, with component, rate, hidden and embedding width.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, f64, usize, usize, Option<Failures>)> + '_ {
        let side = self.widths.len();
        self.fields.iter().enumerate().map(move |(place, field)| {
            let (embedding, rest) = (place % side, place / side);
            let (hidden, rest) = (rest % side, rest / side);
            let (at_rate, component) = (rest % self.rates.len(), rest / self.rates.len());
            let component = COMPONENTS[component].0;
            (component, self.rates[at_rate], self.widths[hidden], self.widths[embedding], *field)
        })
    }

    /// The drawing; none where nothing was measured.
    pub fn drawing(&self) -> Option<Drawing> {
        self.fields.iter().flatten().next()?;
        let side = self.widths.len() as f64;
        let (map_width, map_height) = (side * CELL_WIDTH, side * CELL_HEIGHT);
        let mut shapes = vec![
            text((16.0, 26.0), &self.title, 16, Anchor::Start, Ink::Text, true),
            text(
                (16.0, 46.0),
                "in each field: median RMSE (inf/nan as the paper prints it); chips printed so; outputs not finite · touched. \
                 Darker: more chips fail",
                12,
                Anchor::Start,
                Ink::Muted,
                false,
            ),
        ];
        let of_component = self.rates.len() * self.widths.len() * self.widths.len();
        // A component of which nothing was measured has no row.
        let shown: Vec<usize> = (0..COMPONENTS.len())
            .filter(|place| {
                self.fields[place * of_component..(place + 1) * of_component].iter().any(Option::is_some)
            })
            .collect();
        for (row_of_maps, &component) in shown.iter().enumerate() {
            let name = COMPONENTS[component].0;
            for (place, ber) in self.rates.iter().enumerate() {
                let left = LEFT + place as f64 * (map_width + GAP);
                let top = TITLE + ABOVE + row_of_maps as f64 * (map_height + ABOVE + GAP);
                let title = format!("{name} · {}", rate(*ber));
                shapes.push(text((left, top - 20.0), &title, 13, Anchor::Start, Ink::Text, true));
                for (column, width) in self.widths.iter().enumerate() {
                    let x = left + (column as f64 + 0.5) * CELL_WIDTH;
                    let name = format!("e {width}");
                    shapes.push(text((x, top - 5.0), &name, 10, Anchor::Middle, Ink::Muted, false));
                }
                for (row, width) in self.widths.iter().enumerate() {
                    let y = top + (row as f64 + 0.5) * CELL_HEIGHT;
                    if place == 0 {
                        let name = format!("hidden {width}");
                        shapes.push(text((left - 8.0, y + 4.0), &name, 11, Anchor::End, Ink::Muted, false));
                    }
                    for column in 0..self.widths.len() {
                        let at = ((component * self.rates.len() + place) * self.widths.len() + row)
                            * self.widths.len()
                            + column;
                        let corner = (left + column as f64 * CELL_WIDTH, top + row as f64 * CELL_HEIGHT);
                        field(self.fields[at], corner, &mut shapes);
                    }
                }
            }
        }
        Some(Drawing {
            width: LEFT + self.rates.len() as f64 * (map_width + GAP),
            height: TITLE + shown.len() as f64 * (map_height + ABOVE + GAP),
            title: self.title.clone(),
            description: "Maps of dummy models: components down, bit error rates across; in each map hidden widths down and \
                          embedding widths across. The data file beside the picture holds the values."
                .to_owned(),
            shapes,
        })
    }
}

fn field(failures: Option<Failures>, (x, y): (f64, f64), shapes: &mut Vec<Shape>) {
    let (right, bottom) = (x + CELL_WIDTH - 2.0, y + CELL_HEIGHT - 2.0);
    let outline = vec![(x, y), (right, y), (right, bottom), (x, bottom)];
    if let Some(failures) = failures {
        // Each layer of ink adds an eighth.
        let layers = (8.0 * failures.printed as f64 / failures.chips as f64).round() as usize;
        shapes.extend((0..layers).map(|_| Shape::Area { points: outline.clone(), ink: Ink::Series(1) }));
    }
    let mut frame = outline;
    frame.push((x, y));
    shapes.push(line(frame, Ink::Grid, 1.0, Stroke::Solid));
    let middle = f64::midpoint(x, right);
    let Some(failures) = failures else {
        shapes.push(text((middle, y + 26.0), "–", 12, Anchor::Middle, Ink::Muted, false));
        return;
    };
    let shown = if overflows(Some(failures.median_rmse)) {
        "inf/nan".to_owned()
    } else if failures.median_rmse < 0.005 {
        "0.0".to_owned()
    } else if failures.median_rmse < 1e4 {
        format!("{:.2}", failures.median_rmse)
    } else {
        rate(failures.median_rmse)
    };
    let chips = format!("{}/{} chips", failures.printed, failures.chips);
    let outputs = format!("{} · {}", share(Some(failures.non_finite)), share(Some(failures.touched)));
    shapes.push(text((middle, y + 14.0), &shown, 12, Anchor::Middle, Ink::Text, true));
    shapes.push(text((middle, y + 27.0), &chips, 9, Anchor::Middle, Ink::Text, false));
    shapes.push(text((middle, y + 39.0), &outputs, 9, Anchor::Middle, Ink::Text, false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rmse_whose_square_leaves_f32_is_printed_as_inf() {
        assert!(overflows(None) && overflows(Some(f64::INFINITY)) && overflows(Some(1.9e19)));
        assert!(!overflows(Some(1.8e19)) && !overflows(Some(0.0)));
    }
}
