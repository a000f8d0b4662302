//! Claims of the paper, and what measurement says of them.

use serde::Serialize;

/// What measurement says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// Every comparison is on the claim's side beyond chance.
    #[serde(rename = "holds")]
    Holds,
    /// Some comparisons are on its side beyond chance, and not all: the claim says where.
    #[serde(rename = "holds in part")]
    HoldsInPart,
    /// No comparison is on its side, and some are on the other side beyond chance.
    #[serde(rename = "refuted")]
    Refuted,
    /// The trials are too few to tell.
    #[serde(rename = "undecided")]
    Undecided,
    /// The measurement is of another thing than the paper's statement.
    #[serde(rename = "not tested as stated")]
    NotTested,
    /// Nothing was measured.
    #[serde(rename = "open")]
    Open,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::HoldsInPart => "holds in part",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
            Self::NotTested => "not tested as stated",
            Self::Open => "open",
        })
    }
}

/// One claim with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Its number: `C7`.
    pub id: &'static str,
    /// Section of the paper.
    pub section: &'static str,
    /// The paper's statement, in our words.
    pub says: &'static str,
    /// What is measured to decide.
    pub criterion: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence with its numbers.
    pub why: String,
    /// The comparisons that the verdict follows from, each with a verdict of its own.
    pub parts: Vec<Part>,
    /// What was measured, one line each.
    pub evidence: Vec<Evidence>,
}

impl Claim {
    /// Whether it is decided by the clock, so that another run finds other numbers.
    pub fn by_the_clock(&self) -> bool {
        matches!(self.id, "C15" | "C18" | "C32")
    }

    /// The name of the file that holds its comparisons and its evidence, next to the table of claims.
    pub fn evidence_file(&self) -> String {
        format!("{}.csv", self.id)
    }
}

/// One comparison of a claim: a model on a data set, a rate, a pair of models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Of what.
    pub of: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Chance of a result at least as lopsided if nothing were behind it, after Holm's correction over the family; none where
    /// the comparison is exact or rests on an interval.
    pub p: Option<f64>,
    /// Chips that speak for the claim.
    pub chips_for: u64,
    /// Chips that speak against it.
    pub chips_against: u64,
}

impl Part {
    /// A comparison that no count of chips decides: an exact one, or one by an interval.
    pub fn exact(of: String, verdict: Verdict) -> Self {
        Self { of, verdict, p: None, chips_for: 0, chips_against: 0 }
    }
}

/// The verdict on a claim from those on its comparisons.
pub fn over_all(parts: &[Part]) -> Verdict {
    let count = |wanted| parts.iter().filter(|part| part.verdict == wanted).count();
    let (holds, refuted) = (count(Verdict::Holds), count(Verdict::Refuted));
    match (parts.len(), holds, refuted) {
        (0, ..) => Verdict::Open,
        (all, holds, _) if holds == all => Verdict::Holds,
        (_, 1.., _) => Verdict::HoldsInPart,
        (_, 0, 1..) => Verdict::Refuted,
        _ => Verdict::Undecided,
    }
}

/// Where it holds, where it is refuted and where these trials do not decide, in a sentence.
pub fn in_words(parts: &[Part]) -> String {
    let of = |wanted: Verdict| parts.iter().filter(move |part| part.verdict == wanted);
    let said = [Verdict::Holds, Verdict::Refuted, Verdict::Undecided].into_iter().filter_map(|verdict| {
        let names: Vec<&str> = of(verdict).map(|part| part.of.as_str()).collect();
        let (some, all) = (names.len(), parts.len());
        match some {
            0 => None,
            _ if some == all => Some(format!("{verdict} in all {all} comparisons")),
            _ if some > 12 => Some(format!("{verdict} in {some} of {all} comparisons")),
            _ => Some(format!("{verdict} in {some} of {all}: {}", names.join(", "))),
        }
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { "nothing measured".to_owned() } else { said.join("; ") }
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// Of what: model, data, rate.
    pub of: String,
    /// The quantity.
    pub quantity: &'static str,
    /// Its value; none where it is undefined.
    pub value: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Chips behind it.
    pub n: u64,
}

impl Evidence {
    /// A number without an interval.
    pub fn plain(of: String, quantity: &'static str, value: Option<f64>, n: u64) -> Self {
        Self { of, quantity, value, low: None, high: None, n }
    }

    /// On which side of a bound the interval lies: above it, below it, or neither.
    pub fn side(&self, bound: f64) -> Option<Side> {
        match (self.low, self.high) {
            (Some(low), _) if low > bound => Some(Side::Above),
            (_, Some(high)) if high < bound => Some(Side::Below),
            _ => None,
        }
    }
}

/// A side of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// The verdict of an interval on a claim that a value lies on this side of a bound.
pub fn by_interval(evidence: &Evidence, claimed: Side, bound: f64) -> Verdict {
    match evidence.side(bound) {
        Some(found) if found == claimed => Verdict::Holds,
        Some(_) => Verdict::Refuted,
        None => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(of: &str, verdict: Verdict) -> Part {
        Part::exact(of.to_owned(), verdict)
    }

    #[test]
    fn a_claim_holds_where_all_hold_in_part_where_some_do_and_is_refuted_only_where_none_does() {
        use Verdict::{Holds, HoldsInPart, Open, Refuted, Undecided};
        let of = |verdicts: &[Verdict]| {
            over_all(&verdicts.iter().map(|verdict| part("x", *verdict)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[Holds, Holds]), Holds);
        assert_eq!(of(&[Holds, Undecided]), HoldsInPart);
        assert_eq!(of(&[Holds, Refuted]), HoldsInPart);
        assert_eq!(of(&[Undecided, Refuted]), Refuted);
        assert_eq!(of(&[Undecided, Undecided]), Undecided);
        assert_eq!(of(&[]), Open);
    }

    #[test]
    fn the_sentence_names_where_a_claim_holds_and_where_it_does_not() {
        let parts = [part("deepfm", Verdict::Holds), part("afm", Verdict::Refuted)];
        assert_eq!(in_words(&parts), "holds in 1 of 2: deepfm; refuted in 1 of 2: afm");
        assert_eq!(in_words(&parts[..1]), "holds in all 1 comparisons");
        assert_eq!(in_words(&[]), "nothing measured");
    }

    #[test]
    fn verdicts_read_the_same_on_the_page_and_in_json() {
        for verdict in [Verdict::HoldsInPart, Verdict::NotTested, Verdict::Undecided] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.to_string());
        }
    }
}
