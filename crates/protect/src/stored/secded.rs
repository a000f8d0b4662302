use radhard_fault::{Format, Words};

use super::hsiao::{self, CHECK_BITS, DATA_BITS, Found};
use super::{CLEAN_COPY, beside, exposable, per_sample};
use crate::protection::{
    Checked, Cost, Events, Kept, Prepared, ProtectError, Protection, SliceReader, Subject, Touched,
};

/// The (72,64) code over the words of each parameter, encoded before and decoded after the flips.
///
/// A codeword is 64 bits of adjacent words of one parameter; the last one of a parameter is filled with zeros, which are not
/// stored. The eight check bits of each are exposed. A correction that would fall on filling is a double error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secded {
    on_double: OnDouble,
}

/// What readers get of a codeword with two wrong bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDouble {
    /// The words as they are.
    #[default]
    Pass,
    /// Zero, in every word of the codeword.
    Zero,
    /// The words of the clean copy.
    Reload,
}

struct Prepared64 {
    on_double: OnDouble,
    kept: Vec<Kept>,
    cost: Cost,
}

impl Secded {
    /// The code with this way to go on after a double error.
    pub fn new(on_double: OnDouble) -> Self {
        Self { on_double }
    }

    pub(crate) fn parse(settings: &[&str]) -> Option<Self> {
        let on_double = match settings {
            [] | ["pass"] => OnDouble::Pass,
            ["zero"] => OnDouble::Zero,
            ["reload"] => OnDouble::Reload,
            _ => return None,
        };
        Some(Self { on_double })
    }
}

impl Protection for Secded {
    fn name(&self) -> String {
        match self.on_double {
            OnDouble::Pass => "secded",
            OnDouble::Zero => "secded:zero",
            OnDouble::Reload => "secded:reload",
        }
        .to_owned()
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let specs = subject.parameters.specs();
        let kept: Vec<Kept> = specs
            .iter()
            .enumerate()
            .filter(|(_, spec)| exposable(spec))
            .map(|(of, spec)| {
                let codewords = spec.elements().div_ceil(run(spec.format)) as usize;
                Kept { of, spec: beside(spec, "check", vec![codewords], Format::U8), mask: 0xFF }
            })
            .collect();
        let codewords: u64 = kept.iter().map(|kept| kept.spec.elements()).sum();
        let mut cost = Cost {
            memory_bits: codewords * u64::from(CHECK_BITS),
            // Eight look-ups and as many exclusive-ors a codeword, and a comparison.
            operations_per_sample: per_sample(subject, |spec| 17.0 / run(spec.format) as f64),
            ..Cost::default()
        };
        if self.on_double == OnDouble::Reload {
            cost.assumptions.push(CLEAN_COPY.to_owned());
        }
        Ok(Box::new(Prepared64 { on_double: self.on_double, kept, cost }))
    }
}

/// Words of a codeword.
fn run(format: Format) -> u64 {
    u64::from(DATA_BITS / format.bits())
}

/// The data of a codeword: the words that `get` has, zeros behind the last.
fn pack(format: Format, first: u64, end: u64, get: impl Fn(u64) -> u64) -> u64 {
    (first..end).fold(0, |data, element| data | get(element) << (format.bits() * (element - first) as u32))
}

impl Prepared for Prepared64 {
    fn kept(&self) -> &[Kept] {
        &self.kept
    }

    fn kept_word(&self, _index: usize, _copy: usize, clean: Words<'_>, element: u64) -> u64 {
        let run = run(clean.format());
        let end = ((element + 1) * run).min(clean.len() as u64);
        hsiao::encode(pack(clean.format(), element * run, end, |element| clean.get(element))).into()
    }

    fn reads(&self) -> bool {
        true
    }

    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, events: &mut Events) {
        let format = touched.clean.format();
        let (run, bits) = (run(format), format.bits());
        touched.codewords(run, self, |number, words, kept| {
            let first = number * run;
            let end = (first + run).min(touched.clean.len() as u64);
            let mut data = pack(format, first, end, |element| touched.clean.get(element));
            for &(element, word) in words {
                let shift = bits * (element - first) as u32;
                data = data & !(format.word_mask() << shift) | word << shift;
            }
            let found = match hsiao::find(data, kept[0] as u8) {
                Found::Single(bit)
                    if bit < DATA_BITS && u64::from(bit) >= (end - first) * u64::from(bits) =>
                {
                    Found::Double
                }
                found => found,
            };
            match found {
                Found::Clean => {}
                Found::Single(bit) => {
                    events.detected += 1;
                    events.corrected += 1;
                    if bit < DATA_BITS {
                        data ^= 1 << bit;
                    }
                }
                Found::Double => {
                    events.detected += 1;
                    match self.on_double {
                        OnDouble::Pass => {}
                        OnDouble::Zero => {
                            events.fallbacks += 1;
                            data = 0;
                        }
                        OnDouble::Reload => {
                            events.reloads += 1;
                            events.reload_bytes += touched.bytes(end - first);
                            return;
                        }
                    }
                }
            }
            for element in first..end {
                let word = data >> (bits * (element - first) as u32) & format.word_mask();
                if word != touched.clean.get(element) {
                    out.push((element, word));
                }
            }
        });
    }

    fn slice_reader(&self, _index: usize, clean: &[u32]) -> Option<SliceReader> {
        let check = hsiao::encode_words(clean);
        let (on_double, clean) = (self.on_double, clean.to_vec());
        Some(Box::new(move |words| {
            let fired = hsiao::decode_words(words, &check, |number, words| match on_double {
                OnDouble::Pass => {}
                OnDouble::Zero => words.fill(0),
                OnDouble::Reload => words.copy_from_slice(&clean[2 * number..2 * number + words.len()]),
            });
            Checked { checks: check.len() as u64, fired }
        }))
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
