//! Sentences of the report: each derives from a finding or from a comparison with Holm's adjustment, or says undecided.

use radhard_metrics::tail::SEVERE;
use radhard_metrics::{Bracket, Proportion, RateInterval};

use crate::chips::Grade;
use crate::crossing::DEVIATION;
use crate::finding::{Finding, Limit, rounded, statement};
use crate::panel::{Curve, Panel};
use crate::part::{place, thing};
use crate::quantity::{loss, rate, share_with_ends, whole};
use crate::rival::First;
use crate::summary::{CellLine, Summary};
use crate::terminal::finite_or_infinite;

/// The contents of a panel, the part that breaks first before the rates.
pub(crate) fn sentences_of(summary: &Summary, panel: &Panel) -> Vec<String> {
    if panel.by_rmse() && panel.has_rates() {
        return panel.curves.iter().flat_map(deviation).collect();
    }
    if panel.reference.is_none() {
        return vec!["The golden AUC is undefined, so no loss can be stated".to_owned()];
    }
    if !panel.has_rates() {
        return panel.curves.iter().filter_map(without_rate).collect();
    }
    let mut sentences: Vec<String> =
        summary.firsts.iter().filter(|first| first.is_of(panel)).map(first_part).collect();
    let widest = panel.curves.iter().max_by_key(|curve| curve.cells.first().map(|cell| cell.exposed_bits));
    let Some(cell) = widest.and_then(|curve| curve.cells.last()) else { return sentences };
    for limit in [Limit::Severe, Limit::Half, Limit::Bad] {
        let found = summary.findings.iter().find(|finding| finding.limit == limit && finding.is_of(cell));
        sentences.extend(found.map(mean_loss));
    }
    sentences
}

/// Where the mean loss of a target exceeds a bound, as a sentence.
pub(crate) fn mean_loss(finding: &Finding) -> String {
    let bound = match finding.limit {
        Limit::Half => format!("{} (half of its advantage over random ranking)", loss(Some(finding.bound))),
        _ => finding.bound.to_string(),
    };
    let drops = [
        format!("the mean AUC drops by more than {bound}"),
        format!("the mean AUC drops by no more than {bound}"),
    ];
    let said = statement(
        drops.each_ref().map(String::as_str),
        finding.bracket(),
        finding.tested,
        &finding.more_in_words(),
    );
    format!("With errors {}, {said}", place(&finding.target))
}

/// How many chips lose how much in a cell, as a sentence.
pub(crate) fn chips_at(cell: &CellLine) -> Option<String> {
    let severe = share_with_ends(cell.severe_share?, cell.severe_share_ci_low, cell.severe_share_ci_high);
    let q95 = cell.loss_q95.map_or_else(String::new, |q95| {
        let end = cell.loss_q95_ci_high.map_or_else(
            || ", no upper limit below 72 chips".to_owned(),
            |high| format!(", at most {}", loss(Some(high))),
        );
        format!("; 95 % of chips lose {} or less{end}", loss(Some(q95)))
    });
    Some(format!("At {}, {severe} of chips lose more than {SEVERE} AUC{q95}", rate(cell.ber?)))
}

/// Which part breaks first, as a sentence.
pub(crate) fn first_part(first: &First) -> String {
    let Some(part) = &first.part else {
        let more = first
            .more_chips
            .map_or_else(String::new, |more| format!(": about {} more chips", whole(rounded(more))));
        let parts: Vec<String> = first.parts.iter().map(|part| thing(part)).collect();
        return format!("Which of {} breaks first is undecided{more}", parts.join(" and "));
    };
    let shares = first.shares_in_words();
    let shares = if shares.is_empty() { String::new() } else { format!(" ({shares})") };
    let many = matches!(part.as_str(), "embedding" | "dense");
    let verb = match (first.grade, many) {
        (Grade::Shown, true) => "break",
        (Grade::Shown, false) => "breaks",
        (_, true) => "seem to break",
        (_, false) => "seems to break",
    };
    let over = first.over.first().map(|one| format!(": {}", one.in_words(SEVERE)));
    format!("Of this model, {}{shares} {verb} first{}", thing(part), over.unwrap_or_default())
}

/// The mean loss under an error model without a rate.
fn without_rate(curve: &Curve) -> Option<String> {
    let cell = curve.cells.first()?;
    let [low, high] = cell.mean_loss_interval()?;
    Some(format!(
        "With errors {}, the mean AUC drops by {} [{}, {}]",
        place(&curve.target),
        loss(cell.loss),
        loss(Some(low)),
        loss(Some(high))
    ))
}

/// From which rates outputs deviate from golden, where there is no AUC: by the median over chips, and by the chips whose outputs are not
/// finite.
fn deviation(curve: &Curve) -> Vec<String> {
    let cells: Vec<&CellLine> =
        curve.cells.iter().filter(|cell| cell.ber.is_some_and(|ber| ber > 0.0)).collect();
    let (Some(first), Some(last)) = (cells.first(), cells.last()) else { return Vec::new() };
    let tested = [first, last].map(|cell| cell.ber.unwrap_or(0.0));
    let said = |words: [&str; 2], interval: &dyn Fn(&CellLine) -> Option<[f64; 2]>, bound: f64| {
        let at = |cell: &&CellLine| RateInterval { rate: cell.ber.unwrap_or(0.0), loss: interval(cell) };
        let bracket = Bracket::of(bound, &cells.iter().map(at).collect::<Vec<_>>());
        format!("With errors {}, {}", place(&curve.target), statement(words, bracket, tested, ""))
    };
    let median = [
        format!("the median RMSE from golden exceeds {DEVIATION}"),
        format!("the median RMSE from golden stays within {DEVIATION}"),
    ];
    let not_finite_words = [
        "more than half of the chips give outputs that are not finite",
        "at most half of the chips give outputs that are not finite",
    ];
    vec![
        said(median.each_ref().map(String::as_str), &median_interval, DEVIATION),
        said(not_finite_words, &not_finite, 0.5),
    ]
}

fn median_interval(cell: &CellLine) -> Option<[f64; 2]> {
    let low = cell.deviation.rmse_low.or_else(|| {
        // Both ends are infinite where more chips than not have no RMSE.
        let median_infinite = cell.deviation.rmse_median.is_none();
        finite_or_infinite(cell, None).filter(|_| median_infinite && cell.n >= 6)
    })?;
    Some([low, finite_or_infinite(cell, cell.deviation.rmse_high)?])
}

fn not_finite(cell: &CellLine) -> Option<[f64; 2]> {
    let share = cell.deviation.rmse_undefined_share?;
    let interval = Proportion::of((share * cell.n as f64).round() as u64, cell.n).interval?;
    Some([interval.low, interval.high])
}

/// Sentences with their full stops.
pub(crate) fn joined(sentences: &[String]) -> String {
    let ended = |text: &String| if text.ends_with(['.', '?']) { text.clone() } else { format!("{text}.") };
    sentences.iter().map(ended).collect::<Vec<_>>().join(" ")
}
