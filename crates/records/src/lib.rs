//! What trials leave: schema, writer, reader, export.
//!
//! A campaign's output directory holds one SQLite file, [`FILE`]: a header that says which plan it belongs to, one row per
//! golden run, one per cell, one per trial. [`Store`] writes it in transactions that survive the death of the process at any
//! instant, continues it, and reads it; [`export`] turns it into csv, and [`Store::digest`] into one number that is equal
//! exactly when two campaigns recorded the same trials. The tables are a documented interface: docs/formats/records.md.
#![forbid(unsafe_code)]

pub mod cell;
mod checks;
mod checksum;
mod connection;
pub mod digest;
pub mod error;
pub mod export;
mod fields;
pub mod golden;
pub mod header;
pub mod metric;
mod migration;
pub mod protection;
mod rows;
mod schema;
pub mod score;
pub mod statistics;
pub mod store;
pub mod trial;

pub use cell::{Cell, CellId, CellKey, Prediction, PredictionKind};
pub use digest::Covers;
pub use error::RecordsError;
pub use golden::{Golden, SubjectKey};
pub use header::{Difference, Header};
pub use metric::Metrics;
pub use protection::{ProtectionCost, TimeRatio};
pub use statistics::CellRecord;
pub use store::{FILE, Store};
pub use trial::{Noticed, Path, Trial};
