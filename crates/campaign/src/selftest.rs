//! Checks, in seconds, that what is injected on this machine is what was asked for.

use std::error::Error;

use radhard_data::Rows;
use radhard_fault::{
    BitErrorRate, Chip, Component, DrawnMap, ErrorMap, ErrorModel, Expose, Exposure, Flips, Format, Injected,
    OwnedParameters, ParameterSpec, Parameters, Target, parse_error_model, philox,
};
use radhard_kernels::{Kernels, Path};
use radhard_metrics::Ranking;
use radhard_models::{Config, Init, Model, Scores};
use serde::Serialize;

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked, in a few words.
    pub name: &'static str,
    /// Whether it holds.
    pub passed: bool,
    /// The figures behind the verdict.
    pub detail: String,
}

/// Whether a check holds, with the figures behind it.
type Verdict = (bool, String);
type Outcome = Result<Verdict, Box<dyn Error>>;
type NamedCheck = (&'static str, fn() -> Outcome);

/// Every check; an error inside one is a check that failed.
pub fn selftest() -> Vec<Check> {
    let checks: [NamedCheck; 9] = [
        ("the generator gives its published vectors", || Ok(generator())),
        ("flips have the binomial count that was asked for, at every decade", counts),
        ("every bit position is hit alike", positions),
        ("chips are nested in the rate and paired over targets", nested),
        ("a bit-30 flip multiplies by 2^128", bit_30),
        ("every error model, in every format, is undone byte for byte", undone),
        ("error maps survive their file and refuse to be applied twice", maps),
        ("every kernel of this processor gives the bits of the plain one", kernels),
        ("the ranking counts what pairs count", || Ok(ranking())),
    ];
    let run = |(name, check): NamedCheck| match check() {
        Ok((passed, detail)) => Check { name, passed, detail },
        Err(error) => Check { name, passed: false, detail: error.to_string() },
    };
    checks.into_iter().map(run).collect()
}

/// Two parameters of N words in all.
fn bench(words: usize) -> Result<(OwnedParameters, Exposure), Box<dyn Error>> {
    let mut parameters = OwnedParameters::default();
    let values: Vec<f32> = (0..words).map(|i| (i as f32 / words as f32) - 0.5).collect();
    let cut = words / 3;
    parameters.push_f32("embedding.weight", &[cut], Component::Embedding, &values[..cut]);
    parameters.push_f32("mlp.0.weight", &[words - cut], Component::Dense, &values[cut..]);
    let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters)?;
    Ok((parameters, exposure))
}

fn generator() -> Verdict {
    // Random123, kat_vectors, philox4x32 with 10 rounds.
    let zeros = philox::block([0; 4], [0; 2]);
    let ones = philox::block([u32::MAX; 4], [u32::MAX; 2]);
    let passed = zeros == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        && ones == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd];
    (passed, format!("{zeros:08x?} {ones:08x?}"))
}

fn counts() -> Outcome {
    let (_, exposure) = bench(1_000_000)?;
    let mut map = DrawnMap::new();
    let (mut worst, mut total) = (0.0_f64, 0_u64);
    for decade in 2..=10 {
        let p = 10_f64.powi(-decade);
        // As many chips as give about 1,000 flips, between 8 and 2,000.
        let chips = (1000.0 / (p * exposure.bits() as f64)).clamp(8.0, 2000.0) as u64;
        let mut flips = 0;
        for chip in 0..chips {
            Flips.draw(Chip::new(20, chip), &exposure, Some(BitErrorRate::new(p)?), &mut map)?;
            flips += count(&map);
        }
        let mean = p * exposure.bits() as f64 * chips as f64;
        // Poisson-like at these rates; below 10 expected flips a count of 5 sd above is no rarity, so those add to one sum.
        if mean >= 10.0 {
            worst = worst.max((flips as f64 - mean).abs() / (mean * (1.0 - p)).sqrt());
        }
        total += flips;
    }
    // Two-sided false alarm of 5 sd at each of at most 9 rates: below 1e-5 in all.
    Ok((worst < 5.0, format!("{total} flips, largest deviation {worst:.2} sd")))
}

