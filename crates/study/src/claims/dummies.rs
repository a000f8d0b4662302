//! Claims about the untrained dummy models: section 5.2.

use radhard_metrics::sum::mean;
use radhard_metrics::{TrialScores, clopper_pearson, kendall};

use crate::campaigns::DUMMY_RATES;
use crate::claim::{Claim, Evidence, Part, Side, Verdict, by_interval, in_words, over_all};
use crate::claims::chips::{by_chip, less, median, ratio, share};
use crate::claims::signs::{Signs, decided};
use crate::dummy::DummyShape;
use crate::figures::{Failures, printed_inf_nan};
use crate::findings::{CellFindings, Findings, Place};

/// Rates at which some chips of the dummy models fail and some do not.
const RATES: [f64; 3] = [1e-7, 1e-6, 1e-5];

/// RMSE is about 0 up to 1e-8 and almost always Inf or NaN from 1e-6 on.
pub(super) fn c1(findings: &Findings, widths: &[usize]) -> Claim {
    let (mut parts, mut evidence) = (Vec::new(), Vec::new());
    for depth in [1, 2] {
        let of_depth = |shape: &DummyShape| shape.depth == depth;
        for target in ["all", "dense"] {
            let at = |rate: f64| cells(findings, widths, target, rate, of_depth);
            let name = |rate: f64| format!("depth {depth}, {target}, {rate:.0e}");
            // A chip on which no model fails counts for none: the share of chips with any bounds that of each model.
            let any: Vec<f64> = by_chip(&at(1e-8), printed).into_iter().map(f64::ceil).collect();
            let (count, n) = (any.iter().sum::<f64>() as u64, any.len() as u64);
            if let Some(interval) = clopper_pearson(count, n, 0.95) {
                let piece = Evidence {
                    of: name(1e-8),
                    quantity: "share of chips on which any model is printed inf or nan",
                    value: Some(count as f64 / n as f64),
                    low: Some(interval.low),
                    high: Some(interval.high),
                    n,
                };
                parts.push(Part::exact(name(1e-8), by_interval(&piece, Side::Below, 0.1)));
                evidence.push(piece);
            }
            let chips = by_chip(&at(1e-6), printed);
            if let Some(piece) = share(name(1e-6), "share of chips printed inf or nan", &chips) {
                parts.push(Part::exact(name(1e-6), by_interval(&piece, Side::Above, 0.9)));
                evidence.push(piece);
            }
        }
    }
    let measured = sentence(&evidence);
    // Next to them: outputs themselves, and what theory says of an overflow in f32.
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
            evidence.push(Evidence::plain(of, quantity, value, any.len() as u64));
        }
    }
    Claim {
        id: "C1",
        section: "5.2",
        says: "the RMSE of dummy models is about 0 up to 1e-8 and almost always Inf or NaN from 1e-6 on",
        criterion: "share of chips that the paper prints as inf or nan: below 10 % at 1e-8, above 90 % at 1e-6, by depth and target. \
                    One run a field is assumed: with r runs averaged the share is 1 - (1 - q)^r",
        verdict: over_all(&parts),
        why: format!("{}. {measured}", in_words(&parts)),
        parts,
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
            let of = format!("{}, sparsity {}, {target}", shape.name(), shape.sparsity);
            let quantity = "Kendall's tau over rates whose medians differ";
            evidence.push(Evidence::plain(
                of,
                quantity,
                kendall(&rates, &medians).gamma,
                medians.len() as u64,
            ));
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
        parts: Vec::new(),
        evidence,
    }
}

/// The width of the MLP hurts more than that of the embedding.
pub(super) fn c3(findings: &Findings, widths: &[usize]) -> Claim {
    let mut pairs = Pairs::default();
    if let (Some(&narrow), Some(&wide)) = (widths.first(), widths.last()) {
        for depth in [1, 2] {
            for sparsity in [0.001, 0.01] {
                for rate in RATES {
                    let of = |hidden: usize, embedding: usize| {
                        cells(findings, widths, "all", rate, |shape| {
                            *shape == DummyShape { depth, hidden, embedding, sparsity }
                        })
                    };
                    let name = format!("depth {depth}, sparsity {sparsity}, {rate:.0e}");
                    pairs.compare(&name, &of(wide, narrow), &of(narrow, wide));
                }
            }
        }
    }
    pairs.claim(
        "C3",
        "the width of the MLP hurts more than that of the embedding",
        "the model with the wide MLP against the one with the wide embedding, pair by pair and on the same chips: which is printed inf \
         or nan, and which has more samples moved by more than .001 or not finite; exact sign tests, Holm over all pairs",
    )
}

/// A deeper MLP is worse.
pub(super) fn c4(findings: &Findings, widths: &[usize]) -> Claim {
    let mut pairs = Pairs::default();
    for rate in RATES {
        let of = |depth: usize| cells(findings, widths, "dense", rate, |shape| shape.depth == depth);
        pairs.compare(&format!("{rate:.0e}"), &of(2), &of(1));
    }
    pairs.claim(
        "C4",
        "a deeper MLP is worse",
        "faults in the MLP, depth 2 against depth 1 over all widths on the same chips: chips printed inf or nan, and samples moved by \
         more than .001 or not finite; exact sign tests, Holm over rates and measures",
    )
}

