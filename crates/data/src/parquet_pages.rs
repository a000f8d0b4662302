//! A look at the headers of a Parquet file before the library reads them.
//!
//! The library believes what a header says: a list of two billion entries that are not there keeps it busy for minutes, and a page that
//! says it unpacks to two gigabytes gets them. So footers and page headers are walked here first, in bounds and in their own bytes.
//!
//! Source: Thrift's compact protocol and parquet.thrift. Lists of booleans and maps, which no such header has, are refused: the library
//! passes over them in another way than they are written.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use parquet::file::metadata::ColumnChunkMetaData;

/// Bytes at the end of a file: the length of its footer and the mark.
const TAIL_BYTES: u64 = 8;
/// Structures within structures.
const MAX_DEPTH: usize = 32;
/// Bytes that most page headers fit into; a longer one is read again, whole.
const USUAL_HEADER_BYTES: u64 = 4096;
/// Bytes of a page header, whose statistics may hold values of the column.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// Bytes that any page may unpack to, and how many for each of its packed ones besides.
const UNPACKED: (u64, u64) = (64 << 20, 100);

/// Why a header can't be read, in words.
pub(crate) type Reason = String;

/// Checks the footer of a file.
pub(crate) fn check_footer(file: &mut File) -> Result<(), Reason> {
    let wrong = |error: io::Error| error.to_string();
    let length = file.seek(SeekFrom::End(0)).map_err(wrong)?;
    let begin = length.checked_sub(TAIL_BYTES).ok_or("the file is too short for a footer")?;
    let tail = read(file, begin, TAIL_BYTES).map_err(wrong)?;
    let footer = tail.iter().take(4).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let start = begin.checked_sub(footer).filter(|_| tail.ends_with(b"PAR1"));
    let start = start.ok_or("the file does not end with a Parquet footer")?;
    radhard_memory::need(footer).map_err(|error| format!("the footer: {error}"))?;
    let bytes = read(file, start, footer).map_err(wrong)?;
    Walk { bytes: &bytes, at: 0 }.structure(0, &mut |_, _| {}).ok_or("the footer is damaged")?;
    Ok(())
}

/// Checks the page headers of a column chunk.
pub(crate) fn check_pages(file: &mut File, chunk: &ColumnChunkMetaData) -> Result<(), Reason> {
    let name = || format!("column {}", chunk.column_path().string());
    let first = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let place =
        |value: i64| u64::try_from(value).map_err(|_| format!("{}: a negative offset or size", name()));
    let (mut at, bytes) = (place(first)?, place(chunk.compressed_size())?);
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let end = at.checked_add(bytes).filter(|end| *end <= length);
    let end = end.ok_or_else(|| format!("{}: its pages reach beyond the file", name()))?;
    while at < end {
        let header = page_header(file, at, end - at).map_err(|error| error.to_string())?;
        let header = header.ok_or_else(|| format!("{}: the page header at byte {at} is damaged", name()))?;
        let (allowed, each) = UNPACKED;
        let most = allowed.saturating_add(header.packed.saturating_mul(each));
        if header.unpacked > most {
            let Header { packed, unpacked, .. } = header;
            return Err(format!(
                "{}: the page at byte {at} says that its {packed} bytes unpack to {unpacked}; at most {most} are read",
                name()
            ));
        }
        at = at.saturating_add(header.bytes).saturating_add(header.packed);
        if at > end {
            return Err(format!("{}: a page reaches beyond the {bytes} bytes of its column", name()));
        }
    }
    Ok(())
}

