//! Decisions from samples err no more often than they claim.
//!
//! Each test counts errors among draws from a fixed seed; the chance that a rule at its claimed level exceeds the
//! allowance is beside it, at most 1e-6.

use radhard_metrics::cell::AUC_BOUNDS;
use radhard_metrics::{
    ByChip, CellSample, CellStatistics, Flipped, KFlipProfile, Looked, RateSample, Reached, Step, StopReason,
    StopRule, Stratum, beta, betting_interval, half_of_lead, kendall, odds_ratio, paired_by_chip,
    paired_difference, tolerable_rate, vulnerability,
};

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

    /// A score that is `low` with probability `p`, else `high`.
    fn score(&mut self, p: f64, low: f64, high: f64) -> f64 {
        if self.next() < p { low } else { high }
    }
}

const DRAWS: u64 = 1000;
/// Errors allowed in 1000 draws of a rule that errs in 5 %: more come with probability below 1e-6.
const ALLOWED: u64 = 86;

#[test]
fn the_allowance_leaves_a_false_alarm_of_one_in_a_million() {
    assert!(beta::incomplete((ALLOWED + 1) as f64, (DRAWS - ALLOWED) as f64, 0.05) < 1e-6);
}

#[test]
fn the_mean_is_covered_where_known_chips_join_the_draws() {
    // Golden in 80 % of chips, collapsed in the rest; the share of known chips has no closed form.
    let (mut uniform, mean) = (Uniform(1), 0.2 * 0.5 + 0.8 * 0.78);
    let misses = (0..DRAWS)
        .filter(|_| {
            let scores: Vec<f64> = (0..100).map(|_| uniform.score(0.2, 0.5, 0.78)).collect();
            let with_flips: Vec<f64> = scores.iter().copied().filter(|score| *score != 0.78).collect();
            let known = (scores.len() - with_flips.len()) as u64;
            let cell = CellStatistics::of(&CellSample::auc(0.78, 0.0, known, &with_flips));
            !cell.mean_interval.expect("chips were run").contains(mean)
        })
        .count() as u64;
    assert!(misses <= ALLOWED, "{misses} misses");
}

#[test]
fn the_mean_would_be_missed_if_known_chips_came_last() {
    // Shows that the order matters: the same draws, those with flips first.
    let (mut uniform, mean) = (Uniform(1), 0.2 * 0.5 + 0.8 * 0.78);
    let misses = (0..DRAWS)
        .filter(|_| {
            let mut scores: Vec<f64> = (0..100).map(|_| uniform.score(0.2, 0.5, 0.78)).collect();
            scores.sort_unstable_by(f64::total_cmp);
            !betting_interval(&scores, AUC_BOUNDS, 0.95).expect("chips were run").contains(mean)
        })
        .count() as u64;
    assert!(misses > 2 * ALLOWED, "{misses} misses");
}

#[test]
fn a_rate_that_is_not_tolerable_is_seldom_shown_to_be() {
    // The first rate loses twice the bound in the mean, by rare collapses; ten more rates lose even more.
    let mut uniform = Uniform(2);
    let wrong = (0..DRAWS)
        .filter(|_| {
            let chips: Vec<Vec<f64>> =
                (0..11).map(|_| (0..200).map(|_| uniform.score(0.05, 0.0, 0.8)).collect()).collect();
            let curve: Vec<RateSample<'_>> = (0_i32..)
                .zip(&chips)
                .map(|(i, chips)| RateSample {
                    rate: 1e-8 * f64::powi(10.0, i / 2) * if i % 2 == 0 { 1.0 } else { 3.0 },
                    cell: CellSample::auc(0.8, 0.5, 200, chips),
                })
                .collect();
            tolerable_rate(0.8, 0.01, &curve).tolerable.is_some()
        })
        .count() as u64;
    assert!(wrong <= ALLOWED, "{wrong} wrong");
}

