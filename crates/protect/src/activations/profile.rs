use std::sync::{Mutex, PoisonError};

use radhard_data::RowsView;
use radhard_kernels::{LANES, Lane};
use radhard_memory::{Wide, widest};
use radhard_models::{HookCall, HookEvents, Hooks, Model, Scores, ScoresError};

/// The smallest and largest value behind each layer, over clean rows.
pub(super) struct Profile {
    ranges: Vec<Mutex<(f32, f32)>>,
}

impl Profile {
    pub(super) fn of(model: &Model, rows: &RowsView<'_>) -> Result<Vec<(f32, f32)>, ScoresError> {
        let nothing = || Mutex::new(NOTHING);
        let layers = model.sites().last().map_or(0, |site| site.layer + 1);
        let profile = Self { ranges: (0..layers).map(|_| nothing()).collect() };
        model.scores_hooked(rows, &profile, &mut Scores::default())?;
        let of = |range: Mutex<(f32, f32)>| range.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(profile.ranges.into_iter().map(of).collect())
    }
}

/// The range of no value.
const NOTHING: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

/// A range with a value in it; NaN is in none.
#[inline(always)]
fn widened((low, high): (f32, f32), value: f32) -> (f32, f32) {
    (if value < low { value } else { low }, if value > high { value } else { high })
}

/// Looks for the smallest and the largest value.
struct Range<'a>(&'a [Lane]);

impl Wide for Range<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run(self) -> (f32, f32) {
        let (mut low, mut high) = ([NOTHING.0; LANES], [NOTHING.1; LANES]);
        for lane in self.0 {
            for (low, value) in low.iter_mut().zip(lane) {
                *low = if value < low { *value } else { *low };
            }
            for (high, value) in high.iter_mut().zip(lane) {
                *high = if value > high { *value } else { *high };
            }
        }
        joined(&low, &high)
    }
}

/// The range of all lanes. Apart from the loop over values, whose lanes the compiler would put into another order for it.
#[inline(never)]
fn joined(low: &Lane, high: &Lane) -> (f32, f32) {
    low.iter().chain(high).fold(NOTHING, |range, value| widened(range, *value))
}

impl Hooks for Profile {
    fn acts(&self, _layer: usize) -> bool {
        true
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let whole = call.rows == call.groups() * LANES;
        let (low, high) = if whole {
            widest(Range(values))
        } else {
            // Lanes beyond the last row are no rows.
            let features = values.chunks_exact(call.groups());
            let of_rows = features.flat_map(|feature| &feature.as_flattened()[..call.rows]);
            of_rows.fold(NOTHING, |range, value| widened(range, *value))
        };
        let mut range = self.ranges[call.layer].lock().unwrap_or_else(PoisonError::into_inner);
        *range = (range.0.min(low), range.1.max(high));
        HookEvents::default()
    }
}
