//! Model files: safetensors with state-dict names, and what the tensors are in the metadata.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use radhard_memory::{MapError, Mapped, write_atomically};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{Config, ConfigError};
use crate::model::{Init, Model};
use crate::parameter::{NumberFormat, Tensor};
use crate::training::TrainOptions;

/// The version of the model file.
pub const FORMAT_VERSION: u32 = 1;

/// The metadata key of a model.
const KEY: &str = "radhard.model";

/// How a model was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingMeta {
    /// What was asked for.
    pub options: TrainOptions,
    /// How the parameters started.
    pub init: Option<Init>,
    /// Epochs run.
    pub epochs: u64,
    /// The epoch whose weights were kept, counted from 1.
    pub best_epoch: u64,
    /// AUC of the kept weights on the validation rows.
    pub validation_auc: Option<f64>,
    /// AUC of the kept weights on the test rows.
    pub test_auc: Option<f64>,
}

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataMeta {
    /// The data set's name.
    pub name: String,
    /// The data set's fingerprint.
    pub fingerprint: String,
    /// The seed of its split.
    pub split_seed: Option<u64>,
    /// The share of positives in the train split.
    pub train_positive_rate: f64,
    /// Whether it is a stand-in.
    pub stand_in: bool,
}

/// The metadata of a model file.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    config: Config,
    #[serde(default)]
    training: Option<TrainingMeta>,
    #[serde(default)]
    data: Option<DataMeta>,
    /// Of the tensors' bytes, as [`Model::sha256`] gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// Suffix of the side file that says which bits of a model were flipped in place.
const FAULT_FILE: &str = ".radhard-fault";

/// How metadata keys begin that say which bits of a copy were flipped.
const FAULT_KEY: &str = "radhard.fault.";

/// Whether a model's tensors are those that its file was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Nobody can say: the file has no checksum, as weights of other programs and of earlier versions have none.
    Unknown,
    /// The file says that bits in it were flipped on purpose.
    Marked,
    /// They are.
    Intact,
    /// They are not.
    Damaged {
        /// The checksum in the file.
        stored: String,
        /// That of its tensors.
        found: String,
    },
}

/// The integrity of a file's tensors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    sha256: Option<String>,
    marked: bool,
}

/// Tensors that do not make the model asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateDictError {
    /// No model has this configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Names, shapes or formats differ.
    #[error("tensors do not fit {model}:\n{}", differences.join("\n"))]
    Mismatch {
        /// The architecture.
        model: String,
        /// One line per difference.
        differences: Vec<String>,
    },
}

/// A file that is no model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The bytes are no safetensors file.
    #[error("not a safetensors file: {0}")]
    Safetensors(String),
    /// A safetensors file without a model's metadata.
    #[error("metadata key {KEY:?} is missing: not a model of radhard; import it with its architecture")]
    NoModel,
    /// Metadata that cannot be read.
    #[error("metadata key {KEY:?} cannot be read: {0}")]
    Metadata(String),
    /// Another version of the format.
    #[error("model format version {found}, this radhard reads version {FORMAT_VERSION}")]
    Version {
        /// The version of the file.
        found: u64,
    },
    /// Tensors that do not make the model.
    #[error(transparent)]
    StateDict(#[from] StateDictError),
    /// The error with the file's name.
    #[error("{}: {source}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<OpenError>,
    },
}

/// A tensor given by its parts, to be checked against an architecture.
#[derive(Debug, Clone, Copy)]
pub struct NamedTensor<'a> {
    /// The name in the state dict.
    pub name: &'a str,
    /// The extent of each dimension.
    pub shape: &'a [usize],
    /// The stored format; `None` for one that no parameter has.
    pub format: Option<NumberFormat>,
    /// Little endian, row major.
    pub bytes: &'a [u8],
}

fn describe(name: &str, format: &str, shape: &[usize]) -> String {
    format!("{name} {format} {shape:?}")
}

fn unreadable(error: &safetensors::SafeTensorError) -> OpenError {
    OpenError::Safetensors(error.to_string())
}

/// What the metadata of a model file says.
fn header(bytes: &[u8]) -> Result<(Header, Written), OpenError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| unreadable(&e))?;
    let keys = metadata.metadata().as_ref().ok_or(OpenError::NoModel)?;
    let text = keys.get(KEY).ok_or(OpenError::NoModel)?;
    let marked = keys.keys().any(|key| key.starts_with(FAULT_KEY));
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|e| OpenError::Metadata(e.to_string()))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(v) if v == u64::from(FORMAT_VERSION) => {}
        Some(found) => return Err(OpenError::Version { found }),
        None => return Err(OpenError::Metadata("\"format\" is missing".to_owned())),
    }
    let header: Header = serde_json::from_value(value).map_err(|e| OpenError::Metadata(e.to_string()))?;
    let written = Written { sha256: header.sha256.clone(), marked };
    Ok((header, written))
}

impl Config {
    /// The configuration in the metadata of a model file, its tensors unread; `None` for any other safetensors file.
    pub fn of_file(bytes: &[u8]) -> Option<Self> {
        header(bytes).ok().map(|(header, _)| header.config)
    }
}

