//! The page: one HTML file that needs nothing else, with findings, curves, tables, plan and data.

use minijinja::{Environment, Value, context};

use crate::benefit::{Benefit, Gain, columns, front, head};
use crate::chart::chart;
use crate::crossing::{Crossing, DEVIATION};
use crate::embedded::embedded;
use crate::finding::{Finding, Limit};
use crate::folio::{SECTIONS, Section, values};
use crate::heat::{HeatField, HeatMap, HeatRow, LOSS_LEVELS, RMSE_LEVELS, heat_maps, legend};
use crate::leading;
use crate::noticing::Share;
use crate::panel::{Curve, Panel};
use crate::prediction::tally;
use crate::quantity::{UNDEFINED, count, loss, rate, rmse, score, share, share_with_ends, whole, with_ends};
use crate::sentence::{joined, sentences_of};
use crate::summary::{CellLine, Summary};
use crate::svg::{Colours, style, svg};
use crate::terminal::{finite_or_infinite, mean_with_interval, predicted, rmse_with_interval, title};
use crate::terms::terms;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// The scripts, in the order in which they need each other.
const SCRIPTS: [&str; 5] = [
    include_str!("page/data.js"),
    include_str!("page/plot.js"),
    include_str!("page/explorer.js"),
    include_str!("page/tables.js"),
    include_str!("page/downloads.js"),
];
/// Findings that the summary tells in sentences; the table beneath holds all.
const SENTENCES: usize = 6;

/// Columns of the table of costs.
const COST_COLUMNS: [&str; 9] = [
    "protection",
    "bits a parameter",
    "of the model",
    "operations a row",
    "time",
    "fault-free AUC",
    "calibration rows",
    "false alarms",
    "taken as safe",
];
/// Columns of the table of what was noticed.
const NOTICED_COLUMNS: [&str; 15] = [
    "protection",
    "target",
    "BER",
    "chips found",
    "of those that harm",
    "rows found",
    "found bad",
    "corrected",
    "retries",
    "reloads",
    "bytes",
    "fallbacks",
    "rows found bad",
    "recovered",
    "missed",
];

/// What a page says beside what records say.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Its title, in place of that of a report.
    pub title: Option<String>,
    /// What it is, in a few lines.
    pub lead: Vec<String>,
    /// Sections behind the findings.
    pub first: Vec<Section>,
    /// Sections behind what to buy.
    pub then: Vec<Section>,
}

/// Writes the page.
///
/// Errors: none that records can cause; a template that does not fit its values.
pub fn html(summary: &Summary) -> Result<String, minijinja::Error> {
    framed(summary, Frame::default())
}

