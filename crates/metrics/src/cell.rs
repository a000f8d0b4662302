//! The statistics of a cell: the chip is the unit, never the row.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::bootstrap::bootstrap_interval;
use crate::bounded::betting_interval;
use crate::interval::{Interval, LEVEL, Method};
use crate::proportion::{ChipCounts, Proportion};
use crate::quantile::{median_interval, quantile};
use crate::stream::shuffle;
use crate::sum::{mean, tree_sum, variance};

/// Bounds of an AUC.
pub const AUC_BOUNDS: [f64; 2] = [0.0, 1.0];
/// Bounds of a difference of two AUCs.
pub const DIFFERENCE_BOUNDS: [f64; 2] = [-1.0, 1.0];
/// Bounds of a mean log loss: -ln 1e-12 = 27.64.
pub const LOG_LOSS_BOUNDS: [f64; 2] = [0.0, 27.7];
/// Bounds of a score that has none: no interval of the mean, order statistics only.
pub const UNBOUNDED: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// What the chips of one cell gave.
#[derive(Clone, Copy, Debug)]
pub struct CellSample<'a> {
    /// The fault-free score; NaN where undefined.
    pub golden: f64,
    /// Exact probability that a chip belongs to the known ones.
    pub p_no_flip: f64,
    /// Bounds of the score, such as [`AUC_BOUNDS`].
    pub bounds: [f64; 2],
    /// Chips known without a run: their score is golden.
    pub known: u64,
    /// Scores of the chips with flips, in order of the chips; NaN where undefined.
    pub with_flips: &'a [f64],
    /// Chips with any score that is not a number.
    pub non_finite_chips: u64,
    /// Flips of the chips with flips, in the same order.
    pub flips: &'a [u64],
    /// Seed of the bootstrap.
    pub seed: u64,
}

impl<'a> CellSample<'a> {
    /// AUCs of a cell, without flip counts and without scores that are not numbers.
    pub fn auc(golden: f64, p_no_flip: f64, known: u64, with_flips: &'a [f64]) -> Self {
        Self {
            golden,
            p_no_flip,
            bounds: AUC_BOUNDS,
            known,
            with_flips,
            non_finite_chips: 0,
            flips: &[],
            seed: 0,
        }
    }

    /// The draws that inform the mean beside P0: the chips with flips, and the known ones too where their share has no
    /// closed form.
    ///
    /// Betting looks at draws one by one and must not see them sorted by what they are: known ones join in an order drawn
    /// from a fixed seed.
    pub(crate) fn draws(&self) -> Cow<'a, [f64]> {
        draws(self.golden, self.p_no_flip, self.known, self.with_flips)
    }
}

/// See [`CellSample::draws`].
pub(crate) fn draws(golden: f64, p_no_flip: f64, known: u64, with_flips: &[f64]) -> Cow<'_, [f64]> {
    if p_no_flip > 0.0 || known == 0 {
        return Cow::Borrowed(with_flips);
    }
    let mut all = with_flips.to_vec();
    all.resize(with_flips.len() + known as usize, golden);
    shuffle(&mut all, known);
    Cow::Owned(all)
}

/// The statistics of a cell over the chips whose score is defined; what is undefined is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellStatistics {
    /// Chips, known ones included.
    pub n: u64,
    /// Chips known without a run.
    pub known: u64,
    /// Chips whose score is undefined.
    pub undefined: u64,
    /// The fault-free score.
    pub golden: Option<f64>,
    /// Mean over the chips.
    pub mean: Option<f64>,
    /// P0 · golden + (1 - P0) · mean over the chips with flips: less spread than `mean`, since P0 is exact, and right
    /// where only chips with flips were drawn.
    pub stratified_mean: Option<f64>,
    /// Standard deviation over the chips (divisor n - 1).
    pub sd: Option<f64>,
    /// Smallest score.
    pub min: Option<f64>,
    /// Largest score.
    pub max: Option<f64>,
    /// Median (all quantiles: type 7).
    pub median: Option<f64>,
    /// First and third quartile.
    pub quartiles: Option<[f64; 2]>,
    /// 5 % quantile.
    pub p05: Option<f64>,
    /// 95 % quantile.
    pub p95: Option<f64>,
    /// 95 % interval of the mean, valid at every n.
    pub mean_interval: Option<Interval>,
    /// BCa bootstrap interval of the mean, beside it.
    pub bootstrap: Option<Interval>,
    /// Exact interval of the median.
    pub median_interval: Option<Interval>,
    /// P(score < ½ + 0.1·(golden - ½)), for AUCs of a model that beats guessing.
    pub collapse: Option<Proportion>,
    /// P(a chip has a score that is not a number).
    pub non_finite: Proportion,
    /// Mean flips over the chips, known ones at 0.
    pub flips_mean: Option<f64>,
    /// Fewest flips of a chip.
    pub flips_min: Option<u64>,
    /// Most flips of a chip.
    pub flips_max: Option<u64>,
}

