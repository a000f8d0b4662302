//! Number formats: how wide a stored word is, which of its bits mean what, and which number it stands for.

use std::fmt;
use std::str::FromStr;

use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::Field;

/// Number format of the words of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// IEEE 754 binary64.
    F64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
    /// 8-bit float with 4 exponent bits, no infinities, NaN only where all other bits are set (OCP "E4M3").
    F8E4M3,
    /// 8-bit float with 5 exponent bits and the infinities of IEEE 754 (OCP "E5M2").
    F8E5M2,
    /// 8-bit scale: a power of two from 2^-127 to 2^127, no sign and no zero, NaN where all bits are set (OCP "E8M0").
    F8E8M0,
    /// 4-bit float with 2 exponent bits, neither infinities nor NaN (OCP "E2M1"), two to a byte, the even element in the low half.
    F4,
    /// Two's complement, 64 bits.
    I64,
    /// Two's complement, 32 bits.
    I32,
    /// Two's complement, 16 bits.
    I16,
    /// Two's complement, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits.
    U8,
    /// Two's complement, 4 bits, two to a byte, the even element in the low half.
    I4,
}

/// A name that no format has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no number format, expected one of {list}", list = Format::ALL.map(Format::name).join(" "))]
pub struct FormatError(String);

/// Widths of the fields of a float with a sign.
struct Float {
    exponent_bits: u32,
    mantissa_bits: u32,
    top: Top,
}

/// The meaning of the largest words of a float.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    /// Infinity where the exponent is all ones and the mantissa zero, NaN above.
    Infinity,
    /// NaN where all bits are ones.
    OneNan,
    /// Numbers like the others.
    Numbers,
}

/// Distance of the exponent of f8e8m0 from that of its number.
const SCALE_BIAS: i32 = 127;
/// The word of f8e8m0 that is no number.
const SCALE_NAN: u64 = 0xFF;

impl Format {
    /// Every format there is.
    pub const ALL: [Self; 17] = [
        Self::F64,
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::F8E4M3,
        Self::F8E5M2,
        Self::F8E8M0,
        Self::F4,
        Self::I64,
        Self::I32,
        Self::I16,
        Self::I8,
        Self::U64,
        Self::U32,
        Self::U16,
        Self::U8,
        Self::I4,
    ];

