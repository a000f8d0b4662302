//! Intervals against closed forms, exact rational arithmetic and definitions.

use radhard_metrics::bounded::{anderson_interval, betting_interval};
use radhard_metrics::cell::{
    AUC_BOUNDS, CellSample, CellStatistics, DIFFERENCE_BOUNDS, LOG_LOSS_BOUNDS, UNBOUNDED, mean_interval,
};
use radhard_metrics::quantile::quantile;
use radhard_metrics::{
    ChipCounts, Method, Proportion, Sides, auc, betting_p_values, bootstrap_interval, clopper_pearson,
    delong, delong_difference, median_interval, paired_difference, quantile_interval, zero_event_bound,
};

#[test]
fn clopper_pearson_agrees_with_exact_binomial_tails() {
    // Ends at which the binomial tail is 0.025, from 60-digit arithmetic.
    for (count, n, low, high) in [
        (3, 20, 0.032_070_937_185_463_7, 0.378_926_826_545_314),
        (1, 100, 0.000_253_146_032_977_42, 0.054_459_385_392_080_7),
        (7, 12, 0.276_669_685_682_106, 0.848_347_770_191_57),
        (50, 1000, 0.037_335_397_604_661_8, 0.065_390_487_915_493_7),
        (997, 1000, 0.991_257_976_761_522, 0.999_380_900_068_35),
        (4, 20_000, 0.000_054_495_871_132_81, 0.000_511_999_533_783_71),
    ] {
        let interval = clopper_pearson(count, n, 0.95).unwrap();
        assert!((interval.low - low).abs() < 1e-10 * low, "{count}/{n}: {interval:?}");
        assert!((interval.high - high).abs() < 1e-10 * high, "{count}/{n}: {interval:?}");
    }
    assert_eq!(clopper_pearson(0, 0, 0.95), None);
    let all = clopper_pearson(10, 10, 0.95).unwrap();
    assert!((all.low - f64::powf(0.025, 0.1)).abs() < 1e-14 && all.high == 1.0);
}

#[test]
fn no_event_in_ten_allows_25_9_percent_and_says_that_it_is_one_sided() {
    let bound = zero_event_bound(10, 0.95).unwrap();
    assert!((bound.high - (1.0 - f64::powf(0.05, 0.1))).abs() < 1e-15);
    assert_eq!(format!("{:.1}", 100.0 * bound.high), "25.9");
    assert_eq!((bound.low, bound.sides, bound.method), (0.0, Sides::Upper, Method::ZeroEvents));
    assert_eq!(zero_event_bound(0, 0.95), None);
}

#[test]
fn a_share_is_exact_and_two_sided_at_every_n_and_count() {
    for (count, n) in [(0, 12), (0, 1000), (3, 20), (500, 1000), (1000, 1000)] {
        let share = Proportion::of(count, n);
        assert_eq!(share.interval, clopper_pearson(count, n, 0.95), "{count} of {n}");
        assert_eq!(share.interval.unwrap().sides, Sides::Two);
        assert_eq!(share.estimate, share.share);
    }
    // 0 of 12: the upper end is at 97.5 %, 1 - 0.025^(1/12).
    assert_eq!(format!("{:.3}", Proportion::of(0, 12).interval.unwrap().high), "0.265");
    assert_eq!((Proportion::of(0, 0).interval, Proportion::of(0, 0).share), (None, None));
}

#[test]
fn chips_that_cannot_fail_narrow_a_share_exactly() {
    let chips = ChipCounts { with_flips: 0, drawn: 10, known: 990, known_have_it: false, p_no_flip: 0.99 };
    let high = |chips: &ChipCounts| Proportion::of_chips(chips).interval.unwrap().high;
    assert!((high(&chips) - 0.01 * clopper_pearson(0, 10, 0.95).unwrap().high).abs() < 1e-15);
    let none_run = Proportion::of_chips(&ChipCounts { drawn: 0, ..chips }).interval.unwrap();
    assert_eq!(none_run.method, Method::Bounds);
    assert!((none_run.high - 0.01).abs() < 1e-15);
    // By chance more chips have flips than 1 - P0 of them: the share of the sample leaves the interval, the estimate does not.
    let lucky = ChipCounts { with_flips: 20, drawn: 20, known: 980, ..chips };
    let share = Proportion::of_chips(&lucky);
    assert_eq!((share.share, share.estimate), (Some(0.02), Some(1.0 - 0.99)));
    assert!(!share.interval.unwrap().contains(0.02) && share.interval.unwrap().contains(1.0 - 0.99));
    // Known chips with the event are a share of exactly P0.
    let known = Proportion::of_chips(&ChipCounts { known_have_it: true, ..chips });
    assert_eq!((known.count, known.n, known.interval.unwrap().low), (990, 1000, 0.99));
    // Without a closed form all chips count.
    assert_eq!(Proportion::of_chips(&ChipCounts { p_no_flip: 0.0, ..lucky }), Proportion::of(20, 1000));
}

