//! The area under the ROC curve as an exact count of won pairs, and what a missing score does to it.

use std::fmt;
use std::str::FromStr;

use radhard_memory::{Wide, widest};
use serde::{Deserialize, Serialize};

/// What stands in for a score that is not a number, in `auc`, log loss and the rankings of users.
///
/// A service that gets no number still answers: with a constant, or by putting the item last or first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// A declared probability, by custom the positive rate of the training part.
    #[default]
    Fallback,
    /// Ranked below every number; probability 0.
    Lowest,
    /// Ranked above every number; probability 1.
    Highest,
}

impl NonFinite {
    /// All policies, in the order of their names' usual listing.
    pub const ALL: [Self; 3] = [Self::Fallback, Self::Lowest, Self::Highest];

    /// The score that stands in for NaN in a ranking: the fallback, or an infinity below or above all numbers.
    pub fn rank_score(self, fallback: f64) -> f32 {
        match self {
            Self::Fallback => fallback as f32,
            Self::Lowest => f32::NEG_INFINITY,
            Self::Highest => f32::INFINITY,
        }
    }

    /// The probability that stands in for NaN in sums: the fallback, 0 or 1.
    pub fn probability(self, fallback: f64) -> f32 {
        match self {
            Self::Fallback => fallback as f32,
            Self::Lowest => 0.0,
            Self::Highest => 1.0,
        }
    }
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fallback => "fallback",
            Self::Lowest => "lowest",
            Self::Highest => "highest",
        })
    }
}

/// A word that names no policy for scores that are not numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("non-finite policy {0:?} is not one of fallback, lowest, highest")]
pub struct UnknownNonFinite(pub String);

impl FromStr for NonFinite {
    type Err = UnknownNonFinite;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.to_string() == word)
            .ok_or_else(|| UnknownNonFinite(word.to_owned()))
    }
}

/// The Mann–Whitney count: over all pairs of one positive and one negative, 2 for a win of the positive,
/// 1 for a tie.
///
/// Numerics: at most 2·P·N ≤ n²/2, so `u64` holds it for n < 2^32 rows; integers until the one division.
/// Source: Mann & Whitney 1947; AUC = U/(P·N), Hanley & McNeil 1982; ties count ½ (mid-ranks).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MannWhitney {
    /// Twice the number of pairs won by the positive, plus the number of ties.
    pub doubled: u64,
    /// Number of positives.
    pub positives: u64,
    /// Number of negatives.
    pub negatives: u64,
}

impl MannWhitney {
    /// The area under the curve, `None` where one class is missing.
    pub fn auc(&self) -> Option<f64> {
        let pairs = self.positives * self.negatives;
        (pairs > 0).then(|| self.doubled as f64 / (2 * pairs) as f64)
    }
}

/// The three AUCs of one set of scores; each is `None` where one class is missing among what it ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Aucs {
    /// NaN replaced as [`NonFinite`] says.
    pub auc: Option<f64>,
    /// Rows with NaN left out.
    pub auc_finite: Option<f64>,
    /// Positive rows with NaN ranked last, negative ones first: no policy does worse.
    pub auc_worst: Option<f64>,
    /// Rows with NaN.
    pub non_finite: u64,
}

/// The Mann–Whitney counts from which all three AUCs follow: numbers are ranked once, NaN rows are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AucCounts {
    /// Pairs among the rows whose score is a number.
    pub finite: MannWhitney,
    /// Positive rows with NaN.
    pub nan_positives: u64,
    /// Negative rows with NaN.
    pub nan_negatives: u64,
    /// Where the substitute of NaN stands among the numbers.
    pub substitute: Standing,
}

/// How many rows with a number stand where, seen from one score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Negatives below it.
    pub negatives_below: u64,
    /// Negatives tied with it.
    pub negatives_equal: u64,
    /// Positives above it.
    pub positives_above: u64,
    /// Positives tied with it.
    pub positives_equal: u64,
}

impl Standing {
    /// Counts where `score` stands among the scores that are numbers.
    pub fn of(score: f32, scores: &[f32], labels: &[u8]) -> Self {
        widest(Stands { score, scores, labels })
    }
}

/// Scores among which one stands.
struct Stands<'a> {
    score: f32,
    scores: &'a [f32],
    labels: &'a [u8],
}

