//! Writing the prepared file: docs/formats/data.md is its page.
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use crate::bags::Bags;
use crate::fingerprint::Fingerprint;
use crate::layout::{self, Content, Layout};
use crate::meta::Meta;
use crate::vocabulary::Vocabulary;
use radhard_memory::write_atomically;

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
    /// The bag of each row, where rows have any.
    pub bags: Option<Bags<'static>>,
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
        meta.bag_dim = self.bags.as_ref().map(|bags| bags.dim);
        meta.fingerprint = fingerprint(
            &meta.field_dims,
            (&self.indices, &self.numeric, &self.labels, &self.parts),
            self.bags.as_ref(),
        );
        meta
    }

    /// Writes the prepared file; `meta` gives names, dims and origin, the rest follows from the rows.
    pub fn write(&self, path: impl AsRef<Path>, meta: Meta) -> io::Result<Meta> {
        let meta = self.describe(meta);
        write_atomically(path, |writer| self.encode(&meta, writer))?;
        Ok(meta)
    }

    pub(crate) fn encode(&self, meta: &Meta, writer: &mut dyn Write) -> io::Result<()> {
        let bag_total = self.bags.as_ref().map(|bags| bags.indices.len());
        let layout = Layout::new(meta, &self.vocabularies, bag_total)?;
        writer.write_all(&layout.header(meta, 0)?)?;
        let vocabulary = |field: usize| self.vocabularies.get(field).and_then(Option::as_ref);
        for section in &layout.sections {
            let bytes: Cow<'_, [u8]> = match section.content {
                Content::VocabularyWords(field) => {
                    vocabulary(field).map_or(Cow::default(), layout::vocabulary_words)
                }
                Content::VocabularyText(field) => {
                    vocabulary(field).map_or(Cow::default(), |v| layout::vocabulary_text(v).into())
                }
                Content::BagOffsets => {
                    self.bags.as_ref().map_or(Cow::default(), |b| bytemuck::cast_slice(&b.offsets).into())
                }
                Content::BagIndices => {
                    self.bags.as_ref().map_or(Cow::default(), |b| bytemuck::cast_slice(&b.indices).into())
                }
                Content::Indices => bytemuck::cast_slice(&self.indices).into(),
                Content::Numeric => bytemuck::cast_slice(&self.numeric).into(),
                Content::Labels => self.labels.as_slice().into(),
                Content::Parts => self.parts.as_slice().into(),
            };
            writer.write_all(&bytes)?;
        }
        Ok(())
    }
}

/// Positives over rows of `train`, or of `all` when `train` is empty; 0 without any row.
pub(crate) fn base_rate(train: (u64, u64), all: (u64, u64)) -> f64 {
    let (positives, rows) = if train.1 > 0 { train } else { all };
    if rows == 0 { 0.0 } else { positives as f64 / rows as f64 }
}

/// The fingerprint of indices, numeric values, labels and parts, and of bags where there are any.
pub(crate) fn fingerprint(
    dims: &[u32],
    (indices, numeric, labels, parts): (&[u32], &[f32], &[u8], &[u8]),
    bags: Option<&Bags<'_>>,
) -> String {
    let mut fingerprint = Fingerprint::new(dims);
    fingerprint.section(bytemuck::cast_slice(indices));
    fingerprint_rest(fingerprint, (numeric, labels, parts), bags)
}

/// The same, from after the indices on.
pub(crate) fn fingerprint_rest(
    mut fingerprint: Fingerprint,
    (numeric, labels, parts): (&[f32], &[u8], &[u8]),
    bags: Option<&Bags<'_>>,
) -> String {
    fingerprint.section(bytemuck::cast_slice(numeric));
    fingerprint.section(labels);
    fingerprint.section(parts);
    if let Some(bags) = bags {
        fingerprint.section(&bags.dim.to_le_bytes());
        fingerprint.section(bytemuck::cast_slice(&bags.offsets));
        fingerprint.section(bytemuck::cast_slice(&bags.indices));
    }
    fingerprint.finish()
}
