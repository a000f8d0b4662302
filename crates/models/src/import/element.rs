//! Number formats of stored tensors, and their conversion to those that models have.

use half::f16;

/// The number format of an imported tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// IEEE binary64.
    F64,
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The high half of IEEE binary32.
    BF16,
    /// Two's complement, 64 bits.
    I64,
    /// Two's complement, 32 bits.
    I32,
    /// Two's complement, 16 bits.
    I16,
    /// Two's complement, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The name used in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }

    /// Whether only a conversion makes it an f32.
    pub(super) fn is_other_float(self) -> bool {
        matches!(self, Self::F64 | Self::F16 | Self::BF16)
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The format of a storage class of torch; `None` for other classes.
pub(super) fn storage_element(module: &str, name: &str) -> Option<Element> {
    let element = match (module, name) {
        ("torch", "DoubleStorage") => Element::F64,
        ("torch", "FloatStorage") => Element::F32,
        ("torch", "HalfStorage") => Element::F16,
        ("torch", "BFloat16Storage") => Element::BF16,
        ("torch", "LongStorage") => Element::I64,
        ("torch", "IntStorage") => Element::I32,
        ("torch", "ShortStorage") => Element::I16,
        ("torch", "CharStorage") => Element::I8,
        ("torch", "ByteStorage") => Element::U8,
        ("torch", "BoolStorage") => Element::Bool,
        _ => return None,
    };
    Some(element)
}

/// The format of a dtype of torch; `None` for others.
pub(super) fn dtype_element(module: &str, name: &str) -> Option<Element> {
    match (module, name) {
        ("torch", "float64") => Some(Element::F64),
        ("torch", "float32") => Some(Element::F32),
        ("torch", "float16") => Some(Element::F16),
        ("torch", "bfloat16") => Some(Element::BF16),
        ("torch", "int64") => Some(Element::I64),
        ("torch", "int32") => Some(Element::I32),
        ("torch", "int16") => Some(Element::I16),
        ("torch", "int8") => Some(Element::I8),
        ("torch", "uint8") => Some(Element::U8),
        ("torch", "bool") => Some(Element::Bool),
        _ => None,
    }
}

fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<u8> {
    bytes.as_chunks::<N>().0.iter().flat_map(|&word| convert(word).to_le_bytes()).collect()
}

/// The elements as f32; `None` for a format that is no other float.
///
/// Numerics: f16 and bf16 exactly, f64 to the nearest, ties to even; beyond f32 it is ±Inf, as torch's `float()`.
pub(super) fn to_f32(element: Element, bytes: &[u8]) -> Option<Vec<u8>> {
    match element {
        Element::F64 => Some(each(bytes, |word| f64::from_le_bytes(word) as f32)),
        Element::F16 => Some(each(bytes, |word| f16::from_le_bytes(word).to_f32_const())),
        Element::BF16 => Some(each(bytes, |word| f32::from_bits(u32::from(u16::from_le_bytes(word)) << 16))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    #[test]
    fn halves_convert_exactly_and_doubles_to_the_nearest() {
        let half: Vec<u8> =
            [0x3c00_u16, 0xc000, 0x0001, 0x7c00].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(f32s(&to_f32(Element::F16, &half).unwrap()), [1.0, -2.0, 2f32.powi(-24), f32::INFINITY]);
        let brain: Vec<u8> = [0x3f80_u16, 0xbf20].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(f32s(&to_f32(Element::BF16, &brain).unwrap()), [1.0, -0.625]);
        let double: Vec<u8> = [0.1_f64, -1e300].iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(f32s(&to_f32(Element::F64, &double).unwrap()), [0.1, f32::NEG_INFINITY]);
        assert_eq!(to_f32(Element::I64, &double), None);
    }
}
