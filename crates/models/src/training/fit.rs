//! Epochs until the validation AUC stops improving.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use radhard_data::{DataSet, Part};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::file::{DataMeta, TrainingMeta};
use crate::model::Model;
use crate::parameter::{NumberFormat, Parameters};
use crate::random::{Purpose, Random};
use crate::scores::{Scores, ScoresError, check};
use crate::table::TableFormat;
use crate::training::Optimizer;
use crate::training::batch::{Batch, Trainer};
use crate::training::checkpoint::{Checkpoint, CheckpointError};

/// AUC of probabilities against labels; `None` where it is undefined.
pub type AucFunction<'a> = dyn Fn(&[f32], &[u8]) -> Option<f64> + 'a;

/// What training is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainOptions {
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub learning_rate: f64,
    /// Times the weight, added to the gradient.
    pub weight_decay: f64,
    /// Share kept of the first moment.
    pub beta1: f64,
    /// Share kept of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Rows per step.
    pub batch_size: usize,
    /// Epochs at most.
    pub epochs: u64,
    /// Epochs without a better validation AUC after which training ends.
    pub patience: u64,
    /// The seed of shuffles and dropout.
    pub seed: u64,
    /// Training rows used at most, the first of the part; `None` uses all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Adam,
            learning_rate: 1e-3,
            weight_decay: 1e-6,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            batch_size: 4096,
            epochs: 100,
            patience: 3,
            seed: 0,
            rows: None,
        }
    }
}

impl TrainOptions {
    /// Whether training can be done with these.
    ///
    /// # Errors
    /// The first value that cannot be.
    pub fn check(&self) -> Result<(), TrainError> {
        let bad = |what, value: f64, rule| Err(TrainError::Option { what, value, rule });
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return bad("learning rate", self.learning_rate, "a positive number");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return bad("weight decay", self.weight_decay, "zero or a positive number");
        }
        for (what, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return bad(what, beta, "in [0, 1)");
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return bad("epsilon", self.epsilon, "a positive number");
        }
        for (what, n) in
            [("batch size", self.batch_size as u64), ("epochs", self.epochs), ("patience", self.patience)]
        {
            if n == 0 {
                return bad(what, 0.0, "at least 1");
            }
        }
        if self.rows == Some(0) {
            return bad("rows", 0.0, "at least 1");
        }
        Ok(())
    }
}

/// An epoch that ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// The mean loss of its rows, each before its step.
    pub loss: f64,
    /// AUC on the validation rows.
    pub validation_auc: Option<f64>,
    /// Whether it is the best so far.
    pub best: bool,
    /// Seconds since training began.
    pub seconds: f64,
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// A step ended.
    Step {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The step within it, counted from 1.
        step: u64,
        /// Steps of an epoch.
        steps: u64,
        /// The mean loss of the batch.
        loss: f64,
    },
    /// An epoch ended.
    Epoch(Epoch),
    /// Training goes on where a checkpoint ended.
    Continued {
        /// The epochs that ended before.
        epochs: u64,
    },
}

/// What training came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainReport {
    /// Every epoch, those before a continuation included.
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights were kept, counted from 1; 0 where none ended.
    pub best_epoch: u64,
    /// AUC of the kept weights on the validation rows.
    pub validation_auc: Option<f64>,
    /// AUC of the kept weights on the test rows.
    pub test_auc: Option<f64>,
    /// Whether the caller ended it.
    pub interrupted: bool,
    /// Seconds of everything.
    pub seconds: f64,
    /// Training rows a second, evaluation left out.
    pub rows_per_second: f64,
    /// Steps of an epoch.
    pub steps: u64,
}