fn read(file: &mut File, start: u64, bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut read = Vec::new();
    file.take(bytes).read_to_end(&mut read)?;
    if read.len() as u64 == bytes { Ok(read) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The parts of a page header that matter here.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Header {
    /// Its own length.
    bytes: u64,
    packed: u64,
    unpacked: u64,
}

/// The page header at a place with so many bytes after it; `None` where it is damaged.
fn page_header(file: &mut File, at: u64, available: u64) -> io::Result<Option<Header>> {
    for window in [USUAL_HEADER_BYTES, MAX_HEADER_BYTES] {
        let window = window.min(available);
        let header = Header::of(&read(file, at, window)?);
        if header.is_some() || window == available {
            return Ok(header);
        }
    }
    Ok(None)
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (mut packed, mut unpacked) = (None, None);
        let mut walk = Walk { bytes, at: 0 };
        walk.structure(0, &mut |field, value| match field {
            2 => unpacked = u64::try_from(value).ok(),
            3 => packed = u64::try_from(value).ok(),
            _ => {}
        })?;
        Some(Self { bytes: walk.at as u64, packed: packed?, unpacked: unpacked? })
    }
}

/// Bytes of Thrift's compact protocol, walked from their beginning; every step gives `None` at their end.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed number: its sign is in the lowest bit.
    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        self.at = Some(at).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    /// A structure; its own whole numbers are handed over with the numbers of their fields.
    fn structure(&mut self, depth: usize, take: &mut dyn FnMut(i64, i64)) -> Option<()> {
        if depth == MAX_DEPTH {
            return None;
        }
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == 0 {
                return Some(());
            }
            field = match head >> 4 {
                0 => self.signed()?,
                step => field.checked_add(i64::from(step))?,
            };
            match kind {
                // The value of a boolean is its kind.
                1 | 2 => {}
                4..=6 => take(field, self.signed()?),
                kind => self.value(kind, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let bytes = self.varint()?;
                self.pass(bytes)
            }
            9 | 10 => self.list(depth + 1),
            12 => self.structure(depth + 1, &mut |_, _| {}),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        if depth == MAX_DEPTH {
            return None;
        }
        let head = self.byte()?;
        let kind = head & 0x0f;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        // Each entry has a byte at least.
        if matches!(kind, 1 | 2) || count > (self.bytes.len() - self.at) as u64 {
            return None;
        }
        (0..count).try_for_each(|_| self.value(kind, depth))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A page header: field 2 is 300, field 3 is -1 or a size, field 5 a structure with a list of numbers and a text.
    fn header(packed: u8) -> Vec<u8> {
        let inner = [0x19, 0x25, 2, 4, 0x18, 3, b'a', b'b', b'c', 0];
        let mut bytes = vec![0x15, 0, 0x15, 0xd8, 0x04, 0x15, packed, 0x2c];
        bytes.extend(inner);
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_header_has_its_sizes_and_its_own_length() {
        let mut bytes = header(40);
        let length = bytes.len() as u64;
        bytes.extend([7; 9]);
        assert_eq!(Header::of(&bytes), Some(Header { bytes: length, packed: 20, unpacked: 300 }));
        // A negative size, and a header cut anywhere.
        assert_eq!(Header::of(&header(1)), None);
        for end in 0..length as usize {
            assert_eq!(Header::of(&bytes[..end]), None, "{end}");
        }
    }

    #[test]
    fn lists_longer_than_the_file_lists_of_booleans_and_maps_are_refused() {
        for field in [
            // A list of 2^28 doubles, one of 15 booleans, a map, a list of empty structures.
            vec![0x59, 0xf7, 0xff, 0xff, 0xff, 0x7f],
            vec![0x59, 0x21, 1, 1],
            vec![0x5b, 0],
            vec![0x59, 0xfc, 0xff, 0x7f],
        ] {
            let mut bytes = vec![0x25, 0x28, 0x15, 0x28];
            bytes.extend(field);
            bytes.extend([0; 40]);
            assert_eq!(Header::of(&bytes), None, "{bytes:?}");
        }
        assert!(Header::of(&[0x25, 0x28, 0x15, 0x28, 0]).is_some());
        // Structures within structures without end.
        assert_eq!(Header::of(&[0x1c; 4096]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_within_their_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut walk = Walk { bytes: &bytes, at: 0 };
            let _ = walk.structure(0, &mut |_, _| {});
            prop_assert!(walk.at <= bytes.len());
        }
    }
}
