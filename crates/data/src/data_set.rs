//! The prepared file, mapped and checked.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use radhard_memory::{Buffer, Mapped};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use crate::bags::Bags;
use crate::bytes::Bytes;
use crate::column::{first, gathered};
use crate::file::{self, Columns};
use crate::fingerprint::{Checksum, Fingerprint};
use crate::layout::{self, META_KEY};
use crate::meta::{FORMAT_VERSION, Meta};
use crate::open_error::OpenError;
use crate::part::Part;
use crate::row_reader::RowReader;
use crate::rows::Rows;
use crate::vocabulary::Vocabulary;

/// Bytes of indices from which on what was read is given back: below, it is read again too soon.
const RELEASED_FROM: usize = 1 << 28;
/// Rows that are read at a time.
const PIECE_ROWS: usize = 1 << 16;

/// A prepared data set, checked once when opened.
///
/// Shapes: `indices` `[B, F]`, `numeric` `[B, N]`, `labels` `[B]`, `parts` `[B]`.
pub struct DataSet {
    bytes: Bytes,
    meta: Meta,
    indices: Range<usize>,
    numeric: Range<usize>,
    labels: Range<usize>,
    parts: Range<usize>,
    /// Offsets and indices.
    bags: Option<(Range<usize>, Range<usize>)>,
    vocabularies: Vec<Option<Vocabulary>>,
}

