use radhard_fault::{ParameterSpec, Words};
use radhard_kernels::{Kernels, LANES, Lane};
use radhard_models::HookEvents;
use rayon::prelude::*;

use super::{GatherReader, Lookups, each_word, exposable, per_sample};
use crate::protection::{Cost, Events, Prepared, ProtectError, Protection, SliceReader, Subject, Touched};

/// Bits that are equal in every word of a parameter are forced to that value on read.
///
/// Where every |w| < 2 that is bit 30 at least. A parameter of one word is forced as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConstantBits;

/// Bits that are 1 in every word of a parameter, and bits that are 1 in some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forced {
    always: u64,
    sometimes: u64,
}

impl Forced {
    fn of(spec: &ParameterSpec, words: Words<'_>) -> Self {
        let nothing = Self { always: spec.format.word_mask(), sometimes: 0 };
        if !exposable(spec) {
            return Self { always: 0, sometimes: spec.format.word_mask() };
        }
        (0..words.len())
            .into_par_iter()
            .with_min_len(1 << 16)
            .map(|element| words.get(element as u64))
            .fold(
                || nothing,
                |seen, word| Self { always: seen.always & word, sometimes: seen.sometimes | word },
            )
            .reduce(
                || nothing,
                |a, b| Self { always: a.always & b.always, sometimes: a.sometimes | b.sometimes },
            )
    }

    fn on(self, word: u64) -> u64 {
        (word | self.always) & self.sometimes
    }
}

struct PreparedConstantBits {
    forced: Vec<Forced>,
    cost: Cost,
}

impl Protection for ConstantBits {
    fn name(&self) -> String {
        "constant-bits".to_owned()
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let specs = subject.parameters.specs();
        let words = |index| subject.parameters.words(index);
        let forced: Vec<Forced> =
            specs.iter().enumerate().map(|(index, spec)| Forced::of(spec, words(index))).collect();
        let constant = |(spec, forced): (&ParameterSpec, &Forced)| {
            exposable(spec) && (forced.always != 0 || forced.sometimes != spec.format.word_mask())
        };
        if !specs.iter().zip(&forced).any(constant) {
            let reason = "no bit is equal in every word of a parameter".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        }
        let cost = Cost {
            operations_per_sample: per_sample(subject, |_| 2.0),
            assumptions: vec!["two masks per parameter".to_owned()],
            ..Cost::default()
        };
        Ok(Box::new(PreparedConstantBits { forced, cost }))
    }
}

/// Bits forced in every word of a table.
struct ForcedWords {
    always: u32,
    sometimes: u32,
}

impl GatherReader for ForcedWords {
    fn passes(&self, kernels: Kernels, words: &[Lane]) -> Option<bool> {
        let mut found = false;
        kernels.unlike_forced(self.always, self.sometimes, words, &mut found);
        Some(!found)
    }

    fn read(&self, lookups: &Lookups<'_>, words: &mut [Lane]) -> HookEvents {
        let mut found = false;
        lookups.kernels.unlike_forced(self.always, self.sometimes, words, &mut found);
        if !found {
            return HookEvents::default();
        }
        let mut changed = vec![[0; LANES]; lookups.groups()];
        lookups.kernels.forced(self.always, self.sometimes, words, &mut changed);
        let bad = lookups.count(&changed);
        HookEvents { detected: bad, corrected: bad, ..HookEvents::default() }
    }
}

impl Prepared for PreparedConstantBits {
    fn reads(&self) -> bool {
        true
    }

    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, events: &mut Events) {
        let forced = self.forced[touched.index];
        for &(element, word) in touched.words {
            let read = forced.on(word);
            events.detected += u64::from(read != word);
            events.corrected += u64::from(read != word);
            if read != touched.clean.get(element) {
                out.push((element, read));
            }
        }
    }

    fn slice_reader(&self, index: usize, _clean: &[u32]) -> Option<SliceReader> {
        let (always, sometimes) = (self.forced[index].always as u32, self.forced[index].sometimes as u32);
        Some(each_word(move |_, word| {
            let read = (word | always) & sometimes;
            (read, read != word)
        }))
    }

    fn gather_reader(&self, index: usize, _clean: &[f32]) -> Option<Box<dyn GatherReader>> {
        let Forced { always, sometimes } = self.forced[index];
        Some(Box::new(ForcedWords { always: always as u32, sometimes: sometimes as u32 }))
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