/// Why training cannot be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A model that is measured untrained.
    #[error("{name} is measured as it starts, and not trained; `radhard init` makes one")]
    Bags {
        /// The architecture.
        name: String,
    },
    /// A value that cannot be.
    #[error("{what} is {value}; it has to be {rule}")]
    Option {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The rule.
        rule: &'static str,
    },
    /// Model and data have other fields.
    #[error("the data has field dims {data:?}, the model {model:?}")]
    FieldDims {
        /// Of the data.
        data: Vec<u32>,
        /// Of the model.
        model: Vec<u32>,
    },
    /// Tables that the optimiser cannot step.
    #[error("the tables are {format}; only f32 tables can be trained: train first, convert then")]
    Tables {
        /// Their format.
        format: TableFormat,
    },
    /// Rows that the model cannot read.
    #[error(transparent)]
    Rows(#[from] ScoresError),
    /// Rows that the file does not give.
    #[error("the rows cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Nothing to train on.
    #[error("the data has no training rows")]
    NoRows,
    /// A checkpoint that cannot be written, or not be continued.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Labels from which nothing can be learnt.
    #[error(
        "all {rows} training rows are {class}, and a model learns to tell two classes apart; \
         prepare the data with another --positive or --label"
    )]
    OneClass {
        /// The training rows.
        rows: usize,
        /// The labels.
        class: &'static str,
    },
    /// The loss is no number.
    #[error(
        "training diverged: the loss is {loss} in epoch {epoch}, step {step}; nothing was saved, \
         train with a lower --lr than {learning_rate}"
    )]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The step within it, counted from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// The learning rate.
        learning_rate: f64,
    },
    /// A weight is no number.
    #[error(
        "training diverged: {parameter} has {value} after epoch {epoch}; nothing was saved, \
         train with a lower --lr than {learning_rate}"
    )]
    DivergedWeights {
        /// The parameter.
        parameter: String,
        /// The weight.
        value: f32,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The learning rate.
        learning_rate: f64,
    },
}

