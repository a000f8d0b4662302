//! Training on the ratings that travel with the program.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ops::ControlFlow;

use radhard_data::prepare::{PrepareOptions, embedded_ml_latest_small};
use radhard_data::{DataSet, Part, Split, SplitRatio};
use radhard_models::training::bias_baseline;
use radhard_models::{
    Config, Init, Model, Optimizer, Progress, Scores, TrainError, TrainOptions, TrainReport, train,
};

fn ratings(seed: u64) -> DataSet {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ratings.data");
    let split = Some(Split { ratio: SplitRatio::default(), seed });
    let common = PrepareOptions { split, ..PrepareOptions::default() };
    embedded_ml_latest_small(&path, common, &mut |_| {}).unwrap();
    DataSet::open(&path).unwrap()
}

/// The share of (positive, negative) pairs in the right order, ties half.
fn auc(scores: &[f32], labels: &[u8]) -> Option<f64> {
    let mut rows: Vec<(f32, u8)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut right, mut negatives) = (0.0, 0.0);
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|row| row.1 == 1).count() as f64;
        let negative = tied.len() as f64 - positive;
        right += positive * (negatives + negative / 2.0);
        negatives += negative;
    }
    let pairs = negatives * (rows.len() as f64 - negatives);
    (pairs > 0.0).then(|| right / pairs)
}

fn trained(data: &DataSet, name: &str, init: Init, options: &TrainOptions) -> (Model, TrainReport) {
    let config = Config::new(name, data.meta().field_dims.clone());
    let mut model = Model::new(&config, init, options.seed).unwrap();
    let report = train(&mut model, data, options, &auc, &mut |_| ControlFlow::Continue(())).unwrap();
    (model, report)
}

#[test]
fn trained_models_reach_what_torchfm_reaches() {
    // torchfm's test AUC, mean of its two splits; a mean of two of ours may be 0.015 away, about three times the
    // spread between splits.
    let expected = [
        ("fm", Init::TorchFm, 0.768),
        ("fm", Init::ZeroFirstOrder, 0.786),
        ("wide-deep", Init::TorchFm, 0.778),
        ("wide-deep", Init::ZeroFirstOrder, 0.7915),
    ];
    let splits = [1, 2].map(ratings);
    for (name, init, torchfm) in expected {
        let options = TrainOptions { seed: 1, ..TrainOptions::default() };
        let reached = splits.each_ref().map(|data| trained(data, name, init, &options).1.test_auc.unwrap());
        let mean = f64::midpoint(reached[0], reached[1]);
        assert!((mean - torchfm).abs() <= 0.015, "{name}, {init}: {reached:?}, torchfm {torchfm}");
    }
}

#[test]
fn the_bias_model_ranks_as_well_as_published() {
    for (split, data) in [1, 2].map(|seed| (seed, ratings(seed))) {
        let reached = auc(&bias_baseline(&data, Part::Test), data.select(Part::Test).labels()).unwrap();
        assert!((reached - 0.794).abs() <= 0.015, "split {split}: {reached}");
    }
}

#[test]
fn lazy_adam_is_no_worse_than_adam() {
    let data = ratings(1);
    let mean = |optimizer| {
        let reached = (1..=5).map(|seed| {
            let options = TrainOptions { optimizer, seed, ..TrainOptions::default() };
            trained(&data, "fm", Init::ZeroFirstOrder, &options).1.test_auc.unwrap()
        });
        reached.sum::<f64>() / 5.0
    };
    let (adam, lazy) = (mean(Optimizer::Adam), mean(Optimizer::LazyAdam));
    assert!(lazy >= adam - 0.005, "lazy-adam {lazy}, adam {adam}");
}

