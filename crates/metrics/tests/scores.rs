//! Scores and outcomes of single trials, on rows small enough to check by hand.

use radhard_metrics::auc::auc_logit;
use radhard_metrics::loss::{base_entropy, log_loss, log_loss_by_row};
use radhard_metrics::{
    Detection, Golden, NonFinite, Observed, Outcome, Ranking, SampleOutcomes, ScoreOptions, TopK,
    TrialScores, UserRows, auc,
};

const LABELS: [u8; 4] = [1, 0, 1, 0];
const GOLDEN: [f32; 4] = [0.9, 0.2, 0.6, 0.4];

fn scored(probabilities: &[f32; 4], options: &ScoreOptions<'_>) -> TrialScores {
    let observed = Observed { probabilities, logits: None, labels: &LABELS };
    TrialScores::of(&observed, Some(&Golden { probabilities: &GOLDEN, auc: Some(1.0) }), options)
}

fn uniform(n: usize, mut state: u64) -> Vec<f32> {
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    })
    .take(n)
    .collect()
}

#[test]
fn a_trial_equal_to_golden_is_masked_and_loses_nothing() {
    let scores = scored(&GOLDEN, &ScoreOptions::new(0.5));
    assert_eq!(scores.outcome, Outcome::Masked);
    assert_eq!((scores.masked, scores.tolerable, scores.sdc, scores.due), (4, 0, 0, 0));
    assert_eq!((scores.auc, scores.auc_loss, scores.critical), (Some(1.0), Some(0.0), Some(false)));
    assert_eq!(
        (scores.rmse, scores.max_abs_difference, scores.changed_share),
        (Some(0.0), Some(0.0), Some(0.0))
    );
    assert_eq!(scores.decision_flips, Some(0));
}

#[test]
fn a_nan_row_is_due_and_stays_visible_in_every_score() {
    let scores = scored(&[0.9, 0.2, f32::NAN, 0.4], &ScoreOptions::new(0.3));
    assert_eq!(scores.outcome, Outcome::Due);
    assert_eq!((scores.non_finite, scores.masked, scores.due), (1, 3, 1));
    // The fallback 0.3 lies between the negatives: three pairs of four won.
    assert_eq!((scores.auc, scores.auc_finite, scores.auc_worst), (Some(0.75), Some(1.0), Some(0.5)));
    assert_eq!((scores.auc_loss, scores.critical), (Some(0.25), Some(true)));
    assert_eq!((scores.rmse, scores.rmse_finite), (None, Some(0.0)));
    assert_eq!((scores.changed_share, scores.decision_flips), (Some(0.25), Some(1)));
}

#[test]
fn log_loss_replaces_nan_as_auc_does() {
    for (policy, p) in
        [(NonFinite::Fallback, 0.3), (NonFinite::Lowest, 1e-12), (NonFinite::Highest, 1.0 - 1e-12)]
    {
        let options = ScoreOptions { non_finite: policy, ..ScoreOptions::new(f64::from(0.3_f32)) };
        let ours = scored(&[0.9, 0.2, f32::NAN, 0.4], &options).log_loss.unwrap();
        let p = if policy == NonFinite::Fallback { f64::from(0.3_f32) } else { p };
        let of = |p: f32| f64::from(p);
        let by_hand = -(of(0.9).ln() + (1.0 - of(0.2)).ln() + p.ln() + (1.0 - of(0.4)).ln()) / 4.0;
        assert!((ours - by_hand).abs() < 1e-13, "{policy}: {ours} {by_hand}");
    }
}

#[test]
fn every_row_wrong_and_certain_costs_the_clamp() {
    let ours = log_loss(&[0.0; 100], &[1; 100], 0.5).unwrap();
    assert!((ours - 27.631_021_115_928_547).abs() < 1e-12);
    assert!(ours < radhard_metrics::cell::LOG_LOSS_BOUNDS[1]);
}

#[test]
fn grouped_logarithms_agree_with_one_a_row() {
    for n in [1, 15, 16, 17, 1000, 100_003] {
        let mut probabilities = uniform(n, 3);
        let labels: Vec<u8> = uniform(n, 4).iter().map(|&u| u8::from(u < 0.3)).collect();
        probabilities[n / 2] = f32::NAN;
        probabilities[n / 3] = 0.0;
        let (fast, plain) =
            (log_loss(&probabilities, &labels, 0.3), log_loss_by_row(&probabilities, &labels, 0.3));
        let (fast, plain) = (fast.unwrap(), plain.unwrap());
        assert!((fast - plain).abs() <= 1e-13 * plain, "{n} rows: {fast} {plain}");
    }
    assert_eq!(log_loss(&[], &[], 0.5), None);
}

#[test]
fn guessing_the_base_rate_has_normalised_entropy_and_calibration_one() {
    let labels: Vec<u8> = (0..1000).map(|i| u8::from(i % 4 == 0)).collect();
    let probabilities = [0.25; 1000];
    let observed = Observed { probabilities: &probabilities, logits: None, labels: &labels };
    let scores = TrialScores::of(&observed, None, &ScoreOptions::new(0.5));
    assert!((scores.normalised_entropy.unwrap() - 1.0).abs() < 1e-14);
    assert!((scores.calibration.unwrap() - 1.0).abs() < 1e-14);
    assert_eq!(scores.auc, Some(0.5));
    assert_eq!((base_entropy(0, 5), base_entropy(5, 5), base_entropy(0, 0)), (None, None, None));
}

