//! What flips do to the numbers that words stand for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;

use radhard_fault::*;
use sample::{draw, exposure};

/// f32 weights under one target and rate, before and after the flips of one chip.
fn before_and_after(values: &[f32], target: &str, rate: f64, trial: u64) -> Vec<(f32, f32, u32)> {
    let mut parameters = OwnedParameters::default();
    parameters.push_f32("w", &[values.len()], Component::Dense, values);
    let drawn = draw("flips", Chip::new(77, trial), &exposure(&parameters, target), Some(rate));
    let injected = Injected::new(&mut parameters, &drawn).unwrap();
    let after = injected.words(0).iter().map(|word| f32::from_bits(word as u32));
    let pairs = values.iter().copied().zip(after);
    pairs.map(|(before, after)| (before, after, before.to_bits() ^ after.to_bits())).collect()
}

/// Every kind of number below 2 in magnitude: zeros, subnormals, powers of two, the last below 2, and scattered ones.
fn below_two() -> Vec<f32> {
    let special = [
        0.0,
        1e-45,
        1e-40,
        f32::MIN_POSITIVE,
        0.625,
        0.5,
        1.0,
        1.5,
        2.0_f32.next_down(),
        1.0_f32.next_down(),
    ];
    let key = StreamKey::new(1, 1, 1);
    let scattered = (0..4000).map(|i| {
        let [a, b] = key.pair(Purpose::Custom(2), 0, i);
        (unit(a) * 2.0_f64.powi(-((b % 40) as i32)) * 2.0) as f32
    });
    let all: Vec<f32> = special.into_iter().chain(scattered).filter(|w| *w < 2.0).collect();
    all.iter().flat_map(|&w| [w, -w]).collect()
}

#[test]
fn flips_that_spare_bit_30_keep_weights_below_two() {
    for (trial, rate) in [0.001, 0.1, 0.5, 1.0].into_iter().enumerate() {
        for (before, after, _) in before_and_after(&below_two(), "all@0-29,all@31", rate, trial as u64) {
            assert!(after.abs() < 2.0, "{before:e} became {after:e}");
        }
    }
}

#[test]
fn a_flip_of_bit_30_multiplies_normal_weights_below_one_by_two_to_the_128() {
    let scale = 2.0_f64.powi(128);
    for (before, after, changed) in before_and_after(&below_two(), "all@30", 1.0, 0) {
        assert_eq!(changed, 1 << 30);
        let magnitude = before.abs();
        let (before, after) = (f64::from(before), f64::from(after));
        assert_eq!(before.is_sign_negative(), after.is_sign_negative());
        if magnitude == 0.0 {
            assert_eq!(after.abs(), 2.0);
        } else if magnitude < f32::MIN_POSITIVE {
            let fraction = f64::from(magnitude.to_bits()) / 2.0_f64.powi(23);
            assert_eq!(after.abs(), 2.0 * (1.0 + fraction));
        } else if magnitude < 1.0 {
            assert_eq!(after, before * scale);
            assert!(after.abs() < f64::from(f32::MAX) * 1.000_001);
        } else if magnitude == 1.0 {
            assert!(after.is_infinite());
        } else {
            assert!(after.is_nan());
        }
    }
    let (_, after, _) = before_and_after(&[0.625], "all@30", 1.0, 0)[0];
    assert_eq!(after, 2.126_764_8e38);
}

#[test]
fn a_flip_of_bit_30_shrinks_weights_from_two_on_to_almost_nothing() {
    for (before, after, _) in before_and_after(&[4.0, -7.5, 1e10, f32::MAX], "all@30", 1.0, 0) {
        assert_eq!(f64::from(after), f64::from(before) * 2.0_f64.powi(-128), "{before}");
    }
    for (_, after, _) in before_and_after(&[2.0, -3.5], "all@30", 1.0, 0) {
        assert!(after.abs() < f32::MIN_POSITIVE);
    }
    for (before, after, _) in before_and_after(&[2.0, -3.5], "all@29", 1.0, 0) {
        assert_eq!(f64::from(after), f64::from(before) * 2.0_f64.powi(64), "{before}");
    }
}

