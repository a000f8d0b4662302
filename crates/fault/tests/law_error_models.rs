//! What each error model promises.
//!
//! Seeds are fixed; the false-alarm rate beside a bound is the chance that another seed would fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binomial;
mod sample;
mod weights;

use binomial::two_sided;
use radhard_fault::*;
use sample::{draw, exposure};
use weights::model;

/// A few words with ones and zeros, some of them zero, in formats of different widths.
fn tiny() -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    let spec = |name: &str, shape: &[usize], format| ParameterSpec {
        name: name.to_owned(),
        shape: shape.to_vec(),
        format,
        component: Component::Dense,
    };
    parameters.push(spec("a", &[3], Format::F32));
    parameters.push(spec("b", &[2, 2], Format::I8));
    parameters.push(spec("c", &[3], Format::I4));
    for (index, words) in
        [vec![0x3F20_0000, 0, 0xFFFF_FFFF], vec![0, 1, 0x80, 0x7F], vec![0, 5, 0xF]].iter().enumerate()
    {
        for (element, &word) in words.iter().enumerate() {
            parameters.words_mut(index).set(element as u64, word);
        }
    }
    parameters
}

#[test]
fn the_probability_of_no_flip_is_the_share_of_chips_without_one() {
    const CHIPS: u64 = 6000;
    let mut parameters = tiny();
    for target in ["all", "a@exponent,b@0-3,c"] {
        let exposure = exposure(&parameters, target);
        let stored = exposure.stored_bits(&parameters);
        for (error_model, rate) in [
            ("flips", 0.01),
            ("burst:1:1", 0.01),
            ("burst:6:0.3", 0.01),
            ("burst:40:0.05", 0.008),
            ("burst:4000:1", 0.004),
            ("stuck-at:0", 0.01),
            ("stuck-at:1", 0.01),
            ("stuck-at:random", 0.02),
            ("asymmetric:0.1:1", 0.02),
            ("asymmetric:1:0", 0.02),
            ("value:zero", 0.1),
            ("value:uniform", 0.08),
        ] {
            let model = parse_error_model(error_model).unwrap();
            let ber = Some(BitErrorRate::new(rate).unwrap());
            let p = model.p_no_flip(&exposure, ber, Some(&stored)).unwrap();
            let mut drawn = DrawnMap::new();
            let mut none = 0;
            for trial in 0..CHIPS {
                model.draw(Chip::new(4, trial), &exposure, ber, &mut drawn).unwrap();
                none += u64::from(Injected::new(&mut parameters, &drawn).unwrap().flips() == 0);
            }
            // 24 tests: false alarms in 2.4e-5 of all seeds.
            assert!(two_sided(none, CHIPS, p) > 1e-6, "{error_model} on {target}: {none} of {CHIPS}, p {p}");
            assert!(
                (0.05..0.95).contains(&p),
                "{error_model} on {target}: the test needs a p apart from 0 and 1"
            );

            let at = |rate| {
                model.p_no_flip(&exposure, Some(BitErrorRate::new(rate).unwrap()), Some(&stored)).unwrap()
            };
            assert_eq!(at(0.0), 1.0, "{error_model}");
            assert!(at(1e-6) > at(1e-3));
        }
    }
    let exposure = exposure(&parameters, "all");
    assert_eq!(Count { count: 0 }.p_no_flip(&exposure, None, None), Some(1.0));
    assert_eq!(Count { count: 3 }.p_no_flip(&exposure, None, None), Some(0.0));
    let range = parse_error_model("value:0..1").unwrap();
    assert_eq!(range.p_no_flip(&exposure, Some(BitErrorRate::ONE), None), None);
}

#[test]
fn flips_spare_all_bits_with_one_minus_p_to_the_power_of_the_exposed_bits() {
    let parameters = model();
    for target in ["all", "dense@30", "embedding"] {
        let exposure = exposure(&parameters, target);
        for rate in [1e-9, 1e-5, 0.1] {
            let p = Flips.p_no_flip(&exposure, Some(BitErrorRate::new(rate).unwrap()), None).unwrap();
            let expected = (1.0 - rate).powf(exposure.bits() as f64);
            assert!((p - expected).abs() <= 1e-9 * expected, "{target} at {rate}: {p} is not {expected}");
        }
    }
}

#[test]
fn half_of_the_randomly_stuck_bits_are_silent() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let (mut hits, mut loud) = (0, 0);
    for trial in 0..40 {
        hits +=
            draw("flips", Chip::new(9, trial), &exposure, Some(0.05)).resolve(&parameters).unwrap().flips();
        loud += draw("stuck-at:random", Chip::new(9, trial), &exposure, Some(0.05))
            .resolve(&parameters)
            .unwrap()
            .flips();
    }
    // False alarms 1e-6.
    assert!(two_sided(loud, hits, 0.5) > 1e-6, "{loud} of {hits}");
}