    /// The canonical name, such as `f32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F8E4M3 => "f8e4m3",
            Self::F8E5M2 => "f8e5m2",
            Self::F8E8M0 => "f8e8m0",
            Self::F4 => "f4",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::I4 => "i4",
        }
    }

    /// Bits of a word: 4, 8, 16, 32 or 64.
    pub const fn bits(self) -> u32 {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 64,
            Self::F32 | Self::I32 | Self::U32 => 32,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 16,
            Self::F8E4M3 | Self::F8E5M2 | Self::F8E8M0 | Self::I8 | Self::U8 => 8,
            Self::F4 | Self::I4 => 4,
        }
    }

    /// Base-two logarithm of [`bits`](Self::bits).
    pub(crate) const fn bits_log2(self) -> u32 {
        self.bits().trailing_zeros()
    }

    /// Bytes that `elements` words take; an odd half byte is rounded up.
    pub const fn bytes(self, elements: u64) -> u64 {
        match self {
            Self::F4 | Self::I4 => elements.div_ceil(2),
            _ => elements.saturating_mul(self.bits() as u64 / 8),
        }
    }

    /// All bits of a word.
    pub const fn word_mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The bits of a field; empty where the format has none (integers have at most a sign).
    pub const fn field(self, field: Field) -> u64 {
        if matches!(self, Self::F8E8M0) {
            return if matches!(field, Field::Exponent) { self.word_mask() } else { 0 };
        }
        let top = 1 << (self.bits() - 1);
        match (self.float(), field) {
            (Some(_), Field::Sign) => top,
            (Some(float), Field::Mantissa) => (1 << float.mantissa_bits) - 1,
            (Some(float), Field::Exponent) => (top - 1) & !((1 << float.mantissa_bits) - 1),
            (None, Field::Sign) if !self.is_unsigned() => top,
            (None, _) => 0,
        }
    }

    /// Whether words stand for floating-point numbers.
    pub const fn is_float(self) -> bool {
        self.float().is_some() || matches!(self, Self::F8E8M0)
    }

    /// Whether the format came after error maps were first written: the fingerprints of older maps leave out such parameters.
    pub(crate) const fn is_younger_than_maps(self) -> bool {
        matches!(self, Self::F8E8M0 | Self::F4)
    }

    const fn is_unsigned(self) -> bool {
        matches!(self, Self::U64 | Self::U32 | Self::U16 | Self::U8)
    }

    const fn float(self) -> Option<Float> {
        let (exponent_bits, mantissa_bits) = match self {
            Self::F64 => (11, 52),
            Self::F32 => (8, 23),
            Self::F16 => (5, 10),
            Self::BF16 => (8, 7),
            Self::F8E4M3 => (4, 3),
            Self::F8E5M2 => (5, 2),
            Self::F4 => (2, 1),
            Self::F8E8M0
            | Self::I64
            | Self::I32
            | Self::I16
            | Self::I8
            | Self::U64
            | Self::U32
            | Self::U16
            | Self::U8
            | Self::I4 => return None,
        };
        let top = match self {
            Self::F8E4M3 => Top::OneNan,
            Self::F4 => Top::Numbers,
            _ => Top::Infinity,
        };
        Some(Float { exponent_bits, mantissa_bits, top })
    }

    /// The number that a word stands for.
    ///
    /// Numerics: exact, but for i64 and u64 beyond 2^53 in magnitude (rounded to nearest) and for the payload of NaNs.
    pub fn decode(self, word: u64) -> f64 {
        let word = word & self.word_mask();
        match (self, self.float()) {
            (Self::F64, _) => f64::from_bits(word),
            (Self::F32, _) => f64::from(f32::from_bits(word as u32)),
            (Self::F8E8M0, _) if word == SCALE_NAN => f64::NAN,
            (Self::F8E8M0, _) => libm::ldexp(1.0, word as i32 - SCALE_BIAS),
            (_, Some(float)) => float.decode(word),
            (_, None) if self.is_unsigned() => word as f64,
            (_, None) => {
                let unused = 64 - self.bits();
                ((word << unused) as i64 >> unused) as f64
            }
        }
    }

    /// The word that stands for a number.
    ///
    /// Numerics: rounded to nearest, ties to even. Floats overflow to infinity, f8e4m3 and f8e8m0, which have none, to NaN; f4
    /// and integers saturate, and take NaN as 0. Numbers below 2^-127, zero and negative ones included, become 2^-127 in f8e8m0.
    pub fn encode(self, value: f64) -> u64 {
        match (self, self.float()) {
            (Self::F64, _) => value.to_bits(),
            (Self::F32, _) => u64::from((value as f32).to_bits()),
            (Self::F8E8M0, _) => encode_scale(value),
            (_, Some(float)) => float.encode(value),
            (_, None) if self.is_unsigned() => (value.round_ties_even() as u64).min(self.word_mask()),
            (_, None) => {
                let limit = i64::MAX >> (64 - self.bits());
                (value.round_ties_even() as i64).clamp(-limit - 1, limit) as u64 & self.word_mask()
            }
        }
    }

    /// The format of a safetensors type; `None` for types that this crate does not inject.
    pub const fn of_dtype(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::F64 => Self::F64,
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::F8_E4M3 => Self::F8E4M3,
            Dtype::F8_E5M2 => Self::F8E5M2,
            Dtype::F8_E8M0 => Self::F8E8M0,
            Dtype::F4 => Self::F4,
            Dtype::I64 => Self::I64,
            Dtype::I32 => Self::I32,
            Dtype::I16 => Self::I16,
            Dtype::I8 => Self::I8,
            Dtype::U64 => Self::U64,
            Dtype::U32 => Self::U32,
            Dtype::U16 => Self::U16,
            Dtype::U8 => Self::U8,
            _ => return None,
        })
    }

    /// The safetensors type of such words; `None` for i4, which safetensors lacks.
    pub fn dtype(self) -> Option<Dtype> {
        Some(match self {
            Self::F64 => Dtype::F64,
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::BF16 => Dtype::BF16,
            Self::F8E4M3 => Dtype::F8_E4M3,
            Self::F8E5M2 => Dtype::F8_E5M2,
            Self::F8E8M0 => Dtype::F8_E8M0,
            Self::F4 => Dtype::F4,
            Self::I64 => Dtype::I64,
            Self::I32 => Dtype::I32,
            Self::I16 => Dtype::I16,
            Self::I8 => Dtype::I8,
            Self::U64 => Dtype::U64,
            Self::U32 => Dtype::U32,
            Self::U16 => Dtype::U16,
            Self::U8 => Dtype::U8,
            Self::I4 => return None,
        })
    }
}

/// The word of f8e8m0 that is nearest to a number; of two that are equally near, the even one.
fn encode_scale(value: f64) -> u64 {
    if value.is_nan() {
        return SCALE_NAN;
    }
    let scale = |word: u64| libm::ldexp(1.0, word as i32 - SCALE_BIAS);
    let low = (0..SCALE_NAN).rev().find(|&word| scale(word) <= value).unwrap_or(0);
    let middle = 1.5 * scale(low);
    low + u64::from(value > middle || (value == middle && low & 1 == 1))
}

