//! Parameters by name: what a model keeps in memory, and what a fault can hit.

use std::ops::{Index, IndexMut};

use radhard_memory::Buffer;
use serde::{Deserialize, Serialize};

/// The part of a model that a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// A table that is looked up by index, first-order weights included.
    Embedding,
    /// A weight that is multiplied with every row: linear, cross, attention, batch-norm affine, biases.
    Dense,
    /// A buffer that is not trained: batch-norm statistics.
    State,
}

impl Component {
    /// The name used in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Dense => "dense",
            Self::State => "state",
        }
    }
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The number format that a tensor is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NumberFormat {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// Two's complement, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
}

impl NumberFormat {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I64 => 8,
            Self::U8 => 1,
        }
    }

    /// The name used in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
            Self::U8 => "u8",
        }
    }
}

impl std::fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a parameter starts, before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Uniform in [-bound, bound].
    Uniform {
        /// The bound.
        bound: f64,
    },
    /// The normal law around zero.
    Normal {
        /// Its standard deviation.
        deviation: f64,
    },
    /// The standard normal law; zero under [`Init::ZeroFirstOrder`](crate::Init::ZeroFirstOrder).
    FirstOrder,
    /// One value everywhere.
    Constant(f64),
}

/// Name, shape and role of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// The name in a state dict.
    pub name: String,
    /// The extent of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// The stored format.
    pub format: NumberFormat,
    /// The part of the model.
    pub component: Component,
    /// The value before training.
    pub start: Start,
}

impl TensorSpec {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.format.bytes()
    }
}

/// A named tensor, kept as the bytes that a memory holds (little endian, row major).
#[derive(Debug, Clone)]
pub struct Tensor {
    name: String,
    shape: Vec<usize>,
    format: NumberFormat,
    component: Component,
    data: Buffer<u8>,
}

impl Tensor {
    /// A tensor of zeros.
    pub fn zeroed(spec: &TensorSpec) -> Self {
        Self {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            format: spec.format,
            component: spec.component,
            data: Buffer::zeroed(spec.bytes()),
        }
    }

    /// The name in a state dict.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The extent of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The stored format.
    pub fn format(&self) -> NumberFormat {
        self.format
    }

    /// The part of the model.
    pub fn component(&self) -> Component {
        self.component
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements.
    ///
    /// # Panics
    /// If the format is not f32.
    pub fn f32s(&self) -> &[f32] {
        assert_eq!(self.format, NumberFormat::F32, "{} is not f32", self.name);
        bytemuck::cast_slice(&self.data)
    }

    /// The elements, to be changed.
    ///
    /// # Panics
    /// If the format is not f32.
    pub fn f32s_mut(&mut self) -> &mut [f32] {
        assert_eq!(self.format, NumberFormat::F32, "{} is not f32", self.name);
        bytemuck::cast_slice_mut(&mut self.data)
    }

    /// The words of a format of 16 bits.
    ///
    /// # Panics
    /// If the format has other words.
    pub fn u16s(&self) -> &[u16] {
        assert_eq!(self.format.bytes(), 2, "{} has no words of 16 bits", self.name);
        bytemuck::cast_slice(&self.data)
    }

    /// The words of a format of 16 bits, to be changed.
    ///
    /// # Panics
    /// If the format has other words.
    pub fn u16s_mut(&mut self) -> &mut [u16] {
        assert_eq!(self.format.bytes(), 2, "{} has no words of 16 bits", self.name);
        bytemuck::cast_slice_mut(&mut self.data)
    }

    /// The elements.
    ///
    /// # Panics
    /// If the format is not i64.
    pub fn i64s(&self) -> &[i64] {
        assert_eq!(self.format, NumberFormat::I64, "{} is not i64", self.name);
        bytemuck::cast_slice(&self.data)
    }

    /// The elements, to be changed.
    ///
    /// # Panics
    /// If the format is not i64.
    pub fn i64s_mut(&mut self) -> &mut [i64] {
        assert_eq!(self.format, NumberFormat::I64, "{} is not i64", self.name);
        bytemuck::cast_slice_mut(&mut self.data)
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The stored bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}

/// The tensors of a model, in state-dict order.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    tensors: Vec<Tensor>,
}

impl Parameters {
    /// The tensors in this order.
    pub fn new(tensors: Vec<Tensor>) -> Self {
        Self { tensors }
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The tensor at a position.
    pub fn get(&self, i: usize) -> Option<&Tensor> {
        self.tensors.get(i)
    }

    /// The tensor at a position, to be changed.
    pub fn get_mut(&mut self, i: usize) -> Option<&mut Tensor> {
        self.tensors.get_mut(i)
    }

    /// The position of a name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.tensors.iter().position(|t| t.name == name)
    }

    /// The tensor of a name.
    pub fn named(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// All tensors in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tensor> {
        self.tensors.iter()
    }

    /// All tensors in order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Tensor> {
        self.tensors.iter_mut()
    }

    /// All tensors as a slice.
    pub fn as_slice(&self) -> &[Tensor] {
        &self.tensors
    }

    /// All tensors as a slice, to be changed.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Tensor] {
        &mut self.tensors
    }

    /// The number of trained elements: embedding and dense, without state.
    pub fn trained(&self) -> usize {
        self.iter().filter(|t| t.component != Component::State).map(Tensor::elements).sum()
    }
}

impl Index<usize> for Parameters {
    type Output = Tensor;

    fn index(&self, i: usize) -> &Tensor {
        &self.tensors[i]
    }
}

impl IndexMut<usize> for Parameters {
    fn index_mut(&mut self, i: usize) -> &mut Tensor {
        &mut self.tensors[i]
    }
}

impl<'a> IntoIterator for &'a Parameters {
    type Item = &'a Tensor;
    type IntoIter = std::slice::Iter<'a, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Parameters {
    type Item = &'a mut Tensor;
    type IntoIter = std::slice::IterMut<'a, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
