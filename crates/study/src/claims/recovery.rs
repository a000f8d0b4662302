//! Claims about protections: section 7.

use radhard_metrics::median_interval;
use radhard_metrics::quantile::quantile;
use radhard_records::Noticed;

use crate::campaigns::{CHECKED_MODELS, PROTECTED_RATES};
use crate::claim::{Claim, Evidence, Side, Verdict, all_on};
use crate::claims::dummies::sentence;
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::training::MODELS;

/// Clipping and SBP win back 0.05 to 0.3 of AUC.
pub(super) fn c10(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    for set in &SETS {
        for model in MODELS {
            for protection in ["clip:paper", "sbp"] {
                for rate in PROTECTED_RATES {
                    let Some(gain) = gain(findings, model, set.name, rate, protection, "none") else {
                        continue;
                    };
                    // Where little is lost there is little to win.
                    let lost = mean(findings, model, set.name, rate, "none")
                        .zip(findings.unprotected_auc(model, set.name))
                        .is_some_and(|(mean, golden)| golden - mean > 0.05);
                    if lost {
                        evidence.push(gain);
                    }
                }
            }
        }
    }
    let large = evidence.iter().filter(|gain| gain.side(0.05) == Some(Side::Above)).count();
    let small = evidence.iter().filter(|gain| gain.side(0.05) == Some(Side::Below)).count();
    Claim {
        id: "C10",
        section: "7",
        says: "clipping and selective bit protection win back 0.05 to 0.3 of AUC",
        criterion: "median gain on the same chips above .05, where more than .05 is lost without protection",
        verdict: match (evidence.len(), large) {
            (0, _) => Verdict::Open,
            (n, large) if n == large => Verdict::Holds,
            _ if small > 0 => Verdict::Refuted,
            _ => Verdict::Undecided,
        },
        why: format!(
            "of {} cells that lose more than .05, {large} win back more than .05 beyond chance and {small} less",
            evidence.len()
        ),
        evidence,
    }
}

/// Clipping does better than SBP.
pub(super) fn c11(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    for set in &SETS {
        for model in MODELS {
            for rate in PROTECTED_RATES {
                evidence.extend(gain(findings, model, set.name, rate, "clip:paper", "sbp"));
            }
        }
    }
    // A difference of nothing on every chip decides nothing.
    let nothing = |gain: &Evidence| gain.low == Some(0.0) && gain.high == Some(0.0);
    evidence.retain(|gain| !nothing(gain));
    let with = |evidence: &[Evidence], side: Side| {
        evidence.iter().filter(|gain| gain.side(0.0) == Some(side)).count()
    };
    let (above, below) = (with(&evidence, Side::Above), with(&evidence, Side::Below));
    let verdict = all_on(Side::Above, 0.0, &evidence);
    // Beside it bit protection that can be built: its copies are hit too.
    let mut built = Vec::new();
    for set in &SETS {
        for model in MODELS {
            for rate in PROTECTED_RATES {
                built.extend(gain(findings, model, set.name, rate, "clip:paper", "sbp=tmr"));
            }
        }
    }
    built.retain(|gain| !nothing(gain));
    let why = format!(
        "clipping is ahead beyond chance in {above} of {} cells, behind in {below}; of bit protection in three copies ahead in {} of {}, \
         behind in {}",
        evidence.len(),
        with(&built, Side::Above),
        built.len(),
        with(&built, Side::Below)
    );
    evidence.extend(built);
    Claim {
        id: "C11",
        section: "7",
        says: "clipping does better than selective bit protection",
        criterion: "median difference of AUC on the same chips, clip:paper less sbp, above 0",
        verdict,
        why,
        evidence,
    }
}

/// Robust models recover better.
pub(super) fn c12(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    for set in &SETS {
        for model in MODELS {
            let place = Place::new(model, set.name, "all");
            let golden = findings.unprotected_auc(model, set.name);
            for rate in [1e-4, 1e-3] {
                let values = golden.zip(mean(findings, model, set.name, rate, "none")).zip(mean(
                    findings,
                    model,
                    set.name,
                    rate,
                    "clip:paper",
                ));
                let Some(((golden, bare), clipped)) = values else { continue };
                let n = findings.cell(&place, rate).map_or(0, |cell| cell.trials.len() as u64);
                if golden - bare > 0.01 {
                    evidence.push(Evidence {
                        of: format!("{model} on {} at {rate:.0e}", set.name),
                        quantity: "gain of clip:paper by loss without it",
                        value: Some((clipped - bare) / (golden - bare)),
                        low: None,
                        high: None,
                        n,
                    });
                }
            }
        }
    }
    let fm: Vec<&Evidence> = evidence.iter().filter(|piece| piece.of.starts_with("fm ")).collect();
    let nothing = !fm.is_empty() && fm.iter().all(|piece| piece.value == Some(0.0));
    Claim {
        id: "C12",
        section: "7",
        says: "robust models recover better",
        criterion: "gain of clipping by loss, per model; fm, a robust model, has no place to clip",
        verdict: match (evidence.is_empty(), nothing) {
            (true, _) => Verdict::Open,
            (false, true) => Verdict::Refuted,
            (false, false) => Verdict::Undecided,
        },
        why: if nothing {
            "fm, among the robust models, gains exactly 0 on every chip: it has no rectifier to clip"
                .to_owned()
        } else {
            sentence(&evidence)
        },
        evidence,
    }
}

