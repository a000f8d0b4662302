//! Provenance of a faulty file: in the metadata of a copy, in a side file where words were changed in place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use radhard_fault::{BitErrorRate, ErrorMap, Expose};
use serde::{Deserialize, Serialize};

use super::FileCause;

/// Prefix of the metadata keys of a faulty copy.
pub(crate) const PREFIX: &str = "radhard.fault.";
/// The metadata key under which a faulty copy has the header of the file it was made of.
pub(crate) const HEADER: &str = "radhard.fault.header";
/// Suffix of a side file's name, after that of its model.
const SIDE: &str = ".radhard-fault";
/// Version of the side file.
const SIDE_FORMAT: u64 = 1;
/// Bytes of a side file, at most.
const MOST_SIDE_BYTES: u64 = 1 << 20;

/// Where faults come from, and how many there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Seed of the campaign.
    pub seed: u64,
    /// Chip of that seed.
    pub chip: u64,
    /// Bit error rate; none for error models that take none.
    pub ber: Option<BitErrorRate>,
    /// The target, in its canonical form.
    pub target: String,
    /// State that was exposed besides parameters.
    pub expose: Expose,
    /// Canonical name of the error model.
    pub error_model: String,
    /// The protection that read the words; none without one.
    pub protection: Option<String>,
    /// The fault-free model: the SHA-256 of its tensors where it states one, else the name of its file.
    pub golden: String,
    /// Bits that changed.
    pub flips: u64,
    /// Words that changed.
    pub words: u64,
    /// SHA-256 of the bytes of the error map.
    pub map_sha256: String,
}

/// The side file of a model that was changed in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideFile {
    format: u64,
    /// Where the faults come from.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Bytes of the model file.
    pub size: u64,
    /// The error map that was given, without its directory.
    pub map: String,
    /// SHA-256 of the map that was given, where it was drawn on another model: the one with the words of this model is then in a
    /// file next to the side file.
    pub rebased_from: Option<String>,
}

/// The mark of a faulty file.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A faulty copy, which says so in its metadata.
    Copy(Provenance),
    /// A file that was changed in place, with its side file.
    InPlace(PathBuf, SideFile),
}

/// A mark that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The side file can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The side file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The side file makes no sense.
    #[error("{}: not a side file of radhard: {reason}; remove it if the model has no faults", path.display())]
    Side {
        /// The side file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The side file is of another file.
    #[error(
        "{} is of a file of {expected} bytes, and {} has {found}; remove it if the file was replaced since",
        path.display(),
        model.display()
    )]
    OtherSize {
        /// The side file.
        path: PathBuf,
        /// The model.
        model: PathBuf,
        /// Bytes in the side file.
        expected: u64,
        /// Bytes of the model.
        found: u64,
    },
    /// The metadata of a copy make no sense.
    #[error("metadata key \"{PREFIX}{key}\" is {found}; a faulty copy has {expected}")]
    Metadata {
        /// The key, after the prefix.
        key: &'static str,
        /// Its text, or that it is missing.
        found: String,
        /// The expected value.
        expected: &'static str,
    },
}

impl Provenance {
    /// The provenance of a map's faults.
    pub(crate) fn of_map(errors: &ErrorMap, map_sha256: String, golden: String) -> Self {
        let origin = &errors.origin;
        Self {
            seed: origin.chip.seed,
            chip: origin.chip.trial,
            ber: origin.rate,
            target: origin.target.clone(),
            expose: origin.expose,
            error_model: origin.error_model.clone(),
            protection: origin.protection.clone(),
            golden,
            flips: errors.flips(),
            words: errors.words(),
            map_sha256,
        }
    }

    /// The metadata that say it, in their order.
    pub(crate) fn metadata(&self) -> Vec<(String, String)> {
        let ber = self.ber.map(|ber| format!("{:e}", ber.get()));
        let pairs = [
            ("seed", Some(self.seed.to_string())),
            ("chip", Some(self.chip.to_string())),
            ("ber", ber),
            ("target", Some(self.target.clone())),
            ("expose", Some(self.expose.to_string())),
            ("error_model", Some(self.error_model.clone())),
            ("protection", self.protection.clone()),
            ("golden", Some(self.golden.clone())),
            ("flips", Some(self.flips.to_string())),
            ("words", Some(self.words.to_string())),
            ("map_sha256", Some(self.map_sha256.clone())),
        ];
        pairs.into_iter().filter_map(|(key, text)| Some((format!("{PREFIX}{key}"), text?))).collect()
    }

