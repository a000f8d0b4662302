//! Zip archives: the central directory, and entries that are stored or deflated.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use thiserror::Error;

use super::budget::{Budget, TooMuch};

/// What is wrong with a zip archive.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ArchiveError {
    /// No end record: cut short, or not a zip archive.
    #[error("the zip archive has no end record; it is cut short")]
    NoEnd,
    /// A record that is not where it has to be.
    #[error("the zip archive has no {record} at byte {offset}")]
    Record {
        /// The record.
        record: &'static str,
        /// The byte it was looked for at.
        offset: u64,
    },
    /// More than one file.
    #[error("the zip archive is one of several volumes")]
    Volumes,
    /// A name that is no text.
    #[error("entry {entry} of the zip archive has a name that is not UTF-8")]
    Name {
        /// Its position in the directory.
        entry: usize,
    },
    /// A name that occurs twice.
    #[error("entry {name:?} is twice in the zip archive")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Entries that share bytes.
    #[error("entry {name:?} overlaps another entry of the zip archive")]
    Overlap {
        /// The name.
        name: String,
    },
    /// An encrypted entry.
    #[error("entry {name:?} is encrypted")]
    Encrypted {
        /// The name.
        name: String,
    },
    /// Neither stored nor deflated.
    #[error("entry {name:?} uses compression method {method}; stored (0) and deflated (8) are read")]
    Method {
        /// The name.
        name: String,
        /// The method's number.
        method: u16,
    },
    /// Sizes that contradict each other or the bytes.
    #[error("entry {name:?} does not have the {size} bytes that the directory says")]
    Size {
        /// The name.
        name: String,
        /// The size in the directory.
        size: u64,
    },
    /// Bytes that are not those that were written.
    #[error("entry {name:?} is damaged: its CRC-32 is {found:08x}, the directory says {wanted:08x}")]
    Damaged {
        /// The name.
        name: String,
        /// The sum in the directory.
        wanted: u32,
        /// The sum of the bytes.
        found: u32,
    },
    /// An entry that unpacks to more than a file of this length may.
    #[error("entry {name:?}: {source}")]
    TooMuch {
        /// The name.
        name: String,
        /// The limit.
        source: TooMuch,
    },
}

/// One entry of the directory.
#[derive(Debug)]
struct Entry<'a> {
    name: &'a str,
    deflated: bool,
    crc: u32,
    size: u64,
    data: &'a [u8],
}

/// The entries of a zip archive, in the directory's order.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    entries: Vec<Entry<'a>>,
    /// The position of each name.
    positions: BTreeMap<&'a str, usize>,
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The bytes from `at`, if they begin with a signature.
fn record<'a>(bytes: &'a [u8], at: u64, tag: [u8; 2], what: &'static str) -> Result<&'a [u8], ArchiveError> {
    usize::try_from(at)
        .ok()
        .and_then(|at| bytes.get(at..))
        .filter(|rest| rest.starts_with(&[b'P', b'K', tag[0], tag[1]]))
        .ok_or(ArchiveError::Record { record: what, offset: at })
}

/// Where the directory is.
struct Directory {
    start: u64,
    bytes: u64,
    entries: u64,
}

/// The end record, 64-bit or not.
fn directory(bytes: &[u8]) -> Result<Directory, ArchiveError> {
    const END: usize = 22;
    let last = bytes.len().checked_sub(END).ok_or(ArchiveError::NoEnd)?;
    let at = (last.saturating_sub(0xffff)..=last)
        .rev()
        .find(|&at| {
            bytes[at..].starts_with(b"PK\x05\x06")
                && le16(bytes, at + 20).is_some_and(|comment| at + END + usize::from(comment) == bytes.len())
        })
        .ok_or(ArchiveError::NoEnd)?;
    let end = &bytes[at..];
    let short = |i| le16(end, i).ok_or(ArchiveError::NoEnd);
    let word = |i| le32(end, i).ok_or(ArchiveError::NoEnd);
    let plain = Directory {
        start: u64::from(word(16)?),
        bytes: u64::from(word(12)?),
        entries: u64::from(short(10)?),
    };
    let wide = plain.start == 0xffff_ffff || plain.bytes == 0xffff_ffff || plain.entries == 0xffff;
    if !wide {
        if short(4)? != 0 || short(6)? != 0 || short(8)? != short(10)? {
            return Err(ArchiveError::Volumes);
        }
        return Ok(plain);
    }
    let locator = (at as u64).checked_sub(20).ok_or(ArchiveError::NoEnd)?;
    let what = "64-bit locator";
    let found = record(bytes, locator, [6, 7], what)?;
    let offset = le64(found, 8).ok_or(ArchiveError::Record { record: what, offset: locator })?;
    let what = "64-bit end record";
    let end = record(bytes, offset, [6, 6], what)?;
    let wide = |i| le64(end, i).ok_or(ArchiveError::Record { record: what, offset });
    if le64(end, 16) != Some(0) || wide(24)? != wide(32)? {
        return Err(ArchiveError::Volumes);
    }
    Ok(Directory { start: wide(48)?, bytes: wide(40)?, entries: wide(32)? })
}

/// The 64-bit values of an extra field, in the order in which the 32-bit ones are saturated.
fn wide_values(mut extra: &[u8]) -> Option<&[u8]> {
    while let (Some(id), Some(size)) = (le16(extra, 0), le16(extra, 2)) {
        let value = extra.get(4..4 + usize::from(size))?;
        if id == 1 {
            return Some(value);
        }
        extra = &extra[4 + usize::from(size)..];
    }
    None
}

