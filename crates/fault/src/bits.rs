//! Bit positions, and selections of the bits of a word.

use std::fmt;
use std::str::FromStr;

use crate::Format;

/// Position of a bit in a word; 0 is the least significant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitPos(u8);

impl BitPos {
    /// A position in 0..64.
    pub const fn new(position: u8) -> Result<Self, BitsError> {
        if position < 64 { Ok(Self(position)) } else { Err(BitsError::TooHigh(position as u64)) }
    }

    /// The position.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The word that has only this bit.
    pub const fn mask(self) -> u64 {
        1 << self.0
    }
}

impl fmt::Display for BitPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Field of a number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The sign bit of floats and of signed integers.
    Sign,
    /// The exponent of floats.
    Exponent,
    /// The stored mantissa of floats.
    Mantissa,
}

/// Which bits of a word a target exposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BitSelection {
    /// All bits of the format.
    #[default]
    All,
    /// The bits of one field.
    Field(Field),
    /// The positions from the first to the second, both included.
    Range(BitPos, BitPos),
}

/// Why a text is not a selection of bits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitsError {
    /// Not one of the words or numbers that are understood.
    #[error(
        "\"{0}\" selects no bits, expected sign, exponent, mantissa, a position such as 30 or a range such as 23-31"
    )]
    Unknown(String),
    /// No word has that many bits.
    #[error("bit position {0} is outside 0 to 63")]
    TooHigh(u64),
    /// The range runs backwards.
    #[error("bit range {0}-{1} runs backwards")]
    Backwards(u8, u8),
}

impl BitSelection {
    /// The selected bits of a word in this format; positions that the format lacks are left out.
    pub fn mask(self, format: Format) -> u64 {
        match self {
            Self::All => format.word_mask(),
            Self::Field(field) => format.field(field),
            Self::Range(low, high) => (u64::MAX >> (63 - high.0 + low.0) << low.0) & format.word_mask(),
        }
    }
}

impl fmt::Display for BitSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Field(Field::Sign) => f.write_str("sign"),
            Self::Field(Field::Exponent) => f.write_str("exponent"),
            Self::Field(Field::Mantissa) => f.write_str("mantissa"),
            Self::Range(low, high) if low == high => low.fmt(f),
            Self::Range(low, high) => write!(f, "{low}-{high}"),
        }
    }
}

impl FromStr for BitSelection {
    type Err = BitsError;

    fn from_str(text: &str) -> Result<Self, BitsError> {
        let position = |digits: &str| {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(BitsError::Unknown(text.to_owned()));
            }
            let number = digits.parse().unwrap_or(u64::MAX);
            u8::try_from(number).map_err(|_| BitsError::TooHigh(number)).and_then(BitPos::new)
        };
        match text {
            "all" => Ok(Self::All),
            "sign" => Ok(Self::Field(Field::Sign)),
            "exponent" => Ok(Self::Field(Field::Exponent)),
            "mantissa" => Ok(Self::Field(Field::Mantissa)),
            _ => {
                let (low, high) = text.split_once('-').unwrap_or((text, text));
                let (low, high) = (position(low)?, position(high)?);
                if low > high { Err(BitsError::Backwards(low.0, high.0)) } else { Ok(Self::Range(low, high)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str, format: Format) -> u64 {
        text.parse::<BitSelection>().unwrap().mask(format)
    }

    #[test]
    fn selections_are_the_bits_they_name() {
        assert_eq!(mask("all", Format::F32), 0xFFFF_FFFF);
        assert_eq!(mask("sign", Format::F32), 1 << 31);
        assert_eq!(mask("exponent", Format::F32), 0x7F80_0000);
        assert_eq!(mask("mantissa", Format::F32), 0x007F_FFFF);
        assert_eq!(mask("30", Format::F32), 1 << 30);
        assert_eq!(mask("23-31", Format::F32), 0xFF80_0000);
        assert_eq!(mask("0-63", Format::F64), u64::MAX);
        assert_eq!(mask("63", Format::F64), 1 << 63);
        assert_eq!(mask("0", Format::F64), 1);
        assert_eq!(mask("10-63", Format::BF16), 0xFC00);
        assert_eq!(mask("30", Format::F16), 0);
    }

    #[test]
    fn selections_that_make_no_sense_are_refused_with_the_reason() {
        let error = |text: &str| text.parse::<BitSelection>().unwrap_err().to_string();
        assert_eq!(error("64"), "bit position 64 is outside 0 to 63");
        assert_eq!(error("300"), "bit position 300 is outside 0 to 63");
        assert_eq!(error("31-23"), "bit range 31-23 runs backwards");
        for text in ["", "-", "3-", "-3", "+3", "exponents", "1-2-3", " 3"] {
            assert!(matches!(text.parse::<BitSelection>(), Err(BitsError::Unknown(_))), "{text}");
        }
    }

    #[test]
    fn selections_read_back_what_they_print() {
        for text in ["all", "sign", "exponent", "mantissa", "0", "63", "23-31"] {
            assert_eq!(text.parse::<BitSelection>().unwrap().to_string(), text);
        }
    }
}
