//! The three questions that a reader comes with, answered in plain words, each with how sure the answer is.

use radhard_metrics::BracketStatus;
use radhard_metrics::tail::SEVERE;
use serde::Serialize;

use crate::advice::{decisive, widest};
use crate::chips::Grade;
use crate::finding::{Finding, Limit, rounded};
use crate::leading;
use crate::panel::Panel;
use crate::prediction::tally;
use crate::quantity::{rate, score, whole};
use crate::sentence::{chips_at, first_part, joined, mean_loss, sentences_of};
use crate::summary::Summary;

/// One question with its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionBox {
    /// The question.
    pub question: String,
    /// The answer: sentences.
    pub answer: String,
    /// How sure it is.
    pub grade: Grade,
}

/// The boxes of the subject that breaks first; at the rate that decisions are made at, or a given one.
pub(crate) fn boxes(summary: &Summary, at: Option<f64>) -> Vec<DecisionBox> {
    let panels = leading::panels(summary);
    let Some(panel) = panels.first() else { return Vec::new() };
    vec![breaks(summary, panel, at), protects(summary, panel, at), trusts(summary, panel)]
}

fn breaks(summary: &Summary, panel: &Panel, at: Option<f64>) -> DecisionBox {
    let question = "What breaks first, and at which rate?".to_owned();
    if panel.reference.is_none() || !panel.has_rates() {
        let answer = joined(&sentences_of(summary, panel));
        return DecisionBox { question, answer, grade: Grade::NotShown };
    }
    let mut sentences = Vec::new();
    let first = summary.firsts.iter().find(|first| first.is_of(panel));
    let mut grade = first.map_or(Grade::NotShown, |first| first.grade);
    sentences.extend(first.map(first_part));
    let curve = widest(&summary.cells, &panel.model, &panel.data);
    if let Some(cell) = decisive(&curve, at) {
        let of = |limit| summary.findings.iter().find(|one| one.is_of(cell) && one.limit == limit);
        if let Some(finding) = of(Limit::Severe) {
            sentences.push(mean_loss(finding));
            if first.is_none() {
                grade = grade_of(finding);
            }
        }
        sentences.extend(chips_at(cell));
    }
    DecisionBox { question, answer: joined(&sentences), grade }
}

fn grade_of(finding: &Finding) -> Grade {
    match finding.status {
        BracketStatus::Shown => Grade::Shown,
        BracketStatus::Undecided => Grade::NotShown,
        BracketStatus::ShownLow if finding.largest_within == Some(finding.tested[1]) => Grade::Shown,
        BracketStatus::ShownHigh if finding.smallest_beyond == Some(finding.tested[0]) => Grade::Shown,
        _ => Grade::Likely,
    }
}

fn protects(summary: &Summary, panel: &Panel, at: Option<f64>) -> DecisionBox {
    let curve = widest(&summary.cells, &panel.model, &panel.data);
    let cell = decisive(&curve, at);
    let at = cell.and_then(|cell| cell.ber);
    let question = at.map_or_else(
        || "What should be protected?".to_owned(),
        |at| format!("What should be protected at {}?", rate(at)),
    );
    let advice = summary.advices.iter().find(|one| (&one.model, &one.data) == (&panel.model, &panel.data));
    match advice {
        Some(advice) => {
            DecisionBox { question, answer: joined(&[advice.in_words(summary.timed)]), grade: advice.grade() }
        }
        None => DecisionBox {
            question,
            answer: "No protection was tried: add `protections = [\"none\", \"range-guard\", \"secded\"]` to the plan and run it again."
                .to_owned(),
            grade: Grade::NotShown,
        },
    }
}

fn trusts(summary: &Summary, panel: &Panel) -> DecisionBox {
    let mut sentences = Vec::new();
    let mut grade = Grade::Shown;
    let mut lower = |to: Grade| grade = if to > grade { to } else { grade };
    let [agree, disagree, coarse] = tally(&summary.cells);
    if disagree > 0 {
        lower(Grade::NotShown);
        sentences.push(format!(
            "{disagree} of {} predictions of theory disagree with what was measured: check the injection with `radhard selftest`",
            agree + disagree + coarse
        ));
    }
    match summary.progress.unfinished() {
        Some(text) => {
            lower(Grade::NotShown);
            sentences.push(text);
        }
        None => sentences.push(format!("All {} planned trials are recorded", whole(summary.trials))),
    }
    if summary.stand_in() {
        lower(Grade::Likely);
        sentences
            .push("The data are synthetic (stand-in), so scores are not those of the real set".to_owned());
    }
    let golden = summary
        .goldens
        .iter()
        .find(|one| (&one.model, &one.data) == (&panel.model, &panel.data) && one.protection == "none");
    if let Some((golden, auc)) = golden.and_then(|golden| Some((golden, golden.auc?))) {
        let rows = format!("on {} {} rows", whole(golden.rows), golden.split);
        if auc <= 0.5 {
            lower(Grade::NotShown);
            sentences.push(format!("The fault-free AUC is {auc:.4} {rows}: no better than random ranking"));
        } else {
            let ends = golden.golden_ci_low.zip(golden.golden_ci_high);
            let interval = ends.map_or_else(String::new, |(low, high)| {
                format!(" [{}, {} over the choice of rows]", score(Some(low)), score(Some(high)))
            });
            let said = format!("The fault-free AUC is {}{interval} {rows}", score(Some(auc)));
            match (golden.baseline, ends) {
                (Some(baseline), Some((low, _))) if low > baseline => {
                    sentences
                        .push(format!("{said}, better than a trivial model's {}", score(Some(baseline))));
                }
                (Some(baseline), _) => {
                    lower(Grade::NotShown);
                    sentences.push(format!(
                        "{said}, not shown to be better than a trivial model's {}",
                        score(Some(baseline))
                    ));
                }
                (None, _) => {
                    lower(Grade::Likely);
                    sentences.push(said);
                }
            }
        }
    }
    if disagree == 0 && agree > 0 {
        let rest = if coarse > 0 { format!(", {coarse} are too coarse to check") } else { String::new() };
        sentences.push(format!("{agree} predictions of theory agree{rest}"));
    } else if disagree == 0 && coarse > 0 {
        sentences.push(format!("All {coarse} predictions of theory are too coarse to check"));
    }
    let own = |finding: &&Finding| {
        finding.limit == Limit::Severe
            && finding.protection == panel.protection
            && (&finding.model, &finding.data) == (&panel.model, &panel.data)
    };
    let more = summary.findings.iter().filter(own).filter_map(|finding| finding.more_chips).max();
    match more {
        Some(more) => {
            lower(Grade::Likely);
            sentences.push(format!(
                "About {} more chips at each rate would decide what is still open about a mean loss of {SEVERE}",
                whole(rounded(more))
            ));
        }
        None => sentences.push(format!("No more chips are needed for a mean loss of {SEVERE}")),
    }
    DecisionBox { question: "Can I trust this?".to_owned(), answer: joined(&sentences), grade }
}
