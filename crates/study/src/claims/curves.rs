//! Claims about AUC against the bit error rate: section 6.2.

use crate::claim::{Claim, Evidence, Part, Verdict, in_words, over_all};
use crate::claims::chips::median;
use crate::claims::dummies::splits;
use crate::claims::signs::{Signs, decided};
use crate::findings::{CellFindings, Findings, Place};
use crate::half_rate::HalfRate;
use crate::profile::Profile;
use crate::sets::Set;
use crate::training::MODELS;

/// Loss of the mean AUC that can be seen.
const VISIBLE: f64 = 0.001;
/// Loss that is severe.
const SEVERE: f64 = 0.05;
/// AUC at which nothing is left.
const NOTHING_LEFT: f64 = 0.55;
/// A ratio nearer to two orders of magnitude than to one.
const NEAR_TWO_ORDERS: f64 = 31.6;
/// The remark where models share the names and shapes of the parameters hit.
const SHARED: &str =
    "deepfm and wide-deep share names and shapes of their networks and tables, so they meet the same errors";

/// Loss visible after 1e-6, severe from 1e-5 or 1e-4 on, nothing left above 1e-3.
pub(super) fn c6(findings: &Findings) -> Claim {
    let (mut parts, mut evidence, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        for model in MODELS {
            let Some(golden) = findings.unprotected_auc(model, set.name) else { continue };
            let of = format!("{model} on {}", set.name);
            let profile = Profile::of(findings, model, set.name);
            let cell = |rate: f64| findings.cell(&Place::new(model, set.name, "all"), rate);
            // The first decade within which the loss reaches a bound, as far as it is shown.
            let window = |bound: f64, before: f64, within: f64| {
                let beyond = |rate: f64| {
                    let by_chips = cell(rate).and_then(|cell| loss_side(cell, golden, bound));
                    let (low, high) = profile
                        .as_ref()
                        .map(|profile| profile.loss(rate).1)
                        .map_or((None, None), |[low, high]| (Some(low > bound), Some(high < bound)));
                    match (low, high, by_chips) {
                        // The profile bounds the mean from below; the median of whole chips from above, where nothing is in the tail.
                        (Some(true), ..) | (_, _, Some(true)) => Some(true),
                        (_, Some(true) | None, Some(false)) => Some(false),
                        _ => None,
                    }
                };
                match (beyond(before), beyond(within)) {
                    (Some(true), _) | (_, Some(false)) => Verdict::Refuted,
                    (Some(false), Some(true)) => Verdict::Holds,
                    _ => Verdict::Undecided,
                }
            };
            parts
                .push(Part::exact(format!("{of}: visible within (1e-7, 1e-5]"), window(VISIBLE, 1e-7, 1e-5)));
            parts.push(Part::exact(format!("{of}: severe within (1e-6, 1e-4]"), window(SEVERE, 1e-6, 1e-4)));
            for rate in [1e-3, 1e-2] {
                let Some(cell) = cell(rate) else { continue };
                let left = cell.aucs().into_iter().map(|auc| NOTHING_LEFT - auc);
                ends.push(Signs::of(format!("{of}: below .55 at {rate:.0e}"), left));
                evidence.extend(median(
                    format!("{of} at {rate:.0e}"),
                    "AUC, median over chips",
                    &cell.aucs(),
                ));
            }
            if let Some(profile) = &profile {
                for rate in [1e-7, 1e-6, 1e-5, 1e-4] {
                    evidence.push(profile.evidence(&of, rate));
                }
                for (quantity, bound) in [
                    ("rate at which the network alone first loses .001", VISIBLE),
                    ("rate at which the network alone first loses .05", SEVERE),
                ] {
                    let [value, low, high] = profile.first(bound);
                    evidence.push(Evidence {
                        of: of.clone(),
                        quantity,
                        value,
                        low,
                        high,
                        n: profile.chips(),
                    });
                }
            }
            for rate in [1e-6, 1e-5, 1e-4] {
                let losses: Option<Vec<f64>> =
                    cell(rate).map(|cell| cell.aucs().iter().map(|auc| golden - auc).collect());
                let quantity = "loss by faults in all, median over chips";
                evidence.extend(
                    losses.and_then(|losses| median(format!("{of} at {rate:.0e}"), quantity, &losses)),
                );
            }
        }
    }
    let ends = decided(&ends);
    let of = |what: &str, parts: &[Part]| {
        let of: Vec<Part> = parts
            .iter()
            .filter(|part| part.of.contains(what))
            .map(|part| Part { of: part.of.split(':').next().unwrap_or_default().to_owned(), ..part.clone() })
            .collect();
        in_words(&of)
    };
    let why = format!(
        "visible in the decade that ends at 1e-5 or the one before: {}. Severe by 1e-4: {}. Below .55 at 1e-3: {}. Below .55 at 1e-2: {}",
        of("visible", &parts),
        of("severe", &parts),
        of("at 1e-3", &ends),
        of("at 1e-2", &ends)
    );
    parts.extend(ends);
    Claim {
        id: "C6",
        section: "6.2",
        says: "a loss shows after 1e-6, is severe from 1e-5 or 1e-4 on, and nothing is left above 1e-3",
        criterion: "per model and data set, windows of decades: the mean loss passes .001 within (1e-7, 1e-5] and .05 within (1e-6, 1e-4], \
                    by the profile of single flips of bit 30 of the network (a lower bound of the loss) and the median of whole chips; \
                    AUC below .55 at 1e-3 and at 1e-2 on most chips, exact sign tests with Holm",
        verdict: over_all(&parts),
        why,
        parts,
        evidence,
    }
}

