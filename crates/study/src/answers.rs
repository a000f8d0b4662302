//! The paper's research questions in its own sense, its answers, and whether each stands.

use serde::Serialize;

use crate::claim::{Claim, Verdict};

/// A question with its answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Its number: `RQ1`.
    pub id: &'static str,
    /// The question, in our words.
    pub asks: &'static str,
    /// The paper's answer, in our words.
    pub paper: &'static str,
    /// Whether that stands, from the verdicts that it rests on.
    pub stands: Verdict,
    /// Our answer, in a sentence that follows from verdicts.
    pub says: String,
    /// The claims that it rests on, with their verdicts.
    pub rests_on: Vec<(&'static str, Verdict)>,
}

/// A question, the paper's answer, and the claims of which the answer is made and which we add.
struct Question {
    id: &'static str,
    asks: &'static str,
    paper: &'static str,
    of_the_answer: &'static [&'static str],
    ours: &'static [&'static str],
}

const QUESTIONS: [Question; 3] = [
    Question {
        id: "RQ1",
        asks: "how do hardware errors affect these models, and which components are more vulnerable?",
        paper: "A1: errors degrade them severely, MLPs are more vulnerable than embedding tables, and MLPs should be protected first",
        of_the_answer: &["C6", "C7", "C23"],
        ours: &["C1", "C2", "C8", "C9", "C21", "C22", "C26", "C30"],
    },
    Question {
        id: "RQ2",
        asks: "how do hyper-parameters, such as hidden sizes and embedding dimensions, affect robustness?",
        paper: "A2: larger hidden sizes and deeper MLPs hurt more than larger embeddings, and denser input hurts",
        of_the_answer: &["C3", "C4", "C5"],
        ours: &["C17", "C19", "C20", "C33"],
    },
    Question {
        id: "RQ3",
        asks: "are ABFT, activation clipping and selective bit protection still effective?",
        paper: "A3: ABFT is not above 1e-4; clipping and bit protection win back much, and clipping is the better one",
        of_the_answer: &["C10", "C11", "C13"],
        ours: &["C12", "C16", "C18", "C24", "C25", "C27", "C28", "C29", "C31"],
    },
];

/// The research questions answered from claims; a claim that is missing is open.
pub fn answers(claims: &[Claim]) -> Vec<Answer> {
    let verdict = |id: &str| claims.iter().find(|claim| claim.id == id).map_or(Verdict::Open, |c| c.verdict);
    QUESTIONS
        .into_iter()
        .map(|question| {
            let ids = || question.of_the_answer.iter().chain(question.ours).copied();
            let with = |wanted: Verdict| {
                let of: Vec<String> = claims
                    .iter()
                    .filter(|claim| ids().any(|id| id == claim.id) && claim.verdict == wanted)
                    .map(|claim| format!("{} ({})", claim.says, claim.id))
                    .collect();
                (!of.is_empty()).then(|| of.join("; "))
            };
            let parts = [
                ("It holds that ", with(Verdict::Holds)),
                ("It holds in part that ", with(Verdict::HoldsInPart)),
                ("It is refuted that ", with(Verdict::Refuted)),
                ("These trials do not decide whether ", with(Verdict::Undecided)),
                ("Not tested as stated is that ", with(Verdict::NotTested)),
            ];
            let said: Vec<String> =
                parts.into_iter().filter_map(|(before, of)| Some(format!("{before}{}", of?))).collect();
            let says = if said.is_empty() { "nothing measured".to_owned() } else { said.join(". ") };
            let of_the_answer: Vec<Verdict> = question.of_the_answer.iter().map(|id| verdict(id)).collect();
            Answer {
                id: question.id,
                asks: question.asks,
                paper: question.paper,
                stands: stands(&of_the_answer),
                says,
                rests_on: ids().map(|id| (id, verdict(id))).collect(),
            }
        })
        .collect()
}

/// Whether an answer stands that is made of statements with these verdicts.
fn stands(verdicts: &[Verdict]) -> Verdict {
    let all = |wanted: Verdict| verdicts.iter().all(|verdict| *verdict == wanted);
    let any = |wanted: Verdict| verdicts.contains(&wanted);
    if all(Verdict::Open) {
        Verdict::Open
    } else if all(Verdict::Holds) {
        Verdict::Holds
    } else if any(Verdict::Holds) || any(Verdict::HoldsInPart) {
        Verdict::HoldsInPart
    } else if any(Verdict::Refuted) {
        Verdict::Refuted
    } else {
        Verdict::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_sorts_its_claims_by_their_verdicts_and_says_whether_the_paper_s_stands() {
        let claim = |id, says, verdict| Claim {
            id,
            section: "7",
            says,
            criterion: "",
            verdict,
            why: String::new(),
            parts: Vec::new(),
            evidence: Vec::new(),
        };
        let claims = [
            claim("C10", "protections help", Verdict::HoldsInPart),
            claim("C11", "clipping is ahead", Verdict::Refuted),
            claim("C13", "checksums do not help", Verdict::Holds),
        ];
        let answer = answers(&claims).remove(2);
        assert_eq!(
            answer.says,
            "It holds that checksums do not help (C13). It holds in part that protections help (C10). It is refuted that clipping is \
             ahead (C11)"
        );
        assert_eq!(answer.stands, Verdict::HoldsInPart);
        assert_eq!(answer.rests_on[3], ("C12", Verdict::Open));
        assert_eq!(
            (answers(&claims)[0].says.as_str(), answers(&claims)[0].stands),
            ("nothing measured", Verdict::Open)
        );
    }

    #[test]
    fn questions_rest_on_claims_that_exist() {
        let all = crate::claims::claims(
            &crate::Findings::default(),
            &[],
            &crate::Scale::quick(),
            &crate::Clock::default(),
        );
        for question in QUESTIONS {
            for id in question.of_the_answer.iter().chain(question.ours) {
                assert!(all.iter().any(|claim| claim.id == *id), "{id}");
            }
        }
        let ids: Vec<usize> = all.iter().map(|claim| claim.id[1..].parse().unwrap()).collect();
        assert_eq!(ids, (1..=33).collect::<Vec<_>>());
    }
}
