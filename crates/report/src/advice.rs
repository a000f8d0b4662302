//! What to buy, in a sentence a model: the protections that no other one beats.

use crate::benefit::Benefit;
use crate::quantity::loss;

/// The advice on one model's protections, as a sentence without its full stop.
///
/// Only what lies on the front is named, the largest gain first, and only where its gain is above 0; time is told where `timed`.
pub fn advice(benefits: &[&Benefit], timed: bool) -> String {
    let mut front: Vec<&&Benefit> =
        benefits.iter().filter(|one| one.on_front && one.mean_gain.is_some_and(|gain| gain > 0.0)).collect();
    front.sort_by(|a, b| b.mean_gain.unwrap_or(0.0).total_cmp(&a.mean_gain.unwrap_or(0.0)));
    let Some(best) = front.first() else {
        return "Nothing that was tested wins anything back on average".to_owned();
    };
    let mut text = format!("{} wins back most: {}", best.protection, terms(best, timed));
    // Half of the best gain for less is worth a second look.
    let worth = |one: &&&&Benefit| one.mean_gain >= best.mean_gain.map(|gain| gain / 2.0);
    let others: Vec<String> = front[1..]
        .iter()
        .filter(worth)
        .take(3)
        .map(|one| format!("{} ({})", one.protection, terms(one, timed)))
        .collect();
    if !others.is_empty() {
        text.push_str("; for less: ");
        text.push_str(&others.join(", "));
    }
    text
}

fn terms(benefit: &Benefit, timed: bool) -> String {
    let memory = benefit.memory_in_words();
    let memory = if memory == "0" { "no" } else { &memory };
    let terms = format!("{} AUC on average for {memory} memory", loss(benefit.mean_gain));
    match benefit.time {
        _ if !timed => terms,
        Some(time) => format!("{terms}, time ×\u{a0}{time:.2}"),
        None => format!("{terms}, time not measured"),
    }
}
