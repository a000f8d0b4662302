//! The five models, trained on each data set.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use radhard_data::{DataSet, Meta};
use radhard_models::training::train_with_checkpoint;
use radhard_models::{Component, Config, Init, Model, Progress, TrainOptions};

use crate::audience::Audience;
use crate::sets::Set;
use crate::study::{Study, StudyError, opened};

/// The paper's models, in its order.
pub const MODELS: [&str; 5] = ["fm", "deepfm", "afm", "dcn", "wide-deep"];

/// A trained model and what its training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Its architecture.
    pub model: &'static str,
    /// The data set it was trained on.
    pub set: &'static str,
    /// Its file.
    pub path: PathBuf,
    /// Numbers in its parameters.
    pub parameters: u64,
    /// Of these, numbers outside of the tables.
    pub dense: u64,
    /// The share of the rows of all tables that a sample reads.
    pub read_share: f64,
    /// Rows that it was trained on.
    pub rows: u64,
    /// Epochs that its training might have had.
    pub epochs_at_most: u64,
    /// Whether its data are a part of a real file, by which nothing is decided.
    pub partial: bool,
    /// AUC of the kept epoch on the validation rows.
    pub validation_auc: Option<f64>,
    /// The same on the test rows.
    pub test_auc: Option<f64>,
    /// Epochs that ended.
    pub epochs: u64,
    /// Whether the data were made up in the shape of the set they are named after.
    pub stand_in: bool,
    /// Time its training took; none where it was there already.
    pub seconds: Option<f64>,
}

impl Trained {
    /// A model of which nothing is known yet.
    #[cfg(test)]
    pub(crate) fn none(model: &'static str, set: &'static str) -> Self {
        Self {
            model,
            set,
            path: PathBuf::new(),
            parameters: 0,
            dense: 0,
            read_share: 0.0,
            rows: 0,
            epochs_at_most: 0,
            partial: false,
            validation_auc: None,
            test_auc: None,
            epochs: 0,
            stand_in: false,
            seconds: None,
        }
    }
}

/// Where one model of a study is trained, and how.
pub(crate) struct Training<'a> {
    pub(crate) model: &'static str,
    pub(crate) set: &'static Set,
    pub(crate) meta: &'a Meta,
    pub(crate) data: &'a Path,
    pub(crate) out: &'a Path,
    pub(crate) rows: Option<u64>,
    pub(crate) epochs: u64,
    pub(crate) init: Init,
    pub(crate) seed: u64,
}

impl Training<'_> {
    /// The trained model, trained where its file is not there yet; `None` where the audience ended it.
    pub(crate) fn trained(
        &self,
        study: &Study<'_>,
        audience: &dyn Audience,
    ) -> Result<Option<Trained>, StudyError> {
        let at = |source| StudyError::File { path: self.out.to_path_buf(), source };
        let mut seconds = None;
        if !self.out.exists() {
            audience.stage(&format!("training {} on {}", self.model, self.set.name));
            let data = DataSet::open(self.data)
                .map_err(|source| StudyError::Data { path: self.data.into(), source })?;
            let config = Config::new(self.model, data.meta().field_dims.clone());
            let mut model = Model::new(&config, self.init, self.seed)?;
            let options = TrainOptions {
                epochs: self.epochs,
                rows: self.rows,
                seed: self.seed,
                ..TrainOptions::default()
            };
            let mut told = |progress| {
                if let Progress::Step { step, steps, .. } = progress {
                    audience.step(step, steps);
                }
                if audience.stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let checkpoint = checkpoint(self.out);
            let auc = &radhard_metrics::auc::auc;
            let report = train_with_checkpoint(&mut model, &data, &options, &checkpoint, auc, &mut told)
                .map_err(|source| StudyError::Train { model: self.model, set: self.set.name, source })?;
            study.spent(&format!("training {} on {}", self.model, self.set.name), report.seconds)?;
            if report.interrupted {
                return Ok(None);
            }
            model.save(self.out).map_err(at)?;
            match std::fs::remove_file(&checkpoint) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(error)),
                _ => {}
            }
            seconds = Some(report.seconds);
        }
        let model = opened(self.out)?;
        let training = model.training.as_ref();
        let dense = model.parameters().iter().filter(|tensor| tensor.component() == Component::Dense);
        let fields = &model.config().field_dims;
        let in_training = self.meta.split.as_ref().map_or(self.meta.rows, |split| split.counts[0]);
        let trained = Trained {
            model: self.model,
            set: self.set.name,
            path: self.out.to_path_buf(),
            parameters: model.parameters().trained() as u64,
            dense: dense.map(|tensor| tensor.elements() as u64).sum(),
            read_share: fields.len() as f64 / fields.iter().map(|rows| f64::from(*rows)).sum::<f64>(),
            rows: self.rows.map_or(in_training, |rows| rows.min(in_training)),
            epochs_at_most: self.epochs,
            partial: self.set.partial(self.meta),
            validation_auc: training.and_then(|training| training.validation_auc),
            test_auc: training.and_then(|training| training.test_auc),
            epochs: training.map_or(0, |training| training.epochs),
            stand_in: model.data.as_ref().is_some_and(|data| data.stand_in),
            seconds,
        };
        if let (Some(seconds), Some(auc)) = (seconds, trained.test_auc) {
            audience.done(&format!(
                "model: {} on {}, test AUC {auc:.4}, {seconds:.0} s",
                self.model, self.set.name
            ));
        }
        Ok(Some(trained))
    }
}

fn checkpoint(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".checkpoint");
    name.into()
}
