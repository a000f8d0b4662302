//! Closed forms that stand beside every measured curve, so that a broken injector shows.
//!
//! A flip of bit 30 multiplies a normal f32 of magnitude below 1 by 2^128; every other flip leaves a value below 2
//! below 2. The closed forms count bit-30 flips alone: measured curves lie a little below them.

/// What one row of a subject reads of an exposed model, and what a hit does to its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Score of the fault-free run.
    pub golden_auc: f64,
    /// Words of the dense part whose bit 30 is exposed.
    pub dense_words: u64,
    /// Mean share of the score above one half that a single bit-30 flip in the dense part loses.
    pub dense_loss: f64,
    /// Table words with bit 30 exposed that one row reads and that turn its score into NaN when hit.
    pub words_to_nan: f64,
    /// Table words with bit 30 exposed that one row reads and that saturate its score when hit.
    pub words_to_extreme: f64,
    /// Balanced accuracy of the golden scores cut at the value that replaces NaN ([`balanced_accuracy_at`]).
    pub accuracy_at_fallback: f64,
}

/// The chance that an exposed set of `words` single bits is hit at least once at rate `p`: 1 − (1 − p)^words.
pub fn hit_probability(words: f64, p: f64) -> f64 {
    if p >= 1.0 {
        return if words > 0.0 { 1.0 } else { 0.0 };
    }
    -libm::expm1(words * libm::log1p(-p))
}

/// AUC when a share `q` of the scores, chosen apart from labels, is replaced by a constant: (1−q)²A + 2q(1−q)·BA + q²/2.
///
/// `accuracy` is BA(c) = ½(F0(c) + 1 − F1(c)) of the untouched scores at that constant.
pub fn auc_with_constant(auc: f64, q: f64, accuracy: f64) -> f64 {
    (1.0 - q) * (1.0 - q) * auc + 2.0 * q * (1.0 - q) * accuracy + 0.5 * q * q
}

/// AUC when a share `q` of the scores goes to either end of the ranking by chance: ½ + (1−q)²(A − ½).
pub fn auc_with_extremes(auc: f64, q: f64) -> f64 {
    0.5 + (1.0 - q) * (1.0 - q) * (auc - 0.5)
}

/// BA(c) = ½(F0(c) + 1 − F1(c)) of scores with labels, F at mid-point for ties; a score that is not finite is left out.
///
/// `None` where a class is missing.
pub fn balanced_accuracy_at(scores: &[f32], labels: &[u8], constant: f64) -> Option<f64> {
    let mut below = [0.0_f64; 2];
    let mut count = [0_u64; 2];
    for (&score, &label) in scores.iter().zip(labels) {
        if score.is_nan() {
            continue;
        }
        let class = usize::from(label != 0);
        count[class] += 1;
        let score = f64::from(score);
        if score < constant {
            below[class] += 1.0;
        } else if score == constant {
            below[class] += 0.5;
        }
    }
    if count[0] == 0 || count[1] == 0 {
        return None;
    }
    Some(0.5 * (below[0] / count[0] as f64 + 1.0 - below[1] / count[1] as f64))
}

/// Predicted mean AUC at bit error rate `p`, for independent flips.
///
/// Tables: a row's score becomes NaN or extreme with the probability that one of its words is hit; dense part: the
/// score above one half decays as exp(−λ·N·p), λ the loss of one flip. A loss below 0, measured on a model that has learnt
/// little, counts as 0: flips that happened to win promise no more of it.
pub fn predicted_mean_auc(reading: &Reading, p: f64) -> f64 {
    let extremes = auc_with_extremes(reading.golden_auc, hit_probability(reading.words_to_extreme, p));
    let tables =
        auc_with_constant(extremes, hit_probability(reading.words_to_nan, p), reading.accuracy_at_fallback);
    let loss = if reading.dense_loss > 0.0 { reading.dense_loss } else { 0.0 };
    0.5 + (tables - 0.5) * libm::exp(-loss * reading.dense_words as f64 * p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_chips_have_a_bit_30_flip_in_the_mlp_at_ln_2_over_its_words() {
        for (words, rate) in [(881.0, 7.9e-4), (10_353.0, 6.7e-5)] {
            let p = std::f64::consts::LN_2 / words;
            assert!((p / rate - 1.0).abs() < 0.01, "{p}");
            assert!((hit_probability(words, p) - 0.5).abs() < 1e-3);
        }
    }

    #[test]
    fn no_number_of_flips_is_predicted_to_help() {
        let reading = Reading {
            golden_auc: 0.52,
            dense_words: 10_000,
            dense_loss: -0.03,
            words_to_nan: 0.0,
            words_to_extreme: 0.0,
            accuracy_at_fallback: 0.5,
        };
        for p in [1e-9, 1e-3, 0.1, 0.5] {
            assert!((predicted_mean_auc(&reading, p) - 0.52).abs() < 1e-12, "{p}");
        }
    }

    #[test]
    fn a_constant_for_every_score_gives_one_half() {
        assert_eq!(auc_with_constant(0.8, 1.0, 0.7), 0.5);
        assert_eq!(auc_with_constant(0.8, 0.0, 0.7), 0.8);
        assert_eq!(auc_with_extremes(0.8, 1.0), 0.5);
    }

    #[test]
    fn balanced_accuracy_counts_ties_half() {
        let scores = [0.1, 0.5, 0.5, 0.9];
        let labels = [0, 0, 1, 1];
        // F0(0.5) = (1 + 0.5)/2, F1(0.5) = 0.5/2
        assert_eq!(balanced_accuracy_at(&scores, &labels, 0.5), Some(0.75));
        assert_eq!(balanced_accuracy_at(&scores, &[1; 4], 0.5), None);
    }

    #[test]
    fn replaced_scores_have_the_auc_of_the_closed_form() {
        // 40 × 40 scores on a grid; every second row replaced by a constant, apart from labels.
        let n = 40_u32;
        let mut exact = 0.0;
        let (a, c) = (|i: u32| f64::from(i) / 40.0, 0.37);
        let negative: Vec<f64> = (0..n).map(a).collect();
        let positive: Vec<f64> = (0..n).map(|i| a(i) + 0.1).collect();
        let q = 0.3;
        let compare = |x: f64, y: f64| {
            if y > x {
                1.0
            } else if y == x {
                0.5
            } else {
                0.0
            }
        };
        let mut auc = 0.0;
        for &x in &negative {
            for &y in &positive {
                let weight = 1.0 / f64::from(n * n);
                auc += weight * compare(x, y);
                exact += weight
                    * ((1.0 - q) * (1.0 - q) * compare(x, y)
                        + q * (1.0 - q) * (compare(c, y) + compare(x, c))
                        + q * q * 0.5);
            }
        }
        let scores: Vec<f32> = negative.iter().chain(&positive).map(|&v| v as f32).collect();
        let labels: Vec<u8> = (0..2 * n).map(|i| u8::from(i >= n)).collect();
        let accuracy = balanced_accuracy_at(&scores, &labels, f64::from(c as f32)).unwrap();
        assert!((auc_with_constant(auc, q, accuracy) - exact).abs() < 1e-12);
    }
}