#[test]
fn tolerable_rates_stop_at_the_first_that_fails() {
    let (well, ill) = (vec![0.8; 4000], vec![0.5; 4000]);
    let at = |rate, chips| RateSample { rate, cell: CellSample::auc(0.8, 0.0, 0, chips) };
    // Shown, undecided for want of chips, shown, refuted.
    let curve = [at(1e-7, &well), at(1e-6, &well[..2]), at(1e-5, &well), at(1e-4, &ill)];
    let shown = tolerable_rate(0.8, 0.01, &curve);
    assert_eq!((shown.tolerable, shown.intolerable), (Some(1e-7), Some(1e-4)));
    let Some(Reached::At(rate)) = shown.reached else { panic!("{:?}", shown.reached) };
    assert!((rate / (1e-5 * f64::powf(10.0, 0.01 / 0.3)) - 1.0).abs() < 1e-9, "{rate}");
    assert_eq!(shown.rates[3].beyond.and_then(|beyond| beyond.share), Some(1.0));

    let never = tolerable_rate(0.8, half_of_lead(0.8), &curve[..3]);
    assert_eq!(never.reached.map(|reached| reached.to_string()), Some("> 1e-5".to_owned()));
    assert_eq!(tolerable_rate(0.8, 0.01, &curve[3..]).reached, Some(Reached::By(1e-4)));
    assert_eq!(tolerable_rate(0.8, 0.01, &[]).reached, None);
}

#[test]
fn exact_known_chips_alone_can_show_that_a_rate_is_tolerable() {
    let cell = CellSample::auc(0.8, 0.999_9, 10, &[]);
    let rate = RateSample { rate: 1e-9, cell };
    assert_eq!(tolerable_rate(0.8, 0.001, &[rate]).tolerable, Some(1e-9));
    // A protection whose golden run is worse than the unprotected one pays for it on known chips.
    let worse = RateSample { rate: 1e-9, cell: CellSample { golden: 0.79, ..cell } };
    let shown = tolerable_rate(0.8, 0.001, &[worse]);
    assert_eq!((shown.tolerable, shown.intolerable), (None, Some(1e-9)));
}

#[test]
fn an_undefined_score_shows_nothing() {
    let cell = CellSample::auc(0.8, 0.5, 1, &[f64::NAN]);
    let shown = tolerable_rate(0.8, 0.001, &[RateSample { rate: 1e-3, cell }]);
    assert_eq!((shown.tolerable, shown.intolerable, shown.reached), (None, None, None));
}

#[test]
fn intervals_hold_although_the_rule_looked() {
    let (mut uniform, rule) = (Uniform(3), StopRule::Width { width: 0.12, most: 512 });
    let (mut misses, mut early) = (0, 0);
    for _ in 0..DRAWS {
        let mut scores = Vec::new();
        loop {
            let looked = Looked { golden: 0.8, p_no_flip: 0.25, bounds: AUC_BOUNDS, with_flips: &scores };
            match rule.after(&looked) {
                Step::Until(n) => {
                    while (scores.len() as u64) < n {
                        scores.push(uniform.score(0.1, 0.5, 0.8));
                    }
                }
                Step::Stop(reason, interval) => {
                    let mean = 0.25 * 0.8 + 0.75 * (0.1 * 0.5 + 0.9 * 0.8);
                    misses += u64::from(!interval.expect("chips were run").contains(mean));
                    early += u64::from(reason == StopReason::Narrow);
                    break;
                }
            }
        }
    }
    assert!(misses <= ALLOWED, "{misses} misses");
    assert!(early > DRAWS / 2, "the rule stopped early in {early} draws only");
}

#[test]
fn a_rule_by_width_never_stops_without_an_event() {
    let rule = StopRule::Width { width: 1.0, most: 100 };
    let looked = |with_flips| Looked { golden: 0.8, p_no_flip: 0.0, bounds: AUC_BOUNDS, with_flips };
    assert_eq!(rule.after(&looked(&[])), Step::Until(16));
    assert_eq!(rule.after(&looked(&[0.8; 16])), Step::Until(32));
    assert_eq!(rule.after(&looked(&[0.8; 17])), Step::Until(32));
    assert_eq!(rule.after(&looked(&[0.8; 64])), Step::Until(100));
    assert!(matches!(rule.after(&looked(&[0.8; 100])), Step::Stop(StopReason::Most, Some(_))));
    let mut scores = [0.8; 16];
    scores[3] = 0.7;
    assert!(matches!(rule.after(&looked(&scores)), Step::Stop(StopReason::Narrow, Some(_))));
    // Between looks nothing is decided.
    assert_eq!(rule.after(&looked(&scores[..15])), Step::Until(16));
    let fixed = StopRule::Fixed { n: 10 };
    assert_eq!(fixed.after(&looked(&[])), Step::Until(10));
    assert!(matches!(fixed.after(&looked(&[0.8; 10])), Step::Stop(StopReason::Fixed, Some(_))));
}

