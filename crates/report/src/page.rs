//! The page: one HTML file that needs nothing else, with findings, curves, tables, plan and data.

use minijinja::{Environment, Value, context};

use crate::benefit::{Benefit, columns, front, head};
use crate::chart::chart;
use crate::crossing::{ONSET_LOSS, SEVERE_LOSS};
use crate::panel::Panel;
use crate::quantity::{UNDEFINED, count, loss, rate, score, share, whole};
use crate::summary::{CellLine, Summary};
use crate::svg::{Colours, style, svg};
use crate::terminal::{mean_with_interval, predicted};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
///
/// Errors: none that records can cause; a template that does not fit its values.
pub fn html(summary: &Summary) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("page.html", TEMPLATE)?;
    let panels: Vec<Value> =
        summary.panels.iter().enumerate().map(|(index, panel)| panel_value(summary, index, panel)).collect();
    let colours = style();
    let shown = shown_columns(&summary.cells);
    environment.get_template("page.html")?.render(context! {
        style => Value::from_safe_string(format!("{STYLE}{colours}")),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        panels,
        onset => ONSET_LOSS,
        severe => SEVERE_LOSS,
        columns => shown.iter().map(|place| context! { name => COLUMNS[*place].0, number => COLUMNS[*place].1 }).collect::<Vec<Value>>(),
        cells => summary.cells.iter().map(|cell| {
            let fields = cell_fields(cell);
            shown.iter().map(|place| fields[*place].clone()).collect::<Value>()
        }).collect::<Vec<Value>>(),
        protections => protections(summary),
        goldens => summary.goldens.iter().map(golden_value).collect::<Vec<Value>>(),
        plan => summary.plan.as_str(),
        identity => summary.identity.iter().map(|(key, value)| context! { key => key.as_str(), value => value.as_str() }).collect::<Vec<Value>>(),
        seed => summary.seed.to_string(),
        version => summary.version.as_str(),
        stream_version => summary.stream_version,
        numeric_contract => summary.numeric_contract,
        stand_in => summary.stand_in(),
        trials => whole(summary.trials),
        known => whole(summary.known),
        cell_count => whole(summary.cells.len() as u64),
        csv => Value::from_safe_string(cells_csv(summary)?),
    })
}

/// The protections of each model: a picture, and a row for each.
fn protections(summary: &Summary) -> Vec<Value> {
    let groups = summary.protections.chunk_by(|a, b| (&a.model, &a.data) == (&b.model, &b.data));
    groups
        .enumerate()
        .map(|(index, group)| {
            let group: Vec<&Benefit> = group.iter().collect();
            let columns = columns(&group);
            let drawing = front(&group);
            let svg = drawing.map(|drawing| svg(&drawing, Colours::Page, &format!("front-{index}")));
            let field = |shown: String, key: Option<f64>| {
                context! { shown, key => key.map_or_else(String::new, |key| format!("{key:?}")) }
            };
            let rows: Vec<Value> = group
                .iter()
                .map(|benefit| {
                    let name = format!("{} {}", benefit.protection, benefit.mark());
                    let mut row = vec![
                        context! { shown => name.as_str(), key => benefit.protection.as_str() },
                        field(loss(benefit.mean_gain), benefit.mean_gain),
                        field(benefit.memory_in_words(), benefit.memory_share),
                        field(benefit.time_in_words(), benefit.time),
                        field(loss(benefit.golden_change), benefit.golden_change),
                    ];
                    row.extend(columns.iter().map(|column| {
                        let gain = benefit.gains.iter().find(|gain| {
                            (&gain.target, &gain.error_model, gain.ber) == (&column.0, &column.1, column.2)
                        });
                        gain.map_or_else(
                            || field(UNDEFINED.to_owned(), None),
                            |gain| field(Benefit::gain_in_words(gain), gain.gain),
                        )
                    }));
                    row.push(context! { shown => benefit.assumptions.as_str(), key => "" });
                    Value::from(row)
                })
                .collect();
            context! {
                title => format!("{} on {}", group[0].model, group[0].data),
                svg => svg.map(Value::from_safe_string),
                columns => columns.iter().map(head).collect::<Vec<String>>(),
                rows,
            }
        })
        .collect()
}

