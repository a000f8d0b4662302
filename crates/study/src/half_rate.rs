//! BER_50: the rate at which half of the lead over guessing is lost.

use crate::claim::Evidence;
use crate::findings::{Findings, Place};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;
/// Rate of the resampler's draws: any fixed value does.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// BER_50 of a curve with a percentile interval; a missing end lies above the largest rate measured.
///
/// The chips of all rates are the same, so a chip is resampled with its whole curve.
/// Source: Efron 1979; interpolated in the logarithm of the rate between neighbouring rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfRate {
    /// The estimate; none where half is not lost by the largest rate.
    pub rate: Option<f64>,
    /// Lower end of the 95 % interval; none where even that lies above the largest rate.
    pub low: Option<f64>,
    /// Upper end; none where it lies above the largest rate.
    pub high: Option<f64>,
    /// Largest rate measured.
    pub measured_to: f64,
    /// Chips.
    pub n: u64,
}

impl HalfRate {
    /// BER_50 of a curve; none where fewer than two chips or rates were measured, or a chip has no AUC.
    pub fn of(findings: &Findings, place: &Place<'_>) -> Option<Self> {
        let golden = findings.unprotected_auc(place.model, place.data)?;
        let curve = findings.curve(place);
        let chips = curve.iter().map(|(_, cell)| cell.trials.len()).min()?;
        let rates: Vec<f64> = curve.iter().map(|(rate, _)| *rate).collect();
        let aucs: Vec<Vec<f64>> = curve
            .iter()
            .map(|(_, cell)| cell.trials[..chips].iter().map(|trial| trial.scores.auc).collect())
            .collect::<Option<_>>()?;
        if chips < 2 || rates.len() < 2 {
            return None;
        }
        let bound = f64::midpoint(golden, 0.5);
        let crossing = |picked: &[usize]| {
            let means: Vec<f64> = aucs
                .iter()
                .map(|aucs| picked.iter().map(|chip| aucs[*chip]).sum::<f64>() / picked.len() as f64)
                .collect();
            crossing(&rates, &means, bound)
        };
        let all: Vec<usize> = (0..chips).collect();
        let mut state = SEED;
        let mut resampled: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let picked: Vec<usize> =
                    (0..chips).map(|_| (next(&mut state) % chips as u64) as usize).collect();
                crossing(&picked).unwrap_or(f64::INFINITY)
            })
            .collect();
        resampled.sort_by(f64::total_cmp);
        let finite = |rate: f64| rate.is_finite().then_some(rate);
        Some(Self {
            rate: crossing(&all),
            low: finite(resampled[RESAMPLES / 40]),
            high: finite(resampled[RESAMPLES - 1 - RESAMPLES / 40]),
            measured_to: *rates.last()?,
            n: chips as u64,
        })
    }

    /// Whether this rate lies above the other's beyond chance, below it, or neither.
    pub fn above(&self, other: &Self) -> Option<bool> {
        let end = |rate: Option<f64>| rate.unwrap_or(f64::INFINITY);
        if end(self.low) > end(other.high) {
            Some(true)
        } else if end(other.low) > end(self.high) {
            Some(false)
        } else {
            None
        }
    }

    /// As a piece of evidence; what is undefined lies above the largest rate.
    pub fn evidence(&self, of: String) -> Evidence {
        Evidence { of, quantity: "BER_50", value: self.rate, low: self.low, high: self.high, n: self.n }
    }
}

/// Where the means first fall below the bound, interpolated in the logarithm of the rate.
fn crossing(rates: &[f64], means: &[f64], bound: f64) -> Option<f64> {
    let at = means.iter().position(|mean| *mean < bound)?;
    if at == 0 {
        return Some(rates[0]);
    }
    let share = (means[at - 1] - bound) / (means[at - 1] - means[at]);
    let (from, to) = (libm::log(rates[at - 1]), libm::log(rates[at]));
    Some(libm::exp(from + share * (to - from)))
}

/// SplitMix64 (Steele, Lea & Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crossing_is_interpolated_in_the_logarithm_of_the_rate() {
        let rate = crossing(&[1e-6, 1e-4], &[0.8, 0.6], 0.7).unwrap();
        assert!((rate / 1e-5 - 1.0).abs() < 1e-9, "{rate}");
        assert_eq!(crossing(&[1e-6, 1e-4], &[0.8, 0.75], 0.7), None);
    }

    #[test]
    fn a_rate_that_is_not_reached_lies_above_every_rate() {
        let reached =
            HalfRate { rate: Some(1e-4), low: Some(5e-5), high: Some(2e-4), measured_to: 0.1, n: 10 };
        let never = HalfRate { rate: None, low: None, high: None, ..reached };
        assert_eq!((never.above(&reached), reached.above(&never)), (Some(true), Some(false)));
        assert_eq!(never.above(&never), None);
    }
}
