//! The bytes of a data set, mapped from its file or in memory.

use std::ops::{Deref, Range};

use radhard_memory::{Buffer, Mapped};

/// The bytes of a data set.
pub(crate) enum Bytes {
    Mapped(Mapped),
    Owned(Buffer<u8>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(buffer) => buffer,
        }
    }
}

impl Bytes {
    /// Gives a range back to the system where it is read from a file.
    pub(crate) fn release(&self, range: Range<usize>) {
        if let Self::Mapped(map) = self {
            map.release(range);
        }
    }
}