fn count(map: &DrawnMap) -> u64 {
    let masks = map.parameters().iter().flat_map(radhard_fault::DrawnParameter::flips);
    masks.map(|mask| u64::from(mask.count_ones())).sum()
}

fn positions() -> Outcome {
    let (_, exposure) = bench(1_000_000)?;
    let mut map = DrawnMap::new();
    let mut seen = [0_u64; 32];
    for chip in 0..4 {
        Flips.draw(Chip::new(21, chip), &exposure, Some(BitErrorRate::new(1e-3)?), &mut map)?;
        for mask in map.parameters().iter().flat_map(radhard_fault::DrawnParameter::flips) {
            for (bit, count) in seen.iter_mut().enumerate() {
                *count += mask >> bit & 1;
            }
        }
    }
    let mean = 4.0 * 1e6 * 1e-3;
    let chi2: f64 = seen.iter().map(|&n| (n as f64 - mean).powi(2) / (mean * (1.0 - 1e-3))).sum();
    // χ² with 32 degrees of freedom is above 83.9 with probability 1.6e-6.
    Ok((chi2 < 83.9, format!("chi-squared {chi2:.1} of 32 degrees of freedom, bound 83.9")))
}

fn nested() -> Outcome {
    let (parameters, all) = bench(300_000)?;
    let dense = "dense".parse::<Target>()?.resolve(parameters.specs(), Expose::Parameters)?;
    let (mut low, mut high, mut part) = (DrawnMap::new(), DrawnMap::new(), DrawnMap::new());
    let mut kept = 0_u64;
    for chip in 0..8 {
        let chip = Chip::new(22, chip);
        Flips.draw(chip, &all, Some(BitErrorRate::new(1e-5)?), &mut low)?;
        Flips.draw(chip, &all, Some(BitErrorRate::new(3e-3)?), &mut high)?;
        Flips.draw(chip, &dense, Some(BitErrorRate::new(3e-3)?), &mut part)?;
        for (few, many) in low.parameters().iter().zip(high.parameters()) {
            for (element, effect) in few.iter() {
                let Ok(at) = many.elements().binary_search(&element) else {
                    return Ok((false, format!("word {element} flips at 1e-5 but not at 3e-3")));
                };
                if effect.xor & !many.flips()[at] != 0 {
                    return Ok((false, format!("a bit of word {element} flips at 1e-5 but not at 3e-3")));
                }
                kept += 1;
            }
        }
        if part.parameters()[0].elements() != high.parameters()[1].elements() {
            return Ok((false, "the target dense meets another chip than all".into()));
        }
    }
    Ok((kept > 0, format!("{kept} words of the lower rate found at the higher")))
}

fn bit_30() -> Outcome {
    let (mut parameters, _) = bench(1_000)?;
    let clean = parameters.clone();
    let exposure = "mlp.*@30".parse::<Target>()?.resolve(parameters.specs(), Expose::Parameters)?;
    let mut map = DrawnMap::new();
    Flips.draw(Chip::new(25, 0), &exposure, Some(BitErrorRate::ONE), &mut map)?;
    let injected = Injected::new(&mut parameters, &map)?;
    let words = |of: &OwnedParameters| -> Vec<f32> {
        of.words(1).iter().map(|word| f32::from_bits(word as u32)).collect()
    };
    let (before, after) = (words(&clean), words(&injected));
    let right = |(&w, &flipped): (&f32, &f32)| {
        f64::from(flipped) == if w == 0.0 { 2.0 } else { f64::from(w) * 2_f64.powi(128) }
    };
    let held = before.iter().zip(&after).filter(|pair| right(*pair)).count();
    Ok((
        held == before.len(),
        format!("{held} of {} words, {} becomes {:e}", before.len(), before[1], after[1]),
    ))
}