/// Trains a model in place and keeps the weights of the best epoch.
///
/// Where the data has no validation rows (or their AUC is undefined), all epochs are run and the last is kept.
///
/// # Numerics
/// The result depends on the model, the data and the options alone: blocks of a batch are fixed, their sums are added
/// in order.
///
/// # Errors
/// If options, fields or rows do not fit, all labels are of one class, or a loss or weight is no number.
pub fn train(
    model: &mut Model,
    data: &DataSet,
    options: &TrainOptions,
    auc: &AucFunction<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrainReport, TrainError> {
    run(model, data, options, None, auc, progress)
}

/// [`train`], with all that it needs to go on written to a file after each epoch.
///
/// If the file is there, training continues from it and comes to the same bits as without an interruption. The file is
/// the caller's to remove once the model is safe. It holds the best weights too, so that memory does not.
///
/// # Errors
/// As [`train`]; and if the file cannot be read or written, or is of another run.
pub fn train_with_checkpoint(
    model: &mut Model,
    data: &DataSet,
    options: &TrainOptions,
    checkpoint: &Path,
    auc: &AucFunction<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrainReport, TrainError> {
    run(model, data, options, Some(checkpoint), auc, progress)
}

fn run(
    model: &mut Model,
    data: &DataSet,
    options: &TrainOptions,
    checkpoint: Option<&Path>,
    auc: &AucFunction<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrainReport, TrainError> {
    options.check()?;
    if model.config().tables != TableFormat::F32 {
        return Err(TrainError::Tables { format: model.config().tables });
    }
    if model.config().takes_bags() {
        return Err(TrainError::Bags { name: model.config().name.clone() });
    }
    let meta = data.meta();
    if meta.field_dims != model.config().field_dims {
        let model = model.config().field_dims.clone();
        return Err(TrainError::FieldDims { data: meta.field_dims.clone(), model });
    }
    check(&data.select(Part::All).view(), model.config())?;
    data.release();
    let checkpoint = checkpoint.map(|path| Checkpoint::new(path, model, options, &meta.fingerprint));
    let mut report = epochs(model, data, options, checkpoint.as_ref(), auc, progress)?;
    report.test_auc = auc_of(model, data, Part::Test, auc)?;
    model.training = Some(TrainingMeta {
        options: options.clone(),
        init: model.init(),
        epochs: report.epochs.len() as u64,
        best_epoch: report.best_epoch,
        validation_auc: report.validation_auc,
        test_auc: report.test_auc,
    });
    model.data = Some(DataMeta {
        name: meta.name.clone(),
        fingerprint: meta.fingerprint.clone(),
        split_seed: meta.split.as_ref().map(|s| s.seed),
        train_positive_rate: meta.train_positive_rate,
        stand_in: meta.stand_in,
    });
    Ok(report)
}

/// Bytes of the rows that are evaluated at a time.
const PIECE_BYTES: usize = 4 << 20;

fn auc_of(
    model: &Model,
    data: &DataSet,
    part: Part,
    auc: &AucFunction<'_>,
) -> Result<Option<f64>, TrainError> {
    let row_ids = rows_of(data, part);
    if row_ids.is_empty() {
        return Ok(None);
    }
    let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
    let mut scores = Scores::default();
    for piece in pieces(data, &row_ids) {
        let rows = data.read_rows(piece)?;
        model.scores(&rows.view(), &mut scores)?;
        probabilities.extend_from_slice(&scores.probabilities);
        labels.extend_from_slice(rows.labels());
    }
    model.graph().drop_spare();
    Ok(auc(&probabilities, &labels))
}

/// Rows, as many at a time as are evaluated together.
pub(super) fn pieces<'r>(data: &DataSet, rows: &'r [u32]) -> impl Iterator<Item = &'r [u32]> {
    let row_bytes = (data.fields() + data.meta().numeric_names.len()) * size_of::<u32>();
    rows.chunks((PIECE_BYTES / row_bytes.max(1)).max(1))
}

/// Where the rows of a part stand in the data.
pub(super) fn rows_of(data: &DataSet, part: Part) -> Vec<u32> {
    let own = |code: u8| part.code().is_none_or(|own| own == code);
    (0..).zip(data.parts()).filter(|(_, code)| own(**code)).map(|(row, _)| row).collect()
}

/// The class of labels that are all of one.
fn only_class(mut labels: impl Iterator<Item = u8>) -> Option<&'static str> {
    let first = labels.next()? != 0;
    let class = if first { "positive" } else { "negative" };
    labels.all(|label| (label != 0) == first).then_some(class)
}

/// The first weight that is no finite number, with its parameter.
fn not_finite(parameters: &Parameters) -> Option<(String, f32)> {
    let mut stepped = parameters.iter().filter(|tensor| tensor.format() == NumberFormat::F32);
    stepped.find_map(|tensor| {
        // Most groups have none, and a sum over one is quicker than a search.
        let bad = |group: &&[f32]| group.iter().fold(false, |any, x| any | !x.is_finite());
        let value = tensor.f32s().chunks(1 << 12).find(bad)?.iter().find(|x| !x.is_finite())?;
        Some((tensor.name().to_owned(), *value))
    })
}

/// Whether an epoch of this AUC is to be kept instead of the one kept so far.
pub(super) fn is_better(auc: Option<f64>, kept: Option<f64>) -> bool {
    match (auc, kept) {
        (Some(auc), Some(kept)) => auc > kept,
        _ => true,
    }
}

impl TrainReport {
    /// What these epochs came to.
    fn of(epochs: Vec<Epoch>) -> Self {
        let best = epochs.iter().rfind(|epoch| epoch.best);
        Self {
            best_epoch: best.map_or(0, |epoch| epoch.epoch),
            validation_auc: best.and_then(|epoch| epoch.validation_auc),
            test_auc: None,
            interrupted: false,
            seconds: epochs.last().map_or(0.0, |epoch| epoch.seconds),
            rows_per_second: 0.0,
            steps: 0,
            epochs,
        }
    }
}