#[test]
fn order_statistics_bound_a_quantile_with_the_risk_on_each_side() {
    let sorted: Vec<f64> = (1..=500).map(f64::from).collect();
    // Ranks with P(Bin(n, q) < r) and P(Bin(n, q) >= s) at most 0.025, from exact binomial sums.
    for (n, share, low, high) in [
        (6, 0.5, Some(1.0), Some(6.0)),
        (5, 0.5, None, None),
        (10, 0.5, Some(2.0), Some(9.0)),
        (100, 0.95, Some(90.0), Some(100.0)),
        (72, 0.95, Some(64.0), Some(72.0)),
        (71, 0.95, Some(63.0), None),
        (300, 0.95, Some(277.0), Some(293.0)),
        (1, 0.95, None, None),
    ] {
        assert_eq!(quantile_interval(&sorted[..n], share, 0.95), [low, high], "n {n}, {share}");
    }
    assert_eq!(quantile_interval(&[], 0.5, 0.95), [None, None]);
    for n in 6..60 {
        let median = median_interval(&sorted[..n], 0.95).unwrap();
        assert_eq!(quantile_interval(&sorted[..n], 0.5, 0.95), [Some(median.low), Some(median.high)], "{n}");
    }
}

#[test]
fn the_median_interval_takes_the_innermost_order_statistics_that_reach_the_level() {
    let sorted: Vec<f64> = (1..=50).map(f64::from).collect();
    for (n, rank, level) in [
        (6, 1, 0.968_75),
        (10, 2, 0.978_515_625),
        (20, 6, 0.958_610_534_667_969),
        (50, 18, 0.967_160_862_435_732),
    ] {
        let interval = median_interval(&sorted[..n], 0.95).unwrap();
        assert_eq!((interval.low, interval.high), (rank as f64, (n + 1 - rank) as f64), "n {n}");
        assert!((interval.level - level).abs() < 1e-12);
    }
    for n in 0..6 {
        assert_eq!(median_interval(&sorted[..n], 0.95), None, "n {n}");
    }
}

#[test]
fn quantiles_are_linear_between_order_statistics() {
    let sorted = [1.0, 2.0, 4.0, 8.0];
    assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&sorted, share)), [1.0, 1.75, 3.0, 5.0, 8.0]);
    assert_eq!(quantile(&[3.0], 0.95), 3.0);
}

#[test]
fn betting_refutes_exactly_the_means_beyond_its_ends() {
    // Three ones: variances before each score ¼, (¼ + 1/16)/2, (¼ + 1/16 + 1/36)/3; at the end the wealth is 2/α.
    let three = betting_interval(&[1.0; 3], AUC_BOUNDS, 0.95).unwrap();
    let wealth: f64 = [1.0 / 4.0, 5.0 / 32.0, 49.0 / 432.0]
        .map(|variance| f64::sqrt(2.0 * f64::ln(40.0) / (3.0 * variance)))
        .map(|bet| 1.0 + f64::min(bet, 0.75 / three.low) * (1.0 - three.low))
        .iter()
        .product();
    assert!((wealth - 40.0).abs() < 1e-9, "{three:?} {wealth}");
    assert_eq!(three.high, 1.0);
    assert_eq!(betting_interval(&[], AUC_BOUNDS, 0.95), None);
}

#[test]
fn a_p_value_of_two_and_a_half_percent_is_where_the_interval_ends() {
    let scores: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 11) / 10.0).collect();
    let interval = betting_interval(&scores, AUC_BOUNDS, 0.95).unwrap();
    let p = |mean: f64| betting_p_values(&scores, AUC_BOUNDS, mean).unwrap();
    assert!((p(interval.low)[0] - 0.025).abs() < 1e-9 && (p(interval.high)[1] - 0.025).abs() < 1e-9);
    assert!(p(interval.low - 0.01)[0] < 0.025 && p(interval.low + 0.01)[0] > 0.025);
    assert_eq!(p(0.5), [p(0.5)[0], p(0.5)[1]]);
    assert_eq!(betting_p_values(&[], AUC_BOUNDS, 0.5), None);
    // Known chips that differ by 0.3 in 90 % outweigh whatever the others do.
    let paired = paired_difference(0.3, 0.9, 9, &[0.2], &[0.8]);
    assert_eq!(paired.p_values, [0.0, 1.0]);
}