fn undone() -> Outcome {
    let mut tried = 0;
    for format in Format::ALL {
        let mut parameters = OwnedParameters::default();
        for (name, component) in [("a.weight", Component::Embedding), ("b.weight", Component::Dense)] {
            let spec = ParameterSpec { name: name.into(), shape: vec![97, 11], format, component };
            parameters.push(spec);
        }
        for index in 0..2 {
            for (i, byte) in parameters.bytes_mut(index).iter_mut().enumerate() {
                *byte = (i * 37 + 11) as u8;
            }
        }
        let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters)?;
        let clean = parameters.clone();
        for name in
            ["flips", "count:9", "burst:4:0.5", "stuck-at:random", "asymmetric:0.1:1", "value:uniform"]
        {
            let model = parse_error_model(name)?;
            let rate = if model.takes_rate() { Some(BitErrorRate::new(0.01)?) } else { None };
            let mut map = DrawnMap::new();
            model.draw(Chip::new(23, 0), &exposure, rate, &mut map)?;
            let changed = {
                let injected = Injected::new(&mut parameters, &map)?;
                *injected != clean
            };
            if !changed || parameters != clean {
                return Ok((
                    false,
                    format!("{name} in {format}: changed {changed}, undone {}", parameters == clean),
                ));
            }
            tried += 1;
        }
    }
    Ok((true, format!("{tried} injections")))
}

fn maps() -> Outcome {
    let (mut parameters, exposure) = bench(10_000)?;
    let clean = parameters.clone();
    let mut drawn = DrawnMap::new();
    Flips.draw(Chip::new(24, 0), &exposure, Some(BitErrorRate::new(1e-3)?), &mut drawn)?;
    let map = drawn.resolve(&parameters)?;
    let read = ErrorMap::from_bytes(&map.to_bytes()?)?;
    read.apply(&mut parameters)?;
    let (changed, twice) = (parameters != clean, read.apply(&mut parameters).is_err());
    read.undo(&mut parameters)?;
    let (restored, again) = (parameters == clean, read.undo(&mut parameters).is_err());
    let passed = read == map && changed && twice && restored && again;
    Ok((passed, format!("{} flips; same {}, refused twice {}", map.flips(), read == map, twice && again)))
}

fn kernels() -> Outcome {
    let config = Config::new("wide-deep", vec![50, 70, 30]);
    let model = Model::new(&config, Init::TorchFm, 5)?;
    let rows = Rows {
        fields: 3,
        numeric_width: 0,
        indices: (0..500_u32).flat_map(|i| [i * 7 % 50, i * 11 % 70, i * 13 % 30]).collect::<Vec<_>>().into(),
        numeric: Vec::new().into(),
        labels: vec![0; 500].into(),
        bags: None,
        row_ids: None,
    };
    let (mut plain, mut fast) = (Scores::default(), Scores::default());
    let mut same = true;
    let mut names = Vec::new();
    for &path in Path::available() {
        let Some(kernels) = Kernels::on(path) else { continue };
        model.scores_with(kernels, &rows.view(), &mut fast)?;
        if path == Path::Portable {
            plain = fast.clone();
        }
        same &= fast.same_bits(&plain);
        names.push(path.to_string());
    }
    Ok((same && !plain.logits.is_empty(), format!("{} agree on 500 rows", names.join(", "))))
}

fn ranking() -> Verdict {
    let scores: Vec<f32> = (0..300_u32).map(|i| (i * 7919 % 97) as f32 / 97.0).collect();
    let labels: Vec<u8> = (0..300_u32).map(|i| u8::from(i * 104_729 % 11 < 5)).collect();
    let mut twice = 0_u64;
    let (mut positives, mut negatives) = (0_u64, 0_u64);
    for (&score, &label) in scores.iter().zip(&labels) {
        if label == 1 {
            positives += 1;
            for (&other, _) in scores.iter().zip(&labels).filter(|(_, label)| **label == 0) {
                twice += if score > other { 2 } else { u64::from(score == other) };
            }
        } else {
            negatives += 1;
        }
    }
    let pairs = twice as f64 / (2 * positives * negatives) as f64;
    let found = Ranking::default().aucs(&scores, &labels, radhard_metrics::NonFinite::Fallback, 0.5).auc;
    (found == Some(pairs), format!("{found:?} against {pairs} by pairs"))
}
