//! Claims of the paper, and what measurement says of them.

use serde::Serialize;

/// What measurement says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The measured interval lies on the claim's side.
    Holds,
    /// It lies on the other side.
    Refuted,
    /// It reaches over both.
    Undecided,
    /// Nothing was measured that could decide.
    Open,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
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
    /// What the paper says.
    pub says: &'static str,
    /// What is measured to decide.
    pub criterion: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence with its numbers.
    pub why: String,
    /// What was measured, one line each.
    pub evidence: Vec<Evidence>,
}

impl Claim {
    /// Whether it is decided by the clock, so that another run finds other numbers.
    pub fn by_the_clock(&self) -> bool {
        matches!(self.id, "C15" | "C18")
    }
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

/// Holds where every piece lies on this side of the bound, refuted where one lies on the other side, undecided else.
pub fn all_on(side: Side, bound: f64, evidence: &[Evidence]) -> Verdict {
    if evidence.is_empty() {
        return Verdict::Open;
    }
    let sides: Vec<Option<Side>> = evidence.iter().map(|piece| piece.side(bound)).collect();
    if sides.iter().any(|found| found.is_some_and(|found| found != side)) {
        Verdict::Refuted
    } else if sides.iter().all(|found| *found == Some(side)) {
        Verdict::Holds
    } else {
        Verdict::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(low: f64, high: f64) -> Evidence {
        let (value, low, high) = (None, Some(low), Some(high));
        Evidence { of: String::new(), quantity: "gain", value, low, high, n: 10 }
    }

    #[test]
    fn a_claim_holds_only_where_every_interval_is_on_its_side() {
        let verdict = |pieces: &[Evidence]| all_on(Side::Above, 0.0, pieces);
        assert_eq!(verdict(&[piece(0.1, 0.2), piece(0.01, 0.5)]), Verdict::Holds);
        assert_eq!(verdict(&[piece(0.1, 0.2), piece(-0.1, 0.5)]), Verdict::Undecided);
        assert_eq!(verdict(&[piece(0.1, 0.2), piece(-0.2, -0.1)]), Verdict::Refuted);
        assert_eq!(verdict(&[]), Verdict::Open);
    }
}