/// Ten times denser sparse input is worse for embeddings.
pub(super) fn c5(findings: &Findings, widths: &[usize]) -> Claim {
    let (mut family, mut evidence) = (Vec::new(), Vec::new());
    for rate in RATES {
        let touched = |sparsity: f64| {
            by_chip(&cells(findings, widths, "embedding", rate, |shape| shape.sparsity == sparsity), touched)
        };
        let (sparse, dense) = (touched(0.001), touched(0.01));
        let (Some(few), Some(many)) = (mean(&sparse), mean(&dense)) else { continue };
        let of = format!("{rate:.0e}");
        family.push(Signs::of(of.clone(), less(&dense, &sparse)));
        let quantity = "ratio of the shares of touched samples, sparsity .01 to .001";
        evidence.push(Evidence::plain(of, quantity, (few > 0.0).then(|| many / few), sparse.len() as u64));
    }
    let parts = decided(&family);
    Claim {
        id: "C5",
        section: "5.2",
        says: "ten times denser sparse input is worse for embeddings",
        criterion: "share of samples touched by faults in the table, sparsity .01 against .001 over all widths on the same chips: exact \
                    sign tests, Holm over rates; ten times as many are expected while few are touched",
        verdict: over_all(&parts),
        why: format!("{} (chips {}); {}", in_words(&parts), splits(&parts), sentence(&evidence)),
        parts,
        evidence,
    }
}

/// Each width alone raises the error.
pub(super) fn widths_alone(findings: &Findings, widths: &[usize]) -> Claim {
    let mut pairs = Pairs::default();
    if let (Some(&narrow), Some(&wide)) = (widths.first(), widths.last()) {
        for (what, target) in
            [("hidden", "dense"), ("hidden", "all"), ("embedding", "embedding"), ("embedding", "all")]
        {
            for rate in RATES {
                let of = |width: usize| {
                    cells(findings, widths, target, rate, |shape| match what {
                        "hidden" => shape.hidden == width && shape.embedding == narrow,
                        _ => shape.embedding == width && shape.hidden == narrow,
                    })
                };
                pairs.compare(
                    &format!("{what} {wide} against {narrow}, {target}, {rate:.0e}"),
                    &of(wide),
                    &of(narrow),
                );
            }
        }
    }
    pairs.claim(
        "C19",
        "a wider hidden layer alone, and a wider embedding alone, raise the error",
        "the widest against the narrowest, the other width at its least, on the same chips; measures and tests of C3",
    )
}

/// A deeper MLP is worse under faults in the embedding and in the entire model too.
pub(super) fn depth_elsewhere(findings: &Findings, widths: &[usize]) -> Claim {
    let mut pairs = Pairs::default();
    for target in ["embedding", "all"] {
        for rate in RATES {
            let of = |depth: usize| cells(findings, widths, target, rate, |shape| shape.depth == depth);
            pairs.compare(&format!("{target}, {rate:.0e}"), &of(2), &of(1));
        }
    }
    pairs.claim(
        "C20",
        "depth matters under faults in the embedding and in the entire model as well",
        "as C4, with faults in the table and in all parameters: worse with depth 2 than with depth 1",
    )
}

/// Comparisons of dummy models on the same chips, by both measures.
#[derive(Debug, Default)]
struct Pairs {
    family: Vec<Signs>,
    evidence: Vec<Evidence>,
    odds: Vec<Evidence>,
}

impl Pairs {
    fn compare(&mut self, name: &str, first: &[&CellFindings], second: &[&CellFindings]) {
        type Measure = fn(&TrialScores) -> f64;
        let measures: [(&str, &'static str, Measure); 2] = [
            ("by chips", "difference of the share of models printed inf or nan, median over chips", printed),
            ("by samples", "difference of the share of samples that fail, median over chips", failed),
        ];
        for (by, quantity, measure) in measures {
            let differences = less(&by_chip(first, measure), &by_chip(second, measure));
            if differences.is_empty() {
                continue;
            }
            let of = format!("{name} {by}");
            self.evidence.extend(median(of.clone(), quantity, &differences));
            self.family.push(Signs::of(of, differences));
        }
        self.odds.extend(ratio(
            name.to_owned(),
            "odds of a chip printed inf or nan, first by second",
            first,
            second,
        ));
    }

    fn claim(self, id: &'static str, says: &'static str, criterion: &'static str) -> Claim {
        let parts = decided(&self.family);
        Claim {
            id,
            section: "5.2",
            says,
            criterion,
            verdict: over_all(&parts),
            why: format!("{} (chips for and against: {})", in_words(&parts), splits(&parts)),
            parts,
            evidence: [self.evidence, self.odds].concat(),
        }
    }
}

/// Chips for and against in each comparison, at most nine of them.
pub(crate) fn splits(parts: &[Part]) -> String {
    let split = |part: &Part| format!("{} {}:{}", part.of, part.chips_for, part.chips_against);
    let mut said: Vec<String> = parts.iter().take(9).map(split).collect();
    if parts.len() > said.len() {
        said.push("…".to_owned());
    }
    said.join("; ")
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
pub(crate) fn failed(scores: &TrialScores) -> f64 {
    (scores.sdc + scores.due) as f64 / scores.rows as f64
}

/// Share of the samples of a chip that differ from golden.
fn touched(scores: &TrialScores) -> f64 {
    1.0 - scores.masked as f64 / scores.rows as f64
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
