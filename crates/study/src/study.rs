//! A study: its directory, its stages, and what can go wrong in them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::path::{Path, PathBuf};

use radhard_campaign::{CheckedPlan, How, PlanError, RunError, RunReport};
use radhard_data::synth::{DummyOptions, dummy};
use radhard_data::{DataSet, Meta, Progress, Split};
use radhard_memory::write_atomically;
use radhard_models::{Config, Init, Model};
use radhard_records::{RecordsError, Store};

use crate::audience::Audience;
use crate::campaigns::{Campaign, Needs};
use crate::dummy::{DENSE_DIM, DummyShape, SPARSE_DIM};
use crate::scale::Scale;
use crate::sets::SETS;
use crate::training::{MODELS, Trained, Training};

/// Seed of splits, stand-ins, trainings and chips.
pub(crate) const SEED: u64 = 1;

/// Name of the file that says at which scale a directory holds a study.
pub const SCALE_FILE: &str = "scale.txt";

/// Names of the directories that a study fills: prepared data, models, and what is made of them.
pub const DIRECTORIES: [&str; 3] = ["data", "models", "paper"];

/// A study in a directory: what is there is not made again.
#[derive(Debug)]
pub struct Study<'a> {
    /// Where real files may lie; `None` draws stand-ins.
    pub real: Option<&'a Path>,
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
        campaign: String,
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
    /// Errors could not be brought into a model outside of a campaign.
    #[error("{model}: {reason}")]
    Struck {
        /// The model.
        model: String,
        /// What was refused.
        reason: String,
    },
    /// The directory holds a study of another size.
    #[error("{}: holds a {found} study, and this one is {asked}: give it a directory of its own", dir.display())]
    OtherScale {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        found: String,
        /// What is asked for.
        asked: String,
    },
}

