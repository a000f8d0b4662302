//! Strided views of bytes as the words of a format, little-endian.

use crate::{Effect, Format};

/// Where the words of a parameter lie in a byte slice: runs of adjacent words, one run each `stride` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Byte where the first run starts.
    pub base: usize,
    /// Words in a run.
    pub run: usize,
    /// Bytes from the start of a run to the start of the next.
    pub stride: usize,
    /// Words in all; the last run may be shorter.
    pub count: usize,
}

/// Why bytes can't be seen as words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A run must hold at least a word.
    #[error("view of {0} words has runs of no words")]
    EmptyRun(usize),
    /// Runs would overlap.
    #[error("view with stride {stride} has runs of {run_bytes} bytes")]
    Overlap {
        /// Bytes between the starts of runs.
        stride: usize,
        /// Bytes of a run.
        run_bytes: u64,
    },
    /// The view reaches past the bytes.
    #[error("view needs {needed} bytes of {length}")]
    TooShort {
        /// Bytes the view reaches to.
        needed: u64,
        /// Bytes there are.
        length: usize,
    },
}

impl View {
    /// Words one after another from the first byte on.
    pub const fn contiguous(format: Format, count: usize) -> Self {
        Self { base: 0, run: count, stride: format.bytes(count as u64) as usize, count }
    }

    fn check(&self, format: Format, length: usize) -> Result<(), ViewError> {
        if self.count == 0 {
            return Ok(());
        }
        if self.run == 0 {
            return Err(ViewError::EmptyRun(self.count));
        }
        let runs = self.count.div_ceil(self.run);
        let run_bytes = format.bytes(self.run as u64);
        if runs > 1 && run_bytes > self.stride as u64 {
            return Err(ViewError::Overlap { stride: self.stride, run_bytes });
        }
        let last_run = self.count - (runs - 1) * self.run;
        let needed = ((runs - 1) as u64)
            .saturating_mul(self.stride as u64)
            .saturating_add(self.base as u64)
            .saturating_add(format.bytes(last_run as u64));
        if needed > length as u64 { Err(ViewError::TooShort { needed, length }) } else { Ok(()) }
    }

    /// Byte of a word, and how far its low bit lies from that byte's.
    #[inline]
    fn place(&self, format: Format, element: u64) -> (usize, u32) {
        assert!(element < self.count as u64, "element {element} of {}", self.count);
        let element = element as usize;
        let (start, inside) = if self.run == self.count {
            (self.base, element)
        } else {
            (self.base + element / self.run * self.stride, element % self.run)
        };
        match format.bits() {
            4 => (start + inside / 2, inside as u32 % 2 * 4),
            _ => (start + inside * (format.bits() as usize / 8), 0),
        }
    }
}

#[inline]
fn read(bytes: &[u8], format: Format, (at, shift): (usize, u32)) -> u64 {
    match format.bits() {
        64 => u64::from_le_bytes(*array(bytes, at)),
        32 => u32::from_le_bytes(*array(bytes, at)).into(),
        16 => u16::from_le_bytes(*array(bytes, at)).into(),
        8 => bytes[at].into(),
        _ => (bytes[at] >> shift & 0xF).into(),
    }
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    bytes[at..at + N].try_into().expect("the range has the length of the array")
}

#[inline]
fn array_mut<const N: usize>(bytes: &mut [u8], at: usize) -> &mut [u8; N] {
    (&mut bytes[at..at + N]).try_into().expect("the range has the length of the array")
}

/// The words of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    bytes: &'a [u8],
    format: Format,
    view: View,
}

impl<'a> Words<'a> {
    /// Bytes seen as words.
    pub fn new(bytes: &'a [u8], format: Format, view: View) -> Result<Self, ViewError> {
        view.check(format, bytes.len())?;
        Ok(Self { bytes, format, view })
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.view.count
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.view.count == 0
    }

    /// The format of the words.
    pub fn format(&self) -> Format {
        self.format
    }

    /// A word.
    ///
    /// # Panics
    /// If there is no such element.
    #[inline]
    pub fn get(&self, element: u64) -> u64 {
        read(self.bytes, self.format, self.view.place(self.format, element))
    }

    /// All words in order.
    pub fn iter(self) -> impl Iterator<Item = u64> + use<'a> {
        (0..self.view.count as u64).map(move |element| self.get(element))
    }
}

/// The words of a parameter, to be changed.
#[derive(Debug)]
pub struct WordsMut<'a> {
    bytes: &'a mut [u8],
    format: Format,
    view: View,
}

impl<'a> WordsMut<'a> {
    /// Bytes seen as words.
    pub fn new(bytes: &'a mut [u8], format: Format, view: View) -> Result<Self, ViewError> {
        view.check(format, bytes.len())?;
        Ok(Self { bytes, format, view })
    }

