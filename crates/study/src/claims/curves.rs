//! Claims about AUC against the bit error rate: section 6.2.

use crate::claim::{Claim, Evidence, Verdict};
use crate::findings::{Findings, Place};
use crate::half_rate::HalfRate;
use crate::sets::SETS;
use crate::training::MODELS;

/// Loss of the mean AUC that can be seen.
const VISIBLE: f64 = 0.001;
/// Loss that is severe.
const SEVERE: f64 = 0.05;
/// AUC at which nothing is left.
const NOTHING_LEFT: f64 = 0.55;

/// Loss visible after 1e-6, severe from 1e-5 or 1e-4 on, nothing left above 1e-3.
pub(super) fn c6(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    let (mut subjects, mut as_said, mut against) = (0, 0, Vec::new());
    for set in &SETS {
        for model in MODELS {
            let place = Place::new(model, set.name, "all");
            let Some(golden) = findings.unprotected_auc(model, set.name) else { continue };
            let curve = findings.curve(&place);
            // Half decades belong to other claims.
            let curve: Vec<_> = curve.into_iter().filter(|(rate, _)| *rate <= 1.01e-2).collect();
            let Some(&(last, end)) = curve.last() else { continue };
            let mean = |rate: f64| findings.cell(&place, rate).and_then(|cell| cell.statistics(golden).mean);
            let first = |holds: &dyn Fn(f64) -> bool| {
                curve.iter().find(|(rate, _)| mean(*rate).is_some_and(holds)).map(|(rate, _)| *rate)
            };
            let visible = first(&|mean| golden - mean > VISIBLE);
            let severe = first(&|mean| golden - mean > SEVERE);
            let gone = first(&|mean| mean < NOTHING_LEFT);
            let of = format!("{model} on {}", set.name);
            let n = end.trials.len() as u64;
            for (quantity, value) in [
                ("first rate with mean loss above .001", visible),
                ("first rate with mean loss above .05", severe),
                ("first rate with mean AUC below .55", gone),
            ] {
                evidence.push(Evidence { of: of.clone(), quantity, value, low: None, high: None, n });
            }
            subjects += 1;
            let end_interval = end.statistics(golden).mean_interval;
            let within = |rate: Option<f64>, low: f64, high: f64| rate.is_some_and(|r| r >= low && r <= high);
            if within(visible, 2e-6, 1.1e-5) && within(severe, 0.9e-5, 1.1e-4) && within(gone, 1e-4, 1.1e-2) {
                as_said += 1;
            } else if gone.is_none() && end_interval.is_some_and(|interval| interval.low > NOTHING_LEFT) {
                against.push(format!("{of} is above .55 at {last:.0e}"));
            } else {
                against.push(format!(
                    "{of} loses .001 first at {}, .05 at {}",
                    shown(visible),
                    shown(severe)
                ));
            }
        }
    }
    let verdict = match (subjects, as_said) {
        (0, _) => Verdict::Open,
        (subjects, as_said) if subjects == as_said => Verdict::Holds,
        _ => Verdict::Refuted,
    };
    let why = match verdict {
        Verdict::Open => "nothing measured".to_owned(),
        Verdict::Holds => format!("all {subjects} subjects fall at these rates"),
        _ => format!("{as_said} of {subjects} subjects fall at these rates; {}", against.join("; ")),
    };
    Claim {
        id: "C6",
        section: "6.2",
        says: "a loss shows after 1e-6, is severe from 1e-5 or 1e-4 on, and nothing is left above 1e-3",
        criterion: "first rate with a mean loss above .001, above .05, and with a mean AUC below .55 (faults in all parameters)",
        verdict,
        why,
        evidence,
    }
}

fn shown(rate: Option<f64>) -> String {
    rate.map_or_else(|| "no rate up to 1e-2".to_owned(), |rate| format!("{rate:.0e}"))
}