impl<'a> Archive<'a> {
    /// Reads the directory; the entries stay packed.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let end = directory(bytes)?;
        let mut rest = end
            .start
            .checked_add(end.bytes)
            .and_then(|to| bytes.get(usize::try_from(end.start).ok()?..usize::try_from(to).ok()?))
            .ok_or(ArchiveError::Record { record: "directory", offset: end.start })?;
        let contents = &bytes[..end.start as usize];
        let mut entries = Vec::new();
        let mut positions = BTreeMap::new();
        let mut ranges = Vec::new();
        let mut count = 0;
        while !rest.is_empty() {
            let (entry, range, used) =
                Self::entry(contents, rest, count).unwrap_or(Err(ArchiveError::Record {
                    record: "directory entry",
                    offset: end.start + end.bytes - rest.len() as u64,
                }))?;
            rest = &rest[used..];
            count += 1;
            if positions.insert(entry.name, entries.len()).is_some() {
                return Err(ArchiveError::Duplicate { name: entry.name.to_owned() });
            }
            ranges.push((range, entry.name));
            entries.push(entry);
        }
        if count as u64 != end.entries {
            return Err(ArchiveError::Record {
                record: "further directory entry",
                offset: end.start + end.bytes,
            });
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if pair[1].0.0 < pair[0].0.1 {
                return Err(ArchiveError::Overlap { name: pair[1].1.to_owned() });
            }
        }
        Ok(Self { entries, positions })
    }

    /// One entry, its bytes in the file and the length of its directory record; `None` if that is cut short.
    #[expect(clippy::type_complexity, reason = "read once, right above")]
    fn entry(
        contents: &'a [u8],
        directory: &'a [u8],
        position: usize,
    ) -> Option<Result<(Entry<'a>, (usize, usize), usize), ArchiveError>> {
        if !directory.starts_with(b"PK\x01\x02") {
            return None;
        }
        let length = |at| le16(directory, at).map(usize::from);
        let (name_bytes, extra_bytes, comment_bytes) = (length(28)?, length(30)?, length(32)?);
        let used = 46 + name_bytes + extra_bytes + comment_bytes;
        directory.get(..used)?;
        let raw_name = &directory[46..46 + name_bytes];
        let Ok(name) = std::str::from_utf8(raw_name) else {
            return Some(Err(ArchiveError::Name { entry: position }));
        };
        let owned = || name.to_owned();
        let mut wide = wide_values(&directory[46 + name_bytes..][..extra_bytes]).unwrap_or_default();
        let mut value = |at| {
            let narrow = le32(directory, at)?;
            if narrow != 0xffff_ffff {
                return Some(u64::from(narrow));
            }
            let value = le64(wide, 0)?;
            wide = &wide[8..];
            Some(value)
        };
        let (size, packed, offset) = (value(24)?, value(20)?, value(42)?);
        let (flags, method) = (le16(directory, 8)?, le16(directory, 10)?);
        if flags & 1 != 0 {
            return Some(Err(ArchiveError::Encrypted { name: owned() }));
        }
        if method != 0 && method != 8 {
            return Some(Err(ArchiveError::Method { name: owned(), method }));
        }
        let what = "entry of this name";
        let missing = || ArchiveError::Record { record: what, offset };
        let local = match record(contents, offset, [3, 4], what) {
            Ok(local) => local,
            Err(error) => return Some(Err(error)),
        };
        let header = le16(local, 26).zip(le16(local, 28)).map(|(n, e)| (usize::from(n), usize::from(e)));
        let Some((local_name, local_extra)) = header else { return Some(Err(missing())) };
        if local.get(30..30 + local_name) != Some(raw_name) {
            return Some(Err(missing()));
        }
        let from = 30 + local_name + local_extra;
        let data = usize::try_from(packed).ok().and_then(|packed| local.get(from..from.checked_add(packed)?));
        let Some(data) = data else { return Some(Err(ArchiveError::Size { name: owned(), size: packed })) };
        if method == 0 && size != packed {
            return Some(Err(ArchiveError::Size { name: owned(), size }));
        }
        let start = offset as usize;
        let range = (start, start + from + data.len());
        let entry = Entry { name, deflated: method == 8, crc: le32(directory, 16)?, size, data };
        Some(Ok((entry, range, used)))
    }

    /// The names of files, in the directory's order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.name).filter(|name| !name.ends_with('/'))
    }

    /// The bytes of an entry; `None` if there is none of this name.
    pub(super) fn read(
        &self,
        name: &str,
        budget: &mut Budget,
    ) -> Result<Option<Cow<'a, [u8]>>, ArchiveError> {
        let Some(entry) = self.positions.get(name).map(|&i| &self.entries[i]) else { return Ok(None) };
        let bytes = if entry.deflated {
            budget
                .take(entry.size)
                .map_err(|source| ArchiveError::TooMuch { name: name.to_owned(), source })?;
            let wrong = || ArchiveError::Size { name: name.to_owned(), size: entry.size };
            // Paid for, so that nothing is taken while it grows.
            let mut bytes = Vec::with_capacity(usize::try_from(entry.size).map_err(|_| wrong())? + 1);
            flate2::read::DeflateDecoder::new(entry.data)
                .take(entry.size.saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(|_| wrong())?;
            if bytes.len() as u64 != entry.size {
                return Err(wrong());
            }
            Cow::Owned(bytes)
        } else {
            Cow::Borrowed(entry.data)
        };
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        if crc.sum() != entry.crc {
            let (wanted, found) = (entry.crc, crc.sum());
            return Err(ArchiveError::Damaged { name: name.to_owned(), wanted, found });
        }
        Ok(Some(bytes))
    }
}
