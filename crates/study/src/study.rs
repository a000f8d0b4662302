//! A study: its directory, its stages, and what can go wrong in them.

use std::io::Write;
use std::path::{Path, PathBuf};

use radhard_campaign::{CheckedPlan, How, PlanError, RunError, RunReport};
use radhard_data::synth::{DummyOptions, dummy};
use radhard_data::{Meta, Progress, Split};
use radhard_memory::write_atomically;
use radhard_models::{Config, Init, Model};
use radhard_records::{RecordsError, Store};

use crate::audience::Audience;
use crate::campaigns::Campaign;
use crate::dummy::{DENSE_DIM, DummyShape, SPARSE_DIM};
use crate::scale::Scale;
use crate::sets::SETS;
use crate::training::{MODELS, Trained, Training};

/// Seed of splits, stand-ins, trainings and chips.
const SEED: u64 = 1;

/// A study in a directory: what is there is not made again.
#[derive(Debug)]
pub struct Study<'a> {
    /// Where real files may lie.
    pub real: &'a Path,
    /// Where everything goes.
    pub out: &'a Path,
    /// How large it is.
    pub scale: Scale,
}

/// Why a study could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A data set could not be prepared.
    #[error("{set}: {source}")]
    Prepare {
        /// The data set.
        set: &'static str,
        /// What is wrong.
        source: radhard_data::prepare::PrepareError,
    },
    /// A stand-in has no shape.
    #[error(transparent)]
    Shape(#[from] radhard_data::UnknownWord),
    /// A prepared file could not be used.
    #[error("{}: {source}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: radhard_data::OpenError,
    },
    /// A model cannot have this shape.
    #[error(transparent)]
    Config(#[from] radhard_models::ConfigError),
    /// A model file could not be used.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: radhard_models::OpenError,
    },
    /// A model could not be trained.
    #[error("{model} on {set}: {source}")]
    Train {
        /// The model.
        model: &'static str,
        /// The data set.
        set: &'static str,
        /// What is wrong.
        source: radhard_models::TrainError,
    },
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A campaign's plan breaks a rule.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A campaign could not run.
    #[error("{campaign}: {source}")]
    Run {
        /// The campaign.
        campaign: &'static str,
        /// What is wrong.
        source: Box<RunError>,
    },
    /// Claims could not be written as JSON.
    #[error(transparent)]
    Json(serde_json::Error),
    /// A figure could not be drawn.
    #[error("figure {name}: {reason}")]
    Figure {
        /// The figure.
        name: String,
        /// What the rasteriser said.
        reason: String,
    },
    /// Records could not be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl Study<'_> {
    /// The three data sets, prepared; `None` where the audience ended it.
    pub fn sets(&self, audience: &dyn Audience) -> Result<Option<Vec<Meta>>, StudyError> {
        self.directory("data")?;
        let mut metas = Vec::new();
        for (set, rows) in SETS.iter().zip(self.scale.rows) {
            if audience.stop() {
                return Ok(None);
            }
            metas.push(set.prepared(self.real, &self.data(set.name), rows, SEED, audience)?);
        }
        Ok(Some(metas))
    }

    /// The five models on each data set, trained; `None` where the audience ended it.
    pub fn models(&self, audience: &dyn Audience) -> Result<Option<Vec<Trained>>, StudyError> {
        if self.sets(audience)?.is_none() {
            return Ok(None);
        }
        self.directory("models")?;
        let mut trained = Vec::new();
        for (place, set) in SETS.iter().enumerate() {
            for model in MODELS {
                let training = Training {
                    model,
                    set: set.name,
                    data: &self.data(set.name),
                    out: &self.model(&format!("{model}-{}", set.name)),
                    rows: self.scale.train_rows[place],
                    epochs: self.scale.epochs[place],
                    init: self.scale.init,
                    seed: SEED,
                };
                let Some(model) = training.trained(audience)? else { return Ok(None) };
                trained.push(model);
            }
        }
        Ok(Some(trained))
    }

    /// The dummy models and their data; `None` where the audience ended it.
    pub fn dummies(&self, audience: &dyn Audience) -> Result<Option<Vec<DummyShape>>, StudyError> {
        self.directory("data")?;
        self.directory("models")?;
        let shapes = DummyShape::grid(self.scale.dummy_widths);
        for shape in &shapes {
            if audience.stop() {
                return Ok(None);
            }
            let data = self.data(&shape.data());
            if !data.exists() {
                audience.stage(&format!("drawing {}", shape.data()));
                let options = DummyOptions {
                    rows: self.scale.dummy_rows,
                    seed: SEED,
                    sparsity: shape.sparsity,
                    split: None::<Split>,
                    ..DummyOptions::default()
                };
                dummy(&data, &options, &mut |progress: Progress| {
                    audience.step(progress.done, progress.total);
                })
                .map_err(|source| StudyError::Prepare { set: "dummy", source })?;
            }
            let path = self.model(&shape.name());
            if !path.exists() {
                let config = Config::dummy(shape.depth, shape.hidden, shape.embedding, DENSE_DIM, SPARSE_DIM);
                let model = Model::new(&config, Init::TorchFm, SEED)?;
                model.save(&path).map_err(|source| StudyError::File { path, source })?;
            }
        }
        Ok(Some(shapes))
    }

    /// Runs a campaign, or continues what is there, with the models and data that it needs.
    ///
    /// `None` where the audience ended it.
    pub fn run(&self, campaign: Campaign, audience: &dyn Audience) -> Result<Option<RunReport>, StudyError> {
        let ready = match campaign {
            Campaign::Dummies => self.dummies(audience)?.is_some(),
            _ => self.models(audience)?.is_some(),
        };
        if !ready {
            return Ok(None);
        }
        let path = self.out.join(format!("{}.toml", campaign.name()));
        let text = campaign.plan(&self.scale, SEED);
        let plan = CheckedPlan::parse(&text, &path)?;
        let report =
            radhard_campaign::run(&plan, &self.records(campaign), How::new(plan.plan().evaluation), audience)
                .map_err(|source| StudyError::Run { campaign: campaign.name(), source: Box::new(source) })?;
        write_atomically(&path, |out| out.write_all(text.as_bytes()))
            .map_err(|source| StudyError::File { path, source })?;
        if report.interrupted {
            return Ok(None);
        }
        if report.evaluated + report.known > 0 {
            audience.done(&format!(
                "{}: {} trials, {} evaluated now, {} known without a run, {:.0} s",
                campaign.name(),
                report.trials,
                report.evaluated,
                report.known,
                report.seconds
            ));
        }
        Ok(Some(report))
    }

    /// The records of a campaign, where it has run.
    pub fn recorded(&self, campaign: Campaign) -> Result<Option<Store>, StudyError> {
        let dir = self.records(campaign);
        if !dir.is_dir() {
            return Ok(None);
        }
        Ok(Some(Store::open(&dir)?))
    }

    /// The directory of a campaign's records.
    pub fn records(&self, campaign: Campaign) -> PathBuf {
        self.out.join(campaign.name())
    }

    fn data(&self, name: &str) -> PathBuf {
        self.out.join("data").join(format!("{name}.data"))
    }

    fn model(&self, name: &str) -> PathBuf {
        self.out.join("models").join(format!("{name}.safetensors"))
    }

    fn directory(&self, name: &str) -> Result<(), StudyError> {
        let path = self.out.join(name);
        std::fs::create_dir_all(&path).map_err(|source| StudyError::File { path, source })
    }
}