impl Float {
    const fn bias(&self) -> u64 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    /// The largest word of a finite, positive number; the next word is infinity, or the NaN of a format without one, if it has that.
    const fn largest(&self) -> u64 {
        let top = 1 << (self.exponent_bits + self.mantissa_bits);
        match self.top {
            Top::Infinity => top - (1 << self.mantissa_bits) - 1,
            Top::OneNan => top - 2,
            Top::Numbers => top - 1,
        }
    }

    /// For formats narrower than f64 in both fields.
    fn decode(&self, word: u64) -> f64 {
        let sign = word >> (self.exponent_bits + self.mantissa_bits);
        let magnitude = word & ((1 << (self.exponent_bits + self.mantissa_bits)) - 1);
        let value = if magnitude > self.largest() {
            let infinite = self.top == Top::Infinity && magnitude == self.largest() + 1;
            if infinite { f64::INFINITY } else { f64::NAN }
        } else {
            self.decode_finite(magnitude)
        };
        if sign == 0 { value } else { -value }
    }

    /// The number of a positive word if its exponent meant a number all the way up, so [`largest`](Self::largest) + 1
    /// gives what would come next.
    fn decode_finite(&self, magnitude: u64) -> f64 {
        let power = |exponent: u64| f64::from_bits((exponent + 1023 - self.bias()) << 52);
        let exponent = magnitude >> self.mantissa_bits;
        let mantissa = magnitude & ((1 << self.mantissa_bits) - 1);
        if exponent == 0 {
            mantissa as f64 * power(1) / (1_u64 << self.mantissa_bits) as f64
        } else {
            f64::from_bits(power(exponent).to_bits() | mantissa << (52 - self.mantissa_bits))
        }
    }

    fn encode(&self, value: f64) -> u64 {
        let sign = u64::from(value.is_sign_negative()) << (self.exponent_bits + self.mantissa_bits);
        let overflow = self.largest() + 1;
        if value.is_nan() {
            return match self.top {
                Top::Infinity => overflow | 1 << (self.mantissa_bits - 1),
                Top::OneNan => overflow,
                Top::Numbers => 0,
            };
        }
        // Words of positive numbers are in the order of their numbers: find the last one that is not above.
        let (mut low, mut high) = (0, overflow);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if self.decode_finite(middle) <= value.abs() {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        if low == overflow {
            return sign | if self.top == Top::Numbers { self.largest() } else { overflow };
        }
        let middle = f64::midpoint(self.decode_finite(low), self.decode_finite(low + 1));
        let up = value.abs() > middle || (value.abs() == middle && low & 1 == 1);
        let word = low + u64::from(up);
        sign | if self.top == Top::Numbers { word.min(self.largest()) } else { word }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| FormatError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_format_are_apart_and_fill_floats() {
        for format in Format::ALL {
            let [sign, exponent, mantissa] =
                [Field::Sign, Field::Exponent, Field::Mantissa].map(|field| format.field(field));
            assert_eq!(sign & exponent | exponent & mantissa | sign & mantissa, 0, "{format}");
            if format.is_float() {
                assert_eq!(sign | exponent | mantissa, format.word_mask(), "{format}");
            }
            assert_eq!(1 << format.bits_log2(), format.bits());
        }
        assert_eq!(Format::F32.field(Field::Exponent), 0x7F80_0000);
        assert_eq!(Format::BF16.field(Field::Exponent), 0x7F80);
        assert_eq!(Format::F16.field(Field::Exponent), 0x7C00);
        assert_eq!(Format::F8E4M3.field(Field::Exponent), 0x78);
        assert_eq!(Format::F8E5M2.field(Field::Exponent), 0x7C);
        assert_eq!(Format::F8E8M0.field(Field::Exponent), 0xFF);
        assert_eq!(Format::F8E8M0.field(Field::Sign) | Format::F8E8M0.field(Field::Mantissa), 0);
        assert_eq!(Format::F4.field(Field::Exponent), 0b0110);
        assert_eq!(Format::I8.field(Field::Sign), 0x80);
        assert_eq!(Format::U8.field(Field::Sign), 0);
        assert_eq!(Format::U64.field(Field::Sign), 0);
    }

    #[test]
    fn names_and_types_read_back() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
            if let Some(dtype) = format.dtype() {
                assert_eq!(Format::of_dtype(dtype), Some(format));
                assert_eq!(dtype.bitsize() as u32, format.bits());
            }
        }
        assert!("f31".parse::<Format>().unwrap_err().to_string().contains("bf16"));
        assert_eq!(Format::of_dtype(Dtype::BOOL), None);
    }