impl Model {
    /// A model from the tensors of a state dict.
    ///
    /// # Errors
    /// If a name is missing or unknown, or a shape or format differs: both sides are listed.
    pub fn from_state_dict(config: &Config, tensors: &[NamedTensor<'_>]) -> Result<Self, StateDictError> {
        let mut differences = Vec::new();
        let graph = crate::graph::Graph::of(config)?;
        for spec in graph.specs() {
            let wanted = describe(&spec.name, spec.format.as_str(), &spec.shape);
            match tensors.iter().find(|t| t.name == spec.name) {
                None => differences.push(format!("  model has {wanted}, the file does not")),
                Some(t)
                    if t.shape != spec.shape
                        || t.format != Some(spec.format)
                        || t.bytes.len() != spec.bytes() =>
                {
                    let found =
                        describe(t.name, t.format.map_or("another format", NumberFormat::as_str), t.shape);
                    differences.push(format!("  model has {wanted}, the file {found}"));
                }
                Some(_) => {}
            }
        }
        for t in tensors {
            if !graph.specs().iter().any(|spec| spec.name == t.name) {
                let found =
                    describe(t.name, t.format.map_or("another format", NumberFormat::as_str), t.shape);
                differences.push(format!("  the file has {found}, the model does not"));
            }
        }
        if !differences.is_empty() {
            return Err(StateDictError::Mismatch { model: config.name.clone(), differences });
        }
        let mut model = Self::zeroed(config)?;
        for tensor in model.parameters_mut() {
            if let Some(given) = tensors.iter().find(|t| t.name == tensor.name()) {
                tensor.bytes_mut().copy_from_slice(given.bytes);
            }
        }
        Ok(model)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// If the file cannot be read, is no model, or its tensors do not fit its architecture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let at = |source: OpenError| OpenError::At { path: path.to_owned(), source: Box::new(source) };
        let mapped = Mapped::open(path)?;
        let mut model = Self::from_bytes(&mapped).map_err(at)?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(FAULT_FILE);
        model.written.marked |= Path::new(&beside).exists();
        Ok(model)
    }

    /// Whether the tensors, as they are now, are those that the model's file was written with.
    ///
    /// Costs a SHA-256 of them where the file has a checksum and does not say that bits were flipped on purpose.
    pub fn integrity(&self) -> Integrity {
        match &self.written {
            Written { marked: true, .. } => Integrity::Marked,
            Written { sha256: None, .. } => Integrity::Unknown,
            Written { sha256: Some(stored), .. } => {
                let found = self.sha256();
                if found.eq_ignore_ascii_case(stored) {
                    Integrity::Intact
                } else {
                    Integrity::Damaged { stored: stored.clone(), found }
                }
            }
        }
    }

    /// A model from the bytes of a model file.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| unreadable(&e))?;
        let (header, written) = header(bytes)?;
        let views = tensors.tensors();
        let named: Vec<_> = views
            .iter()
            .map(|(name, view)| NamedTensor {
                name,
                shape: view.shape(),
                format: format_of(view.dtype()),
                bytes: view.data(),
            })
            .collect();
        let mut model = Self::from_state_dict(&header.config, &named)?;
        model.training = header.training;
        model.data = header.data;
        model.written = written;
        Ok(model)
    }

    /// Writes a model file; the same model gives the same bytes.
    ///
    /// # Errors
    /// If the file cannot be written; whatever was there stays.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let header = Header {
            format: FORMAT_VERSION,
            config: self.config().clone(),
            training: self.training.clone(),
            data: self.data.clone(),
            sha256: Some(self.sha256()),
        };
        let text = serde_json::to_string(&header).map_err(io::Error::other)?;
        // The file is put together in memory.
        let bytes = self.parameters().iter().map(|tensor| tensor.bytes().len() as u64).sum();
        radhard_memory::need(bytes).map_err(io::Error::other)?;
        let views: Vec<_> = self.parameters().iter().map(|t| (t.name(), Stored(t))).collect();
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)?;
        write_atomically(path, |file| file.write_all(&bytes))
    }
}

/// The format of a safetensors type; `None` for one that no parameter has.
fn format_of(dtype: Dtype) -> Option<NumberFormat> {
    Some(match dtype {
        Dtype::F32 => NumberFormat::F32,
        Dtype::F16 => NumberFormat::F16,
        Dtype::BF16 => NumberFormat::Bf16,
        Dtype::I64 => NumberFormat::I64,
        Dtype::U8 => NumberFormat::U8,
        _ => return None,
    })
}

/// The safetensors type of a format.
pub(crate) fn dtype_of(format: NumberFormat) -> Dtype {
    match format {
        NumberFormat::F32 => Dtype::F32,
        NumberFormat::F16 => Dtype::F16,
        NumberFormat::Bf16 => Dtype::BF16,
        NumberFormat::I64 => Dtype::I64,
        NumberFormat::U8 => Dtype::U8,
    }
}

struct Stored<'a>(&'a Tensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        dtype_of(self.0.format())
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0.bytes().into()
    }

    fn data_len(&self) -> usize {
        self.0.bytes().len()
    }
}
