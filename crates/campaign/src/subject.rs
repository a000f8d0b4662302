//! A subject: one model, the rows it is scored on, and its golden run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use radhard_data::{DataSet, Meta, Part, Rows};
use radhard_engine::{Engine, Readers};
use radhard_metrics::{Golden, NonFinite, Observed, Reference, ScoreOptions, TrialScores, UserRows, delong};
use radhard_models::training::field_baseline_auc;
use radhard_models::{HookEvents, Hooks, Integrity, Model, Scores};
use radhard_records::SubjectKey;

use crate::files::{Mark, MarkError};
use crate::lend::LentModel;

/// Why a subject can't be measured.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The model file could not be used.
    #[error("{}: {source}", path.display())]
    Model {
        /// The model's path.
        path: PathBuf,
        /// What is wrong with it.
        source: radhard_models::OpenError,
    },
    /// The data file could not be used.
    #[error("{}: {source}", path.display())]
    Data {
        /// The data's path.
        path: PathBuf,
        /// What is wrong with it.
        source: radhard_data::OpenError,
    },
    /// The provenance of faults in the model can't be read.
    #[error("{}: {source}", path.display())]
    Mark {
        /// The model's path.
        path: PathBuf,
        /// The reason.
        source: MarkError,
    },
    /// Model and data disagree about fields.
    #[error("{} has field dims {model_dims:?} and {model_numeric} numeric inputs, {} has {data_dims:?} and {data_numeric}",
        model.display(), data.display())]
    Dims {
        /// The model's path.
        model: PathBuf,
        /// Its table rows per field.
        model_dims: Vec<u32>,
        /// Its numeric inputs.
        model_numeric: usize,
        /// The data's path.
        data: PathBuf,
        /// Its table rows per field.
        data_dims: Vec<u32>,
        /// Its numeric columns.
        data_numeric: usize,
    },
    /// The data file's rows could not be read.
    #[error("{}: the rows cannot be read: {source}", path.display())]
    Rows {
        /// The data's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The tensors are not those that the model's file was written with.
    #[error("{}: its tensors have the SHA-256 {found}, radhard wrote {stored}: the file was changed since; \
        restore it, or import it if the change was meant", path.display())]
    Damaged {
        /// The model's path.
        path: PathBuf,
        /// The checksum in the file.
        stored: String,
        /// That of its tensors.
        found: String,
    },
    /// The part of the data that is asked for has no rows.
    #[error("{}: the {part} part has no rows", data.display())]
    NoRows {
        /// The data's path.
        data: PathBuf,
        /// The part.
        part: Part,
    },
}

/// The fault-free run, against which every trial is measured.
#[derive(Debug, Clone)]
pub struct GoldenRun {
    /// Logits and probabilities in the order of the rows.
    pub scores: Scores,
    /// Its metrics, taken against itself: what every chip without flips scores.
    pub metrics: TrialScores,
    /// Its AUC; none where scores are raw outputs, which have no labels.
    pub auc: Option<f64>,
    /// 95 % interval of the AUC that the choice of rows gives it; none below two rows of a class, and for raw outputs.
    pub auc_ci: Option<[f64; 2]>,
    /// What hooks noticed on clean words.
    pub noticed: HookEvents,
    /// Time it took.
    pub seconds: f64,
}

impl GoldenRun {
    /// What other runs are held against.
    pub fn against(&self) -> Golden<'_> {
        Golden { probabilities: &self.scores.probabilities, auc: self.auc }
    }

    /// What trials start from, held against the unprotected golden run.
    pub fn reference<'a>(&'a self, unprotected: &'a Self, scoring: Scoring<'a>) -> Reference<'a> {
        let observed = Observed {
            probabilities: &self.scores.probabilities,
            logits: Some(&self.scores.logits),
            labels: scoring.rows.labels(),
        };
        Reference::new(observed, unprotected.against(), scoring.options)
    }
}