#[test]
fn stuck_bits_are_the_flips_that_go_their_way() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    for trial in 0..10 {
        let map =
            |model| draw(model, Chip::new(9, trial), &exposure, Some(0.02)).resolve(&parameters).unwrap();
        let [flips, zero, one, random] = ["flips", "stuck-at:0", "stuck-at:1", "stuck-at:random"].map(map);
        assert_eq!(flips.flips(), zero.flips() + one.flips());
        assert!(random.flips() < flips.flips());
        for (map, level) in [(&zero, 0), (&one, u64::MAX)] {
            for (_, mask, old) in map.parameters().iter().flat_map(MapParameter::iter) {
                assert_eq!((old ^ mask) & mask, level & mask);
            }
        }
    }
}

#[test]
fn errors_from_one_to_zero_never_grow_a_weight() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    for trial in 0..10 {
        let map =
            draw("asymmetric:0:1", Chip::new(3, trial), &exposure, Some(0.1)).resolve(&parameters).unwrap();
        assert!(map.flips() > 100);
        for (_, mask, old) in map.parameters().iter().flat_map(MapParameter::iter) {
            let [before, after] = [old, old ^ mask].map(|word| f32::from_bits(word as u32));
            assert!(after.abs() <= before.abs(), "{before} became {after}");
            assert!(before.is_sign_negative() || after.is_sign_positive(), "{before} became {after}");
        }
    }
}

#[test]
fn asymmetric_errors_strike_zeros_and_ones_at_their_own_rates() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let stored = exposure.stored_bits(&parameters);
    assert_eq!(stored.ones + stored.zeros, exposure.bits());
    for (error_model, p01, p10) in
        [("asymmetric:0.25:1", 0.025, 0.1), ("asymmetric:1:0.5", 0.1, 0.05), ("asymmetric:1:1", 0.1, 0.1)]
    {
        const CHIPS: u64 = 20;
        let (mut up, mut down) = (0, 0);
        for trial in 0..CHIPS {
            let map =
                draw(error_model, Chip::new(3, trial), &exposure, Some(0.1)).resolve(&parameters).unwrap();
            for (_, mask, old) in map.parameters().iter().flat_map(MapParameter::iter) {
                up += u64::from((mask & !old).count_ones());
                down += u64::from((mask & old).count_ones());
            }
        }
        // 6 tests: false alarms in 6e-6 of all seeds.
        assert!(two_sided(up, stored.zeros * CHIPS, p01) > 1e-6, "{error_model}: {up} up");
        assert!(two_sided(down, stored.ones * CHIPS, p10) > 1e-6, "{error_model}: {down} down");
    }
}

#[test]
fn a_sure_burst_is_one_run_that_ends_with_its_parameter() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let mut cut = 0;
    for trial in 0..3000 {
        let chip = Chip::new(5, trial);
        let starts = draw("flips", chip, &exposure, Some(2e-5));
        let burst = draw("burst:40:1", chip, &exposure, Some(2e-5));
        for (starts, burst) in starts.parameters().iter().zip(burst.parameters()) {
            let sites = |drawn: &DrawnParameter| {
                let of = |(element, effect): (u64, Effect)| {
                    (0..32).filter(move |bit| effect.xor >> bit & 1 == 1).map(move |bit| element * 32 + bit)
                };
                drawn.iter().flat_map(of).collect::<Vec<u64>>()
            };
            let end = burst.exposed().sites();
            let mut expected: Vec<u64> =
                sites(starts).into_iter().flat_map(|start| start..end.min(start + 40)).collect();
            cut += u64::from(expected.last() == Some(&(end - 1)));
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(sites(burst), expected);
        }
    }
    assert!(cut > 0, "some run met the end of its parameter");
}

#[test]
fn bits_of_a_burst_flip_with_the_inner_rate() {
    let parameters = model();
    let exposure = exposure(&parameters, "embedding.weight");
    let (mut inside, mut flips) = (0, 0);
    for trial in 0..400 {
        // Rare enough that runs seldom meet; where they do, the union is counted.
        let [all, some] = ["burst:20:1", "burst:20:0.3"].map(|model| {
            draw(model, Chip::new(5, trial), &exposure, Some(2e-5)).resolve(&parameters).unwrap().flips()
        });
        inside += all;
        flips += some;
    }
    assert!(inside > 10_000);
    // False alarms 1e-6; overlaps raise the share by less than a hundredth of a standard deviation per run.
    assert!(two_sided(flips, inside, 0.3) > 1e-6, "{flips} of {inside}");
}