fn panel_value(summary: &Summary, index: usize, panel: &Panel) -> Value {
    let drawing = chart(panel, summary);
    let svg = drawing.map(|drawing| svg(&drawing, Colours::Page, &format!("chart-{index}")));
    let curves: Vec<Value> = panel
        .by_fragility()
        .into_iter()
        .map(|curve| {
            context! {
                target => curve.target.as_str(),
                onset => curve.onset.to_string(),
                severe => curve.severe.to_string(),
                half => curve.half.to_string(),
                half_predicted => curve.half_predicted.to_string(),
            }
        })
        .collect();
    // What breaks stands out from the rates that follow the colon, and no line ends inside a rate.
    let finding = panel.finding();
    let (lead, rest) = finding.split_at(finding.find(": ").unwrap_or(finding.len()));
    let rest = rest.replace("e-", "e\u{2011}");
    context! {
        title => panel.title(),
        has_rates => panel.has_rates(),
        lead,
        rest,
        golden => panel.golden_line(),
        stand_in => panel.stand_in,
        svg => svg.map(Value::from_safe_string),
        curves,
    }
}

/// Heads of the table of cells, and whether they hold numbers.
const COLUMNS: [(&str, bool); 18] = [
    ("model", false),
    ("data", false),
    ("target", false),
    ("error model", false),
    ("protection", false),
    ("BER", true),
    ("flips", true),
    ("n", true),
    ("mean AUC [95 %]", true),
    ("loss", true),
    ("min", true),
    ("median", true),
    ("max", true),
    ("sd", true),
    ("NaN chips", true),
    ("collapsed", true),
    ("predicted", true),
    ("exposed bits", true),
];

/// Places of the columns that the table shows: error model and protection only where there are several.
fn shown_columns(cells: &[CellLine]) -> Vec<usize> {
    let several = |name: fn(&CellLine) -> &str| cells.iter().any(|cell| name(cell) != name(&cells[0]));
    (0..COLUMNS.len())
        .filter(|place| match COLUMNS[*place].0 {
            "error model" => several(|cell| &cell.error_model),
            "protection" => several(|cell| &cell.protection),
            _ => true,
        })
        .collect()
}

fn cell_fields(cell: &CellLine) -> Vec<Value> {
    // What is shown, and what it is sorted by.
    let field = |shown: String, key: String| context! { shown, key };
    let name = |name: &str| field(name.to_owned(), name.to_owned());
    let real = |value: Option<f64>, shown: String| {
        field(shown, value.map_or_else(String::new, |value| format!("{value:?}")))
    };
    let exact = |value: u64| field(whole(value), value.to_string());
    let data = if cell.stand_in { format!("{} (stand-in)", cell.data) } else { cell.data.clone() };
    vec![
        name(&cell.model),
        name(&data),
        name(&cell.target),
        name(&cell.error_model),
        name(&cell.protection),
        real(cell.ber, cell.ber.map_or_else(|| UNDEFINED.to_owned(), rate)),
        real(cell.flips_mean, count(cell.flips_mean)),
        exact(cell.n),
        real(cell.mean, mean_with_interval(cell)),
        real(cell.loss, loss(cell.loss)),
        real(cell.min, score(cell.min)),
        real(cell.median, score(cell.median)),
        real(cell.max, score(cell.max)),
        real(cell.sd, score(cell.sd)),
        real(cell.non_finite_share, with_bound(cell.non_finite_share, cell.non_finite_high)),
        real(cell.collapse, share(cell.collapse)),
        real(cell.predicted, predicted(cell)),
        exact(cell.exposed_bits),
    ]
}

/// A share, and what no event at all still allows.
fn with_bound(value: Option<f64>, high: Option<f64>) -> String {
    match high {
        // A bound is rounded up, to a tenth of a percent.
        Some(high) if value == Some(0.0) => {
            format!("0 % (≤ {})", share(Some((1000.0 * high).ceil() / 1000.0)))
        }
        _ => share(value),
    }
}

fn golden_value(golden: &crate::summary::GoldenLine) -> Value {
    context! {
        model => golden.model.as_str(),
        data => golden.data.as_str(),
        protection => golden.protection.as_str(),
        auc => score(golden.auc),
        log_loss => score(golden.log_loss),
        rows => whole(golden.rows),
        positives => whole(golden.positives),
        split => golden.split.as_str(),
        parameters => whole(golden.parameters),
        stand_in => golden.stand_in,
        model_fingerprint => golden.model_fingerprint.as_str(),
        data_fingerprint => golden.data_fingerprint.as_str(),
        seconds => format!("{:.2}", golden.seconds),
    }
}

/// The cells as a `data:` address of csv.
fn cells_csv(summary: &Summary) -> Result<String, minijinja::Error> {
    let mut csv = Vec::new();
    radhard_records::export::write_cells(&mut csv, &summary.records).map_err(|source| {
        minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, source.to_string())
    })?;
    let mut address = String::from("data:text/csv;charset=utf-8,");
    for byte in csv {
        if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
            address.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    Ok(address)
}
