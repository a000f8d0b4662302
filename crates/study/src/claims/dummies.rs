//! Claims about the untrained dummy models: section 5.2.

use crate::campaigns::DUMMY_RATES;
use crate::claim::{Claim, Evidence, Side, Verdict, all_on};
use crate::dummy::DummyShape;
use crate::figures::Failures;
use crate::findings::{Findings, Place};
use radhard_metrics::Proportion;

/// RMSE is about 0 up to 1e-8 and almost always Inf or NaN from 1e-6 on.
pub(super) fn c1(findings: &Findings, widths: &[usize]) -> Claim {
    let mut evidence = Vec::new();
    for depth in [1, 2] {
        for (target, low_rate, high_rate) in [("all", 1e-8, 1e-6), ("dense", 1e-8, 1e-6)] {
            for (rate, quantity) in [
                (low_rate, "share of chips printed inf or nan at 1e-8"),
                (high_rate, "share of chips printed inf or nan at 1e-6"),
            ] {
                let (printed, chips) = failures(findings, widths, target, rate, |shape| shape.depth == depth);
                if chips > 0 {
                    evidence.push(share(format!("depth {depth}, {target}"), quantity, printed, chips));
                }
            }
        }
    }
    let high: Vec<Evidence> =
        evidence.iter().filter(|piece| piece.quantity.ends_with("1e-6")).cloned().collect();
    let low: Vec<Evidence> =
        evidence.iter().filter(|piece| piece.quantity.ends_with("1e-8")).cloned().collect();
    let verdict = match (all_on(Side::Below, 0.1, &low), all_on(Side::Above, 0.9, &high)) {
        (Verdict::Holds, Verdict::Holds) => Verdict::Holds,
        (Verdict::Refuted, _) | (_, Verdict::Refuted) => Verdict::Refuted,
        (Verdict::Open, _) | (_, Verdict::Open) => Verdict::Open,
        _ => Verdict::Undecided,
    };
    Claim {
        id: "C1",
        section: "5.2",
        says: "the RMSE of dummy models is about 0 up to 1e-8 and almost always Inf or NaN from 1e-6 on",
        criterion: "share of chips that the paper prints as inf or nan: below 10 % at 1e-8, above 90 % at 1e-6",
        verdict,
        why: sentence(&evidence),
        evidence,
    }
}

