//! Claims about the untrained dummy models: section 5.2.

use radhard_metrics::sum::mean;
use radhard_metrics::{TrialScores, kendall};

use crate::campaigns::DUMMY_RATES;
use crate::claim::{Claim, Evidence, Side, Verdict, all_on};
use crate::claims::chips::{by_chip, difference, one_decides, ratio, share};
use crate::dummy::DummyShape;
use crate::figures::{Failures, printed_inf_nan};
use crate::findings::{CellFindings, Findings, Place};

/// RMSE is about 0 up to 1e-8 and almost always Inf or NaN from 1e-6 on.
pub(super) fn c1(findings: &Findings, widths: &[usize]) -> Claim {
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for depth in [1, 2] {
        for target in ["all", "dense"] {
            for (rate, evidence) in [(1e-8, &mut low), (1e-6, &mut high)] {
                let cells = cells(findings, widths, target, rate, |shape| shape.depth == depth);
                let of = format!("depth {depth}, {target}, {rate:.0e}");
                evidence.extend(share(of, "share of chips printed inf or nan", &by_chip(&cells, printed)));
            }
        }
    }
    let verdict = match (all_on(Side::Below, 0.1, &low), all_on(Side::Above, 0.9, &high)) {
        (Verdict::Holds, Verdict::Holds) => Verdict::Holds,
        (Verdict::Refuted, _) | (_, Verdict::Refuted) => Verdict::Refuted,
        (Verdict::Open, _) | (_, Verdict::Open) => Verdict::Open,
        _ => Verdict::Undecided,
    };
    let mut evidence = low;
    evidence.extend(high);
    let why = sentence(&evidence);
    // Beside them: outputs themselves, and what theory says of an overflow in f32.
    for depth in [1, 2] {
        let of_depth = |shape: &DummyShape| shape.depth == depth;
        for target in ["all", "dense"] {
            let cells = cells(findings, widths, target, 1e-6, of_depth);
            let of = format!("depth {depth}, {target}, rate {:.0e}", 1e-6);
            let any = by_chip(&cells, |scores| f64::from(scores.non_finite + scores.saturated > 0));
            evidence.extend(share(of.clone(), "share of chips with an output that is not finite", &any));
            let predicted: f64 = cells
                .iter()
                .map(|cell| {
                    let words = cell.exposed_bits as f64 / 32.0;
                    0.86 * -libm::expm1(words * libm::log1p(-1e-6))
                })
                .sum();
            let value = (!cells.is_empty()).then(|| predicted / cells.len() as f64);
            let quantity = "share predicted to overflow: .86 (1 - (1-p)^N) over the models";
            evidence.push(Evidence { of, quantity, value, low: None, high: None, n: any.len() as u64 });
        }
    }
    Claim {
        id: "C1",
        section: "5.2",
        says: "the RMSE of dummy models is about 0 up to 1e-8 and almost always Inf or NaN from 1e-6 on",
        criterion: "share of chips that the paper prints as inf or nan: below 10 % at 1e-8, above 90 % at 1e-6",
        verdict,
        why,
        evidence,
    }
}

/// RMSE rises with the rate.
pub(super) fn c2(findings: &Findings, widths: &[usize]) -> Claim {
    let mut evidence = Vec::new();
    for shape in DummyShape::grid(widths) {
        for target in ["all", "embedding", "dense"] {
            let (rates, medians): (Vec<f64>, Vec<f64>) = DUMMY_RATES
                .iter()
                .filter_map(|rate| {
                    let cell = findings.cell(&Place::new(&shape.name(), &shape.data(), target), *rate)?;
                    Some((*rate, Failures::of(cell)?.median_rmse))
                })
                .unzip();
            if medians.len() < DUMMY_RATES.len() {
                continue;
            }
            evidence.push(Evidence {
                of: format!("{}, sparsity {}, {target}", shape.name(), shape.sparsity),
                quantity: "Kendall's tau over rates whose medians differ",
                value: kendall(&rates, &medians).gamma,
                low: None,
                high: None,
                n: medians.len() as u64,
            });
        }
    }
    let rising = evidence.iter().filter(|piece| piece.value.is_some_and(|tau| tau > 0.9)).count();
    let defined = evidence.iter().filter(|piece| piece.value.is_some()).count();
    Claim {
        id: "C2",
        section: "5.2",
        says: "RMSE rises with the bit error rate",
        criterion: "Kendall's tau of the median RMSE over nested chips above .9, in at least 95 % of the models and targets",
        verdict: match defined {
            0 => Verdict::Open,
            defined if rising * 20 >= defined * 19 => Verdict::Holds,
            _ => Verdict::Refuted,
        },
        why: format!("tau is above .9 in {rising} of {defined} models and targets"),
        evidence,
    }
}

