//! Faulty copies: their header carries where the faults come from, and the header of the file that they were made of.

use std::fs::File;
use std::io;
use std::path::Path;

use radhard_fault::SafetensorsLayout;
use radhard_memory::{copy_sparse, read_at, replace, write_at};
use serde_json::{Map, Value};

use super::FileCause;
use super::provenance::{HEADER, PREFIX, Provenance};
use super::words::{ChangedWords, State};

/// Bytes of a header, at most, for readers of safetensors.
const MOST_HEADER_BYTES: usize = 100_000_000;
/// Bytes of data from which on they begin at the same place of a page as in the original, so that holes stay whole.
const LARGE: u64 = 1 << 20;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes that the length of the header takes.
const LENGTH: usize = size_of::<u64>();
/// The name of the metadata in a header.
const METADATA: &str = "__metadata__";

/// The mark of a copy.
pub(crate) enum Header<'a> {
    /// It holds faults, and can be brought back to the file that it was made of.
    Marked(&'a Provenance),
    /// It is as this header says.
    Plain(Vec<u8>),
}

/// The difference of a copy.
pub(crate) struct Change<'a> {
    /// The data, where they are others than those of the source.
    pub(crate) data: Option<&'a [u8]>,
    /// The words of a map.
    pub(crate) words: &'a ChangedWords<'a>,
    /// The state that they are brought to.
    pub(crate) state: State,
}

/// The header of the file, as it is.
pub(crate) fn header_of(file: &File, layout: &SafetensorsLayout) -> io::Result<Vec<u8>> {
    let range = layout.header();
    let mut header = vec![0; range.len()];
    read_at(file, range.start as u64, &mut header)?;
    Ok(header)
}

/// The header of the file that a marked copy was made of.
pub(crate) fn original_header(layout: &SafetensorsLayout) -> Result<Vec<u8>, FileCause> {
    match layout.metadata().get(HEADER) {
        Some(text) => Ok(text.clone().into_bytes()),
        None => Err(FileCause::NoOriginalHeader),
    }
}

/// A header that says where faults come from, and keeps the one before.
fn marked(
    original: &[u8],
    provenance: &Provenance,
    data_bytes: u64,
    restorable: bool,
) -> Result<Vec<u8>, FileCause> {
    let text = String::from_utf8(original.to_vec()).map_err(io::Error::other)?;
    let mut header: Map<String, Value> = serde_json::from_str(&text).map_err(io::Error::from)?;
    let metadata = header.entry(METADATA).or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    if let Value::Object(metadata) = metadata {
        metadata.retain(|key, _| !key.starts_with(PREFIX));
        metadata.extend(provenance.metadata().into_iter().map(|(key, text)| (key, Value::String(text))));
        if restorable {
            metadata.insert(HEADER.to_owned(), Value::String(text));
        }
    }
    let mut bytes = serde_json::to_vec(&header).map_err(io::Error::from)?;
    let (unit, remainder) =
        if data_bytes < LARGE { (LENGTH, 0) } else { (PAGE, (LENGTH + original.len()) % PAGE) };
    while (LENGTH + bytes.len()) % unit != remainder {
        bytes.push(b' ');
    }
    if bytes.len() > MOST_HEADER_BYTES {
        return Err(FileCause::HeaderTooLong { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// The header of a model that was made of a faulty one: it holds those faults, and no map takes them out of it.
pub(crate) fn derived_header(
    source: &File,
    layout: &SafetensorsLayout,
    provenance: &Provenance,
) -> Result<Vec<u8>, FileCause> {
    let data_bytes = source.metadata()?.len().saturating_sub(layout.header().end as u64);
    marked(&header_of(source, layout)?, provenance, data_bytes, false)
}

/// Writes a copy with some words in a state.
///
/// Errors: the source can't be read or the copy not written; what was there stays then.
pub(crate) fn write(
    source: &File,
    layout: &SafetensorsLayout,
    out: &Path,
    header: &Header<'_>,
    change: Option<&Change<'_>>,
) -> Result<(), FileCause> {
    let first = layout.header().end as u64;
    let end = source.metadata()?.len();
    let header = match header {
        Header::Marked(provenance) => {
            marked(&header_of(source, layout)?, provenance, end.saturating_sub(first), true)?
        }
        Header::Plain(bytes) => bytes.clone(),
    };
    replace(out, |copy| {
        write_at(copy, 0, &(header.len() as u64).to_le_bytes())?;
        write_at(copy, LENGTH as u64, &header)?;
        let at = (LENGTH + header.len()) as u64;
        match change.and_then(|change| change.data) {
            Some(bytes) => write_at(copy, at, bytes)?,
            None => copy_sparse(source, first..end, copy, at)?,
        }
        if let Some(Change { words, state, .. }) = change {
            words.with_data_at(at).set(copy, *state)?;
        }
        Ok(())
    })
}
