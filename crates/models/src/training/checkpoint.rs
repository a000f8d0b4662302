//! Checkpoints: what a run needs to continue after an epoch, in one safetensors file.
//!
//! The weights of the best epoch are kept here alone, so that memory holds a model and its two moments, no fourth copy.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use radhard_memory::{MapError, Mapped, write_atomically};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::config::Config;
use crate::file::dtype_of;
use crate::model::Model;
use crate::parameter::{Parameters, Tensor};
use crate::training::fit::{Epoch, TrainOptions, is_better};
use crate::training::optimizer::Moments;

/// The version of the checkpoint file that is written; version 1, which has no checksum, is read too.
const FORMAT_VERSION: u32 = 2;

/// The text before the digits of the checksum in the header of a file.
const BEFORE_DIGITS: &str = r#"\"sha256\":\""#;

/// Stands for the digits of the checksum while it is computed.
const NO_DIGITS: [u8; 64] = [b'0'; 64];

/// Bytes of a mapped file that are hashed before they are given back.
const PIECE: usize = 4 << 20;

/// The metadata key of a checkpoint.
const KEY: &str = "radhard.checkpoint";

/// Which run a checkpoint belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Run {
    config: Config,
    options: TrainOptions,
    /// The fingerprint of the data.
    data: String,
    /// The fingerprint of the model before its first step.
    start: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    /// SHA-256 of the file with zeros in place of these digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    run: Run,
    epochs: Vec<Epoch>,
}

/// A checkpoint that cannot be written, or not be continued.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The file cannot be written.
    #[error("checkpoint {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no checkpoint, or not a whole one.
    #[error("checkpoint {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file belongs to another run.
    #[error("checkpoint {} is of another run; remove it to begin anew:\n{}", path.display(), differences.join("\n"))]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// One line per difference.
        differences: Vec<String>,
    },
}

/// The checkpoint file of one run.
pub(super) struct Checkpoint<'a> {
    path: &'a Path,
    run: Run,
}

/// A tensor to be written.
struct Entry<'a> {
    name: String,
    tensor: &'a Tensor,
    content: Content<'a>,
}

/// Where a tensor's bytes come from.
enum Content<'a> {
    Memory(&'a [u8]),
    /// The file that is being replaced, from this byte on; copied by the system, so that memory does not hold it.
    FileFrom(u64),
}

impl<'a> Checkpoint<'a> {
    /// The checkpoint of a run that starts, or started, with this model.
    pub(super) fn new(path: &'a Path, start: &Model, options: &TrainOptions, data: &str) -> Self {
        let (config, options) = (start.config().clone(), options.clone());
        Self { path, run: Run { config, options, data: data.to_owned(), start: start.fingerprint() } }
    }

    /// Takes weights, moments and epochs from the file; `None` where there is none.
    pub(super) fn read(
        &self,
        parameters: &mut Parameters,
        moments: &mut Moments,
    ) -> Result<Option<Vec<Epoch>>, CheckpointError> {
        if !self.path.try_exists().map_err(|source| self.unwritable(source))? {
            return Ok(None);
        }
        let mapped = Mapped::open(self.path)?;
        let (tensors, epochs) = self.contents(&mapped)?;
        let last_is_best = epochs.last().is_some_and(|epoch| epoch.best);
        for (i, tensor) in parameters.iter_mut().enumerate() {
            let name = tensor.name().to_owned();
            if !last_is_best {
                self.bytes(&tensors, &format!("best.{name}"), tensor)?;
            }
            for (kind, moments) in [("first", &mut moments.first[i]), ("second", &mut moments.second[i])] {
                if !moments.is_empty() {
                    let bytes = self.bytes(&tensors, &format!("{kind}.{name}"), tensor)?;
                    bytemuck::cast_slice_mut(moments).copy_from_slice(bytes);
                }
            }
            let bytes = self.bytes(&tensors, &format!("weights.{name}"), tensor)?;
            tensor.bytes_mut().copy_from_slice(bytes);
            // What was copied need not stay in memory a second time.
            mapped.release(0..mapped.len());
        }
        Ok(Some(epochs))
    }

