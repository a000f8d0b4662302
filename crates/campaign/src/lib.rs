//! Plans, cells, the evaluation of chips, and campaigns that continue.
#![forbid(unsafe_code)]

pub mod cells;
mod entry;
pub mod evaluator;
pub mod files;
pub mod guard;
mod named;
pub mod plan;
pub mod prediction;
mod reading;
pub mod run;
pub mod selftest;
pub mod subject;
pub mod theory;
pub mod trial;
mod uncovered;
pub mod watch;

pub use plan::{CheckedPlan, Evaluation, Plan, PlanError, SubjectPaths};
pub use radhard_engine::lend;
pub use run::{How, RunError, RunReport, run};
pub use uncovered::Uncovered;
pub use watch::{Silent, Watch};
