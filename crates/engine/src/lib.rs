//! Exact evaluation of a faulty model at the cost of its faults.
//!
//! A golden pass over all rows is made once, with what is worth keeping of it. What a chip then changes is evaluated in the
//! cheapest of these ways, and all give the same bits (docs/exactness.md):
//!
//! - nothing changed that a row reads: the golden scores;
//! - *rows*: words of tables changed, so the rows that read them are evaluated again ([`Readers`] knows them);
//! - *layers*: words outside the tables changed, so all rows are evaluated from the first changed layer on, from kept values,
//!   for many chips in one pass ([`Crew`]); and the rows that read changed tables in full;
//! - *full*: all rows from their inputs, with the words written into the model under a guard.
#![forbid(unsafe_code)]

mod acted;
mod changes;
mod crew;
mod engine;
pub mod lend;
mod readers;
mod upsets;

pub use acted::{Acted, Under};
pub use changes::{Changes, Written};
pub use crew::Crew;
pub use engine::{Engine, Exposed, Outcome, Way, Work};
pub use lend::LentModel;
pub use readers::Readers;
pub use upsets::{Computed, Transients};
