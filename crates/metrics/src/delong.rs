//! Test-set noise of an AUC, and of the difference of two AUCs on the same rows.

use serde::{Deserialize, Serialize};

use crate::interval::{Interval, Method};
use crate::normal;
use crate::sum::{mean, tree_sum};

/// An AUC, or a difference of two, with the variance that the choice of rows gives it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// The estimate.
    pub estimate: f64,
    /// Its variance.
    pub variance: f64,
    /// Interval by the normal quantile, cut at the bounds of the quantity.
    pub interval: Interval,
}

/// DeLong's variance of one AUC, NaN replaced by `substitute`; `None` below two rows of a class.
///
/// Source: DeLong, DeLong & Clarke-Pearson 1988, eq. 5; mid-ranks as in Sun & Xu 2014, O(n log n).
///
/// # Panics
///
/// If the lengths differ, or if the substitute is needed and NaN.
pub fn delong(scores: &[f32], labels: &[u8], substitute: f32, level: f64) -> Option<DeLong> {
    let places = Placements::of(scores, labels, substitute)?;
    let variance = places.covariance(&places);
    Some(DeLong::new(places.auc, variance, [0.0, 1.0], level))
}

/// DeLong's variance of the difference of two AUCs, first minus second, on the same rows.
///
/// Source: as [`delong`], eq. 5 with the contrast (1, -1).
///
/// # Panics
///
/// If the lengths differ, or if the substitute is needed and NaN.
pub fn delong_difference(
    first: &[f32],
    second: &[f32],
    labels: &[u8],
    substitute: f32,
    level: f64,
) -> Option<DeLong> {
    let a = Placements::of(first, labels, substitute)?;
    let b = Placements::of(second, labels, substitute)?;
    let difference = Placements {
        auc: a.auc - b.auc,
        positive: a.positive.iter().zip(&b.positive).map(|(x, y)| x - y).collect(),
        negative: a.negative.iter().zip(&b.negative).map(|(x, y)| x - y).collect(),
    };
    let variance = difference.covariance(&difference);
    Some(DeLong::new(difference.auc, variance, [-1.0, 1.0], level))
}

impl DeLong {
    fn new(estimate: f64, variance: f64, [low, high]: [f64; 2], level: f64) -> Self {
        let half = normal::quantile(0.5 + level / 2.0) * libm::sqrt(variance);
        let interval = Interval::two_sided(
            (estimate - half).clamp(low, high),
            (estimate + half).clamp(low, high),
            level,
            Method::DeLong,
        );
        Self { estimate, variance, interval }
    }
}

/// For each row the share of the other class that it beats, ties counting half.
struct Placements {
    auc: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl Placements {
    fn of(scores: &[f32], labels: &[u8], substitute: f32) -> Option<Self> {
        assert_eq!(scores.len(), labels.len(), "scores and labels differ in length");
        let score = |row: usize| if scores[row].is_nan() { substitute } else { scores[row] + 0.0 };
        assert!(
            !substitute.is_nan() || scores.iter().all(|s| !s.is_nan()),
            "the substitute for scores that are not numbers is not a number"
        );
        let (positives, negatives): (Vec<usize>, Vec<usize>) =
            (0..scores.len()).partition(|&row| labels[row] != 0);
        if positives.len() < 2 || negatives.len() < 2 {
            return None;
        }
        let all: Vec<f32> = (0..scores.len()).map(score).collect();
        let all_ranks = mid_ranks(&all);
        let placed = |rows: &[usize], others: usize| -> Vec<f64> {
            let own = mid_ranks(&rows.iter().map(|&row| score(row)).collect::<Vec<f32>>());
            rows.iter().zip(own).map(|(&row, rank)| (all_ranks[row] - rank) / others as f64).collect()
        };
        let positive = placed(&positives, negatives.len());
        let negative = placed(&negatives, positives.len());
        Some(Self { auc: mean(&positive)?, positive, negative })
    }

    /// S10 / P + S01 / N.
    fn covariance(&self, other: &Self) -> f64 {
        covariance(&self.positive, &other.positive) / self.positive.len() as f64
            + covariance(&self.negative, &other.negative) / self.negative.len() as f64
    }
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (tree_sum(a.len(), |i| a[i]) / n, tree_sum(b.len(), |i| b[i]) / n);
    tree_sum(a.len(), |i| (a[i] - mean_a) * (b[i] - mean_b)) / (n - 1.0)
}

/// Ranks from 1; tied scores share the mean of their ranks.
fn mid_ranks(scores: &[f32]) -> Vec<f64> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
    let mut ranks = vec![0.0; scores.len()];
    let mut place = 0;
    for group in order.chunk_by(|&a, &b| scores[a as usize] == scores[b as usize]) {
        let rank = place as f64 + (group.len() + 1) as f64 / 2.0;
        for &row in group {
            ranks[row as usize] = rank;
        }
        place += group.len();
    }
    ranks
}
