//! Protections of stored words, activations and results, and what they cost.
//!
//! A [`Combination`], read from a text such as `sbp=tmr:30` or `range-guard:row+clip:paper`, is prepared for a model and
//! becomes a [`Protected`]: it says what memory exposes (check bits and copies included), and turns what a chip did there
//! into what readers get, with the [`Events`] that it noticed.
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "loops over all values take the instruction set of the function that they are inlined into"
)]

pub mod activations;
mod combination;
mod parse;
mod protection;
pub mod results;
pub mod stored;
mod touched;

pub use combination::{Combination, NONE, Protected, ProtectedExposure, ReadWork, StageBounds};
pub use parse::{ParseError, parse_protection};
pub use protection::{
    Checked, Cost, Events, Kept, LayerBounds, Prepared, ProtectError, Protection, SliceReader, Subject,
    Touched,
};
