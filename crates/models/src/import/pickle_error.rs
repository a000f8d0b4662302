//! Errors of a pickle.

use thiserror::Error;

use super::budget::TooMuch;
use super::pickle::MAX_BYTES;

/// The reason why a pickle is refused.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum PickleError {
    /// More bytes than the names and shapes of any model.
    #[error("the pickle has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It ends inside an instruction, or before its last.
    #[error("the pickle ends at byte {offset}, inside an instruction or before the last one")]
    Truncated {
        /// Where more was needed.
        offset: usize,
    },
    /// A protocol that is not read.
    #[error("pickle protocol {version}; 2 to 5 are read")]
    Protocol {
        /// Its number.
        version: u8,
    },
    /// An instruction that no state dict needs.
    #[error("pickle byte {offset}: opcode 0x{opcode:02x} is refused")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Where it is.
        offset: usize,
    },
    /// A name that would be called.
    #[error(
        "pickle byte {offset}: {name} is refused; only tensors, dicts and modules are read, nothing is called"
    )]
    Refused {
        /// Module and name.
        name: String,
        /// Where the call is.
        offset: usize,
    },
    /// The stack has fewer values than an instruction takes, or no mark.
    #[error("pickle byte {offset}: the stack has too few values")]
    Stack {
        /// Where the instruction is.
        offset: usize,
    },
    /// A memo that was never set.
    #[error("pickle byte {offset}: memo {index} was never set")]
    Memo {
        /// Its number.
        index: u32,
        /// Where it is read.
        offset: usize,
    },
    /// Bytes that are no text.
    #[error("pickle byte {offset}: text is not UTF-8")]
    Text {
        /// Where it begins.
        offset: usize,
    },
    /// Values that take far more memory than the file.
    #[error("pickle byte {offset}: {source}")]
    TooMuch {
        /// The limit.
        source: TooMuch,
        /// Where the instruction is.
        offset: usize,
    },
    /// A value of the wrong kind.
    #[error("pickle byte {offset}: {found} where {wanted} has to be")]
    Operand {
        /// The operand that the instruction takes.
        wanted: &'static str,
        /// The operand that it was given.
        found: String,
        /// Where the instruction is.
        offset: usize,
    },
}
