//! Injection leaves no trace, changes what was drawn and nothing else, on every format and layout.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sample;
mod weights;

use std::panic::{AssertUnwindSafe, catch_unwind};

use radhard_fault::*;
use sample::{draw, exposure};
use weights::model;

const ERROR_MODELS: [&str; 8] = [
    "flips",
    "burst:9:0.5",
    "stuck-at:0",
    "stuck-at:random",
    "asymmetric:0.1:1",
    "value:uniform",
    "value:zero",
    "value:0..2",
];

/// Rows of 3 codes, a scale and a bias, 9 bytes and 2 of padding each, lent as three strided parameters, and an f64.
struct Fused {
    specs: Vec<ParameterSpec>,
    bytes: Vec<u8>,
}

impl Fused {
    const ROWS: usize = 50;

    fn new() -> Self {
        let spec = |name: &str, shape: &[usize], format| ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            format,
            component: Component::Embedding,
        };
        let specs = vec![
            spec("codes", &[Self::ROWS, 3], Format::U8),
            spec("scales", &[Self::ROWS], Format::F32),
            spec("biases", &[Self::ROWS], Format::BF16),
            spec("last", &[], Format::F64),
        ];
        let bytes = (0..Self::ROWS * 11 + 8).map(|i| (i * 37 % 251) as u8).collect();
        Self { specs, bytes }
    }

    fn view(&self, index: usize) -> (Format, View) {
        let rows = |base, run| View { base, run, stride: 11, count: Self::ROWS * run };
        let view = match index {
            0 => rows(0, 3),
            1 => rows(3, 1),
            2 => rows(7, 1),
            _ => View { base: Self::ROWS * 11, run: 1, stride: 8, count: 1 },
        };
        (self.specs[index].format, view)
    }
}

impl Parameters for Fused {
    fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    fn words(&self, index: usize) -> Words<'_> {
        let (format, view) = self.view(index);
        Words::new(&self.bytes, format, view).unwrap()
    }

    fn words_mut(&mut self, index: usize) -> WordsMut<'_> {
        let (format, view) = self.view(index);
        WordsMut::new(&mut self.bytes, format, view).unwrap()
    }
}

/// A parameter of every format, with words that count up.
fn every_format() -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    for format in Format::ALL {
        let (name, shape) = (format!("in {format}"), vec![3, 67]);
        parameters.push(ParameterSpec { name, shape, format, component: Component::Dense });
        let index = parameters.specs().len() - 1;
        for (i, byte) in parameters.bytes_mut(index).iter_mut().enumerate() {
            *byte = (i * 89) as u8;
        }
    }
    parameters
}

/// All words of all parameters.
fn snapshot(parameters: &impl Parameters) -> Vec<Vec<u64>> {
    (0..parameters.specs().len()).map(|index| parameters.words(index).iter().collect()).collect()
}

/// Checks words under the guard against the effects one by one, and that nothing is left after it.
fn check(parameters: &mut impl Parameters, error_model: &str, trial: u64, rate: f64) {
    let exposure = exposure(parameters, "all");
    let drawn = draw(error_model, Chip::new(21, trial), &exposure, Some(rate));
    let clean = snapshot(parameters);
    let mut expected = clean.clone();
    for parameter in drawn.parameters() {
        let mask = exposure.parameters()[parameter.index()].format.word_mask();
        for (element, effect) in parameter.iter() {
            let word = &mut expected[parameter.index()][element as usize];
            *word = effect.on(*word) & mask;
        }
    }
    let pairs = || clean.iter().flatten().zip(expected.iter().flatten());
    let flips: u64 = pairs().map(|(a, b)| u64::from((a ^ b).count_ones())).sum();
    let changed = pairs().filter(|(a, b)| a != b).count() as u64;

    let map = drawn.resolve(parameters).unwrap();
    assert_eq!((map.flips(), map.words()), (flips, changed), "{error_model} at {rate}");
    assert_eq!(drawn.effective_flips(parameters), Ok(flips), "{error_model} at {rate}");
    let injected = Injected::new(parameters, &drawn).unwrap();
    assert_eq!(injected.flips(), flips, "{error_model} at {rate}");
    assert!(snapshot(&*injected) == expected, "{error_model} at {rate}: the guard's words");
    drop(injected);
    assert!(snapshot(parameters) == clean, "{error_model} at {rate}: words after the guard");

    map.apply(parameters).unwrap();
    assert!(snapshot(parameters) == expected, "{error_model} at {rate}: the applied map's words");
    if changed > 0 {
        assert!(matches!(map.apply(parameters), Err(ApplyError::OtherWord { .. })));
        assert!(snapshot(parameters) == expected);
    }
    map.undo(parameters).unwrap();
    assert!(snapshot(parameters) == clean, "{error_model} at {rate}: words after undo");
    if changed > 0 {
        assert!(matches!(map.undo(parameters), Err(ApplyError::OtherWord { .. })));
        assert!(snapshot(parameters) == clean);
    }
}