#[test]
fn a_golden_run_has_no_distances() {
    let observed = Observed { probabilities: &GOLDEN, logits: None, labels: &LABELS };
    let scores = TrialScores::of(&observed, None, &ScoreOptions::new(0.5));
    assert_eq!((scores.rmse, scores.changed_share, scores.decision_flips), (None, None, None));
    assert_eq!((scores.outcome, scores.masked, scores.critical), (Outcome::Masked, 4, None));
}

#[test]
fn infinite_logits_are_saturated_by_sign_and_nan_logits_are_not() {
    let logits = [f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NAN];
    let probabilities = [1.0, 0.0, 0.0, f32::NAN];
    let observed = Observed { probabilities: &probabilities, logits: Some(&logits), labels: &LABELS };
    let scores = TrialScores::of(&observed, None, &ScoreOptions::new(0.5));
    assert_eq!(
        (scores.saturated, scores.saturated_high, scores.saturated_low, scores.non_finite),
        (3, 1, 2, 1)
    );
    // Positives 1, 0; negative 0 and NaN at ½: wins 2, a tie 1, a loss 0 and a win 2 of 8.
    assert_eq!(scores.auc, Some(0.625));
}

#[test]
fn distances_are_those_of_the_rows() {
    let scores = scored(&[0.9, 0.2005, 0.4, 0.4], &ScoreOptions::new(0.5));
    let (small, large) =
        (f64::from(0.2005_f32) - f64::from(0.2_f32), f64::from(0.6_f32) - f64::from(0.4_f32));
    assert_eq!((scores.masked, scores.tolerable, scores.sdc), (2, 1, 1));
    assert_eq!((scores.outcome, scores.max_abs_difference), (Outcome::Sdc, Some(large)));
    assert!((scores.rmse.unwrap() - ((small * small + large * large) / 4.0).sqrt()).abs() < 1e-16);
    assert_eq!((scores.changed_share, scores.decision_flips), (Some(0.25), Some(1)));
}

#[test]
fn a_trial_takes_the_first_outcome_that_applies() {
    let rows = |due, masked, tolerable, sdc| SampleOutcomes { recovered: 0, due, masked, tolerable, sdc };
    let silent = |samples| Outcome::of_trial(&samples, Detection::Silent);
    assert_eq!(silent(rows(1, 9, 9, 9)), Outcome::Due);
    assert_eq!(silent(rows(0, 9, 0, 0)), Outcome::Masked);
    assert_eq!(silent(rows(0, 9, 9, 0)), Outcome::Tolerable);
    assert_eq!(silent(rows(0, 9, 9, 1)), Outcome::Sdc);
    assert_eq!(Outcome::of_trial(&rows(1, 0, 0, 0), Detection::Recovered), Outcome::Recovered);
    assert_eq!(Outcome::of_trial(&rows(0, 4, 0, 0), Detection::Unrecovered), Outcome::Due);
    let scores = scored(&GOLDEN, &ScoreOptions::new(0.5));
    assert_eq!(scores.with_detection(Detection::Unrecovered).outcome, Outcome::Due);
}

#[test]
fn a_row_is_masked_by_bits_and_due_before_masked() {
    assert_eq!(Outcome::of_sample(0.0, -0.0, 0.001), Outcome::Tolerable);
    assert_eq!(Outcome::of_sample(0.5, 0.5, 0.0), Outcome::Masked);
    assert_eq!(Outcome::of_sample(f32::NAN, f32::NAN, 1.0), Outcome::Due);
    assert_eq!(Outcome::of_sample(0.5, f32::NAN, 1.0), Outcome::Sdc);
    assert_eq!(Outcome::of_sample(f32::INFINITY, f32::INFINITY, 0.0), Outcome::Masked);
    assert_eq!(Outcome::of_sample(f32::INFINITY, 1.0, 0.001), Outcome::Sdc);
}

#[test]
fn outcomes_read_and_write_their_names() {
    for outcome in Outcome::ALL {
        assert_eq!(outcome.to_string().parse(), Ok(outcome));
        assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("\"{outcome}\""));
    }
    let message = "SDC".parse::<Outcome>().unwrap_err().to_string();
    assert_eq!(message, "outcome \"SDC\" is not one of recovered, due, masked, tolerable, sdc");
}

#[test]
fn scores_survive_json_and_undefined_is_null() {
    let scores = scored(&[0.9, 0.2, f32::NAN, 0.4], &ScoreOptions::new(0.3));
    let json = serde_json::to_string(&scores).unwrap();
    assert!(json.contains("\"rmse\":null") && json.contains("\"outcome\":\"due\""), "{json}");
    assert_eq!(serde_json::from_str::<TrialScores>(&json).unwrap(), scores);
}

