//! How good probabilities are as probabilities: log loss, normalised entropy, calibration.

use crate::sum::tree_sum;

/// Probabilities are kept this far from 0 and 1 before the logarithm, so one row loses at most 27.7.
pub const CLAMP: f64 = 1e-12;

/// Logarithms are taken of products of this many probabilities; 1e-12^16 is far from underflow.
pub(crate) const GROUP: usize = 16;

/// The probability given to what happened, clamped.
fn likelihood(probability: f32, label: u8, substitute: f32) -> f64 {
    let p = if probability.is_nan() { substitute } else { probability };
    let p = f64::from(p).clamp(CLAMP, 1.0 - CLAMP);
    if label == 0 { 1.0 - p } else { p }
}

/// The mean negative log likelihood in nats, NaN replaced by `substitute`; `None` of no rows.
///
/// Numerics: f64, [`CLAMP`]; one `libm::log` per product of 16 likelihoods, the products added by a fixed tree;
/// within 1e-13 relative of the sum of single logarithms.
pub fn log_loss(probabilities: &[f32], labels: &[u8], substitute: f32) -> Option<f64> {
    let n = probabilities.len();
    let sum = tree_sum(n.div_ceil(GROUP), |group| group_log_loss(group, probabilities, labels, substitute));
    (n > 0).then(|| sum / n as f64)
}

/// The negative logarithm of the product of one group's likelihoods.
pub(crate) fn group_log_loss(group: usize, probabilities: &[f32], labels: &[u8], substitute: f32) -> f64 {
    let rows = group * GROUP..probabilities.len().min((group + 1) * GROUP);
    let product: f64 = probabilities[rows.clone()]
        .iter()
        .zip(&labels[rows])
        .map(|(&p, &label)| likelihood(p, label, substitute))
        .product();
    -libm::log(product)
}

/// The plain version of [`log_loss`]: one logarithm a row.
pub fn log_loss_by_row(probabilities: &[f32], labels: &[u8], substitute: f32) -> Option<f64> {
    let n = probabilities.len();
    let sum = tree_sum(n, |i| -libm::log(likelihood(probabilities[i], labels[i], substitute)));
    (n > 0).then(|| sum / n as f64)
}

/// The entropy in nats of an event of rate `positives / rows`, `None` where it is 0.
pub fn base_entropy(positives: u64, rows: u64) -> Option<f64> {
    let rate = positives as f64 / rows as f64;
    (positives > 0 && positives < rows).then(|| -(rate * libm::log(rate) + (1.0 - rate) * libm::log1p(-rate)))
}

/// Σp / Σy, NaN replaced by `substitute`; `None` without positives.
pub fn calibration(probabilities: &[f32], labels: &[u8], substitute: f32) -> Option<f64> {
    let positives = labels.iter().filter(|&&label| label != 0).count();
    let sum = tree_sum(probabilities.len(), |i| {
        f64::from(if probabilities[i].is_nan() { substitute } else { probabilities[i] })
    });
    (positives > 0).then(|| sum / positives as f64)
}