#[test]
fn betting_is_symmetric_and_follows_its_bounds() {
    let scores: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 11) / 10.0).collect();
    let base = betting_interval(&scores, AUC_BOUNDS, 0.95).unwrap();
    let mirrored: Vec<f64> = scores.iter().map(|x| 1.0 - x).collect();
    let mirror = betting_interval(&mirrored, AUC_BOUNDS, 0.95).unwrap();
    assert!((base.low + mirror.high - 1.0).abs() < 1e-12 && (base.high + mirror.low - 1.0).abs() < 1e-12);
    let shifted: Vec<f64> = scores.iter().map(|x| 2.0 * x - 1.0).collect();
    let shift = betting_interval(&shifted, DIFFERENCE_BOUNDS, 0.95).unwrap();
    assert!((shift.low - (2.0 * base.low - 1.0)).abs() < 1e-12);
    assert!((shift.high - (2.0 * base.high - 1.0)).abs() < 1e-12);
}

#[test]
fn anderson_moves_the_free_mass_to_the_bounds() {
    // All scores ½ at n = 50: the mean may lie ε/2 either way.
    let band = f64::sqrt(f64::ln(40.0) / 100.0);
    let interval = anderson_interval(&[0.5; 50], AUC_BOUNDS, 0.95).unwrap();
    assert!((interval.low - 0.5 * (1.0 - band)).abs() < 1e-14);
    assert!((interval.high - 0.5 * (1.0 + band)).abs() < 1e-14);
    // Two chips leave a band wider than ½: most of the range.
    let two = anderson_interval(&[0.2, 0.8], [0.0, 1.0], 0.95).unwrap();
    assert!(two.low >= 0.0 && two.high <= 1.0 && two.width() > 0.9);
}

#[test]
#[should_panic(expected = "score NaN is outside its bounds [0, 1]")]
fn a_mean_of_nan_is_refused() {
    betting_interval(&[f64::NAN], AUC_BOUNDS, 0.95);
}

#[test]
fn the_mean_interval_weighs_golden_by_its_exact_probability() {
    let inner = betting_interval(&[0.6, 0.7, 0.65], AUC_BOUNDS, 0.95).unwrap();
    let whole = mean_interval(0.8, 0.9, AUC_BOUNDS, &[0.6, 0.7, 0.65]).unwrap();
    assert!((whole.low - (0.72 + 0.1 * inner.low)).abs() < 1e-15);
    assert!((whole.high - (0.72 + 0.1 * inner.high)).abs() < 1e-15);
    // Nothing run: all that is left open is what chips with flips can do.
    let open = mean_interval(0.8, 0.9, AUC_BOUNDS, &[]).unwrap();
    assert!(
        (open.low - 0.72).abs() < 1e-15 && (open.high - 0.82).abs() < 1e-15 && open.method == Method::Bounds
    );
    assert_eq!(mean_interval(0.8, 0.9, UNBOUNDED, &[0.6]), None);
}

#[test]
fn the_bootstrap_needs_thirty_scores_of_five_values_and_repeats_itself() {
    let scores: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 200) / 200.0).collect();
    let interval = bootstrap_interval(&scores, 0.95, 1).unwrap();
    assert_eq!(bootstrap_interval(&scores, 0.95, 1), Some(interval));
    // Near the normal interval 0.4975 ± 1.96 · 0.2894/√200; 2000 resamples leave about 5 % of noise in each end.
    assert!((interval.low - 0.4574).abs() < 0.006 && (interval.high - 0.5376).abs() < 0.006, "{interval:?}");
    assert_eq!(bootstrap_interval(&scores[..29], 0.95, 1), None);
    let four: Vec<f64> = (0..100).map(|i| f64::from(i % 4)).collect();
    assert_eq!(bootstrap_interval(&four, 0.95, 1), None);
    let mut broken = scores;
    broken[7] = f64::NAN;
    assert_eq!(bootstrap_interval(&broken, 0.95, 1), None);
}

