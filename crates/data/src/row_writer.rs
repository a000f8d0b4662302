//! A prepared file written batch by batch, so that memory does not grow with its indices and numeric values.
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use crate::file::base_rate;
use crate::fingerprint::Fingerprint;
use crate::layout::{self, Content, Layout};
use crate::meta::Meta;
use crate::vocabulary::Vocabulary;

/// Bytes kept free in the header for what is only known at the end: at most 20 for the positives, 64 for the fingerprint,
/// 24 for each of two shares.
const ROOM: usize = 192;
/// Numeric values are read back in pieces of this size.
const READ_BYTES: u64 = 1 << 20;

/// A prepared file with some of its rows.
///
/// Labels are kept until the end, one byte a row.
pub(crate) struct RowWriter<'a> {
    file: &'a mut BufWriter<File>,
    layout: Layout,
    /// Bytes of the header with its length.
    header: u64,
    fingerprint: Fingerprint,
    labels: Vec<u8>,
    fields: usize,
    numeric_width: usize,
}

impl<'a> RowWriter<'a> {
    /// Begins a file of `meta.rows` rows; what follows from the rows is filled in at the end.
    pub(crate) fn begin(
        file: &'a mut BufWriter<File>,
        meta: &Meta,
        vocabularies: &[Option<Vocabulary>],
    ) -> io::Result<Self> {
        let layout = Layout::new(meta, vocabularies, None)?;
        let header = layout.header(meta, ROOM)?;
        file.write_all(&header)?;
        let mut fingerprint = Fingerprint::new(&meta.field_dims);
        fingerprint.begin(layout.section(Content::Indices).map_or(0, |indices| indices.bytes));
        let writer = Self {
            file,
            layout,
            header: header.len() as u64,
            fingerprint,
            labels: Vec::with_capacity(meta.rows as usize),
            fields: meta.fields(),
            numeric_width: meta.numeric_names.len(),
        };
        for section in &writer.layout.sections {
            let (field, text) = match section.content {
                Content::VocabularyWords(field) => (field, false),
                Content::VocabularyText(field) => (field, true),
                _ => continue,
            };
            let Some(Some(vocabulary)) = vocabularies.get(field) else { continue };
            writer.file.seek(SeekFrom::Start(writer.header + section.begin))?;
            if text {
                writer.file.write_all(&layout::vocabulary_text(vocabulary))?;
            } else {
                writer.file.write_all(&layout::vocabulary_words(vocabulary))?;
            }
        }
        Ok(writer)
    }

    /// Goes to element `element` of four bytes of a section; `false` if the file has none.
    fn seek(&mut self, content: Content, element: usize) -> io::Result<bool> {
        let Some(section) = self.layout.section(content) else { return Ok(false) };
        self.file.seek(SeekFrom::Start(self.header + section.begin + 4 * element as u64))?;
        Ok(true)
    }

    /// Writes the next rows.
    ///
    /// Shapes: `indices` `[b, F]`, `numeric` `[b, N]`, `labels` `[b]`.
    pub(crate) fn append(&mut self, indices: &[u32], numeric: &[f32], labels: &[u8]) -> io::Result<()> {
        let row = self.labels.len();
        debug_assert_eq!(indices.len(), labels.len() * self.fields);
        debug_assert_eq!(numeric.len(), labels.len() * self.numeric_width);
        if self.seek(Content::Indices, row * self.fields)? {
            let bytes = bytemuck::cast_slice(indices);
            // The hash takes as long as the rest of the writing, so both run at once.
            let (written, ()) = rayon::join(|| self.file.write_all(bytes), || self.fingerprint.add(bytes));
            written?;
        }
        if self.seek(Content::Numeric, row * self.numeric_width)? {
            self.file.write_all(bytemuck::cast_slice(numeric))?;
        }
        self.labels.extend_from_slice(labels);
        Ok(())
    }

    /// Writes what is still missing; `meta` as at the beginning, but for shares and counts.
    ///
    /// Errors: other rows or parts than were announced.
    pub(crate) fn finish(mut self, mut meta: Meta, parts: &[u8]) -> io::Result<Meta> {
        if self.labels.len() as u64 != meta.rows || parts.len() != self.labels.len() {
            let found = self.labels.len();
            return Err(io::Error::other(format!("{found} rows came where {} were announced", meta.rows)));
        }
        let numeric = self.layout.section(Content::Numeric).map_or(0, |numeric| numeric.bytes);
        self.fingerprint.begin(numeric);
        if self.seek(Content::Numeric, 0)? {
            let mut rest = numeric;
            let mut piece = vec![0; READ_BYTES as usize];
            // Seeking wrote the buffer out.
            while rest > 0 {
                let bytes = &mut piece[..rest.min(READ_BYTES) as usize];
                self.file.get_mut().read_exact(bytes)?;
                self.fingerprint.add(bytes);
                rest -= bytes.len() as u64;
            }
        }
        self.fingerprint.section(&self.labels);
        self.fingerprint.section(parts);
        let labels = std::mem::take(&mut self.labels);
        for (content, bytes) in [(Content::Labels, &labels[..]), (Content::Parts, parts)] {
            if self.seek(content, 0)? {
                self.file.write_all(bytes)?;
            }
        }
        let counted = |wanted: fn(u8) -> bool| {
            let rows = labels.iter().zip(parts).filter(|(_, part)| wanted(**part));
            rows.fold((0, 0), |(positives, rows), (label, _)| (positives + u64::from(*label), rows + 1))
        };
        let all = counted(|_| true);
        meta.positives = all.0;
        meta.train_positive_rate = base_rate(counted(|part| part == 0), all);
        meta.fingerprint = self.fingerprint.finish();
        let mut header = self.layout.header(&meta, 0)?;
        if header.len() as u64 > self.header {
            return Err(io::Error::other("the header outgrew the room kept for it"));
        }
        header.drain(..8);
        header.resize(self.header as usize - 8, b' ');
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&layout::framed(header))?;
        Ok(meta)
    }
}
