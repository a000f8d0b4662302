//! The claim about dense inputs: sections 6.2 and 8.

use radhard_metrics::TrialScores;
use radhard_metrics::sum::mean;

use crate::claim::{Claim, Verdict};
use crate::claims::chips::{by_chip, difference, one_decides, share};
use crate::claims::dummies::sentence;
use crate::findings::{Findings, Place};
use crate::inputs::{DENSE_DIMS, MODELS, RATES, name};

/// More dense input features make a model more susceptible.
pub(super) fn c17(findings: &Findings) -> Claim {
    let (mut shares, mut steps) = (Vec::new(), Vec::new());
    let mut words = Vec::new();
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
                shares.extend(share(of, "share of samples that fail", chips));
            }
            let quantity = "samples that fail with 1024 dense inputs less those with 16";
            steps.extend(difference(format!("{model} at {rate:.0e}"), quantity, &by_dim[3], &by_dim[0]));
            let means: Vec<String> =
                by_dim.iter().filter_map(|chips| mean(chips)).map(|share| format!("{share:.3}")).collect();
            if !means.is_empty() {
                words.push(format!("{model} at {rate:.0e}: {}", means.join(", ")));
            }
        }
    }
    let why = if steps.is_empty() {
        "nothing measured".to_owned()
    } else {
        format!(
            "share of samples that fail with 16, 64, 256 and 1024 dense inputs: {}. {}",
            words.join("; "),
            sentence(&steps)
        )
    };
    Claim {
        id: "C17",
        section: "6.2, 8",
        says: "more dense input features make a model more susceptible",
        criterion: "samples of an untrained dummy and dlrm that move by more than .001 or are no numbers, dense vector of 16 to 1024 \
                    beside the same sparse part: more with 1024 than with 16 at one rate, and at none fewer",
        verdict: if shares.is_empty() { Verdict::Open } else { one_decides(&steps) },
        why,
        evidence: [shares, steps].concat(),
    }
}

/// Share of the samples of a chip that move by more than the tolerance or are not numbers.
fn failed(scores: &TrialScores) -> f64 {
    (scores.sdc + scores.due) as f64 / scores.rows as f64
}
