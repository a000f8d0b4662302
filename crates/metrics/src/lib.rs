//! Scores of a trial, outcomes, and the statistics of a cell.
#![forbid(unsafe_code)]

pub mod auc;
pub mod beta;
pub mod bootstrap;
pub mod bounded;
pub mod cell;
pub mod delong;
pub mod deviation;
pub mod interval;
pub mod loss;
pub mod normal;
pub mod outcome;
pub mod paired;
pub mod proportion;
pub mod quantile;
pub mod ranking;
pub mod sum;
pub mod top_k;
pub mod trial;

pub use auc::{AucCounts, Aucs, MannWhitney, NonFinite, auc};
pub use bootstrap::bootstrap_interval;
pub use bounded::{anderson_interval, betting_interval};
pub use cell::{CellSample, CellStatistics};
pub use delong::{DeLong, delong, delong_difference};
pub use interval::{Interval, Method, Sides};
pub use outcome::{Detection, Outcome, SampleOutcomes};
pub use paired::{PairedDifference, paired_difference};
pub use proportion::{Proportion, clopper_pearson, wilson, zero_event_bound};
pub use quantile::median_interval;
pub use ranking::Ranking;
pub use top_k::{TopK, UserRows};
pub use trial::{Golden, Observed, ScoreOptions, TrialScores};
