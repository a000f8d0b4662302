//! Where each tensor of a prepared file stands, and the header that says so.
use std::borrow::Cow;
use std::io;

use serde_json::{Map, Value, json};

use crate::fingerprint::Checksum;
use crate::meta::{FORMAT_VERSION, Meta};
use crate::vocabulary::Vocabulary;

/// The metadata key that makes a safetensors file a prepared file.
pub(crate) const META_KEY: &str = "radhard.data";
/// The metadata key of the checksum over the description, the vocabularies, and which tensors there are.
pub(crate) const CHECKSUM_KEY: &str = "radhard.checksum";
pub(crate) const INDICES: &str = "indices";
pub(crate) const NUMERIC: &str = "numeric";
pub(crate) const LABEL: &str = "label";
pub(crate) const PART: &str = "part";
pub(crate) const BAG_INDICES: &str = "bag_indices";
pub(crate) const BAG_OFFSETS: &str = "bag_offsets";

/// Every tensor that is no vocabulary.
pub(crate) const COLUMNS: [&str; 6] = [INDICES, NUMERIC, LABEL, PART, BAG_INDICES, BAG_OFFSETS];

/// The tensor that holds a field's values: the integers themselves, or the bytes of all strings.
pub(crate) fn vocabulary_tensor(field: &str) -> String {
    format!("vocabulary.{field}")
}

/// The tensor that says where each string begins and, at its end, where the last one stops.
pub(crate) fn vocabulary_offsets_tensor(field: &str) -> String {
    format!("vocabulary_offsets.{field}")
}

/// What a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Integers of a field's vocabulary, or the offsets of its strings.
    VocabularyWords(usize),
    /// Strings of a field's vocabulary.
    VocabularyText(usize),
    BagOffsets,
    Indices,
    Numeric,
    BagIndices,
    Labels,
    Parts,
}

/// One tensor.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) content: Content,
    /// Where it begins, counted from the end of the header.
    pub(crate) begin: u64,
    /// Its length.
    pub(crate) bytes: u64,
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
}

/// The tensors of a file in their order.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) sections: Vec<Section>,
    /// Of tensors and vocabularies; the description follows.
    checksum: Checksum,
}

impl Layout {
    /// The layout of `meta.rows` rows, whose bags, if there are any, hold `bag_total` indices.
    ///
    /// Tensors of wider words come first, so that each begins on a multiple of its word.
    pub(crate) fn new(
        meta: &Meta,
        vocabularies: &[Option<Vocabulary>],
        bag_total: Option<usize>,
    ) -> io::Result<Self> {
        let rows = meta.rows as usize;
        let mut layout = Self::default();
        let named = || {
            let fields = meta.field_names.iter().zip(vocabularies).enumerate();
            fields.filter_map(|(field, (name, vocabulary))| Some((field, name, vocabulary.as_ref()?)))
        };
        for (field, name, vocabulary) in named() {
            let (name, words) = match vocabulary {
                Vocabulary::Integers(values) => (vocabulary_tensor(name), values.len()),
                Vocabulary::Strings(values) => (vocabulary_offsets_tensor(name), values.len() + 1),
            };
            layout.add(Content::VocabularyWords(field), name, "I64", vec![words])?;
        }
        if bag_total.is_some() {
            layout.add(Content::BagOffsets, BAG_OFFSETS.to_owned(), "U64", vec![rows + 1])?;
        }
        layout.add(Content::Indices, INDICES.to_owned(), "U32", vec![rows, meta.fields()])?;
        if !meta.numeric_names.is_empty() {
            let shape = vec![rows, meta.numeric_names.len()];
            layout.add(Content::Numeric, NUMERIC.to_owned(), "F32", shape)?;
        }
        if let Some(total) = bag_total {
            layout.add(Content::BagIndices, BAG_INDICES.to_owned(), "U32", vec![total])?;
        }
        layout.add(Content::Labels, LABEL.to_owned(), "U8", vec![rows])?;
        layout.add(Content::Parts, PART.to_owned(), "U8", vec![rows])?;
        for (field, name, vocabulary) in named() {
            if let Vocabulary::Strings(values) = vocabulary {
                let bytes = values.iter().map(|value| value.len()).sum();
                layout.add(Content::VocabularyText(field), vocabulary_tensor(name), "U8", vec![bytes])?;
            }
        }
        layout.take_checksum(vocabularies);
        Ok(layout)
    }