impl std::fmt::Debug for DataSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSet").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl DataSet {
    /// Maps the prepared file at `path` and checks all of it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::checked(Bytes::Mapped(Mapped::open(path)?), true)
    }

    /// The data set in the bytes of a prepared file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenError> {
        Self::checked(Bytes::Owned(Buffer::from_slice(bytes)), true)
    }

    /// A data set in memory, as [`Columns::write`] and [`DataSet::open`] would give it.
    pub fn from_columns(meta: Meta, columns: &Columns) -> Result<Self, OpenError> {
        let mut bytes = Vec::new();
        let meta = columns.describe(meta);
        columns.encode(&meta, &mut bytes).map_err(|error| OpenError::Meta(error.to_string()))?;
        // The fingerprint was computed of these rows a moment ago.
        Self::checked(Bytes::Owned(Buffer::from_slice(&bytes)), false)
    }

    /// What the file says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Rows, B.
    pub fn rows(&self) -> usize {
        self.meta.rows as usize
    }

    /// Categorical fields, F.
    pub fn fields(&self) -> usize {
        self.meta.fields()
    }

    /// Row of each field's table, `[B, F]`, row-major, without offsets.
    pub fn indices(&self) -> &[u32] {
        bytemuck::cast_slice(&self.bytes[self.indices.clone()])
    }

    /// Numeric values, `[B, N]`, row-major.
    pub fn numeric(&self) -> &[f32] {
        bytemuck::cast_slice(&self.bytes[self.numeric.clone()])
    }

    /// Labels, 0 or 1, `[B]`.
    pub fn labels(&self) -> &[u8] {
        &self.bytes[self.labels.clone()]
    }

    /// Parts, 0 train, 1 validation, 2 test, `[B]`.
    pub fn parts(&self) -> &[u8] {
        &self.bytes[self.parts.clone()]
    }

    /// What the rows of field `field` were called; `None` where ids were taken as they are.
    pub fn vocabulary(&self, field: usize) -> Option<&Vocabulary> {
        self.vocabularies.get(field)?.as_ref()
    }

    /// The rows of one part in their order; [`Part::All`] borrows, the others are gathered.
    pub fn select(&self, part: Part) -> Rows<'_> {
        let (fields, numeric_width) = (self.fields(), self.meta.numeric_names.len());
        let Some(code) = part.code() else {
            return Rows {
                fields,
                numeric_width,
                indices: Cow::Borrowed(self.indices()),
                numeric: Cow::Borrowed(self.numeric()),
                labels: Cow::Borrowed(self.labels()),
                bags: self.bags(),
                row_ids: None,
            };
        };
        let row_ids = self.row_ids(code);
        Rows {
            fields,
            numeric_width,
            indices: Cow::Owned(self.gathered_indices(&row_ids)),
            numeric: Cow::Owned(gathered(self.numeric(), numeric_width, &row_ids)),
            labels: Cow::Owned(gathered(self.labels(), 1, &row_ids)),
            bags: self.bags().map(|bags| bags.gathered(&row_ids)),
            row_ids: Some(row_ids),
        }
    }

    /// What reads rows in any order: large rows of a file by calls, so that a pass over them in random order does not bring
    /// the whole file into this process's memory; others where they lie.
    pub fn reader(&self) -> RowReader<'_> {
        let shape = (self.fields(), self.meta.numeric_names.len());
        let of_file = match &self.bytes {
            Bytes::Mapped(map) => RowReader::of_file(map, shape, (self.indices.start, self.numeric.start)),
            Bytes::Owned(_) => None,
        };
        of_file.unwrap_or_else(|| RowReader::of_memory(shape.0, shape.1, self.indices(), self.numeric()))
    }

    /// Gives mapped pages that were looked at back to the system; they come back from the file when they are looked at.
    pub fn release(&self) {
        self.bytes.release(0..self.bytes.len());
    }

    /// The bag of each row, `[B]`; `None` where rows have none.
    pub fn bags(&self) -> Option<Bags<'_>> {
        let (offsets, indices) = self.bags.clone()?;
        Some(Bags {
            dim: self.meta.bag_dim?,
            offsets: Cow::Borrowed(bytemuck::cast_slice(&self.bytes[offsets])),
            indices: Cow::Borrowed(bytemuck::cast_slice(&self.bytes[indices])),
        })
    }

    /// The bags of the rows that [`DataSet::select`] gives for `part`, in the same order; `None` where rows have none.
    pub fn select_bags(&self, part: Part) -> Option<Bags<'_>> {
        let bags = self.bags()?;
        let Some(code) = part.code() else { return Some(bags) };
        Some(bags.gathered(&self.row_ids(code)))
    }

    /// The indices of rows, ascending, in memory of their own.
    fn gathered_indices(&self, rows: &[u32]) -> Vec<u32> {
        let mut out = Vec::with_capacity(rows.len() * self.fields());
        let mut released = 0;
        for rows in rows.chunks(PIECE_ROWS) {
            out.extend(gathered(self.indices(), self.fields(), rows));
            let end = rows.last().map_or(released, |&row| row as usize);
            self.release_rows(released..end);
            released = end;
        }
        out
    }

    /// Gives the indices of rows that were read back to the system, where there are many.
    fn release_rows(&self, rows: Range<usize>) {
        if self.indices.len() >= RELEASED_FROM {
            let row = size_of::<u32>() * self.fields();
            self.bytes.release(self.indices.start + rows.start * row..self.indices.start + rows.end * row);
        }
    }

    fn row_ids(&self, code: u8) -> Vec<u32> {
        let count = self.meta.part_counts()[usize::from(code)] as usize;
        let mut row_ids = Vec::with_capacity(count);
        row_ids.extend((0u32..).zip(self.parts()).filter(|(_, p)| **p == code).map(|(row, _)| row));
        row_ids
    }

    /// The fingerprint of the rows as they are now, which [`DataSet::open`] has compared with the stored one.
    pub fn computed_fingerprint(&self) -> String {
        let mut fingerprint = Fingerprint::new(&self.meta.field_dims);
        let indices: &[u8] = bytemuck::cast_slice(self.indices());
        fingerprint.begin(indices.len() as u64);
        let rows = (4 * self.fields()).max(1) * PIECE_ROWS;
        for (piece, bytes) in indices.chunks(rows).enumerate() {
            fingerprint.add(bytes);
            self.release_rows(piece * PIECE_ROWS..piece * PIECE_ROWS + bytes.len() / (4 * self.fields()));
        }
        file::fingerprint_rest(
            fingerprint,
            (self.numeric(), self.labels(), self.parts()),
            self.bags().as_ref(),
        )
    }

    fn checked(bytes: Bytes, compare: bool) -> Result<Self, OpenError> {
        let (header, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| OpenError::NotSafetensors(error.to_string()))?;
        let tensors = Tensors { metadata: &metadata, start: header + 8 };
        let meta = read_meta(&metadata)?;
        let rows = u32::try_from(meta.rows).map_err(|_| {
            OpenError::Contradiction(format!("{} rows, at most {} are allowed", meta.rows, u32::MAX))
        })? as usize;
        let numeric_width = meta.numeric_names.len();
        let indices = tensors.range(layout::INDICES, Dtype::U32, &[rows, meta.fields()])?;
        let numeric = if numeric_width == 0 {
            0..0
        } else {
            tensors.range(layout::NUMERIC, Dtype::F32, &[rows, numeric_width])?
        };
        let labels = tensors.range(layout::LABEL, Dtype::U8, &[rows])?;
        let parts = tensors.range(layout::PART, Dtype::U8, &[rows])?;
        aligned::<u32>(&bytes[indices.clone()], layout::INDICES)?;
        aligned::<f32>(&bytes[numeric.clone()], layout::NUMERIC)?;
        let bags = match meta.bag_dim {
            Some(_) => Some((
                tensors.range(layout::BAG_OFFSETS, Dtype::U64, &[rows + 1])?,
                tensors.vector(layout::BAG_INDICES, Dtype::U32)?,
            )),
            None => None,
        };
        if let Some((offsets, indices)) = &bags {
            aligned::<u64>(&bytes[offsets.clone()], layout::BAG_OFFSETS)?;
            aligned::<u32>(&bytes[indices.clone()], layout::BAG_INDICES)?;
        }
        let vocabularies = (meta.field_names.iter().zip(&meta.field_dims))
            .map(|(field, dim)| read_vocabulary(&bytes, &tensors, field, *dim))
            .collect::<Result<Vec<_>, _>>()?;
        let checksums = checksums(&bytes, &tensors, &meta);
        let data = Self { bytes, meta, indices, numeric, labels, parts, bags, vocabularies };
        // The hash runs on one core, the checks on all of them.
        let computed = || compare.then(|| data.computed_fingerprint());
        let (checked, computed) = rayon::join(|| data.check_rows(), computed);
        checked?;
        if let Some(computed) = computed.filter(|computed| *computed != data.meta.fingerprint) {
            return Err(OpenError::Fingerprint { computed, stored: data.meta.fingerprint });
        }
        match checksums {
            Some((computed, stored)) if computed != stored => Err(OpenError::Checksum { computed, stored }),
            _ => Ok(data),
        }
    }

    fn check_rows(&self) -> Result<(), OpenError> {
        self.check_indices()?;
        self.check_numeric()?;
        self.check_labels_and_parts()?;
        self.check_bags()
    }

    fn check_indices(&self) -> Result<(), OpenError> {
        let (fields, dims) = (self.fields(), &self.meta.field_dims);
        if fields == 0 {
            return Ok(());
        }
        let block = PIECE_ROWS;
        let found =
            (self.indices().par_chunks(block * fields).enumerate()).find_map_first(|(piece, indices)| {
                let bad = |row: &[u32]| row.iter().zip(dims).any(|(index, dim)| index >= dim);
                let bad = indices.chunks_exact(fields).position(bad);
                self.release_rows(piece * block..piece * block + indices.len() / fields);
                let row = bad?;
                let of_row = &indices[row * fields..(row + 1) * fields];
                let field = of_row.iter().zip(dims).position(|(index, dim)| index >= dim)?;
                Some((piece * block + row, field, of_row[field]))
            });
        found.map_or(Ok(()), |(row, field, value)| {
            let name = self.meta.field_names[field].clone();
            Err(OpenError::Index { row: row as u64, field: name, value, dim: dims[field] })
        })
    }

    fn check_numeric(&self) -> Result<(), OpenError> {
        let width = self.meta.numeric_names.len();
        let found = first(self.numeric(), |value: f32| !value.is_finite());
        found.map_or(Ok(()), |place| {
            let column = self.meta.numeric_names[place % width].clone();
            Err(OpenError::Numeric { row: (place / width) as u64, column, value: self.numeric()[place] })
        })
    }

    fn check_bags(&self) -> Result<(), OpenError> {
        let Some(Bags { dim, offsets, indices }) = self.bags() else { return Ok(()) };
        let total = indices.len() as u64;
        let mut bags = offsets.iter().zip(&offsets[1..]).enumerate();
        if let Some((row, (begin, end))) = bags.find(|(_, (begin, end))| begin > end || **end > total) {
            let reason = format!("bag from {begin} to {end} of {total} indices");
            return Err(OpenError::Bag { row: row as u64, reason });
        }
        if offsets.first() != Some(&0) || offsets.last() != Some(&total) {
            let reason = format!("the bags do not span their {total} indices");
            return Err(OpenError::Bag { row: 0, reason });
        }
        if let Some(place) = indices.par_iter().position_first(|index| *index >= dim) {
            let row = offsets.partition_point(|begin| *begin <= place as u64) - 1;
            let reason = format!("index {} of its bag is not below the dim {dim}", indices[place]);
            return Err(OpenError::Bag { row: row as u64, reason });
        }
        Ok(())
    }

    fn check_labels_and_parts(&self) -> Result<(), OpenError> {
        let (labels, parts, meta) = (self.labels(), self.parts(), &self.meta);
        if let Some(row) = first(labels, |label| label > 1) {
            return Err(OpenError::Label { row: row as u64, value: labels[row] });
        }
        if let Some(row) = first(parts, |part| part > 2) {
            return Err(OpenError::Part { row: row as u64, value: parts[row] });
        }
        let mut rows = [0u64; 3];
        let mut positives = [0u64; 3];
        for (label, part) in labels.iter().zip(parts) {
            rows[usize::from(*part)] += 1;
            positives[usize::from(*part)] += u64::from(*label);
        }
        let all = positives.iter().sum::<u64>();
        if all != meta.positives {
            let reason = format!("{} positives, but the labels have {all}", meta.positives);
            return Err(OpenError::Contradiction(reason));
        }
        if rows != meta.part_counts() {
            let reason = format!("parts of {:?} rows, but the rows have {rows:?}", meta.part_counts());
            return Err(OpenError::Contradiction(reason));
        }
        let rate = file::base_rate((positives[0], rows[0]), (all, meta.rows));
        if rate != meta.train_positive_rate {
            let reason =
                format!("train_positive_rate {}, but the labels have {rate}", meta.train_positive_rate);
            return Err(OpenError::Contradiction(reason));
        }
        Ok(())
    }
}

