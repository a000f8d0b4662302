//! The claim about dense inputs: sections 6.2 and 8.

use radhard_metrics::sum::mean;

use crate::claim::{Claim, Evidence, in_words, over_all};
use crate::claims::chips::{by_chip, less, median, share};
use crate::claims::dummies::{failed, splits};
use crate::claims::signs::{Signs, decided};
use crate::findings::{Findings, Place};
use crate::inputs::{DENSE_DIMS, MODELS, RATES, name};

/// More dense input features make a model more susceptible.
pub(super) fn c17(findings: &Findings) -> Claim {
    let mut evidence: Vec<Evidence> = Vec::new();
    let (mut family, mut words) = (Vec::new(), Vec::new());
    for model in MODELS {
        let data = if model == "dummy" { "dummy-0.01" } else { "tables" };
        for rate in RATES {
            let of = |inputs: usize| {
                let named = name(model, inputs);
                let cell = findings.cell(&Place::new(&named, data, "all"), rate);
                by_chip(&cell.into_iter().collect::<Vec<_>>(), failed)
            };
            let by_dim = DENSE_DIMS.map(of);
            for (inputs, chips) in DENSE_DIMS.iter().zip(&by_dim) {
                let of = format!("{model} with {inputs} dense inputs at {rate:.0e}");
                evidence.extend(share(of, "share of samples that fail", chips));
            }
            let (at, more) = (format!("{model} at {rate:.0e}"), less(&by_dim[3], &by_dim[0]));
            let quantity = "samples that fail with 1024 dense inputs less those with 16, median over chips";
            if let Some(piece) = median(at.clone(), quantity, &more) {
                evidence.push(piece);
                family.push(Signs::of(at.clone(), more));
            }
            let means: Vec<String> =
                by_dim.iter().filter_map(|chips| mean(chips)).map(|share| format!("{share:.3}")).collect();
            if !means.is_empty() {
                words.push(format!("{at}: {}", means.join(", ")));
            }
        }
    }
    let parts = decided(&family);
    Claim {
        id: "C17",
        section: "6.2, 8",
        says: "more dense input features make a model more susceptible",
        criterion: "samples of an untrained dummy and dlrm that move by more than .001 or are no numbers, dense vector of 1024 against 16 \
                    with the same sparse part, on the same chips: exact sign tests, Holm over models and rates",
        verdict: over_all(&parts),
        why: format!(
            "{} (chips {}). Share of samples that fail with 16, 64, 256 and 1024 dense inputs: {}",
            in_words(&parts),
            splits(&parts),
            words.join("; ")
        ),
        parts,
        evidence,
    }
}
