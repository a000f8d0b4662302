//! How good probabilities are as probabilities: log loss, normalised entropy, calibration.

use radhard_memory::{Wide, log, widest};

use crate::exact_sum::{CHUNK, ExactSum};
use crate::start_rows::Group;
use crate::sum::tree_sum;

/// Probabilities are kept this far from 0 and 1 before the logarithm, so one row loses at most 27.7.
pub const CLAMP: f64 = 1e-12;

/// Logarithms are taken of products of this many probabilities; 1e-12^16 is far from underflow.
pub(crate) const GROUP: usize = 16;

/// The probability given to what happened, clamped.
#[inline(always)]
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
/// If lengths differ, or the substitute is needed and is NaN.
pub fn log_loss(probabilities: &[f32], labels: &[u8], substitute: f32) -> Option<f64> {
    assert_eq!(probabilities.len(), labels.len(), "labels and probabilities differ in length");
    widest(Losses { probabilities, labels, substitute }).mean(probabilities.len())
}

/// The losses of all groups.
struct Losses<'a> {
    probabilities: &'a [f32],
    labels: &'a [u8],
    substitute: f32,
}

/// Groups whose likelihoods are multiplied side by side.
const GROUPS: usize = 32;

impl Wide for Losses<'_> {
    type Output = ExactSum;

    #[inline(always)]
    fn run(self) -> ExactSum {
        let mut sum = ExactSum::default();
        let rows = self.probabilities.chunks(CHUNK * GROUP).zip(self.labels.chunks(CHUNK * GROUP));
        for (probabilities, labels) in rows {
            // What is no group is no loss.
            let mut losses = [0.0; CHUNK];
            let rows = probabilities.chunks(GROUPS * GROUP).zip(labels.chunks(GROUPS * GROUP));
            for (losses, (probabilities, labels)) in losses.chunks_exact_mut(GROUPS).zip(rows) {
                // A row that is missing has the likelihood 1.
                let mut factors = [1.0; GROUPS * GROUP];
                for ((factor, p), label) in factors.iter_mut().zip(probabilities).zip(labels) {
                    *factor = likelihood(*p, *label, self.substitute);
                }
                for (loss, product) in losses.iter_mut().zip(product(&factors)) {
                    *loss = -log(product);
                }
            }
            let small = sum.add_all(&losses);
            assert!(small, "clamped likelihoods have small logarithms");
        }
        sum
    }
}

/// The products of the likelihoods of each group: eight by eight rows, then four by four of these, until one is left.
///
/// # Panics
/// If one is NaN, which a likelihood can't be, but that of a substitute.
#[inline(always)]
fn product(factors: &[f64; GROUPS * GROUP]) -> [f64; GROUPS] {
    let mut eight = [0.0; 8 * GROUPS];
    let mut four = [0.0; 4 * GROUPS];
    let mut two = [0.0; 2 * GROUPS];
    let mut one = [0.0; GROUPS];
    halves::<8>(factors, &mut eight);
    halves::<4>(&eight, &mut four);
    halves::<2>(&four, &mut two);
    let mut numbers = 0;
    for (to, of) in one.iter_mut().zip(two.chunks_exact(2)) {
        *to = of[0] * of[1];
        numbers += u32::from(*to > 0.0);
    }
    assert_eq!(numbers, GROUPS as u32, "the substitute for scores that are not numbers is not a number");
    one
}

/// The products of the first and the second half of each twice `HALF` factors.
#[inline(always)]
fn halves<const HALF: usize>(factors: &[f64], products: &mut [f64]) {
    for (to, of) in products.chunks_exact_mut(HALF).zip(factors.chunks_exact(2 * HALF)) {
        let (left, right) = of.split_at(HALF);
        for ((to, left), right) in to.iter_mut().zip(left).zip(right) {
            *to = left * right;
        }
    }
}

/// The sum of the losses of all groups once some have others: `now` are the probabilities of all rows.
pub(crate) fn exchanged(sum: ExactSum, groups: &[(usize, Group)], now: &[f32], substitute: f32) -> ExactSum {
    widest(Exchanged { sum, groups, now, substitute })
}

/// Groups whose rows changed.
struct Exchanged<'a> {
    sum: ExactSum,
    groups: &'a [(usize, Group)],
    now: &'a [f32],
    substitute: f32,
}

impl Wide for Exchanged<'_> {
    type Output = ExactSum;

    #[inline(always)]
    fn run(self) -> ExactSum {
        let mut sum = self.sum;
        for groups in self.groups.chunks(GROUPS) {
            let mut factors = [1.0; GROUPS * GROUP];
            for (factors, (at, group)) in factors.chunks_exact_mut(GROUP).zip(groups) {
                let rows = &self.now[at * GROUP..self.now.len().min((at + 1) * GROUP)];
                for (place, (factor, p)) in factors.iter_mut().zip(rows).enumerate() {
                    *factor = likelihood(*p, group.label(place), self.substitute);
                }
            }
            let losses = product(&factors).map(|product| -log(product));
            for ((_, group), loss) in groups.iter().zip(losses) {
                sum.take(group.loss);
                sum.add(loss);
            }
        }
        sum
    }
}

/// The negative logarithm of the product of one group's likelihoods, of which a row that is missing at the end has 1.
pub(crate) fn group_log_loss(group: usize, probabilities: &[f32], labels: &[u8], substitute: f32) -> f64 {
    let rows = group * GROUP..probabilities.len().min((group + 1) * GROUP);
    let mut factors = [1.0; GROUP];
    for ((factor, p), label) in factors.iter_mut().zip(&probabilities[rows.clone()]).zip(&labels[rows]) {
        *factor = likelihood(*p, *label, substitute);
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
    calibration_over(positives as u64, probabilities, substitute)
}

/// The same, where the positives were counted.
pub(crate) fn calibration_over(positives: u64, probabilities: &[f32], substitute: f32) -> Option<f64> {
    let sum = Probabilities { probabilities, substitute };
    let sum = widest(sum).map_or_else(|| tree_sum(probabilities.len(), |i| sum.of(i)), ExactSum::value);
    (positives > 0).then(|| sum / positives as f64)
}

/// Probabilities to be added.
#[derive(Clone, Copy)]
struct Probabilities<'a> {
    probabilities: &'a [f32],
    substitute: f32,
}

impl Probabilities<'_> {
    #[inline(always)]
    fn of(&self, row: usize) -> f64 {
        let p = self.probabilities[row];
        f64::from(if p.is_nan() { self.substitute } else { p })
    }
}

impl Wide for Probabilities<'_> {
    type Output = Option<ExactSum>;

    #[inline(always)]
    fn run(self) -> Option<ExactSum> {
        ExactSum::of(self.probabilities.len(), |row| self.of(row))
    }
}
