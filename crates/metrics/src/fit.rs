//! Bit error rates of memories whose failures are quoted in FIT per megabit.
//!
//! A FIT is one failure in 1e9 hours, a megabit is 1e6 bits: p = FIT/Mb × 1e-15 × hours. A year of HBM at
//! 12.5 FIT/Gb is p = 1.1e-13; rates from 1e-5 up are those of undervolted or worn memory.

/// One failure in 1e9 hours among 1e6 bits, as a rate per bit and hour.
const PER_BIT_HOUR: f64 = 1e-15;

/// The bit error rate of data kept for so many hours.
pub fn bit_error_rate(fit_per_megabit: f64, hours: f64) -> f64 {
    fit_per_megabit * PER_BIT_HOUR * hours
}

/// The FIT per megabit that give a bit error rate within so many hours.
pub fn fit_per_megabit(bit_error_rate: f64, hours: f64) -> f64 {
    bit_error_rate / (PER_BIT_HOUR * hours)
}

/// The hours after which a memory reaches a bit error rate.
pub fn hours(bit_error_rate: f64, fit_per_megabit: f64) -> f64 {
    bit_error_rate / (PER_BIT_HOUR * fit_per_megabit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_hbm_is_about_1e_minus_13() {
        let rate = bit_error_rate(12.5 / 1000.0, 365.25 * 24.0);
        assert!((rate / 1.095_75e-13 - 1.0).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn each_way_is_the_inverse_of_the_others() {
        for (fit, time) in [(0.0125, 8766.0), (50.0, 1.0), (1e9, 1e3)] {
            let rate = bit_error_rate(fit, time);
            assert!((fit_per_megabit(rate, time) / fit - 1.0).abs() < 1e-14);
            assert!((hours(rate, fit) / time - 1.0).abs() < 1e-14);
        }
    }
}