    /// The same words, to be read.
    pub fn as_words(&self) -> Words<'_> {
        Words { bytes: self.bytes, format: self.format, view: self.view }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.view.count
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.view.count == 0
    }

    /// A word.
    ///
    /// # Panics
    /// If there is no such element.
    #[inline]
    pub fn get(&self, element: u64) -> u64 {
        self.as_words().get(element)
    }

    /// Replaces a word; bits that the format lacks are left out.
    ///
    /// # Panics
    /// If there is no such element.
    #[inline]
    pub fn set(&mut self, element: u64, word: u64) {
        let (at, shift) = self.view.place(self.format, element);
        match self.format.bits() {
            64 => *array_mut(self.bytes, at) = word.to_le_bytes(),
            32 => *array_mut(self.bytes, at) = (word as u32).to_le_bytes(),
            16 => *array_mut(self.bytes, at) = (word as u16).to_le_bytes(),
            8 => self.bytes[at] = word as u8,
            _ => self.bytes[at] = self.bytes[at] & !(0xF << shift) | (word as u8 & 0xF) << shift,
        }
    }

    /// Flips the bits of `masks[i]` in the word `elements[i]`, for all i; doing it twice changes nothing.
    ///
    /// # Panics
    /// If the lengths differ or there is no such element.
    pub fn flip(&mut self, elements: &[u64], masks: &[u64]) {
        assert_eq!(elements.len(), masks.len(), "elements and masks");
        if self.view.run == self.view.count && self.format.bits() == 32 {
            let (words, _) = self.bytes[self.view.base..][..4 * self.view.count].as_chunks_mut::<4>();
            for (&element, &mask) in elements.iter().zip(masks) {
                let word = &mut words[element as usize];
                *word = (u32::from_le_bytes(*word) ^ mask as u32).to_le_bytes();
            }
        } else {
            for (&element, &mask) in elements.iter().zip(masks) {
                self.set(element, self.get(element) ^ mask);
            }
        }
    }

    /// Applies an effect to a word and returns what the word was.
    ///
    /// # Panics
    /// If there is no such element.
    pub fn apply(&mut self, element: u64, effect: Effect) -> u64 {
        let old = self.get(element);
        self.set(element, effect.on(old));
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_views_reach_the_words_they_describe() {
        for format in Format::ALL {
            let view = View { base: 3, run: 3, stride: 29, count: 8 };
            let mut bytes: Vec<u8> = (0..100).collect();
            let before = bytes.clone();
            let mut words = WordsMut::new(&mut bytes, format, view).unwrap();
            for element in 0..8 {
                let old = words.get(element);
                words.set(element, !old);
                assert_eq!(words.get(element), !old & format.word_mask(), "{format} {element}");
            }
            let bits = bytes.iter().zip(&before).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            assert_eq!(bits, 8 * format.bits(), "{format}: each bit of each word once");
            assert_eq!(bytes[..3], before[..3]);
            let second_run = 3 + 29;
            let end_of_first = 3 + format.bytes(3) as usize;
            assert_eq!(bytes[end_of_first..second_run], before[end_of_first..second_run], "{format}");
        }
    }

    #[test]
    fn the_low_half_of_a_byte_is_the_even_element_of_four_bits() {
        let bytes = [0x21, 0x43];
        for format in [Format::I4, Format::F4] {
            let words = Words::new(&bytes, format, View::contiguous(format, 3)).unwrap();
            assert_eq!(words.iter().collect::<Vec<_>>(), [1, 2, 3]);
        }
    }

    #[test]
    fn flipping_contiguous_words_equals_flipping_them_one_by_one_and_twice_is_nothing() {
        let elements = [0, 2, 3];
        for format in Format::ALL {
            let masks = [1, 0x8888_8888_8888_8888, u64::MAX].map(|mask: u64| mask & format.word_mask());
            let mut fast: Vec<u8> = (100..200).collect();
            let mut plain = fast.clone();
            let view = View::contiguous(format, 4);
            WordsMut::new(&mut fast, format, view).unwrap().flip(&elements, &masks);
            let mut words = WordsMut::new(&mut plain, format, view).unwrap();
            for (element, mask) in elements.into_iter().zip(masks) {
                words.set(element, words.get(element) ^ mask);
            }
            assert_eq!(fast, plain, "{format}");
            WordsMut::new(&mut fast, format, view).unwrap().flip(&elements, &masks);
            assert!(fast.into_iter().eq(100..200), "{format}");
        }
    }

    #[test]
    fn views_that_do_not_fit_are_refused() {
        let bytes = [0; 16];
        let new = |view| Words::new(&bytes, Format::F32, view).map(|words| words.len());
        assert_eq!(new(View::contiguous(Format::F32, 4)), Ok(4));
        assert_eq!(
            new(View::contiguous(Format::F32, 5)),
            Err(ViewError::TooShort { needed: 20, length: 16 })
        );
        assert_eq!(
            new(View { base: 0, run: 2, stride: 7, count: 3 }),
            Err(ViewError::Overlap { stride: 7, run_bytes: 8 })
        );
        assert_eq!(new(View { base: 0, run: 0, stride: 0, count: 1 }), Err(ViewError::EmptyRun(1)));
        assert!(new(View { base: usize::MAX, run: 1, stride: usize::MAX, count: usize::MAX }).is_err());
        assert_eq!(new(View { base: 99, run: 0, stride: 0, count: 0 }), Ok(0));
    }
}