#[test]
fn a_profile_of_k_flips_gives_the_curve_of_independent_flips() {
    // Each flip leaves 0.9 of the lead: E = ½ + lead·(1 - 0.1·p)^bits exactly.
    let mu = |k: u64| 0.5 + 0.3 * f64::powi(0.9, k as i32);
    let scores: Vec<[f64; 2000]> = (1..=60).map(|k| [mu(k); 2000]).collect();
    let measured: Vec<Flipped<'_>> =
        (1..).zip(&scores).map(|(flips, scores)| Flipped { flips, scores }).collect();
    let profile = KFlipProfile::new(0.8, AUC_BOUNDS, &measured);
    for rate in [0.0, 1e-12, 1e-9, 1e-8, 2e-8] {
        let bits = 1_000_000_000;
        let at = profile.at(bits, rate);
        let exact = 0.5 + 0.3 * f64::exp(bits as f64 * f64::ln_1p(-0.1 * rate));
        assert!((at.mean.expect("few flips") - exact).abs() < 1e-9, "{rate}: {at:?} {exact}");
        assert!(at.interval.contains(exact) && at.beyond < 1e-6);
    }
    let beyond = profile.at(1_000_000_000, 1e-6);
    assert!(beyond.mean.is_none() && beyond.beyond > 0.999_999 && beyond.interval.low < 1e-6);
    assert_eq!(profile.at(3, 1.0).mean.map(|mean| (mean - mu(3)).abs() < 1e-12), Some(true));
}

#[test]
fn the_curve_of_a_sparse_profile_is_covered_at_every_rate() {
    let (mut uniform, mut misses) = (Uniform(4), 0);
    // A chip with k flips has collapsed with probability 1 - 0.9^k.
    let p = |k: i32| 1.0 - f64::powi(0.9, k);
    for _ in 0..DRAWS {
        let scores: Vec<(u64, Vec<f64>)> =
            [1, 4, 16].map(|k| (k as u64, (0..40).map(|_| uniform.score(p(k), 0.5, 0.8)).collect())).to_vec();
        let measured: Vec<_> =
            scores.iter().map(|(flips, scores)| Flipped { flips: *flips, scores }).collect();
        let profile = KFlipProfile::new(0.8, AUC_BOUNDS, &measured);
        let missed = [1e-6, 1e-5, 1e-4].iter().any(|rate| {
            let exact = 0.5 + 0.3 * f64::powi(1.0 - 0.1 * rate, 100_000);
            !profile.at(100_000, *rate).interval.contains(exact)
        });
        misses += u64::from(missed);
    }
    assert!(misses <= ALLOWED, "{misses} misses");
}

#[test]
fn the_vulnerability_over_strata_is_covered() {
    let (mut uniform, truth) = (Uniform(5), [(1_u64, 0.9), (8, 0.1), (23, 0.01)]);
    let total: f64 = truth.iter().map(|(weight, p)| *weight as f64 * p).sum::<f64>() / 32.0;
    let misses = (0..DRAWS)
        .filter(|_| {
            let strata = truth.map(|(weight, p)| {
                let critical = (0..50).filter(|_| uniform.next() < p).count() as u64;
                Stratum { weight, tried: 50, critical, exhaustive: false }
            });
            !vulnerability(&strata).expect("weights").1.contains(total)
        })
        .count() as u64;
    assert!(misses <= ALLOWED, "{misses} misses");
}

