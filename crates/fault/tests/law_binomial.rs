//! Flips of each bit are independent, with the probability of the rate, at every rate.
//!
//! Seeds are fixed; the false-alarm rate beside a bound is the chance that another seed would fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binomial;

use binomial::two_sided;
use radhard_fault::*;

const SEED: u64 = 20_261_122;

/// A parameter of this many f32 words that exist on paper only: drawing needs no memory for them.
fn exposure_of(elements: u64) -> Exposure {
    let spec = ParameterSpec {
        name: "table".to_owned(),
        shape: vec![elements as usize],
        format: Format::F32,
        component: Component::Unknown,
    };
    Target::all().resolve(&[spec], Expose::Parameters).unwrap()
}

fn draw<'a>(trial: u64, exposure: &Exposure, rate: f64, drawn: &'a mut DrawnMap) -> &'a DrawnParameter {
    Flips.draw(Chip::new(SEED, trial), exposure, Some(BitErrorRate::new(rate).unwrap()), drawn).unwrap();
    &drawn.parameters()[0]
}

fn flips(drawn: &DrawnParameter) -> u64 {
    drawn.flips().iter().map(|mask| u64::from(mask.count_ones())).sum()
}

/// 1, 2, 3, 5 and 7 times every power of ten from 1e-10 to 1e-1, the powers of two where bands meet, and FIT scale.
fn rates() -> Vec<f64> {
    let decades =
        (-10..=-1).flat_map(|k| [1, 2, 3, 5, 7].map(|digit| format!("{digit}e{k}").parse().unwrap()));
    let edges = [-60, -51, -50, -49, -21, -20, -19, -10, -2, -1].map(|k| 2.0_f64.powi(k));
    let fit_scale = [1e-15, 1e-14, 3e-14, 1e-12];
    decades.chain(edges).chain(fit_scale).chain([0.6, 0.75, 0.99]).collect()
}

#[test]
fn counts_of_flips_are_binomial_at_every_rate() {
    const CHIPS: u64 = 25;
    let (rates, mut drawn) = (rates(), DrawnMap::new());
    // Each test has two sides and there are two per rate: false alarms in 1e-5 of all seeds.
    let limit = 1e-5 / (2.0 * rates.len() as f64);
    for rate in rates {
        let elements = (2000.0 / 32.0 / rate).ceil().min((1_u64 << 48) as f64) as u64;
        let exposure = exposure_of(elements);
        let counts: Vec<u64> =
            (0..CHIPS).map(|trial| flips(draw(trial, &exposure, rate, &mut drawn))).collect();
        let (bits, total) = (exposure.bits(), counts.iter().sum::<u64>());
        let chance = two_sided(total, bits * CHIPS, rate);
        assert!(
            chance > limit,
            "rate {rate:e}: {total} flips of {bits} bits on {CHIPS} chips, chance {chance:e}"
        );

        // Spread between chips: χ² with 25 degrees, by Wilson and Hilferty below 5 or above 72 once in 1e-6 at most.
        let (mean, variance) = (bits as f64 * rate, bits as f64 * rate * (1.0 - rate));
        if mean > 30.0 {
            let square = counts.iter().map(|&count| (count as f64 - mean).powi(2) / variance).sum::<f64>();
            assert!((4.0..75.0).contains(&square), "rate {rate:e}: spread {square}");
        }
    }
}

/// χ² of counts that should be equal, and the limit that one seed in 1e6 exceeds (Wilson and Hilferty 1931, z = 4.75).
fn chi_square(counts: &[u64], variance_share: f64) -> (f64, f64) {
    let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let square = counts.iter().map(|&count| (count as f64 - mean).powi(2) / (mean * variance_share)).sum();
    let degrees = (counts.len() - 1) as f64;
    let ninth = 2.0 / (9.0 * degrees);
    (square, degrees * (1.0 - ninth + 4.75 * ninth.sqrt()).powi(3))
}

