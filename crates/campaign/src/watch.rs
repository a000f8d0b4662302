//! What a caller hears of a running campaign, and how it stops one.

use radhard_records::CellKey;

/// Told what happens; every method has a silent default.
pub trait Watch: Sync {
    /// The campaign's size: trials in all, and those that earlier runs left.
    fn size(&self, _trials: u64, _recorded: u64) {}
    /// A stage begins, in a few words.
    fn stage(&self, _what: &str) {}
    /// A cell begins.
    fn cell(&self, _key: &CellKey) {}
    /// Trials were recorded, so many on each path, in the order of [`Path::ALL`](radhard_records::Path::ALL).
    fn recorded(&self, _paths: &[u64; 4]) {}
    /// Asked between trials: true ends the campaign with everything so far recorded.
    fn stop(&self) -> bool {
        false
    }
}

/// Says nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {}
