//! Protections of stored words.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod law_residuals;
mod memory;
mod reading;
