use std::fmt;

use radhard_fault::{BitSelection, BitsError, Field, Format, Words};

use super::hamming::{self, Found};
use super::tmr::Copies;
use super::{CLEAN_COPY, beside, each_word, exposable};
use crate::protection::{
    Cost, Events, Kept, Prepared, ProtectError, Protection, SliceReader, Subject, Touched,
};

/// Selective bit protection: chosen bits of every word, sign and exponent unless said otherwise.
///
/// The ideal one is an upper bound: its bits can't be hit. The realisations keep bits of their own, which can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbp {
    realisation: Realisation,
    bits: BitChoice,
}

/// How chosen bits are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Realisation {
    /// They can't be hit.
    #[default]
    Ideal,
    /// Two more copies of each, and the majority.
    Tmr,
    /// A Hamming code over those of a word: four check bits for nine.
    Sec,
    /// A parity bit over those of a word; where it is wrong the word is reloaded.
    Parity,
}

/// Bits of a word, by field or position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitChoice {
    items: Vec<BitSelection>,
}

impl Default for BitChoice {
    fn default() -> Self {
        Self { items: vec![BitSelection::Field(Field::Sign), BitSelection::Field(Field::Exponent)] }
    }
}

impl BitChoice {
    /// The selections that these texts name; the default for none.
    pub fn parse(settings: &[&str]) -> Result<Self, BitsError> {
        if settings.is_empty() {
            return Ok(Self::default());
        }
        let items = settings.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(Self { items })
    }

    /// The bits in a format; `None` if a position is named that the format lacks. A field that it lacks names nothing.
    fn mask(&self, format: Format) -> Option<u64> {
        self.items.iter().try_fold(0, |all, &item| {
            let lacks =
                matches!(item, BitSelection::Range(_, high) if u32::from(high.get()) >= format.bits());
            (!lacks).then(|| all | item.mask(format))
        })
    }
}

impl fmt::Display for BitChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.items.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Sbp {
    /// These bits, protected so.
    pub fn new(realisation: Realisation, bits: BitChoice) -> Self {
        Self { realisation, bits }
    }

    fn masks(&self, subject: &Subject<'_>) -> Result<Vec<u64>, ProtectError> {
        let mut masks = Vec::new();
        for spec in subject.parameters.specs() {
            let mask = if exposable(spec) { self.bits.mask(spec.format) } else { Some(0) };
            masks.push(mask.ok_or_else(|| ProtectError::NoBits {
                protection: self.name(),
                format: spec.format,
                parameter: spec.name.clone(),
            })?);
        }
        if masks.iter().all(|&mask| mask == 0) {
            let reason = "no word has such bits".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        }
        Ok(masks)
    }
}

impl Protection for Sbp {
    fn name(&self) -> String {
        let name = match self.realisation {
            Realisation::Ideal => "sbp",
            Realisation::Tmr => "sbp=tmr",
            Realisation::Sec => "sbp=sec",
            Realisation::Parity => "sbp=parity",
        };
        if self.bits == BitChoice::default() { name.to_owned() } else { format!("{name}:{}", self.bits) }
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let masks = self.masks(subject)?;
        Ok(match self.realisation {
            Realisation::Ideal => Box::new(Shielded { masks }),
            Realisation::Tmr => Box::new(Copies::new(subject, masks)),
            Realisation::Sec => Box::new(Coded::new(subject, masks, false)),
            Realisation::Parity => Box::new(Coded::new(subject, masks, true)),
        })
    }
}

/// Bits that can't be hit.
struct Shielded {
    masks: Vec<u64>,
}

impl Prepared for Shielded {
    fn shield(&self, index: usize) -> u64 {
        self.masks[index]
    }

    fn cost(&self) -> Cost {
        Cost { assumptions: vec!["cells of the shielded bits that never err".to_owned()], ..Cost::default() }
    }
}

