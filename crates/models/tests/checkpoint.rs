//! Checkpoints: a run that was interrupted comes to the same bits, and what is of another run is refused.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ops::ControlFlow;
use std::path::Path;

use radhard_data::{Columns, DataSet, Meta, SplitMeta};
use radhard_models::{
    CheckpointError, Config, Init, Model, Optimizer, Progress, TrainError, TrainOptions, TrainReport, train,
    train_with_checkpoint,
};

const DIMS: [u32; 3] = [30, 50, 7];

/// Rows whose label follows one field most of the time; a tenth each to validate and to test, or all to train.
fn rows(count: u32, split: bool) -> DataSet {
    let mix = |i: u32| {
        u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9)
            >> 33
    };
    let indices: Vec<u32> =
        (0..count * 3).map(|i| (mix(i) % u64::from(DIMS[i as usize % 3])) as u32).collect();
    let labels = (0..count)
        .map(|i| {
            u8::from(indices[i as usize * 3].is_multiple_of(2))
                ^ u8::from(mix(i + 1_000_000).is_multiple_of(4))
        })
        .collect();
    let part = |i: u32| if split && i % 10 > 7 { (i % 10 - 7) as u8 } else { 0 };
    let parts: Vec<u8> = (0..count).map(part).collect();
    let counts = [0, 1, 2].map(|code| parts.iter().map(|part| u64::from(*part == code)).sum());
    let mut meta = Meta::new("d", ["a", "b", "c"].map(str::to_owned).to_vec(), DIMS.to_vec());
    meta.split = split.then_some(SplitMeta { seed: 1, ratio: [8, 1, 1], counts });
    DataSet::from_columns(meta, &Columns { indices, labels, parts, ..Columns::default() }).unwrap()
}

fn auc(scores: &[f32], labels: &[u8]) -> Option<f64> {
    let of = |label: u8| scores.iter().zip(labels).filter(move |(_, l)| **l == label).map(|(s, _)| *s);
    let pairs = (of(0).count() * of(1).count()) as f64;
    let right: f64 = of(1)
        .map(|p| of(0).map(|n| if p > n { 1.0 } else { f64::from(u8::from(p == n)) / 2.0 }).sum::<f64>())
        .sum();
    (pairs > 0.0).then(|| right / pairs)
}

fn options(optimizer: Optimizer) -> TrainOptions {
    TrainOptions {
        optimizer,
        learning_rate: 0.01,
        batch_size: 300,
        epochs: 8,
        patience: 2,
        seed: 5,
        ..TrainOptions::default()
    }
}

fn start(name: &str) -> Model {
    Model::new(&Config::new(name, DIMS.to_vec()), Init::TorchFm, 9).unwrap()
}

/// Trains until `stop` says so.
fn until(
    model: &mut Model,
    data: &DataSet,
    options: &TrainOptions,
    path: &Path,
    stop: impl Fn(Progress) -> bool,
) -> TrainReport {
    let mut progress =
        |progress| if stop(progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    train_with_checkpoint(model, data, options, path, &auc, &mut progress).unwrap()
}

/// Everything but the times.
fn untimed(report: &TrainReport) -> impl PartialEq + std::fmt::Debug + use<> {
    let epochs: Vec<_> = report
        .epochs
        .iter()
        .map(|e| (e.epoch, e.loss.to_bits(), e.validation_auc.map(f64::to_bits), e.best))
        .collect();
    (epochs, report.best_epoch, report.validation_auc, report.test_auc, report.interrupted)
}

#[test]
fn a_continued_run_has_the_bits_of_one_that_was_never_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    for (split, name, optimizer) in [
        (true, "wide-deep", Optimizer::Adam),
        (true, "fm", Optimizer::LazyAdam),
        (true, "dcn", Optimizer::LazyAdam),
        (false, "afm", Optimizer::Adam),
    ] {
        let (data, options) = (rows(1500, split), options(optimizer));
        let mut whole = start(name);
        let report = train(&mut whole, &data, &options, &auc, &mut |_| ControlFlow::Continue(())).unwrap();
        let last = report.epochs.len() as u64;
        assert!(last >= 2 && (!split || report.best_epoch > 0), "{name}: {last}");
        for stop in 0..=last {
            // At the boundary, and within the epoch after it.
            for step in [None, Some(2)] {
                let path = directory.path().join(format!("{name}.{stop}.{step:?}.checkpoint"));
                let stopped = until(&mut start(name), &data, &options, &path, |progress| match progress {
                    Progress::Epoch(epoch) => step.is_none() && epoch.epoch == stop,
                    Progress::Step { epoch, step: now, .. } => Some(now) == step && epoch == stop + 1,
                    _ => false,
                });
                assert_eq!(path.exists(), !stopped.epochs.is_empty());
                let mut continued = start(name);
                let found = until(&mut continued, &data, &options, &path, |_| false);
                assert_eq!(untimed(&found), untimed(&report), "{name}, stopped after {stop}");
                assert_eq!(continued.fingerprint(), whole.fingerprint(), "{name}, stopped after {stop}");
                assert_eq!(continued.training, whole.training);
                assert_eq!(continued.data, whole.data);
                assert!(found.seconds >= stopped.epochs.last().map_or(0.0, |epoch| epoch.seconds));
            }
        }
    }
}