/// Whether most chips lose more than a bound, or most lose less, by the exact interval of the median.
fn loss_side(cell: &CellFindings, golden: f64, bound: f64) -> Option<bool> {
    let losses: Vec<f64> = cell.aucs().iter().map(|auc| golden - auc).collect();
    let piece = median(String::new(), "loss", &losses)?;
    piece.side(bound).map(|side| side == crate::claim::Side::Above)
}

/// Embeddings are more robust than networks, with a narrower band.
pub(super) fn c7(findings: &Findings) -> Claim {
    let (mut evidence, mut family) = (Vec::new(), Vec::new());
    let (mut narrower, mut bands) = (0, 0);
    for (_, set) in findings.sets() {
        for model in networks() {
            let place = |target| Place::new(model, set.name, target);
            let tables = HalfRate::of(findings, &place("embedding"));
            let network = HalfRate::of(findings, &place("dense"));
            let (Some(tables), Some(network)) = (tables, network) else { continue };
            let of = format!("{model} on {}", set.name);
            evidence.push(tables.evidence(format!("{of}, embedding")));
            evidence.push(network.evidence(format!("{of}, dense")));
            evidence.push(tables.over(&network, format!("{of}, embedding by dense")));
            family.push(tables.signs(&network, of.clone()));
            // Bands are compared where each part has lost half.
            let sds: Vec<f64> = [("embedding", &tables), ("dense", &network)]
                .into_iter()
                .filter_map(|(target, half)| {
                    let golden = findings.unprotected_auc(model, set.name)?;
                    let (rate, cell) = half.after(findings, &place(target))?;
                    let sd = cell.statistics(golden).sd;
                    let of = format!("{of}, {target} at {rate:.0e}");
                    let quantity = "standard deviation of AUC over chips, where half is lost";
                    evidence.push(Evidence::plain(of, quantity, sd, cell.trials.len() as u64));
                    sd
                })
                .collect();
            if let [tables, network] = sds[..] {
                bands += 1;
                narrower += u32::from(tables < network);
            }
        }
    }
    let parts = decided(&family);
    Claim {
        id: "C7",
        section: "6.2",
        says: "embeddings are more robust than networks, with a narrower band",
        criterion: "per model and data set, BER_50 of the tables above that of the network, chip by chip: exact sign tests with Holm; fm's \
                    network is one bias and left out; standard deviations where half is lost are compared next to it",
        verdict: over_all(&parts),
        why: format!(
            "{}; ratios of BER_50: {}; where half is lost the tables' band is the narrower one in {narrower} of {bands}. {SHARED}",
            in_words(&parts),
            ratios_in_words(&evidence)
        ),
        parts,
        evidence,
    }
}

