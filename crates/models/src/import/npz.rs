//! NumPy arrays: an .npz archive has one .npy entry per name.

use thiserror::Error;

use super::archive::Archive;
use super::budget::Budget;
use super::element::Element;
use super::strided::{MAX_RANK, Strided};
use super::{Convert, ImportError, StateDict};

/// What every .npy entry begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read.
const MAX_HEADER: usize = 65_535;

/// What is wrong with a NumPy array.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum NpyError {
    /// It does not begin as an array does, or ends inside its header.
    #[error("not a .npy array, or cut short in its header")]
    NoHeader,
    /// A version that is not read.
    #[error(".npy version {0}; 1, 2 and 3 are read")]
    Version(u8),
    /// A header that is not a dict of `descr`, `fortran_order` and `shape`.
    #[error("the header {0:?} is not a dict of 'descr', 'fortran_order' and 'shape'")]
    Header(String),
    /// Big-endian words.
    #[error("words are big endian ({0:?}); little endian is read")]
    BigEndian(String),
    /// Objects, records, text or numbers of another kind.
    #[error("type {0:?} is refused; plain floats and integers are read")]
    Type(String),
    /// An array whose shape and bytes differ.
    #[error("shape {shape:?} of {element} does not take {found} bytes")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// The format.
        element: Element,
        /// The bytes after the header.
        found: usize,
    },
}

/// Whether every file in the archive is an array.
pub(super) fn is_npz(archive: &Archive<'_>) -> bool {
    archive.names().all(|name| name.strip_suffix(".npy").is_some())
}

/// Reads every array under its name.
pub(super) fn read(
    archive: &Archive<'_>,
    convert: Convert,
    budget: &mut Budget,
) -> Result<StateDict, ImportError> {
    let mut state = StateDict::default();
    for entry in archive.names() {
        let name = entry.strip_suffix(".npy").unwrap_or(entry);
        let bytes = archive.read(entry, budget)?.unwrap_or_default();
        let at = |source| ImportError::Npy { name: name.to_owned(), source };
        let (element, view, data) = array(&bytes).map_err(at)?;
        state.push(name, element, &view, data, convert, budget)?;
    }
    Ok(state)
}

/// The format, the order and the elements of an array.
fn array(bytes: &[u8]) -> Result<(Element, Strided, &[u8]), NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::NoHeader)?;
    let (&[major, _minor], rest) = rest.split_first_chunk::<2>().ok_or(NpyError::NoHeader)?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or(NpyError::NoHeader)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or(NpyError::NoHeader)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(NpyError::Version(other)),
    };
    if length > MAX_HEADER {
        return Err(NpyError::NoHeader);
    }
    let (header, data) = rest.split_at_checked(length).ok_or(NpyError::NoHeader)?;
    let header = String::from_utf8_lossy(header);
    let wrong = || NpyError::Header(header.trim().chars().take(120).collect());
    let Header { descr, fortran_order, shape } = Header::parse(&header).ok_or_else(wrong)?;
    if shape.len() > MAX_RANK {
        return Err(wrong());
    }
    let element = element(descr)?;
    let misfit = || NpyError::Length { shape: shape.clone(), element, found: data.len() };
    let view = Strided::whole(shape.clone(), fortran_order).ok_or_else(misfit)?;
    let wanted = view.elements().and_then(|n| n.checked_mul(element.bytes()));
    if wanted != Some(data.len()) {
        return Err(misfit());
    }
    Ok((element, view, data))
}

fn element(descr: &str) -> Result<Element, NpyError> {
    if descr.starts_with('>') {
        return Err(NpyError::BigEndian(descr.to_owned()));
    }
    match descr {
        "<f8" => Ok(Element::F64),
        "<f4" => Ok(Element::F32),
        "<f2" => Ok(Element::F16),
        "<i8" => Ok(Element::I64),
        "<i4" => Ok(Element::I32),
        "<i2" => Ok(Element::I16),
        "|i1" => Ok(Element::I8),
        "|u1" => Ok(Element::U8),
        "|b1" => Ok(Element::Bool),
        other => Err(NpyError::Type(other.chars().take(120).collect())),
    }
}

/// The Python dict at the head of an array.
struct Header<'h> {
    descr: &'h str,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl<'h> Header<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            match key {
                "descr" if descr.is_none() => {
                    // A list of fields is no plain type; it is named as it stands.
                    let (value, after) = if rest.starts_with('[') {
                        let end = rest.rfind(']')? + 1;
                        rest.split_at(end)
                    } else {
                        quoted(rest)?
                    };
                    (descr, rest) = (Some(value), after);
                }
                "fortran_order" if fortran_order.is_none() => {
                    let yes = rest.strip_prefix("True");
                    fortran_order = Some(yes.is_some());
                    rest = yes.or_else(|| rest.strip_prefix("False"))?;
                }
                "shape" if shape.is_none() => {
                    let (inner, after) = rest.strip_prefix('(')?.split_once(')')?;
                    shape = Some(extents(inner)?);
                    rest = after;
                }
                _ => return None,
            }
            rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() => {}
                None => return None,
            }
        }
        Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// A Python string without escapes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn extents(inner: &str) -> Option<Vec<usize>> {
    let inner = inner.trim();
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let inner = inner.strip_suffix(',').unwrap_or(inner);
    inner.split(',').map(|extent| extent.trim().parse().ok()).collect()
}
