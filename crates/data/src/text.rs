//! Text files, plain or gzip, handed out in batches of whole lines.
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use radhard_memory::open_stream;

use crate::prepare::PrepareError;

const BATCH_BYTES: usize = 32 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

enum Source {
    Stream { reader: Box<dyn Read>, buffer: Vec<u8>, position: usize, ended: bool, read: Arc<AtomicU64> },
    Given { bytes: Vec<u8>, position: usize },
}

/// A file that counts the bytes read from it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A text being read from its beginning to its end.
pub(crate) struct Text {
    path: PathBuf,
    source: Source,
    batch_bytes: usize,
    total: u64,
}

impl Text {
    /// Opens a file or a pipe; gzip is known by its first two bytes.
    ///
    /// The file is read batch by batch, so memory does not grow with it.
    pub(crate) fn open(path: &Path) -> Result<Self, PrepareError> {
        let failed = |source| PrepareError::Read { path: path.to_owned(), source };
        let (file, length) = open_stream(path).map_err(failed)?;
        let read = Arc::new(AtomicU64::new(0));
        let mut file = BufReader::with_capacity(1 << 18, Counted { file, read: Arc::clone(&read) });
        let zipped = file.fill_buf().map_err(failed)?.starts_with(b"\x1f\x8b");
        let reader: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let source = Source::Stream { reader, buffer: Vec::new(), position: 0, ended: false, read };
        Self { path: path.to_owned(), source, batch_bytes: BATCH_BYTES, total: length.unwrap_or(0) }
            .without_mark()
    }

    /// A text in memory, called `name` in messages.
    pub(crate) fn given(name: &str, bytes: Vec<u8>) -> Result<Self, PrepareError> {
        let total = bytes.len() as u64;
        let source = Source::Given { bytes, position: 0 };
        Self { path: name.into(), source, batch_bytes: BATCH_BYTES, total }.without_mark()
    }

    /// The same text in batches of another size.
    #[cfg(test)]
    pub(crate) fn in_batches_of(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    fn without_mark(mut self) -> Result<Self, PrepareError> {
        self.fill(BYTE_ORDER_MARK.len())?;
        if self.rest().starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len());
        }
        Ok(self)
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file; 0 of a pipe, which does not say.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Bytes of the file that were read.
    pub(crate) fn done_bytes(&self) -> u64 {
        match &self.source {
            Source::Given { position, .. } => *position as u64,
            // A file that grows while it is read has more than it had.
            Source::Stream { read, .. } => read.load(Ordering::Relaxed).min(self.total),
        }
    }

    /// The next line without its end; `None` at the end of the text.
    pub(crate) fn line(&mut self) -> Result<Option<Vec<u8>>, PrepareError> {
        self.fill(self.batch_bytes + 1)?;
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let (length, end) = match memchr::memchr(b'\n', rest) {
            Some(at) => (at, at + 1),
            None if self.at_end() => (rest.len(), rest.len()),
            None => return Err(PrepareError::LongLine { path: self.path.clone(), limit: self.batch_bytes }),
        };
        let line = without_return(&rest[..length]).to_vec();
        self.advance(end);
        Ok(Some(line))
    }

    /// The next lines, whole, the last one of the text perhaps without its end; `None` at the end of the text.
    pub(crate) fn batch(&mut self) -> Result<Option<&[u8]>, PrepareError> {
        self.fill(self.batch_bytes + 1)?;
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let length = if rest.len() <= self.batch_bytes && self.at_end() {
            rest.len()
        } else {
            let window = &rest[..rest.len().min(self.batch_bytes)];
            match memchr::memrchr(b'\n', window) {
                Some(at) => at + 1,
                None => {
                    return Err(PrepareError::LongLine { path: self.path.clone(), limit: self.batch_bytes });
                }
            }
        };
        let start = self.advance(length);
        Ok(Some(&self.bytes()[start..start + length]))
    }

    /// Reads on until `wanted` bytes lie ready or the text ends.
    fn fill(&mut self, wanted: usize) -> Result<(), PrepareError> {
        let Source::Stream { reader, buffer, position, ended, .. } = &mut self.source else { return Ok(()) };
        if *ended || buffer.len() - *position >= wanted {
            return Ok(());
        }
        buffer.drain(..*position);
        *position = 0;
        let missing = (wanted - buffer.len()) as u64;
        let read = reader.by_ref().take(missing).read_to_end(buffer);
        let read = read.map_err(|source| PrepareError::Read { path: self.path.clone(), source })?;
        *ended = (read as u64) < missing;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::Stream { buffer: bytes, .. } | Source::Given { bytes, .. } => bytes,
        }
    }

    fn rest(&self) -> &[u8] {
        match &self.source {
            Source::Stream { position, .. } | Source::Given { position, .. } => &self.bytes()[*position..],
        }
    }

    fn at_end(&self) -> bool {
        match &self.source {
            Source::Stream { ended, .. } => *ended,
            Source::Given { .. } => true,
        }
    }

    /// Passes over `length` bytes and says where they began.
    fn advance(&mut self, length: usize) -> usize {
        match &mut self.source {
            Source::Stream { position, .. } | Source::Given { position, .. } => {
                *position += length;
                *position - length
            }
        }
    }
}

