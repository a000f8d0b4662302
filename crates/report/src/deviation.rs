//! How far outputs lie from golden: the score of models whose rows have no labels, and so no AUC.

use radhard_metrics::quantile;
use radhard_records::{CellId, RecordsError, Store};
use serde::Serialize;

/// Root mean square errors of a cell's chips against golden.
///
/// A chip with any output that is no finite number has no RMSE; among the others it counts as the largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Deviation {
    /// Median over the chips; none where half of them have no RMSE.
    pub rmse_median: Option<f64>,
    /// Lower end of its 95 % interval by order statistics; none below six chips.
    pub rmse_low: Option<f64>,
    /// Upper end of it; none where it is infinite.
    pub rmse_high: Option<f64>,
    /// Smallest RMSE.
    pub rmse_min: Option<f64>,
    /// Largest RMSE; none where a chip has none.
    pub rmse_max: Option<f64>,
    /// Share of chips with an output that is no finite number.
    pub rmse_undefined_share: Option<f64>,
    /// Share of outputs that are no finite number, over all chips.
    pub output_non_finite_share: Option<f64>,
}

impl Deviation {
    /// Works it out from the trials of a cell.
    pub(crate) fn of(store: &Store, id: CellId) -> Result<Self, RecordsError> {
        let (mut rmse, mut rows, mut non_finite) = (Vec::new(), 0_u64, 0_u64);
        store.each_trial(id, |trial| {
            let scores = &trial.scores;
            rmse.push(scores.rmse.filter(|rmse| !rmse.is_nan()).unwrap_or(f64::INFINITY));
            rows += scores.rows;
            // A logit that saturates is a probability of 0 or 1, but a raw output of infinity.
            let raw = if scores.auc.is_none() { scores.saturated } else { 0 };
            non_finite += scores.non_finite + raw;
            Ok::<_, RecordsError>(())
        })?;
        if rmse.is_empty() {
            return Ok(Self::default());
        }
        rmse.sort_by(f64::total_cmp);
        let interval = quantile::median_interval(&rmse, 0.95);
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let undefined = rmse.iter().filter(|rmse| rmse.is_infinite()).count();
        Ok(Self {
            rmse_median: finite(quantile::quantile(&rmse, 0.5)),
            rmse_low: interval.and_then(|interval| finite(interval.low)),
            rmse_high: interval.and_then(|interval| finite(interval.high)),
            rmse_min: finite(rmse[0]),
            rmse_max: finite(rmse[rmse.len() - 1]),
            rmse_undefined_share: Some(undefined as f64 / rmse.len() as f64),
            output_non_finite_share: (rows > 0).then(|| non_finite as f64 / rows as f64),
        })
    }
}