#[test]
fn used_memory_changes_no_score() {
    let mut ranking = Ranking::default();
    let labels = [1, 0, 0, 1, 0];
    let golden = [0.1, 0.2, 0.3, 0.4, 0.5];
    for probabilities in [[0.5; 5], [f32::NAN, 0.1, 0.2, 0.3, f32::NAN], [0.9, 0.8, 0.7, 0.6, 0.5]] {
        let observed = Observed { probabilities: &probabilities, logits: None, labels: &labels };
        let golden = Golden { probabilities: &golden, auc: Some(0.5) };
        let options = ScoreOptions::new(0.25);
        let fresh = TrialScores::of(&observed, Some(&golden), &options);
        assert_eq!(TrialScores::with(&mut ranking, &observed, Some(&golden), &options), fresh);
    }
}

#[test]
fn users_keep_their_rows_in_order() {
    let users = UserRows::of(&[7, 3, 7, 9, 3]);
    assert_eq!(users.groups().collect::<Vec<_>>(), [&[1, 4][..], &[0, 2], &[3]]);
    assert_eq!((users.len(), users.is_empty()), (5, false));
    assert_eq!(UserRows::of(&[]).groups().count(), 0);
}

#[test]
fn ndcg_and_hits_of_one_user_are_those_by_hand() {
    let users = UserRows::of(&[1; 4]);
    let top = |scores: &[f32], labels: &[u8], k| TopK::of(&users, k, scores, labels, None, 0.0);
    // The positive in second place of three: 1/log2(3).
    let second = top(&[0.9, 0.8, 0.2, 0.1], &[0, 1, 0, 0], 3);
    assert!((second.ndcg.unwrap() - 1.0 / f64::log2(3.0)).abs() < 1e-15);
    assert_eq!((second.hit_rate, second.overlap), (Some(1.0), None));
    // Second place tied between a positive and a negative: half of it, over two ideal places.
    let tied = top(&[0.9, 0.8, 0.8, 0.1], &[0, 1, 0, 1], 2);
    assert!((tied.ndcg.unwrap() - 0.193_426_403_617_270_8).abs() < 1e-15);
    assert_eq!(tied.hit_rate, Some(0.5));
    // All tied: two of four places, two positives: a miss with chance 2/4 · 1/3.
    let all = top(&[0.5; 4], &[0, 1, 0, 1], 2);
    assert!((all.hit_rate.unwrap() - (1.0 - 1.0 / 6.0)).abs() < 1e-15);
    assert_eq!(top(&[0.5; 4], &[0; 4], 2), TopK::default());
}

#[test]
fn the_overlap_with_golden_counts_the_rows_that_stay() {
    let users = UserRows::of(&[1, 1, 1, 1, 2]);
    let golden = [0.9, 0.8, 0.2, 0.1, 0.5];
    let top = |scores: &[f32]| TopK::of(&users, 2, scores, &[1, 0, 0, 0, 1], Some(&golden), 0.0);
    assert_eq!(top(&golden).overlap, Some(1.0));
    assert_eq!(top(&[0.9, 0.1, 0.8, 0.2, 0.5]).overlap, Some(0.75));
    assert_eq!(top(&[f32::NAN, 0.1, 0.8, 0.2, f32::NAN]).overlap, Some(0.5));
}

#[test]
fn rows_with_a_probability_of_exactly_0_or_1_are_counted_and_raw_outputs_have_none() {
    let probabilities = [0.0, -0.0, 1.0, 1.0 - f32::EPSILON / 2.0, f32::from_bits(1), f32::NAN, 0.5];
    let observed = Observed { probabilities: &probabilities, logits: None, labels: &[0, 1, 0, 1, 0, 1, 0] };
    let options = ScoreOptions::new(0.5);
    assert_eq!(TrialScores::of(&observed, None, &options).ties_at_bounds, Some(3));
    let raw = ScoreOptions { probabilities: false, ..options };
    assert_eq!(TrialScores::of(&observed, None, &raw).ties_at_bounds, None);
}

#[test]
fn logits_tell_apart_what_probabilities_of_exactly_1_do_not() {
    let (logits, labels) = ([20.0_f32, 21.0, 22.0, 23.0], [0, 1, 0, 1]);
    assert_eq!(auc(&[1.0; 4], &labels), Some(0.5));
    assert_eq!(auc_logit(&logits, &labels, NonFinite::Fallback, 0.5), Some(0.75));
    // A NaN stands at the logit of the fallback: log(0.9 / 0.1) = 2.197.
    let logits = [2.19_f32, f32::NAN, 2.2];
    assert_eq!(auc_logit(&logits, &[0, 1, 0], NonFinite::Fallback, 0.9), Some(0.5));
    assert_eq!(auc_logit(&logits, &[0, 1, 0], NonFinite::Highest, 0.9), Some(1.0));
    assert_eq!(auc_logit(&logits, &[0, 1, 0], NonFinite::Lowest, 0.9), Some(0.0));
    assert_eq!(auc_logit(&logits, &[1, 1, 1], NonFinite::Fallback, 0.9), None);
}
