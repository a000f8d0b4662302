//! Tables, figures and the page, from records only.
//!
//! [`Summary::of`] reads a campaign's records once and works out what every output shows: the terminal table, the JSON of
//! `report --json`, the figures, and the page. Nothing here runs a model.
#![forbid(unsafe_code)]

pub mod advice;
pub mod benefit;
pub mod chart;
pub mod crossing;
pub mod deviation;
pub mod drawing;
pub mod embedded;
pub mod files;
pub mod finding;
pub mod folio;
pub mod heat;
pub mod noticing;
pub mod page;
pub mod panel;
pub mod png;
pub mod quantity;
pub mod summary;
pub mod svg;
pub mod terminal;

pub use benefit::{Benefit, Gain};
pub use crossing::Crossing;
pub use deviation::Deviation;
pub use files::{ReportError, write_all};
pub use noticing::{Noticing, Share};
pub use panel::{Curve, Panel};
pub use summary::{CellLine, GoldenLine, Summary};
pub use terminal::terminal_table;
