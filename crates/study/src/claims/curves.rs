//! Claims about AUC against the bit error rate: section 6.2.

use crate::claim::{Claim, Evidence, Side, Verdict, all_on};
use crate::findings::{Findings, Place};
use crate::half_rate::{HalfRate, ratios_in_words};
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
    let (mut subjects, mut as_said, mut standing) = (0, 0, 0);
    let mut firsts = [Vec::new(), Vec::new(), Vec::new()];
    for set in &SETS {
        for model in MODELS {
            let place = Place::new(model, set.name, "all");
            let Some(golden) = findings.unprotected_auc(model, set.name) else { continue };
            let curve = findings.curve(&place);
            // Half decades belong to other claims.
            let curve: Vec<_> = curve.into_iter().filter(|(rate, _)| *rate <= 1.01e-2).collect();
            let Some(&(_, end)) = curve.last() else { continue };
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
            for (firsts, first) in firsts.iter_mut().zip([visible, severe, gone]) {
                firsts.extend(first);
            }
            as_said += u32::from(
                within(visible, 2e-6, 1.1e-5) && within(severe, 0.9e-5, 1.1e-4) && within(gone, 1e-4, 1.1e-2),
            );
            standing +=
                u32::from(gone.is_none() && end_interval.is_some_and(|interval| interval.low > NOTHING_LEFT));
        }
    }
    let verdict = match (subjects, as_said) {
        (0, _) => Verdict::Open,
        (subjects, as_said) if subjects == as_said => Verdict::Holds,
        _ => Verdict::Refuted,
    };
    let first = |rates: &[f64]| {
        let least = rates.iter().copied().min_by(f64::total_cmp);
        let most = rates.iter().copied().max_by(f64::total_cmp);
        least.zip(most).map_or_else(
            || "in none".to_owned(),
            |(least, most)| format!("first at {least:.0e} to {most:.0e} in {} of them", rates.len()),
        )
    };
    let why = if subjects == 0 {
        "nothing measured".to_owned()
    } else {
        format!(
            "{as_said} of {subjects} models and data sets fall at these rates: the mean loss is above .001 {}, above .05 {}; the mean \
             AUC is below .55 {}, and {standing} are above it at 1e-2 beyond chance",
            first(&firsts[0]),
            first(&firsts[1]),
            first(&firsts[2])
        )
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

/// Embeddings are more robust than networks, with a narrower band.
pub(super) fn c7(findings: &Findings) -> Claim {
    let (mut evidence, mut ratios) = (Vec::new(), Vec::new());
    let (mut narrower, mut bands) = (0, 0);
    for set in &SETS {
        for model in networks() {
            let place = |target| Place::new(model, set.name, target);
            let tables = HalfRate::of(findings, &place("embedding"));
            let network = HalfRate::of(findings, &place("dense"));
            let (Some(tables), Some(network)) = (tables, network) else { continue };
            let of = format!("{model} on {}", set.name);
            evidence.push(tables.evidence(format!("{of}, embedding")));
            evidence.push(network.evidence(format!("{of}, dense")));
            ratios.push(tables.over(&network, format!("{of}, embedding by dense")));
            // Bands are held beside each other where each part has lost half.
            let sds: Vec<f64> = [("embedding", &tables), ("dense", &network)]
                .into_iter()
                .filter_map(|(target, half)| {
                    let golden = findings.unprotected_auc(model, set.name)?;
                    let (rate, cell) = half.after(findings, &place(target))?;
                    let sd = cell.statistics(golden).sd;
                    let n = cell.trials.len() as u64;
                    let of = format!("{of}, {target} at {rate:.0e}");
                    let quantity = "standard deviation of AUC over chips, where half is lost";
                    evidence.push(Evidence { of, quantity, value: sd, low: None, high: None, n });
                    sd
                })
                .collect();
            if let [tables, network] = sds[..] {
                bands += 1;
                narrower += u32::from(tables < network);
            }
        }
    }
    let why = format!(
        "BER_50 of the tables over that of the network is {}; where half is lost the tables' band is the narrower one in \
         {narrower} of {bands}",
        ratios_in_words(&ratios)
    );
    let verdict = all_on(Side::Above, 1.0, &ratios);
    evidence.extend(ratios);
    Claim {
        id: "C7",
        section: "6.2",
        says: "embeddings are more robust than networks, with a narrower band",
        criterion: "BER_50 of the tables by that of the network above 1: median over chips, each with its own curve; standard \
                    deviations where half is lost beside it",
        verdict,
        why,
        evidence,
    }
}

/// DCN, DeepFM and Wide&Deep are less robust than FM and AFM.
pub(super) fn c8(findings: &Findings) -> Claim {
    let (mut evidence, mut ratios) = (Vec::new(), Vec::new());
    for set in &SETS {
        let half = |model| HalfRate::of(findings, &Place::new(model, set.name, "dense"));
        let Some(afm) = half("afm") else { continue };
        evidence.push(afm.evidence(format!("afm on {}, dense", set.name)));
        for model in ["deepfm", "dcn", "wide-deep"] {
            let Some(other) = half(model) else { continue };
            evidence.push(other.evidence(format!("{model} on {}, dense", set.name)));
            ratios.push(afm.over(&other, format!("afm by {model} on {}, dense", set.name)));
        }
        if let Some(fm) = half("fm") {
            evidence.push(fm.evidence(format!("fm on {}, dense: one bias, left out", set.name)));
        }
    }
    let why = format!("BER_50 of afm's network over the other's is {}", ratios_in_words(&ratios));
    let verdict = all_on(Side::Above, 1.0, &ratios);
    evidence.extend(ratios);
    Claim {
        id: "C8",
        section: "6.2",
        says: "DCN, DeepFM and Wide&Deep are less robust than FM and AFM",
        criterion: "BER_50 of afm's network by those of dcn, deepfm and wide-deep above 1, median over chips; fm's dense part is \
                    one bias and left out",
        verdict,
        why,
        evidence,
    }
}

/// Criteo is less robust than MovieLens, by up to two orders.
pub(super) fn c9(findings: &Findings) -> Claim {
    let (mut evidence, mut ratios) = (Vec::new(), Vec::new());
    for model in networks() {
        for target in ["embedding", "dense"] {
            let half = |set: usize| HalfRate::of(findings, &Place::new(model, SETS[set].name, target));
            let (Some(movielens), Some(criteo)) = (half(0), half(2)) else { continue };
            evidence.push(movielens.evidence(format!("{model} on {}, {target}", SETS[0].name)));
            evidence.push(criteo.evidence(format!("{model} on {}, {target}", SETS[2].name)));
            ratios.push(
                movielens.over(&criteo, format!("{model}, {target}, {} by {}", SETS[0].name, SETS[2].name)),
            );
        }
    }
    let largest = ratios.iter().filter_map(|ratio| ratio.value).filter(|ratio| ratio.is_finite());
    let largest =
        largest.max_by(f64::total_cmp).map_or_else(|| "unknown".to_owned(), |ratio| format!("{ratio:.0}"));
    let why = format!(
        "BER_50 on MovieLens-1M over that on Criteo is {}; the largest ratio measured is {largest}",
        ratios_in_words(&ratios)
    );
    let verdict = all_on(Side::Above, 1.0, &ratios);
    evidence.extend(ratios);
    Claim {
        id: "C9",
        section: "6.2",
        says: "Criteo is less robust than MovieLens, by up to two orders of magnitude",
        criterion: "BER_50 on MovieLens-1M by that on Criteo above 1, per model and target, median over chips",
        verdict,
        why,
        evidence,
    }
}

/// The models whose dense part is more than a bias.
fn networks() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().filter(|model| *model != "fm")
}