/// Writes the page with more around it.
///
/// Errors: as [`html`].
pub fn framed(summary: &Summary, frame: Frame) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.add_template("sections.html", SECTIONS)?;
    environment.add_template("page.html", TEMPLATE)?;
    let mut drawn = 0;
    let first = values(frame.first, &mut drawn);
    let then = values(frame.then, &mut drawn);
    let charts: Vec<Value> = summary
        .panels
        .iter()
        .enumerate()
        .filter_map(|(index, panel)| {
            Some(svg(&chart(panel, summary)?, Colours::Page, &format!("chart-{index}")))
        })
        .map(Value::from_safe_string)
        .collect();
    let columns = shown_columns(&summary.cells);
    let data = embedded(summary).map_err(|source| {
        minijinja::Error::new(minijinja::ErrorKind::BadSerialization, source.to_string())
    })?;
    environment.get_template("page.html")?.render(context! {
        style => Value::from_safe_string(format!("{STYLE}{}", style())),
        script => Value::from_safe_string(SCRIPTS.join("")),
        data => Value::from_safe_string(data),
        title => frame.title.clone().unwrap_or_else(|| page_title(summary)),
        heading => frame.title.clone().unwrap_or_else(|| page_title(summary)),
        about => title(summary),
        date => summary.date.as_deref(),
        boxes => summary
            .boxes
            .iter()
            .map(|one| context! { question => one.question.as_str(), answer => one.answer.replace("e-", "e\u{2011}"), grade => one.grade.word(), class => one.grade.word().replace(' ', "-") })
            .collect::<Vec<Value>>(),
        unfinished => summary.progress.unfinished(),
        predictions => tally(&summary.cells),
        terms => terms(),
        rates => {
            let mut rates: Vec<f64> = summary.cells.iter().filter_map(|cell| cell.ber).collect();
            rates.sort_by(f64::total_cmp);
            rates.dedup();
            rates.into_iter().map(|value| context! { key => format!("{value:?}"), shown => rate(value) }).collect::<Vec<Value>>()
        },
        lead => frame.lead,
        first,
        then,
        scripted => true,
        findings => findings(summary),
        advice => advices(summary),
        breaking => breaking(summary),
        with_rmse => summary.panels.iter().any(Panel::by_rmse),
        with_auc => !summary.panels.iter().all(Panel::by_rmse),
        dimensions => dimensions(summary),
        charts,
        heat => heat_maps(summary).iter().map(heat_value).collect::<Vec<Value>>(),
        loss_levels => legend(&LOSS_LEVELS),
        rmse_levels => legend(&RMSE_LEVELS),
        onset => radhard_metrics::tail::BAD,
        severe => radhard_metrics::tail::SEVERE,
        deviation => DEVIATION,
        columns => columns
            .iter()
            .map(|column| context! { name => column.name, field => column.field, number => column.number })
            .collect::<Vec<Value>>(),
        cells => summary
            .cells
            .iter()
            .map(|cell| columns.iter().map(|column| Value::from((column.shown)(cell))).collect::<Value>())
            .collect::<Vec<Value>>(),
        protections => protections(summary),
        cost_columns => COST_COLUMNS,
        noticed_columns => NOTICED_COLUMNS,
        goldens => summary.goldens.iter().map(golden_value).collect::<Vec<Value>>(),
        fingerprints => fingerprints(summary),
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
    })
}

/// The subject of the page.
fn page_title(summary: &Summary) -> String {
    let subject = leading::panels(summary).first().map(|panel| panel.subject());
    subject.map_or_else(|| "radhard report".to_owned(), |subject| format!("{subject}: what breaks first"))
}

fn findings(summary: &Summary) -> Value {
    let panels = leading::panels(summary);
    let sentences: Vec<Value> = panels
        .iter()
        .take(SENTENCES)
        .map(|panel| {
            let mut sentences = sentences_of(summary, panel).into_iter();
            // The first sentence stands out, and no line ends inside a rate.
            let whole = |text: &str| text.replace("e-", "e\u{2011}");
            let lead = sentences.next().map(|first| whole(&joined(&[first])));
            let rest = whole(&joined(&sentences.collect::<Vec<_>>()));
            let golden = if panel.by_rmse() { String::new() } else { panel.golden_line() };
            context! { title => panel.title(), lead, rest, golden }
        })
        .collect();
    context! { sentences, further => panels.len().saturating_sub(SENTENCES) }
}

fn advices(summary: &Summary) -> Vec<Value> {
    summary
        .advices
        .iter()
        .map(|one| {
            let title = format!("{} on {}", one.model, one.data);
            context! { title, text => joined(&[one.in_words(summary.timed)]), grade => one.grade().word() }
        })
        .collect()
}

