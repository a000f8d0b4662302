//! Protections of activations: clips and ranges behind layers.
//!
//! A NaN becomes 0 and counts as detected; a value beyond a bound is replaced in silence.

mod bounded;
mod profile;
mod quantile;
mod tuned;

pub use bounded::{Bounded, BoundsFrom, Place, Rule};
