//! Exact sign tests on the same chips, with Holm's correction over the comparisons of a claim.
//!
//! A chip speaks for a claim, against it, or not at all; chips that do not speak are left out. The test assumes nothing of the
//! sizes of differences, which are heavy-tailed here. Chips of one seed are independent of each other, as those of several are.

use std::cmp::Ordering::{Greater, Less};

use radhard_metrics::{holm, paired_event_p};

use crate::claim::{Part, Verdict};

/// Chance of a wrong verdict on some comparison of a family.
const LEVEL: f64 = 0.05;

/// Chips for and against a claim in one comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signs {
    pub(crate) of: String,
    pub(crate) chips_for: u64,
    pub(crate) chips_against: u64,
}

impl Signs {
    /// Counts the chips whose difference is above 0 and those where it is below.
    pub(crate) fn of(of: String, differences: impl IntoIterator<Item = f64>) -> Self {
        Self::by(of, differences.into_iter().map(|difference| difference.partial_cmp(&0.0)))
    }

    /// Counts the chips on which something larger than a margin speaks for the claim; all others speak against it.
    pub(crate) fn beyond(of: String, margin: f64, differences: impl IntoIterator<Item = f64>) -> Self {
        let sign = |difference: f64| Some(if difference > margin { Greater } else { Less });
        Self::by(of, differences.into_iter().map(sign))
    }

    fn by(of: String, signs: impl Iterator<Item = Option<std::cmp::Ordering>>) -> Self {
        let mut counted = Self { of, chips_for: 0, chips_against: 0 };
        for sign in signs {
            counted.chips_for += u64::from(sign == Some(Greater));
            counted.chips_against += u64::from(sign == Some(Less));
        }
        counted
    }

    /// Chance of a split at least as lopsided, either way, of chips that speak either way equally often.
    ///
    /// Source: the sign test (Arbuthnott 1710): 2 P(Bin(n, 1/2) <= k), at most 1.
    pub(crate) fn p(&self) -> f64 {
        let [few, more] = {
            let (a, b) = (self.chips_for, self.chips_against);
            [a.min(b), a.max(b)]
        };
        (2.0 * paired_event_p(more, few)).min(1.0)
    }
}

/// The comparisons of a family with their verdicts, at 5 % over all of them.
///
/// Source: Holm 1979.
pub(crate) fn decided(family: &[Signs]) -> Vec<Part> {
    let corrected = holm(&family.iter().map(Signs::p).collect::<Vec<_>>());
    family
        .iter()
        .zip(corrected)
        .map(|(signs, p)| Part {
            of: signs.of.clone(),
            verdict: match p <= LEVEL {
                true if signs.chips_for > signs.chips_against => Verdict::Holds,
                true => Verdict::Refuted,
                false => Verdict::Undecided,
            },
            p: Some(p),
            chips_for: signs.chips_for,
            chips_against: signs.chips_against,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(chips_for: u64, chips_against: u64) -> Signs {
        Signs { of: String::new(), chips_for, chips_against }
    }

    #[test]
    fn the_sign_test_is_exact() {
        // 2/2^10, 2·11/2^10, and of no chip nothing follows.
        assert!((signs(10, 0).p() - 2.0 / 1024.0).abs() < 1e-15);
        assert!((signs(1, 9).p() - 22.0 / 1024.0).abs() < 1e-15);
        assert_eq!((signs(5, 5).p(), signs(0, 0).p()), (1.0, 1.0));
        // Recomputed by sums of binomials: 29:11 of 40 chips.
        assert!((signs(29, 11).p() - 0.006_426).abs() < 1e-6, "{}", signs(29, 11).p());
    }

    #[test]
    fn a_family_is_corrected_step_by_step() {
        let family = vec![signs(10, 0); 25];
        assert!(decided(&family).iter().all(|part| part.verdict == Verdict::Holds));
        let family = vec![signs(10, 0); 26];
        assert!(decided(&family).iter().all(|part| part.verdict == Verdict::Undecided));
        let mixed = decided(&[signs(40, 0), signs(0, 10), signs(6, 4)]);
        let verdicts: Vec<Verdict> = mixed.iter().map(|part| part.verdict).collect();
        assert_eq!(verdicts, [Verdict::Holds, Verdict::Refuted, Verdict::Undecided]);
        // 2/1024 twice, as the second of three.
        assert!((mixed[1].p.unwrap() - 4.0 / 1024.0).abs() < 1e-15);
    }

    #[test]
    fn chips_without_a_difference_do_not_speak_and_those_within_a_margin_speak_against() {
        let differences = [0.5, 0.0, -0.1, f64::NAN, 0.0005];
        assert_eq!(Signs::of(String::new(), differences), signs(2, 1));
        assert_eq!(Signs::beyond(String::new(), 0.001, differences), signs(1, 4));
    }
}