#[test]
fn the_bootstrap_leans_towards_the_long_tail() {
    let skewed: Vec<f64> = (0..60).map(|i| -f64::ln(1.0 - (f64::from(i) + 0.5) / 60.0)).collect();
    let mean = skewed.iter().sum::<f64>() / 60.0;
    let interval = bootstrap_interval(&skewed, 0.95, 5).unwrap();
    assert!(interval.high - mean > 1.1 * (mean - interval.low), "{interval:?}");
}

#[test]
fn a_cell_of_known_chips_alone_is_golden() {
    let cell = CellStatistics::of(&CellSample::auc(0.78, 1.0, 10, &[]));
    assert_eq!((cell.n, cell.mean, cell.sd, cell.median), (10, Some(0.78), Some(0.0), Some(0.78)));
    let interval = cell.mean_interval.unwrap();
    assert_eq!((interval.low, interval.high), (0.78, 0.78));
    assert_eq!(cell.collapse.unwrap().count, 0);
}

#[test]
fn an_empty_cell_has_nothing_to_say() {
    let cell = CellStatistics::of(&CellSample::auc(0.78, 0.5, 0, &[]));
    assert_eq!(
        (cell.n, cell.mean, cell.sd, cell.min, cell.max, cell.median),
        (0, None, None, None, None, None)
    );
    assert_eq!((cell.mean_interval, cell.median_interval, cell.bootstrap), (None, None, None));
    assert_eq!((cell.collapse, cell.non_finite.share, cell.non_finite.interval), (None, None, None));
}

#[test]
fn a_cell_summarises_known_and_run_chips_together() {
    let sample = CellSample {
        non_finite_chips: 1,
        flips: &[3, 1, 2],
        ..CellSample::auc(0.8, 0.7, 7, &[0.5, 0.7, 0.8])
    };
    let cell = CellStatistics::of(&sample);
    assert_eq!((cell.n, cell.known, cell.undefined), (10, 7, 0));
    assert!((cell.mean.unwrap() - 0.76).abs() < 1e-15);
    // Squares about 0.76: 0.26² + 0.06² + 8 · 0.04².
    assert!((cell.sd.unwrap() - f64::sqrt(0.084 / 9.0)).abs() < 1e-15);
    assert_eq!((cell.min, cell.max, cell.median), (Some(0.5), Some(0.8), Some(0.8)));
    assert!((cell.p05.unwrap() - 0.59).abs() < 1e-15);
    // 0.5 lies below ½ + 0.1 · 0.3.
    assert_eq!((cell.collapse.unwrap().count, cell.non_finite.count), (1, 1));
    assert_eq!((cell.flips_mean, cell.flips_min, cell.flips_max), (Some(0.6), Some(0), Some(3)));
    assert!((cell.stratified_mean.unwrap() - (0.56 + 0.3 * 2.0 / 3.0)).abs() < 1e-15);
    assert!(cell.mean_interval.unwrap().contains(0.76));
}

#[test]
fn undefined_scores_are_counted_and_leave_no_interval() {
    let cell = CellStatistics::of(&CellSample::auc(0.8, 0.5, 1, &[f64::NAN, 0.6]));
    assert_eq!((cell.n, cell.undefined, cell.mean_interval, cell.collapse), (3, 1, None, None));
    assert!((cell.mean.unwrap() - 0.7).abs() < 1e-15);
    let without_golden = CellStatistics::of(&CellSample::auc(f64::NAN, 0.5, 2, &[0.6]));
    assert_eq!((without_golden.golden, without_golden.undefined, without_golden.mean), (None, 2, Some(0.6)));
    assert_eq!(without_golden.mean_interval, None);
}

#[test]
fn a_model_no_better_than_guessing_cannot_collapse() {
    assert_eq!(CellStatistics::of(&CellSample::auc(0.48, 0.5, 5, &[0.4, 0.5])).collapse, None);
    let log_loss = CellSample { bounds: LOG_LOSS_BOUNDS, ..CellSample::auc(0.6, 0.5, 5, &[0.9, 20.0]) };
    assert_eq!(CellStatistics::of(&log_loss).collapse, None);
}

#[test]
fn known_chips_without_a_known_share_join_the_draws() {
    let cell = CellStatistics::of(&CellSample::auc(0.8, 0.0, 2, &[0.6, 0.7]));
    let all = betting_interval(&[0.6, 0.7, 0.8, 0.8], AUC_BOUNDS, 0.95);
    assert_eq!(cell.mean_interval, all);
}

