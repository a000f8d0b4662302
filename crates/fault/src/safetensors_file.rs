//! The tensors of a safetensors file as parameters, in place.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut, Range};

use safetensors::SafeTensors;

use crate::{Component, Format, ParameterSpec, Parameters, View, Words, WordsMut};

/// Where the tensors of a safetensors file are, from its header alone.
#[derive(Clone, Debug)]
pub struct SafetensorsLayout {
    specs: Vec<ParameterSpec>,
    starts: Vec<usize>,
    foreign: Vec<ForeignTensor>,
    header: Range<usize>,
    metadata: BTreeMap<String, String>,
}

/// A tensor of a type that is no number format of this crate, so that no fault can strike it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignTensor {
    /// Its name.
    pub name: String,
    /// Its type, as the file says it.
    pub dtype: String,
    /// Bits that it takes in the file.
    pub bits: u64,
    /// Part of the model it belongs to.
    pub component: Component,
}

/// The place of a word in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordPlace {
    /// The first byte of it.
    pub at: u64,
    /// Bytes that it takes or lies in.
    pub bytes: usize,
    /// How far its low bit lies from that of the byte; 4 for the upper half of a byte.
    pub shift: u32,
}

/// Parameters in the bytes of a safetensors file, say a map of it: its tensors of known formats, by name.
///
/// Only data is ever written, so header, metadata and order stay as they are.
#[derive(Debug)]
pub struct SafetensorsBytes<B> {
    bytes: B,
    layout: SafetensorsLayout,
}

/// Why bytes are not a safetensors file.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// The header or a tensor is wrong, or the file is cut.
    #[error("not a whole safetensors file: {0}")]
    Unreadable(#[from] safetensors::SafeTensorError),
}

impl SafetensorsLayout {
    /// Reads the header of a whole file, of which no other byte is looked at; `component` tells the part of the model that a name
    /// belongs to.
    ///
    /// Errors: the bytes are not a whole safetensors file.
    pub fn of(bytes: &[u8], component: impl Fn(&str) -> Component) -> Result<Self, SafetensorsError> {
        let (length, header) = SafeTensors::read_metadata(bytes)?;
        let first = size_of::<u64>() + length;
        let metadata = header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone()));
        let metadata = metadata.collect();
        let mut found: Vec<_> = header.tensors().into_iter().collect();
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let (mut specs, mut starts, mut foreign) = (Vec::new(), Vec::new(), Vec::new());
        for (name, tensor) in found {
            let component = component(&name);
            let (start, end) = tensor.data_offsets;
            if let Some(format) = Format::of_dtype(tensor.dtype) {
                specs.push(ParameterSpec { name, shape: tensor.shape.clone(), format, component });
                starts.push(first + start);
            } else {
                let (dtype, bits) = (format!("{:?}", tensor.dtype), (end - start) as u64 * 8);
                foreign.push(ForeignTensor { name, dtype, bits, component });
            }
        }
        Ok(Self { specs, starts, foreign, header: size_of::<u64>()..first, metadata })
    }

    /// What the parameters are, in the order of their names.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The tensors that are no parameters here, in the order of their names.
    pub fn foreign(&self) -> &[ForeignTensor] {
        &self.foreign
    }

    /// Where the text of the header is, padding included; data begins where it ends.
    pub fn header(&self) -> Range<usize> {
        self.header.clone()
    }

    /// The texts in the metadata of the file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Where a word of the parameter at this place in [`specs`](Self::specs) is.
    ///
    /// # Panics
    /// If there is no such parameter or element.
    pub fn place(&self, index: usize, element: u64) -> WordPlace {
        let spec = &self.specs[index];
        assert!(element < spec.elements(), "element {element} of {}", spec.elements());
        let (start, bits) = (self.starts[index] as u64, u64::from(spec.format.bits()));
        let bit = element * bits;
        WordPlace { at: start + bit / 8, bytes: bits.div_ceil(8) as usize, shift: (bit % 8) as u32 }
    }

    fn view(&self, index: usize) -> (Format, View) {
        let spec = &self.specs[index];
        let view = View::contiguous(spec.format, spec.elements() as usize);
        (spec.format, View { base: self.starts[index], ..view })
    }
}

impl WordPlace {
    /// The word in the bytes that begin with its first one.
    ///
    /// # Panics
    /// If there are fewer bytes than it takes.
    pub fn get(self, bytes: &[u8], format: Format) -> u64 {
        let whole = bytes[..self.bytes].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        whole >> self.shift & format.word_mask()
    }

    /// Puts a word into the bytes that begin with its first one; bits beside it stay.
    ///
    /// # Panics
    /// If there are fewer bytes than it takes.
    pub fn set(self, bytes: &mut [u8], format: Format, word: u64) {
        let mask = format.word_mask() << self.shift;
        let word = word << self.shift & mask;
        for (i, byte) in bytes[..self.bytes].iter_mut().enumerate() {
            let (mask, word) = ((mask >> (8 * i)) as u8, (word >> (8 * i)) as u8);
            *byte = *byte & !mask | word;
        }
    }
}

impl<B: Deref<Target = [u8]>> SafetensorsBytes<B> {
    /// Reads the header; `component` tells the part of the model that a name belongs to.
    ///
    /// Errors: the bytes are not a whole safetensors file.
    pub fn new(bytes: B, component: impl Fn(&str) -> Component) -> Result<Self, SafetensorsError> {
        let layout = SafetensorsLayout::of(&bytes, component)?;
        Ok(Self { bytes, layout })
    }

    /// Where the tensors are.
    pub fn layout(&self) -> &SafetensorsLayout {
        &self.layout
    }

    /// Parameters, in the order of their names.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.layout.specs
    }

    /// The words of the parameter at this place in [`specs`](Self::specs).
    ///
    /// # Panics
    /// If there is no such place.
    pub fn words(&self, index: usize) -> Words<'_> {
        let (format, view) = self.layout.view(index);
        Words::new(&self.bytes, format, view).expect("the header was checked against the bytes")
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes as they came.
    pub fn into_inner(self) -> B {
        self.bytes
    }
}

impl<B: DerefMut<Target = [u8]>> Parameters for SafetensorsBytes<B> {
    fn specs(&self) -> &[ParameterSpec] {
        self.specs()
    }

    fn words(&self, index: usize) -> Words<'_> {
        self.words(index)
    }

    fn words_mut(&mut self, index: usize) -> WordsMut<'_> {
        let (format, view) = self.layout.view(index);
        WordsMut::new(&mut self.bytes, format, view).expect("the header was checked against the bytes")
    }
}

impl std::fmt::Display for ForeignTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name.escape_debug(), self.dtype)
    }
}