/// Why the fault-free run can't serve as a golden run.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The pass itself failed.
    #[error("golden run of {model} on {data}: {source}")]
    Pass {
        /// The model's name.
        model: String,
        /// The data's name.
        data: String,
        /// What is wrong.
        source: radhard_models::ScoresError,
    },
    /// Outputs that are not finite without any fault.
    #[error("golden run of {model} on {data}: {count} of {rows} scores are not finite without any fault")]
    NonFinite {
        /// The model's name.
        model: String,
        /// The data's name.
        data: String,
        /// Non-finite scores.
        count: u64,
        /// Rows scored.
        rows: usize,
    },
    /// AUC is undefined because a class is missing.
    #[error(
        "golden run of {model} on {data}: AUC is undefined, the {rows} rows have {positives} positive labels"
    )]
    OneClass {
        /// The model's name.
        model: String,
        /// The data's name.
        data: String,
        /// Rows scored.
        rows: usize,
        /// Positive labels among them.
        positives: usize,
    },
}

/// The rows that are scored, and how scores become metrics.
#[derive(Debug, Clone, Copy)]
pub struct Scoring<'a> {
    /// The rows.
    pub rows: &'a Rows<'static>,
    /// The choices that metrics depend on.
    pub options: ScoreOptions<'a>,
}

impl<'a> Scoring<'a> {
    fn new(
        rows: &'a Rows<'static>,
        data: &Meta,
        probabilities: bool,
        non_finite: NonFinite,
        users: Option<&'a UserRows>,
    ) -> Self {
        let options =
            ScoreOptions { non_finite, users, probabilities, ..ScoreOptions::new(data.train_positive_rate) };
        Self { rows, options }
    }
}

/// What a model is evaluated on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// What records call the model and the data.
    pub names: (&'a str, &'a str),
    /// What is scored and how.
    pub scoring: Scoring<'a>,
    readers: &'a OnceLock<Arc<Readers>>,
}

impl Ground<'_> {
    /// What evaluates chips of a model on these rows quickly, with so many bytes of golden values at most.
    pub fn engine(&self, lent: &LentModel, kept_bytes: u64) -> Result<Engine, GoldenError> {
        let rows = self.scoring.rows.view();
        let readers = self.readers.get_or_init(|| Arc::new(Readers::of(lent.model().config(), &rows)));
        let engine = Engine::with(Arc::clone(readers), lent, &rows, kept_bytes, &mut Scores::default());
        let (model, data) = (self.names.0.to_owned(), self.names.1.to_owned());
        engine.map_err(|source| GoldenError::Pass { model, data, source })
    }
}

/// A model with the rows it is scored on.
#[derive(Debug)]
pub struct Subject {
    /// What records call the model.
    pub model_name: String,
    /// What records call the data.
    pub data_name: String,
    /// The model, lent for injection.
    pub lent: LentModel,
    /// The model's fingerprint, over names, shapes, formats and bytes.
    pub model_fingerprint: String,
    /// Whether the model's tensors are those that its file was written with.
    pub integrity: Integrity,
    model_path: PathBuf,
    /// The provenance of faults in the model file; none where it has no mark.
    pub mark: Option<Mark>,
    /// The prepared data file.
    pub data_path: PathBuf,
    /// What the data file says of itself.
    pub data: Meta,
    /// The rows that are scored, in memory that models on the same data share.
    pub rows: Arc<Rows<'static>>,
    part: Part,
    non_finite: NonFinite,
    users: Option<Arc<UserRows>>,
    readers: SharedReaders,
    baseline: SharedBaseline,
}

/// The AUC of the fields' baseline, computed when it is first needed.
type SharedBaseline = Arc<OnceLock<Option<f64>>>;

/// Who reads which table row, found when it is first asked for.
type SharedReaders = Arc<OnceLock<Arc<Readers>>>;

/// Rows of a data set, in memory of their own.
struct Selected {
    meta: Meta,
    rows: Arc<Rows<'static>>,
    users: Option<Arc<UserRows>>,
    readers: SharedReaders,
    baseline: SharedBaseline,
}

