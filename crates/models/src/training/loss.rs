//! Binary cross entropy on logits.

/// The loss of one row and its derivative by the logit.
///
/// # Numerics
/// max(z, 0) − z y + ln(1 + exp(−|z|)) in f64, which neither overflows nor cancels.
pub(super) fn cross_entropy(logit: f32, label: u8) -> (f64, f64) {
    let (z, y) = (f64::from(logit), f64::from(label));
    let small = libm::exp(-z.abs());
    let positive = if z > 0.0 { z } else { 0.0 };
    let loss = positive - z * y + libm::log1p(small);
    let probability = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    (loss, probability - y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivative_is_the_slope() {
        for z in [-20.0f32, -1.5, 0.0, 0.3, 4.0] {
            for y in [0, 1] {
                let h = 1e-3f32;
                let slope = (cross_entropy(z + h, y).0 - cross_entropy(z - h, y).0)
                    / (f64::from(z + h) - f64::from(z - h));
                assert!((slope - cross_entropy(z, y).1).abs() < 1e-6, "{z} {y}");
            }
        }
    }

    #[test]
    fn extreme_logits_have_finite_loss() {
        assert_eq!(cross_entropy(200.0, 0).0, 200.0);
        assert_eq!(cross_entropy(-200.0, 1).0, 200.0);
        assert!(cross_entropy(f32::NAN, 1).0.is_nan());
    }
}