#[test]
fn counted_flips_are_uniform_over_all_exposed_bits() {
    let parameters = tiny();
    let exposure = exposure(&parameters, "a,c");
    let mut counts = vec![0_u64; exposure.bits() as usize];
    let chips = 40_000;
    for trial in 0..chips {
        let drawn = draw("count:2", Chip::new(8, trial), &exposure, None);
        for (parameter, offset) in drawn.parameters().iter().zip([0, 96]) {
            for (element, effect) in parameter.iter() {
                let bits = u64::from(parameter.exposed().format.bits());
                for bit in (0..bits).filter(|bit| effect.xor >> bit & 1 == 1) {
                    counts[(offset + element * bits + bit) as usize] += 1;
                }
            }
        }
    }
    assert_eq!(counts.iter().sum::<u64>(), 2 * chips);
    let share = 2.0 / exposure.bits() as f64;
    for (site, &count) in counts.iter().enumerate() {
        // 108 sites, the first and the last among them: false alarms in 1.1e-5 of all seeds.
        assert!(two_sided(count, chips, share) > 1e-7, "site {site}: {count} of {chips}");
    }
}

#[test]
fn values_are_written_to_whole_words_within_their_range() {
    let mut parameters = model();
    let exposure = exposure(&parameters, "embedding.weight");
    let mut numbers = Vec::new();
    for trial in 0..20 {
        let words = draw("value:zero", Chip::new(5, trial), &exposure, Some(0.3));
        for (model, range) in [("value:zero", 0.0..=0.0), ("value:-0.5..2", -0.5..=2.0)] {
            let drawn = draw(model, Chip::new(5, trial), &exposure, Some(0.3));
            assert_eq!(drawn.parameters()[0].elements(), words.parameters()[0].elements());
            let injected = Injected::new(&mut parameters, &drawn).unwrap();
            for &element in drawn.parameters()[0].elements() {
                let number = Format::F32.decode(injected.words(0).get(element));
                assert!(range.contains(&number), "{model} wrote {number}");
                if model != "value:zero" {
                    numbers.push(number);
                }
            }
        }
    }
    // Words hit ~ Binomial, values uniform (mean within 5 standard errors): false alarms 1.6e-6.
    assert!(two_sided(numbers.len() as u64, 20 * 2400, 0.3) > 1e-6);
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    assert!((mean - 0.75).abs() < 5.0 * 2.5 / (12.0 * numbers.len() as f64).sqrt(), "mean {mean}");
}

#[test]
fn ranges_are_encoded_in_every_format() {
    for format in Format::ALL {
        let mut parameters = OwnedParameters::default();
        let spec =
            ParameterSpec { name: "w".to_owned(), shape: vec![500], format, component: Component::Dense };
        parameters.push(spec);
        let drawn = draw("value:1..6", Chip::new(5, 0), &exposure(&parameters, "all"), Some(1.0));
        let injected = Injected::new(&mut parameters, &drawn).unwrap();
        let numbers: Vec<f64> = injected.words(0).iter().map(|word| format.decode(word)).collect();
        assert!(numbers.iter().all(|number| (1.0..=6.0).contains(number)), "{format}");
        // Scales are powers of two: the last one in the range is 4.
        let high = if format == Format::F8E8M0 { 3.5 } else { 4.5 };
        assert!(
            numbers.iter().any(|&number| number < 2.5) && numbers.iter().any(|&number| number > high),
            "{format}"
        );
    }
}

#[test]
fn uniform_values_have_every_bit_half_of_the_time() {
    for format in Format::ALL {
        let mut parameters = OwnedParameters::default();
        let spec =
            ParameterSpec { name: "w".to_owned(), shape: vec![4000], format, component: Component::Dense };
        parameters.push(spec);
        let drawn = draw("value:uniform", Chip::new(5, 0), &exposure(&parameters, "all"), Some(1.0));
        for bit in 0..format.bits() {
            let ones = drawn.parameters()[0].iter().filter(|(_, effect)| effect.xor >> bit & 1 == 1).count();
            // 404 tests: false alarms in 4.1e-5 of all seeds.
            assert!(two_sided(ones as u64, 4000, 0.5) > 1e-7, "{format} bit {bit}: {ones}");
        }
    }
}