impl Study<'_> {
    /// Makes the directory, or checks that what it holds was made at this scale.
    ///
    /// # Errors
    /// If it holds a study of another scale: its data and models would be taken for those of this one.
    pub fn begin(&self) -> Result<(), StudyError> {
        std::fs::create_dir_all(self.out)
            .map_err(|source| StudyError::File { path: self.out.to_path_buf(), source })?;
        let path = self.out.join(SCALE_FILE);
        let asked = self.scale.in_words();
        match radhard_memory::read_text(&path, 1 << 16) {
            Ok(found) if found.trim() == asked => Ok(()),
            Ok(found) => Err(StudyError::OtherScale {
                dir: self.out.to_path_buf(),
                found: found.trim().to_owned(),
                asked,
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write(&path, format!("{asked}\n").as_bytes())
            }
            Err(source) => Err(StudyError::File { path, source }),
        }
    }

    /// The data sets that are studied, prepared; `None` where the audience ended it.
    pub fn sets(&self, audience: &dyn Audience) -> Result<Option<Vec<Meta>>, StudyError> {
        self.sets_at(&self.chosen(), audience)
    }

    fn chosen(&self) -> Vec<usize> {
        self.scale.chosen().collect()
    }

    fn sets_at(&self, sets: &[usize], audience: &dyn Audience) -> Result<Option<Vec<Meta>>, StudyError> {
        self.directory(DIRECTORIES[0])?;
        let mut metas = Vec::new();
        for &place in sets {
            if audience.stop() {
                return Ok(None);
            }
            let (set, rows) = (&SETS[place], self.scale.rows[place]);
            metas.push(set.prepared(self.real, &self.data(set.name), rows, SEED, audience)?);
        }
        Ok(Some(metas))
    }

    /// The five models on each of them, trained; `None` where the audience ended it.
    pub fn models(&self, audience: &dyn Audience) -> Result<Option<Vec<Trained>>, StudyError> {
        self.models_on(&self.chosen(), audience)
    }

    /// The five models on some of [`SETS`].
    pub(crate) fn models_on(
        &self,
        sets: &[usize],
        audience: &dyn Audience,
    ) -> Result<Option<Vec<Trained>>, StudyError> {
        let Some(metas) = self.sets_at(sets, audience)? else { return Ok(None) };
        self.directory(DIRECTORIES[1])?;
        let mut trained = Vec::new();
        for (&place, meta) in sets.iter().zip(&metas) {
            let set = &SETS[place];
            for model in MODELS {
                let training = Training {
                    model,
                    set,
                    meta,
                    data: &self.data(set.name),
                    out: &self.model(&format!("{model}-{}", set.name)),
                    rows: self.scale.train_rows[place],
                    epochs: self.scale.epochs[place],
                    init: self.scale.init,
                    seed: SEED,
                };
                let Some(model) = training.trained(self, audience)? else { return Ok(None) };
                trained.push(model);
            }
        }
        Ok(Some(trained))
    }

    /// The dummy models and their data; `None` where the audience ended it.
    pub fn dummies(&self, audience: &dyn Audience) -> Result<Option<Vec<DummyShape>>, StudyError> {
        let shapes = DummyShape::grid(self.scale.dummy_widths);
        for shape in &shapes {
            if audience.stop() {
                return Ok(None);
            }
            let config = Config::dummy(shape.depth, shape.hidden, shape.embedding, DENSE_DIM, SPARSE_DIM);
            let options = DummyOptions { sparsity: shape.sparsity, ..self.dummy_options() };
            self.dummy_data(&shape.data(), &options, audience)?;
            self.untrained(&shape.name(), &config)?;
        }
        Ok(Some(shapes))
    }

    /// What dummy data are drawn with, but for their shape.
    pub(crate) fn dummy_options(&self) -> DummyOptions {
        DummyOptions {
            rows: self.scale.dummy_rows,
            seed: SEED,
            split: None::<Split>,
            ..DummyOptions::default()
        }
    }

    /// Dummy data of this name, drawn where they are not there yet.
    pub(crate) fn dummy_data(
        &self,
        name: &str,
        options: &DummyOptions,
        audience: &dyn Audience,
    ) -> Result<PathBuf, StudyError> {
        self.directory(DIRECTORIES[0])?;
        let data = self.data(name);
        if !data.exists() {
            audience.stage(&format!("drawing {name}"));
            dummy(&data, options, &mut |progress: Progress| audience.step(progress.done, progress.total))
                .map_err(|source| StudyError::Prepare { set: "dummy", source })?;
        }
        Ok(data)
    }

    /// An untrained model of this name, made where it is not there yet.
    pub(crate) fn untrained(&self, name: &str, config: &Config) -> Result<(), StudyError> {
        self.directory(DIRECTORIES[1])?;
        let path = self.model(name);
        if !path.exists() {
            let model = Model::new(config, Init::TorchFm, SEED)?;
            model.save(&path).map_err(|source| StudyError::File { path, source })?;
        }
        Ok(())
    }

    /// Runs a campaign, or continues what is there, with the models and data that it needs.
    ///
    /// `None` where the audience ended it.
    pub fn run(&self, campaign: &Campaign, audience: &dyn Audience) -> Result<Option<RunReport>, StudyError> {
        if !self.prepare(campaign.needs, audience)? {
            return Ok(None);
        }
        let path = self.out.join(format!("{}.toml", campaign.name));
        let text = campaign.plan();
        let plan = CheckedPlan::parse(&text, &path)?;
        if self.has_run(campaign, &plan)? {
            return Ok(Some(RunReport { trials: campaign.trials(), ..RunReport::default() }));
        }
        let dir = self.records(campaign);
        let failed = |source| StudyError::Run { campaign: campaign.name.clone(), source: Box::new(source) };
        let report =
            radhard_campaign::run(&plan, &dir, How::new(plan.plan().evaluation), audience).map_err(failed)?;
        write(&path, text.as_bytes())?;
        self.spent(&format!("campaign {}", campaign.name), report.seconds)?;
        if report.interrupted {
            return Ok(None);
        }
        if report.evaluated + report.known > 0 {
            audience.done(&format!(
                "{}: {} trials, {} evaluated now, {} known without a run, {:.0} s",
                campaign.name, report.trials, report.evaluated, report.known, report.seconds
            ));
        }
        Ok(Some(report))
    }

    /// Whether a campaign has all its trials, of the models and data that are there.
    fn has_run(&self, campaign: &Campaign, plan: &CheckedPlan) -> Result<bool, StudyError> {
        let Some(store) = self.recorded(campaign)? else { return Ok(false) };
        if store.trial_count()? != campaign.trials() {
            return Ok(false);
        }
        let mut metas: BTreeMap<PathBuf, Meta> = BTreeMap::new();
        for paths in &plan.plan().subjects {
            let (model, data) = (plan.resolve(&paths.model), plan.resolve(&paths.data));
            let of_model = opened(&model)?;
            let of_data = match metas.entry(data.clone()) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(missing) => {
                    let opened = DataSet::open(&data);
                    let opened = opened.map_err(|source| StudyError::Data { path: data, source })?;
                    missing.insert(opened.meta().clone())
                }
            };
            let name = paths.name.as_deref().unwrap_or_default();
            let same = store.goldens().any(|golden| {
                (golden.subject.model.as_str(), golden.subject.data.as_str()) == (name, of_data.name.as_str())
                    && golden.model_fingerprint == of_model.fingerprint()
                    && golden.data_fingerprint == of_data.fingerprint
            });
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes what a campaign needs; whether it is there.
    fn prepare(&self, needs: Needs, audience: &dyn Audience) -> Result<bool, StudyError> {
        Ok(match needs {
            Needs::Models => self.models(audience)?.is_some(),
            Needs::ModelsOn(set) => self.models_on(&[set], audience)?.is_some(),
            Needs::Dummies => self.dummies(audience)?.is_some(),
            Needs::Inputs => self.inputs(audience)?.is_some(),
            Needs::BagValues => self.bag_values(audience)?.is_some(),
            Needs::RedrawnSplit => {
                self.models_on(&[0], audience)?.is_some() && self.redrawn_split(audience)?.is_some()
            }
        })
    }

    /// The records of a campaign, where it has begun.
    pub fn recorded(&self, campaign: &Campaign) -> Result<Option<Store>, StudyError> {
        let dir = self.records(campaign);
        if !dir.is_dir() {
            return Ok(None);
        }
        Ok(Some(Store::open(&dir)?))
    }

    /// The directory of a campaign's records.
    pub fn records(&self, campaign: &Campaign) -> PathBuf {
        self.out.join(&campaign.name)
    }

    /// Where a prepared data set lies.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.out.join(DIRECTORIES[0]).join(format!("{name}.data"))
    }

    /// Where a model lies.
    pub(crate) fn model(&self, name: &str) -> PathBuf {
        self.out.join(DIRECTORIES[1]).join(format!("{name}.safetensors"))
    }

    pub(crate) fn directory(&self, name: &str) -> Result<(), StudyError> {
        let path = self.out.join(name);
        std::fs::create_dir_all(&path).map_err(|source| StudyError::File { path, source })
    }
}

/// Opens a model file.
pub(crate) fn opened(path: &Path) -> Result<Model, StudyError> {
    Model::open(path).map_err(|source| StudyError::Model { path: path.to_path_buf(), source })
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StudyError> {
    write_atomically(path, |out| out.write_all(bytes))
        .map_err(|source| StudyError::File { path: path.to_path_buf(), source })
}