#[test]
fn an_interrupted_run_keeps_its_best_epoch_and_tells_when_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let (data, options) = (rows(1500, true), options(Optimizer::Adam));
    let mut stopped = start("fm");
    let report = until(&mut stopped, &data, &options, &path, |progress| {
        matches!(progress, Progress::Step { epoch: 3, step: 2, .. })
    });
    assert_eq!((report.interrupted, report.epochs.len()), (true, 2));
    let best = TrainOptions { epochs: report.best_epoch, ..options.clone() };
    let mut kept = start("fm");
    train(&mut kept, &data, &best, &auc, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(stopped.fingerprint(), kept.fingerprint());
    let told = std::cell::Cell::new(None);
    until(&mut start("fm"), &data, &options, &path, |progress| {
        if let Progress::Continued { epochs } = progress {
            told.set(Some(epochs));
        }
        true
    });
    assert_eq!(told.get(), Some(2));
}

fn refused(model: &Model, data: &DataSet, options: &TrainOptions, path: &Path) -> CheckpointError {
    let mut model = model.clone();
    let result =
        train_with_checkpoint(&mut model, data, options, path, &auc, &mut |_| ControlFlow::Break(()));
    match result.unwrap_err() {
        TrainError::Checkpoint(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_every_difference() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let (data, options) = (rows(1500, true), options(Optimizer::Adam));
    let model = start("fm");
    until(&mut model.clone(), &data, &options, &path, |p| matches!(p, Progress::Epoch(_)));
    let bytes = std::fs::read(&path).unwrap();
    let differences = |model: &Model, data: &DataSet, options: &TrainOptions| {
        let CheckpointError::OtherRun { differences, .. } = refused(model, data, options, &path) else {
            panic!("another error");
        };
        differences
    };
    let other = TrainOptions { learning_rate: 0.02, optimizer: Optimizer::LazyAdam, ..options.clone() };
    assert_eq!(
        differences(&model, &data, &other),
        [
            "  options.optimizer: the checkpoint has \"adam\", this run \"lazy-adam\"",
            "  options.learning_rate: the checkpoint has 0.01, this run 0.02",
        ]
    );
    let [line] = &differences(&model, &rows(1400, true), &options)[..] else { panic!("more than the data") };
    assert!(
        line.starts_with(&format!("  data: the checkpoint has \"{}\"", data.meta().fingerprint)),
        "{line}"
    );
    let seeded = Model::new(model.config(), Init::TorchFm, 10).unwrap();
    assert!(differences(&seeded, &data, &options)[0].starts_with("  start: the checkpoint has"));
    let wider = Model::new(&Config { embed_dim: 4, ..model.config().clone() }, Init::TorchFm, 9).unwrap();
    assert_eq!(
        differences(&wider, &data, &options)[0],
        "  config.embed_dim: the checkpoint has 16, this run 4"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn files_that_are_no_checkpoint_are_refused_with_a_reason_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let (data, options) = (rows(300, true), options(Optimizer::Adam));
    let config = Config { embed_dim: 2, ..Config::new("fm", DIMS.to_vec()) };
    let model = Model::new(&config, Init::TorchFm, 9).unwrap();
    until(&mut model.clone(), &data, &options, &path, |p| matches!(p, Progress::Epoch(e) if e.epoch == 2));
    let bytes = std::fs::read(&path).unwrap();
    let with = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&model, &data, &options, &path);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        error.to_string()
    };
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for end in (0..header).step_by(37).chain([header, bytes.len() - 1]) {
        assert!(with(&bytes[..end]).contains("not a safetensors file"), "{end}");
    }
    let changed = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        with(&bytes)
    };
    assert!(
        changed("radhard.checkpoint", "radhard.checkpaint").contains("\"radhard.checkpoint\" is missing")
    );
    assert!(
        changed("{\\\"format\\\":2", "{\\\"format\\\":7")
            .contains("version 7, this radhard reads versions 1 and 2")
    );
    for (from, to) in [("first.linear.bias", "first.linear.bios"), ("\\\"epoch\\\":2", "\\\"epoch\\\":3")] {
        assert!(changed(from, to).contains("not those that were written"), "{from}");
    }
    // A file without a checksum is read as far as it makes sense.
    let bytes = as_version_1(&bytes);
    let changed = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        with(&bytes)
    };
    assert!(changed("first.linear.bias", "first.linear.bios").contains("first.linear.bias is missing"));
    assert!(changed("\\\"epoch\\\":2", "\\\"epoch\\\":3").contains("its epochs contradict each other"));
    assert!(changed("\\\"best\\\":true", "\\\"best\\\":null").contains("\"radhard.checkpoint\": "));
    let mut model_file = model.clone();
    model_file.data = None;
    model_file.save(&path).unwrap();
    assert!(with(&std::fs::read(&path).unwrap()).contains("\"radhard.checkpoint\" is missing"));
    // Whatever byte of the header changes, the answer is an error or a run.
    for at in (0..header).step_by(3) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let _ = train_with_checkpoint(&mut model.clone(), &data, &options, &path, &auc, &mut |_| {
            ControlFlow::Break(())
        });
    }
}