/// The width of the MLP hurts more than that of the embedding.
pub(super) fn c3(findings: &Findings, widths: &[usize]) -> Claim {
    const SAYS: &str = "the width of the MLP hurts more than that of the embedding";
    const CRITERION: &str = "failures of models with the wide MLP less those with the wide embedding, on the same chips: chips \
                             printed inf or nan, and samples moved by more than .001 or not finite; both must be above 0 at one \
                             rate, and none below";
    let (Some(&narrow), Some(&wide)) = (widths.first(), widths.last()) else {
        return open("C3", SAYS, CRITERION);
    };
    let (mut chips, mut samples, mut odds) = (Vec::new(), Vec::new(), Vec::new());
    for rate in [1e-7, 1e-6, 1e-5] {
        let of = |hidden: usize, embedding: usize| {
            cells(findings, widths, "all", rate, |s| s.hidden == hidden && s.embedding == embedding)
        };
        let (mlp, embedding) = (of(wide, narrow), of(narrow, wide));
        let name = format!("{rate:.0e}");
        let differ = |quantity, of: &dyn Fn(&TrialScores) -> f64| {
            difference(name.clone(), quantity, &by_chip(&mlp, of), &by_chip(&embedding, of))
        };
        chips.extend(differ("chips printed inf or nan, MLP less embedding", &printed));
        samples.extend(differ("samples that fail, MLP less embedding", &failed));
        odds.extend(ratio(
            name.clone(),
            "odds of a chip printed inf or nan, MLP by embedding",
            &mlp,
            &embedding,
        ));
    }
    let (of_chips, of_samples) = (one_decides(&chips), one_decides(&samples));
    let verdict = match (of_chips, of_samples) {
        (Verdict::Refuted, _) | (_, Verdict::Refuted) => Verdict::Refuted,
        (Verdict::Holds, Verdict::Holds) => Verdict::Holds,
        (Verdict::Open, _) | (_, Verdict::Open) => Verdict::Open,
        _ => Verdict::Undecided,
    };
    let why = format!(
        "by chips {of_chips} ({}); by samples {of_samples} ({})",
        sentence(&chips),
        sentence(&samples)
    );
    let evidence = [chips, samples, odds].concat();
    Claim { id: "C3", section: "5.2", says: SAYS, criterion: CRITERION, verdict, why, evidence }
}

/// A deeper MLP is worse.
pub(super) fn c4(findings: &Findings, widths: &[usize]) -> Claim {
    let (mut shares, mut odds) = (Vec::new(), Vec::new());
    for rate in [1e-7, 1e-6, 1e-5] {
        let of = |depth: usize| cells(findings, widths, "dense", rate, |shape| shape.depth == depth);
        let (one, two) = (of(1), of(2));
        let name = format!("{rate:.0e}");
        let quantity = "chips printed inf or nan, depth 2 less depth 1";
        shares.extend(difference(name.clone(), quantity, &by_chip(&two, printed), &by_chip(&one, printed)));
        odds.extend(ratio(name, "odds of a chip printed inf or nan, depth 2 by depth 1", &two, &one));
    }
    let why = format!("{}; {}", sentence(&odds), sentence(&shares));
    Claim {
        id: "C4",
        section: "5.2",
        says: "a deeper MLP is worse",
        criterion: "odds of a chip printed inf or nan under faults in the MLP, depth 2 by depth 1, above 1: difference of the \
                    shares on the same chips above 0 at one rate, and none below",
        verdict: one_decides(&shares),
        why,
        evidence: [shares, odds].concat(),
    }
}