/// DCN, DeepFM and Wide&Deep are less robust than FM and AFM.
pub(super) fn c8(findings: &Findings) -> Claim {
    let (mut evidence, mut family) = (Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        let half = |model| HalfRate::of(findings, &Place::new(model, set.name, "dense"));
        let Some(afm) = half("afm") else { continue };
        evidence.push(afm.evidence(format!("afm on {}, dense", set.name)));
        for model in ["deepfm", "dcn", "wide-deep"] {
            let Some(other) = half(model) else { continue };
            evidence.push(other.evidence(format!("{model} on {}, dense", set.name)));
            let of = format!("afm by {model} on {}", set.name);
            evidence.push(afm.over(&other, of.clone()));
            family.push(afm.signs(&other, of));
        }
        if let Some(fm) = half("fm") {
            evidence.push(fm.evidence(format!("fm on {}, dense: one bias, left out", set.name)));
        }
    }
    let parts = decided(&family);
    Claim {
        id: "C8",
        section: "6.2",
        says: "DCN, DeepFM and Wide&Deep are less robust than FM and AFM",
        criterion: "per data set and pair of models, BER_50 of afm's network above that of the other, chip by chip: exact sign tests with \
                    Holm; fm's network is one bias and left out",
        verdict: over_all(&parts),
        why: format!("{}; ratios of BER_50: {}. {SHARED}", in_words(&parts), ratios_in_words(&evidence)),
        parts,
        evidence,
    }
}

/// Criteo is less robust than MovieLens, by up to two orders.
pub(super) fn c9(findings: &Findings) -> Claim {
    let (mut evidence, mut parts, mut family) = (Vec::new(), Vec::new(), Vec::new());
    let named = |name: &str| findings.sets().map(|(_, set)| set).find(|set| set.name == name);
    let pair: Option<(&Set, &Set)> = named("movielens-1m").zip(named("criteo"));
    if let Some((movielens, criteo)) = pair {
        for model in networks() {
            let of_sets =
                Profile::of(findings, model, movielens.name).zip(Profile::of(findings, model, criteo.name));
            if let Some((first, second)) = of_sets {
                let ([a, a_low, a_high], [b, b_low, b_high]) = (first.first(VISIBLE), second.first(VISIBLE));
                let over = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a / b);
                let piece = Evidence {
                    of: format!("network of {model}"),
                    quantity: "ratio of the rates that first cost .001, MovieLens-1M by Criteo, from profiles (interval of two at 95 %)",
                    value: over(a, b),
                    low: over(a_low, b_high),
                    high: over(a_high, b_low),
                    n: first.chips() + second.chips(),
                };
                parts.push(Part::exact(
                    format!("network of {model}"),
                    crate::claim::by_interval(&piece, crate::claim::Side::Above, 1.0),
                ));
                evidence.push(piece);
            }
            for (target, what) in [("embedding", "tables"), ("dense", "network")] {
                let half = |set: &Set| HalfRate::of(findings, &Place::new(model, set.name, target));
                let (Some(first), Some(second)) = (half(movielens), half(criteo)) else { continue };
                evidence.push(first.evidence(format!("{model} on {}, {target}", movielens.name)));
                evidence.push(second.evidence(format!("{model} on {}, {target}", criteo.name)));
                let of = format!("{what} of {model}, half of the lead");
                evidence.push(first.over(&second, of.clone()));
                // The chips of two data sets are two draws: their tables have other shapes.
                family.push(first.signs(&second, of));
            }
        }
    }
    parts.extend(decided(&family));
    let ratios = || {
        let of_ratios = evidence.iter().filter(|piece| piece.quantity.starts_with("ratio"));
        of_ratios.filter_map(|piece| piece.value.filter(|ratio| ratio.is_finite()))
    };
    let largest = ratios().max_by(f64::total_cmp);
    if let Some(largest) = largest {
        let verdict = if largest >= NEAR_TWO_ORDERS { Verdict::Holds } else { Verdict::Refuted };
        parts.push(Part::exact("a ratio nearer to two orders than to one".to_owned(), verdict));
    }
    let largest = largest.map_or_else(|| "unknown".to_owned(), |ratio| format!("{ratio:.0}"));
    Claim {
        id: "C9",
        section: "6.2",
        says: "Criteo is less robust than MovieLens, by up to two orders of magnitude",
        criterion: "MovieLens-1M against Criteo, per model: the rate at which the network first loses .001, from profiles, as a ratio with \
                    its interval; BER_50 of tables and networks, exact sign tests with Holm; for \"up to two orders\" one ratio above 31.6",
        verdict: over_all(&parts),
        why: format!(
            "{}; ratios: {}; the largest measured is {largest}, and two orders are 100",
            in_words(&parts),
            ratios_in_words(&evidence)
        ),
        parts,
        evidence,
    }
}