#[test]
fn injected_is_requested_and_gone_afterwards_for_every_error_model_format_and_layout() {
    for error_model in ERROR_MODELS {
        for (trial, rate) in [0.0, 1e-3, 0.03, 0.7, 1.0].into_iter().enumerate() {
            check(&mut every_format(), error_model, trial as u64, rate);
            check(&mut Fused::new(), error_model, trial as u64, rate);
            check(&mut model(), error_model, trial as u64, rate);
        }
    }
}

#[test]
fn strided_views_leave_the_bytes_between_them_alone() {
    let mut fused = Fused::new();
    let padding =
        |bytes: &[u8]| bytes.chunks(11).map(|row| row[9..].to_vec()).take(Fused::ROWS).collect::<Vec<_>>();
    let before = padding(&fused.bytes);
    let drawn = draw("flips", Chip::new(1, 1), &exposure(&fused, "all"), Some(1.0));
    let clean = fused.bytes.clone();
    let injected = Injected::new(&mut fused, &drawn).unwrap();
    assert_eq!(padding(&injected.bytes), before);
    assert_eq!(injected.bytes[0], !clean[0]);
    drop(injected);
    assert_eq!(fused.bytes, clean);
}

#[test]
fn flipping_twice_restores_every_byte() {
    let mut parameters = every_format();
    let clean = parameters.clone();
    let drawn = draw("flips", Chip::new(1, 0), &exposure(&parameters, "all"), Some(0.1));
    for round in 0..2 {
        for drawn in drawn.parameters() {
            parameters.words_mut(drawn.index()).flip(drawn.elements(), drawn.flips());
        }
        assert_eq!(parameters == clean, round == 1);
    }
}

#[test]
fn a_panic_under_the_guard_restores_every_byte() {
    for error_model in ERROR_MODELS {
        let mut parameters = model();
        let clean = parameters.clone();
        let drawn = draw(error_model, Chip::new(1, 0), &exposure(&parameters, "all"), Some(0.1));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let injected = Injected::new(&mut parameters, &drawn).unwrap();
            assert!(*injected != clean);
            panic!("the evaluation failed");
        }));
        assert!(caught.is_err());
        assert!(parameters == clean, "{error_model}");
    }
}

#[test]
fn an_early_return_under_the_guard_restores_every_byte() {
    fn fails(parameters: &mut OwnedParameters, drawn: &DrawnMap) -> Result<u64, String> {
        let injected = Injected::new(parameters, drawn).map_err(|error| error.to_string())?;
        let first = injected.words(0).get(0);
        Err(format!("gave up at {first}"))?;
        Ok(first)
    }
    let mut parameters = model();
    let clean = parameters.clone();
    let drawn = draw("stuck-at:1", Chip::new(1, 0), &exposure(&parameters, "all"), Some(0.1));
    assert!(fails(&mut parameters, &drawn).is_err());
    assert_eq!(parameters, clean);
    let dirty = with_injected(&mut parameters, &drawn, OwnedParameters::clone).unwrap();
    assert_ne!(dirty, clean);
    assert_eq!(parameters, clean);
}

#[test]
fn a_map_for_other_parameters_is_refused_and_changes_nothing() {
    let mut parameters = model();
    let drawn = draw("flips", Chip::new(1, 0), &exposure(&parameters, "all"), Some(0.1));
    let map = drawn.resolve(&parameters).unwrap();
    let mut others = Vec::new();
    for change in 0..3 {
        let mut other = OwnedParameters::default();
        for (index, spec) in parameters.specs().iter().enumerate() {
            let mut spec = spec.clone();
            match (change, index) {
                (0, 1) => spec.name.push('x'),
                (1, 1) => spec.shape = vec![150, 2],
                (2, 1) => spec.format = Format::I32,
                _ => {}
            }
            other.push(spec);
        }
        others.push(other);
    }
    others.push(OwnedParameters::default());
    for mut other in others {
        let before = other.clone();
        assert!(matches!(Injected::new(&mut other, &drawn), Err(InjectError::OtherParameters(_))));
        assert!(matches!(drawn.resolve(&other), Err(InjectError::OtherParameters(_))));
        assert!(matches!(drawn.effective_flips(&other), Err(InjectError::OtherParameters(_))));
        assert!(matches!(map.apply(&mut other), Err(ApplyError::OtherParameters { .. })));
        assert!(matches!(map.rebased(&other), Err(ApplyError::OtherParameters { .. })));
        assert_eq!(other, before);
    }
    let error = Injected::new(&mut parameters, &DrawnMap::new()).map(drop).unwrap_err();
    assert_eq!(error, InjectError::NotDrawn);
}