#[test]
fn with_sign_and_exponent_protected_weights_stay_within_a_factor_of_two() {
    for (trial, rate) in [0.01, 0.3, 0.5, 1.0].into_iter().enumerate() {
        for (before, after, changed) in before_and_after(&below_two(), "all@mantissa", rate, trial as u64) {
            assert_eq!(changed & 0xFF80_0000, 0);
            if before.is_normal() {
                let ratio = f64::from(after) / f64::from(before);
                assert!(0.5 < ratio && ratio < 2.0, "{before:e} became {after:e}");
            }
        }
    }
}

#[test]
fn mantissa_noise_is_the_stated_share_of_the_signal() {
    const WORDS: usize = 200_000;
    for (trial, (mantissa, rate)) in
        [(0.0, 0.01), (0.25, 0.01), (0.5, 0.1), (0.9, 0.1), (0.999, 0.3), (0.0, 0.5)].into_iter().enumerate()
    {
        let w = 0.25 * (1.0 + mantissa) as f32;
        let m = f64::from(w) / 0.25 - 1.0;
        let squares: Vec<f64> = before_and_after(&vec![w; WORDS], "all@mantissa", rate, trial as u64)
            .into_iter()
            .map(|(before, after, _)| ((f64::from(after) - f64::from(before)) / f64::from(before)).powi(2))
            .collect();
        let mean = squares.iter().sum::<f64>() / WORDS as f64;
        let variance = squares.iter().map(|square| (square - mean).powi(2)).sum::<f64>() / WORDS as f64;
        let c = (1.0 - rate + 3.0 * rate * (1.0 - 2.0 * m).powi(2)) / (3.0 * (1.0 + m).powi(2));
        // Six standard errors: false alarms 2e-9 each; 1e-6 for the 2^-23 that the closed form leaves out.
        let bound = 6.0 * (variance / WORDS as f64).sqrt() + 1e-6;
        assert!((mean - c * rate).abs() < bound, "m {m} rate {rate}: {mean} is not {}", c * rate);
        assert!(c <= (1.0 + 2.0 * rate) / 3.0 + 1e-12);
        assert!(rate > 0.1 || c >= (1.0 - rate) / 12.0);
    }
}

#[test]
fn bit_zero_is_the_least_significant_in_every_format() {
    for format in Format::ALL {
        let mut parameters = OwnedParameters::default();
        parameters.push(ParameterSpec {
            name: "w".to_owned(),
            shape: vec![2],
            format,
            component: Component::Dense,
        });
        let one = format.encode(1.0);
        for element in 0..2 {
            parameters.words_mut(0).set(element, one);
        }
        for bit in 0..format.bits() {
            let target: Target = format!("w@{bit}").parse().unwrap();
            let exposure = target.resolve(parameters.specs(), Expose::Parameters).unwrap();
            let drawn = draw("flips", Chip::new(0, 0), &exposure, Some(1.0));
            let injected = Injected::new(&mut parameters, &drawn).unwrap();
            assert_eq!(injected.flips(), 2);
            assert_eq!(injected.words(0).get(1), one ^ 1 << bit, "{format} bit {bit}");
        }
        if format == Format::F8E8M0 {
            assert_eq!(format.decode(one ^ 1), 0.5, "a scale has an exponent and nothing else");
        } else if format.is_float() {
            let sign = u64::from(format.bits() - 1);
            assert_eq!(format.decode(one ^ 1 << sign), -1.0);
            let ulp = format.decode(one ^ 1) - 1.0;
            let most = if format == Format::F4 { 0.5 } else { 0.25 };
            assert!(ulp > 0.0 && ulp <= most, "{format}: bit 0 of 1 changes it by {ulp}");
        } else {
            assert_eq!(format.decode(one ^ 1), 0.0);
        }
    }
}

#[test]
fn words_that_stand_for_nan_are_words_like_others() {
    let values = [f32::NAN, f32::INFINITY, -f32::NAN, f32::from_bits(0x7F80_0001)];
    for (before, after, changed) in before_and_after(&values, "all@0-22", 1.0, 0) {
        assert_eq!(changed, 0x007F_FFFF);
        assert_eq!(after.to_bits(), before.to_bits() ^ 0x007F_FFFF);
    }
}