/// One row for each curve, by the lowest rates that are shown to exceed a bound.
fn breaking(summary: &Summary) -> Vec<Value> {
    let mut rows: Vec<(&Panel, &Curve)> = summary
        .panels
        .iter()
        .flat_map(|panel| panel.curves.iter().map(move |curve| (panel, curve)))
        .collect();
    // Protected curves are in the JSON, and compared with these under the protections.
    let any_bare = summary.panels.iter().any(|panel| panel.protection == "none");
    let order = |(panel, curve): &(&Panel, &Curve)| leading::order(summary, panel, &curve.target);
    rows.sort_by(|a, b| leading::compare(order(a), order(b)));
    rows.into_iter()
        .filter(|(panel, _)| panel.has_rates() && (panel.protection == "none" || !any_bare))
        .map(|(panel, curve)| {
            let crossing = |crossing: Crossing| {
                let key = match crossing {
                    Crossing::Below(rate) => format!("{:?}", rate * 0.999),
                    Crossing::At(rate) => format!("{rate:?}"),
                    Crossing::Above(rate) => format!("{:?}", rate * 1.001),
                    Crossing::Undefined => String::new(),
                };
                context! { shown => crossing.to_string(), key }
            };
            let bracket = |limit| {
                let finding = leading::of(summary, panel, &curve.target, limit);
                let key = finding.and_then(|finding| finding.smallest_beyond);
                let more = finding.and_then(|finding| finding.more_chips);
                context! {
                    shown => finding.map_or_else(|| UNDEFINED.to_owned(), Finding::bracket_in_words),
                    key => key.map_or_else(String::new, |key| format!("{key:?}")),
                    more => more.map(|more| whole(crate::finding::rounded(more))),
                }
            };
            context! {
                subject => panel.title(),
                target => curve.target.as_str(),
                onset => bracket(Limit::Bad),
                severe => bracket(Limit::Severe),
                half => bracket(Limit::Half),
                half_predicted => crossing(curve.half_predicted),
                deviating => crossing(curve.deviating),
                non_finite => crossing(curve.non_finite),
            }
        })
        .collect()
}

/// What the controls of the chart choose from; what breaks first is chosen at the beginning.
fn dimensions(summary: &Summary) -> Vec<Value> {
    type Name = fn(&CellLine) -> &str;
    let first = leading::panels(summary).first().copied();
    let mut out = Vec::new();
    let fields: [(&str, &str, Name); 5] = [
        ("model", "model", |cell| &cell.model),
        ("data", "data set", |cell| &cell.data),
        ("target", "target", |cell| &cell.target),
        ("error_model", "error model", |cell| &cell.error_model),
        ("protection", "protection", |cell| &cell.protection),
    ];
    for (name, label, of) in fields {
        let mut values: Vec<&str> = summary.cells.iter().map(of).collect();
        values.sort_unstable();
        values.dedup();
        if name == "protection" {
            values.sort_by_key(|value| *value != "none");
        }
        let chosen = first.and_then(|panel| match name {
            "model" => Some(panel.model.as_str()),
            "data" => Some(panel.data.as_str()),
            "error_model" => Some(panel.error_model.as_str()),
            "protection" => Some(panel.protection.as_str()),
            _ => None,
        });
        let values: Vec<Value> = values.into_iter().map(Value::from).collect();
        out.push(context! { name, label, values, chosen => chosen.map(str::to_owned) });
    }
    out
}

fn heat_value(map: &HeatMap) -> Value {
    let first = &map.rows[0];
    let several = |name: fn(&HeatRow) -> &str| map.rows.iter().any(|row| name(row) != name(first));
    let (models, sets) = (several(|row| &row.model), several(|row| &row.data));
    let mut title = map.error_model.clone();
    title.push_str(if map.protection == "none" { ", unprotected" } else { ", protected by " });
    if map.protection != "none" {
        title.push_str(&map.protection);
    }
    let named = |row: &HeatRow| {
        let mut name: Vec<&str> = Vec::new();
        if models {
            name.push(&row.model);
        }
        if sets {
            name.push(&row.data);
        }
        name.push(&row.target);
        name.join(" · ")
    };
    let rows: Vec<Value> = map
        .rows
        .iter()
        .map(|row| {
            let field = |field: &Option<HeatField>| match field {
                None => context! { shown => "", class => "" },
                Some(field) => context! {
                    shown => field.shown.as_str(),
                    class => field.level.map_or_else(String::new, |level| format!("h{level}")),
                },
            };
            context! { name => named(row), fields => row.fields.iter().map(field).collect::<Vec<Value>>() }
        })
        .collect();
    context! { title, rates => map.rates.iter().map(|value| rate(*value)).collect::<Vec<String>>(), rows }
}

