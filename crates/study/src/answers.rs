//! The paper's research questions, answered from the verdicts on its claims.

use serde::Serialize;

use crate::claim::{Claim, Verdict};

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Its number: `RQ1`.
    pub id: &'static str,
    /// The question, in our words.
    pub asks: &'static str,
    /// The answer, in a sentence that follows from verdicts.
    pub says: String,
    /// The claims that it rests on, with their verdicts.
    pub rests_on: Vec<(&'static str, Verdict)>,
}

/// The questions with the claims that answer them.
const QUESTIONS: [(&str, &str, &[&str]); 3] = [
    (
        "RQ1",
        "which properties of a model and of its input decide how robust it is?",
        &["C1", "C2", "C3", "C4", "C5", "C17"],
    ),
    (
        "RQ2",
        "how robust are models as they are used, on data sets as they are used?",
        &["C6", "C7", "C8", "C9"],
    ),
    ("RQ3", "what can be done about it, and at which cost?", &["C10", "C11", "C12", "C13", "C16", "C18"]),
];

/// The research questions answered from claims; a claim that is missing is open.
pub fn answers(claims: &[Claim]) -> Vec<Answer> {
    let verdict = |id: &str| claims.iter().find(|claim| claim.id == id).map_or(Verdict::Open, |c| c.verdict);
    QUESTIONS
        .into_iter()
        .map(|(id, asks, ids)| {
            let rests_on: Vec<(&'static str, Verdict)> = ids.iter().map(|id| (*id, verdict(id))).collect();
            let with = |wanted: Verdict| {
                let of: Vec<String> = claims
                    .iter()
                    .filter(|claim| ids.contains(&claim.id) && claim.verdict == wanted)
                    .map(|claim| format!("{} ({})", claim.says, claim.id))
                    .collect();
                (!of.is_empty()).then(|| of.join("; "))
            };
            let parts = [
                ("It holds that ", with(Verdict::Holds)),
                ("It is refuted that ", with(Verdict::Refuted)),
                ("These trials do not decide whether ", with(Verdict::Undecided)),
            ];
            let said: Vec<String> =
                parts.into_iter().filter_map(|(before, of)| Some(format!("{before}{}", of?))).collect();
            let says = if said.is_empty() { "nothing measured".to_owned() } else { said.join(". ") };
            Answer { id, asks, says, rests_on }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_sorts_its_claims_by_their_verdicts() {
        let claim = |id, says, verdict| Claim {
            id,
            section: "7",
            says,
            criterion: "",
            verdict,
            why: String::new(),
            evidence: Vec::new(),
        };
        let claims = [
            claim("C10", "protections help", Verdict::Holds),
            claim("C11", "clipping is ahead", Verdict::Refuted),
        ];
        let answer = answers(&claims).remove(2);
        assert_eq!(
            answer.says,
            "It holds that protections help (C10). It is refuted that clipping is ahead (C11)"
        );
        assert_eq!(answer.rests_on[2], ("C12", Verdict::Open));
        assert_eq!(answers(&claims)[0].says, "nothing measured");
    }
}
