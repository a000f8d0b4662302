//! Exposures: a target resolved against the parameters of a model.

use std::sync::Arc;

use crate::target::TargetError;
use crate::{Expose, Format, ParameterSpec, Parameters, fingerprint};

/// The parameters and bits of a model in which faults may strike.
#[derive(Clone, Debug)]
pub struct Exposure {
    parameters: Vec<ExposedParameter>,
    identity: Arc<ExposureIdentity>,
}

/// What an exposure was made from and for.
#[derive(Debug, PartialEq, Eq)]
pub struct ExposureIdentity {
    /// All parameters of the model, exposed or not.
    pub specs: Vec<ParameterSpec>,
    /// Fingerprint of their names, shapes and formats.
    pub fingerprint: String,
    /// The target in its canonical form.
    pub target: String,
    /// What was exposed besides parameters.
    pub expose: Expose,
    /// Exposed bits in all.
    pub bits: u64,
}

/// A parameter with at least one exposed bit in each word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExposedParameter {
    /// Its place among the parameters of the model.
    pub index: usize,
    /// What keys its draws.
    pub hash: u64,
    /// Number of its words.
    pub elements: u64,
    /// Format of its words.
    pub format: Format,
    /// Exposed bits of each word.
    pub mask: u64,
}

/// What the exposed bits of a model store, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredBits {
    /// Exposed bits that are 1.
    pub ones: u64,
    /// Exposed bits that are 0.
    pub zeros: u64,
    /// Words of which an exposed bit is 1.
    pub nonzero_words: u64,
}

/// Most bits of a parameter: sites are counted in f64 too.
const MOST_BITS: u64 = 1 << 53;

impl Exposure {
    /// The exposure of the bits in `masks[i]` in each word of parameter i.
    pub(crate) fn new(
        specs: &[ParameterSpec],
        masks: &[u64],
        target: String,
        expose: Expose,
    ) -> Result<Self, TargetError> {
        let mut parameters = Vec::new();
        let mut bits: u64 = 0;
        for (index, (spec, &mask)) in specs.iter().zip(masks).enumerate() {
            if mask == 0 {
                continue;
            }
            if spec.bits() > MOST_BITS {
                return Err(TargetError::TooLarge { name: spec.name.clone() });
            }
            let parameter = ExposedParameter {
                index,
                hash: spec.hash(),
                elements: spec.elements(),
                format: spec.format,
                mask,
            };
            bits = bits.saturating_add(parameter.bits());
            parameters.push(parameter);
        }
        let (specs, fingerprint) = (specs.to_vec(), fingerprint(specs));
        let identity = Arc::new(ExposureIdentity { specs, fingerprint, target, expose, bits });
        Ok(Self { parameters, identity })
    }

    /// The exposure of words that are computed: those of each spec once for each of `rows` data rows, one row after another. Draws
    /// on the first rows do not depend on how many there are.
    pub(crate) fn of_rows(mut self, rows: u64) -> Result<Self, TargetError> {
        let mut bits: u64 = 0;
        for parameter in &mut self.parameters {
            parameter.elements = parameter.elements.saturating_mul(rows);
            if parameter.elements > MOST_BITS >> parameter.format.bits_log2() {
                let name = self.identity.specs[parameter.index].name.clone();
                return Err(TargetError::TooLarge { name });
            }
            bits = bits.saturating_add(parameter.bits());
        }
        let identity = &*self.identity;
        self.identity = Arc::new(ExposureIdentity {
            specs: identity.specs.clone(),
            fingerprint: identity.fingerprint.clone(),
            target: identity.target.clone(),
            expose: identity.expose,
            bits,
        });
        Ok(self)
    }

    /// What memory exposes under a protection: this without the bits of `shields[i]` in parameter i of the model, and with
    /// `further` words, kept beside the model's, and the exposed bits of each of them.
    ///
    /// Draws on the bits that both expose are the same.
    ///
    /// Errors: names there are twice; parameters beyond 2^53 bits.
    ///
    /// # Panics
    /// If there is not one shield per parameter of the model.
    pub fn protected(&self, shields: &[u64], further: &[(ParameterSpec, u64)]) -> Result<Self, TargetError> {
        assert_eq!(shields.len(), self.identity.specs.len(), "shields and parameters");
        let mut masks = vec![0; shields.len()];
        for exposed in &self.parameters {
            masks[exposed.index] = exposed.mask & !shields[exposed.index];
        }
        let mut specs = self.identity.specs.clone();
        for (spec, mask) in further {
            if specs.iter().any(|known| known.name == spec.name) {
                return Err(TargetError::DuplicateName(spec.name.clone()));
            }
            specs.push(spec.clone());
            masks.push(*mask);
        }
        Self::new(&specs, &masks, self.identity.target.clone(), self.identity.expose)
    }

    /// The parameters with exposed bits, in the order of the model.
    pub fn parameters(&self) -> &[ExposedParameter] {
        &self.parameters
    }

    /// Number of exposed bits.
    pub fn bits(&self) -> u64 {
        self.identity.bits
    }

    /// Number of words with exposed bits.
    pub fn words(&self) -> u64 {
        self.parameters.iter().map(|parameter| parameter.elements).sum()
    }

    /// What this exposure was made from and for.
    pub fn identity(&self) -> &Arc<ExposureIdentity> {
        &self.identity
    }

    /// Counts what the exposed bits store, in one pass over the words.
    ///
    /// # Panics
    /// If these are not the parameters that the target was resolved against.
    pub fn stored_bits(&self, parameters: &(impl Parameters + ?Sized)) -> StoredBits {
        assert!(parameters.specs() == self.identity.specs, "parameters of another model");
        let mut counts = StoredBits::default();
        for exposed in &self.parameters {
            for word in parameters.words(exposed.index).iter() {
                let ones = (word & exposed.mask).count_ones();
                counts.ones += u64::from(ones);
                counts.nonzero_words += u64::from(ones > 0);
            }
        }
        counts.zeros = self.bits() - counts.ones;
        counts
    }
}

impl ExposedParameter {
    /// Number of exposed bits.
    pub fn bits(&self) -> u64 {
        self.elements * u64::from(self.mask.count_ones())
    }

    /// Number of bits, exposed or not.
    pub fn sites(&self) -> u64 {
        self.elements << self.format.bits_log2()
    }

    /// Element and bit of a site; sites are in storage order, bit 0 first.
    pub fn element_and_bit(&self, site: u64) -> (u64, u32) {
        (site >> self.format.bits_log2(), site as u32 & (self.format.bits() - 1))
    }
}