    /// The provenance in metadata; none where they say nothing of faults.
    pub(crate) fn of_metadata(metadata: &BTreeMap<String, String>) -> Result<Option<Self>, MarkError> {
        if !metadata.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let get = |key: &str| metadata.get(&format!("{PREFIX}{key}"));
        let wrong = |key: &'static str, expected| MarkError::Metadata {
            key,
            found: get(key)
                .map_or_else(|| "missing".to_owned(), |text| format!("\"{}\"", text.escape_debug())),
            expected,
        };
        let text = |key| get(key).cloned().ok_or_else(|| wrong(key, "a text there"));
        let number =
            |key| get(key).and_then(|text| text.parse().ok()).ok_or_else(|| wrong(key, "an integer there"));
        let rate = |text: &String| text.parse().map_err(|_| wrong("ber", "a rate in [0, 1] there"));
        Ok(Some(Self {
            seed: number("seed")?,
            chip: number("chip")?,
            ber: get("ber").map(rate).transpose()?,
            target: text("target")?,
            expose: text("expose")?.parse().map_err(|_| wrong("expose", "parameters or state there"))?,
            error_model: text("error_model")?,
            protection: get("protection").cloned(),
            golden: text("golden")?,
            flips: number("flips")?,
            words: number("words")?,
            map_sha256: text("map_sha256")?,
        }))
    }

    /// Whether a map made these faults: it has the same bytes, or the same origin and size where it was drawn again.
    pub(crate) fn is_of(&self, errors: &ErrorMap, sha256: &str) -> bool {
        let drawn = Self::of_map(errors, self.map_sha256.clone(), self.golden.clone());
        self.map_sha256 == sha256 || *self == drawn
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, chip, ber, target, error_model, protection, flips, words, .. } = self;
        write!(f, "{flips} flips in {words} words (seed {seed}, chip {chip}, {error_model}")?;
        if let Some(ber) = ber {
            write!(f, " at {:e}", ber.get())?;
        }
        write!(f, ", target {}", target.escape_debug())?;
        if let Some(protection) = protection {
            write!(f, ", read under {protection}")?;
        }
        f.write_str(")")
    }
}

impl SideFile {
    pub(crate) fn new(provenance: Provenance, size: u64, map: &Path, rebased_from: Option<String>) -> Self {
        let map = map.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { format: SIDE_FORMAT, provenance, size, map, rebased_from }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, FileCause> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn read(path: &Path) -> Result<Option<Self>, MarkError> {
        let io = |source| MarkError::Io { path: path.to_owned(), source };
        let wrong = |reason: String| MarkError::Side { path: path.to_owned(), reason };
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        if !metadata.is_file() || metadata.len() > MOST_SIDE_BYTES {
            return Err(wrong("it is no small regular file".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let side: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        match side.format {
            SIDE_FORMAT => Ok(Some(side)),
            found => Err(wrong(format!("format {found}, this program reads {SIDE_FORMAT}"))),
        }
    }
}

impl Mark {
    /// The mark of a file, whatever it holds; none where nothing is said of faults.
    ///
    /// # Errors
    /// If there is one that can't be read, or a side file of a file of another size.
    pub fn of(path: &Path) -> Result<Option<Self>, MarkError> {
        if let Some((side, file)) = side_of(path)? {
            return Ok(Some(Self::InPlace(side, file)));
        }
        let header = radhard_memory::Mapped::open(path).ok().and_then(|bytes| {
            radhard_fault::SafetensorsLayout::of(&bytes, |_| radhard_fault::Component::Unknown).ok()
        });
        match header {
            Some(layout) => Ok(Provenance::of_metadata(layout.metadata())?.map(Self::Copy)),
            None => Ok(None),
        }
    }

    /// Where the faults come from.
    pub fn provenance(&self) -> &Provenance {
        match self {
            Self::Copy(provenance) => provenance,
            Self::InPlace(_, side) => &side.provenance,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(provenance) => write!(f, "a faulty copy, {provenance}"),
            Self::InPlace(side, file) => {
                write!(f, "changed in place, {}, as {} says", file.provenance, side.display())
            }
        }
    }
}

/// Where the side file of a model is: next to the file itself, whatever link leads to it.
pub(crate) fn side_path(model: &Path) -> PathBuf {
    let file = std::fs::canonicalize(model).unwrap_or_else(|_| model.to_owned());
    let mut name = OsString::from(file);
    name.push(SIDE);
    PathBuf::from(name)
}

/// Where the map of a rebased change is: next to the side file.
pub(crate) fn journal_path(side: &Path) -> PathBuf {
    let mut name = OsString::from(side);
    name.push(".map");
    PathBuf::from(name)
}

fn side_of(model: &Path) -> Result<Option<(PathBuf, SideFile)>, MarkError> {
    let path = side_path(model);
    let Some(side) = SideFile::read(&path)? else { return Ok(None) };
    let found = std::fs::metadata(model).map_or(side.size, |data| data.len());
    if found != side.size {
        let model = model.to_owned();
        return Err(MarkError::OtherSize { path, model, expected: side.size, found });
    }
    Ok(Some((path, side)))
}
