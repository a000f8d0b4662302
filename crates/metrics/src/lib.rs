//! Scores of a trial, outcomes, and the statistics of a cell.
//!
//! A *trial* is one model evaluated once, under one set of faults; its scores are [`TrialScores`]. The *golden* run
//! is the same without faults. A *cell* is many trials that differ in the *chip* alone; its statistics are
//! [`CellStatistics`]. The chip is the unit of every interval, never the row.
//!
//! # Terms
//!
//! - **non-finite**: a row whose probability is NaN. It is counted, and [`NonFinite`] says what a service would put
//!   in its place; three AUCs show what hangs on that ([`Aucs`]).
//! - **saturated**: a row whose logit is infinite; its probability is 0 or 1 and ranks as such.
//! - **outcome**: recovered, DUE, masked, tolerable or SDC ([`Outcome`]), the first that applies.
//! - **known**: a chip without an effective flip; it equals golden and is not run. Its probability P0 is exact, so the
//!   mean over all chips is P0 · golden + (1 - P0) · mean over the others.
//! - **defined**: a score or statistic without a value is `None`, never a sentinel.
//!
//! # Precision
//!
//! AUC is a ratio of two integers, rounded once where they are below 2^53 (n < 1.3e8 rows). Everything else is f64;
//! sums over rows and users are taken without rounding in units of 2^-90 or have a fixed tree ([`sum`]), exp and log come from
//! `libm`, so equal input gives equal bits on every machine.
//! Log loss is within 1e-13 relative of the plain sum, the incomplete beta function within 1e-10 for n up to 20,000.
//!
//! # Intervals
//!
//! | quantity | interval | claim |
//! |---|---|---|
//! | mean of a bounded score | hedged betting, Waudby-Smith & Ramdas 2024 ([`bounded`]) | at least 95 % at every n |
//! | the same, beside it | BCa bootstrap, Efron 1987 ([`bootstrap`]), n ≥ 30 and 5 distinct values | about 95 % |
//! | median, 95 % quantile | order statistics ([`mod@quantile`]), n ≥ 6, n ≥ 72 | at least 95 % |
//! | share of chips | Clopper–Pearson at every n, exact in P0 ([`proportion`]) | at least 95 % |
//! | tolerable rate, BER_50 | betting, one-sided at 2.5 % per rate, in fixed sequences ([`mod@bracket`]) | at least 95 % |
//! | several comparisons | paired betting or exact paired events, with Holm ([`mod@holm`]) | at most 5 % any wrong |
//! | mean where looks decide the n | betting at spent levels ([`stopping`]) | at least 95 % |
//! | mean at any rate from k flips | betting at 1 - 5 %/m, scores not rising with k ([`k_flips`]) | at least 95 % |
//! | vulnerability over strata | Clopper–Pearson at 1 - 5 %/m ([`mod@vulnerability`]) | at least 95 % |
//! | odds ratio | Cornfield given the margins; Woolf beside it ([`association`]) | at least, about 95 % |
//! | AUC over the choice of rows | DeLong 1988 ([`mod@delong`]) | about 95 % |
//!
//! # Example
//!
//! ```
//! use radhard_metrics::{Golden, Observed, Outcome, ScoreOptions, TrialScores};
//!
//! let (golden, labels) = ([0.9, 0.2, 0.6, 0.4], [1, 0, 1, 0]);
//! let observed = Observed { probabilities: &[0.9, 0.2, f32::NAN, 0.4], logits: None, labels: &labels };
//! let golden = Golden { probabilities: &golden, auc: Some(1.0) };
//! let scores = TrialScores::of(&observed, Some(&golden), &ScoreOptions::new(0.3));
//! assert_eq!((scores.auc, scores.auc_finite, scores.auc_worst), (Some(0.75), Some(1.0), Some(0.5)));
//! assert_eq!((scores.outcome, scores.non_finite), (Outcome::Due, 1));
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "loops over all rows take the instruction set of the function that they are inlined into"
)]

pub mod association;
pub mod auc;
pub mod beta;
pub mod bootstrap;
pub mod bounded;
pub mod bracket;
pub mod cell;
pub mod delong;
pub mod deviation;
mod distances;
mod exact_sum;
pub mod fit;
pub mod holm;
pub mod interval;
pub mod k_flips;
pub mod loss;
pub mod normal;
pub mod noticed;
mod order;
pub mod outcome;
pub mod paired;
pub mod proportion;
pub mod quantile;
pub mod ranking;
pub mod reference;
mod sparse_sum;
mod start_rows;
pub mod stopping;
mod stream;
pub mod sum;
pub mod tail;
pub mod tolerable;
pub mod top_k;
pub mod trial;
mod users;
pub mod vulnerability;

pub use association::{Concordance, OddsRatio, kendall, odds_ratio};
pub use auc::{AucCounts, Aucs, MannWhitney, NonFinite, auc};
pub use bootstrap::bootstrap_interval;
pub use bounded::{anderson_interval, betting_interval, betting_p_values};
pub use bracket::{Bracket, BracketStatus, RateInterval, chips_to_decide};
pub use cell::{CellSample, CellStatistics};
pub use delong::{DeLong, delong, delong_difference};
pub use holm::{holm, paired_event_p};
pub use interval::{Interval, Method, Sides};
pub use k_flips::{AtRate, Flipped, KFlipProfile};
pub use noticed::{Noticing, RowsNoticed};
pub use outcome::{Detection, Outcome, SampleOutcomes};
pub use paired::{ByChip, PairedDifference, paired_by_chip, paired_difference};
pub use proportion::{ChipCounts, Proportion, clopper_pearson, zero_event_bound};
pub use quantile::{median_interval, quantile_interval};
pub use ranking::Ranking;
pub use reference::{MetricsWork, Reference};
pub use stopping::{Looked, Step, StopReason, StopRule};
pub use tail::{LossBounds, LossSample, LossTail};
pub use tolerable::{RateLoss, RateSample, Reached, TolerableRate, half_of_lead, reached, tolerable_rate};
pub use top_k::{TopK, UserRows};
pub use trial::{Golden, Observed, Saturated, ScoreOptions, TrialScores};
pub use vulnerability::{Stratum, vulnerability};
