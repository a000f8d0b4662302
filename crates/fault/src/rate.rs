//! Bit error rates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Probability that an exposed bit is in error in one trial, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct BitErrorRate(f64);

/// Why a number is not a bit error rate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RateError {
    /// Outside [0, 1], or NaN.
    #[error("bit error rate {0} is outside [0, 1]")]
    Outside(f64),
    /// Not a number.
    #[error("bit error rate \"{0}\" is not a number")]
    NotANumber(String),
}

impl BitErrorRate {
    /// No bit is in error.
    pub const ZERO: Self = Self(0.0);
    /// Every bit is in error.
    pub const ONE: Self = Self(1.0);

    /// A rate in [0, 1]; minus zero counts as zero.
    pub fn new(rate: f64) -> Result<Self, RateError> {
        if (0.0..=1.0).contains(&rate) { Ok(Self(rate.abs())) } else { Err(RateError::Outside(rate)) }
    }

    /// The probability.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Probability that none of `sites` independent sites errs: (1 − p)^sites.
    ///
    /// Numerics: exp(sites · log1p(−p)), so that rates far below 2^-53 count.
    pub fn none_of(self, sites: u64) -> f64 {
        if sites == 0 { 1.0 } else { libm::exp(sites as f64 * libm::log1p(-self.0)) }
    }

    /// The rate scaled by a factor in [0, 1].
    pub(crate) fn times(self, factor: f64) -> Self {
        debug_assert!((0.0..=1.0).contains(&factor));
        Self(self.0 * factor)
    }
}

impl Eq for BitErrorRate {}

impl fmt::Display for BitErrorRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 != 0.0 && self.0 < 1e-2 { write!(f, "{:e}", self.0) } else { write!(f, "{}", self.0) }
    }
}

impl FromStr for BitErrorRate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::new(text.trim().parse().map_err(|_| RateError::NotANumber(text.to_owned()))?)
    }
}

impl TryFrom<f64> for BitErrorRate {
    type Error = RateError;

    fn try_from(rate: f64) -> Result<Self, RateError> {
        Self::new(rate)
    }
}

impl From<BitErrorRate> for f64 {
    fn from(rate: BitErrorRate) -> Self {
        rate.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_outside_the_unit_interval_are_refused() {
        for rate in
            [-0.1, -f64::MIN_POSITIVE, 1.0 + f64::EPSILON, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        {
            assert!(BitErrorRate::new(rate).is_err(), "{rate}");
            assert!(rate.to_string().parse::<BitErrorRate>().is_err(), "{rate}");
        }
        assert_eq!(BitErrorRate::new(1.5).unwrap_err().to_string(), "bit error rate 1.5 is outside [0, 1]");
        assert_eq!(
            "much".parse::<BitErrorRate>().unwrap_err().to_string(),
            "bit error rate \"much\" is not a number"
        );
        assert!(serde_json::from_str::<BitErrorRate>("2").is_err());
    }

    #[test]
    fn rates_read_back_what_they_print() {
        for rate in [0.0, -0.0, 1e-10, 1e-9, 7e-3, 1e-2, 0.5, 1.0, f64::MIN_POSITIVE, 1.0 / 3.0] {
            let rate = BitErrorRate::new(rate).unwrap();
            assert_eq!(rate.to_string().parse(), Ok(rate));
            assert!(rate.get().is_sign_positive());
        }
        assert_eq!(BitErrorRate::new(1e-9).unwrap().to_string(), "1e-9");
        assert_eq!(BitErrorRate::new(0.5).unwrap().to_string(), "0.5");
        assert_eq!(BitErrorRate::ZERO.to_string(), "0");
    }

    #[test]
    fn no_error_among_no_sites_is_certain() {
        assert_eq!(BitErrorRate::ONE.none_of(0), 1.0);
        assert_eq!(BitErrorRate::ONE.none_of(1), 0.0);
        assert_eq!(BitErrorRate::ZERO.none_of(u64::MAX), 1.0);
        assert!((BitErrorRate(0.5).none_of(3) - 0.125).abs() < 1e-15);
        assert!((BitErrorRate(1e-300).none_of(u64::MAX) - 1.0).abs() < 1e-15);
    }
}
