use super::{DrawError, ErrorModel, Wrong};
use crate::stream::Purpose;
use crate::{BitErrorRate, Chip, DrawnMap, Effect, Exposure, StoredBits};

/// Bits that arrive below the rate read a fixed level, whatever is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckAt {
    /// What the bits read.
    pub level: Level,
}

/// What a stuck bit reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Always 0.
    Zero,
    /// Always 1.
    One,
    /// 0 or 1 by a fair coin that belongs to the bit and the chip.
    Random,
}

impl StuckAt {
    pub(super) fn parse(settings: &[&str]) -> Result<Box<dyn ErrorModel>, Wrong> {
        let level = match settings {
            ["0"] => Level::Zero,
            ["1"] => Level::One,
            ["random"] => Level::Random,
            _ => return Err(Wrong::Form),
        };
        Ok(Box::new(Self { level }))
    }
}

impl ErrorModel for StuckAt {
    fn name(&self) -> String {
        let level = match self.level {
            Level::Zero => "0",
            Level::One => "1",
            Level::Random => "random",
        };
        format!("stuck-at:{level}")
    }

    fn nests(&self) -> bool {
        true
    }

    fn fill(
        &self,
        chip: Chip,
        exposure: &Exposure,
        rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        let (arrivals, parameters) = out.split();
        for (exposed, drawn) in exposure.parameters().iter().zip(parameters) {
            let key = chip.key(exposed);
            for &site in arrivals.bits_below(chip, exposed, rate) {
                let one = match self.level {
                    Level::Zero => false,
                    Level::One => true,
                    Level::Random => key.pair(Purpose::SiteCoin, 0, site)[0] >> 63 == 1,
                };
                let (element, bit) = exposed.element_and_bit(site);
                drawn.push(element, if one { Effect::set(1 << bit) } else { Effect::clear(1 << bit) });
            }
        }
        Ok(())
    }

    /// Where the coin decides, half of the hits are silent whatever is stored: (1 − p/2)^bits.
    fn p_no_flip(
        &self,
        exposure: &Exposure,
        rate: Option<BitErrorRate>,
        stored: Option<&StoredBits>,
    ) -> Option<f64> {
        let rate = rate?;
        Some(match self.level {
            Level::Zero => rate.none_of(stored?.ones),
            Level::One => rate.none_of(stored?.zeros),
            Level::Random => rate.times(0.5).none_of(exposure.bits()),
        })
    }
}