#[test]
fn the_best_epochs_weights_are_kept_and_told() {
    let data = ratings(1);
    let (model, report) = trained(&data, "fm", Init::ZeroFirstOrder, &TrainOptions::default());
    let best = report.epochs.iter().filter_map(|e| e.validation_auc).max_by(f64::total_cmp).unwrap();
    assert_eq!(report.validation_auc, Some(best));
    assert_eq!(report.epochs[report.best_epoch as usize - 1].validation_auc, Some(best));
    assert_eq!(report.epochs.len() as u64, report.best_epoch + 3);
    let mut scores = Scores::default();
    let validation = data.select(Part::Validation);
    model.scores(&validation.view(), &mut scores).unwrap();
    assert_eq!(auc(&scores.probabilities, validation.labels()), Some(best));
    let meta = model.training.unwrap();
    assert_eq!((meta.best_epoch, meta.validation_auc), (report.best_epoch, Some(best)));
    assert_eq!(meta.init, Some(Init::ZeroFirstOrder));
    let told = model.data.unwrap();
    assert_eq!(told.fingerprint, data.meta().fingerprint);
    assert_eq!(told.split_seed, Some(1));
}

#[test]
fn the_same_seed_trains_the_same_model_on_any_number_of_threads() {
    let data = ratings(1);
    let options = TrainOptions { epochs: 2, seed: 3, ..TrainOptions::default() };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained(&data, "wide-deep", Init::TorchFm, &options).0.fingerprint())
    };
    assert_eq!(on(1), on(2));
    let other = TrainOptions { seed: 4, ..options.clone() };
    assert_ne!(on(1), trained(&data, "wide-deep", Init::TorchFm, &other).0.fingerprint());
}

#[test]
fn the_caller_can_end_training_and_keeps_the_best_epoch() {
    let data = ratings(1);
    let config = Config::new("fm", data.meta().field_dims.clone());
    let mut model = Model::new(&config, Init::ZeroFirstOrder, 0).unwrap();
    let report = train(&mut model, &data, &TrainOptions::default(), &auc, &mut |progress| match progress {
        Progress::Step { epoch: 3, step: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .unwrap();
    assert!(report.interrupted);
    assert_eq!((report.epochs.len(), report.best_epoch), (2, 2));
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let data = ratings(1);
    let dims = data.meta().field_dims.clone();
    let refused = |dims: Vec<u32>, options: &TrainOptions| {
        let mut model = Model::new(&Config::new("fm", dims), Init::TorchFm, 0).unwrap();
        train(&mut model, &data, options, &auc, &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    let plain = TrainOptions::default();
    assert!(matches!(refused(vec![3, 4], &plain), TrainError::FieldDims { .. }));
    let rate = refused(dims.clone(), &TrainOptions { learning_rate: f64::NAN, ..plain.clone() });
    assert_eq!(rate.to_string(), "learning rate is NaN; it has to be a positive number");
    for options in [
        TrainOptions { batch_size: 0, ..plain.clone() },
        TrainOptions { epochs: 0, ..plain.clone() },
        TrainOptions { patience: 0, ..plain.clone() },
        TrainOptions { beta2: 1.0, ..plain.clone() },
        TrainOptions { weight_decay: -1.0, ..plain.clone() },
        TrainOptions { epsilon: 0.0, ..plain.clone() },
    ] {
        assert!(matches!(refused(dims.clone(), &options), TrainError::Option { .. }));
    }
    let wild = TrainOptions { learning_rate: 1e30, ..plain };
    assert!(matches!(refused(dims, &wild), TrainError::Diverged { .. }));
}

#[test]
fn rows_that_do_not_fit_are_refused_by_name() {
    let model = Model::new(&Config::new("fm", vec![3, 4]), Init::TorchFm, 0).unwrap();
    let mut scores = Scores::default();
    let mut refused = |fields: usize, indices: &[u32], numeric_width: usize| {
        let labels = vec![0; indices.len() / fields];
        let numeric = vec![0.0; labels.len() * numeric_width];
        let rows = radhard_data::RowsView {
            fields,
            numeric_width,
            indices,
            numeric: &numeric,
            labels: &labels,
            bags: None,
        };
        model.scores(&rows, &mut scores).unwrap_err().to_string()
    };
    assert_eq!(refused(2, &[0, 3, 2, 4], 0), "row 1, field 1: index 4 is outside [0, 4)");
    assert_eq!(refused(3, &[0, 3, 2], 0), "the rows have 3 categorical fields, the model 2");
    assert_eq!(refused(2, &[0, 3], 1), "the rows have 1 numeric inputs, the model 0");
}