#[test]
fn every_bit_position_and_every_region_is_hit_equally_often() {
    let mut drawn = DrawnMap::new();
    for (rate, elements) in
        [(1e-9, 1 << 40), (1e-5, 1 << 28), (1e-3, 1 << 22), (0.01, 1 << 18), (0.3, 1 << 14)]
    {
        let exposure = exposure_of(elements);
        let (mut positions, mut regions) = ([0; 32], [0; 64]);
        for trial in 0..20 {
            for (element, effect) in draw(trial, &exposure, rate, &mut drawn).iter() {
                for bit in 0..32 {
                    let hit = effect.xor >> bit & 1;
                    positions[bit as usize] += hit;
                    regions[(element * 64 / elements) as usize] += hit;
                }
            }
        }
        for counts in [&positions[..], &regions] {
            let (square, limit) = chi_square(counts, 1.0 - rate);
            assert!(square < limit, "rate {rate:e}: χ² {square} of {}, limit {limit}", counts.len());
        }
    }
}

#[test]
fn neighbouring_bits_flip_independently() {
    // Pairs of adjacent flipped bits within words: 31 N pairs of probability p², false alarms 1e-6.
    let (elements, rate, mut drawn) = (1 << 18, 0.05, DrawnMap::new());
    let exposure = exposure_of(elements);
    let map = draw(3, &exposure, rate, &mut drawn);
    let pairs: u64 = map.flips().iter().map(|mask| u64::from((mask & mask >> 1).count_ones())).sum();
    let expected = 31.0 * elements as f64 * rate * rate;
    // Overlapping pairs share a bit: variance n p² (1 − p²) + 2 · 30 N p³ (1 − p).
    let variance = expected * (1.0 - rate * rate) + 60.0 * elements as f64 * rate.powi(3) * (1.0 - rate);
    assert!((pairs as f64 - expected).abs() < 4.9 * variance.sqrt(), "{pairs} pairs, {expected} expected");
}

#[test]
fn counts_of_corrupted_words_are_binomial() {
    let mut drawn = DrawnMap::new();
    for (trial, rate) in [1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5].into_iter().enumerate() {
        let elements = 100_000;
        let words = draw(trial as u64, &exposure_of(elements), rate, &mut drawn).elements().len() as u64;
        let hit = -libm::expm1(32.0 * libm::log1p(-rate));
        // False alarms 1e-6 per rate.
        assert!(two_sided(words, elements, hit) > 1e-6, "rate {rate}: {words} words");
    }
}

#[test]
fn arrivals_are_uniform() {
    let exposure = exposure_of(2000);
    let mut arrivals = Vec::new();
    Arrivals::default().marked_bits_below(
        Chip::new(SEED, 0),
        &exposure.parameters()[0],
        BitErrorRate::ONE,
        &mut arrivals,
    );
    assert_eq!(arrivals.len(), 64_000);
    let mut values: Vec<f64> = arrivals.iter().map(|arrival| arrival.value).collect();
    values.sort_by(f64::total_cmp);
    // Kolmogorov–Smirnov: 2 exp(−2 λ²) = 1e-6 at λ = 2.7.
    let n = values.len() as f64;
    let distance =
        values.iter().enumerate().map(|(i, u)| (u - (i as f64 + 0.5) / n).abs()).fold(0.0, f64::max);
    assert!(distance * n.sqrt() < 2.7, "distance {distance}");
    assert!((0.0..1.0).contains(&values[0]) && values[values.len() - 1] < 1.0);
}

#[test]
fn rate_zero_flips_nothing_and_rate_one_flips_all() {
    let (exposure, mut drawn) = (exposure_of(1000), DrawnMap::new());
    for trial in 0..100 {
        assert!(draw(trial, &exposure, 0.0, &mut drawn).elements().is_empty());
        let all = draw(trial, &exposure, 1.0, &mut drawn);
        assert_eq!(flips(all), 32_000);
        assert!(draw(trial, &exposure, f64::MIN_POSITIVE, &mut drawn).elements().is_empty());
    }
}
