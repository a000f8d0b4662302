//! Virtual chips: one trial is one chip.

use crate::{ExposedParameter, StreamKey};

/// A virtual chip: every bit and every word of every parameter has one arrival value in [0, 1) on it, which depends on
/// nothing but the chip and the name, shape and format of the parameter. At rate p the sites with arrival < p are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Chip {
    /// Seed of the campaign.
    pub seed: u64,
    /// Number of the trial.
    pub trial: u64,
}

impl Chip {
    /// The chip of a trial.
    pub const fn new(seed: u64, trial: u64) -> Self {
        Self { seed, trial }
    }

    /// The key of all streams of a parameter on this chip.
    pub fn key(self, parameter: &ExposedParameter) -> StreamKey {
        StreamKey::new(self.seed, self.trial, parameter.hash)
    }
}
