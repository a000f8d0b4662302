//! All scores of one trial.

use serde::{Deserialize, Serialize};

use crate::auc::NonFinite;
use crate::deviation::Deviation;
use crate::loss;
use crate::outcome::{Detection, Outcome, SampleOutcomes};
use crate::ranking::Ranking;
use crate::top_k::{TopK, UserRows};

/// What a model answered in one trial, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Probabilities; NaN where there is no answer.
    pub probabilities: &'a [f32],
    /// Logits behind them, for the count of saturated rows.
    pub logits: Option<&'a [f32]>,
    /// What happened: 0, else 1.
    pub labels: &'a [u8],
}

/// Rows with infinite logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saturated {
    /// Rows with +Inf.
    pub high: u64,
    /// Rows with -Inf.
    pub low: u64,
}

impl Saturated {
    /// Counts them.
    pub fn of(logits: &[f32]) -> Self {
        let count = |infinity: f32| -> u64 {
            let groups = logits.chunks(1 << 16);
            groups.map(|group| u64::from(group.iter().map(|x| u32::from(*x == infinity)).sum::<u32>())).sum()
        };
        Self { high: count(f32::INFINITY), low: count(f32::NEG_INFINITY) }
    }
}

impl std::ops::AddAssign for Saturated {
    fn add_assign(&mut self, more: Self) {
        self.high += more.high;
        self.low += more.low;
    }
}

/// Whether a probability is one of the two that logits far from 0 share, so that rows with it tie.
#[inline]
pub(crate) fn is_bound(probability: f32) -> bool {
    probability == 0.0 || probability == 1.0
}

/// Rows whose probability is exactly 0 or 1.
pub(crate) fn ties_at_bounds(probabilities: &[f32]) -> u64 {
    let groups = probabilities.chunks(1 << 16);
    groups.map(|group| u64::from(group.iter().map(|p| u32::from(is_bound(*p))).sum::<u32>())).sum()
}

/// The fault-free answers that a trial is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    /// Probabilities of the same rows.
    pub probabilities: &'a [f32],
    /// The AUC that losses are taken against (that of the unprotected golden run).
    pub auc: Option<f64>,
}

/// Choices that scores depend on.
#[derive(Clone, Copy, Debug)]
pub struct ScoreOptions<'a> {
    /// The probability that [`NonFinite::Fallback`] puts in place of NaN.
    pub fallback: f64,
    /// What stands in for NaN.
    pub non_finite: NonFinite,
    /// Largest |Δp| of a tolerable row.
    pub tolerance: f64,
    /// An AUC loss beyond this is critical.
    pub critical_loss: f64,
    /// The rows of each user, where rows have users.
    pub users: Option<&'a UserRows>,
    /// Places that a user sees.
    pub top_k: usize,
    /// Whether scores are probabilities of labels; else they are raw outputs, and every score that needs a probability or a
    /// label is `None`.
    pub probabilities: bool,
}

impl ScoreOptions<'_> {
    /// The usual choices: tolerance 0.001, critical loss 0.001, no users, ten places.
    pub fn new(fallback: f64) -> Self {
        Self {
            fallback,
            non_finite: NonFinite::Fallback,
            tolerance: 0.001,
            critical_loss: 0.001,
            users: None,
            top_k: 10,
            probabilities: true,
        }
    }
}

/// The scores of one trial; what is undefined is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialScores {
    /// Rows.
    pub rows: u64,
    /// AUC with NaN replaced.
    pub auc: Option<f64>,
    /// AUC without the rows that have NaN.
    pub auc_finite: Option<f64>,
    /// AUC with every pair of a NaN row lost.
    pub auc_worst: Option<f64>,
    /// Mean log loss in nats, NaN replaced as in `auc`.
    pub log_loss: Option<f64>,
    /// Log loss over the entropy of the rows' own positive rate (He et al. 2014).
    pub normalised_entropy: Option<f64>,
    /// Σp / Σy, NaN replaced as in `auc`.
    pub calibration: Option<f64>,
    /// Root mean square difference from golden; `None` where a row is NaN, or without golden.
    pub rmse: Option<f64>,
    /// The same over rows with numbers on both sides.
    pub rmse_finite: Option<f64>,
    /// Largest |Δp| among those rows.
    pub max_abs_difference: Option<f64>,
    /// Share of rows with |Δp| > 0.01 or a NaN on one side.
    pub changed_share: Option<f64>,
    /// Rows whose decision at ½ differs from golden.
    pub decision_flips: Option<u64>,
    /// Rows with a NaN probability.
    pub non_finite: u64,
    /// Rows with an infinite logit; 0 where logits were not given.
    pub saturated: u64,
    /// Those with +Inf, probability 1.
    pub saturated_high: u64,
    /// Those with -Inf, probability 0.
    pub saturated_low: u64,
    /// Rows equal to golden.
    pub masked: u64,
    /// Rows changed within the tolerance.
    pub tolerable: u64,
    /// Rows changed beyond it.
    pub sdc: u64,
    /// Rows without a number.
    pub due: u64,
    /// The trial's class.
    pub outcome: Outcome,
    /// Golden AUC less `auc`.
    pub auc_loss: Option<f64>,
    /// Whether the loss exceeds the critical one.
    pub critical: Option<bool>,
    /// NDCG@k over users.
    pub ndcg: Option<f64>,
    /// Hit rate@k over users.
    pub hit_rate: Option<f64>,
    /// Overlap of the first k with golden, over users.
    pub top_k_overlap: Option<f64>,
    /// Rows whose probability is exactly 0 or 1: f32 tells no two of a bound apart, so they tie in the ranking whatever their
    /// logits are. `None` for raw outputs. Not one of the score columns of exports and digests.
    #[serde(default)]
    pub ties_at_bounds: Option<u64>,
}