/// ABFT is not feasible above 1e-4.
pub(super) fn c13(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    for set in &SETS {
        for model in CHECKED_MODELS {
            for rate in [1e-3, 1e-2] {
                for protection in ["abft-gemm:recompute", "abft-gemm:reload"] {
                    evidence.extend(gain(findings, model, set.name, rate, protection, "none"));
                }
            }
        }
    }
    let gains = evidence.len();
    let of = |protection: &str, side: Side| {
        evidence.iter().filter(|gain| gain.of.contains(protection) && gain.side(0.0) == Some(side)).count()
    };
    let (reload, recompute) = (of("reload", Side::Above), of("recompute", Side::Above));
    for set in &SETS {
        for model in CHECKED_MODELS {
            for protection in ["abft-gemm:recompute", "abft-gemm:reload"] {
                let place = Place::new(model, set.name, "all").under(protection);
                for (rate, cell) in findings.curve(&place).into_iter().filter(|(rate, _)| *rate >= 0.99e-4) {
                    let n = cell.trials.len() as u64;
                    let mean = |of: fn(&Noticed) -> u64| {
                        cell.trials.iter().map(|trial| of(&trial.noticed)).sum::<u64>() as f64 / n as f64
                    };
                    for (quantity, value) in [
                        ("results found wrong, mean over chips", mean(|noticed| noticed.detected)),
                        ("computations repeated, mean over chips", mean(|noticed| noticed.retries)),
                        ("reloads, mean over chips", mean(|noticed| noticed.reloads)),
                    ] {
                        let of = format!("{model} on {} at {rate:.0e}, {protection}", set.name);
                        evidence.push(Evidence {
                            of,
                            quantity,
                            value: Some(value),
                            low: None,
                            high: None,
                            n,
                        });
                    }
                }
            }
        }
    }
    Claim {
        id: "C13",
        section: "7",
        says: "checksums (ABFT) are not feasible above 1e-4",
        criterion: "median gain of AUC on the same chips with abft-gemm, recomputing and reloading: refuted where reloading gains \
                    beyond chance above 1e-4",
        verdict: match (gains == 0, reload) {
            (true, _) => Verdict::Open,
            (false, 0) => Verdict::Undecided,
            (false, _) => Verdict::Refuted,
        },
        why: format!(
            "of {} cells each, reloading from a clean copy gains beyond chance in {reload}, recomputing with the flipped weight in \
             {recompute}",
            gains / 2
        ),
        evidence,
    }
}

fn mean(findings: &Findings, model: &str, data: &str, rate: f64, protection: &str) -> Option<f64> {
    let golden = findings.golden(model, data, protection)?.scores.auc?;
    findings.cell(&Place::new(model, data, "all").under(protection), rate)?.statistics(golden).mean
}

/// The median difference of AUC of two protections on the same chips, with its exact interval by order statistics.
fn gain(
    findings: &Findings,
    model: &str,
    data: &str,
    rate: f64,
    first: &str,
    second: &str,
) -> Option<Evidence> {
    let aucs = |protection| findings.cell(&Place::new(model, data, "all").under(protection), rate);
    let (a, b) = (aucs(first)?, aucs(second)?);
    let mut differences: Vec<f64> = a
        .trials
        .iter()
        .zip(&b.trials)
        .filter(|(a, b)| a.chip == b.chip)
        .map(|(a, b)| Some(a.scores.auc? - b.scores.auc?))
        .collect::<Option<_>>()?;
    differences.sort_by(f64::total_cmp);
    let n = differences.len();
    if n == 0 {
        return None;
    }
    let interval = median_interval(&differences, 0.95);
    Some(Evidence {
        of: format!("{model} on {data} at {rate:.0e}, {first} less {second}"),
        quantity: "median difference of AUC on the same chips",
        value: Some(quantile(&differences, 0.5)),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        n: n as u64,
    })
}