/// The tensors of a file by name, as ranges of its bytes.
struct Tensors<'a> {
    metadata: &'a Metadata,
    start: usize,
}

impl Tensors<'_> {
    fn range(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Range<usize>, OpenError> {
        let info = self.metadata.info(name).ok_or_else(|| OpenError::Missing(name.to_owned()))?;
        if info.dtype != dtype || info.shape != shape {
            return Err(OpenError::Tensor {
                name: name.to_owned(),
                found: format!("{:?} {:?}", info.dtype, info.shape),
                expected: format!("{dtype:?} {shape:?}"),
            });
        }
        Ok(self.start + info.data_offsets.0..self.start + info.data_offsets.1)
    }

    /// A tensor of one dimension and any length.
    fn vector(&self, name: &str, dtype: Dtype) -> Result<Range<usize>, OpenError> {
        let length = self.metadata.info(name).and_then(|info| info.shape.first().copied()).unwrap_or(0);
        self.range(name, dtype, &[length])
    }
}

fn aligned<'a, T: bytemuck::Pod>(bytes: &'a [u8], name: &str) -> Result<&'a [T], OpenError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| OpenError::Misaligned(name.to_owned()))
}

fn read_meta(metadata: &Metadata) -> Result<Meta, OpenError> {
    let pairs = metadata.metadata().as_ref().ok_or(OpenError::Foreign)?;
    let json = pairs.get(META_KEY).ok_or(OpenError::Foreign)?;
    // A file without a checksum is one of an older version; a checksum under a damaged name must not pass for one.
    if let Some(key) = pairs.keys().filter(|key| *key != META_KEY && *key != layout::CHECKSUM_KEY).min() {
        return Err(OpenError::UnknownKey(key.clone()));
    }
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| OpenError::Meta(error.to_string()))?;
    match value.get("format_version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        found => {
            let found = found.map_or("none".to_owned(), |version| version.to_string());
            return Err(OpenError::Version { found });
        }
    }
    let meta: Meta = serde_json::from_value(value).map_err(|error| OpenError::Meta(error.to_string()))?;
    check_meta(&meta).map_or(Ok(meta), |reason| Err(OpenError::Contradiction(reason)))
}