/// Ten times denser sparse input is worse for embeddings.
pub(super) fn c5(findings: &Findings, widths: &[usize]) -> Claim {
    let (mut ratios, mut leads) = (Vec::new(), Vec::new());
    for rate in [1e-7, 1e-6, 1e-5] {
        let touched = |sparsity: f64| {
            by_chip(&cells(findings, widths, "embedding", rate, |shape| shape.sparsity == sparsity), touched)
        };
        let (sparse, dense) = (touched(0.001), touched(0.01));
        let (Some(few), Some(many)) = (mean(&sparse), mean(&dense)) else { continue };
        let of = format!("{rate:.0e}");
        ratios.push(Evidence {
            of: of.clone(),
            quantity: "ratio of the shares of touched samples, sparsity .01 to .001",
            value: (few > 0.0).then(|| many / few),
            low: None,
            high: None,
            n: sparse.len() as u64,
        });
        // Half of it, so that it lies within the bounds of a difference.
        let (halves, sparse): (Vec<f64>, Vec<f64>) =
            dense.iter().zip(&sparse).map(|(d, s)| (d / 2.0, *s)).unzip();
        leads.extend(difference(of, "half of the touched share at .01 less that at .001", &halves, &sparse));
    }
    Claim {
        id: "C5",
        section: "5.2",
        says: "ten times denser sparse input is worse for embeddings",
        criterion: "ratio of the shares of samples touched by faults in the table, 10 expected while few are touched; more than \
                    twice as many on the same chips at one rate, and at none fewer",
        verdict: one_decides(&leads),
        why: format!("{}; {}", sentence(&ratios), sentence(&leads)),
        evidence: [ratios, leads].concat(),
    }
}

/// The cells of independent flips of the models of the grid that are picked.
fn cells<'a>(
    findings: &'a Findings,
    widths: &[usize],
    target: &str,
    rate: f64,
    picked: impl Fn(&DummyShape) -> bool,
) -> Vec<&'a CellFindings> {
    DummyShape::grid(widths)
        .iter()
        .filter(|shape| picked(shape))
        .filter_map(|shape| findings.cell(&Place::new(&shape.name(), &shape.data(), target), rate))
        .collect()
}

/// Whether the paper prints a chip as inf or nan.
fn printed(scores: &TrialScores) -> f64 {
    f64::from(printed_inf_nan(scores))
}

/// Share of the samples of a chip that move by more than the tolerance or are not numbers.
fn failed(scores: &TrialScores) -> f64 {
    (scores.sdc + scores.due) as f64 / scores.rows as f64
}

/// Share of the samples of a chip that differ from golden.
fn touched(scores: &TrialScores) -> f64 {
    1.0 - scores.masked as f64 / scores.rows as f64
}

fn open(id: &'static str, says: &'static str, criterion: &'static str) -> Claim {
    let (verdict, why) = (Verdict::Open, "nothing measured".to_owned());
    Claim { id, section: "5.2", says, criterion, verdict, why, evidence: Vec::new() }
}

/// The evidence in a sentence, at most nine pieces of it: a quantity that several have is said once, and so is their number of chips.
pub(crate) fn sentence(evidence: &[Evidence]) -> String {
    if evidence.is_empty() {
        return "nothing measured".to_owned();
    }
    let number =
        |value: Option<f64>| value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.3}"));
    let same = |a: &Evidence, b: &Evidence| (a.quantity, a.n) == (b.quantity, b.n);
    let groups: Vec<String> = evidence[..evidence.len().min(9)]
        .chunk_by(same)
        .map(|group| {
            let pieces: Vec<String> = group
                .iter()
                .map(|piece| {
                    let interval = match (piece.low, piece.high) {
                        (Some(low), Some(high)) => format!(" [{low:.3}, {high:.3}]"),
                        _ => String::new(),
                    };
                    format!("{} {}{interval}", piece.of, number(piece.value))
                })
                .collect();
            format!("{}, n {}: {}", group[0].quantity, group[0].n, pieces.join("; "))
        })
        .collect();
    groups.join(". ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_and_its_chips_are_said_once_for_all_that_have_them() {
        let piece = |of: &str, value: f64| Evidence {
            of: of.to_owned(),
            quantity: "share",
            value: Some(value),
            low: Some(0.0),
            high: Some(1.0),
            n: 10,
        };
        let said = sentence(&[piece("a", 0.25), piece("b", 0.5)]);
        assert_eq!(said, "share, n 10: a 0.250 [0.000, 1.000]; b 0.500 [0.000, 1.000]");
        assert_eq!(sentence(&[]), "nothing measured");
    }
}