impl Wide for Stands<'_> {
    type Output = Standing;

    #[inline(always)]
    fn run(self) -> Standing {
        const ROWS: usize = 1 << 12;
        let mut standing = Standing::default();
        for (scores, labels) in self.scores.chunks(ROWS).zip(self.labels.chunks(ROWS)) {
            // Neither labels nor scores can be predicted, so nothing here branches on them.
            let [mut below, mut equal, mut above, mut tied] = [0_u32; 4];
            for (&other, &label) in scores.iter().zip(labels) {
                let (positive, negative) = (label != 0, label == 0);
                below += u32::from((other < self.score) & negative);
                equal += u32::from((other == self.score) & negative);
                above += u32::from((other > self.score) & positive);
                tied += u32::from((other == self.score) & positive);
            }
            standing.negatives_below += u64::from(below);
            standing.negatives_equal += u64::from(equal);
            standing.positives_above += u64::from(above);
            standing.positives_equal += u64::from(tied);
        }
        standing
    }
}

impl AucCounts {
    /// The count with every NaN row at the substitute's place, all of them tied.
    pub fn substituted(&self) -> MannWhitney {
        let Standing { negatives_below, negatives_equal, positives_above, positives_equal } = self.substitute;
        MannWhitney {
            doubled: self.finite.doubled
                + self.nan_positives * (2 * negatives_below + negatives_equal)
                + self.nan_negatives * (2 * positives_above + positives_equal)
                + self.nan_positives * self.nan_negatives,
            positives: self.finite.positives + self.nan_positives,
            negatives: self.finite.negatives + self.nan_negatives,
        }
    }

    /// The count with every pair that a NaN row is part of lost.
    pub fn worst(&self) -> MannWhitney {
        MannWhitney {
            doubled: self.finite.doubled,
            positives: self.finite.positives + self.nan_positives,
            negatives: self.finite.negatives + self.nan_negatives,
        }
    }

    /// The three AUCs.
    pub fn aucs(&self) -> Aucs {
        Aucs {
            auc: self.substituted().auc(),
            auc_finite: self.finite.auc(),
            auc_worst: self.worst().auc(),
            non_finite: self.nan_positives + self.nan_negatives,
        }
    }
}

/// The AUC of scores without NaN policy: rows with NaN are left out; `None` where one class is missing.
///
/// # Panics
///
/// If the lengths differ.
pub fn auc(scores: &[f32], labels: &[u8]) -> Option<f64> {
    crate::Ranking::default().count(scores, labels, f32::NEG_INFINITY).finite.auc()
}

/// The AUC of logits, which tells apart what probabilities of exactly 0 or 1 do not; `None` where one class is missing.
///
/// A NaN stands at the logit of the fallback, or below or above all numbers, as `non_finite` says.
///
/// # Panics
///
/// If the lengths differ, or if the fallback is needed and NaN.
pub fn auc_logit(logits: &[f32], labels: &[u8], non_finite: NonFinite, fallback: f64) -> Option<f64> {
    let substitute = match non_finite {
        NonFinite::Fallback => (libm::log(fallback) - libm::log1p(-fallback)) as f32,
        NonFinite::Lowest | NonFinite::Highest => non_finite.rank_score(fallback),
    };
    crate::Ranking::default().count(logits, labels, substitute).substituted().auc()
}

/// The plain version of [`crate::Ranking::count`]: a comparison sort, then one walk over groups of ties.
///
/// # Panics
///
/// If the lengths differ.
pub fn count_by_comparison(scores: &[f32], labels: &[u8], substitute: f32) -> AucCounts {
    assert_eq!(scores.len(), labels.len(), "scores and labels differ in length");
    let mut counts = AucCounts::default();
    let mut rows: Vec<(f32, u8)> = Vec::with_capacity(scores.len());
    for (&score, &label) in scores.iter().zip(labels) {
        match (score.is_nan(), label != 0) {
            (true, true) => counts.nan_positives += 1,
            (true, false) => counts.nan_negatives += 1,
            (false, _) => rows.push((score, label)),
        }
    }
    counts.finite = count_pairs(&mut rows);
    if counts.nan_positives + counts.nan_negatives > 0 {
        counts.substitute = Standing::of(substitute, scores, labels);
    }
    counts
}

/// Counts the pairs of (score, label) without NaN by a comparison sort; -0 ties with +0.
pub(crate) fn count_pairs(rows: &mut [(f32, u8)]) -> MannWhitney {
    for row in rows.iter_mut() {
        row.0 += 0.0;
    }
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut count = MannWhitney::default();
    for group in rows.chunk_by(|a, b| a.0 == b.0) {
        let positives = group.iter().filter(|row| row.1 != 0).count() as u64;
        let negatives = group.len() as u64 - positives;
        count.doubled += positives * (2 * count.negatives + negatives);
        count.positives += positives;
        count.negatives += negatives;
    }
    count
}