/// Models differ by up to two orders of magnitude.
pub(super) fn between_models(findings: &Findings) -> Claim {
    let (mut evidence, mut parts) = (Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        let halves: Vec<(&str, f64)> = networks()
            .filter_map(|model| {
                let half = HalfRate::of(findings, &Place::new(model, set.name, "dense"))?;
                evidence.push(half.evidence(format!("{model} on {}, dense", set.name)));
                Some((model, half.estimate()?))
            })
            .collect();
        let (Some(least), Some(most)) = (
            halves.iter().min_by(|a, b| a.1.total_cmp(&b.1)),
            halves.iter().max_by(|a, b| a.1.total_cmp(&b.1)),
        ) else {
            continue;
        };
        let of = format!("{} by {} on {}", most.0, least.0, set.name);
        let ratio = most.1 / least.1;
        let verdict = if ratio >= NEAR_TWO_ORDERS { Verdict::Holds } else { Verdict::Refuted };
        parts.push(Part::exact(of.clone(), verdict));
        evidence.push(Evidence::plain(
            of,
            "largest ratio of BER_50 of two networks",
            Some(ratio),
            halves.len() as u64,
        ));
    }
    let said: Vec<String> = evidence
        .iter()
        .filter(|piece| piece.quantity.starts_with("largest"))
        .filter_map(|piece| Some(format!("{} {:.1}", piece.of, piece.value?)))
        .collect();
    Claim {
        id: "C21",
        section: "6.2",
        says: "the models' robustness differs by up to two orders of magnitude",
        criterion: "largest ratio of BER_50 of two networks on one data set, nearer to two orders than to one (above 31.6); point estimates, \
                    fm left out, whose network is one bias",
        verdict: over_all(&parts),
        why: format!("{}; {}", in_words(&parts), said.join(", ")),
        parts,
        evidence,
    }
}

/// Tables drop after 1e-3.
pub(super) fn tables_drop(findings: &Findings) -> Claim {
    let (mut evidence, mut family) = (Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        for model in MODELS {
            let Some(golden) = findings.unprotected_auc(model, set.name) else { continue };
            for (rate, sign) in [(1e-3, -1.0), (1e-2, 1.0)] {
                let Some(cell) = findings.cell(&Place::new(model, set.name, "embedding"), rate) else {
                    continue;
                };
                let losses: Vec<f64> = cell.aucs().iter().map(|auc| golden - auc).collect();
                let said = if sign > 0.0 { "above" } else { "within" };
                let of = format!("{model} on {}, {said} .05 at {rate:.0e}", set.name);
                evidence.extend(median(
                    of.clone(),
                    "loss by faults in the tables, median over chips",
                    &losses,
                ));
                family.push(Signs::of(of, losses.iter().map(|loss| sign * (loss - SEVERE))));
            }
        }
    }
    let parts = decided(&family);
    Claim {
        id: "C22",
        section: "6.2",
        says: "embedding tables drop only after 1e-3",
        criterion: "faults in the tables, per model and data set: most chips lose less than .05 at 1e-3 and more at 1e-2; exact sign tests \
                    with Holm",
        verdict: over_all(&parts),
        why: format!("{} (chips {})", in_words(&parts), splits(&parts)),
        parts,
        evidence,
    }
}

