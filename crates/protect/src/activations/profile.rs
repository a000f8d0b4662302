use std::sync::{Mutex, PoisonError};

use radhard_data::RowsView;
use radhard_kernels::Lane;
use radhard_models::{HookCall, HookEvents, Hooks, Model, Scores, ScoresError};

/// The smallest and largest value behind each layer, over clean rows.
pub(super) struct Profile {
    ranges: Vec<Mutex<(f32, f32)>>,
}

impl Profile {
    pub(super) fn of(model: &Model, rows: &RowsView<'_>) -> Result<Vec<(f32, f32)>, ScoresError> {
        let nothing = || Mutex::new((f32::INFINITY, f32::NEG_INFINITY));
        let layers = model.sites().last().map_or(0, |site| site.layer + 1);
        let profile = Self { ranges: (0..layers).map(|_| nothing()).collect() };
        model.scores_hooked(rows, &profile, &mut Scores::default())?;
        let of = |range: Mutex<(f32, f32)>| range.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(profile.ranges.into_iter().map(of).collect())
    }
}

impl Hooks for Profile {
    fn acts(&self, _layer: usize) -> bool {
        true
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let features = values.chunks_exact(call.groups());
        let of_rows = features.flat_map(|feature| &feature.as_flattened()[..call.rows]);
        let (low, high) = of_rows.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
            (if value < low { value } else { low }, if value > high { value } else { high })
        });
        let mut range = self.ranges[call.layer].lock().unwrap_or_else(PoisonError::into_inner);
        *range = (range.0.min(low), range.1.max(high));
        HookEvents::default()
    }
}
