//! The fingerprint of a data set: SHA-256 of dims and rows.
use sha2::{Digest, Sha256};

/// A fingerprint being computed, section by section, each with its length before it, all little-endian.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    hash: Sha256,
}

impl Fingerprint {
    /// The fingerprint of rows with these field dims.
    pub(crate) fn new(dims: &[u32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"radhard.data fingerprint 1\n");
        let mut fingerprint = Self { hash };
        fingerprint.section(bytemuck::cast_slice(dims));
        fingerprint
    }

    /// A section of `bytes` bytes begins.
    pub(crate) fn begin(&mut self, bytes: u64) {
        self.hash.update(bytes.to_le_bytes());
    }

    /// The next bytes of the section that began.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// A whole section.
    pub(crate) fn section(&mut self, bytes: &[u8]) {
        self.begin(bytes.len() as u64);
        self.add(bytes);
    }

    /// The fingerprint in hexadecimal.
    pub(crate) fn finish(self) -> String {
        hex(&self.hash.finalize())
    }
}

/// The checksum of what the fingerprint leaves out: the description, the vocabularies, and which tensors there are.
#[derive(Debug, Clone)]
pub(crate) struct Checksum {
    hash: Sha256,
}

impl Default for Checksum {
    fn default() -> Self {
        let mut hash = Sha256::new();
        hash.update(b"radhard.data checksum 1\n");
        Self { hash }
    }
}

impl Checksum {
    /// Takes the next tensor, in the order of names.
    pub(crate) fn tensor(&mut self, name: &str, dtype: &str, shape: &[usize]) {
        self.section(name.as_bytes());
        self.section(dtype.as_bytes());
        self.hash.update((shape.len() as u64).to_le_bytes());
        for length in shape {
            self.hash.update((*length as u64).to_le_bytes());
        }
    }

    /// Takes bytes with their length before them.
    pub(crate) fn section(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    /// The checksum in hexadecimal, of a file with this description.
    pub(crate) fn finish(mut self, description: &str) -> String {
        self.section(description.as_bytes());
        hex(&self.hash.finalize())
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |d: u8| char::from(b"0123456789abcdef"[usize::from(d)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
