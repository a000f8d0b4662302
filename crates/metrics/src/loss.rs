//! How good probabilities are as probabilities: log loss, normalised entropy, calibration.

use crate::exact_sum::ExactSum;
use crate::sum::tree_sum;

/// Probabilities are kept this far from 0 and 1 before the logarithm, so one row loses at most 27.7.
pub const CLAMP: f64 = 1e-12;

/// Logarithms are taken of products of this many probabilities; 1e-12^16 is far from underflow.
pub(crate) const GROUP: usize = 16;

/// The probability given to what happened, clamped.
fn likelihood(probability: f32, label: u8, substitute: f32) -> f64 {
    let p = if probability.is_nan() { substitute } else { probability };
    let p = f64::from(p).clamp(CLAMP, 1.0 - CLAMP);
    let (none, one) = (1.0 - p, p);
    if label == 0 { none } else { one }
}

/// The mean negative log likelihood in nats, NaN replaced by `substitute`; `None` of no rows.
///
/// Numerics: f64, [`CLAMP`]; one `libm::log` per product of 16 likelihoods, added without rounding in units of 2^-90;
/// within 1e-13 relative of the sum of single logarithms.
///
/// # Panics
/// If the substitute is needed and is NaN.
pub fn log_loss(probabilities: &[f32], labels: &[u8], substitute: f32) -> Option<f64> {
    let group = |group| group_log_loss(group, probabilities, labels, substitute);
    let sum = ExactSum::of(probabilities.len().div_ceil(GROUP), group);
    sum.expect("clamped likelihoods have small logarithms").mean(probabilities.len())
}

/// The negative logarithm of the product of one group's likelihoods.
pub(crate) fn group_log_loss(group: usize, probabilities: &[f32], labels: &[u8], substitute: f32) -> f64 {
    let rows = group * GROUP..probabilities.len().min((group + 1) * GROUP);
    let rows = probabilities[rows.clone()].iter().copied().zip(labels[rows].iter().copied());
    negative_logarithm(rows, substitute)
}

/// The negative logarithm of the product of the likelihoods of a group's rows.
///
/// Numerics: the product is taken in halves: eight by eight rows, then four by four of these, until one is left; a row that is missing at
/// the end is 1.
pub(crate) fn negative_logarithm(rows: impl Iterator<Item = (f32, u8)>, substitute: f32) -> f64 {
    let mut factors = [1.0; GROUP];
    for (factor, (p, label)) in factors.iter_mut().zip(rows) {
        *factor = likelihood(p, label, substitute);
    }
    for half in [8, 4, 2, 1] {
        let (left, right) = factors.split_at_mut(half);
        for (left, right) in left.iter_mut().zip(right) {
            *left *= *right;
        }
    }
    -libm::log(factors[0])
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
///
/// Numerics: probabilities are added without rounding in units of 2^-90; where one is no probability, by the fixed tree.
pub fn calibration(probabilities: &[f32], labels: &[u8], substitute: f32) -> Option<f64> {
    let positives = labels.iter().filter(|&&label| label != 0).count();
    let probability = |i: usize| {
        let p = probabilities[i];
        f64::from(if p.is_nan() { substitute } else { p })
    };
    let n = probabilities.len();
    let sum = ExactSum::of(n, probability).map_or_else(|| tree_sum(n, probability), ExactSum::value);
    (positives > 0).then(|| sum / positives as f64)
}
