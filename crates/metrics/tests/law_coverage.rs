//! Intervals hold the true value as often as they claim.
//!
//! Each test counts misses among draws from a fixed seed. If an interval misses with probability exactly 5 %, more
//! than the allowed misses come with the probability that `false_alarm` computes, at most 1e-6 per case.

use radhard_metrics::beta;
use radhard_metrics::cell::AUC_BOUNDS;
use radhard_metrics::{
    Bracket, ChipCounts, Interval, Proportion, RateInterval, anderson_interval, betting_interval,
    bootstrap_interval, clopper_pearson, delong, holm, median_interval, paired_difference, paired_event_p,
    quantile_interval,
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

#[test]
fn shares_that_know_p0_are_covered_whether_events_are_rare_or_not() {
    // A chip has flips in 30 %, and of those the event in 1 %, 20 %, 95 %; the last two probabilities of an interval that switched
    // between one and two sides at a count of 0 covered too little.
    for (event, n) in [(0.01, 40), (0.01, 300), (0.2, 12), (0.95, 40)] {
        let mut uniform = Uniform(n);
        let misses = (0..DRAWS)
            .filter(|_| {
                let (mut drawn, mut with_flips) = (0, 0);
                for _ in 0..n {
                    let flipped = uniform.next() < 0.3;
                    drawn += u64::from(flipped);
                    with_flips += u64::from(flipped && uniform.next() < event);
                }
                let chips =
                    ChipCounts { with_flips, drawn, known: n - drawn, known_have_it: false, p_no_flip: 0.7 };
                let share = Proportion::of_chips(&chips);
                let interval = share.interval.expect("chips");
                assert!(interval.contains(share.estimate.expect("chips")));
                !interval.contains(0.3 * event)
            })
            .count() as u64;
        assert!(misses <= ALLOWED, "{event} at n = {n}: {misses} misses");
    }
}

#[test]
fn the_quantile_interval_covers_its_quantile_with_ties_and_without() {
    // Uniform scores, and losses of which 90 % are 0.
    let tied = Law { name: "tied", mean: 0.0, quantile: |u| if u < 0.9 { 0.0 } else { u } };
    for (law, share, truth) in
        [(&LAWS[4], 0.95, 0.95), (&LAWS[4], 0.5, 0.5), (&tied, 0.95, 0.95), (&tied, 0.5, 0.0)]
    {
        for n in [72, 300] {
            let misses = misses(&Law { mean: truth, ..*law }, n, DRAWS, |scores| {
                let mut sorted = scores.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                let [low, high] = quantile_interval(&sorted, share, 0.95);
                Some(Interval::two_sided(low?, high?, 0.95, radhard_metrics::Method::OrderStatistics))
            });
            assert!(misses <= ALLOWED, "{} {share} at n = {n}: {misses} misses", law.name);
        }
    }
}

/// The rates of a plan, two a decade.
const RATES: [f64; 9] = [1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3];

/// Chips as the networks of a model have them: one flip in ten of 30,000 critical bits ends the lead of 0.3, so that the mean loss
/// at rate p is 0.3·(1 - (1 - p)^30,000) exactly, and a chip that collapsed stays so at every higher rate.
fn bracketed(uniform: &mut Uniform, chips: usize, bound: f64) -> (Bracket, Option<f64>) {
    let critical = 30_000.0;
    let collapses: Vec<f64> =
        (0..chips).map(|_| 1.0 - (uniform.next().max(1e-300).ln() / critical).exp()).collect();
    let curve: Vec<RateInterval> = RATES
        .iter()
        .map(|&rate| {
            // Ten times as many bits are exposed as are critical.
            let p_no_flip = (10.0 * critical * (-rate).ln_1p()).exp();
            let p_loss = 1.0 - (critical * (-rate).ln_1p()).exp();
            let mut scores: Vec<f64> = Vec::new();
            for arrival in &collapses {
                if *arrival <= rate {
                    scores.push(0.5);
                } else if uniform.next() > p_no_flip / (1.0 - p_loss) {
                    scores.push(0.8);
                }
            }
            let inner = betting_interval(&scores, AUC_BOUNDS, 0.95).map_or([0.0, 1.0], |i| [i.low, i.high]);
            let loss = inner.map(|auc| 0.8 - (p_no_flip * 0.8 + (1.0 - p_no_flip) * auc));
            RateInterval { rate, loss: Some([loss[1], loss[0]]) }
        })
        .collect();
    let first = RATES.into_iter().find(|rate| 0.3 * (1.0 - (critical * (-rate).ln_1p()).exp()) > bound);
    (Bracket::of(bound, &curve), first)
}

fn missed(bracket: &Bracket, first: Option<f64>) -> bool {
    let first = first.unwrap_or(f64::INFINITY);
    bracket.largest_within.is_some_and(|rate| rate >= first)
        || bracket.smallest_beyond.is_some_and(|rate| rate < first)
}

#[test]
fn brackets_of_sixty_seeds_miss_the_first_rate_at_most_six_times() {
    // At the claimed 5 % more than 6 of 60 come with probability 3 %; the seeds are fixed.
    assert!(false_alarm(60, 6, 0.05) < 0.031);
    for bound in [0.001, 0.05, 0.15] {
        let (mut misses, mut decided) = (0, [0; 3]);
        for (place, chips) in [5, 30, 300].into_iter().enumerate() {
            for seed in 0..20 {
                let (bracket, first) = bracketed(&mut Uniform(1000 * chips as u64 + seed), chips, bound);
                misses += u64::from(missed(&bracket, first));
                decided[place] += u64::from(bracket.smallest_beyond.is_some());
            }
        }
        assert!(misses <= 6, "bound {bound}: {misses} misses");
        assert!(decided[2] == 20 && decided[0] <= decided[1], "bound {bound}: {decided:?}");
    }
}

#[test]
fn five_chips_leave_the_first_rate_of_a_small_loss_undecided_where_few_have_flips() {
    // Of all brackets of five chips none claims more than what exact P0 gives: the rate within is one at which hardly a chip has flips.
    for seed in 0..20 {
        let (bracket, first) = bracketed(&mut Uniform(5000 + seed), 5, 0.001);
        assert!(bracket.largest_within.is_none_or(|rate| rate <= 1e-7), "{bracket:?}");
        assert!(!missed(&bracket, first));
    }
}

#[test]
fn many_brackets_miss_no_more_often_than_claimed() {
    let mut misses = 0;
    let mut uniform = Uniform(77);
    for _ in 0..DRAWS {
        let (bracket, first) = bracketed(&mut uniform, 30, 0.05);
        misses += u64::from(missed(&bracket, first));
    }
    assert!(misses <= ALLOWED, "{misses} misses");
}

#[test]
fn any_wrong_statement_among_ten_comparisons_is_as_rare_as_claimed() {
    // Two cells of equal law, ten times: rare collapses on chips of their own.
    let mut uniform = Uniform(11);
    let [mut by_mean, mut by_events] = [0; 2];
    for _ in 0..DRAWS {
        let mut p_means = Vec::new();
        let mut p_events = Vec::new();
        for _ in 0..10 {
            let mut cell =
                || -> Vec<f64> { (0..30).map(|_| if uniform.next() < 0.2 { 0.5 } else { 0.8 }).collect() };
            let (first, second) = (cell(), cell());
            let paired = paired_difference(0.0, 0.0, 0, &first, &second);
            p_means.push(2.0 * paired.p_values[0].min(paired.p_values[1]));
            let alone =
                |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| **a < 0.6 && **b > 0.6).count() as u64;
            let (a, b) = (alone(&first, &second), alone(&second, &first));
            p_events.push(2.0 * paired_event_p(a, b).min(paired_event_p(b, a)));
        }
        by_mean += u64::from(holm(&p_means).iter().any(|p| *p <= 0.05));
        by_events += u64::from(holm(&p_events).iter().any(|p| *p <= 0.05));
    }
    assert!(by_mean <= ALLOWED && by_events <= ALLOWED, "{by_mean} and {by_events} wrong");
}
