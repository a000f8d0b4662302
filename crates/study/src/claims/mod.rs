//! The paper's claims, each a function from records to a verdict.

pub(crate) mod chips;
mod curves;
pub(crate) mod dummies;
mod inputs;
mod recovery;
pub(crate) mod subjects;
mod timed;

use crate::claim::Claim;
use crate::clock::Clock;
use crate::findings::Findings;
use crate::training::Trained;

/// Every claim in the paper's order; `widths` are those of the dummy models that were run.
pub fn claims(findings: &Findings, trained: &[Trained], widths: &[usize], clock: &Clock) -> Vec<Claim> {
    vec![
        dummies::c1(findings, widths),
        dummies::c2(findings, widths),
        dummies::c3(findings, widths),
        dummies::c4(findings, widths),
        dummies::c5(findings, widths),
        curves::c6(findings),
        curves::c7(findings),
        curves::c8(findings),
        curves::c9(findings),
        recovery::c10(findings),
        recovery::c11(findings),
        recovery::c12(findings),
        recovery::c13(findings),
        subjects::c14(trained),
        timed::c15(clock),
        timed::c16(),
        inputs::c17(findings),
        timed::c18(clock),
    ]
}