    fn take_checksum(&mut self, vocabularies: &[Option<Vocabulary>]) {
        let mut sections: Vec<&Section> = self.sections.iter().collect();
        sections.sort_by(|a, b| a.name.cmp(&b.name));
        for section in sections {
            self.checksum.tensor(&section.name, section.dtype, &section.shape);
            let of = |field: usize| vocabularies.get(field).and_then(Option::as_ref);
            match section.content {
                Content::VocabularyWords(field) => {
                    self.checksum.section(&of(field).map_or(Cow::default(), vocabulary_words));
                }
                Content::VocabularyText(field) => {
                    self.checksum.section(&of(field).map_or_else(Vec::new, vocabulary_text));
                }
                _ => {}
            }
        }
    }

    fn add(
        &mut self,
        content: Content,
        name: String,
        dtype: &'static str,
        shape: Vec<usize>,
    ) -> io::Result<()> {
        let word = match dtype {
            "U8" => 1,
            "U32" | "F32" => 4,
            _ => 8,
        };
        let bytes = shape.iter().try_fold(word, |bytes: u64, length| bytes.checked_mul(*length as u64));
        let begin = self.sections.last().map_or(0, |last| last.begin + last.bytes);
        let whole = bytes.filter(|bytes| bytes.checked_add(begin).is_some_and(|end| end < 1 << 62));
        let bytes =
            whole.ok_or_else(|| io::Error::other(format!("tensor {name} is too large for a file")))?;
        self.sections.push(Section { content, begin, bytes, name, dtype, shape });
        Ok(())
    }

    /// The section of `content`, if the file has it.
    pub(crate) fn section(&self, content: Content) -> Option<&Section> {
        self.sections.iter().find(|section| section.content == content)
    }

    /// The header, padded with spaces so that the first tensor begins on a cache line, and with at least `room` of them.
    pub(crate) fn header(&self, meta: &Meta, room: usize) -> io::Result<Vec<u8>> {
        debug_assert_eq!(meta.format_version, FORMAT_VERSION);
        let mut entries = Map::new();
        let description = serde_json::to_string(meta)?;
        let checksum = self.checksum.clone().finish(&description);
        entries.insert("__metadata__".to_owned(), json!({ META_KEY: description, CHECKSUM_KEY: checksum }));
        for section in &self.sections {
            let offsets = [section.begin, section.begin + section.bytes];
            let entry = json!({ "dtype": section.dtype, "shape": section.shape, "data_offsets": offsets });
            entries.insert(section.name.clone(), entry);
        }
        let mut json = serde_json::to_vec(&Value::Object(entries))?;
        json.resize((8 + json.len() + room).next_multiple_of(radhard_memory::CACHE_LINE_BYTES) - 8, b' ');
        Ok(framed(json))
    }
}

/// A header with its length before it.
pub(crate) fn framed(mut json: Vec<u8>) -> Vec<u8> {
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    header
}

/// What [`Content::VocabularyWords`] holds.
pub(crate) fn vocabulary_words(vocabulary: &Vocabulary) -> Cow<'_, [u8]> {
    match vocabulary {
        Vocabulary::Integers(values) => bytemuck::cast_slice(values).into(),
        Vocabulary::Strings(values) => {
            let mut offsets = vec![0i64];
            let mut end = 0;
            offsets.extend(values.iter().map(|value| {
                end += value.len() as i64;
                end
            }));
            bytemuck::cast_slice(&offsets).to_vec().into()
        }
    }
}

/// What [`Content::VocabularyText`] holds.
pub(crate) fn vocabulary_text(vocabulary: &Vocabulary) -> Vec<u8> {
    match vocabulary {
        Vocabulary::Integers(_) => Vec::new(),
        Vocabulary::Strings(values) => values.concat(),
    }
}
