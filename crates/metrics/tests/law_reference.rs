//! The law of the reference: scoring what changed gives the bits of scoring all rows.

use proptest::prelude::*;
use radhard_metrics::{
    Golden, MetricsWork, NonFinite, Observed, Reference, ScoreOptions, TrialScores, UserRows,
};

fn probability() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => (0_u32..40).prop_map(|k| k as f32 / 40.0),
        6 => 0.0_f32..1.0,
        1 => Just(0.0),
        1 => Just(1.0),
        1 => Just(f32::MIN_POSITIVE / 4.0),
    ]
}

fn changed() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => probability(),
        2 => Just(f32::NAN),
        1 => Just(-0.0_f32),
        1 => Just(f32::INFINITY),
        1 => Just(3.5_f32),
    ]
}

fn logit(probability: f32) -> f32 {
    if probability == 0.0 {
        f32::NEG_INFINITY
    } else if probability == 1.0 {
        f32::INFINITY
    } else {
        probability
    }
}

/// All fields by their text, which tells NaN and the signs of zero apart.
fn text(scores: &TrialScores) -> String {
    format!("{scores:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_changed_is_scored_as_all_rows_are(
        rows in prop::collection::vec((probability(), 0_u8..2, 0_u32..60), 30..4000),
        apart in prop_oneof![
            Just(Vec::new()),
            prop::collection::vec((any::<prop::sample::Index>(), probability()), 0..900),
        ],
        runs in prop::collection::vec(prop::collection::vec((any::<prop::sample::Index>(), changed()), 0..60), 1..5),
        policy in 0_usize..3,
        fallback in prop_oneof![Just(0.5), 0.0_f64..1.0],
        with_users: bool,
        raw in prop::bool::weighted(0.1),
        k in 1_usize..12,
    ) {
        let from: Vec<f32> = rows.iter().map(|row| row.0).collect();
        // A protection that acts on clean data starts from a run that is not the golden one.
        let mut golden = from.clone();
        for (place, value) in apart {
            golden[place.index(from.len())] = value;
        }
        let labels: Vec<u8> = rows.iter().map(|row| row.1).collect();
        let users = UserRows::of(&rows.iter().map(|row| row.2).collect::<Vec<_>>());
        let logits: Vec<f32> = from.iter().map(|p| logit(*p)).collect();
        let options = ScoreOptions {
            non_finite: NonFinite::ALL[policy],
            users: with_users.then_some(&users),
            top_k: k,
            probabilities: !raw,
            ..ScoreOptions::new(fallback)
        };
        let start = Observed { probabilities: &from, logits: Some(&logits), labels: &labels };
        let auc = TrialScores::of(&observed(&golden, &labels), None, &options).auc;
        let against = Golden { probabilities: &golden, auc };
        let reference = Reference::new(start, against, options);
        prop_assert_eq!(text(reference.metrics()), text(&TrialScores::of(&start, Some(&against), &options)));
        let mut work = MetricsWork::default();
        for run in runs {
            let mut now = from.clone();
            for (place, value) in run {
                now[place.index(from.len())] = value;
            }
            // Rows that are listed and did not change are as good as others.
            let listed: Vec<u32> = (0..from.len() as u32)
                .filter(|row| now[*row as usize].to_bits() != from[*row as usize].to_bits() || row % 197 == 0)
                .collect();
            let of = |from: &[f32]| -> Vec<f32> { listed.iter().map(|row| from[*row as usize]).collect() };
            let now_logits: Vec<f32> = now.iter().map(|p| logit(*p)).collect();
            let quick = reference.changed(&mut work, &listed, &of(&now), &of(&now_logits));
            let observed = Observed { probabilities: &now, logits: Some(&now_logits), labels: &labels };
            let plain = TrialScores::of(&observed, Some(&against), &options);
            prop_assert_eq!(text(&quick), text(&plain));
            let all = reference.all(&mut work, &now, &now_logits);
            prop_assert_eq!(text(&all), text(&plain));
            // All rows changed a little: most users see the same.
            for p in &mut now {
                *p *= 0.999;
            }
            let observed = Observed { probabilities: &now, logits: Some(&now_logits), labels: &labels };
            let plain = TrialScores::of(&observed, Some(&against), &options);
            prop_assert_eq!(text(&reference.all(&mut work, &now, &now_logits)), text(&plain));
        }
    }
}

#[test]
fn work_serves_one_reference_after_another() {
    let (a, b) = ([0.1_f32, 0.9, 0.4, 0.6], [0.8_f32, 0.2, 0.5, 0.3]);
    let labels = [0, 1, 0, 1];
    let options = ScoreOptions::new(0.5);
    let observed = |p| Observed { probabilities: p, logits: Some(p), labels: &labels };
    let mut work = MetricsWork::default();
    let references =
        [&a, &b].map(|p| Reference::new(observed(p), Golden { probabilities: p, auc: Some(0.75) }, options));
    for _ in 0..2 {
        for (reference, start) in references.iter().zip([a, b]) {
            let mut now = start;
            now[2] = 0.95;
            let quick = reference.changed(&mut work, &[2], &[0.95], &[0.95]);
            let plain = reference.all(&mut MetricsWork::default(), &now, &now);
            assert_eq!(text(&quick), text(&plain));
        }
    }
}

fn observed<'a>(p: &'a [f32], labels: &'a [u8]) -> Observed<'a> {
    Observed { probabilities: p, logits: Some(p), labels }
}

#[test]
fn a_start_that_differs_from_golden_is_scored_against_golden() {
    // A protection that acts on clean data: its own fault-free run, held against the unprotected one.
    let labels: Vec<u8> = (0..200_u32).map(|row| u8::from(row % 3 == 0)).collect();
    let golden: Vec<f32> = (0..200_u16).map(|row| f32::from(row * 37 % 200) / 200.0).collect();
    let mut start = golden.clone();
    start[5] = 0.77;
    let users = UserRows::of(&(0..200).map(|row| row / 9).collect::<Vec<u32>>());
    let options = ScoreOptions { users: Some(&users), ..ScoreOptions::new(0.5) };
    let auc = TrialScores::of(&observed(&golden, &labels), None, &options).auc;
    let against = Golden { probabilities: &golden, auc };
    let reference = Reference::new(observed(&start, &labels), against, options);
    let plain = |p: &[f32]| text(&TrialScores::of(&observed(p, &labels), Some(&against), &options));
    let mut work = MetricsWork::default();
    assert_eq!(text(&reference.changed(&mut work, &[], &[], &[])), plain(&start));
    for (rows, values) in [(vec![3_u32, 8], vec![f32::NAN, 0.5]), (vec![5], vec![golden[5]])] {
        let mut now = start.clone();
        for (row, value) in rows.iter().zip(&values) {
            now[*row as usize] = *value;
        }
        assert_eq!(text(&reference.changed(&mut work, &rows, &values, &values)), plain(&now));
        assert_eq!(text(&reference.all(&mut work, &now, &now)), plain(&now));
    }
}
