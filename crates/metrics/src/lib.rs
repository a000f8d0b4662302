//! Scores of a trial, outcomes, and the statistics of a cell.
#![forbid(unsafe_code)]
