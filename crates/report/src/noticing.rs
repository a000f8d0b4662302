//! What protections noticed in a cell, and what they did about it.

use radhard_metrics::{Interval, Proportion};
use radhard_records::Trial;
use serde::Serialize;

use crate::quantity::share;

/// Chips with an event among others, with the 95 % interval of the probability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    /// Chips with the event.
    pub count: u64,
    /// Chips.
    pub n: u64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
}

/// What was noticed on the chips of one cell; counts are means over chips.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Noticing {
    /// Chips with flips on which something was found bad.
    pub found: Share,
    /// The same among chips that change an output of the unprotected model.
    pub found_of_harmful: Share,
    /// Words, codewords, rows or results found bad.
    pub detected: f64,
    /// Of these, restored from redundant bits or by computing again.
    pub corrected: f64,
    /// Computations that were repeated.
    pub retries: f64,
    /// Restored from the clean copy.
    pub reloads: f64,
    /// Bytes of the clean copy that were read.
    pub reload_bytes: f64,
    /// Replaced by a default.
    pub fallbacks: f64,
    /// Scored rows in which a check of results fired.
    pub rows_detected: f64,
    /// Of these, rows with the golden score.
    pub rows_recovered: f64,
    /// Rows whose score changed though no check fired.
    pub rows_missed: f64,
    /// Of the rows whose score the same chips change without protection, the share that was not missed; none where no check of
    /// results had anything to say, or words were mended before.
    pub rows_found_share: Option<f64>,
}

/// Whether all that a protection notices belongs to a scored row: what reads stored words notices it without one.
fn by_row(protection: &str) -> bool {
    let hooks = ["clip", "zero", "ranger", "abft-gemm", "abft-embedding"];
    protection.split('+').all(|part| hooks.contains(&part.split(':').next().unwrap_or_default()))
}

impl Share {
    fn of(count: u64, n: u64) -> Self {
        let interval: Option<Interval> = Proportion::of(count, n).interval;
        Self { count, n, low: interval.map(|of| of.low), high: interval.map(|of| of.high) }
    }

    /// As in `28 of 30 [78 %, 99 %]`.
    pub fn in_words(&self) -> String {
        let ends = self.low.zip(self.high).filter(|_| self.n > 0);
        let ends = ends.map_or_else(String::new, |(low, high)| {
            format!(" [{}, {}]", share(Some(low)), share(Some(high)))
        });
        format!("{} of {}{ends}", self.count, self.n)
    }
}

impl Noticing {
    /// Of a cell's chips, and of the same without protection; both in the order of their chips.
    pub(crate) fn of(protection: &str, with: &[Trial], without: &[Trial]) -> Self {
        let mut all = Self::default();
        let (mut flipped, mut found, mut harmful, mut found_of_harmful) = (0, 0, 0, 0);
        let (mut changed, mut missed) = (0_u64, 0_u64);
        let mut bare = without.iter().peekable();
        for trial in with {
            let noticed = &trial.noticed;
            let fired = noticed.detected > 0;
            if trial.flips > 0 {
                flipped += 1;
                found += u64::from(fired);
            }
            while bare.next_if(|bare| bare.chip < trial.chip).is_some() {}
            if let Some(bare) = bare.next_if(|bare| bare.chip == trial.chip) {
                let rows = bare.scores.rows - bare.scores.masked;
                if rows > 0 {
                    harmful += 1;
                    found_of_harmful += u64::from(fired);
                }
                changed += rows;
                missed += noticed.rows_missed.min(rows);
            }
            let counts = noticed.counts();
            for (sum, count) in all.counts_mut().into_iter().zip(counts) {
                *sum += count as f64;
            }
        }
        let looked = by_row(protection) && all.rows_detected + all.rows_missed > 0.0;
        let n = with.len().max(1) as f64;
        all.counts_mut().into_iter().for_each(|sum| *sum /= n);
        all.found = Share::of(found, flipped);
        all.found_of_harmful = Share::of(found_of_harmful, harmful);
        all.rows_found_share = (looked && changed > 0).then(|| 1.0 - missed as f64 / changed as f64);
        all
    }

    /// The counts, in the order of [`radhard_records::Noticed::NAMES`].
    fn counts_mut(&mut self) -> [&mut f64; 9] {
        [
            &mut self.detected,
            &mut self.corrected,
            &mut self.reloads,
            &mut self.reload_bytes,
            &mut self.retries,
            &mut self.fallbacks,
            &mut self.rows_detected,
            &mut self.rows_recovered,
            &mut self.rows_missed,
        ]
    }
}
