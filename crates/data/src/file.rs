//! Writing the prepared file: docs/formats/data.md is its page.
use std::io::{self, Write};
use std::path::Path;

use radhard_memory::write_atomically;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::meta::{FORMAT_VERSION, Meta};
use crate::vocabulary::Vocabulary;

/// The metadata key that makes a safetensors file a prepared file.
pub(crate) const META_KEY: &str = "radhard.data";
pub(crate) const INDICES: &str = "indices";
pub(crate) const NUMERIC: &str = "numeric";
pub(crate) const LABEL: &str = "label";
pub(crate) const PART: &str = "part";

/// The tensor that holds a field's values: the integers themselves, or the bytes of all strings.
pub(crate) fn vocabulary_tensor(field: &str) -> String {
    format!("vocabulary.{field}")
}

/// The tensor that says where each string begins and, at its end, where the last one stops.
pub(crate) fn vocabulary_offsets_tensor(field: &str) -> String {
    format!("vocabulary_offsets.{field}")
}

/// The rows of a data set before it is written.
///
/// Shapes: `indices` `[B, F]`, `numeric` `[B, N]`, `labels` `[B]`, `parts` `[B]`, `vocabularies` `[F]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Row of each field's table, row-major, without offsets.
    pub indices: Vec<u32>,
    /// Numeric values, row-major.
    pub numeric: Vec<f32>,
    /// Labels, 0 or 1.
    pub labels: Vec<u8>,
    /// Codes of the parts: 0 train, 1 validation, 2 test.
    pub parts: Vec<u8>,
    /// What the rows of each field were called; may be left empty when no field has a vocabulary.
    pub vocabularies: Vec<Option<Vocabulary>>,
}

impl Columns {
    /// `meta` with all that follows from the rows: their number, positives, fingerprint and base rate.
    pub fn describe(&self, mut meta: Meta) -> Meta {
        let positives = |wanted: &dyn Fn(u8) -> bool| -> (u64, u64) {
            let rows = self.labels.iter().zip(&self.parts).filter(|(_, part)| wanted(**part));
            rows.fold((0, 0), |(positives, rows), (label, _)| (positives + u64::from(*label == 1), rows + 1))
        };
        let (all_positives, rows) = positives(&|_| true);
        meta.rows = rows;
        meta.positives = all_positives;
        meta.train_positive_rate = base_rate(positives(&|part| part == 0), (all_positives, rows));
        meta.fingerprint =
            fingerprint(&meta.field_dims, &self.indices, &self.numeric, &self.labels, &self.parts);
        meta
    }

    /// Writes the prepared file; `meta` gives names, dims and origin, the rest follows from the rows.
    pub fn write(&self, path: impl AsRef<Path>, meta: Meta) -> io::Result<Meta> {
        let meta = self.describe(meta);
        write_atomically(path, |writer| self.encode(&meta, writer))?;
        Ok(meta)
    }

    pub(crate) fn encode(&self, meta: &Meta, writer: &mut dyn Write) -> io::Result<()> {
        let rows = meta.rows as usize;
        let mut tensors: Vec<Tensor<'_>> = Vec::new();
        // Tensors of wider words come first, so that each begins on a multiple of its word.
        let vocabularies: Vec<(&String, &Vocabulary)> = meta
            .field_names
            .iter()
            .zip(&self.vocabularies)
            .filter_map(|(name, v)| v.as_ref().map(|v| (name, v)))
            .collect();
        for (name, vocabulary) in &vocabularies {
            match vocabulary {
                Vocabulary::Integers(values) => {
                    let bytes = bytemuck::cast_slice(values).into();
                    add(&mut tensors, &vocabulary_tensor(name), "I64", vec![values.len()], bytes);
                }
                Vocabulary::Strings(values) => {
                    let mut offsets = vec![0i64];
                    let mut end = 0;
                    offsets.extend(values.iter().map(|v| {
                        end += v.len() as i64;
                        end
                    }));
                    let bytes = bytemuck::cast_slice(&offsets).to_vec().into();
                    add(&mut tensors, &vocabulary_offsets_tensor(name), "I64", vec![offsets.len()], bytes);
                }
            }
        }
        add(
            &mut tensors,
            INDICES,
            "U32",
            vec![rows, meta.fields()],
            bytemuck::cast_slice(&self.indices).into(),
        );
        if !meta.numeric_names.is_empty() {
            let shape = vec![rows, meta.numeric_names.len()];
            add(&mut tensors, NUMERIC, "F32", shape, bytemuck::cast_slice(&self.numeric).into());
        }
        add(&mut tensors, LABEL, "U8", vec![rows], self.labels.as_slice().into());
        add(&mut tensors, PART, "U8", vec![rows], self.parts.as_slice().into());
        for (name, vocabulary) in &vocabularies {
            if let Vocabulary::Strings(values) = vocabulary {
                let bytes = values.concat();
                add(&mut tensors, &vocabulary_tensor(name), "U8", vec![bytes.len()], bytes.into());
            }
        }
        writer.write_all(&header(meta, &tensors)?)?;
        tensors.iter().try_for_each(|tensor| writer.write_all(&tensor.bytes))
    }
}

type Bytes<'a> = std::borrow::Cow<'a, [u8]>;

struct Tensor<'a> {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: Bytes<'a>,
}

fn add<'a>(
    tensors: &mut Vec<Tensor<'a>>,
    name: &str,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: Bytes<'a>,
) {
    tensors.push(Tensor { name: name.to_owned(), dtype, shape, bytes });
}

/// The header, padded with spaces so that the first tensor begins on a cache line.
fn header(meta: &Meta, tensors: &[Tensor<'_>]) -> io::Result<Vec<u8>> {
    debug_assert_eq!(meta.format_version, FORMAT_VERSION);
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!({ META_KEY: serde_json::to_string(meta)? }));
    let mut begin = 0;
    for tensor in tensors {
        let end = begin + tensor.bytes.len();
        let entry = json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [begin, end] });
        entries.insert(tensor.name.clone(), entry);
        begin = end;
    }
    let mut json = serde_json::to_vec(&Value::Object(entries))?;
    json.resize((8 + json.len()).next_multiple_of(radhard_memory::CACHE_LINE_BYTES) - 8, b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

/// Positives over rows of `train`, or of `all` when `train` is empty; 0 without any row.
pub(crate) fn base_rate(train: (u64, u64), all: (u64, u64)) -> f64 {
    let (positives, rows) = if train.1 > 0 { train } else { all };
    if rows == 0 { 0.0 } else { positives as f64 / rows as f64 }
}

/// SHA-256 of dims, indices, numeric values, labels and parts, with their lengths, all little-endian.
pub(crate) fn fingerprint(
    dims: &[u32],
    indices: &[u32],
    numeric: &[f32],
    labels: &[u8],
    parts: &[u8],
) -> String {
    let mut hash = Sha256::new();
    hash.update(b"radhard.data fingerprint 1\n");
    let sections: [&[u8]; 5] = [
        bytemuck::cast_slice(dims),
        bytemuck::cast_slice(indices),
        bytemuck::cast_slice(numeric),
        labels,
        parts,
    ];
    for section in sections {
        hash.update((section.len() as u64).to_le_bytes());
        hash.update(section);
    }
    hex(&hash.finalize())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |d: u8| char::from(b"0123456789abcdef"[usize::from(d)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
