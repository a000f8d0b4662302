//! Text for terminals, at most 80 columns wide: the decision first, and every cell where it is wanted.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::benefit::Benefit;
use crate::finding::{Finding, Limit};
use crate::leading;
use crate::panel::Panel;
use crate::quantity::{count, loss, rate, rmse, score, share, share_with_ends, whole};
use crate::sentence::{joined, sentences_of};
use crate::summary::{CellLine, Summary};

/// Columns of a terminal that everything fits into.
const WIDTH: usize = 80;

/// Longest name of a target that a table shows whole.
const TARGET_WIDTH: usize = 20;

/// Findings of a campaign, in a few lines: the three questions with their answers and how sure these are.
///
/// Data that are a stand-in are marked in the heading.
pub fn terminal_summary(summary: &Summary) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(wrapped(&printable(&title(summary)), ""));
    for one in &summary.boxes {
        lines.push(String::new());
        lines.extend(wrapped(&format!("{}  [{}]", printable(&one.question), one.grade.word()), ""));
        lines.extend(wrapped(&printable(&one.answer), "  "));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Names, chips and trials of a campaign, in a line.
pub fn title(summary: &Summary) -> String {
    let mut subjects: Vec<String> = leading::panels(summary).iter().map(|panel| panel.subject()).collect();
    let mut seen = std::collections::BTreeSet::new();
    subjects.retain(|subject| seen.insert(subject.clone()));
    let named = match subjects.as_slice() {
        [] => "No cell was run".to_owned(),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    };
    format!(
        "{named}: {} trials on {} cells, seed {}",
        whole(summary.trials),
        whole(summary.cells.len() as u64),
        summary.seed
    )
}

/// Every cell, for a terminal: for each model and data set what is shown, the rates at which each target breaks, one line a cell for
/// shares of chips and one for scores; then protections. A dash stands for what is undefined.
pub fn terminal_cells(summary: &Summary) -> String {
    let mut lines: Vec<String> = Vec::new();
    for panel in &summary.panels {
        let title = printable(&panel.title());
        let rule = "═".repeat(title.chars().count().min(WIDTH));
        lines.extend([title, rule]);
        lines.extend(wrapped(&golden_facts(summary, panel), ""));
        lines.push(String::new());
        for sentence in sentences_of(summary, panel) {
            lines.extend(wrapped(&printable(&joined(&[sentence])), ""));
        }
        lines.push(String::new());
        if panel.has_rates() && !panel.by_rmse() {
            lines.extend(printed(&breaking_points(summary, panel)));
            lines.push(String::new());
        }
        if panel.by_rmse() {
            lines.extend(distances(panel));
            lines.push(String::new());
        } else {
            lines.extend(shares(panel));
            lines.push(String::new());
            lines.extend(scores(panel));
            lines.push(String::new());
        }
    }
    lines.extend(protections(summary));
    lines.extend(wrapped(
        &format!(
            "{} trials on {} cells; {} of these had no bit error, so their score is that of the fault-free model. q95: the loss that 95 % of the chips stay within. \
             Intervals are at 95 %: exact for shares and quantiles, valid at every number of chips for means{}. \
             Rates: the largest shown to lose no more … the smallest shown to lose more; ? where neither is shown. \
             ~ approximate prediction: effects of second order are ignored. BER_50 is where half of the advantage over random ranking is lost.",
            whole(summary.trials),
            whole(summary.cells.len() as u64),
            whole(summary.known),
            if summary.panels.iter().any(Panel::by_rmse) { ", by order statistics for the median of RMSE" } else { "" }
        ),
        "",
    ));
    if summary.stand_in() {
        lines.extend(wrapped(
            "stand-in: synthetic data in the shape of the set they are named after, not the set itself.",
            "",
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Gains and costs of protections.
fn protections(summary: &Summary) -> Vec<String> {
    let mut lines = Vec::new();
    for group in summary.protections.chunk_by(|a, b| (&a.model, &a.data) == (&b.model, &b.data)) {
        let title = format!("Protections of {} on {}", group[0].model, group[0].data);
        lines.extend([printable(&title), String::new()]);
        let advice =
            summary.advices.iter().find(|one| (&one.model, &one.data) == (&group[0].model, &group[0].data));
        if let Some(advice) = advice {
            lines.extend(wrapped(&printable(&joined(&[advice.in_words(summary.timed)])), ""));
            lines.push(String::new());
            let mut table = table(&["", "protection", "gain of AUC [95 %]", "severe chips", "memory"], 2..5);
            for one in &advice.options {
                let mark = group.iter().find(|benefit| benefit.protection == one.protection);
                let gain = crate::quantity::with_ends(one.gain, one.gain_ci_low, one.gain_ci_high);
                let severe = one.severe_share.map_or_else(
                    || score(None),
                    |value| share_with_ends(value, one.severe_share_ci_low, one.severe_share_ci_high),
                );
                let memory = mark.map_or_else(String::new, Benefit::memory_in_words);
                let mark = mark.map_or(" ", Benefit::mark);
                table.add_row([mark.to_owned(), shortened(&one.protection), gain, severe, memory]);
            }
            lines.extend(printed(&table));
            lines.extend(wrapped(
                "◆ shown to help, and nothing shown to be as good costs less · ○ ideal protection, for comparison only; it cannot be built",
                "",
            ));
            lines.push(String::new());
        }
        lines.extend(printed(&costs(group)));
        if let Some(noticed) = noticed(group) {
            lines.push(String::new());
            lines.extend(wrapped(
                "Errors detected per chip (in the cell where each protection detected most)",
                "",
            ));
            lines.push(String::new());
            lines.extend(printed(&noticed));
        }
        lines.push(String::new());
        lines.extend(wrapped(
            "chips: with a detection / with any bit error · rows: share of wrongly scored rows that a check caught · false alarms per million \
             checks of fault-free data (upper 95 % limit if none was seen)",
            "",
        ));
        lines.push(String::new());
    }
    lines
}

/// What protections cost, a row each.
fn costs(group: &[Benefit]) -> Table {
    let header = ["protection", "bits/param", "ops/row", "fault-free", "false alarms", "time"];
    let mut table = table(&header, 1..6);
    for benefit in group {
        table.add_row([
            shortened(&benefit.protection),
            benefit.bits_in_words(),
            count(benefit.operations_per_sample),
            loss(benefit.golden_change),
            benefit.alarms_per_million(),
            benefit.time.map_or_else(|| score(None), |time| format!("×\u{a0}{time:.2}")),
        ]);
    }
    table
}

/// What each protection noticed and did, in the cell where it found most; the page has all cells.
fn noticed(group: &[Benefit]) -> Option<Table> {
    let header = ["protection", "on", "chips", "rows", "bad", "corrected", "reloads", "replaced"];
    let mut table = table(&header, 2..8);
    for benefit in group {
        let most = benefit.gains.iter().max_by(|a, b| a.noticed.detected.total_cmp(&b.noticed.detected));
        let Some(gain) = most.filter(|gain| gain.noticed.detected > 0.0) else { continue };
        let (of, at) = (&gain.noticed, gain.ber.map_or_else(String::new, |ber| format!(" {}", rate(ber))));
        let mean = |mean: f64| count(Some(mean));
        table.add_row([
            shortened(&benefit.protection),
            format!("{}{at}", shortened(&gain.target)),
            format!("{}/{}", of.found.count, of.found.n),
            share(of.rows_found_share),
            mean(of.detected),
            mean(of.corrected),
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
            " · {} {} rows · {} parameters",
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

fn breaking_points(summary: &Summary, panel: &Panel) -> Table {
    let header = ["mean loss of AUC above", "0.001", "0.05", "half (BER_50)", "predicted"];
    let mut table = table(&header, 1..5);
    for curve in &panel.curves {
        let bracket = |limit| {
            leading::of(summary, panel, &curve.target, limit)
                .map_or_else(|| score(None), Finding::bracket_in_words)
        };
        table.add_row([
            shortened(&curve.target),
            bracket(Limit::Bad),
            bracket(Limit::Severe),
            bracket(Limit::Half),
            curve.half_predicted.to_string(),
        ]);
    }
    table
}

/// A line for each cell under one head, the target before the first of a curve.
fn by_curve(panel: &Panel, header: &[&str], row: impl Fn(&CellLine) -> Vec<String>) -> Vec<String> {
    let mut table = table(header, 0..header.len());
    for cell in panel.curves.iter().flat_map(|curve| &curve.cells) {
        let at = cell.ber.map_or_else(|| score(None), rate);
        table.add_row(std::iter::once(at).chain(row(cell)));
    }
    let mut rows = printed(&table).into_iter();
    // The head and the rule beneath it.
    let mut lines: Vec<String> = rows.by_ref().take(2).collect();
    for (place, curve) in panel.curves.iter().enumerate() {
        if place > 0 {
            lines.push(String::new());
        }
        lines.extend(wrapped(&printable(&curve.target), ""));
        lines.extend(rows.by_ref().take(curve.cells.len()));
    }
    lines
}

/// Shares of chips, with their intervals.
fn shares(panel: &Panel) -> Vec<String> {
    let header = ["BER", "n", "lose > 0.001", "lose > 0.05", "with NaN"];
    by_curve(panel, &header, |cell| {
        let of = |value: Option<f64>, low, high| {
            value.map_or_else(|| score(None), |value| share_with_ends(value, low, high).replace(" %]", "]"))
        };
        vec![
            cell.n.to_string(),
            of(cell.bad_share, cell.bad_share_ci_low, cell.bad_share_ci_high),
            of(cell.severe_share, cell.severe_share_ci_low, cell.severe_share_ci_high),
            of(cell.non_finite_share, cell.non_finite_ci_low, cell.non_finite_ci_high),
        ]
    })
}

/// Scores over the chips: quantiles first, the mean second.
fn scores(panel: &Panel) -> Vec<String> {
    let header = ["BER", "median", "5–95 %", "q95", "mean loss [95 %]", "predicted"];
    by_curve(panel, &header, |cell| {
        let ends = cell.mean_loss_interval();
        vec![
            score(cell.median),
            format!("{}–{}", score(cell.p05), score(cell.p95)),
            loss(cell.loss_q95),
            crate::quantity::with_ends(cell.loss, ends.map(|ends| ends[0]), ends.map(|ends| ends[1])),
            predicted(cell),
        ]
    })
}

/// Distances of the outputs from golden.
fn distances(panel: &Panel) -> Vec<String> {
    let header = ["BER", "flips", "n", "median RMSE [95 %]", "min–max", "chips", "outputs"];
    by_curve(panel, &header, |cell| {
        let deviation = &cell.deviation;
        vec![
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
    })
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

/// Lines of at most the width of a terminal, each with a margin.
fn wrapped(text: &str, margin: &str) -> Vec<String> {
    let mut lines = vec![margin.to_owned()];
    for word in text.split(' ') {
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > margin.len() && used + 1 + word.chars().count() > WIDTH {
            lines.push(margin.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > margin.len() {
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