/// The same checkpoint as versions of radhard without checksums wrote it.
fn as_version_1(bytes: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    let at = header.find("\\\"sha256\\\":").unwrap();
    let end = at + header[at..].find("\\\"run\\\"").unwrap();
    let mut old =
        [&header[..at], &header[end..]].concat().replacen("\\\"format\\\":2", "\\\"format\\\":1", 1);
    // Spaces at the end of a header are padding.
    old.push_str(&" ".repeat(length - old.len()));
    [&bytes[..8], old.as_bytes(), &bytes[8 + length..]].concat()
}

/// A small checkpoint after two epochs of which the first was the best, with what made it.
fn small(path: &Path) -> (Model, DataSet, TrainOptions) {
    let (data, options) = (rows(300, true), TrainOptions { patience: 5, ..options(Optimizer::Adam) });
    let config = Config { embed_dim: 1, ..Config::new("fm", DIMS.to_vec()) };
    let model = Model::new(&config, Init::TorchFm, 9).unwrap();
    until(&mut model.clone(), &data, &options, path, |p| matches!(p, Progress::Epoch(e) if e.epoch == 2));
    (model, data, options)
}

#[test]
fn a_checkpoint_without_a_checksum_is_continued_to_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let (model, data, options) = small(&path);
    let bytes = std::fs::read(&path).unwrap();
    let continued = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut model = model.clone();
        let report = until(&mut model, &data, &options, &path, |_| false);
        (report.epochs.len(), model.fingerprint())
    };
    let old = as_version_1(&bytes);
    assert_ne!(old, bytes);
    assert_eq!(continued(&old), continued(&bytes));
}

#[test]
fn truncations_and_flipped_bits_everywhere_in_a_checkpoint_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let (model, data, options) = small(&path);
    let bytes = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        let mut stop = |_| ControlFlow::Break(());
        let ran = train_with_checkpoint(&mut model.clone(), &data, &options, &path, &auc, &mut stop);
        assert!(matches!(ran, Err(TrainError::Checkpoint(_))), "{what} of {}", bytes.len());
    };
    for end in (0..bytes.len()).step_by(17) {
        refused(&bytes[..end], &format!("cut at byte {end}"));
    }
    // Every byte or the one after it, in each of the eight places.
    for bit in (0..8 * bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped, &format!("bit {bit}"));
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    let (data, options) = (rows(300, true), options(Optimizer::Adam));
    let error = refused_later(&start("fm"), &data, &options, Path::new("/nowhere/at/all/c"));
    assert!(error.starts_with("checkpoint /nowhere/at/all/c: "), "{error}");
}

fn refused_later(model: &Model, data: &DataSet, options: &TrainOptions, path: &Path) -> String {
    let mut go = |_| ControlFlow::Continue(());
    train_with_checkpoint(&mut model.clone(), data, options, path, &auc, &mut go).unwrap_err().to_string()
}