/// A line without the carriage return of its end.
pub(crate) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The lines of some whole lines, without their ends.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (length, end) = memchr::memchr(b'\n', rest).map_or((rest.len(), rest.len()), |at| (at, at + 1));
        let line = &rest[..length];
        rest = &rest[end..];
        Some(without_return(line))
    })
}

/// Some whole lines in pieces of about `length` bytes, again of whole lines.
pub(crate) fn pieces(bytes: &[u8], length: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let from = length.min(rest.len());
        let end = memchr::memchr(b'\n', &rest[from..]).map_or(rest.len(), |at| from + at + 1);
        let (piece, later) = rest.split_at(end);
        pieces.push(piece);
        rest = later;
    }
    pieces
}

/// The file that `input` means: itself, or in a directory the first of `names` (also with `.gz`) that is there.
pub(crate) fn locate(input: &Path, names: &[&str]) -> Result<PathBuf, PrepareError> {
    let metadata = std::fs::metadata(input)
        .map_err(|source: io::Error| PrepareError::Read { path: input.to_owned(), source })?;
    if !metadata.is_dir() {
        return Ok(input.to_owned());
    }
    names
        .iter()
        .flat_map(|name| [input.join(name), input.join(format!("{name}.gz"))])
        .find(|path| path.is_file())
        .ok_or_else(|| PrepareError::NoFile { directory: input.to_owned(), names: names.join(" or ") })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all_lines(mut text: Text) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(batch) = text.batch().unwrap() {
            for piece in pieces(batch, 4) {
                found.extend(lines(piece).map(|line| String::from_utf8(line.to_vec()).unwrap()));
            }
        }
        found
    }

    #[test]
    fn lines_are_the_same_in_any_batches_plain_or_gzip() {
        let content = "\u{feff}one\r\ntwo\n\nfour, longer\nfive";
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("a");
        std::fs::write(&plain, content).unwrap();
        let zipped = dir.path().join("a.gz");
        let mut encoder = flate2::write::GzEncoder::new(
            std::fs::File::create(&zipped).unwrap(),
            flate2::Compression::best(),
        );
        encoder.write_all(content.as_bytes()).unwrap();
        encoder.finish().unwrap();
        let expected = ["one", "two", "", "four, longer", "five"];
        for bytes in [13, 14, 20, 1000] {
            for path in [&plain, &zipped] {
                assert_eq!(all_lines(Text::open(path).unwrap().in_batches_of(bytes)), expected, "{bytes}");
            }
            let given = Text::given("a", content.as_bytes().to_vec()).unwrap();
            assert_eq!(all_lines(given.in_batches_of(bytes)), expected);
        }
    }

    #[test]
    fn a_line_longer_than_a_batch_is_an_error() {
        let text = Text::given("a", b"one\nmuch longer\n".to_vec()).unwrap();
        let mut text = text.in_batches_of(5);
        assert_eq!(text.batch().unwrap().unwrap(), b"one\n");
        assert!(matches!(text.batch(), Err(PrepareError::LongLine { limit: 5, .. })));
    }

    #[test]
    fn a_cut_gzip_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&b"line\n".repeat(100)).unwrap();
        let zipped = encoder.finish().unwrap();
        std::fs::write(&path, &zipped[..zipped.len() - 9]).unwrap();
        let error = Text::open(&path).and_then(|mut text| text.batch().map(|_| ())).unwrap_err();
        assert!(matches!(error, PrepareError::Read { .. }), "{error}");
    }

    #[test]
    fn a_directory_means_the_file_in_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(locate(dir.path(), &["u.data"]), Err(PrepareError::NoFile { .. })));
        let zipped = dir.path().join("u.data.gz");
        std::fs::write(&zipped, "").unwrap();
        assert_eq!(locate(dir.path(), &["ratings.dat", "u.data"]).unwrap(), zipped);
        assert_eq!(locate(&zipped, &[]).unwrap(), zipped);
        assert!(locate(&dir.path().join("no"), &["u.data"]).is_err());
    }
}
