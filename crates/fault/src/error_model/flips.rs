use super::{DrawError, ErrorModel, Wrong};
use crate::{BitErrorRate, Chip, DrawnMap, Exposure, StoredBits};

/// Every exposed bit flips with the probability of the rate, independently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flips;

impl Flips {
    pub(super) fn parse(settings: &[&str]) -> Result<Box<dyn ErrorModel>, Wrong> {
        if settings.is_empty() { Ok(Box::new(Self)) } else { Err(Wrong::Form) }
    }
}

impl ErrorModel for Flips {
    fn name(&self) -> String {
        "flips".to_owned()
    }

    fn nests(&self) -> bool {
        true
    }

    fn flips_only(&self) -> bool {
        true
    }

    fn fill(
        &self,
        chip: Chip,
        _exposure: &Exposure,
        rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        let (arrivals, parameters) = out.split();
        for drawn in parameters {
            drawn.set_flips(arrivals, chip, rate);
        }
        Ok(())
    }

    fn p_no_flip(
        &self,
        exposure: &Exposure,
        rate: Option<BitErrorRate>,
        _stored: Option<&StoredBits>,
    ) -> Option<f64> {
        Some(rate?.none_of(exposure.bits()))
    }
}