/// Embeddings are more robust than networks, with a narrower band.
pub(super) fn c7(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    let mut sides = Vec::new();
    for set in &SETS {
        for model in networks() {
            let tables = HalfRate::of(findings, &Place::new(model, set.name, "embedding"));
            let network = HalfRate::of(findings, &Place::new(model, set.name, "dense"));
            let (Some(tables), Some(network)) = (tables, network) else { continue };
            let of = format!("{model} on {}", set.name);
            evidence.push(tables.evidence(format!("{of}, embedding")));
            evidence.push(network.evidence(format!("{of}, dense")));
            sides.push(tables.above(&network));
            // The band where the network has lost half.
            let rate = findings
                .curve(&Place::new(model, set.name, "dense"))
                .into_iter()
                .map(|(rate, _)| rate)
                .find(|rate| *rate >= network.rate.unwrap_or(0.1) * 0.99);
            if let Some(rate) = rate {
                for target in ["embedding", "dense"] {
                    if let Some(cell) = findings.cell(&Place::new(model, set.name, target), rate) {
                        let sd = findings
                            .unprotected_auc(model, set.name)
                            .and_then(|golden| cell.statistics(golden).sd);
                        evidence.push(Evidence {
                            of: format!("{of}, {target} at {rate:.0e}"),
                            quantity: "standard deviation of AUC over chips",
                            value: sd,
                            low: None,
                            high: None,
                            n: cell.trials.len() as u64,
                        });
                    }
                }
            }
        }
    }
    let verdict = of_comparisons(&sides);
    let (count, n) = counted(&sides);
    Claim {
        id: "C7",
        section: "6.2",
        says: "embeddings are more robust than networks, with a narrower band",
        criterion: "BER_50 of the tables above that of the network (bootstrap over chips); standard deviations beside it",
        verdict,
        why: format!(
            "BER_50 of the tables lies above that of the network in {count} of {n} subjects, beyond chance in {}",
            sides.iter().filter(|side| **side == Some(true)).count()
        ),
        evidence,
    }
}

/// DCN, DeepFM and Wide&Deep are less robust than FM and AFM.
pub(super) fn c8(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    let mut sides = Vec::new();
    for set in &SETS {
        let half = |model| HalfRate::of(findings, &Place::new(model, set.name, "dense"));
        let Some(afm) = half("afm") else { continue };
        evidence.push(afm.evidence(format!("afm on {}, dense", set.name)));
        for model in ["deepfm", "dcn", "wide-deep"] {
            let Some(other) = half(model) else { continue };
            evidence.push(other.evidence(format!("{model} on {}, dense", set.name)));
            sides.push(afm.above(&other));
        }
        if let Some(fm) = half("fm") {
            evidence.push(fm.evidence(format!("fm on {}, dense: one bias, left out", set.name)));
        }
    }
    let (count, n) = counted(&sides);
    Claim {
        id: "C8",
        section: "6.2",
        says: "DCN, DeepFM and Wide&Deep are less robust than FM and AFM",
        criterion: "BER_50 of afm's network above those of dcn, deepfm and wide-deep; fm's dense part is one bias and left out",
        verdict: of_comparisons(&sides),
        why: format!(
            "afm's BER_50 lies above the other's in {count} of {n} comparisons, beyond chance in {}",
            sides.iter().filter(|side| **side == Some(true)).count()
        ),
        evidence,
    }
}

/// Criteo is less robust than MovieLens, by up to two orders.
pub(super) fn c9(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    let mut sides = Vec::new();
    let mut largest: Option<f64> = None;
    for model in networks() {
        for target in ["embedding", "dense"] {
            let half = |set: usize| HalfRate::of(findings, &Place::new(model, SETS[set].name, target));
            let (Some(movielens), Some(criteo)) = (half(0), half(2)) else { continue };
            evidence.push(movielens.evidence(format!("{model} on {}, {target}", SETS[0].name)));
            evidence.push(criteo.evidence(format!("{model} on {}, {target}", SETS[2].name)));
            sides.push(movielens.above(&criteo));
            if let (Some(a), Some(b)) = (movielens.rate, criteo.rate) {
                let ratio = a / b;
                largest =
                    Some(largest.map_or(ratio, |largest| if ratio > largest { ratio } else { largest }));
            }
        }
    }
    let (count, n) = counted(&sides);
    let ratio = largest.map_or_else(|| "unknown".to_owned(), |ratio| format!("{ratio:.0}"));
    Claim {
        id: "C9",
        section: "6.2",
        says: "Criteo is less robust than MovieLens, by up to two orders of magnitude",
        criterion: "BER_50 on MovieLens-1M above that on Criteo, per model and target",
        verdict: of_comparisons(&sides),
        why: format!(
            "BER_50 on MovieLens-1M lies above that on Criteo in {count} of {n} comparisons; the largest ratio measured is {ratio}"
        ),
        evidence,
    }
}

/// The models whose dense part is more than a bias.
fn networks() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().filter(|model| *model != "fm")
}

/// Comparisons whose intervals do not overlap decide; any that goes against the claim refutes it.
fn of_comparisons(sides: &[Option<bool>]) -> Verdict {
    if sides.is_empty() {
        Verdict::Open
    } else if sides.contains(&Some(false)) {
        Verdict::Refuted
    } else if sides.iter().all(|side| *side == Some(true)) {
        Verdict::Holds
    } else {
        Verdict::Undecided
    }
}

fn counted(sides: &[Option<bool>]) -> (usize, usize) {
    (sides.iter().filter(|side| **side != Some(false)).count(), sides.len())
}