fn epochs(
    model: &mut Model,
    data: &DataSet,
    options: &TrainOptions,
    checkpoint: Option<&Checkpoint<'_>>,
    auc: &AucFunction<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrainReport, TrainError> {
    let began = Instant::now();
    let most = options.rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
    let mut train = rows_of(data, Part::Train);
    train.truncate(most);
    let count = train.len();
    if count == 0 {
        return Err(TrainError::NoRows);
    }
    if let Some(class) = only_class(train.iter().map(|row| data.labels()[*row as usize])) {
        return Err(TrainError::OneClass { rows: count, class });
    }
    drop(train);
    let steps = count.div_ceil(options.batch_size) as u64;
    let mut trainer = Trainer::new(model.graph(), model.parameters());
    let mut report = TrainReport::of(Vec::new());
    if let Some(checkpoint) = checkpoint
        && let Some(epochs) = checkpoint.read(model.parameters_mut(), &mut trainer.moments)?
    {
        trainer.moments.steps = epochs.len() as u64 * steps;
        report = TrainReport::of(epochs);
        report.interrupted = progress(Progress::Continued { epochs: report.epochs.len() as u64 }).is_break();
    }
    let before = report.seconds;
    let mut best: Option<Parameters> = None;
    let (mut trained, mut busy) = (0usize, 0.0);
    for epoch in report.epochs.len() as u64 + 1..=options.epochs {
        if report.interrupted || epoch - 1 - report.best_epoch >= options.patience {
            break;
        }
        let mut order = rows_of(data, Part::Train);
        order.truncate(count);
        Random::new(options.seed, Purpose::Shuffle(epoch)).shuffle(&mut order);
        let mut total = 0.0;
        for (step, order) in (1..).zip(order.chunks(options.batch_size)) {
            let clock = Instant::now();
            let batch = Batch { rows: data.reader(), labels: data.labels(), order };
            let (graph, parameters) = model.split_mut();
            let loss = trainer.step(graph, parameters, batch, options)?;
            busy += clock.elapsed().as_secs_f64();
            trained += order.len();
            if !loss.is_finite() {
                let learning_rate = options.learning_rate;
                return Err(TrainError::Diverged { epoch, step, loss, learning_rate });
            }
            total += loss * order.len() as f64;
            if progress(Progress::Step { epoch, step, steps, loss }).is_break() {
                report.interrupted = true;
                break;
            }
        }
        if report.interrupted {
            break;
        }
        drop(order);
        if let Some((parameter, value)) = not_finite(model.parameters()) {
            let learning_rate = options.learning_rate;
            return Err(TrainError::DivergedWeights { parameter, value, epoch, learning_rate });
        }
        let validation_auc = auc_of(model, data, Part::Validation, auc)?;
        let better = report.best_epoch == 0 || is_better(validation_auc, report.validation_auc);
        if better {
            report.best_epoch = epoch;
            report.validation_auc = validation_auc;
            let keep = checkpoint.is_none() && validation_auc.is_some();
            best = keep.then(|| model.parameters().clone());
        }
        let seconds = before + began.elapsed().as_secs_f64();
        let loss = total / count as f64;
        let ended = Epoch { epoch, loss, validation_auc, best: better, seconds };
        report.epochs.push(ended);
        if let Some(checkpoint) = checkpoint {
            checkpoint.write(model.parameters(), &trainer.moments, &report.epochs)?;
        }
        report.interrupted = progress(Progress::Epoch(ended)).is_break();
    }
    debug_assert!(trainer.steps() <= options.epochs * steps);
    // The moments make room for the weights that come back.
    drop(trainer);
    if let Some(parameters) = best {
        *model.parameters_mut() = parameters;
    } else if let Some(checkpoint) = checkpoint
        && report.validation_auc.is_some()
    {
        checkpoint.read_best(model.parameters_mut())?;
    }
    report.steps = steps;
    report.seconds = before + began.elapsed().as_secs_f64();
    report.rows_per_second = if busy > 0.0 { trained as f64 / busy } else { 0.0 };
    Ok(report)
}