/// What the metadata contradict by themselves.
fn check_meta(meta: &Meta) -> Option<String> {
    let fields = meta.fields();
    if meta.field_names.len() != fields {
        return Some(format!("{} field names for {fields} field dims", meta.field_names.len()));
    }
    if meta.rows == 0 {
        return Some("no rows".to_owned());
    }
    if meta.field_dims.iter().map(|dim| u64::from(*dim)).sum::<u64>() > u64::from(u32::MAX) {
        return Some(format!("the field dims sum to more than {}", u32::MAX));
    }
    let mut names: Vec<&String> = meta.field_names.iter().chain(&meta.numeric_names).collect();
    names.sort();
    if let Some([name, ..]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(format!("two columns are called `{name}`"));
    }
    if let Some(field) =
        [meta.user_field, meta.item_field].into_iter().flatten().find(|field| *field >= fields)
    {
        return Some(format!("field {field} is named as user or item, but there are {fields} fields"));
    }
    let counted = meta.split.as_ref().and_then(|split| {
        split
            .counts
            .iter()
            .try_fold(0u64, |sum, count| sum.checked_add(*count))
            .filter(|sum| *sum == meta.rows)
    });
    if meta.split.is_some() && counted.is_none() {
        return Some(format!("the parts do not add up to {} rows", meta.rows));
    }
    None
}