#[test]
fn ranges_that_a_format_cannot_hold_are_refused() {
    for (error_model, format, holds) in [
        ("value:0..1e300", Format::F32, false),
        ("value:0..1e300", Format::F64, true),
        ("value:-65519..0", Format::F16, true),
        ("value:-65520..0", Format::F16, false),
        ("value:0..1000", Format::F8E4M3, false),
        ("value:-1..1", Format::U32, false),
        ("value:0..4e9", Format::U32, true),
        ("value:0..128", Format::I8, false),
        ("value:-128..127", Format::I8, true),
    ] {
        let mut parameters = OwnedParameters::default();
        let spec =
            ParameterSpec { name: "w".to_owned(), shape: vec![9], format, component: Component::Dense };
        parameters.push(spec);
        let mut drawn = DrawnMap::new();
        let result = parse_error_model(error_model).unwrap().draw(
            Chip::new(5, 0),
            &exposure(&parameters, "all"),
            Some(BitErrorRate::ZERO),
            &mut drawn,
        );
        assert_eq!(result.is_ok(), holds, "{error_model} in {format}");
        if let Err(error) = result {
            assert!(matches!(error, DrawError::NotRepresentable { .. }), "{error}");
            assert!(error.to_string().contains(&format!("format {format}, in which \"w\"")), "{error}");
        }
    }
}

#[test]
fn a_draw_that_fails_leaves_the_map_of_no_draw() {
    let mut parameters = tiny();
    let exposure = exposure(&parameters, "all");
    let chip = Chip::new(1, 0);
    for (error_model, rate) in [
        ("count:1000", None),
        ("flips", None),
        ("count:1", Some(BitErrorRate::ONE)),
        ("value:0..1e300", Some(BitErrorRate::ONE)),
    ] {
        let mut drawn = draw("flips", chip, &exposure, Some(1.0));
        assert!(Injected::new(&mut parameters, &drawn).is_ok());
        parse_error_model(error_model).unwrap().draw(chip, &exposure, rate, &mut drawn).unwrap_err();
        assert_eq!(drawn.origin(), None, "{error_model}");
        assert_eq!((drawn.words(), drawn.is_empty()), (0, true), "{error_model}");
        assert_eq!(Injected::new(&mut parameters, &drawn).map(drop).unwrap_err(), InjectError::NotDrawn);
        assert_eq!(drawn.resolve(&parameters).unwrap_err(), InjectError::NotDrawn);
    }
}

#[test]
fn a_detached_map_is_the_draw_and_leaves_none() {
    let exposure = exposure(&tiny(), "all");
    let mut buffer = draw("stuck-at:random", Chip::new(1, 0), &exposure, Some(0.3));
    let expected: Vec<Vec<_>> = buffer.parameters().iter().map(|drawn| drawn.iter().collect()).collect();
    let detached = buffer.detach();
    let found: Vec<Vec<_>> = detached.parameters().iter().map(|drawn| drawn.iter().collect()).collect();
    assert_eq!(found, expected);
    assert!(detached.origin().is_some() && buffer.origin().is_none() && buffer.is_empty());
}

#[test]
fn names_of_error_models_read_back() {
    for text in [
        "flips",
        "count:0",
        "count:8",
        "burst:4:0.5",
        "burst:65536:1",
        "stuck-at:0",
        "stuck-at:1",
        "stuck-at:random",
        "asymmetric:0.1:1",
        "value:uniform",
        "value:zero",
        "value:-1..1",
        "value:0.5..0.5",
    ] {
        assert_eq!(parse_error_model(text).unwrap().name(), text);
    }
    assert_eq!(parse_error_model(" burst:04:5e-1 ").unwrap().name(), "burst:4:0.5");
}

#[test]
fn error_models_that_make_no_sense_are_refused_with_the_reason() {
    let error = |text| parse_error_model(text).map(|model| model.name()).unwrap_err().to_string();
    let unknown = error("flip");
    for known in
        ["flips", "count:K", "burst:LENGTH:INNER_RATE", "stuck-at:0|1|random", "value:uniform|zero|LOW..HIGH"]
    {
        assert!(unknown.contains(known), "{unknown}");
    }
    assert_eq!(error("count:x"), "error model \"count:x\" is not of the form count:K");
    assert_eq!(
        error("count:18446744073709551616"),
        "error model \"count:18446744073709551616\": a count is below 2^64"
    );
    assert_eq!(error("burst:0:0.5"), "error model \"burst:0:0.5\": a burst is 1 to 65536 bits long");
    assert_eq!(error("burst:4:1.5"), "error model \"burst:4:1.5\": a probability is in [0, 1]");
    assert_eq!(
        error("value:1..-1"),
        "error model \"value:1..-1\": a range is finite and does not run backwards"
    );
    for text in [
        "",
        ":",
        "flips:1",
        "count",
        "count:",
        "count:-1",
        "count:+1",
        "count:1:2",
        "burst:4",
        "burst::",
        "burst:4:nan",
        "stuck-at",
        "stuck-at:2",
        "asymmetric:1",
        "asymmetric:2:1",
        "asymmetric:-0.1:1",
        "value",
        "value:",
        "value:1",
        "value:nan..1",
        "value:0..inf",
        "value:..",
    ] {
        assert!(parse_error_model(text).is_err(), "{text}");
    }
}
