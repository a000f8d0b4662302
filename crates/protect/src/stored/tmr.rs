use radhard_fault::Words;

use super::{beside, exposable};
use crate::protection::{
    Checked, Cost, Events, Kept, Prepared, ProtectError, Protection, SliceReader, Subject, Touched,
};

/// Three copies of every word, all exposed, and the majority of each bit: at rate p a bit is wrong with 3p² − 2p³.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tmr;

/// Two more copies of some bits of each word.
pub(super) struct Copies {
    /// Bits that are kept thrice, per parameter.
    pub(super) masks: Vec<u64>,
    pub(super) kept: Vec<Kept>,
    pub(super) cost: Cost,
}

/// The majority of each bit.
pub(super) fn majority(a: u64, b: u64, c: u64) -> u64 {
    a & b | a & c | b & c
}

impl Copies {
    pub(super) fn new(subject: &Subject<'_>, masks: Vec<u64>) -> Self {
        let mut kept = Vec::new();
        let mut cost = Cost::default();
        for (of, (spec, &mask)) in subject.parameters.specs().iter().zip(&masks).enumerate() {
            if mask != 0 {
                for copy in ["copy1", "copy2"] {
                    kept.push(Kept { of, spec: beside(spec, copy, spec.shape.clone(), spec.format), mask });
                }
                cost.memory_bits += 2 * u64::from(mask.count_ones()) * spec.elements();
                cost.operations_per_sample += 5.0 * subject.looked_up[of];
            }
        }
        Self { masks, kept, cost }
    }
}

impl Protection for Tmr {
    fn name(&self) -> String {
        "tmr".to_owned()
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let specs = subject.parameters.specs().iter();
        let masks = specs.map(|spec| if exposable(spec) { spec.format.word_mask() } else { 0 }).collect();
        Ok(Box::new(Copies::new(subject, masks)))
    }
}

impl Prepared for Copies {
    fn owns(&self, index: usize) -> u64 {
        self.masks[index]
    }

    fn kept(&self) -> &[Kept] {
        &self.kept
    }

    fn kept_word(&self, index: usize, _copy: usize, clean: Words<'_>, element: u64) -> u64 {
        clean.get(element) & self.masks[index]
    }

    fn reads(&self) -> bool {
        true
    }

    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, events: &mut Events) {
        let mask = self.masks[touched.index];
        if mask == 0 {
            out.extend_from_slice(touched.words);
            return;
        }
        touched.codewords(1, self, |element, words, copies| {
            let clean = touched.clean.get(element);
            let word = words.first().map_or(clean, |&(_, word)| word);
            let voted = majority(word & mask, copies[0], copies[1]);
            if word & mask != voted || copies[0] != voted || copies[1] != voted {
                events.detected += 1;
                events.corrected += 1;
            }
            let read = word & !mask | voted;
            if read != clean {
                out.push((element, read));
            }
        });
    }

    fn slice_reader(&self, index: usize, clean: &[u32]) -> Option<SliceReader> {
        let mask = self.masks[index] as u32;
        let copies: [Vec<u32>; 2] = std::array::from_fn(|_| clean.iter().map(|word| word & mask).collect());
        (mask != 0).then(|| -> SliceReader {
            Box::new(move |words| {
                let mut fired = 0;
                for ((word, &b), &c) in words.iter_mut().zip(&copies[0]).zip(&copies[1]) {
                    let a = *word & mask;
                    let voted = a & b | a & c | b & c;
                    fired += u64::from(a ^ voted | b ^ voted | c ^ voted != 0);
                    *word = *word & !mask | voted;
                }
                Checked { checks: words.len() as u64, fired }
            })
        })
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