/// The checksum of description, vocabularies and the list of tensors, as it is and as it was written; files of old have none.
fn checksums(bytes: &[u8], tensors: &Tensors<'_>, meta: &Meta) -> Option<(String, String)> {
    let pairs = tensors.metadata.metadata().as_ref()?;
    let (stored, description) = (pairs.get(layout::CHECKSUM_KEY)?, pairs.get(META_KEY)?);
    let of_fields = |name: fn(&str) -> String| meta.field_names.iter().map(move |field| name(field));
    let vocabularies: BTreeSet<String> =
        of_fields(layout::vocabulary_tensor).chain(of_fields(layout::vocabulary_offsets_tensor)).collect();
    let names: BTreeSet<&str> = vocabularies.iter().map(String::as_str).chain(layout::COLUMNS).collect();
    let mut checksum = Checksum::default();
    for name in names {
        let Some(info) = tensors.metadata.info(name) else { continue };
        checksum.tensor(name, &format!("{:?}", info.dtype), &info.shape);
        if vocabularies.contains(name) {
            let (begin, end) = info.data_offsets;
            checksum.section(&bytes[tensors.start + begin..tensors.start + end]);
        }
    }
    Some((checksum.finish(description), stored.clone()))
}

fn read_vocabulary(
    bytes: &[u8],
    tensors: &Tensors<'_>,
    field: &str,
    dim: u32,
) -> Result<Option<Vocabulary>, OpenError> {
    let name = layout::vocabulary_tensor(field);
    let Some(info) = tensors.metadata.info(&name) else { return Ok(None) };
    let wrong = |reason: String| OpenError::Vocabulary { field: field.to_owned(), reason };
    let words = |name: &str| -> Result<Vec<i64>, OpenError> {
        Ok(aligned::<i64>(&bytes[tensors.vector(name, Dtype::I64)?], name)?.to_vec())
    };
    let vocabulary = if info.dtype == Dtype::I64 {
        Vocabulary::Integers(words(&name)?)
    } else {
        let text = &bytes[tensors.vector(&name, Dtype::U8)?];
        let offsets = words(&layout::vocabulary_offsets_tensor(field))?;
        if offsets.first() != Some(&0) || offsets.last() != Some(&(text.len() as i64)) {
            return Err(wrong(format!("the offsets do not span its {} bytes", text.len())));
        }
        let strings =
            offsets.windows(2).map(|pair| text.get(pair[0] as usize..pair[1] as usize).map(Box::from));
        let strings: Option<Vec<Box<[u8]>>> = strings.collect();
        Vocabulary::Strings(strings.ok_or_else(|| wrong("the offsets are not ascending".to_owned()))?)
    };
    if vocabulary.len() > dim as usize {
        return Err(wrong(format!("{} values for {dim} rows", vocabulary.len())));
    }
    Ok(Some(vocabulary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> (Meta, Columns) {
        let mut meta = Meta::new("small", vec!["user".into(), "item".into()], vec![3, 4]);
        meta.numeric_names = vec!["age".into()];
        meta.split = Some(crate::SplitMeta { seed: 0, ratio: [2, 1, 1], counts: [2, 1, 1] });
        let columns = Columns {
            indices: vec![0, 3, 1, 2, 2, 1, 0, 0],
            numeric: vec![0.5, 1.5, 2.5, 3.5],
            labels: vec![1, 0, 1, 0],
            parts: vec![0, 2, 0, 1],
            vocabularies: vec![
                Some(Vocabulary::Integers(vec![10, 20, 30])),
                Some(Vocabulary::Strings(vec![b"a".as_slice().into(), b"".as_slice().into()])),
            ],
            bags: None,
        };
        (meta, columns)
    }

    #[test]
    fn a_data_set_has_the_rows_it_was_written_with() {
        let (meta, columns) = small();
        let data = DataSet::from_columns(meta, &columns).unwrap();
        assert_eq!(data.indices(), columns.indices);
        assert_eq!(data.numeric(), columns.numeric);
        assert_eq!(data.labels(), columns.labels);
        assert_eq!(data.parts(), columns.parts);
        assert_eq!(data.vocabulary(0), columns.vocabularies[0].as_ref());
        assert_eq!(data.vocabulary(1), columns.vocabularies[1].as_ref());
        assert_eq!((data.meta().rows, data.meta().positives), (4, 2));
        assert_eq!(data.meta().train_positive_rate, 1.0);
        assert_eq!(data.meta().fingerprint, data.computed_fingerprint());
    }

    #[test]
    fn a_part_keeps_the_order_of_its_rows() {
        let (meta, columns) = small();
        let data = DataSet::from_columns(meta, &columns).unwrap();
        let train = data.select(Part::Train);
        assert_eq!(train.len(), 2);
        assert_eq!(&train.indices[..], [0, 3, 2, 1]);
        assert_eq!(&train.numeric[..], [0.5, 2.5]);
        assert_eq!(train.labels(), [1, 1]);
        assert_eq!(train.row_ids.as_deref(), Some(&[0, 2][..]));
        assert_eq!(train.field(1).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(train.slice(1..2).indices, [2, 1]);
        assert_eq!(data.select(Part::Test).row_id(0), 1);
        let all = data.select(Part::All);
        assert!(matches!(all.indices, Cow::Borrowed(_)) && all.row_ids.is_none());
        assert_eq!(all.view().numeric_of(3), [3.5]);
    }
}