impl TrialScores {
    /// Scores one trial; a golden run has no golden, and its rows count as masked where they are numbers.
    ///
    /// Numerics: f64; sums by a fixed tree; exp and log of `libm`: the same bits everywhere.
    ///
    /// # Panics
    ///
    /// If lengths differ, or if a fallback is needed and is NaN.
    pub fn of(observed: &Observed<'_>, golden: Option<&Golden<'_>>, options: &ScoreOptions<'_>) -> Self {
        Self::with(&mut Ranking::default(), observed, golden, options)
    }

    /// The same in memory that is used again.
    ///
    /// # Panics
    ///
    /// As [`Self::of`].
    pub fn with(
        ranking: &mut Ranking,
        observed: &Observed<'_>,
        golden: Option<&Golden<'_>>,
        options: &ScoreOptions<'_>,
    ) -> Self {
        let Observed { probabilities, labels, .. } = *observed;
        let top_k = options.users.map_or_else(TopK::default, |users| {
            let golden = golden.map(|golden| golden.probabilities);
            let substitute = options.non_finite.rank_score(options.fallback);
            TopK::of(users, options.top_k, probabilities, labels, golden, substitute)
        });
        let saturated = observed.logits.map_or_else(Saturated::default, |logits| {
            assert_eq!(logits.len(), probabilities.len(), "logits and probabilities differ in length");
            Saturated::of(logits)
        });
        Self::with_top_k(ranking, (probabilities, labels), golden, options, (top_k, saturated))
    }

    /// The same of probabilities and labels, where what users see and what the logits tell is known.
    pub(crate) fn with_top_k(
        ranking: &mut Ranking,
        (probabilities, labels): (&[f32], &[u8]),
        golden: Option<&Golden<'_>>,
        options: &ScoreOptions<'_>,
        (top_k, saturated): (TopK, Saturated),
    ) -> Self {
        let counts = ranking.count(probabilities, labels, options.non_finite.rank_score(options.fallback));
        let (aucs, all) = (counts.aucs(), counts.worst());
        let substitute = options.non_finite.probability(options.fallback);
        let log_loss = loss::log_loss(probabilities, labels, substitute);
        let deviation = golden
            .map(|golden| Deviation::of(probabilities, golden.probabilities, substitute, options.tolerance));
        let samples = deviation.map_or_else(
            || SampleOutcomes {
                due: aucs.non_finite,
                masked: probabilities.len() as u64 - aucs.non_finite,
                ..SampleOutcomes::default()
            },
            |deviation| deviation.samples,
        );
        let auc_loss = golden.and_then(|golden| Some(golden.auc? - aucs.auc?));
        let labelled = options.probabilities;
        Self {
            rows: probabilities.len() as u64,
            auc: aucs.auc.filter(|_| labelled),
            auc_finite: aucs.auc_finite.filter(|_| labelled),
            auc_worst: aucs.auc_worst.filter(|_| labelled),
            log_loss: log_loss.filter(|_| labelled),
            normalised_entropy: log_loss
                .filter(|_| labelled)
                .zip(loss::base_entropy(all.positives, all.positives + all.negatives))
                .map(|(loss, entropy)| loss / entropy),
            calibration: loss::calibration_over(all.positives, probabilities, substitute)
                .filter(|_| labelled),
            rmse: deviation.and_then(|d| d.rmse),
            rmse_finite: deviation.and_then(|d| d.rmse_finite),
            max_abs_difference: deviation.and_then(|d| d.max_abs_difference),
            changed_share: deviation.and_then(|d| d.changed_share),
            decision_flips: deviation.filter(|_| labelled).map(|d| d.decision_flips),
            non_finite: aucs.non_finite,
            saturated: saturated.high + saturated.low,
            saturated_high: saturated.high,
            saturated_low: saturated.low,
            masked: samples.masked,
            tolerable: samples.tolerable,
            sdc: samples.sdc,
            due: samples.due,
            outcome: Outcome::of_trial(&samples, Detection::Silent),
            auc_loss: auc_loss.filter(|_| labelled),
            critical: auc_loss.filter(|_| labelled).map(|loss| loss > options.critical_loss),
            ndcg: top_k.ndcg,
            hit_rate: top_k.hit_rate,
            top_k_overlap: top_k.overlap,
            ties_at_bounds: labelled.then(|| ties_at_bounds(probabilities)),
        }
    }

    /// The same scores with the trial's class mended by what detectors did.
    #[must_use]
    pub fn with_detection(self, detection: Detection) -> Self {
        let samples = SampleOutcomes {
            recovered: 0,
            due: self.due,
            masked: self.masked,
            tolerable: self.tolerable,
            sdc: self.sdc,
        };
        Self { outcome: Outcome::of_trial(&samples, detection), ..self }
    }
}
