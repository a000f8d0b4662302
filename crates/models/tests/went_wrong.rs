//! Training that cannot end well is an error, and the baseline that tells whether it did.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ops::ControlFlow;

use radhard_data::{Columns, DataSet, Meta, Part, SplitMeta};
use radhard_models::training::{FieldBaseline, field_baseline_auc};
use radhard_models::{Config, Init, Model, TrainError, TrainOptions, train};

/// Rows of two fields of three and two values, given as (first, second, label, part).
fn data(rows: &[(u32, u32, u8, u8)], split: bool) -> DataSet {
    let parts: Vec<u8> = rows.iter().map(|row| if split { row.3 } else { 0 }).collect();
    let counts = [0, 1, 2].map(|code| parts.iter().map(|part| u64::from(*part == code)).sum::<u64>());
    let mut meta = Meta::new("d", ["a", "b"].map(str::to_owned).to_vec(), vec![3, 2]);
    meta.split = split.then_some(SplitMeta { seed: 1, ratio: [8, 1, 1], counts });
    let columns = Columns {
        indices: rows.iter().flat_map(|row| [row.0, row.1]).collect(),
        labels: rows.iter().map(|row| row.2).collect(),
        parts,
        ..Columns::default()
    };
    DataSet::from_columns(meta, &columns).unwrap()
}

/// Rows of all three parts whose label follows the fields.
fn some(labels: impl Fn(u32) -> u8) -> Vec<(u32, u32, u8, u8)> {
    (0..60).map(|i| (i % 3, i / 3 % 2, labels(i), [0, 0, 0, 1, 2][i as usize % 5])).collect()
}

fn auc(scores: &[f32], labels: &[u8]) -> Option<f64> {
    let of = |label: u8| scores.iter().zip(labels).filter(move |(_, l)| **l == label).map(|(s, _)| *s);
    let pairs = (of(0).count() * of(1).count()) as f64;
    let won = |p: f32, n: f32| if p > n { 1.0 } else { f64::from(u8::from(p == n)) / 2.0 };
    let right: f64 = of(1).map(|p| of(0).map(|n| won(p, n)).sum::<f64>()).sum();
    (pairs > 0.0).then(|| right / pairs)
}

fn failed(data: &DataSet, options: &TrainOptions) -> TrainError {
    let config = Config::new("fm", data.meta().field_dims.clone());
    let mut model = Model::new(&config, Init::TorchFm, 1).unwrap();
    train(&mut model, data, options, &auc, &mut |_| ControlFlow::Continue(())).unwrap_err()
}

#[test]
fn labels_of_one_class_are_refused_before_the_first_step() {
    for (label, class) in [(0, "negative"), (1, "positive")] {
        // Other parts may have both.
        let rows: Vec<_> = some(|i| (i % 2) as u8)
            .into_iter()
            .map(|(a, b, other, part)| (a, b, if part == 0 { label } else { other }, part))
            .collect();
        let error = failed(&data(&rows, true), &TrainOptions::default());
        assert!(matches!(error, TrainError::OneClass { rows: 36, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("all 36 training rows are {class}")), "{text}");
        assert!(text.contains("--positive"), "{text}");
    }
    // Of the rows that are used.
    let first = data(&some(|i| u8::from(i >= 5)), true);
    let options = TrainOptions { rows: Some(3), ..TrainOptions::default() };
    assert!(matches!(failed(&first, &options), TrainError::OneClass { rows: 3, .. }));
}

#[test]
fn a_training_that_diverges_names_the_epoch_and_the_next_step() {
    let rows = data(&some(|i| (i % 2) as u8), true);
    let error = failed(&rows, &TrainOptions { learning_rate: 1e30, ..TrainOptions::default() });
    let text = error.to_string();
    assert!(text.starts_with("training diverged: ") && text.contains("a lower --lr than 1"), "{text}");
    // One step an epoch: its loss is a number, the weights after it are none.
    let error = failed(&rows, &TrainOptions { learning_rate: 1e39, ..TrainOptions::default() });
    assert!(matches!(error, TrainError::DivergedWeights { epoch: 1, .. }), "{error}");
}

#[test]
fn the_baseline_is_one_smoothed_log_odds_per_value_of_each_field() {
    // Field a: value 0 has 3 of 4 rows positive, value 1 has 0 of 2, value 2 none; field b: value 0 has 1 of 3, value 1 2 of 3.
    let train = [(0, 0, 1, 0), (0, 1, 1, 0), (0, 1, 1, 0), (0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0)];
    let test = [(0, 1, 1, 2), (1, 0, 0, 2), (2, 0, 0, 2), (2, 1, 1, 2)];
    let data = data(&[&train[..], &test].concat(), true);
    let baseline = FieldBaseline::fit(&data).unwrap().unwrap();
    let mut scores = Vec::new();
    baseline.scores(&data.select(Part::Test), &mut scores);
    // The base rate is one half, so that 2.5 of 5 added rows are positive.
    let odds = |positive: f64, negative: f64| ((positive + 2.5) / (negative + 2.5)).ln();
    let expected =
        [odds(3.0, 1.0) + odds(2.0, 1.0), odds(0.0, 2.0) + odds(1.0, 2.0), odds(1.0, 2.0), odds(2.0, 1.0)];
    for (found, expected) in scores.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{scores:?}, expected {expected:?}");
    }
    assert_eq!(field_baseline_auc(&data, Part::Test, &auc).unwrap(), Some(1.0));
    assert_eq!(field_baseline_auc(&data, Part::Validation, &auc).unwrap(), None, "no rows");
}

#[test]
fn there_is_no_baseline_without_a_split_or_labels_of_both_classes() {
    let rows = some(|i| (i % 2) as u8);
    assert!(FieldBaseline::fit(&data(&rows, true)).unwrap().is_some());
    assert!(FieldBaseline::fit(&data(&rows, false)).unwrap().is_none(), "no split");
    assert!(FieldBaseline::fit(&data(&some(|_| 1), true)).unwrap().is_none(), "one class");
}