    /// Replaces the file by the state after the last of `epochs`.
    pub(super) fn write(
        &self,
        parameters: &Parameters,
        moments: &Moments,
        epochs: &[Epoch],
    ) -> Result<(), CheckpointError> {
        let last_is_best = epochs.last().is_some_and(|epoch| epoch.best);
        let mapped = if last_is_best { None } else { Some(Mapped::open(self.path)?) };
        let before = mapped
            .as_ref()
            .map(|mapped| self.contents(mapped).map(|(tensors, epochs)| (mapped, tensors, epochs)))
            .transpose()?;
        let mut entries = Vec::new();
        for (i, tensor) in parameters.iter().enumerate() {
            let name = tensor.name();
            let content = Content::Memory(tensor.bytes());
            entries.push(Entry { name: format!("weights.{name}"), tensor, content });
            for (kind, moments) in [("first", &moments.first[i]), ("second", &moments.second[i])] {
                if !moments.is_empty() {
                    let content = Content::Memory(bytemuck::cast_slice(moments));
                    entries.push(Entry { name: format!("{kind}.{name}"), tensor, content });
                }
            }
            if let Some((mapped, tensors, epochs)) = &before {
                let bytes = self.bytes(tensors, &best_name(epochs, name), tensor)?;
                let content = Content::FileFrom((bytes.as_ptr().addr() - mapped.as_ptr().addr()) as u64);
                entries.push(Entry { name: format!("best.{name}"), tensor, content });
            }
        }
        let sha256 = Some(String::from_utf8_lossy(&NO_DIGITS).into_owned());
        let header =
            Header { format: FORMAT_VERSION, sha256, run: self.run.clone(), epochs: epochs.to_vec() };
        let written = write_atomically(self.path, |file| write_entries(file, self.path, &header, &entries));
        written.map_err(|source| self.unwritable(source))
    }

    /// Takes the weights of the best epoch from the file.
    pub(super) fn read_best(&self, parameters: &mut Parameters) -> Result<(), CheckpointError> {
        let mapped = Mapped::open(self.path)?;
        let (tensors, epochs) = self.contents(&mapped)?;
        for tensor in parameters {
            let bytes = self.bytes(&tensors, &best_name(&epochs, tensor.name()), tensor)?;
            tensor.bytes_mut().copy_from_slice(bytes);
            mapped.release(0..mapped.len());
        }
        Ok(())
    }

    /// The tensors and the epochs of a file of this run.
    fn contents<'m>(&self, mapped: &'m Mapped) -> Result<(SafeTensors<'m>, Vec<Epoch>), CheckpointError> {
        let bytes: &[u8] = mapped;
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| self.unreadable(format!("not a safetensors file: {error}")))?;
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| self.unreadable(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let text = text.ok_or_else(|| self.unreadable(format!("metadata key {KEY:?} is missing")))?;
        let bad = |error: serde_json::Error| self.unreadable(format!("metadata key {KEY:?}: {error}"));
        let value: Value = serde_json::from_str(text).map_err(bad)?;
        let found = value.get("format").and_then(Value::as_u64);
        if !matches!(found, Some(1 | 2)) {
            let found = found.map_or_else(|| "none".to_owned(), |v| v.to_string());
            let reason = format!("checkpoint format version {found}, this radhard reads versions 1 and 2");
            return Err(self.unreadable(reason));
        }
        if found == Some(u64::from(FORMAT_VERSION)) && !is_intact(mapped) {
            let reason = "its bytes are not those that were written (SHA-256); remove it to begin anew";
            return Err(self.unreadable(reason.to_owned()));
        }
        let header: Header = serde_json::from_value(value).map_err(bad)?;
        let differences = self.run.differences(&header.run);
        if !differences.is_empty() {
            return Err(CheckpointError::OtherRun { path: self.path.to_owned(), differences });
        }
        if !possible(&header.epochs, &self.run.options) {
            return Err(self.unreadable("its epochs contradict each other".to_owned()));
        }
        Ok((tensors, header.epochs))
    }

    /// The bytes of a tensor that has to be like `like`.
    fn bytes<'m>(
        &self,
        tensors: &SafeTensors<'m>,
        name: &str,
        like: &Tensor,
    ) -> Result<&'m [u8], CheckpointError> {
        let view = tensors.tensor(name).map_err(|_| self.unreadable(format!("tensor {name} is missing")))?;
        let expected = (dtype_of(like.format()), like.shape());
        if (view.dtype(), view.shape()) != expected {
            let found = (view.dtype(), view.shape());
            return Err(self.unreadable(format!("tensor {name} is {found:?}, expected {expected:?}")));
        }
        Ok(view.data())
    }

    fn unreadable(&self, reason: String) -> CheckpointError {
        CheckpointError::Unreadable { path: self.path.to_owned(), reason }
    }

    fn unwritable(&self, source: io::Error) -> CheckpointError {
        CheckpointError::Write { path: self.path.to_owned(), source }
    }
}

/// The tensor that holds the best weights of `name` after these epochs.
fn best_name(epochs: &[Epoch], name: &str) -> String {
    let kind = if epochs.last().is_some_and(|epoch| epoch.best) { "weights" } else { "best" };
    format!("{kind}.{name}")
}

