//! Tensors that a target reaches, by format, and those that it names and passes over.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Expose, Exposure, ForeignTensor, Format, ParameterSpec, Target};

/// Tensors that a target reaches, and those that it names but can't reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Exposed words and bits, by format.
    pub hit: Vec<Hit>,
    /// Tensors of which no bit is exposed, though the target names them.
    pub passed_over: Vec<PassedOver>,
}

/// Words and bits that a target exposes in one format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The format.
    pub format: Format,
    /// Words with exposed bits.
    pub words: u64,
    /// Exposed bits of them.
    pub bits: u64,
}

/// A tensor of which no bit is exposed, though the target names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its name.
    pub name: String,
    /// Its format, or, where that is no number format that faults can strike, its type in the file.
    pub format: String,
    /// Its bits.
    pub bits: u64,
}

impl Coverage {
    /// Parameters that a target reaches, and those that it passes over: tensors of formats that are not known, and parameters whose
    /// format has none of the bits that it selects.
    pub fn of(target: &Target, expose: Expose, exposure: &Exposure, foreign: &[ForeignTensor]) -> Self {
        let specs = &exposure.identity().specs;
        let mut hit: Vec<Hit> = Vec::new();
        for format in Format::ALL {
            let exposed = exposure.parameters().iter().filter(|exposed| exposed.format == format);
            let (words, bits) = exposed
                .fold((0, 0), |(words, bits), exposed| (words + exposed.elements, bits + exposed.bits()));
            if words > 0 {
                hit.push(Hit { format, words, bits });
            }
        }
        let reached =
            |index| exposure.parameters().binary_search_by_key(&index, |exposed| exposed.index).is_ok();
        let without_bits = |(index, spec): (usize, &ParameterSpec)| {
            (!reached(index) && spec.bits() > 0 && target.names(&spec.name, spec.component, expose)).then(
                || PassedOver { name: spec.name.clone(), format: spec.format.to_string(), bits: spec.bits() },
            )
        };
        let mut passed_over: Vec<_> = specs.iter().enumerate().filter_map(without_bits).collect();
        passed_over.extend(PassedOver::foreign(target, expose, foreign));
        passed_over.sort_by(|a, b| a.name.cmp(&b.name));
        Self { hit, passed_over }
    }

    /// Whether every tensor that the target names is reached.
    pub fn is_whole(&self) -> bool {
        self.passed_over.is_empty()
    }
}

impl PassedOver {
    /// The tensors of types that are no number format which a target names.
    pub fn foreign(target: &Target, expose: Expose, foreign: &[ForeignTensor]) -> Vec<Self> {
        let named = foreign.iter().filter(|tensor| target.names(&tensor.name, tensor.component, expose));
        named
            .map(|tensor| Self { name: tensor.name.clone(), format: tensor.dtype.clone(), bits: tensor.bits })
            .collect()
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, words, bits } = self;
        write!(f, "{format} ({words} words, {bits} bits)")
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, format, bits } = self;
        write!(f, "{} ({format}, {bits} bits)", name.escape_debug())
    }
}