/// A code over the chosen bits of each word.
struct Coded {
    masks: Vec<u64>,
    parity: bool,
    kept: Vec<Kept>,
    cost: Cost,
}

impl Coded {
    fn new(subject: &Subject<'_>, masks: Vec<u64>, parity: bool) -> Self {
        let mut kept = Vec::new();
        let mut cost = Cost::default();
        for (of, (spec, &mask)) in subject.parameters.specs().iter().zip(&masks).enumerate() {
            if mask != 0 {
                let bits = if parity { 1 } else { hamming::check_bits(mask.count_ones()) };
                let spec_beside = beside(spec, "check", spec.shape.clone(), Format::U8);
                kept.push(Kept { of, spec: spec_beside, mask: (1 << bits) - 1 });
                cost.memory_bits += u64::from(bits) * spec.elements();
                cost.operations_per_sample += 3.0 * f64::from(bits) * subject.looked_up[of];
            }
        }
        if parity {
            cost.assumptions.push(CLEAN_COPY.to_owned());
        }
        Self { masks, parity, kept, cost }
    }

    fn check(&self, word: u64, mask: u64) -> u64 {
        if self.parity {
            u64::from((word & mask).count_ones() & 1)
        } else {
            hamming::encode(hamming::extract(word, mask)).into()
        }
    }
}

impl Prepared for Coded {
    fn owns(&self, index: usize) -> u64 {
        self.masks[index]
    }

    fn kept(&self) -> &[Kept] {
        &self.kept
    }

    fn kept_word(&self, index: usize, _copy: usize, clean: Words<'_>, element: u64) -> u64 {
        self.check(clean.get(element), self.masks[index])
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
        touched.codewords(1, self, |element, words, check| {
            let clean = touched.clean.get(element);
            let mut word = words.first().map_or(clean, |&(_, word)| word);
            if self.parity {
                if self.check(word, mask) != check[0] {
                    events.detected += 1;
                    events.reloads += 1;
                    events.reload_bytes += touched.bytes(1);
                    word = clean;
                }
            } else {
                let found = hamming::find(hamming::extract(word, mask), check[0] as u8, mask.count_ones());
                events.detected += u64::from(!matches!(found, Found::Clean));
                events.corrected += u64::from(matches!(found, Found::Check | Found::Data(_)));
                if let Found::Data(place) = found {
                    word ^= hamming::bit_at(mask, place);
                }
            }
            if word != clean {
                out.push((element, word));
            }
        });
    }

    fn slice_reader(&self, index: usize, clean: &[u32]) -> Option<SliceReader> {
        let mask = self.masks[index];
        if mask == 0 {
            return None;
        }
        let check: Vec<u8> = clean.iter().map(|&word| self.check(word.into(), mask) as u8).collect();
        if self.parity {
            let clean = clean.to_vec();
            let parity = move |word: u32| (word & mask as u32).count_ones() as u8 & 1;
            return Some(each_word(move |place, word| {
                let bad = parity(word) != check[place];
                (if bad { clean[place] } else { word }, bad)
            }));
        }
        let data_bits = mask.count_ones();
        // Chosen bits side by side, as sign and exponent are, are found with a shift, and their check bits in a table.
        let adjacent = mask >> mask.trailing_zeros() == u64::MAX >> (64 - data_bits);
        let table: Vec<u8> = if adjacent && data_bits <= 16 {
            (0..1 << data_bits).map(hamming::encode).collect()
        } else {
            Vec::new()
        };
        Some(each_word(move |place, word| {
            let side_by_side = (u64::from(word) & mask) >> mask.trailing_zeros();
            if table.get(side_by_side as usize) == Some(&check[place]) {
                return (word, false);
            }
            let chosen = hamming::extract(word.into(), mask);
            match hamming::find(chosen, check[place], data_bits) {
                Found::Clean => (word, false),
                Found::Data(bit) => (word ^ hamming::bit_at(mask, bit) as u32, true),
                Found::Check | Found::More => (word, true),
            }
        }))
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
