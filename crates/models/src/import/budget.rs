//! How many bytes may be made out of a file.

use thiserror::Error;

/// Bytes that any file may become.
const FLOOR: u64 = 64 << 20;

/// Times its own length that a longer file may become besides.
const TIMES: u64 = 16;

/// A file that would become far larger than it is.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error(
    "{wanted} more bytes were to be made out of the file, {left} are left of {FLOOR} and {TIMES} times its length"
)]
pub struct TooMuch {
    /// The bytes asked for.
    pub wanted: u64,
    /// The bytes left.
    pub left: u64,
}

/// What is left of a file's allowance.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) fn of(file_bytes: usize) -> Self {
        Self { left: FLOOR.saturating_add((file_bytes as u64).saturating_mul(TIMES)) }
    }

    /// Spends bytes before they are allocated.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), TooMuch> {
        let left = self.left;
        self.left = left.checked_sub(bytes).ok_or(TooMuch { wanted: bytes, left })?;
        Ok(())
    }
}
