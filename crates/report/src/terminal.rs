//! The table for terminals: findings first, then every cell, at most 100 columns wide.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::benefit::Benefit;
use crate::panel::Panel;
use crate::quantity::{count, loss, rate, rmse, score, share, whole};
use crate::summary::{CellLine, Summary};

/// Columns of a terminal that everything fits into.
const WIDTH: usize = 100;

/// Longest name of a target that the table shows whole.
const TARGET_WIDTH: usize = 20;

/// What a campaign found, for a terminal.
///
/// For each model and data set: what breaks first, the rates at which each target breaks, and one line a cell. Data that are a
/// stand-in are marked in every heading; a dash stands for what is undefined.
pub fn terminal_table(summary: &Summary) -> String {
    let mut lines: Vec<String> = Vec::new();
    for panel in &summary.panels {
        let title = printable(&panel.title());
        let rule = "═".repeat(title.chars().count().min(WIDTH));
        lines.extend([title, rule, golden_facts(summary, panel), String::new()]);
        lines.extend(wrapped(&printable(&format!("{}.", panel.finding()))));
        lines.push(String::new());
        if panel.has_rates() {
            lines.extend(printed(&breaking_points(panel)));
            lines.push(String::new());
        }
        lines.extend(printed(&cells(panel)));
        lines.push(String::new());
    }
    lines.extend(protections(summary));
    lines.extend(wrapped(&format!(
        "{} trials on {} cells, {} of them on chips without a flip, whose score is golden. Intervals are for the mean{}, at 95 %. \
         ~ marks predictions that leave something out. BER_50 is where half of the lead over guessing is lost.",
        whole(summary.trials),
        whole(summary.cells.len() as u64),
        whole(summary.known),
        if summary.panels.iter().any(Panel::by_rmse) { ", and for the median of RMSE" } else { "" }
    )));
    if summary.stand_in() {
        lines.push(
            "stand-in: data made up in the shape of the set they are named after, not the set itself."
                .to_owned(),
        );
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What protections win and cost, a line each.
fn protections(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    for group in summary.protections.chunk_by(|a, b| (&a.model, &a.data) == (&b.model, &b.data)) {
        let title =
            format!("protections of {} on {}, against none on the same chips", group[0].model, group[0].data);
        lines.extend([printable(&title), String::new()]);
        for benefit in group {
            let mark = benefit.mark();
            let best = benefit
                .gains
                .iter()
                .filter(|gain| gain.gain.is_some())
                .max_by(|a, b| a.gain.unwrap_or(0.0).total_cmp(&b.gain.unwrap_or(0.0)));
            let best = best.map_or_else(String::new, |gain| {
                let at =
                    gain.ber.map_or_else(String::new, |ber| format!(" at {}", crate::quantity::rate(ber)));
                format!(", most on {}{at}: {}", gain.target, Benefit::gain_in_words(gain))
            });
            lines.push(printable(&format!(
                "{mark} {:24} mean gain {} · memory {} · time {}{best}",
                benefit.protection,
                crate::quantity::loss(benefit.mean_gain),
                benefit.memory_in_words(),
                benefit.time_in_words()
            )));
        }
        lines.push(String::new());
        lines.extend(printed(&costs(group)));
        if let Some(noticed) = noticed(group) {
            lines.extend([String::new(), "found, where most was, means per chip".to_owned(), String::new()]);
            lines.extend(printed(&noticed));
        }
        lines.extend([
            String::new(),
            "◆ no other wins more for less memory and less time · ○ ideal, a bound that nothing to buy reaches".to_owned(),
        ]);
        lines.extend(wrapped(
            "chips: those with something found, of those with flips · rows: of those that the chips change unprotected, those that no check \
             of results missed · false alarms: per million checks of clean data, what none still allows, and how many checks",
        ));
        lines.push(String::new());
    }
    lines
}

/// What protections cost, a row each.
fn costs(group: &[Benefit]) -> Table {
    let header = ["protection", "bits/param", "ops/row", "fault-free", "calibrated", "false alarms"];
    let mut table = table(&header, 1..6);
    for benefit in group {
        table.add_row([
            printable(&benefit.protection),
            benefit.bits_in_words(),
            count(benefit.operations_per_sample),
            loss(benefit.golden_change),
            benefit.calibration_in_words(),
            benefit.alarms_in_words(),
        ]);
    }
    table
}

/// What each protection noticed and did, in the cell where it found most; the page has all cells.
fn noticed(group: &[Benefit]) -> Option<Table> {
    let header = ["protection", "on", "chips", "rows", "bad", "corrected", "retries", "reloads", "replaced"];
    let mut table = table(&header, 2..9);
    for benefit in group {
        let most = benefit.gains.iter().max_by(|a, b| a.noticed.detected.total_cmp(&b.noticed.detected));
        let Some(gain) = most.filter(|gain| gain.noticed.detected > 0.0) else { continue };
        let (of, at) = (&gain.noticed, gain.ber.map_or_else(String::new, |ber| format!(" {}", rate(ber))));
        let mean = |mean: f64| count(Some(mean));
        table.add_row([
            printable(&benefit.protection),
            format!("{}{at}", shortened(&gain.target)),
            format!("{}/{}", of.found.count, of.found.n),
            share(of.rows_found_share),
            mean(of.detected),
            mean(of.corrected),
            mean(of.retries),
            mean(of.reloads),
            mean(of.fallbacks),
        ]);
    }
    (table.row_count() > 0).then_some(table)
}

fn golden_facts(summary: &Summary, panel: &Panel) -> String {
    let golden = summary.goldens.iter().find(|golden| {
        (&golden.model, &golden.data, &golden.protection) == (&panel.model, &panel.data, &panel.protection)
    });
    let facts = golden.map(|golden| {
        format!(
            " · {} rows of {} · {} parameters",
            whole(golden.rows),
            printable(&golden.split),
            whole(golden.parameters)
        )
    });
    panel.golden_line() + &facts.unwrap_or_default()
}

fn table(header: &[&str], right: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    // One line under the head, blanks between columns, and no look at the terminal's width.
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')))
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn breaking_points(panel: &Panel) -> Table {
    if panel.by_rmse() {
        let header = ["target", "median RMSE > 0.01 at", "half of the chips not finite at"];
        let mut table = table(&header, 1..3);
        for curve in panel.by_fragility() {
            let rates = [curve.deviating, curve.non_finite].map(|crossing| crossing.to_string());
            table.add_row([vec![shortened(&curve.target)], rates.to_vec()].concat());
        }
        return table;
    }
    let header = ["target", "loss > 0.001 at", "loss > 0.05 at", "BER_50", "predicted BER_50"];
    let mut table = table(&header, 1..5);
    for curve in panel.by_fragility() {
        table.add_row([
            shortened(&curve.target),
            curve.onset.to_string(),
            curve.severe.to_string(),
            curve.half.to_string(),
            curve.half_predicted.to_string(),
        ]);
    }
    table
}

fn cells(panel: &Panel) -> Table {
    let auc = ["target", "BER", "flips", "n", "mean AUC [95 %]", "min–max", "loss", "NaN", "predicted"];
    let distance =
        ["target", "BER", "flips", "n", "median RMSE [95 %]", "min–max", "chips not finite", "outputs"];
    let by_rmse = panel.by_rmse();
    let header: &[&str] = if by_rmse { &distance } else { &auc };
    let mut table = table(header, 1..header.len());
    for (place, curve) in panel.curves.iter().enumerate() {
        if place > 0 {
            table.add_row([""]);
        }
        for (index, cell) in curve.cells.iter().enumerate() {
            let target = if index == 0 { shortened(&curve.target) } else { String::new() };
            if by_rmse {
                table.add_row(deviations(target, cell));
                continue;
            }
            table.add_row(
                [
                    target,
                    cell.ber.map_or_else(|| score(None), rate),
                    count(cell.flips_mean),
                    cell.n.to_string(),
                    mean_with_interval(cell),
                    format!("{}–{}", score(cell.min), score(cell.max)),
                    loss(cell.loss),
                    share(cell.non_finite_share),
                    predicted(cell),
                ]
                .map(Cell::new),
            );
        }
    }
    table
}

/// One line of a model without an AUC.
fn deviations(target: String, cell: &CellLine) -> [String; 8] {
    let deviation = &cell.deviation;
    [
        target,
        cell.ber.map_or_else(|| score(None), rate),
        count(cell.flips_mean),
        cell.n.to_string(),
        rmse_with_interval(cell),
        format!(
            "{}–{}",
            rmse(finite_or_infinite(cell, deviation.rmse_min)),
            rmse(finite_or_infinite(cell, deviation.rmse_max))
        ),
        share(deviation.rmse_undefined_share),
        share(deviation.output_non_finite_share),
    ]
}

/// Mean and interval of a cell, as in `0.7891 [0.7880, 0.7899]`.
pub(crate) fn mean_with_interval(cell: &CellLine) -> String {
    match (cell.ci_low, cell.ci_high) {
        (Some(_), Some(_)) => {
            format!("{} [{}, {}]", score(cell.mean), score(cell.ci_low), score(cell.ci_high))
        }
        _ => score(cell.mean),
    }
}

/// Median RMSE of a cell and its interval; ∞ where chips have outputs that are no finite numbers.
pub(crate) fn rmse_with_interval(cell: &CellLine) -> String {
    let deviation = &cell.deviation;
    let or_infinite = |value| rmse(finite_or_infinite(cell, value));
    match deviation.rmse_low {
        Some(low) => format!(
            "{} [{}, {}]",
            or_infinite(deviation.rmse_median),
            rmse(Some(low)),
            or_infinite(deviation.rmse_high)
        ),
        None => or_infinite(deviation.rmse_median),
    }
}

/// A distance from golden, infinite where chips without one make it so.
pub(crate) fn finite_or_infinite(cell: &CellLine, value: Option<f64>) -> Option<f64> {
    value.or(cell.deviation.rmse_undefined_share.filter(|share| *share > 0.0).map(|_| f64::INFINITY))
}

/// The prediction of a cell, marked where it leaves something out.
pub(crate) fn predicted(cell: &CellLine) -> String {
    let mark = if cell.prediction.as_deref() == Some("approximate") { "~" } else { "" };
    format!("{mark}{}", score(cell.predicted))
}

/// Names come from users: what a terminal would obey is shown as `?`.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

fn shortened(name: &str) -> String {
    let name = printable(name);
    if name.chars().count() <= TARGET_WIDTH {
        return name;
    }
    name.chars().take(TARGET_WIDTH - 1).chain(['…']).collect()
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The lines of a table without blanks at their ends.
fn printed(table: &Table) -> Vec<String> {
    table.to_string().lines().map(|line| line.trim_end().to_owned()).collect()
}
