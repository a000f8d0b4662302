//! The rates that a model tolerates, shown from cells of rising rates; and where a mean loss is reached.

use std::fmt::{Display, Formatter};

use crate::bounded::betting_interval;
use crate::bracket::{Bracket, RateInterval};
use crate::cell::{AUC_BOUNDS, CellSample, CellStatistics};
use crate::interval::LEVEL;
use crate::proportion::Proportion;
use crate::tail::{LossBounds, LossSample, LossTail};

/// One rate of a curve.
#[derive(Clone, Copy, Debug)]
pub struct RateSample<'a> {
    /// The bit error rate.
    pub rate: f64,
    /// AUCs of its chips.
    pub cell: CellSample<'a>,
}

/// The mean AUC that is lost at one rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLoss {
    /// The bit error rate.
    pub rate: f64,
    /// Mean loss, weighted by P0; `None` where a score is undefined.
    pub mean: Option<f64>,
    /// Bounds of the mean loss, each at its own risk of 2.5 %.
    pub at_least: Option<f64>,
    /// The upper one.
    pub at_most: Option<f64>,
    /// P(a chip loses more than the bound).
    pub beyond: Option<Proportion>,
}

/// Where a curve reaches a loss, by interpolation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// At or before the lowest rate measured.
    By(f64),
    /// At this rate.
    At(f64),
    /// Beyond the highest rate measured.
    Beyond(f64),
}

impl Display for Reached {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::By(rate) => write!(f, "≤ {rate:e}"),
            Self::At(rate) => write!(f, "{rate:.2e}"),
            Self::Beyond(rate) => write!(f, "> {rate:e}"),
        }
    }
}

/// What a curve shows about one bound of the mean loss.
#[derive(Clone, Debug, PartialEq)]
pub struct TolerableRate {
    /// The bound.
    pub loss: f64,
    /// Largest rate shown to lose no more, all lower ones measured shown too.
    pub tolerable: Option<f64>,
    /// Smallest rate shown to lose more, all higher ones measured shown too.
    pub intolerable: Option<f64>,
    /// Where the mean loss first exceeds the bound, linear in the logarithm of the rate; `None` where the first
    /// means up to there are undefined.
    pub reached: Option<Reached>,
    /// The rates, ascending.
    pub rates: Vec<RateLoss>,
}

/// Tests the rates of a curve against a mean loss of AUC below the unprotected, fault-free `golden`.
///
/// Rates are tested in the fixed sequences of [`Bracket::of`], so that either statement is wrong with probability 2.5 % at most, however
/// many rates are tested. The bounds of the mean are those of hedged betting, valid at every n. A rate without chips that flipped is
/// decided by P0 alone, where it can be.
///
/// With half of the lead over guessing as the loss this is BER_50 ([`half_of_lead`]).
///
/// # Panics
///
/// If the rates do not ascend, or a score lies outside [0, 1].
pub fn tolerable_rate(golden: f64, loss: f64, curve: &[RateSample<'_>]) -> TolerableRate {
    let rates: Vec<RateLoss> = curve.iter().map(|sample| RateLoss::of(golden, loss, sample)).collect();
    let tested = |rate: &RateLoss| RateInterval {
        rate: rate.rate,
        loss: rate.at_least.zip(rate.at_most).map(|(low, high)| [low, high]),
    };
    let shown = Bracket::of(loss, &rates.iter().map(tested).collect::<Vec<_>>());
    TolerableRate {
        loss,
        tolerable: shown.largest_within,
        intolerable: shown.smallest_beyond,
        reached: reached(loss, rates.iter().map(|rate| (rate.rate, rate.mean))),
        rates,
    }
}

/// Half of the lead over guessing.
pub fn half_of_lead(golden: f64) -> f64 {
    (golden - 0.5) / 2.0
}

impl RateLoss {
    fn of(golden: f64, loss: f64, sample: &RateSample<'_>) -> Self {
        let RateSample { rate, cell } = *sample;
        let CellSample { golden: start, p_no_flip, known, with_flips, .. } = cell;
        let nothing = Self { rate, mean: None, at_least: None, at_most: None, beyond: None };
        if golden.is_nan() || start.is_nan() || with_flips.iter().any(|auc| auc.is_nan()) {
            return nothing;
        }
        let statistics = CellStatistics::of(&CellSample { bounds: AUC_BOUNDS, ..cell });
        let draws = cell.draws();
        let inner = betting_interval(&draws, AUC_BOUNDS, LEVEL).map(|i| [i.low, i.high]);
        let [low, high] = inner.unwrap_or(AUC_BOUNDS);
        let lost = |auc: f64| golden - (p_no_flip * start + (1.0 - p_no_flip) * auc);
        let losses: Vec<f64> = with_flips.iter().map(|auc| golden - auc).collect();
        let sample = LossSample { of_known: golden - start, known, p_no_flip, with_flips: &losses };
        let tail = LossTail::of(&sample, LossBounds { bad: loss, ..LossBounds::default() });
        Self {
            mean: statistics.stratified_mean.or(statistics.mean).map(|mean| golden - mean),
            at_least: Some(lost(high)),
            at_most: Some(lost(low)),
            beyond: tail.map(|tail| tail.bad),
            ..nothing
        }
    }
}

/// Where a curve of rising rates, each with what is lost there, first exceeds a loss: linear in the logarithm of the
/// rate. `None` where no rate was measured, or a loss up to there is undefined.
pub fn reached(loss: f64, curve: impl IntoIterator<Item = (f64, Option<f64>)>) -> Option<Reached> {
    let mut before: Option<(f64, f64)> = None;
    for (rate, lost) in curve {
        let lost = lost?;
        if lost > loss {
            return Some(before.map_or(Reached::By(rate), |(lower, less)| {
                let share = (loss - less) / (lost - less);
                let (from, to) = (libm::log(lower), libm::log(rate));
                Reached::At(libm::exp(from + share * (to - from)))
            }));
        }
        before = Some((rate, lost));
    }
    before.map(|(highest, _)| Reached::Beyond(highest))
}