/// Protect MLPs first.
pub(super) fn networks_first(findings: &Findings) -> Claim {
    let (mut evidence, mut parts, mut family) = (Vec::new(), Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        for model in networks() {
            let Some(golden) = findings.unprotected_auc(model, set.name) else { continue };
            let profile = Profile::of(findings, model, set.name);
            for rate in [1e-4, 1e-3, 1e-2] {
                let aucs = |target| {
                    findings.cell(&Place::new(model, set.name, target), rate).map(CellFindings::aucs)
                };
                // With the network safe only the tables are hit, and the other way round.
                let (Some(network_safe), Some(tables_safe)) = (aucs("embedding"), aucs("dense")) else {
                    continue;
                };
                let of = format!("{model} on {} at {rate:.0e}", set.name);
                for (quantity, of_mean, aucs) in [
                    ("AUC with the network safe, median over chips", "the same, mean", &network_safe),
                    ("AUC with the tables safe, median over chips", "the same, mean", &tables_safe),
                ] {
                    evidence.extend(median(of.clone(), quantity, aucs));
                    let mean = radhard_metrics::sum::mean(aucs);
                    evidence.push(Evidence::plain(of.clone(), of_mean, mean, aucs.len() as u64));
                }
                // Losses of tables are alike from chip to chip; those of networks are not, so their mean comes from the profile.
                let by_tables = median(
                    of.clone(),
                    "loss by faults in the tables, median over chips",
                    &network_safe.iter().map(|auc| golden - auc).collect::<Vec<_>>(),
                );
                match (&profile, by_tables) {
                    (Some(profile), Some(tables)) if rate < 0.9e-2 => {
                        let [low, high] = profile.loss(rate).1;
                        let verdict = match (tables.low, tables.high) {
                            (_, Some(end)) if low > end => Verdict::Holds,
                            (Some(end), _) if high < end => Verdict::Refuted,
                            _ => Verdict::Undecided,
                        };
                        parts.push(Part::exact(of.clone(), verdict));
                        evidence.push(profile.evidence(&format!("{model} on {}", set.name), rate));
                        evidence.push(tables);
                    }
                    _ => family.push(Signs::of(of, super::chips::less(&network_safe, &tables_safe))),
                }
            }
        }
    }
    parts.extend(decided(&family));
    Claim {
        id: "C23",
        section: "8, A1",
        says: "MLPs should be protected first",
        criterion: "a model with its network safe against one with its tables safe (ideal protection of that part alone), per model, data \
                    set and rate: at 1e-4 and 1e-3 the mean loss by the network, from its profile, against the loss by the tables; at 1e-2, \
                    and without a profile, most chips by exact sign tests with Holm",
        verdict: over_all(&parts),
        why: format!("{}. {SHARED}", in_words(&parts)),
        parts,
        evidence,
    }
}

/// The medians of ratios of BER_50 over chips and ratios of rates, at most twelve.
fn ratios_in_words(evidence: &[Evidence]) -> String {
    let said: Vec<String> = evidence
        .iter()
        .filter(|piece| piece.quantity.starts_with("ratio"))
        .take(12)
        .map(|piece| {
            let number = |value: Option<f64>| {
                value.map_or_else(
                    || "–".to_owned(),
                    |value| {
                        if value.is_infinite() { "> all rates".to_owned() } else { format!("{value:.2}") }
                    },
                )
            };
            format!("{} {} [{}, {}]", piece.of, number(piece.value), number(piece.low), number(piece.high))
        })
        .collect();
    if said.is_empty() { "none".to_owned() } else { said.join("; ") }
}

/// The models whose dense part is more than a bias.
fn networks() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().filter(|model| *model != "fm")
}