impl Selected {
    fn of(path: &Path, part: Part) -> Result<Self, SubjectError> {
        let data =
            DataSet::open(path).map_err(|source| SubjectError::Data { path: path.to_path_buf(), source })?;
        let (meta, rows) = (data.meta().clone(), data.select(part).into_owned());
        let users = |field| UserRows::of(&rows.field(field).collect::<Vec<u32>>());
        let users = meta.user_field.map(|field| Arc::new(users(field)));
        let (readers, baseline) = (SharedReaders::default(), SharedBaseline::default());
        Ok(Self { meta, rows: Arc::new(rows), users, readers, baseline })
    }
}

impl Subject {
    /// Opens model and data, checks that they fit, and selects the rows.
    pub fn open(
        model_path: &Path,
        data_path: &Path,
        name: Option<&str>,
        part: Part,
        non_finite: NonFinite,
    ) -> Result<Self, SubjectError> {
        Self::open_beside(model_path, data_path, name, (part, non_finite), &[])
    }

    /// The same; rows that one of `others` has selected already are shared with it.
    pub fn open_beside(
        model_path: &Path,
        data_path: &Path,
        name: Option<&str>,
        (part, non_finite): (Part, NonFinite),
        others: &[Self],
    ) -> Result<Self, SubjectError> {
        let model = Model::open(model_path)
            .map_err(|source| SubjectError::Model { path: model_path.to_path_buf(), source })?;
        let mark = Mark::of(model_path)
            .map_err(|source| SubjectError::Mark { path: model_path.to_path_buf(), source })?;
        let beside = others.iter().find(|other| other.data_path == data_path && other.part == part);
        let Selected { meta, rows, users, readers, baseline } = match beside {
            Some(other) => Selected {
                meta: other.data.clone(),
                rows: Arc::clone(&other.rows),
                users: other.users.clone(),
                readers: Arc::clone(&other.readers),
                baseline: Arc::clone(&other.baseline),
            },
            None => Selected::of(data_path, part)?,
        };
        let config = model.config();
        let data_dims = match (config.takes_bags(), meta.bag_dim) {
            (true, Some(dim)) => vec![dim],
            _ => meta.field_dims.clone(),
        };
        if config.field_dims != data_dims || config.numeric != meta.numeric_names.len() {
            return Err(SubjectError::Dims {
                model: model_path.to_path_buf(),
                model_dims: config.field_dims.clone(),
                model_numeric: config.numeric,
                data: data_path.to_path_buf(),
                data_dims,
                data_numeric: meta.numeric_names.len(),
            });
        }
        if rows.is_empty() {
            return Err(SubjectError::NoRows { data: data_path.to_path_buf(), part });
        }
        let (model_fingerprint, integrity) = rayon::join(|| model.fingerprint(), || model.integrity());
        Ok(Self {
            model_name: name.map_or_else(|| config.name.clone(), ToOwned::to_owned),
            data_name: meta.name.clone(),
            model_fingerprint,
            integrity,
            model_path: model_path.to_path_buf(),
            lent: LentModel::new(model),
            mark,
            data_path: data_path.to_path_buf(),
            data: meta,
            rows,
            part,
            non_finite,
            users,
            readers,
            baseline,
        })
    }

    /// Refuses a model whose tensors are not those that its file was written with.
    ///
    /// # Errors
    /// If they are not, and the file does not say that bits were flipped on purpose.
    pub fn refuse_damage(&self) -> Result<(), SubjectError> {
        match &self.integrity {
            Integrity::Damaged { stored, found } => Err(SubjectError::Damaged {
                path: self.model_path.clone(),
                stored: stored.clone(),
                found: found.clone(),
            }),
            Integrity::Unknown | Integrity::Marked | Integrity::Intact => Ok(()),
        }
    }

    /// The AUC that one smoothed log-odds per value of each field, fitted on the train rows, reaches on these rows: the bar that a
    /// model worth measuring clears. None without labels or a train split. Subjects on the same rows share it.
    ///
    /// # Errors
    /// If the data file cannot be read.
    pub fn baseline(&self) -> Result<Option<f64>, SubjectError> {
        if !self.options().probabilities {
            return Ok(None);
        }
        if let Some(known) = self.baseline.get() {
            return Ok(*known);
        }
        let path = || self.data_path.clone();
        let data =
            DataSet::open(&self.data_path).map_err(|source| SubjectError::Data { path: path(), source })?;
        let auc = field_baseline_auc(&data, self.part, &radhard_metrics::auc::auc)
            .map_err(|source| SubjectError::Rows { path: path(), source })?;
        Ok(*self.baseline.get_or_init(|| auc))
    }

