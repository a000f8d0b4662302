//! The paper's claims, each a function from records to a verdict.

pub(crate) mod chips;
mod curves;
pub(crate) mod dummies;
mod inputs;
mod ranks;
mod recovery;
pub(crate) mod signs;
mod statements;
pub(crate) mod subjects;
mod timed;

use crate::claim::Claim;
use crate::clock::Clock;
use crate::findings::Findings;
use crate::scale::Scale;
use crate::training::Trained;

/// Every claim, first those of the paper's sections in their order, then its further statements.
pub fn claims(findings: &Findings, trained: &[Trained], scale: &Scale, clock: &Clock) -> Vec<Claim> {
    let widths = scale.dummy_widths;
    // A part of a real file decides nothing.
    let whole: Vec<Trained> = trained.iter().filter(|one| !one.partial).cloned().collect();
    let clip = recovery::c11(findings);
    let for_mlps = recovery::clip_for_mlps(&clip);
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
        clip,
        recovery::c12(findings),
        recovery::c13(findings),
        subjects::c14(&whole, scale),
        timed::c15(clock),
        timed::c16(),
        inputs::c17(findings),
        timed::c18(clock),
        dummies::widths_alone(findings, widths),
        dummies::depth_elsewhere(findings, widths),
        curves::between_models(findings),
        curves::tables_drop(findings),
        curves::networks_first(findings),
        recovery::largest_gain(findings),
        for_mlps,
        recovery::nothing_below(findings),
        statements::several_errors(),
        statements::transient(findings),
        statements::detection(findings),
        statements::criteo(&whole),
        statements::permanent(findings),
        timed::by_bit_strings(clock),
        statements::foretold(findings, &whole),
    ]
}
