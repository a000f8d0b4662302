use super::{DrawError, ErrorModel, Wrong, probability};
use crate::{BitErrorRate, Chip, DrawnMap, Effect, Exposure, StoredBits};

/// Stored zeros and stored ones flip at different rates: p01 and p10, each a share of the rate.
///
/// On the same arrivals as `flips`: a bit flips if its arrival is below p10 and it is 1, or below p01 and it is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asymmetric {
    zero_to_one: f64,
    one_to_zero: f64,
}

impl Asymmetric {
    /// Shares of the rate, both in [0, 1]; `None` for other values.
    pub fn new(zero_to_one: f64, one_to_zero: f64) -> Option<Self> {
        [zero_to_one, one_to_zero]
            .iter()
            .all(|share| (0.0..=1.0).contains(share))
            .then(|| Self { zero_to_one: zero_to_one.abs(), one_to_zero: one_to_zero.abs() })
    }

    pub(super) fn parse(settings: &[&str]) -> Result<Box<dyn ErrorModel>, Wrong> {
        let &[zero_to_one, one_to_zero] = settings else { return Err(Wrong::Form) };
        let (zero_to_one, one_to_zero) = (probability(zero_to_one)?, probability(one_to_zero)?);
        Ok(Box::new(Self { zero_to_one, one_to_zero }))
    }
}

impl ErrorModel for Asymmetric {
    fn name(&self) -> String {
        format!("asymmetric:{}:{}", self.zero_to_one, self.one_to_zero)
    }

    fn nests(&self) -> bool {
        true
    }

    /// Bits below both rates flip; those below the higher one alone are cleared or set.
    fn fill(
        &self,
        chip: Chip,
        exposure: &Exposure,
        rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        let (p01, p10) = (rate.times(self.zero_to_one), rate.times(self.one_to_zero));
        let (lower, higher) = if p01 < p10 { (p01, p10) } else { (p10, p01) };
        let one_way = if p01 < p10 { Effect::clear } else { Effect::set };
        let (arrivals, parameters) = out.split();
        let mut both_ways = Vec::new();
        for (exposed, drawn) in exposure.parameters().iter().zip(parameters) {
            both_ways.clear();
            both_ways.extend_from_slice(arrivals.bits_below(chip, exposed, lower));
            let mut both_ways = both_ways.iter().peekable();
            for site in arrivals.bits_below(chip, exposed, higher) {
                let (element, bit) = exposed.element_and_bit(*site);
                let flips = both_ways.next_if_eq(&site).is_some();
                drawn.push(element, if flips { Effect::flip(1 << bit) } else { one_way(1 << bit) });
            }
        }
        Ok(())
    }

    fn p_no_flip(
        &self,
        _exposure: &Exposure,
        rate: Option<BitErrorRate>,
        stored: Option<&StoredBits>,
    ) -> Option<f64> {
        let (rate, stored) = (rate?, stored?);
        let (p01, p10) = (rate.times(self.zero_to_one), rate.times(self.one_to_zero));
        Some(p01.none_of(stored.zeros) * p10.none_of(stored.ones))
    }
}
