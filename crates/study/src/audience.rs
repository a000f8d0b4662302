//! Who hears how a study goes on, and can end it.

use radhard_campaign::Watch;

/// Told what happens; every method has a silent default.
pub trait Audience: Watch {
    /// A step within a stage: so much of so much is done.
    fn step(&self, _done: u64, _of: u64) {}
    /// A stage ended, in a few words.
    fn done(&self, _what: &str) {}
}

/// Says nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silence;

impl Watch for Silence {}
impl Audience for Silence {}
