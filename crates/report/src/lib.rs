//! Tables, figures and the page, from records only.
//!
//! [`Summary::of`] reads a campaign's records once and computes what every output shows: the text for terminals, the JSON of
//! `report --json`, the figures, and the page. Nothing here runs a model.
#![forbid(unsafe_code)]

pub mod advice;
pub mod benefit;
pub mod bound;
pub mod boxes;
pub mod chart;
pub mod chips;
pub mod comparison;
pub mod crossing;
pub mod deviation;
pub mod drawing;
pub mod embedded;
pub mod files;
pub mod finding;
pub mod folio;
pub mod heat;
mod leading;
pub mod noticing;
pub mod page;
pub mod panel;
mod part;
pub mod png;
pub mod prediction;
pub mod progress;
pub mod quantity;
pub mod rival;
mod sentence;
pub mod summary;
pub mod svg;
pub mod terminal;
mod terms;

pub use advice::{Advice, UnknownRate};
pub use benefit::{Benefit, Gain};
pub use bound::{BoundCheck, BoundError, BoundVerdict, FailIf};
pub use boxes::DecisionBox;
pub use chips::Grade;
pub use comparison::{Comparison, ComparisonError};
pub use crossing::Crossing;
pub use deviation::Deviation;
pub use files::{Extras, ReportError, write_all};
pub use finding::{Finding, Limit};
pub use noticing::{Noticing, Share};
pub use panel::{Curve, Panel};
pub use prediction::Verdict;
pub use progress::Progress;
pub use rival::First;
pub use summary::{CellLine, GoldenLine, Summary};
pub use terminal::{terminal_cells, terminal_summary};
