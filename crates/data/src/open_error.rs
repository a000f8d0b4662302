//! Errors of a prepared file.
use radhard_memory::MapError;

use crate::meta::FORMAT_VERSION;

/// Why a file is no prepared data set.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The file is not in safetensors format, or cut short.
    #[error("not a whole safetensors file: {0}")]
    NotSafetensors(String),
    /// A safetensors file of something else.
    #[error("no metadata key `radhard.data`: the file was not written by `radhard data`")]
    Foreign,
    /// A prepared file of another version.
    #[error("data format version {found}, but this program reads version {FORMAT_VERSION}")]
    Version {
        /// The value in the file.
        found: String,
    },
    /// The metadata could not be read.
    #[error("metadata `radhard.data` cannot be read: {0}")]
    Meta(String),
    /// The metadata have a key that prepared files don't have.
    #[error("metadata key `{0}` is not one of a prepared file: the header is damaged")]
    UnknownKey(String),
    /// The metadata contradict themselves or the tensors.
    #[error("metadata `radhard.data`: {0}")]
    Contradiction(String),
    /// A tensor is missing.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// A tensor has another type or shape than the metadata ask for.
    #[error("tensor `{name}` is {found}, expected {expected}")]
    Tensor {
        /// The tensor.
        name: String,
        /// Type and shape in the file.
        found: String,
        /// Type and shape that the metadata ask for.
        expected: String,
    },
    /// A tensor does not begin on a multiple of its word.
    #[error("tensor `{0}` does not begin on a multiple of its word")]
    Misaligned(String),
    /// An index is outside its field.
    #[error("row {row}: index {value} of field `{field}` is not below its dim {dim}")]
    Index {
        /// The row, from 0.
        row: u64,
        /// The field.
        field: String,
        /// The index.
        value: u32,
        /// Rows of the field.
        dim: u32,
    },
    /// A numeric value is NaN or infinite.
    #[error("row {row}: value {value} of column `{column}` is not finite")]
    Numeric {
        /// The row, from 0.
        row: u64,
        /// The column.
        column: String,
        /// The value.
        value: f32,
    },
    /// A label is neither 0 nor 1.
    #[error("row {row}: label {value} is neither 0 nor 1")]
    Label {
        /// The row, from 0.
        row: u64,
        /// The label.
        value: u8,
    },
    /// A part is none of train, validation, test.
    #[error("row {row}: part {value} is none of 0 train, 1 validation, 2 test")]
    Part {
        /// The row, from 0.
        row: u64,
        /// The code.
        value: u8,
    },
    /// A bag's end, or an index in a bag, is out of range.
    #[error("row {row}: {reason}")]
    Bag {
        /// The row, from 0.
        row: u64,
        /// The reason.
        reason: String,
    },
    /// The rows are not those that the file was written with.
    #[error("fingerprint {computed}, but the file was written with {stored}: it is damaged, prepare it anew")]
    Fingerprint {
        /// That of the rows as they are.
        computed: String,
        /// The one in the metadata.
        stored: String,
    },
    /// The description, a vocabulary or the list of tensors is not what the file was written with.
    #[error(
        "checksum {computed} of description and vocabularies, but the file was written with {stored}: it is damaged, prepare it anew"
    )]
    Checksum {
        /// That of the file as it is.
        computed: String,
        /// The one in the metadata.
        stored: String,
    },
    /// A vocabulary cannot be read.
    #[error("vocabulary of field `{field}`: {reason}")]
    Vocabulary {
        /// The field.
        field: String,
        /// The reason.
        reason: String,
    },
}