    #[test]
    fn every_word_of_the_narrow_formats_reads_back() {
        for format in Format::ALL.into_iter().filter(|format| format.bits() <= 16) {
            for word in 0..=format.word_mask() {
                let value = format.decode(word);
                if value.is_nan() {
                    assert!(format.decode(format.encode(value)).is_nan(), "{format} {word:#x}");
                } else {
                    assert_eq!(format.encode(value), word, "{format} {value}");
                }
            }
        }
    }

    #[test]
    fn half_precision_agrees_with_the_half_crate() {
        for word in 0..=u16::MAX {
            let ours = [Format::F16.decode(word.into()), Format::BF16.decode(word.into())];
            let theirs = [half::f16::from_bits(word).to_f64(), half::bf16::from_bits(word).to_f64()];
            for (a, b) in ours.into_iter().zip(theirs) {
                assert!(a == b || a.is_nan() && b.is_nan(), "{word:#x}");
            }
        }
        for step in -2000..2000 {
            let value = f64::from(step) * 0.037 * f64::from(step);
            assert_eq!(Format::F16.encode(value), u64::from(half::f16::from_f64(value).to_bits()), "{value}");
            assert_eq!(
                Format::BF16.encode(value),
                u64::from(half::bf16::from_f64(value).to_bits()),
                "{value}"
            );
        }
    }

    #[test]
    fn eight_bit_floats_have_the_numbers_of_their_specification() {
        assert_eq!(Format::F8E4M3.decode(0x7E), 448.0);
        assert!(Format::F8E4M3.decode(0x7F).is_nan() && Format::F8E4M3.decode(0xFF).is_nan());
        assert_eq!(Format::F8E4M3.decode(0x01), 2_f64.powi(-9));
        assert_eq!(Format::F8E5M2.decode(0x7B), 57344.0);
        assert_eq!(Format::F8E5M2.decode(0xFC), f64::NEG_INFINITY);
        assert!(Format::F8E5M2.decode(0x7D).is_nan());
        assert_eq!(Format::F8E5M2.decode(0x01), 2_f64.powi(-16));
    }

    #[test]
    fn four_bit_floats_and_scales_have_the_numbers_of_their_specification() {
        let numbers: Vec<f64> = (0..16).map(|word| Format::F4.decode(word)).collect();
        assert_eq!(numbers[..8], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
        assert_eq!(numbers[8..], numbers[..8].iter().map(|number| -number).collect::<Vec<_>>());
        assert_eq!(Format::F8E8M0.decode(0), 2_f64.powi(-127));
        assert_eq!(Format::F8E8M0.decode(127), 1.0);
        assert_eq!(Format::F8E8M0.decode(254), 2_f64.powi(127));
        assert!(Format::F8E8M0.decode(255).is_nan());
        assert_eq!([2.5, 5.0, 1e9, -7.0, f64::NAN].map(|number| Format::F4.encode(number)), [4, 6, 7, 15, 0]);
        assert_eq!(
            [0.0, -1.0, 1.4, 1.5, 3.0, 1e39].map(|n| Format::F8E8M0.encode(n)),
            [0, 0, 127, 128, 128, 255]
        );
    }

    #[test]
    fn encoding_rounds_to_even_and_overflows_as_stated() {
        assert_eq!(Format::F8E4M3.encode(1.0625), Format::F8E4M3.encode(1.0));
        assert_eq!(Format::F8E4M3.encode(1.1875), Format::F8E4M3.encode(1.25));
        assert_eq!(Format::F8E4M3.encode(464.0), 0x7E);
        assert_eq!(Format::F8E4M3.encode(464.1), 0x7F);
        assert_eq!(Format::F8E4M3.encode(f64::NEG_INFINITY), 0xFF);
        assert_eq!(Format::F8E5M2.encode(61440.0), 0x7C);
        assert_eq!(Format::F16.encode(65519.9), 0x7BFF);
        assert_eq!(Format::F16.encode(65520.0), 0x7C00);
        assert_eq!(Format::F16.encode(-1e300), 0xFC00);
        assert_eq!(Format::BF16.encode(-0.0), 0x8000);
        assert_eq!(Format::I8.encode(-1000.0), 0x80);
        assert_eq!(Format::I8.encode(1000.0), 0x7F);
        assert_eq!(Format::I8.encode(2.5), 2);
        assert_eq!(Format::I8.encode(f64::NAN), 0);
        assert_eq!(Format::I4.encode(-1.0), 0xF);
        assert_eq!(Format::U8.encode(-3.0), 0);
        assert_eq!(Format::U8.encode(256.0), 0xFF);
        assert_eq!(Format::U16.encode(1e9), 0xFFFF);
        assert_eq!(Format::U32.decode(Format::U32.encode(4e9)), 4e9);
        assert_eq!(Format::U64.encode(f64::INFINITY), u64::MAX);
        assert_eq!(Format::I64.encode(f64::INFINITY), i64::MAX as u64);
    }
}
