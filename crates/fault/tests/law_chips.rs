//! One trial is one chip: what happens on it depends on the chip, the parameter, the rate and the error model alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;
mod weights;

use proptest::prelude::*;
use radhard_fault::*;
use sample::{draw, exposure};
use weights::model;

const RATES: [f64; 9] = [0.0, 1e-6, 1e-4, 1e-3, 3e-3, 0.0625, 0.2, 0.6, 1.0];

/// Every model that takes a rate, with each of its settings.
const ERROR_MODELS: [&str; 12] = [
    "flips",
    "burst:1:1",
    "burst:4:0.5",
    "burst:70:0.1",
    "stuck-at:0",
    "stuck-at:1",
    "stuck-at:random",
    "asymmetric:0.1:1",
    "asymmetric:1:0",
    "value:uniform",
    "value:zero",
    "value:-1..1",
];

fn effects(drawn: &DrawnMap) -> Vec<(usize, u64, Effect)> {
    let of = |parameter: &DrawnParameter| {
        let index = parameter.index();
        parameter.iter().map(|(element, effect)| (index, element, effect)).collect::<Vec<_>>()
    };
    drawn.parameters().iter().flat_map(of).collect()
}

#[test]
fn what_changes_at_a_rate_changes_the_same_way_at_every_higher_rate() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    for error_model in ERROR_MODELS {
        assert!(parse_error_model(error_model).unwrap().nests());
        for trial in 0..5 {
            let maps = RATES.map(|rate| {
                draw(error_model, Chip::new(1, trial), &exposure, Some(rate)).resolve(&parameters).unwrap()
            });
            for pair in maps.windows(2) {
                for lower in pair[0].parameters() {
                    let name = lower.name();
                    let higher = pair[1].parameters().iter().find(|higher| higher.name() == name).unwrap();
                    for (element, mask, _) in lower.iter() {
                        let place = higher.elements().binary_search(&element).unwrap();
                        let more = higher.masks()[place];
                        assert_eq!(
                            mask & more,
                            mask,
                            "{error_model}: word {element} of {name} on chip {trial}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn drawing_below_a_rate_is_keeping_the_arrivals_below_it() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let mut arrivals = Arrivals::default();
    for trial in 0..10 {
        for exposed in exposure.parameters() {
            let chip = Chip::new(5, trial);
            let mut all = Vec::new();
            arrivals.marked_bits_below(chip, exposed, BitErrorRate::ONE, &mut all);
            assert!(all.iter().map(|arrival| arrival.site).eq(0..exposed.sites()));
            let on_an_edge = [all[0].value, all[7].value, 0.5, 0.25, 2.0_f64.powi(-11)];
            for rate in RATES.into_iter().chain(on_an_edge) {
                let below = arrivals.bits_below(chip, exposed, BitErrorRate::new(rate).unwrap()).to_vec();
                let kept = all.iter().filter(|arrival| arrival.value < rate).map(|arrival| arrival.site);
                assert!(kept.eq(below), "rate {rate} on chip {trial}");
            }
        }
    }
}

#[test]
fn flips_drawn_by_window_are_those_merged_from_lists() {
    let mut arrivals = Arrivals::default();
    // From both sides of the rates and sizes where windows begin; widths and ends that do not fill a window.
    for format in Format::ALL {
        for (elements, rate) in [
            (300_001, 1.2e-4),
            (300_001, 1.3e-4),
            (131_072, 0.01),
            (20_000, 0.2),
            (9_999, 0.5),
            (9_999, 0.51),
            (70_000, 1.0),
        ] {
            let spec = ParameterSpec {
                name: "w".to_owned(),
                shape: vec![elements],
                format,
                component: Component::Unknown,
            };
            for target in ["w", "w@1-2"] {
                let target: Target = target.parse().unwrap();
                let exposure = target.resolve(std::slice::from_ref(&spec), Expose::Parameters).unwrap();
                let exposed = &exposure.parameters()[0];
                let chip = Chip::new(31, elements as u64);
                let mut expected: Vec<(usize, u64, Effect)> = Vec::new();
                for &site in arrivals.bits_below(chip, exposed, BitErrorRate::new(rate).unwrap()) {
                    let (element, bit) = exposed.element_and_bit(site);
                    let flip = Effect::flip(1 << bit & exposed.mask);
                    match expected.last_mut() {
                        Some((_, last, effect)) if *last == element => *effect = effect.then(flip),
                        _ => expected.push((0, element, flip)),
                    }
                }
                expected.retain(|&(_, _, effect)| effect != Effect::NOTHING);
                let drawn = effects(&draw("flips", chip, &exposure, Some(rate)));
                assert!(drawn == expected, "{elements} {format} at {rate}");
            }
        }
    }
}

#[test]
fn a_parameter_meets_the_same_faults_under_every_target_and_in_every_order() {
    let parameters = model();
    let mut reordered = OwnedParameters::default();
    for (index, spec) in parameters.specs().iter().enumerate().rev() {
        reordered.push(ParameterSpec { component: Component::Unknown, ..spec.clone() });
        let last = reordered.specs().len() - 1;
        reordered.bytes_mut(last).copy_from_slice(parameters.bytes(index));
    }
    let all = exposure(&parameters, "all");
    for error_model in ERROR_MODELS {
        for trial in 0..4 {
            let chip = Chip::new(8, trial);
            let together = draw(error_model, chip, &all, Some(0.02));
            for (target, owner) in
                [("dense", &parameters), ("mlp.0.*", &parameters), ("*weight,mlp.0.bias", &reordered)]
            {
                let alone = draw(error_model, chip, &exposure(owner, target), Some(0.02));
                for drawn in alone.parameters() {
                    let name = &owner.specs()[drawn.index()].name;
                    let same = together
                        .parameters()
                        .iter()
                        .find(|other| &parameters.specs()[other.index()].name == name)
                        .unwrap();
                    assert!(drawn.iter().eq(same.iter()), "{error_model} on {name} under {target}");
                }
            }
        }
    }
}

#[test]
fn a_choice_of_bits_keeps_what_happens_to_these_bits() {
    let parameters = model();
    for (error_model, bits) in ERROR_MODELS.into_iter().flat_map(|model| [(model, "30"), (model, "mantissa")])
    {
        let chip = Chip::new(2, 6);
        let all = draw(error_model, chip, &exposure(&parameters, "embedding"), Some(0.05));
        let some = draw(error_model, chip, &exposure(&parameters, &format!("embedding@{bits}")), Some(0.05));
        for (all, some) in all.parameters().iter().zip(some.parameters()) {
            let kept = all.iter().map(|(element, effect)| (element, effect.within(some.exposed().mask)));
            let kept = kept.filter(|&(_, effect)| effect != Effect::NOTHING);
            assert!(kept.eq(some.iter()), "{error_model}@{bits}");
        }
    }
}

#[test]
fn draws_are_the_same_on_every_thread_and_after_every_other_draw() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let fresh = |trial| effects(&draw("flips", Chip::new(3, trial), &exposure, Some(1e-3)));
    let expected: Vec<_> = (0..8).map(fresh).collect();
    let threads = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..8).rev().map(|trial| scope.spawn(move || fresh(trial))).collect();
        handles.into_iter().rev().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(threads, expected);

    let mut reused = DrawnMap::new();
    let bias = sample::exposure(&parameters, "*.bias@sign");
    for trial in [5, 0, 7, 2] {
        for (error_model, exposure, rate) in
            [("value:uniform", &bias, 0.9), ("stuck-at:random", &exposure, 0.5), ("flips", &exposure, 1e-3)]
        {
            let rate = Some(BitErrorRate::new(rate).unwrap());
            parse_error_model(error_model)
                .unwrap()
                .draw(Chip::new(3, trial), exposure, rate, &mut reused)
                .unwrap();
        }
        assert_eq!(effects(&reused), expected[trial as usize]);
    }
}

#[test]
fn count_flips_the_bits_that_arrive_first_on_the_chip() {
    let parameters = model();
    for target in ["all", "dense", "*@exponent"] {
        let exposure = exposure(&parameters, target);
        for trial in 0..20 {
            let chip = Chip::new(11, trial);
            for rate in [1e-4, 1e-3, 0.02, 0.3] {
                let flips = draw("flips", chip, &exposure, Some(rate));
                let count = flips.resolve(&parameters).unwrap().flips();
                let counted = draw(&format!("count:{count}"), chip, &exposure, None);
                assert_eq!(effects(&counted), effects(&flips), "{count} flips at rate {rate}");
            }
        }
    }
}

#[test]
fn count_flips_exactly_so_many_bits_and_nests() {
    let parameters = model();
    let exposure = exposure(&parameters, "mlp.*@sign");
    let bits = exposure.bits();
    for trial in 0..20 {
        let mut before: Vec<(usize, u64, Effect)> = Vec::new();
        for count in [0, 1, 2, 3, 8, 100, bits - 1, bits] {
            let drawn = draw(&format!("count:{count}"), Chip::new(4, trial), &exposure, None);
            assert_eq!(drawn.resolve(&parameters).unwrap().flips(), count);
            let now = effects(&drawn);
            assert!(before.iter().all(|effect| now.contains(effect)));
            before = now;
        }
    }
    let error = Count { count: bits + 1 }.draw(Chip::new(4, 0), &exposure, None, &mut DrawnMap::new());
    assert_eq!(error, Err(DrawError::TooManyBits { count: bits + 1, bits }));
}

#[test]
fn bursts_of_one_sure_bit_are_flips() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    for trial in 0..10 {
        let [burst, flips] = ["burst:1:1", "flips"]
            .map(|model| effects(&draw(model, Chip::new(6, trial), &exposure, Some(0.01))));
        assert_eq!(burst, flips);
    }
}

#[test]
fn chips_of_other_seeds_trials_and_parameters_differ() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let of = |seed, trial| effects(&draw("flips", Chip::new(seed, trial), &exposure, Some(1e-3)));
    let first = of(0, 0);
    for (seed, trial) in [(1, 0), (0, 1), (1 << 32, 0), (0, 1 << 32), (u64::MAX, u64::MAX)] {
        assert_ne!(of(seed, trial), first, "seed {seed} trial {trial}");
    }
    // Seeds one apart must not share chips shifted by one trial.
    assert_ne!(of(0, 1), of(1, 0));
}

#[test]
fn a_rate_is_asked_for_where_it_matters_and_only_there() {
    let parameters = model();
    let exposure = exposure(&parameters, "all");
    let mut drawn = DrawnMap::new();
    let chip = Chip::new(0, 0);
    assert_eq!(
        Flips.draw(chip, &exposure, None, &mut drawn).unwrap_err().to_string(),
        "error model flips needs a bit error rate"
    );
    let rate = Some(BitErrorRate::new(0.5).unwrap());
    assert_eq!(
        Count { count: 1 }.draw(chip, &exposure, rate, &mut drawn).unwrap_err().to_string(),
        "error model count:1 takes no bit error rate, but 0.5 is given"
    );
}

proptest! {
    #[test]
    fn nesting_holds_between_any_two_rates(seed: u64, trial: u64, a in 0.0..=1.0, b in 0.0..=1.0, e in -12_i32..=0) {
        let spec = |name: &str| ParameterSpec {
            name: name.to_owned(),
            shape: vec![7, 11],
            format: Format::BF16,
            component: Component::Unknown,
        };
        let exposure = Target::all().resolve(&[spec("a"), spec("b")], Expose::Parameters).unwrap();
        let scale = 10_f64.powi(e);
        let [low, high] = if a < b { [a * scale, b * scale] } else { [b * scale, a * scale] };
        let mut arrivals = Arrivals::default();
        for exposed in exposure.parameters() {
            let chip = Chip::new(seed, trial);
            let few = arrivals.bits_below(chip, exposed, BitErrorRate::new(low).unwrap()).to_vec();
            let many = arrivals.bits_below(chip, exposed, BitErrorRate::new(high).unwrap());
            prop_assert!(few.is_sorted_by(|a, b| a < b) && many.is_sorted_by(|a, b| a < b));
            prop_assert!(few.iter().all(|site| many.binary_search(site).is_ok()));
        }
    }
}
