//! The AUC against scikit-learn, against the plain version and against the definition, pair by pair.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use radhard_metrics::auc::count_by_comparison;
use radhard_metrics::{Aucs, MannWhitney, NonFinite, Ranking, auc};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    score: Vec<f32>,
    label: Vec<u8>,
    auc: f64,
    log_loss: f64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../testdata/metrics/auc_cases.json"))
        .expect("the cases are valid JSON")
}

#[test]
fn auc_equals_scikit_learn() {
    let cases = cases();
    assert!(cases.len() > 3);
    for case in cases {
        let ours = auc(&case.score, &case.label).unwrap();
        assert!((ours - case.auc).abs() <= 1e-12, "{} rows: {ours} {}", case.score.len(), case.auc);
    }
}

#[test]
fn log_loss_equals_scikit_learn() {
    for case in cases() {
        let ours = radhard_metrics::loss::log_loss(&case.score, &case.label, 0.5).unwrap();
        assert!((ours - case.log_loss).abs() <= 1e-12, "{} rows: {ours} {}", case.score.len(), case.log_loss);
    }
}

/// Scores that meet often: few values, every special one, both zeros, and now and then any float at all.
fn score() -> impl Strategy<Value = f32> {
    let tied = prop::sample::select(vec![0.0_f32, -0.0, 0.25, 0.5, 1.0, 1.0e-40, 0.500_000_06]);
    let special =
        prop::sample::select(vec![f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5, 3.0]);
    prop_oneof![6 => tied, 3 => 0.0_f32..1.0, 1 => special, 1 => any::<u32>().prop_map(f32::from_bits)]
}

fn probability() -> impl Strategy<Value = f32> {
    prop_oneof![1 => 0.0_f32..=1.0, 1 => (0_u8..20).prop_map(|i| f32::from(i) / 19.0), 1 => Just(f32::NAN)]
}

fn rows(score: impl Strategy<Value = f32>) -> impl Strategy<Value = (Vec<f32>, Vec<u8>)> {
    prop::collection::vec((score, 0_u8..2), 0..300).prop_map(|rows| rows.into_iter().unzip())
}

