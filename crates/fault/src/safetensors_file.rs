//! The tensors of a safetensors file as parameters, in place.

use std::ops::{Deref, DerefMut};

use safetensors::SafeTensors;

use crate::{Component, Format, ParameterSpec, Parameters, View, Words, WordsMut};

/// Parameters in the bytes of a safetensors file, say a writable map of it: its tensors of known formats, by name.
///
/// Only data is ever written, so header, metadata and order stay as they are.
#[derive(Debug)]
pub struct SafetensorsBytes<B> {
    bytes: B,
    specs: Vec<ParameterSpec>,
    starts: Vec<usize>,
    others: Vec<String>,
}

/// Why bytes are not a safetensors file.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// The header or a tensor is wrong, or the file is cut.
    #[error("not a whole safetensors file: {0}")]
    Unreadable(#[from] safetensors::SafeTensorError),
}

impl<B: Deref<Target = [u8]>> SafetensorsBytes<B> {
    /// Reads the header; `component` tells the part of the model that a name belongs to.
    ///
    /// Errors: the bytes are not a whole safetensors file.
    pub fn new(bytes: B, component: impl Fn(&str) -> Component) -> Result<Self, SafetensorsError> {
        let tensors = SafeTensors::deserialize(&bytes)?;
        let first = bytes.as_ptr() as usize;
        let mut found: Vec<_> = tensors.iter().collect();
        found.sort_by_key(|&(name, _)| name);
        let (mut specs, mut starts, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (name, tensor) in found {
            match Format::of_dtype(tensor.dtype()) {
                Some(format) => {
                    let (name, shape) = (name.to_owned(), tensor.shape().to_vec());
                    let component = component(&name);
                    specs.push(ParameterSpec { name, shape, format, component });
                    starts.push(tensor.data().as_ptr() as usize - first);
                }
                None => others.push(format!("{name} ({:?})", tensor.dtype())),
            }
        }
        Ok(Self { bytes, specs, starts, others })
    }

    /// What the parameters are, in the order of their names.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The words of the parameter at this place in [`specs`](Self::specs).
    ///
    /// # Panics
    /// If there is no such place.
    pub fn words(&self, index: usize) -> Words<'_> {
        let (format, view) = self.view(index);
        Words::new(&self.bytes, format, view).expect("the header was checked against the bytes")
    }

    /// Names and types of the tensors whose format is not known, which are no parameters here.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes as they came.
    pub fn into_inner(self) -> B {
        self.bytes
    }

    fn view(&self, index: usize) -> (Format, View) {
        let spec = &self.specs[index];
        let view = View::contiguous(spec.format, spec.elements() as usize);
        (spec.format, View { base: self.starts[index], ..view })
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
        let (format, view) = self.view(index);
        WordsMut::new(&mut self.bytes, format, view).expect("the header was checked against the bytes")
    }
}
