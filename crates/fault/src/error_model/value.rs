use super::{DrawError, ErrorModel, Wrong};
use crate::stream::{Purpose, unit};
use crate::{BitErrorRate, Chip, DrawnMap, Effect, Exposure, Format, StoredBits};

/// A word that arrives below the rate, which here counts words, is replaced; with a choice of bits, its exposed bits are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    written: Written,
}

/// What a word is replaced by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Written {
    /// Uniform random bits.
    Uniform,
    /// Zero bits.
    Zero,
    /// A number uniform in [low, high], encoded in the format of the word; a format that lacks such numbers is refused.
    Range {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
}

impl Value {
    /// Words replaced by this; `None` if it is a range that is not finite or runs backwards.
    pub fn new(written: Written) -> Option<Self> {
        match written {
            Written::Range { low, high } if !(low <= high && (high - low).is_finite()) => None,
            _ => Some(Self { written }),
        }
    }

    pub(super) fn parse(settings: &[&str]) -> Result<Box<dyn ErrorModel>, Wrong> {
        let written = match settings {
            ["uniform"] => Written::Uniform,
            ["zero"] => Written::Zero,
            [range] => {
                let (low, high) = range.split_once("..").ok_or(Wrong::Form)?;
                let number = |text: &str| text.parse().map_err(|_| Wrong::Form);
                Written::Range { low: number(low)?, high: number(high)? }
            }
            _ => return Err(Wrong::Form),
        };
        let value = Self::new(written).ok_or(Wrong::Range("a range is finite and does not run backwards"))?;
        Ok(Box::new(value))
    }

    fn word(&self, format: Format, number: u64) -> u64 {
        match self.written {
            Written::Uniform => number & format.word_mask(),
            Written::Zero => 0,
            Written::Range { low, high } => format.encode(low + (high - low) * unit(number)),
        }
    }
}

/// Whether a format has a number next to this one: floats without overflow, scales from zero up, integers within a half.
fn holds(format: Format, number: f64) -> bool {
    let nearest = format.decode(format.encode(number));
    match format {
        Format::F8E8M0 => number >= 0.0 && nearest.is_finite(),
        Format::F4 => number.abs() <= 6.0,
        _ if format.is_float() => nearest.is_finite(),
        _ => (nearest - number).abs() <= 0.5,
    }
}

impl ErrorModel for Value {
    fn name(&self) -> String {
        match self.written {
            Written::Uniform => "value:uniform".to_owned(),
            Written::Zero => "value:zero".to_owned(),
            Written::Range { low, high } => format!("value:{low}..{high}"),
        }
    }

    fn nests(&self) -> bool {
        true
    }

    fn fill(
        &self,
        chip: Chip,
        exposure: &Exposure,
        rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        if let Written::Range { low, high } = self.written {
            for exposed in exposure.parameters() {
                if let Some(number) = [low, high].into_iter().find(|&number| !holds(exposed.format, number)) {
                    let parameter = exposure.identity().specs[exposed.index].name.clone();
                    return Err(DrawError::NotRepresentable { number, format: exposed.format, parameter });
                }
            }
        }
        let (arrivals, parameters) = out.split();
        for (exposed, drawn) in exposure.parameters().iter().zip(parameters) {
            let key = chip.key(exposed);
            for &element in arrivals.words_below(chip, exposed, rate) {
                let [number, _] = key.pair(Purpose::WordValue, 0, element);
                drawn.push(element, Effect::write(self.word(exposed.format, number)));
            }
        }
        Ok(())
    }

    /// Uniform bits leave a word of e exposed bits as it is with probability 2^-e, zeros leave zeros. For a
    /// range it is not given: it takes, word by word, the share of the range that rounds to the stored word.
    fn p_no_flip(
        &self,
        exposure: &Exposure,
        rate: Option<BitErrorRate>,
        stored: Option<&StoredBits>,
    ) -> Option<f64> {
        let rate = rate?;
        match self.written {
            Written::Uniform => Some(
                exposure
                    .parameters()
                    .iter()
                    .map(|exposed| {
                        let same = libm::ldexp(1.0, -(exposed.mask.count_ones() as i32));
                        rate.times(1.0 - same).none_of(exposed.elements)
                    })
                    .product(),
            ),
            Written::Zero => Some(rate.none_of(stored?.nonzero_words)),
            Written::Range { .. } => None,
        }
    }
}