/// Whether training could have given these epochs.
fn possible(epochs: &[Epoch], options: &TrainOptions) -> bool {
    let mut kept = None;
    let consistent = (1..).zip(epochs).all(|(number, epoch)| {
        let best = number == 1 || is_better(epoch.validation_auc, kept);
        if best {
            kept = epoch.validation_auc;
        }
        epoch.epoch == number && epoch.best == best && epoch.seconds >= 0.0
    });
    consistent && (1..=options.epochs).contains(&(epochs.len() as u64))
}

impl Run {
    /// One line per difference to the run of a file.
    fn differences(&self, file: &Self) -> Vec<String> {
        let values = |run: &Self| serde_json::to_value(run).unwrap_or_default();
        let mut lines = Vec::new();
        list(&mut lines, "", &values(file), &values(self));
        lines
    }
}

/// Lists where two values differ, by the path of keys.
fn list(lines: &mut Vec<String>, path: &str, file: &Value, here: &Value) {
    if let (Value::Object(file), Value::Object(here)) = (file, here) {
        let more = here.keys().filter(|key| !file.contains_key(*key));
        for key in file.keys().chain(more) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let value = |of: &Map<String, Value>| of.get(key).cloned().unwrap_or_default();
            list(lines, &path, &value(file), &value(here));
        }
    } else if file != here {
        lines.push(format!("  {path}: the checkpoint has {file}, this run {here}"));
    }
}

/// Writes a safetensors file without collecting it in memory; `before` is the file that it replaces.
fn write_entries(
    file: &mut (impl Write + Seek),
    before: &Path,
    header: &Header,
    entries: &[Entry<'_>],
) -> io::Result<()> {
    let mut all = Map::new();
    all.insert("__metadata__".to_owned(), json!({ KEY: serde_json::to_string(header)? }));
    let mut start = 0;
    for entry in entries {
        let end = start + entry.tensor.bytes().len();
        let dtype = dtype_of(entry.tensor.format());
        let value = json!({ "dtype": dtype, "shape": entry.tensor.shape(), "data_offsets": [start, end] });
        all.insert(entry.name.clone(), value);
        start = end;
    }
    let mut text = serde_json::to_vec(&all)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let digits = digits_in(&text).ok_or_else(|| io::Error::other("the header has no checksum"))?;
    let mut hashed = Hashed { file, hash: Sha256::new() };
    hashed.write_all(&(text.len() as u64).to_le_bytes())?;
    hashed.write_all(&text)?;
    for entry in entries {
        match entry.content {
            Content::Memory(bytes) => hashed.write_all(bytes)?,
            Content::FileFrom(start) => {
                let mut source = File::open(before)?;
                source.seek(SeekFrom::Start(start))?;
                let len = entry.tensor.bytes().len() as u64;
                if io::copy(&mut source.take(len), &mut hashed)? != len {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file before is cut short"));
                }
            }
        }
    }
    let Hashed { file, hash } = hashed;
    let end = file.stream_position()?;
    file.seek(SeekFrom::Start(8 + digits as u64))?;
    file.write_all(hex(hash).as_bytes())?;
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// Bytes that are hashed as they are written.
struct Hashed<'a, W> {
    file: &'a mut W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Where the digits of the checksum begin in the header: it is the first text of its kind in the metadata, which come first.
fn digits_in(header: &[u8]) -> Option<usize> {
    let before = BEFORE_DIGITS.as_bytes();
    let at = header.windows(before.len()).position(|window| window == before)? + before.len();
    (at + NO_DIGITS.len() <= header.len()).then_some(at)
}

/// Whether a file has the bytes that its checksum was taken of.
fn is_intact(mapped: &Mapped) -> bool {
    let bytes: &[u8] = mapped;
    let header = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    let header = header.and_then(|length| bytes.get(8..8usize.checked_add(usize::try_from(length).ok()?)?));
    let Some(digits) = header.and_then(digits_in).map(|at| 8 + at) else { return false };
    let stored = digits..digits + NO_DIGITS.len();
    let mut hash = Sha256::new();
    hash.update(&bytes[..stored.start]);
    hash.update(NO_DIGITS);
    let mut start = stored.end;
    while start < bytes.len() {
        let end = bytes.len().min(start + PIECE);
        hash.update(&bytes[start..end]);
        // Pages that were hashed need not stay in memory.
        mapped.release(start..end);
        start = end;
    }
    hex(hash).as_bytes() == &bytes[stored]
}

fn hex(hash: Sha256) -> String {
    crate::model::hex(&hash.finalize())
}