/// The score below which a model has collapsed: it keeps less than a tenth of its lead over guessing.
pub fn collapse_threshold(golden: f64) -> f64 {
    0.5 + 0.1 * (golden - 0.5)
}

/// The interval of the mean over all chips: P0 · golden + (1 - P0) · \[valid interval over the chips with flips\],
/// the bounds of the score where none was run; `None` where the bounds are infinite.
///
/// The inner interval is hedged betting ([`betting_interval`]).
///
/// # Panics
///
/// If the probability lies outside [0, 1], or a score outside the bounds or is NaN.
pub fn mean_interval(golden: f64, p_no_flip: f64, bounds: [f64; 2], with_flips: &[f64]) -> Option<Interval> {
    assert!((0.0..=1.0).contains(&p_no_flip), "probability {p_no_flip} of no flip is outside [0, 1]");
    if !(bounds[1] - bounds[0]).is_finite() {
        return None;
    }
    let nothing = Interval::two_sided(bounds[0], bounds[1], LEVEL, Method::Bounds);
    let inner = betting_interval(with_flips, bounds, LEVEL).unwrap_or(nothing);
    Some(inner.mapped(p_no_flip * golden, 1.0 - p_no_flip))
}

impl CellStatistics {
    /// Summarises a cell.
    ///
    /// The chips with flips are taken as draws given at least one flip. Where `p_no_flip` is 0 and yet chips are
    /// known (their share has no closed form), the known ones join the draws at their golden score.
    ///
    /// # Panics
    ///
    /// If the probability lies outside [0, 1], or a defined score outside the bounds.
    pub fn of(sample: &CellSample<'_>) -> Self {
        let CellSample { golden, p_no_flip, bounds, known, with_flips, .. } = *sample;
        assert!((0.0..=1.0).contains(&p_no_flip), "probability {p_no_flip} of no flip is outside [0, 1]");
        let mut all: Vec<f64> = with_flips.iter().copied().filter(|score| !score.is_nan()).collect();
        let n = known + with_flips.len() as u64;
        if !golden.is_nan() {
            all.resize(all.len() + known as usize, golden);
        }
        let undefined = n - all.len() as u64;
        let complete = undefined == 0 && n > 0 && !golden.is_nan();
        let draws = if complete { sample.draws() } else { Cow::Borrowed(&[][..]) };
        let over_all_chips = |inner: Interval| inner.mapped(p_no_flip * golden, 1.0 - p_no_flip);
        let interval = if complete { mean_interval(golden, p_no_flip, bounds, &draws) } else { None };
        let bootstrap = bootstrap_interval(&draws, LEVEL, sample.seed).map(over_all_chips);
        let stratified_mean = mean(&draws).map(|inner| p_no_flip * golden + (1.0 - p_no_flip) * inner);
        let (centre, sd) = (mean(&all), variance(&all).map(f64::sqrt));
        let threshold = collapse_threshold(golden);
        let collapsed = with_flips.iter().filter(|&&score| score < threshold).count() as u64;
        let can_collapse = complete && bounds == AUC_BOUNDS && golden > 0.5;
        let share = |with_flips| {
            let drawn = n - known;
            Proportion::of_chips(&ChipCounts { with_flips, drawn, known, known_have_it: false, p_no_flip })
        };

        all.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| (!all.is_empty()).then(|| quantile(&all, share));
        let flips = (sample.flips.len() == with_flips.len() && n > 0).then_some(sample.flips);
        Self {
            n,
            known,
            undefined,
            golden: Some(golden).filter(|golden| !golden.is_nan()),
            mean: centre,
            stratified_mean,
            sd,
            min: all.first().copied(),
            max: all.last().copied(),
            median: at(0.5),
            quartiles: at(0.25).zip(at(0.75)).map(|(first, third)| [first, third]),
            p05: at(0.05),
            p95: at(0.95),
            mean_interval: interval,
            bootstrap,
            median_interval: median_interval(&all, LEVEL).filter(|_| complete),
            collapse: can_collapse.then(|| share(collapsed)),
            non_finite: share(sample.non_finite_chips),
            flips_mean: flips.map(|flips| tree_sum(flips.len(), |i| flips[i] as f64) / n as f64),
            flips_min: flips.and_then(|flips| if known > 0 { Some(0) } else { flips.iter().min().copied() }),
            flips_max: flips.map(|flips| flips.iter().max().copied().unwrap_or(0)),
        }
    }
}