fn fixed() -> ProptestConfig {
    ProptestConfig {
        cases: 1500,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Two points for a win, one for a tie, over all pairs.
fn by_definition(positives: &[f32], negatives: &[f32]) -> MannWhitney {
    let points = |p: &f32| negatives.iter().map(|n| u64::from(p > n) * 2 + u64::from(p == n)).sum::<u64>();
    MannWhitney {
        doubled: positives.iter().map(points).sum(),
        positives: positives.len() as u64,
        negatives: negatives.len() as u64,
    }
}

fn aucs_by_definition(scores: &[f32], labels: &[u8], substitute: f32) -> Aucs {
    let class = |wanted: u8, nan: Option<f32>| -> Vec<f32> {
        let of_class =
            scores.iter().zip(labels).filter(|(_, label)| **label == wanted).map(|(score, _)| *score);
        of_class.filter_map(|score| if score.is_nan() { nan } else { Some(score) }).collect()
    };
    // Below all numbers, and lost against -Inf and Inf too, since NaN neither wins nor ties.
    let worst = by_definition(&class(1, Some(f32::NAN)), &class(0, Some(f32::NAN)));
    Aucs {
        auc: by_definition(&class(1, Some(substitute)), &class(0, Some(substitute))).auc(),
        auc_finite: by_definition(&class(1, None), &class(0, None)).auc(),
        auc_worst: worst.auc(),
        non_finite: scores.iter().filter(|score| score.is_nan()).count() as u64,
    }
}

proptest! {
    #![proptest_config(fixed())]

    #[test]
    fn ranking_equals_the_comparison_sort_on_any_floats((scores, labels) in rows(score()), substitute in -1.0_f32..2.0) {
        let fast = Ranking::default().count(&scores, &labels, substitute);
        prop_assert_eq!(fast, count_by_comparison(&scores, &labels, substitute));
    }

    #[test]
    fn all_three_aucs_equal_the_definition((scores, labels) in rows(probability()), fallback in 0.0_f64..1.0) {
        for policy in NonFinite::ALL {
            let ours = Ranking::default().aucs(&scores, &labels, policy, fallback);
            prop_assert_eq!(ours, aucs_by_definition(&scores, &labels, policy.rank_score(fallback)));
        }
    }

    #[test]
    fn no_policy_does_worse_than_auc_worst((scores, labels) in rows(probability()), fallback in 0.0_f64..1.0) {
        for policy in NonFinite::ALL {
            let aucs = Ranking::default().aucs(&scores, &labels, policy, fallback);
            prop_assert!(aucs.auc_worst <= aucs.auc);
        }
    }

    #[test]
    fn a_ranking_forgets_what_it_ranked_before((first, a) in rows(score()), (second, b) in rows(score())) {
        let mut used = Ranking::default();
        used.count(&first, &a, 0.5);
        prop_assert_eq!(used.count(&second, &b, 0.5), Ranking::default().count(&second, &b, 0.5));
    }
}

#[test]
fn one_class_alone_has_no_auc() {
    assert_eq!(auc(&[0.1, 0.2], &[1, 1]), None);
    assert_eq!(auc(&[0.1, 0.2], &[0, 0]), None);
    assert_eq!(auc(&[], &[]), None);
    // The class may be missing among the numbers only.
    let aucs = Ranking::default().aucs(&[f32::NAN, 0.2], &[1, 0], NonFinite::Fallback, 0.5);
    assert_eq!((aucs.auc, aucs.auc_finite, aucs.auc_worst), (Some(1.0), None, Some(0.0)));
}

#[test]
fn no_number_at_all_is_a_coin_toss_or_the_worst() {
    let aucs = Ranking::default().aucs(&[f32::NAN; 4], &[1, 0, 1, 0], NonFinite::Fallback, 0.3);
    assert_eq!((aucs.auc, aucs.auc_finite, aucs.auc_worst, aucs.non_finite), (Some(0.5), None, Some(0.0), 4));
}

#[test]
fn saturated_probabilities_tie_with_each_other() {
    // Two rows saturated to 1, one of each class: half a win; the positive at 1 beats the negative at 0.
    assert_eq!(auc(&[1.0, 1.0, 0.0], &[1, 0, 0]), Some(0.75));
    // As bare scores, infinities rank at the ends.
    assert_eq!(auc(&[f32::INFINITY, 1.0, f32::NEG_INFINITY, 0.0], &[1, 0, 0, 1]), Some(0.75));
}

#[test]
fn both_zeros_are_one_score() {
    assert_eq!(auc(&[-0.0, 0.0], &[1, 0]), Some(0.5));
    assert_eq!(auc(&[0.0, -0.0, -1.0], &[1, 0, 0]), Some(0.75));
}

#[test]
fn a_hundred_thousand_rows_agree_with_the_comparison_sort() {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let scores: Vec<f32> = (0..100_000).map(|_| next() as f32 / 16_777_216.0).collect();
    let labels: Vec<u8> = (0..100_000).map(|_| u8::from(next() % 5 == 0)).collect();
    let spread: [fn(f32) -> f32; 6] = [
        |u| u,
        |u| (u * 1e3).floor() / 1e3,
        |u| 0.5 + u / 100.0,
        |u| u.powi(30),
        |_| 0.25,
        |u| 4.0 * u - 2.0,
    ];
    for law in spread {
        let scores: Vec<f32> = scores.iter().map(|&u| law(u)).collect();
        let fast = Ranking::default().count(&scores, &labels, 0.5).finite;
        assert_eq!(fast, count_by_comparison(&scores, &labels, 0.5).finite);
    }
}

#[test]
#[should_panic(expected = "the substitute for scores that are not numbers is not a number")]
fn a_fallback_that_is_needed_must_be_a_number() {
    Ranking::default().aucs(&[f32::NAN, 0.5], &[1, 0], NonFinite::Fallback, f64::NAN);
}

#[test]
fn policies_read_and_write_their_names() {
    for policy in NonFinite::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
        assert_eq!(serde_json::to_string(&policy).unwrap(), format!("\"{policy}\""));
    }
    let message = "worst".parse::<NonFinite>().unwrap_err().to_string();
    assert_eq!(message, "non-finite policy \"worst\" is not one of fallback, lowest, highest");
}
