//! The subject and the panel that a reader is shown first.

use std::cmp::Ordering;

use crate::finding::{Finding, Limit};
use crate::panel::Panel;
use crate::summary::Summary;

/// Curves in the order in which they are shown to exceed their bounds: a severe loss first, then half of the advantage, then a loss that
/// matters; those for which nothing is shown last.
pub(crate) fn order(summary: &Summary, panel: &Panel, target: &str) -> [f64; 3] {
    [Limit::Severe, Limit::Half, Limit::Bad].map(|limit| {
        of(summary, panel, target, limit).and_then(|finding| finding.smallest_beyond).unwrap_or(f64::INFINITY)
    })
}

/// The finding on one bound of one curve.
pub(crate) fn of<'a>(summary: &'a Summary, panel: &Panel, target: &str, limit: Limit) -> Option<&'a Finding> {
    summary.findings.iter().find(|finding| {
        finding.limit == limit
            && finding.target == target
            && (&finding.model, &finding.data) == (&panel.model, &panel.data)
            && (&finding.error_model, &finding.protection) == (&panel.error_model, &panel.protection)
    })
}

pub(crate) fn compare(a: [f64; 3], b: [f64; 3]) -> Ordering {
    a.iter().zip(&b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The panels that say what breaks first: the unprotected ones, or all where every one is protected; by the lowest rates shown.
pub(crate) fn panels(summary: &Summary) -> Vec<&Panel> {
    let mut panels: Vec<&Panel> = summary.panels.iter().filter(|panel| panel.protection == "none").collect();
    if panels.is_empty() {
        panels = summary.panels.iter().collect();
    }
    let first = |panel: &Panel| {
        let orders = panel.curves.iter().map(|curve| order(summary, panel, &curve.target));
        orders.min_by(|a, b| compare(*a, *b)).unwrap_or([f64::INFINITY; 3])
    };
    panels.sort_by(|a, b| compare(first(a), first(b)));
    panels
}

/// The model and data set of the first of them.
pub(crate) fn subject(summary: &Summary) -> Option<(String, String)> {
    panels(summary).first().map(|panel| (panel.model.clone(), panel.data.clone()))
}
