//! Ratings and tables in, one mapped data set with a stored split out.
//!
//! [`prepare`] reads the original files, [`synth`] makes stand-ins for them; both write one prepared file, whose format
//! is described in `docs/formats/data.md`. [`DataSet::open`] maps it back, checked.
//!
//! Letters of shapes: B rows, F categorical fields, N numeric columns.
#![forbid(unsafe_code)]
#[cfg(target_endian = "big")]
compile_error!("prepared files are mapped as little-endian words");

mod assembly;
mod bad_line;
mod bags;
mod bytes;
mod column;
mod criteo;
mod criteo_line;
mod criteo_shape;
mod csv;
mod data_set;
mod dummy;
pub mod embedded;
mod file;
mod fingerprint;
mod id_rule;
mod info;
mod key_table;
mod layout;
mod meta;
mod movielens;
mod open_error;
mod parquet;
mod parquet_pages;
mod part;
mod planted;
mod popularity;
pub mod prepare;
mod progress;
mod random;
mod row_reader;
mod row_writer;
mod rows;
mod shape;
mod split;
pub mod synth;
mod table;
mod text;
mod vocabulary;

pub use bad_line::{BadLine, BadLines, NAMED_BAD_LINES, Reason};
pub use bags::{Bags, BagsView};
pub use data_set::DataSet;
pub use file::Columns;
pub use id_rule::UNDECLARED_DIM;
pub use info::{FieldInfo, Info, PartInfo};
pub use meta::{FORMAT_VERSION, IdRule, Meta, Planted, SplitMeta};
pub use open_error::OpenError;
pub use part::Part;
pub use progress::{Progress, Report, Stage};
pub use row_reader::RowReader;
pub use rows::{Rows, RowsView};
pub use split::{Split, SplitRatio};
pub use vocabulary::Vocabulary;

/// A word that names nothing, with the words that would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct UnknownWord {
    /// What was given.
    pub value: String,
    /// What can be given.
    pub expected: &'static str,
}
