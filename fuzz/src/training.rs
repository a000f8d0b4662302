//! Checkpoints of training runs.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use radhard_data::{Columns, DataSet, Meta, SplitMeta};
use radhard_models::{Config, Init, Model, Progress, TrainOptions, train_with_checkpoint};

use crate::{edits, scratch};

/// The end of the run that was never interrupted, and the checkpoint that it left.
struct Whole {
    data: DataSet,
    options: TrainOptions,
    checkpoint: Vec<u8>,
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let rows = 40_u32;
        let indices = (0..rows).flat_map(|row| [row % 3, row / 3 % 4]).collect();
        let labels = (0..rows).map(|row| u8::from(row % 3 == 1)).collect();
        let parts: Vec<u8> = (0..rows).map(|row| [0, 0, 1, 2][row as usize % 4]).collect();
        let mut meta = Meta::new("d", vec!["a".into(), "b".into()], vec![3, 4]);
        meta.split = Some(SplitMeta { seed: 1, ratio: [2, 1, 1], counts: [20, 10, 10] });
        let data = DataSet::from_columns(meta, &Columns { indices, labels, parts, ..Columns::default() });
        let data = data.expect("rows of this crate");
        let options =
            TrainOptions { batch_size: 16, epochs: 2, learning_rate: 0.01, ..TrainOptions::default() };
        let path = scratch::file("whole.checkpoint");
        if path.exists() {
            fs::remove_file(&path).expect("a file is removed");
        }
        train(&data, &options, &path).expect("a small training run");
        let checkpoint = fs::read(&path).expect("a run leaves its checkpoint");
        Whole { data, options, checkpoint }
    })
}

/// The checkpoint that inputs edit.
pub(crate) fn checkpoint_file() -> &'static [u8] {
    &whole().checkpoint
}

fn auc(scores: &[f32], labels: &[u8]) -> Option<f64> {
    let of = |label: u8| scores.iter().zip(labels).filter(move |(_, of)| **of == label).map(|(s, _)| *s);
    let pairs = of(0).count() * of(1).count();
    let right: usize = of(1).map(|p| of(0).filter(|n| p > *n).count()).sum();
    (pairs > 0).then(|| right as f64 / pairs as f64)
}

fn train(data: &DataSet, options: &TrainOptions, path: &Path) -> Option<Model> {
    let config = Config::new("fm", data.meta().field_dims.clone());
    let mut model = Model::new(&config, Init::TorchFm, 9).expect("a small model");
    let mut go_on = |_: Progress| ControlFlow::Continue(());
    let report = train_with_checkpoint(&mut model, data, options, path, &auc, &mut go_on);
    report.ok().map(|_| model)
}

/// A run continues from any bytes: it refuses them, or ends with numbers.
pub(crate) fn checkpoint(input: &[u8]) {
    let Whole { data, options, checkpoint } = whole();
    let path = scratch::file("edited.checkpoint");
    fs::write(&path, edits::file(checkpoint, input)).expect("an input is written");
    let Some(model) = train(data, options, &path) else { return };
    let training = model.training.expect("a trained model says how it was trained");
    assert!((1..=options.epochs).contains(&training.epochs) && training.best_epoch <= training.epochs);
}
