//! Parameters: what has a name, a shape, a format and words that bits can flip in.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Format, View, Words, WordsMut};

/// Part of a model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// Looked up by row: embedding tables, first-order weights included.
    Embedding,
    /// Multiplied or added: linear, cross and attention layers, affine parts of BatchNorm, biases.
    Dense,
    /// Kept between batches but not learnt: BatchNorm statistics and counters.
    State,
    /// In a model whose architecture is not known.
    Unknown,
}

/// What a parameter is, apart from its words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ParameterSpec {
    /// Name in the state dict, unique in a model.
    pub name: String,
    /// Sizes of the dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Number format of its words.
    pub format: Format,
    /// Part of the model it belongs to.
    pub component: Component,
}

impl ParameterSpec {
    /// Number of words, `u64::MAX` if there are more than that.
    pub fn elements(&self) -> u64 {
        if self.shape.contains(&0) {
            return 0;
        }
        self.shape.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
    }

    /// Number of bits, `u64::MAX` if there are more than that.
    pub fn bits(&self) -> u64 {
        self.elements().saturating_mul(self.format.bits().into())
    }

    /// What keys the draws on this parameter: the first 8 bytes of SHA-256 over its name, shape and format.
    pub fn hash(&self) -> u64 {
        let mut hasher = Sha256::new();
        self.hash_into(&mut hasher);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize()[..8]);
        u64::from_le_bytes(first)
    }

    fn hash_into(&self, hasher: &mut Sha256) {
        for text in [self.name.as_str(), self.format.name()] {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        hasher.update((self.shape.len() as u64).to_le_bytes());
        for &size in &self.shape {
            hasher.update((size as u64).to_le_bytes());
        }
    }
}

/// SHA-256, in hexadecimal, over names, shapes and formats, in the order of the names: what an error map fits.
pub fn fingerprint(specs: &[ParameterSpec]) -> String {
    let mut sorted: Vec<_> = specs.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = Sha256::new();
    for spec in sorted {
        spec.hash_into(&mut hasher);
    }
    hexadecimal(&hasher.finalize())
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all text");
    }
    text
}

/// Anything that lends named parameters as words in memory.
///
/// Specs and views must stay as they are while a draw or an error map for them is in use, and views must not overlap.
pub trait Parameters {
    /// What the parameters are.
    fn specs(&self) -> &[ParameterSpec];

    /// The words of the parameter at this place in [`specs`](Self::specs).
    fn words(&self, index: usize) -> Words<'_>;

    /// The same words, to be changed.
    fn words_mut(&mut self, index: usize) -> WordsMut<'_>;
}

/// Parameters in vectors of their own, one after another.
///
/// # Example
/// ```
/// use radhard_fault::{Component, Format, OwnedParameters, Parameters, ParameterSpec};
///
/// let mut parameters = OwnedParameters::default();
/// parameters.push_f32("fc.weight", &[2, 2], Component::Dense, &[0.625, 1.0, -1.0, 0.0]);
/// assert_eq!(parameters.words(0).get(0), u64::from(0.625_f32.to_bits()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedParameters {
    specs: Vec<ParameterSpec>,
    bytes: Vec<Vec<u8>>,
}

impl OwnedParameters {
    /// Adds a parameter of zeros.
    pub fn push(&mut self, spec: ParameterSpec) {
        self.bytes.push(vec![0; spec.format.bytes(spec.elements()) as usize]);
        self.specs.push(spec);
    }

    /// Adds a parameter of f32 words.
    ///
    /// # Panics
    /// If the shape does not hold just that many values.
    pub fn push_f32(&mut self, name: &str, shape: &[usize], component: Component, values: &[f32]) {
        let (name, shape) = (name.to_owned(), shape.to_vec());
        let spec = ParameterSpec { name, shape, format: Format::F32, component };
        assert_eq!(spec.elements(), values.len() as u64, "values for shape {:?}", spec.shape);
        self.specs.push(spec);
        self.bytes.push(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    /// The bytes of a parameter.
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.bytes[index]
    }

    /// The bytes of a parameter, to be changed.
    pub fn bytes_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.bytes[index]
    }

    fn view(&self, index: usize) -> (Format, View) {
        let spec = &self.specs[index];
        (spec.format, View::contiguous(spec.format, spec.elements() as usize))
    }
}

impl Parameters for OwnedParameters {
    fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    fn words(&self, index: usize) -> Words<'_> {
        let (format, view) = self.view(index);
        Words::new(&self.bytes[index], format, view).expect("bytes were made for the spec")
    }

    fn words_mut(&mut self, index: usize) -> WordsMut<'_> {
        let (format, view) = self.view(index);
        WordsMut::new(&mut self.bytes[index], format, view).expect("bytes were made for the spec")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, shape: &[usize], format: Format) -> ParameterSpec {
        ParameterSpec { name: name.to_owned(), shape: shape.to_vec(), format, component: Component::Dense }
    }

    #[test]
    fn hashes_keep_their_values() {
        assert_eq!(spec("fc.weight", &[2, 3], Format::F32).hash(), 0x0071_5773_5768_27CF);
    }

    #[test]
    fn hashes_tell_names_shapes_and_formats_apart_and_ignore_components() {
        let first = spec("a", &[2, 3], Format::F32);
        for other in [
            spec("b", &[2, 3], Format::F32),
            spec("a", &[3, 2], Format::F32),
            spec("a", &[2, 3], Format::I32),
        ] {
            assert_ne!(first.hash(), other.hash());
            assert_ne!(fingerprint(std::slice::from_ref(&first)), fingerprint(&[other]));
        }
        assert_eq!(first.hash(), ParameterSpec { component: Component::State, ..first.clone() }.hash());
    }

    #[test]
    fn fingerprints_do_not_depend_on_the_order_of_parameters() {
        let (a, b) = (spec("a", &[2], Format::F32), spec("b", &[3], Format::I8));
        assert_eq!(fingerprint(&[a.clone(), b.clone()]), fingerprint(&[b, a]));
    }

    #[test]
    fn sizes_saturate_instead_of_wrapping() {
        assert_eq!(spec("a", &[], Format::F32).elements(), 1);
        assert_eq!(spec("a", &[usize::MAX, usize::MAX, 0], Format::F32).elements(), 0);
        assert_eq!(spec("a", &[usize::MAX, 3], Format::F32).elements(), u64::MAX);
        assert_eq!(spec("a", &[usize::MAX], Format::F32).bits(), u64::MAX);
    }
}
