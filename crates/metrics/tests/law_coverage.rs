//! Intervals hold the true value as often as they claim.
//!
//! Each test counts misses among draws from a fixed seed. If an interval misses with probability exactly 5 %, more
//! than the allowed misses come with the probability that `false_alarm` computes, at most 1e-6 per case.

use radhard_metrics::beta;
use radhard_metrics::cell::AUC_BOUNDS;
use radhard_metrics::{
    Interval, anderson_interval, betting_interval, bootstrap_interval, clopper_pearson, delong,
    median_interval,
};

const DRAWS: u64 = 2000;
/// Misses allowed in 2000 draws.
const ALLOWED: u64 = 151;

/// P(Bin(n, rate) > allowed).
fn false_alarm(n: u64, allowed: u64, rate: f64) -> f64 {
    beta::incomplete((allowed + 1) as f64, (n - allowed) as f64, rate)
}

/// SplitMix64 as a fraction in [0, 1).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
    }
}

struct Law {
    name: &'static str,
    mean: f64,
    quantile: fn(f64) -> f64,
}

/// Scores as cells have them, and harder ones: coins, a rare collapse, the arcsine law.
const LAWS: [Law; 5] = [
    Law { name: "fair coin", mean: 0.5, quantile: |u| f64::from(u8::from(u < 0.5)) },
    Law { name: "rare coin", mean: 0.1, quantile: |u| f64::from(u8::from(u < 0.1)) },
    Law { name: "golden or collapsed", mean: 0.724, quantile: |u| if u < 0.2 { 0.5 } else { 0.78 } },
    Law { name: "arcsine", mean: 0.5, quantile: |u| (std::f64::consts::FRAC_PI_2 * u).sin().powi(2) },
    Law { name: "uniform", mean: 0.5, quantile: |u| u },
];

fn misses(law: &Law, n: usize, draws: u64, interval: impl Fn(&[f64]) -> Option<Interval>) -> u64 {
    let mut uniform = Uniform(n as u64);
    (0..draws)
        .map(|_| {
            let scores: Vec<f64> = (0..n).map(|_| (law.quantile)(uniform.next())).collect();
            u64::from(!interval(&scores).expect("the sample is large enough").contains(law.mean))
        })
        .sum()
}

#[test]
fn the_allowed_misses_leave_a_false_alarm_of_one_in_a_million() {
    assert!(false_alarm(DRAWS, ALLOWED, 0.05) < 1e-6);
}

#[test]
fn betting_covers_the_mean_at_every_n() {
    for law in &LAWS {
        for n in [2, 5, 10, 50] {
            let misses = misses(law, n, DRAWS, |scores| betting_interval(scores, AUC_BOUNDS, 0.95));
            assert!(misses <= ALLOWED, "{} at n = {n}: {misses} misses", law.name);
        }
    }
}

#[test]
fn anderson_covers_the_mean_at_every_n() {
    for law in &LAWS {
        for n in [2, 5, 10, 50] {
            let misses = misses(law, n, DRAWS, |scores| anderson_interval(scores, AUC_BOUNDS, 0.95));
            assert!(misses <= ALLOWED, "{} at n = {n}: {misses} misses", law.name);
        }
    }
}

#[test]
fn the_normal_interval_fails_where_these_hold() {
    // Shows that the allowance can be exceeded: five rare coins are all tails in 59 % of draws.
    let normal = |scores: &[f64]| {
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let half = 1.96 * (scores.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        Some(Interval::two_sided(mean - half, mean + half, 0.95, radhard_metrics::Method::Bounds))
    };
    assert!(misses(&LAWS[1], 5, DRAWS, normal) > 2 * ALLOWED);
}

#[test]
fn the_median_interval_covers_the_median() {
    for n in [6, 10, 25] {
        let misses = misses(&LAWS[4], n, DRAWS, |scores| {
            let mut sorted = scores.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            median_interval(&sorted, 0.95)
        });
        assert!(misses <= ALLOWED, "n = {n}: {misses} misses");
    }
}

#[test]
fn clopper_pearson_covers_the_probability() {
    for n in [2, 5, 10, 50] {
        let misses = misses(&LAWS[1], n, DRAWS, |coins| {
            let count = coins.iter().filter(|&&coin| coin == 1.0).count() as u64;
            clopper_pearson(count, n as u64, 0.95)
        });
        assert!(misses <= ALLOWED, "n = {n}: {misses} misses");
    }
}

#[test]
fn the_bootstrap_covers_nearly_as_often_as_it_claims() {
    // Approximate at n = 30: at a true miss rate of 8 %, more than 70 of 400 come with probability below 1e-8.
    assert!(false_alarm(400, 70, 0.08) < 1e-8);
    for law in [&LAWS[3], &LAWS[4]] {
        let misses = misses(law, 30, 400, |scores| bootstrap_interval(scores, 0.95, 1));
        assert!(misses <= 70, "{}: {misses} misses", law.name);
    }
}

#[test]
fn delong_covers_the_auc_nearly_as_often_as_it_claims() {
    // Positives √u, negatives u: AUC = P(√u > v) = 2/3. Approximate at 60 + 60 rows, so 7 % misses are granted.
    assert!(false_alarm(1000, 115, 0.07) < 1e-6);
    let mut uniform = Uniform(9);
    let labels: Vec<u8> = (0..120).map(|row| u8::from(row < 60)).collect();
    let misses = (0..1000)
        .filter(|_| {
            let scores: Vec<f32> = labels
                .iter()
                .map(|&label| if label == 1 { uniform.next().sqrt() as f32 } else { uniform.next() as f32 })
                .collect();
            !delong(&scores, &labels, 0.5, 0.95).expect("both classes are there").interval.contains(2.0 / 3.0)
        })
        .count();
    assert!(misses <= 115, "{misses} misses");
}
