//! Claims about protections: section 7.

use radhard_metrics::sum::mean;
use radhard_records::Noticed;

use crate::campaigns::{CHECKED_MODELS, PROTECTED_RATES};
use crate::claim::{Claim, Evidence, Part, Verdict, in_words, over_all};
use crate::claims::chips::{less, median};
use crate::claims::ranks::{Ranked, concordance};
use crate::claims::signs::{Signs, decided};
use crate::findings::{Findings, Place};
use crate::half_rate::HalfRate;
use crate::training::MODELS;

/// A difference of AUC that counts.
const MARGIN: f64 = 0.001;
/// A loss that counts as large.
const LARGE: f64 = 0.05;

/// AUC of the same chips under two protections.
struct Chips {
    of: String,
    golden: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Chips {
    fn of(
        findings: &Findings,
        (model, data): (&str, &str),
        rate: f64,
        [first, second]: [&str; 2],
    ) -> Option<Self> {
        let golden = findings.unprotected_auc(model, data)?;
        let cell = |protection| findings.cell(&Place::new(model, data, "all").under(protection), rate);
        let (a, b) = (cell(first)?, cell(second)?);
        let chips = |cell: &crate::findings::CellFindings| {
            cell.trials.iter().map(|trial| trial.chip).collect::<Vec<_>>()
        };
        if chips(a) != chips(b) {
            return None;
        }
        let (first, second) = (a.aucs(), b.aucs());
        let same = !first.is_empty() && first.len() == second.len();
        same.then(|| Self { of: format!("{model} on {data} at {rate:.0e}"), golden, first, second })
    }

    fn gains(&self) -> Vec<f64> {
        less(&self.first, &self.second)
    }

    /// Whether the protection changes nothing on any chip: then it has no place to act.
    fn equal(&self) -> bool {
        self.first == self.second
    }

    /// Mean gain over mean loss, where more than the margin is lost.
    fn recovered(&self) -> Option<f64> {
        let loss = self.golden - mean(&self.second)?;
        (loss > MARGIN).then(|| mean(&self.gains()).map(|gain| gain / loss)).flatten()
    }
}

/// The cells of figure 10 under two protections.
fn cells<'a>(findings: &'a Findings, pair: [&'a str; 2]) -> impl Iterator<Item = (Cell, Chips)> + 'a {
    findings.sets().flat_map(move |(_, set)| {
        MODELS.into_iter().flat_map(move |model| {
            let cell = move |rate| ((model, set.name), rate);
            PROTECTED_RATES.into_iter().filter_map(move |rate| {
                let (subject, rate) = cell(rate);
                Some(((subject, rate), Chips::of(findings, subject, rate, pair)?))
            })
        })
    })
}

/// Model and data set, and the rate.
type Cell = ((&'static str, &'static str), f64);

/// Clipping and SBP win back 0.05 to 0.3 of AUC.
pub(super) fn c10(findings: &Findings) -> Claim {
    let (mut parts, mut evidence, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for protection in ["clip:paper", "sbp"] {
        let (mut family, mut shares, mut gains) = (Vec::new(), Vec::new(), Vec::new());
        let mut nowhere = 0;
        for (_, chips) in cells(findings, [protection, "none"]) {
            let Some(bare) = mean(&chips.second) else { continue };
            // Where little is lost there is little to win.
            if chips.golden - bare <= LARGE {
                continue;
            }
            // A clip without a place to act gains 0 by construction, which is no evidence.
            if chips.equal() {
                nowhere += 1;
                continue;
            }
            let of = format!("{protection}, {}", chips.of);
            let (gained, share) = (mean(&chips.gains()), chips.recovered());
            gains.extend(gained);
            shares.extend(share);
            let n = chips.first.len() as u64;
            evidence.push(Evidence::plain(of.clone(), "mean gain of AUC", gained, n));
            evidence.push(Evidence::plain(of.clone(), "mean gain over mean loss", share, n));
            evidence.extend(median(of.clone(), "gain of AUC, median over chips", &chips.gains()));
            // More than half of what the chip lost.
            let halves = chips
                .first
                .iter()
                .zip(&chips.second)
                .map(|(with, without)| with - f64::midpoint(*without, chips.golden));
            family.push(Signs::of(of, halves));
        }
        let decided = decided(&family);
        if let (Some(low), Some(high)) =
            (gains.iter().copied().min_by(f64::total_cmp), gains.iter().copied().max_by(f64::total_cmp))
        {
            let shares = |pick: fn(&[f64]) -> Option<f64>| {
                pick(&shares).map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
            };
            let count = |verdict| decided.iter().filter(|part| part.verdict == verdict).count();
            said.push(format!(
                "{protection} wins back more than half of the loss on most chips in {} of {} cells and not in {}; the mean gain is at least \
                 .05 in {} of them, from {low:.3} to {high:.3}, which is {} to {} of the mean loss; in {nowhere} cells it has no place to act",
                count(Verdict::Holds),
                decided.len(),
                count(Verdict::Refuted),
                gains.iter().filter(|gain| **gain >= LARGE).count(),
                shares(|all| all.iter().copied().min_by(f64::total_cmp)),
                shares(|all| all.iter().copied().max_by(f64::total_cmp)),
            ));
        }
        parts.extend(decided);
    }
    Claim {
        id: "C10",
        section: "7",
        says: "clipping and selective bit protection win back 0.05 to 0.3 of AUC",
        criterion: "per protection, in the cells that lose more than .05 on average: mean gain over mean loss, and more than half of the \
                    loss won back on most chips, exact sign tests with Holm over the cells of the protection",
        verdict: over_all(&parts),
        why: if said.is_empty() { "nothing measured".to_owned() } else { said.join(". ") },
        parts,
        evidence,
    }
}

/// The largest gain is .3.
pub(super) fn largest_gain(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    for protection in ["clip:paper", "sbp", "sbp=tmr"] {
        let gains = cells(findings, [protection, "none"]).filter_map(|(_, chips)| {
            let (gain, n) = (mean(&chips.gains())?, chips.first.len() as u64);
            Some(Evidence::plain(format!("{protection}, {}", chips.of), "mean gain of AUC", Some(gain), n))
        });
        evidence.extend(gains.max_by(|a, b| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0))));
    }
    let parts: Vec<Part> = evidence
        .iter()
        .map(|piece| {
            let near = piece.value.is_some_and(|gain| (0.25..0.35).contains(&gain));
            Part::exact(piece.of.clone(), if near { Verdict::Holds } else { Verdict::Refuted })
        })
        .collect();
    let said: Vec<String> =
        evidence.iter().filter_map(|piece| Some(format!("{} {:+.3}", piece.of, piece.value?))).collect();
    Claim {
        id: "C24",
        section: "7",
        says: "the largest gain of a protection is about 0.3 of AUC",
        criterion: "largest mean gain over models, data sets and rates, per protection, between .25 and .35; point estimates",
        verdict: over_all(&parts),
        why: if said.is_empty() { "nothing measured".to_owned() } else { said.join("; ") },
        parts,
        evidence,
    }
}

/// Clipping does better than SBP.
pub(super) fn c11(findings: &Findings) -> Claim {
    let (mut parts, mut evidence, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for protection in ["sbp", "sbp=tmr"] {
        let (mut ahead, mut behind) = (Vec::new(), Vec::new());
        let mut nowhere = 0;
        for ((subject, rate), chips) in cells(findings, ["clip:paper", protection]) {
            // A clip without a place to act compares nothing.
            let alone = Chips::of(findings, subject, rate, ["clip:paper", "none"]);
            if alone.is_none_or(|alone| alone.equal()) {
                nowhere += 1;
                continue;
            }
            let (of, gains) = (format!("against {protection}, {}", chips.of), chips.gains());
            evidence.extend(median(
                of.clone(),
                "AUC under clip:paper less that under the other, median over chips",
                &gains,
            ));
            ahead.push(Signs::beyond(of.clone(), MARGIN, gains.iter().copied()));
            behind.push(Signs::beyond(of, MARGIN, gains.iter().map(|gain| -gain)));
        }
        // Behind by more than the margin on most chips, or not ahead by it on most: the latter alone leaves it level.
        let (ahead, behind) = (decided(&ahead), decided(&behind));
        let count = |parts: &[Part], verdict| parts.iter().filter(|part| part.verdict == verdict).count();
        said.push(format!(
            "against {protection}, clip:paper is ahead by more than .001 in {} of {} cells, behind by more than .001 in {}, level within \
             .001 in {}; in {nowhere} it has no place to act",
            count(&ahead, Verdict::Holds),
            ahead.len(),
            count(&behind, Verdict::Holds),
            ahead
                .iter()
                .zip(&behind)
                .filter(|(ahead, behind)| {
                    ahead.verdict == Verdict::Refuted && behind.verdict == Verdict::Refuted
                })
                .count()
        ));
        parts.extend(ahead.into_iter().zip(&behind).map(|(ahead, behind)| {
            // Level cells refute nothing: neither is better there.
            let verdict = match (ahead.verdict, behind.verdict) {
                (Verdict::Holds, _) => Verdict::Holds,
                (_, Verdict::Holds) => Verdict::Refuted,
                _ => Verdict::Undecided,
            };
            Part { verdict, ..ahead }
        }));
    }
    Claim {
        id: "C11",
        section: "7",
        says: "clipping does better than selective bit protection",
        criterion: "clip:paper against sbp, and against sbp=tmr, which can be built, on the same chips with a margin of .001: ahead or behind \
                    on most chips, exact sign tests with Holm over the cells of one comparison",
        verdict: over_all(&parts),
        why: said.join(". "),
        parts,
        evidence,
    }
}

/// Clipping is ahead above all for deep MLPs.
pub(super) fn clip_for_mlps(c11: &Claim) -> Claim {
    let parts: Vec<Part> = c11
        .parts
        .iter()
        .filter(|part| CHECKED_MODELS.iter().any(|model| part.of.contains(&format!(", {model} on "))))
        .cloned()
        .collect();
    Claim {
        id: "C25",
        section: "7",
        says: "clipping is ahead of selective bit protection particularly in models with deep MLPs",
        criterion: "the comparisons of C11 for deepfm, dcn and wide-deep",
        verdict: over_all(&parts),
        why: in_words(&parts),
        parts,
        evidence: Vec::new(),
    }
}

/// There is nothing to win back below 1e-5.
pub(super) fn nothing_below(findings: &Findings) -> Claim {
    let (mut parts, mut evidence) = (Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        for model in MODELS {
            let Some(profile) = crate::profile::Profile::of(findings, model, set.name) else { continue };
            let of = format!("{model} on {}", set.name);
            for rate in [1e-6, 1e-5] {
                let piece = profile.evidence(&of, rate);
                let verdict = crate::claim::by_interval(&piece, crate::claim::Side::Below, MARGIN);
                parts.push(Part::exact(format!("{of} at {rate:.0e}"), verdict));
                evidence.push(piece);
            }
        }
    }
    Claim {
        id: "C26",
        section: "7",
        says: "below 1e-5 there is nothing to win back",
        criterion: "mean loss below .001 by the profile of bit 30 of the network, at 1e-6 and at 1e-5, where the paper's figure begins",
        verdict: over_all(&parts),
        why: in_words(&parts),
        parts,
        evidence,
    }
}

/// Robust models recover better.
pub(super) fn c12(findings: &Findings) -> Claim {
    let mut evidence = Vec::new();
    let mut strata: Vec<Vec<Ranked>> = Vec::new();
    for (_, set) in findings.sets() {
        let mut stratum = Vec::new();
        for model in MODELS {
            let half = HalfRate::of(findings, &Place::new(model, set.name, "all"));
            let chips = Chips::of(findings, (model, set.name), 1e-3, ["clip:paper", "none"]);
            let (Some(half), Some(chips)) = (half, chips) else { continue };
            let (share, n) = (chips.recovered(), chips.first.len() as u64);
            evidence.push(half.evidence(format!("{model} on {}, all", set.name)));
            let quantity = "mean gain of clip:paper over mean loss";
            evidence.push(Evidence::plain(chips.of.clone(), quantity, share, n));
            // A model without a place to clip gains exactly 0 by construction.
            if let (false, Some(share)) = (chips.equal(), share) {
                stratum.push(Ranked { first: half.estimate().unwrap_or(f64::INFINITY), second: share });
            }
        }
        strata.push(stratum);
    }
    let found = concordance(&strata);
    let verdict = match found {
        None => Verdict::Open,
        Some(found) if found.p > 0.05 => Verdict::Undecided,
        Some(found) if found.lead > 0 => Verdict::Holds,
        Some(_) => Verdict::Refuted,
    };
    let why = found.map_or_else(
        || "nothing measured".to_owned(),
        |found| {
            format!(
                "of {} pairs of models within a data set, the more robust one recovers the larger share in {} more than the less robust \
                 one (exact p {:.2}); a model without a place to clip, such as fm, gains 0 by construction and is left out",
                found.pairs, found.lead, found.p
            )
        },
    );
    Claim {
        id: "C12",
        section: "7",
        says: "robust models recover better",
        criterion: "BER_50 of the model against the share of the loss that clip:paper wins back at 1e-3, over the models of each data set: \
                    Kendall's S added over data sets, exact by permutations within each",
        verdict,
        why,
        parts: Vec::new(),
        evidence,
    }
}

/// ABFT is not feasible above 1e-4.
pub(super) fn c13(findings: &Findings) -> Claim {
    let (mut evidence, mut family, mut reload) = (Vec::new(), Vec::new(), Vec::new());
    for (_, set) in findings.sets() {
        for model in CHECKED_MODELS {
            for rate in [1e-3, 1e-2] {
                for (protection, signs) in
                    [("abft-gemm:recompute", &mut family), ("abft-gemm:reload", &mut reload)]
                {
                    let Some(chips) = Chips::of(findings, (model, set.name), rate, [protection, "none"])
                    else {
                        continue;
                    };
                    let of = format!("{protection}, {}", chips.of);
                    evidence.extend(median(of.clone(), "gain of AUC, median over chips", &chips.gains()));
                    // No gain beyond the margin speaks for the claim.
                    signs.push(Signs::beyond(of, -MARGIN, chips.gains().iter().map(|gain| -gain)));
                }
            }
        }
    }
    let (parts, reload) = (decided(&family), decided(&reload));
    for (_, set) in findings.sets() {
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
                        evidence.push(Evidence::plain(of, quantity, Some(value), n));
                    }
                }
            }
        }
    }
    let count = |parts: &[Part], verdict| parts.iter().filter(|part| part.verdict == verdict).count();
    Claim {
        id: "C13",
        section: "7",
        says: "checksums (ABFT) are not feasible above 1e-4",
        criterion: "the paper's scheme computes a flagged result again, with the same flipped weights: it gains at most .001 of AUC over no \
                    protection on most chips at 1e-3 and 1e-2; exact sign tests with Holm. Reloading from a clean copy is another scheme, \
                    shown next to it",
        verdict: over_all(&parts),
        why: format!(
            "computing again gains nothing in {} of {} cells and something in {}. Reloading the flagged layer from a clean copy gains in \
             {} of {}",
            count(&parts, Verdict::Holds),
            parts.len(),
            count(&parts, Verdict::Refuted),
            count(&reload, Verdict::Refuted),
            reload.len()
        ),
        parts,
        evidence,
    }
}
