//! Stand-ins against the facts of the sets they stand in for.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test fails")]

use radhard_data::synth::{Shape, SynthOptions, synth};
use radhard_data::{DataSet, Info, Meta, Split};

fn drawn(shape: &str, rows: Option<u64>, seed: u64) -> (Meta, DataSet, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("stand-in.data");
    let options = SynthOptions { rows, seed, split: Some(Split::default()) };
    let meta = synth(Shape::named(shape).unwrap(), &out, &options, &mut |_| {}).unwrap();
    (meta, DataSet::open(&out).unwrap(), std::fs::read(&out).unwrap())
}

#[track_caller]
fn near(found: f64, fact: f64, share: f64) {
    assert!((found / fact - 1.0).abs() < share, "{found}, where the real file has {fact}");
}

/// Spread over ids with at least 20 rows of their shares of positives.
fn spread_of_shares(data: &DataSet, field: usize) -> f64 {
    let mut counts = vec![(0.0, 0.0); data.meta().field_dims[field] as usize];
    for (row, label) in data.indices().chunks_exact(data.fields()).zip(data.labels()) {
        let (rows, positives) = &mut counts[row[field] as usize];
        *rows += 1.0;
        *positives += f64::from(*label);
    }
    let shares: Vec<f64> =
        counts.iter().filter(|(rows, _)| *rows >= 20.0).map(|(rows, p)| p / rows).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    (shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / shares.len() as f64).sqrt()
}

#[test]
fn the_stand_in_of_movielens_1m_has_its_statistics() {
    let (meta, data, _) = drawn("movielens-1m", None, 0);
    let info = Info::of(&data);
    assert_eq!((info.rows, &info.field_dims[..]), (1_000_209, &[6040, 3952][..]));
    assert_eq!([info.train, info.validation, info.test], [800_167, 100_021, 100_021]);
    assert!(info.stand_in && meta.notes[0].starts_with("stand-in"));
    // The labels give a standard error of 0.0005, calibration on 65,536 rows another 0.001 of pairs of ids; 4 of both.
    assert!((info.positive_rate - 0.575_16).abs() < 0.005, "{}", info.positive_rate);
    let auc = info.attainable_auc.unwrap();
    assert!((auc - 0.81).abs() < 0.005, "{auc}");
    assert!((meta.planted.unwrap().expected_auc - 0.81).abs() < 1e-6);
    let [user, item] = &info.fields[..] else { panic!("two fields") };
    assert_eq!((user.occurring, user.least), (6040, 20));
    assert_eq!((item.occurring, item.least), (3706, 1));
    // How well the law of popularity fits the facts; counts are its own, rounded.
    near(user.median as f64, 96.0, 0.02);
    near(user.percentile_90 as f64, 400.0, 0.02);
    near(user.greatest as f64, 2314.0, 0.01);
    near(user.gini, 0.5286, 0.01);
    near(item.median as f64, 123.5, 0.02);
    near(item.percentile_90 as f64, 729.5, 0.06);
    near(item.greatest as f64, 3428.0, 0.01);
    near(item.gini, 0.6336, 0.01);
    near(spread_of_shares(&data, 0), 0.167, 0.15);
    near(spread_of_shares(&data, 1), 0.220, 0.15);
}

#[test]
fn the_stand_in_of_movielens_100k_has_its_statistics() {
    let (_, data, _) = drawn("movielens-100k", None, 0);
    let info = Info::of(&data);
    assert_eq!((info.rows, &info.field_dims[..]), (100_000, &[943, 1682][..]));
    assert!((info.positive_rate - 0.553_75).abs() < 0.01, "{}", info.positive_rate);
    // Standard error of the AUC of 100,000 rows 0.0014, of the calibration 0.002.
    assert!((info.attainable_auc.unwrap() - 0.80).abs() < 0.01, "{:?}", info.attainable_auc);
    assert_eq!((info.fields[0].occurring, info.fields[1].occurring), (943, 1682));
    near(info.fields[0].median as f64, 65.0, 0.02);
    near(info.fields[0].greatest as f64, 737.0, 0.01);
    near(info.fields[1].median as f64, 27.0, 0.04);
    near(info.fields[1].greatest as f64, 583.0, 0.01);
    near(info.fields[1].gini, 0.629, 0.01);
}

#[test]
fn the_stand_in_of_movielens_20m_keeps_its_dims_at_any_number_of_rows() {
    let (_, data, _) = drawn("movielens-20m", Some(200_000), 0);
    let info = Info::of(&data);
    assert_eq!((info.rows, &info.field_dims[..]), (200_000, &[138_493, 131_262][..]));
    assert!(info.fields[1].occurring < 26_744, "ids that never occur stay away");
    assert!((info.positive_rate - 0.609_77).abs() < 0.01, "{}", info.positive_rate);
    // A hundredth of the rows: the most popular item is expected 673 times.
    near(info.fields[1].greatest as f64, 673.1, 0.01);
}

#[test]
fn a_stand_in_is_a_function_of_its_seed_on_any_number_of_threads() {
    let on = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| drawn("movielens-100k", Some(50_000), seed).2)
    };
    let one = on(1, 7);
    assert!(one == on(3, 7));
    assert!(one != on(1, 8));
}

#[test]
fn the_fingerprint_of_seed_0_is_this_one_on_every_machine() {
    let (meta, _, _) = drawn("movielens-100k", Some(1000), 0);
    assert_eq!(meta.fingerprint, "cc1b46c57d32f5761d828e652fe0eba27c06e971be4517e84ee94177a549f66d");
}

#[test]
fn impossible_stand_ins_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shape = Shape::named("movielens-1m").unwrap();
    for rows in [0, 1 << 32] {
        let options = SynthOptions { rows: Some(rows), ..SynthOptions::default() };
        assert!(synth(shape, &dir.path().join("out"), &options, &mut |_| {}).is_err());
    }
    assert!(Shape::named("movielens").is_err());
}