/// The protections of each model: a picture, and a row for each.
fn protections(summary: &Summary) -> Vec<Value> {
    let groups = summary.protections.chunk_by(|a, b| (&a.model, &a.data) == (&b.model, &b.data));
    groups
        .enumerate()
        .map(|(index, group)| {
            let group: Vec<&Benefit> = group.iter().collect();
            let columns = columns(&group);
            let advice = summary
                .advices
                .iter()
                .find(|one| (&one.model, &one.data) == (&group[0].model, &group[0].data));
            let drawing = advice.and_then(|advice| front(&group, advice));
            let svg = drawing.map(|drawing| svg(&drawing, Colours::Page, &format!("front-{index}")));
            let rows: Vec<Value> = group
                .iter()
                .map(|benefit| {
                    let name = format!("{} {}", benefit.protection, benefit.mark());
                    let mut row = vec![
                        context! { shown => name.as_str(), key => benefit.protection.as_str() },
                        advice.and_then(|advice| benefit.gain_at(advice)).map_or_else(
                            || field(UNDEFINED.to_owned(), None),
                            |gain| field(Benefit::gain_in_words(gain), gain.gain),
                        ),
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
                    Value::from(row)
                })
                .collect();
            let costs: Vec<Value> = group.iter().map(|benefit| cost(benefit)).collect();
            let noticed: Vec<Value> = group.iter().flat_map(|benefit| noticed(benefit)).collect();
            context! {
                title => format!("{} on {}", group[0].model, group[0].data),
                at => advice.map_or_else(|| "gain".to_owned(), |advice| format!("gain at {}", rate(advice.at))),
                time_decided => advice.is_none_or(|advice| advice.time == "decided"),
                svg => svg.map(Value::from_safe_string),
                columns => columns.iter().map(head).collect::<Vec<String>>(),
                rows,
                costs,
                noticed,
            }
        })
        .collect()
}

/// A field of a table that sorts by a number.
fn field(shown: String, key: Option<f64>) -> Value {
    context! { shown, key => key.map_or_else(String::new, |key| format!("{key:?}")) }
}

/// A field of a table that sorts by its text.
fn word(shown: &str) -> Value {
    context! { shown, key => shown, text => true }
}

/// What a protection costs, a row.
fn cost(benefit: &Benefit) -> Value {
    Value::from(vec![
        word(&benefit.protection),
        field(benefit.bits_in_words(), benefit.memory_bits_per_parameter),
        field(benefit.memory_in_words(), benefit.memory_share),
        field(count(benefit.operations_per_sample), benefit.operations_per_sample),
        field(benefit.time_in_words(), benefit.time),
        field(loss(benefit.golden_change), benefit.golden_change),
        field(benefit.calibration_in_words(), benefit.calibration_rows.map(|rows| rows as f64)),
        field(benefit.alarms_in_words(), benefit.false_alarms_per_million),
        word(&benefit.assumptions),
    ])
}

/// What a protection noticed and did, a row for each cell in which it had anything to say.
fn noticed(benefit: &Benefit) -> Vec<Value> {
    let said = |gain: &&Gain| gain.noticed.detected > 0.0 || gain.noticed.rows_missed > 0.0;
    let row = |gain: &Gain| {
        let of = &gain.noticed;
        let share_key = |share: &Share| (share.n > 0).then(|| share.count as f64 / share.n as f64);
        // What is shown sorts by itself where it is a number.
        let short = |shown: String| context! { shown };
        let mean = |mean: f64| short(count(Some(mean)));
        Value::from(vec![
            short(benefit.protection.clone()),
            short(head(&(gain.target.clone(), gain.error_model.clone(), None))),
            gain.ber.map_or_else(|| field(UNDEFINED.to_owned(), None), |ber| short(rate(ber))),
            field(of.found.in_words(), share_key(&of.found)),
            field(of.found_of_harmful.in_words(), share_key(&of.found_of_harmful)),
            field(share(of.rows_found_share), of.rows_found_share),
            mean(of.detected),
            mean(of.corrected),
            mean(of.retries),
            mean(of.reloads),
            mean(of.reload_bytes),
            mean(of.fallbacks),
            mean(of.rows_detected),
            mean(of.rows_recovered),
            mean(of.rows_missed),
        ])
    };
    benefit.gains.iter().filter(said).map(row).collect()
}

/// A column of the table of cells.
struct Column {
    /// Its head.
    name: &'static str,
    /// The field of the embedded data that it is sorted by.
    field: &'static str,
    number: bool,
    shown: fn(&CellLine) -> String,
}

const COLUMNS: [Column; 20] = [
    Column::name("model", "model", |cell| cell.model.clone()),
    Column::name("data", "data", |cell| {
        if cell.stand_in { format!("{} (stand-in)", cell.data) } else { cell.data.clone() }
    }),
    Column::name("target", "target", |cell| cell.target.clone()),
    Column::name("error model", "error_model", |cell| cell.error_model.clone()),
    Column::name("protection", "protection", |cell| cell.protection.clone()),
    Column::number("BER", "ber", |cell| cell.ber.map_or_else(|| UNDEFINED.to_owned(), rate)),
    Column::number("flips", "flips_mean", |cell| count(cell.flips_mean)),
    Column::number("n", "n", |cell| whole(cell.n)),
    Column::number("lose > 0.001", "bad_share", |cell| {
        of_chips(cell.bad_share, cell.bad_share_ci_low, cell.bad_share_ci_high)
    }),
    Column::number("lose > 0.05", "severe_share", |cell| {
        of_chips(cell.severe_share, cell.severe_share_ci_low, cell.severe_share_ci_high)
    }),
    Column::number("NaN chips", "non_finite_share", |cell| {
        of_chips(cell.non_finite_share, cell.non_finite_ci_low, cell.non_finite_ci_high)
    }),
    Column::number("median AUC [95 %]", "median", |cell| {
        with_ends(cell.median, cell.median_ci_low, cell.median_ci_high)
    }),
    Column::number("5 %", "p05", |cell| score(cell.p05)),
    Column::number("95 % lose ≤", "loss_q95", |cell| loss(cell.loss_q95)),
    Column::number("mean AUC [95 %]", "mean", mean_with_interval),
    Column::number("mean loss", "loss", |cell| loss(cell.loss)),
    Column::number("predicted", "predicted", predicted),
    Column::number("median RMSE [95 %]", "rmse_median", rmse_with_interval),
    Column::number("largest RMSE", "rmse_max", |cell| {
        rmse(finite_or_infinite(cell, cell.deviation.rmse_max))
    }),
    Column::number("chips not finite", "rmse_undefined_share", |cell| {
        share(cell.deviation.rmse_undefined_share)
    }),
];

impl Column {
    const fn name(name: &'static str, field: &'static str, shown: fn(&CellLine) -> String) -> Self {
        Self { name, field, number: false, shown }
    }

    const fn number(name: &'static str, field: &'static str, shown: fn(&CellLine) -> String) -> Self {
        Self { name, field, number: true, shown }
    }
}

/// The columns that the table shows: error model and protection only where there are several, AUC and RMSE where cells have
/// them.
fn shown_columns(cells: &[CellLine]) -> Vec<&'static Column> {
    const AUC: [&str; 9] = [
        "mean",
        "loss",
        "median",
        "p05",
        "loss_q95",
        "bad_share",
        "severe_share",
        "non_finite_share",
        "predicted",
    ];
    let several = |name: fn(&CellLine) -> &str| cells.iter().any(|cell| name(cell) != name(&cells[0]));
    let with_auc = cells.is_empty() || !cells.iter().all(CellLine::by_rmse);
    COLUMNS
        .iter()
        .filter(|column| match column.field {
            "error_model" => several(|cell| &cell.error_model),
            "protection" => several(|cell| &cell.protection),
            field if field.starts_with("rmse") => cells.iter().any(CellLine::by_rmse),
            field => with_auc || !AUC.contains(&field),
        })
        .collect()
}

/// A share of chips with its interval.
fn of_chips(value: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| share_with_ends(value, low, high))
}

/// Fingerprints of models and data, each once.
fn fingerprints(summary: &Summary) -> Vec<Value> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for golden in &summary.goldens {
        for one in [(&golden.model, &golden.model_fingerprint), (&golden.data, &golden.data_fingerprint)] {
            let one = (one.0.as_str(), one.1.as_str());
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all.into_iter().map(|(name, sha256)| context! { name => name, sha256 => sha256 }).collect()
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
        seconds => golden.seconds.map_or_else(|| UNDEFINED.to_owned(), |seconds| format!("{seconds:.2}")),
    }
}