#[test]
fn applying_to_a_model_that_differs_in_one_touched_word_changes_nothing() {
    let mut parameters = model();
    let drawn = draw("flips", Chip::new(1, 0), &exposure(&parameters, "dense"), Some(0.1));
    let map = drawn.resolve(&parameters).unwrap();
    let last = map.parameters().last().unwrap();
    let index = parameters.specs().iter().position(|spec| spec.name == last.name()).unwrap();
    let element = *last.elements().last().unwrap();
    let word = parameters.words(index).get(element);
    parameters.words_mut(index).set(element, word ^ 1);
    let before = parameters.clone();
    let error = map.apply(&mut parameters).unwrap_err();
    let expected = format!("word {element} of \"{}\" is {:#x}, not {word:#x}", last.name(), word ^ 1);
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(parameters, before);
}

/// The model with other words everywhere.
fn retrained() -> OwnedParameters {
    let mut other = model();
    for index in 0..other.specs().len() {
        for byte in other.bytes_mut(index) {
            *byte = byte.wrapping_mul(3).wrapping_add(1);
        }
    }
    other
}

#[test]
fn a_rebased_map_does_to_another_model_what_its_faults_do_there() {
    let (parameters, mut other) = (model(), retrained());
    let clean = other.clone();
    let count = draw("count:9", Chip::new(1, 0), &exposure(&parameters, "all"), None);
    for drawn in ["flips", "burst:9:0.5"]
        .map(|name| draw(name, Chip::new(1, 0), &exposure(&parameters, "all"), Some(0.05)))
        .iter()
        .chain([&count])
    {
        let map = drawn.resolve(&parameters).unwrap();
        let expected = with_injected(&mut other, drawn, snapshot).unwrap();
        let rebased = map.rebased(&other).unwrap();
        assert_eq!(rebased, drawn.resolve(&other).unwrap());
        rebased.apply(&mut other).unwrap();
        assert_eq!(snapshot(&other), expected);
        rebased.undo(&mut other).unwrap();
        assert_eq!(other, clean);
        assert_eq!(map.rebased(&parameters).unwrap(), map, "rebasing onto the same model changes nothing");
    }
}

#[test]
fn maps_of_written_words_are_not_rebased() {
    for error_model in ["value:uniform", "value:zero", "stuck-at:1", "asymmetric:0.5:1"] {
        let parameters = model();
        let drawn = draw(error_model, Chip::new(1, 0), &exposure(&parameters, "all"), Some(0.05));
        let map = drawn.resolve(&parameters).unwrap();
        let error = map.rebased(&retrained()).unwrap_err();
        assert_eq!(error, ApplyError::RebaseOfWritten { error_model: error_model.to_owned() });
        assert!(error.to_string().contains(error_model), "{error}");
        let read = ErrorMap::from_bytes(&map.to_bytes().unwrap()).unwrap();
        assert_eq!(read.rebased(&retrained()), Err(error));
    }
    // Where every write is silent the map lists no change, and the other model would still have had some.
    let mut zeros = OwnedParameters::default();
    zeros.push_f32("w", &[50], Component::Dense, &[0.0; 50]);
    let drawn = draw("stuck-at:0", Chip::new(1, 0), &exposure(&zeros, "all"), Some(0.5));
    let map = drawn.resolve(&zeros).unwrap();
    assert_eq!(map.words(), 0);
    assert!(matches!(map.rebased(&zeros), Err(ApplyError::RebaseOfWritten { .. })));
}

#[test]
fn memory_follows_the_flips_and_not_the_model() {
    // 2^40 bits that no memory could hold as a map: 4 MiB per thousand flips would be generous, 64 bytes a flip is the bound.
    let spec = ParameterSpec {
        name: "table".to_owned(),
        shape: vec![1 << 35],
        format: Format::F32,
        component: Component::Unknown,
    };
    let exposure = Target::all().resolve(&[spec], Expose::Parameters).unwrap();
    for (rate, most) in [(1e-12, 20_000), (1e-9, 120_000), (1e-7, 10_000_000)] {
        let drawn = draw("flips", Chip::new(1, 0), &exposure, Some(rate));
        assert!(drawn.words() > 0 || rate < 1e-11);
        let bytes = drawn.allocated_bytes();
        assert!(bytes < most, "rate {rate}: {bytes} bytes for {} words", drawn.words());
    }
}

#[test]
fn a_view_that_lends_too_few_words_is_refused() {
    struct Short(OwnedParameters);
    impl Parameters for Short {
        fn specs(&self) -> &[ParameterSpec] {
            self.0.specs()
        }
        fn words(&self, index: usize) -> Words<'_> {
            Words::new(self.0.bytes(index), Format::F32, View::contiguous(Format::F32, 1)).unwrap()
        }
        fn words_mut(&mut self, index: usize) -> WordsMut<'_> {
            WordsMut::new(self.0.bytes_mut(index), Format::F32, View::contiguous(Format::F32, 1)).unwrap()
        }
    }
    let mut short = Short(model());
    let drawn = draw("flips", Chip::new(1, 0), &exposure(&short, "all"), Some(0.1));
    let error = Injected::new(&mut short, &drawn).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "parameter \"embedding.weight\" lends 1 words of 2400");
}
