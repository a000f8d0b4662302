use radhard_fault::{Field, Format, Parameters};

use super::tmr::majority;
use super::{each_word, exposable, per_sample};
use crate::protection::{Cost, Events, Prepared, ProtectError, Protection, SliceReader, Subject, Touched};

/// The highest exponent bit (30 in f32) copied into the two lowest bits of the mantissa, and the majority of the three on read.
///
/// The copies stay in the number: clean words differ from the unprotected ones by less than four units in the last place. After
/// the vote the copies read as the bit does, so a lone flip among the three leaves no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mset;

/// The bit that is kept thrice; 0 in formats without an exponent.
fn source(format: Format) -> u64 {
    let exponent = format.field(Field::Exponent);
    exponent & !(exponent >> 1)
}

/// A word as it is stored.
fn stored(format: Format, word: u64) -> u64 {
    word & !3 | if word & source(format) == 0 { 0 } else { 3 }
}

struct PreparedMset {
    cost: Cost,
}

impl Protection for Mset {
    fn name(&self) -> String {
        "mset".to_owned()
    }

    fn rewrites(&self) -> bool {
        true
    }

    fn rewrite(&self, parameters: &mut dyn Parameters) {
        for index in 0..parameters.specs().len() {
            let format = parameters.specs()[index].format;
            if format.is_float() {
                let mut words = parameters.words_mut(index);
                for element in 0..words.len() as u64 {
                    words.set(element, stored(format, words.get(element)));
                }
            }
        }
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let specs = subject.parameters.specs();
        if !specs.iter().any(|spec| exposable(spec) && spec.format.is_float()) {
            let reason = "no parameter is stored in floating point".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        }
        let operations_per_sample =
            per_sample(subject, |spec| if spec.format.is_float() { 8.0 } else { 0.0 });
        Ok(Box::new(PreparedMset { cost: Cost { operations_per_sample, ..Cost::default() } }))
    }
}

impl Prepared for PreparedMset {
    fn reads(&self) -> bool {
        true
    }

    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, events: &mut Events) {
        let format = touched.clean.format();
        let source = source(format);
        for &(element, word) in touched.words {
            let mut read = word;
            if source != 0 {
                let bit = u64::from(word & source != 0);
                let voted = majority(bit, word & 1, word >> 1 & 1);
                read = word & !(source | 3) | if voted == 0 { 0 } else { source | 3 };
                events.detected += u64::from(read != word);
                events.corrected += u64::from(read != word);
            }
            if read != touched.clean.get(element) {
                out.push((element, read));
            }
        }
    }

    fn slice_reader(&self, _index: usize, _clean: &[u32]) -> Option<SliceReader> {
        Some(each_word(|_, word| {
            let voted = (word >> 30 & word | word >> 30 & word >> 1 | word & word >> 1) & 1;
            let read = word & !0x4000_0003 | (voted * 0x4000_0003);
            (read, read != word)
        }))
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_exponent_bit_is_kept_in_every_float_format() {
        let sources = [Format::F32, Format::F16, Format::BF16, Format::F64].map(source);
        assert_eq!(sources, [1 << 30, 1 << 14, 1 << 14, 1 << 62]);
        assert_eq!(source(Format::U8), 0);
        let word = u64::from(0.625_f32.to_bits());
        assert_eq!(stored(Format::F32, word | 2), word);
        assert_eq!(stored(Format::F32, u64::from(2.0_f32.to_bits())), u64::from(2.0_f32.to_bits()) | 3);
    }
}