/// RMSE rises with the rate.
pub(super) fn c2(findings: &Findings, widths: &[usize]) -> Claim {
    let mut evidence = Vec::new();
    for shape in DummyShape::grid(widths) {
        for target in ["all", "embedding", "dense"] {
            let medians: Vec<f64> = DUMMY_RATES
                .iter()
                .filter_map(|rate| {
                    let cell = findings.cell(&Place::new(&shape.name(), &shape.data(), target), *rate)?;
                    Some(Failures::of(cell)?.median_rmse)
                })
                .collect();
            if medians.len() < DUMMY_RATES.len() {
                continue;
            }
            let (mut up, mut down) = (0_u32, 0_u32);
            for (place, before) in medians.iter().enumerate() {
                for after in &medians[place + 1..] {
                    up += u32::from(after > before);
                    down += u32::from(after < before);
                }
            }
            let tau = (up + down > 0).then(|| (f64::from(up) - f64::from(down)) / f64::from(up + down));
            evidence.push(Evidence {
                of: format!("{}, sparsity {}, {target}", shape.name(), shape.sparsity),
                quantity: "Kendall's tau over rates whose medians differ",
                value: tau,
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
    let (Some(&narrow), Some(&wide)) = (widths.first(), widths.last()) else {
        return open("C3", "the width of the MLP hurts more than that of the embedding", C3);
    };
    let mut evidence = Vec::new();
    for rate in [1e-7, 1e-6, 1e-5] {
        let of = |hidden: usize, embedding: usize| {
            failures(findings, widths, "all", rate, |s| s.hidden == hidden && s.embedding == embedding)
        };
        let base = of(narrow, narrow);
        for (quantity, other) in [
            ("log-odds of failure for the wide MLP", of(wide, narrow)),
            ("log-odds of failure for the wide embedding", of(narrow, wide)),
        ] {
            if base.1 > 0 && other.1 > 0 {
                evidence.push(log_odds(
                    format!("rate {rate:.0e}, {wide} against {narrow}"),
                    quantity,
                    other,
                    base,
                ));
            }
        }
    }
    let mut sides = Vec::new();
    for pair in evidence.chunks_exact(2) {
        let (Some(mlp), Some(embedding)) = (pair[0].value, pair[1].value) else { continue };
        let half = |piece: &Evidence| piece.high.zip(piece.low).map_or(f64::INFINITY, |(h, l)| (h - l) / 2.0);
        let spread = half(&pair[0]).hypot(half(&pair[1]));
        let difference = mlp - embedding;
        sides.push(Evidence {
            of: pair[0].of.clone(),
            quantity: "difference of the log-odds, MLP less embedding",
            value: Some(difference),
            low: Some(difference - spread),
            high: Some(difference + spread),
            n: pair[0].n,
        });
    }
    // One rate at which it is beyond chance decides; none may be against it.
    let verdict = if sides.is_empty() {
        Verdict::Open
    } else if sides.iter().any(|piece| piece.side(0.0) == Some(Side::Below)) {
        Verdict::Refuted
    } else if sides.iter().any(|piece| piece.side(0.0) == Some(Side::Above)) {
        Verdict::Holds
    } else {
        Verdict::Undecided
    };
    let why = sentence(&sides);
    evidence.extend(sides);
    Claim {
        id: "C3",
        section: "5.2",
        says: "the width of the MLP hurts more than that of the embedding",
        criterion: C3,
        verdict,
        why,
        evidence,
    }
}

const C3: &str = "log-odds of a chip printed inf or nan, wide against narrow, for the MLP and for the embedding (Woolf, halves added)";

/// A deeper MLP is worse.
pub(super) fn c4(findings: &Findings, widths: &[usize]) -> Claim {
    let mut evidence = Vec::new();
    for rate in [1e-7, 1e-6, 1e-5] {
        let of = |depth: usize| failures(findings, widths, "dense", rate, |shape| shape.depth == depth);
        let (one, two) = (of(1), of(2));
        if one.1 > 0 && two.1 > 0 {
            let quantity = "log-odds of failure for depth 2 against 1";
            evidence.push(log_odds(format!("dense, rate {rate:.0e}"), quantity, two, one));
        }
    }
    let verdict = if evidence.is_empty() {
        Verdict::Open
    } else if evidence.iter().any(|piece| piece.side(0.0) == Some(Side::Below)) {
        Verdict::Refuted
    } else if evidence.iter().any(|piece| piece.side(0.0) == Some(Side::Above)) {
        Verdict::Holds
    } else {
        Verdict::Undecided
    };
    Claim {
        id: "C4",
        section: "5.2",
        says: "a deeper MLP is worse",
        criterion: "odds of a chip printed inf or nan under faults in the MLP, depth 2 against depth 1 (Woolf, halves added)",
        verdict,
        why: sentence(&evidence),
        evidence,
    }
}

/// Ten times denser sparse input is worse for embeddings.
pub(super) fn c5(findings: &Findings, widths: &[usize]) -> Claim {
    let mut evidence = Vec::new();
    for rate in [1e-7, 1e-6, 1e-5] {
        let touched = |sparsity: f64| {
            let shares: Vec<f64> = DummyShape::grid(widths)
                .iter()
                .filter(|shape| shape.sparsity == sparsity)
                .filter_map(|shape| {
                    let cell = findings.cell(&Place::new(&shape.name(), &shape.data(), "embedding"), rate)?;
                    Failures::of(cell).map(|failures| failures.touched)
                })
                .collect();
            (!shares.is_empty()).then(|| (shares.iter().sum::<f64>() / shares.len() as f64, shares.len()))
        };
        let (Some((sparse, n)), Some((dense, _))) = (touched(0.001), touched(0.01)) else { continue };
        if sparse > 0.0 {
            evidence.push(Evidence {
                of: format!("embedding, rate {rate:.0e}"),
                quantity: "ratio of the shares of touched samples, sparsity .01 to .001",
                value: Some(dense / sparse),
                low: None,
                high: None,
                n: n as u64,
            });
        }
    }
    let worse = evidence.iter().all(|piece| piece.value.is_some_and(|ratio| ratio > 2.0));
    Claim {
        id: "C5",
        section: "5.2",
        says: "ten times denser sparse input is worse for embeddings",
        criterion: "ratio of the shares of samples touched by faults in the table, 10 expected while few are touched; above 2 holds",
        verdict: match (evidence.is_empty(), worse) {
            (true, _) => Verdict::Open,
            (false, true) => Verdict::Holds,
            (false, false) => Verdict::Undecided,
        },
        why: sentence(&evidence),
        evidence,
    }
}

/// Chips printed inf or nan, and chips, over the models of the grid that are picked.
fn failures(
    findings: &Findings,
    widths: &[usize],
    target: &str,
    rate: f64,
    picked: impl Fn(&DummyShape) -> bool,
) -> (u64, u64) {
    DummyShape::grid(widths)
        .iter()
        .filter(|shape| picked(shape))
        .filter_map(|shape| findings.cell(&Place::new(&shape.name(), &shape.data(), target), rate))
        .filter_map(Failures::of)
        .fold((0, 0), |(printed, chips), failures| (printed + failures.printed, chips + failures.chips))
}

fn share(of: String, quantity: &'static str, count: u64, n: u64) -> Evidence {
    let share = Proportion::of(count, n);
    Evidence {
        of,
        quantity,
        value: share.share,
        low: share.interval.map(|interval| interval.low),
        high: share.interval.map(|interval| interval.high),
        n,
    }
}

/// ln of the odds ratio of two counts, with Woolf's interval after Haldane and Anscombe: a half is added to each count.
fn log_odds(of: String, quantity: &'static str, first: (u64, u64), second: (u64, u64)) -> Evidence {
    let counts = |(failed, n): (u64, u64)| (failed as f64 + 0.5, (n - failed) as f64 + 0.5);
    let ((a, b), (c, d)) = (counts(first), counts(second));
    let value = libm::log(a * d / (b * c));
    let spread = 1.959_964 * (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt();
    let n = first.1 + second.1;
    Evidence { of, quantity, value: Some(value), low: Some(value - spread), high: Some(value + spread), n }
}

fn open(id: &'static str, says: &'static str, criterion: &'static str) -> Claim {
    let (verdict, why) = (Verdict::Open, "nothing measured".to_owned());
    Claim { id, section: "5.2", says, criterion, verdict, why, evidence: Vec::new() }
}

/// The evidence in a sentence, at most six pieces of it.
pub(crate) fn sentence(evidence: &[Evidence]) -> String {
    if evidence.is_empty() {
        return "nothing measured".to_owned();
    }
    let number =
        |value: Option<f64>| value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.3}"));
    let pieces: Vec<String> = evidence
        .iter()
        .take(6)
        .map(|piece| {
            let interval = match (piece.low, piece.high) {
                (Some(low), Some(high)) => format!(" [{low:.3}, {high:.3}]"),
                _ => String::new(),
            };
            format!("{}: {} {}{interval}, n {}", piece.of, piece.quantity, number(piece.value), piece.n)
        })
        .collect();
    pieces.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_have_log_odds_of_zero() {
        let odds = log_odds(String::new(), "", (5, 10), (50, 100));
        assert!(odds.value.unwrap().abs() < 1e-12 && odds.side(0.0).is_none());
        assert_eq!(log_odds(String::new(), "", (90, 100), (10, 100)).side(0.0), Some(Side::Above));
    }
}
