//! Several tests at once: Holm's procedure, and the exact test of paired chips.

use crate::beta;

/// Holm's adjusted p-values: those at most α refute their hypotheses, and any wrong refutation among all comes with probability α
/// at most, however the tests depend on each other.
///
/// Source: Holm 1979.
///
/// # Example
///
/// ```
/// use radhard_metrics::holm;
///
/// assert_eq!(holm(&[0.01, 0.5, 0.02]), [0.03, 0.5, 0.04]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (place, &index) in order.iter().enumerate() {
        let own = p_values[index] * (p_values.len() - place) as f64;
        // NaN refutes nothing.
        largest = if own > largest || own.is_nan() { own } else { largest };
        adjusted[index] = if largest < 1.0 { largest } else { 1.0 };
    }
    adjusted
}

/// The p-value of "an event is at least as likely in the second of two paired cells": `first` chips have it in the first cell
/// alone, `second` in the second alone; chips that have it in both or neither say nothing.
///
/// Source: McNemar's test in its exact form, the upper tail of Bin(first + second, ½).
pub fn paired_event_p(first: u64, second: u64) -> f64 {
    // P(Bin(n, ½) >= k) = I_½(k, n - k + 1).
    if first == 0 { 1.0 } else { beta::incomplete(first as f64, second as f64 + 1.0, 0.5) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_rise_with_their_order_and_stop_at_one() {
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.005]);
        for (value, right) in adjusted.iter().zip([0.06, 0.03, 0.06, 0.02]) {
            assert!((value - right).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    #[test]
    fn paired_events_follow_the_binomial_tail() {
        assert_eq!(paired_event_p(0, 9), 1.0);
        assert!((paired_event_p(6, 0) - 1.0 / 64.0).abs() < 1e-15);
        // (1 + 4) / 16 of four tosses are at least three.
        assert!((paired_event_p(3, 1) - 5.0 / 16.0).abs() < 1e-15);
    }
}
