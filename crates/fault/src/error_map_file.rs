//! Error maps as files: safetensors, so that they can be read without this crate.
//!
//! For each changed parameter there are the tensors `<name>.element` (u64, sorted, unique), `<name>.mask` (the bits that
//! change), `<name>.old` (the words before) and, where words were written rather than flipped, `<name>.value` (the words
//! after, always `old ^ mask`). Words are unsigned integers of the width of the format; words of four bits take a byte each. The
//! metadata key `radhard.error_map` holds the origin and the list of parameters as JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{SafeTensorError, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::error_map::{MapOrigin, MapParameter};
use crate::parameter::sha256_hex;
use crate::{BitErrorRate, Chip, Coverage, ErrorMap, Expose, Format, Hit, ParameterSpec, PassedOver};

/// Version of the file format that this crate writes and reads.
pub const MAP_FORMAT_VERSION: u32 = 1;

const KEY: &str = "radhard.error_map";
/// The placeholder of the SHA-256 while it is computed.
const NO_SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Why bytes are not an error map.
#[derive(Debug, thiserror::Error)]
pub enum MapFileError {
    /// The file can't be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The header is wrong, or the file is cut.
    #[error("not a whole safetensors file: {0}")]
    NotSafetensors(#[from] SafeTensorError),
    /// A safetensors file of something else.
    #[error("safetensors file without \"{KEY}\" in its metadata, so not an error map")]
    NotErrorMap,
    /// The metadata make no sense.
    #[error("metadata of the error map: {0}")]
    Metadata(#[from] serde_json::Error),
    /// Written by another version.
    #[error("error map of format version {found}, this program reads version {MAP_FORMAT_VERSION}")]
    Version {
        /// Version of the file.
        found: u64,
    },
    /// A parameter is listed twice.
    #[error("error map lists parameter \"{0}\" twice")]
    DuplicateParameter(String),
    /// A tensor that belongs to no listed parameter.
    #[error("error map has tensor \"{0}\", which belongs to no parameter that it lists")]
    ForeignTensor(String),
    /// A tensor of a listed parameter is not there.
    #[error("error map lacks tensor \"{0}\"")]
    MissingTensor(String),
    /// A tensor has the wrong type for its parameter's format.
    #[error("tensor \"{tensor}\" has type {found:?}, expected {expected:?}")]
    Type {
        /// The tensor.
        tensor: String,
        /// Type in the file.
        found: Dtype,
        /// Type of such words.
        expected: Dtype,
    },
    /// A tensor has not one dimension.
    #[error("tensor \"{tensor}\" has shape {shape:?}, expected one dimension")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The tensors of a parameter differ in length.
    #[error("tensor \"{tensor}\" has {found} entries, but {expected} elements are listed")]
    Length {
        /// The tensor.
        tensor: String,
        /// Its length.
        found: usize,
        /// Length of the list of elements.
        expected: usize,
    },
    /// Elements are not in strictly rising order.
    #[error("elements of \"{parameter}\" do not rise at place {place}")]
    NotSorted {
        /// The parameter.
        parameter: String,
        /// Where the order breaks.
        place: usize,
    },
    /// An element beyond the shape.
    #[error("element {element} of \"{parameter}\" is beyond its {elements} elements")]
    OutOfRange {
        /// The parameter.
        parameter: String,
        /// The element.
        element: u64,
        /// Elements of the shape.
        elements: u64,
    },
    /// A mask without any bit.
    #[error("element {element} of \"{parameter}\" is listed, but none of its bits changes")]
    NoChange {
        /// The parameter.
        parameter: String,
        /// The element.
        element: u64,
    },
    /// A word has bits that its format lacks.
    #[error("word {word:#x} in tensor \"{tensor}\" is wider than format {format}")]
    TooWide {
        /// The tensor.
        tensor: String,
        /// The word.
        word: u64,
        /// The format.
        format: Format,
    },
    /// Some byte is not what was written.
    #[error("error map is damaged: its SHA-256 is {found}, and it states {stated}")]
    Damaged {
        /// SHA-256 in the file.
        stated: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// A written value differs from what the mask says.
    #[error("value of element {element} of \"{parameter}\" is {found:#x}, old and mask make {expected:#x}")]
    OtherValue {
        /// The parameter.
        parameter: String,
        /// The element.
        element: u64,
        /// The value in the file.
        found: u64,
        /// Old word with the mask's bits flipped.
        expected: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Version {
    format_version: u64,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    /// Before anything that holds text of users, so that its place is the first of its digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    format_version: u32,
    stream_version: u32,
    seed: u64,
    trial: u64,
    ber: Option<BitErrorRate>,
    error_model: String,
    target: String,
    expose: Expose,
    exposed_bits: u64,
    written: bool,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protection: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hit: Option<Vec<Hit>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passed_over: Option<Vec<PassedOver>>,
    parameters: Vec<ListedParameter>,
}

#[derive(Serialize, Deserialize)]
struct ListedParameter {
    name: String,
    shape: Vec<usize>,
    format: Format,
}

/// The safetensors type of the words of a format in a map.
const fn word_type(format: Format) -> Dtype {
    match format.bits() {
        64 => Dtype::U64,
        32 => Dtype::U32,
        16 => Dtype::U16,
        _ => Dtype::U8,
    }
}

fn word_bytes(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

fn to_le_bytes(words: impl Iterator<Item = u64>, width: usize) -> Vec<u8> {
    words.flat_map(|word| word.to_le_bytes().into_iter().take(width)).collect()
}

fn from_le_bytes(bytes: &[u8], width: usize) -> Vec<u64> {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    bytes.chunks_exact(width).map(word).collect()
}

impl ErrorMap {
    /// The map as the bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, MapFileError> {
        let mut tensors = Vec::new();
        for parameter in &self.parameters {
            let (name, length) = (&parameter.name, parameter.elements.len());
            let dtype = word_type(parameter.format);
            let width = word_bytes(dtype);
            let mut add = |suffix: &str, dtype, bytes: Vec<u8>| {
                tensors.push((format!("{name}.{suffix}"), dtype, vec![length], bytes));
            };
            add("element", Dtype::U64, to_le_bytes(parameter.elements.iter().copied(), 8));
            add("mask", dtype, to_le_bytes(parameter.masks.iter().copied(), width));
            add("old", dtype, to_le_bytes(parameter.old.iter().copied(), width));
            if parameter.written {
                add("value", dtype, to_le_bytes(parameter.iter().map(|(_, mask, old)| old ^ mask), width));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, SafeTensorError>>()?;
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&self.metadata())?)]);
        let mut bytes = safetensors::serialize(views, Some(metadata))?;
        let digest = sha256_hex(&bytes);
        if let Some(at) = place_of(&bytes, NO_SHA256.as_bytes()) {
            bytes[at..at + NO_SHA256.len()].copy_from_slice(digest.as_bytes());
        }
        Ok(bytes)
    }

    fn metadata(&self) -> Metadata {
        let origin = self.origin.clone();
        let (hit, passed_over) = origin.coverage.map(|of| (of.hit, of.passed_over)).unzip();
        let listed = |parameter: &MapParameter| ListedParameter {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            format: parameter.format,
        };
        Metadata {
            sha256: Some(NO_SHA256.to_owned()),
            format_version: MAP_FORMAT_VERSION,
            stream_version: origin.stream_version,
            seed: origin.chip.seed,
            trial: origin.chip.trial,
            ber: origin.rate,
            error_model: origin.error_model,
            target: origin.target,
            expose: origin.expose,
            exposed_bits: origin.exposed_bits,
            written: origin.written,
            fingerprint: origin.fingerprint,
            protection: origin.protection,
            hit,
            passed_over,
            parameters: self.parameters.iter().map(listed).collect(),
        }
    }

    /// Reads a map from the bytes of its file, believing none of them.
    ///
    /// Errors: one for each way in which the bytes can be wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MapFileError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let json =
            header.metadata().as_ref().and_then(|pairs| pairs.get(KEY)).ok_or(MapFileError::NotErrorMap)?;
        let Version { format_version: found } = serde_json::from_str(json)?;
        if found != u64::from(MAP_FORMAT_VERSION) {
            return Err(MapFileError::Version { found });
        }
        let metadata: Metadata = serde_json::from_str(json)?;
        let tensors = SafeTensors::deserialize(bytes)?;
        let mut tensors: BTreeMap<_, _> = tensors.iter().collect();
        let mut parameters = Vec::new();
        let mut names = BTreeSet::new();
        for listed in &metadata.parameters {
            if !names.insert(&listed.name) {
                return Err(MapFileError::DuplicateParameter(listed.name.clone()));
            }
            parameters.push(read_parameter(listed, &mut tensors)?);
        }
        if let Some((&name, _)) = tensors.first_key_value() {
            return Err(MapFileError::ForeignTensor(name.to_owned()));
        }
        if let Some(stated) = metadata.sha256 {
            check(bytes, stated)?;
        }
        let origin = MapOrigin {
            chip: Chip::new(metadata.seed, metadata.trial),
            rate: metadata.ber,
            error_model: metadata.error_model,
            target: metadata.target,
            expose: metadata.expose,
            exposed_bits: metadata.exposed_bits,
            written: metadata.written,
            fingerprint: metadata.fingerprint,
            stream_version: metadata.stream_version,
            protection: metadata.protection,
            coverage: metadata
                .hit
                .map(|hit| Coverage { hit, passed_over: metadata.passed_over.unwrap_or_default() }),
        };
        Ok(Self { origin, parameters })
    }

    /// Reads a map from its file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, MapFileError> {
        let path = path.as_ref();
        let bytes = radhard_memory::read_whole(path, u64::MAX)
            .map_err(|source| MapFileError::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }

    /// Writes the map to a file, which is there whole or, on an error, as it was before.
    ///
    /// Errors: the file can't be written, or is there and is not a regular file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), MapFileError> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        radhard_memory::write_atomically(path, |writer| writer.write_all(&bytes))
            .map_err(|source| MapFileError::Io { path: path.to_owned(), source })
    }
}

/// Where some bytes are for the first time.
fn place_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Whether the file has the SHA-256 that it states, taken with zeros in place of the statement.
fn check(bytes: &[u8], stated: String) -> Result<(), MapFileError> {
    let mut bytes = bytes.to_vec();
    let place = place_of(&bytes, stated.as_bytes()).filter(|_| stated.len() == NO_SHA256.len());
    if let Some(at) = place {
        bytes[at..at + NO_SHA256.len()].copy_from_slice(NO_SHA256.as_bytes());
    }
    let found = sha256_hex(&bytes);
    if found == stated { Ok(()) } else { Err(MapFileError::Damaged { stated, found }) }
}

/// Takes the tensors of a parameter out of those there are.
fn read_parameter(
    listed: &ListedParameter,
    tensors: &mut BTreeMap<&str, TensorView<'_>>,
) -> Result<MapParameter, MapFileError> {
    let ListedParameter { name, shape, format } = listed;
    let mut take = |suffix: &str, dtype: Dtype| {
        let tensor = format!("{name}.{suffix}");
        let Some(view) = tensors.remove(tensor.as_str()) else { return Ok(None) };
        if view.dtype() != dtype {
            return Err(MapFileError::Type { tensor, found: view.dtype(), expected: dtype });
        }
        if view.shape().len() != 1 {
            return Err(MapFileError::Shape { tensor, shape: view.shape().to_vec() });
        }
        Ok(Some(from_le_bytes(view.data(), word_bytes(dtype))))
    };
    let missing = |suffix: &str| MapFileError::MissingTensor(format!("{name}.{suffix}"));
    let dtype = word_type(*format);
    let elements = take("element", Dtype::U64)?.ok_or_else(|| missing("element"))?;
    let masks = take("mask", dtype)?.ok_or_else(|| missing("mask"))?;
    let old = take("old", dtype)?.ok_or_else(|| missing("old"))?;
    let values = take("value", dtype)?;

    for (suffix, words) in [("mask", Some(&masks)), ("old", Some(&old)), ("value", values.as_ref())] {
        let (Some(words), tensor) = (words, || format!("{name}.{suffix}")) else { continue };
        if words.len() != elements.len() {
            return Err(MapFileError::Length {
                tensor: tensor(),
                found: words.len(),
                expected: elements.len(),
            });
        }
        if let Some(&word) = words.iter().find(|&&word| word & !format.word_mask() != 0) {
            return Err(MapFileError::TooWide { tensor: tensor(), word, format: *format });
        }
    }
    if let Some(place) = elements.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(MapFileError::NotSorted { parameter: name.clone(), place: place + 1 });
    }
    let spec = ParameterSpec {
        name: name.clone(),
        shape: shape.clone(),
        format: *format,
        component: crate::Component::Unknown,
    };
    if let Some(&element) = elements.last().filter(|&&element| element >= spec.elements()) {
        return Err(MapFileError::OutOfRange { parameter: name.clone(), element, elements: spec.elements() });
    }
    let mut parameter = MapParameter::new(name, shape, *format, values.is_some());
    (parameter.elements, parameter.masks, parameter.old) = (elements, masks, old);
    for (i, (element, mask, old)) in parameter.iter().enumerate() {
        if mask == 0 {
            return Err(MapFileError::NoChange { parameter: name.clone(), element });
        }
        let found = values.as_ref().map_or(old ^ mask, |values| values[i]);
        if found != old ^ mask {
            let expected = old ^ mask;
            return Err(MapFileError::OtherValue { parameter: name.clone(), element, found, expected });
        }
    }
    Ok(parameter)
}