#[test]
fn exhaustive_strata_have_no_error_and_untried_ones_no_estimate() {
    let all = |weight, critical| Stratum { weight, tried: weight, critical, exhaustive: true };
    let (share, interval) = vulnerability(&[all(10, 5), all(30, 3)]).expect("weights");
    assert_eq!((share, interval.low, interval.high), (Some(0.2), 0.2, 0.2));
    let untried = Stratum { weight: 40, tried: 0, critical: 0, exhaustive: false };
    let (share, interval) = vulnerability(&[all(10, 5), all(30, 3), untried]).expect("weights");
    assert_eq!((share, interval.low, interval.high), (None, 0.1, 0.6));
    assert_eq!(vulnerability(&[]), None);
}

#[test]
fn odds_agree_with_fishers_tea() {
    // Four cups each, three guessed: p = 34/70, and the tables weigh 1, 16, 36, 16, 1 times ratio^k.
    let odds = odds_ratio((3, 4), (1, 4));
    assert!((odds.p_value - 34.0 / 70.0).abs() < 1e-12, "{odds:?}");
    let mass = |ratio: f64, from: usize, to: usize| {
        let weights: Vec<f64> =
            (0..).zip([1.0, 16.0, 36.0, 16.0, 1.0]).map(|(k, w)| w * f64::powi(ratio, k)).collect();
        weights[from..=to].iter().sum::<f64>() / weights.iter().sum::<f64>()
    };
    assert!((mass(odds.exact.low, 3, 4) - 0.025).abs() < 1e-12, "{odds:?}");
    assert!((mass(odds.exact.high, 0, 3) - 0.025).abs() < 1e-12, "{odds:?}");
    let none = odds_ratio((0, 10), (0, 10));
    assert_eq!((none.log, none.exact.low, none.exact.high), (0.0, 0.0, f64::INFINITY));
    assert!((none.p_value - 1.0).abs() < 1e-12);
}

#[test]
fn odds_ratios_are_covered() {
    let (mut uniform, ratio) = (Uniform(6), (0.3 / 0.7) / (0.1 / 0.9));
    let (mut exact, mut woolf) = (0, 0);
    for _ in 0..DRAWS {
        let mut count = |p: f64| (0..40).filter(|_| uniform.next() < p).count() as u64;
        let odds = odds_ratio((count(0.3), 40), (count(0.1), 40));
        exact += u64::from(!odds.exact.contains(ratio));
        woolf += u64::from(!odds.log_interval.contains(f64::ln(ratio)));
    }
    assert!(exact <= ALLOWED && woolf <= ALLOWED, "exact {exact}, Woolf {woolf}");
}

#[test]
fn kendalls_tau_counts_pairs() {
    let rising = kendall(&[1.0, 2.0, 3.0], &[0.1, 0.5, f64::INFINITY]);
    assert_eq!((rising.tau_b, rising.gamma), (Some(1.0), Some(1.0)));
    // One of six pairs ties on the right: tau-b = (4 - 1)/√(6·5).
    let mixed = kendall(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 3.0]);
    assert_eq!((mixed.concordant, mixed.discordant, mixed.gamma), (4, 1, Some(0.6)));
    assert!((mixed.tau_b.expect("differs") - 3.0 / f64::sqrt(30.0)).abs() < 1e-15);
    assert_eq!(kendall(&[1.0, 2.0], &[5.0, 5.0]).tau_b, None);
}

#[test]
fn chips_known_in_one_cell_alone_are_paired() {
    // The protection corrects chip 2 and is not measured on chip 9; chip 1 has no flips at all.
    let protected = ByChip { golden: 0.8, chips: &[(0, Some(0.79)), (1, None), (2, None), (9, Some(0.1))] };
    let bare = ByChip { golden: 0.8, chips: &[(0, Some(0.6)), (1, None), (2, Some(0.5))] };
    let gain = paired_by_chip(0.25, protected, bare);
    assert_eq!(gain, paired_difference(0.0, 0.25, 1, &[0.79, 0.8], &[0.6, 0.5]));
    assert_eq!(gain.n, 3);
    // Without a closed form every pair is a draw, in order of the chips.
    let drawn = paired_by_chip(0.0, protected, bare);
    assert_eq!(drawn, paired_difference(0.0, 0.0, 0, &[0.79, 0.8, 0.8], &[0.6, 0.8, 0.5]));
}