#[test]
fn statistics_survive_json() {
    let scores: Vec<f64> = (0..40).map(|i| 0.5 + f64::from(i) / 160.0).collect();
    let cell = CellStatistics::of(&CellSample::auc(0.78, 0.2, 3, &scores));
    assert!(cell.bootstrap.is_some());
    let json = serde_json::to_string(&cell).unwrap();
    assert_eq!(serde_json::from_str::<CellStatistics>(&json).unwrap(), cell);
}

#[test]
fn paired_differences_are_taken_chip_by_chip() {
    let pairs = paired_difference(-0.01, 0.5, 2, &[0.7, 0.6], &[0.5, 0.6]);
    assert_eq!(pairs.n, 4);
    assert!((pairs.mean.unwrap() - 0.045).abs() < 1e-15);
    let inner = betting_interval(&[0.7 - 0.5, 0.0], DIFFERENCE_BOUNDS, 0.95).unwrap();
    assert!((pairs.mean_interval.unwrap().low - (0.5 * -0.01 + 0.5 * inner.low)).abs() < 1e-15);
    assert_eq!(paired_difference(0.0, 0.5, 0, &[f64::NAN], &[0.5]).mean_interval, None);
    assert_eq!(paired_difference(0.0, 0.5, 0, &[], &[]).mean, None);
}

/// DeLong's variance from the kernel of every pair.
fn delong_by_definition(scores: &[f32], labels: &[u8]) -> f64 {
    let of = |class: u8| -> Vec<f32> {
        scores.iter().zip(labels).filter(|(_, l)| **l == class).map(|(s, _)| *s).collect()
    };
    let (positives, negatives) = (of(1), of(0));
    let win = |p: f32, n: f32| {
        if p > n {
            1.0
        } else if p == n {
            0.5
        } else {
            0.0
        }
    };
    let by_positive: Vec<f64> = positives
        .iter()
        .map(|&p| negatives.iter().map(|&n| win(p, n)).sum::<f64>() / negatives.len() as f64)
        .collect();
    let by_negative: Vec<f64> = negatives
        .iter()
        .map(|&n| positives.iter().map(|&p| win(p, n)).sum::<f64>() / positives.len() as f64)
        .collect();
    let over_n = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        squares / (values.len() - 1) as f64 / values.len() as f64
    };
    over_n(&by_positive) + over_n(&by_negative)
}

#[test]
fn delong_equals_its_definition_with_ties() {
    let scores: Vec<f32> = (0..120_u8).map(|i| f32::from(i.wrapping_mul(89) % 17) / 17.0).collect();
    let labels: Vec<u8> = (0..120_u8).map(|i| u8::from(i.wrapping_mul(53) % 7 < 3)).collect();
    let ours = delong(&scores, &labels, 0.5, 0.95).unwrap();
    assert!((ours.estimate - auc(&scores, &labels).unwrap()).abs() < 1e-14);
    assert!((ours.variance - delong_by_definition(&scores, &labels)).abs() < 1e-15);
    let half = 1.959_963_984_540_054 * ours.variance.sqrt();
    assert!((ours.interval.high - ours.estimate - half).abs() < 1e-14);
}

#[test]
fn delong_of_a_ranking_with_itself_has_no_variance() {
    let scores = [0.1, 0.4, 0.35, 0.8, 0.7, 0.2];
    let labels = [0, 0, 1, 1, 0, 1];
    let same = delong_difference(&scores, &scores, &labels, 0.5, 0.95).unwrap();
    assert_eq!((same.estimate, same.variance), (0.0, 0.0));
    // Against the same scores turned round, the difference is 2·AUC - 1 with four times the variance.
    let turned = scores.map(|s| -s);
    let one = delong(&scores, &labels, 0.5, 0.95).unwrap();
    let both = delong_difference(&scores, &turned, &labels, 0.5, 0.95).unwrap();
    assert!((both.estimate - (2.0 * one.estimate - 1.0)).abs() < 1e-14);
    assert!((both.variance - 4.0 * one.variance).abs() < 1e-14);
}

#[test]
fn delong_needs_two_rows_of_each_class() {
    assert_eq!(delong(&[0.1, 0.2, 0.3], &[1, 0, 0], 0.5, 0.95), None);
    assert_eq!(delong(&[], &[], 0.5, 0.95), None);
    // NaN rows take the substitute.
    let with_nan = delong(&[f32::NAN, 0.2, 0.3, 0.9], &[1, 0, 0, 1], 0.25, 0.95);
    assert_eq!(with_nan, delong(&[0.25, 0.2, 0.3, 0.9], &[1, 0, 0, 1], 0.5, 0.95));
}