    /// What records call its golden run under a protection.
    pub fn key(&self, protection: &str) -> SubjectKey {
        SubjectKey {
            model: self.model_name.clone(),
            data: self.data_name.clone(),
            protection: protection.to_owned(),
        }
    }

    /// How scores become metrics.
    pub fn options(&self) -> ScoreOptions<'_> {
        self.scoring().options
    }

    /// What is scored and how.
    pub fn scoring(&self) -> Scoring<'_> {
        let probabilities = self.lent.model().config().answers_probabilities();
        Scoring::new(&self.rows, &self.data, probabilities, self.non_finite, self.users.as_deref())
    }

    /// The model, to be injected, beside what it is evaluated on.
    pub fn split_mut(&mut self) -> (&mut LentModel, Ground<'_>) {
        let probabilities = self.lent.model().config().answers_probabilities();
        let scoring =
            Scoring::new(&self.rows, &self.data, probabilities, self.non_finite, self.users.as_deref());
        let names = (self.model_name.as_str(), self.data_name.as_str());
        (&mut self.lent, Ground { names, scoring, readers: &self.readers })
    }

    /// Clean rows that no test is made on: those of the train part.
    pub fn calibration(&self) -> Result<Rows<'static>, SubjectError> {
        let data = DataSet::open(&self.data_path)
            .map_err(|source| SubjectError::Data { path: self.data_path.clone(), source })?;
        Ok(data.select(Part::Train).into_owned())
    }

    /// The fault-free run of the unprotected model.
    pub fn golden(&self) -> Result<GoldenRun, GoldenError> {
        self.golden_of(self.lent.model(), None, None)
    }

    /// The fault-free run of a model on these rows, with hooks between its layers, held against another one or itself.
    pub fn golden_of(
        &self,
        of: &Model,
        hooks: Option<&dyn Hooks>,
        beside: Option<&GoldenRun>,
    ) -> Result<GoldenRun, GoldenError> {
        let mut scores = Scores::default();
        let (model, data) = (self.model_name.clone(), self.data_name.clone());
        let start = Instant::now();
        let passed = match hooks {
            Some(hooks) => of.scores_hooked(&self.rows.view(), hooks, &mut scores),
            None => of.scores(&self.rows.view(), &mut scores).map(|()| HookEvents::default()),
        };
        let noticed = match passed {
            Ok(noticed) => noticed,
            Err(source) => return Err(GoldenError::Pass { model, data, source }),
        };
        let observed = Observed {
            probabilities: &scores.probabilities,
            logits: Some(&scores.logits),
            labels: self.rows.labels(),
        };
        let options = self.options();
        let auc = TrialScores::of(&observed, None, &options).auc;
        let itself = Golden { probabilities: &scores.probabilities, auc };
        let metrics = match beside {
            Some(run) => TrialScores::of(&observed, Some(&run.against()), &options),
            None => TrialScores::of(&observed, Some(&itself), &options),
        };
        let rows = self.rows.len();
        if metrics.non_finite > 0 {
            return Err(GoldenError::NonFinite { model, data, count: metrics.non_finite, rows });
        }
        if auc.is_none() && options.probabilities {
            let positives = self.rows.labels().iter().filter(|&&l| l != 0).count();
            return Err(GoldenError::OneClass { model, data, rows, positives });
        }
        let seconds = start.elapsed().as_secs_f64();
        let (probabilities, labels) = (&scores.probabilities, self.rows.labels());
        let substitute = options.non_finite.rank_score(options.fallback);
        let interval =
            options.probabilities.then(|| delong(probabilities, labels, substitute, 0.95)).flatten();
        let auc_ci = interval.map(|of| [of.interval.low, of.interval.high]);
        Ok(GoldenRun { scores, metrics, auc, auc_ci, noticed, seconds })
    }
}
