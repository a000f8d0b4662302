use std::sync::{Mutex, PoisonError};

use radhard_data::RowsView;
use radhard_kernels::Lane;
use radhard_models::{HookCall, HookEvents, Hooks, Model, Scores, ScoresError};

use super::bounded::Place;

/// Bits of a magnitude that each of the two passes looks at.
const HALF: u32 = 16;

/// Exact quantiles of the values behind layers over clean rows.
///
/// A first pass counts values by the upper half of their bits, a second one those in the half that holds the quantile by the
/// lower half, so that memory does not grow with the rows.
pub(super) struct Quantiles<'a> {
    place: Place,
    sites: &'a [bool],
    /// By layer: the upper half that is looked into, in the second pass.
    upper: Vec<Option<u32>>,
    counts: Vec<Mutex<Vec<u64>>>,
}

/// How many passes are made.
pub(super) const PASSES: u64 = 2;

impl<'a> Quantiles<'a> {
    /// The smallest value, of those behind each of the layers in `sites`, that at least a share `q` of them does not exceed: of
    /// values above 0 (all others count as 0) behind activations, of magnitudes behind linear layers.
    pub(super) fn of(
        model: &Model,
        rows: &RowsView<'_>,
        (place, sites): (Place, &'a [bool]),
        q: f64,
    ) -> Result<Vec<f32>, ScoresError> {
        let mut pass = Self { place, sites, upper: vec![None; sites.len()], counts: Vec::new() };
        pass.count(model, rows)?;
        let ranked: Vec<_> = pass.counts.iter().map(|counts| rank(counts, |total| least(q, total))).collect();
        pass.upper = ranked.iter().map(|&(upper, _)| Some(upper)).collect();
        pass.count(model, rows)?;
        let lower = pass.counts.iter().zip(&ranked).map(|(counts, &(_, rest))| rank(counts, |_| rest).0);
        Ok(lower.zip(&ranked).map(|(lower, (upper, _))| f32::from_bits(upper << HALF | lower)).collect())
    }

    fn count(&mut self, model: &Model, rows: &RowsView<'_>) -> Result<(), ScoresError> {
        self.counts = self.sites.iter().map(|&site| Mutex::new(vec![0; usize::from(site) << HALF])).collect();
        model.scores_hooked(rows, self, &mut Scores::default()).map(|_| ())
    }
}

/// How many of `total` values a quantile must not be below.
fn least(q: f64, total: u64) -> u64 {
    // Counts are below 2^53, so the product errs by less than one step of the last place: what is whole stays whole.
    ((q * total as f64).ceil() as u64).clamp(1, total.max(1))
}

/// Where a count from below reaches a number, and how much of that number is left there.
fn rank(counts: &Mutex<Vec<u64>>, least: impl FnOnce(u64) -> u64) -> (u32, u64) {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let mut left = least(counts.iter().sum());
    for (place, &count) in counts.iter().enumerate() {
        if left <= count {
            return (place as u32, left);
        }
        left -= count;
    }
    (0, 0)
}

impl Hooks for Quantiles<'_> {
    fn acts(&self, layer: usize) -> bool {
        self.sites.get(layer) == Some(&true)
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let mut counts = self.counts[call.layer].lock().unwrap_or_else(PoisonError::into_inner);
        for feature in values.chunks_exact(call.groups()) {
            for value in &feature.as_flattened()[..call.rows] {
                let bits = match self.place {
                    Place::Activation if *value <= 0.0 => 0,
                    _ => value.abs().to_bits(),
                };
                match self.upper[call.layer] {
                    None => counts[(bits >> HALF) as usize] += 1,
                    Some(upper) if bits >> HALF == upper => counts[(bits & 0xffff) as usize] += 1,
                    Some(_) => {}
                }
            }
        }
        HookEvents::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_counts_whole_values() {
        assert_eq!(least(0.5, 10), 5);
        assert_eq!(least(0.501, 10), 6);
        assert_eq!(least(1.0, 10), 10);
        assert_eq!(least(1e-9, 10), 1);
        let counts = Mutex::new(vec![0, 3, 0, 4]);
        assert_eq!(rank(&counts, |total| least(3.0 / 7.0, total)), (1, 3));
        assert_eq!(rank(&counts, |_| 4), (3, 1));
    }
}
