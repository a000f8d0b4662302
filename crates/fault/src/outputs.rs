//! What layers compute, as a target of faults.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Component, Exposure, Format, ParameterSpec, Target, TargetError};

/// How long a fault stays, which is where it strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Persistence {
    /// A stored word is wrong for the whole trial, whoever reads it.
    #[default]
    Memory,
    /// A result is wrong as it is computed, of one data row and once: computed again it is hit anew or not at all.
    Compute,
}

/// A word that names no persistence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("persistence \"{0}\" is not one of memory, compute")]
pub struct PersistenceError(String);

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Compute => "compute",
        })
    }
}

impl FromStr for Persistence {
    type Err = PersistenceError;

    fn from_str(text: &str) -> Result<Self, PersistenceError> {
        match text {
            "memory" => Ok(Self::Memory),
            "compute" => Ok(Self::Compute),
            other => Err(PersistenceError(other.to_owned())),
        }
    }
}

/// What a layer computes of each data row: f32 words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// What keys its draws, with its width: unique in a model.
    pub name: String,
    /// Values per row.
    pub width: usize,
    /// Names of the parameters that the layer reads.
    pub parameters: Vec<String>,
    /// The component it belongs to.
    pub component: Component,
}

impl Target {
    /// The results of `rows` data rows that this target exposes: those of layers that read a parameter it names, and, where it names
    /// a component, those that belong to it.
    ///
    /// A site is (output, data row, element, bit), in this order. Draws depend on chip, name and width of the output, and on the
    /// place of the row; not on other outputs, nor on how many rows there are.
    ///
    /// Errors: as [`resolve`](Self::resolve).
    pub fn resolve_outputs(&self, outputs: &[Output], rows: u64) -> Result<Exposure, TargetError> {
        let spec = |name: &str, of: &Output| ParameterSpec {
            name: name.to_owned(),
            shape: vec![of.width],
            format: Format::F32,
            component: of.component,
        };
        let groups: Vec<Vec<ParameterSpec>> = outputs
            .iter()
            .map(|of| {
                let names = of.parameters.iter().map(String::as_str);
                let specs: Vec<_> = names.map(|name| spec(name, of)).collect();
                if specs.is_empty() { vec![spec(&of.name, of)] } else { specs }
            })
            .collect();
        let groups: Vec<&[ParameterSpec]> = groups.iter().map(Vec::as_slice).collect();
        let expose = crate::Expose::Parameters;
        let masks = self.masks(&groups, expose)?;
        let specs: Vec<_> = outputs.iter().map(|of| spec(&of.name, of)).collect();
        Exposure::new(&specs, &masks, self.to_string(), expose)?.of_rows(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BitErrorRate, Chip, DrawnMap, ErrorModel, Flips};

    fn outputs() -> Vec<Output> {
        let output = |name: &str, width, parameters: &[&str], component| Output {
            name: name.to_owned(),
            width,
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            component,
        };
        vec![
            output("output 0", 12, &["embedding.weight"], Component::Embedding),
            output("output 1", 8, &["mlp.0.weight", "mlp.0.bias"], Component::Dense),
            output("output 2", 1, &[], Component::Dense),
        ]
    }

    fn drawn(target: &str, rows: u64, rate: f64) -> Vec<(usize, Vec<(u64, u64)>)> {
        let target: Target = target.parse().unwrap();
        let exposure = target.resolve_outputs(&outputs(), rows).unwrap();
        let mut map = DrawnMap::new();
        let rate = BitErrorRate::new(rate).unwrap();
        Flips.draw(Chip::new(5, 2), &exposure, Some(rate), &mut map).unwrap();
        let of = map.parameters().iter();
        of.map(|p| (p.index(), p.iter().map(|(element, effect)| (element, effect.xor)).collect())).collect()
    }

    #[test]
    fn a_target_exposes_the_results_of_the_layers_that_read_what_it_names() {
        let exposed = |target: &str| {
            let exposure = target.parse::<Target>().unwrap().resolve_outputs(&outputs(), 10).unwrap();
            let places: Vec<_> = exposure.parameters().iter().map(|p| (p.index, p.mask)).collect();
            (places, exposure.bits())
        };
        let all = 0xffff_ffff;
        assert_eq!(exposed("all"), (vec![(0, all), (1, all), (2, all)], 10 * 21 * 32));
        assert_eq!(exposed("embedding"), (vec![(0, all)], 10 * 12 * 32));
        assert_eq!(exposed("dense@30"), (vec![(1, 1 << 30), (2, 1 << 30)], 10 * 9));
        assert_eq!(exposed("*.bias"), (vec![(1, all)], 10 * 8 * 32));
        let refused = "fc.weight".parse::<Target>().unwrap().resolve_outputs(&outputs(), 10).unwrap_err();
        assert!(refused.to_string().contains("mlp.0.weight"), "{refused}");
    }

    #[test]
    fn what_hits_a_row_depends_on_neither_the_number_of_rows_nor_the_target() {
        for rate in [1e-4, 1e-2, 0.3] {
            let (few, many) = (drawn("all", 300, rate), drawn("all", 4000, rate));
            for ((place, few), (_, many)) in few.iter().zip(&many) {
                let end = 300 * outputs()[*place].width as u64;
                let first: Vec<_> = many.iter().copied().filter(|(element, _)| *element < end).collect();
                assert_eq!(*few, first, "rate {rate}, output {place}");
            }
            assert_eq!(drawn("dense", 300, rate), few[1..]);
        }
    }

    #[test]
    fn what_is_hit_at_a_rate_is_hit_at_every_higher_one() {
        let rates = [1e-5, 1e-4, 1e-3, 1e-2, 0.2].map(|rate| drawn("all", 1000, rate));
        for pair in rates.windows(2) {
            for ((_, low), (_, high)) in pair[0].iter().zip(&pair[1]) {
                for (element, bits) in low {
                    let at = high.binary_search_by_key(element, |(element, _)| *element).unwrap();
                    assert_eq!(high[at].1 & bits, *bits);
                }
            }
        }
    }
}
