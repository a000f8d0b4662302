use super::{DrawError, ErrorModel, Wrong, probability};
use crate::stream::{Purpose, unit};
use crate::{BitErrorRate, Chip, DrawnMap, ExposedParameter, Exposure, StoredBits};

/// A bit that arrives below the rate starts a run of adjacent bits, in storage order, each of which, the first included,
/// flips with probability `inner`.
///
/// Runs end with their parameter; a bit that several runs flip flips once; coins belong to the start of the run, so
/// `burst:1:1` is `flips`. A run may start in a bit that is not exposed and reach one that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    length: u32,
    inner: f64,
}

/// Longest run.
const LONGEST: u32 = 1 << 16;

impl Burst {
    /// Runs of 1 to 65,536 bits, each flipping with probability `inner` in [0, 1]; `None` for other values.
    pub fn new(length: u32, inner: f64) -> Option<Self> {
        ((1..=LONGEST).contains(&length) && (0.0..=1.0).contains(&inner))
            .then(|| Self { length, inner: inner.abs() })
    }

    pub(super) fn parse(settings: &[&str]) -> Result<Box<dyn ErrorModel>, Wrong> {
        let &[length, inner] = settings else { return Err(Wrong::Form) };
        let (length, inner) = (length.parse().map_err(|_| Wrong::Form)?, probability(inner)?);
        let burst = Self::new(length, inner).ok_or(Wrong::Range("a burst is 1 to 65536 bits long"))?;
        Ok(Box::new(burst))
    }

    /// log P(no run flips an exposed bit of this parameter).
    ///
    /// A run that would cover e exposed bits starts and flips one of them with probability p (1 − (1 − r)^e); starts
    /// are independent. All starts at one bit position of a word cover equally many, but for the last `length` bits.
    fn log_no_flip(&self, exposed: &ExposedParameter, p: f64) -> f64 {
        let (sites, bits) = (exposed.sites(), u64::from(exposed.format.bits()));
        let covered = |start: u64| -> u64 {
            let ones_below = |site: u64| {
                let inside = exposed.mask & !(u64::MAX << (site % bits));
                site / bits * u64::from(exposed.mask.count_ones()) + u64::from(inside.count_ones())
            };
            ones_below(sites.min(start + u64::from(self.length))) - ones_below(start)
        };
        let log_none = |start: u64| {
            let spared = libm::pow(1.0 - self.inner, covered(start) as f64);
            libm::log1p(-(p * (1.0 - spared)))
        };
        // Runs that start in the first `whole` words end inside the parameter.
        let whole = sites.saturating_sub(u64::from(self.length)) / bits;
        let first: f64 = if whole == 0 { 0.0 } else { (0..bits).map(log_none).sum() };
        let last: f64 = (whole * bits..sites).map(log_none).sum();
        first * whole as f64 + last
    }
}

impl ErrorModel for Burst {
    fn name(&self) -> String {
        format!("burst:{}:{}", self.length, self.inner)
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
        exposure: &Exposure,
        rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        let (arrivals, parameters) = out.split();
        let (mut coins, mut flipped) = (Vec::new(), Vec::new());
        for (exposed, drawn) in exposure.parameters().iter().zip(parameters) {
            let (key, sites) = (chip.key(exposed), exposed.sites());
            flipped.clear();
            for &start in arrivals.bits_below(chip, exposed, rate) {
                let length = u64::from(self.length).min(sites - start);
                coins.resize(length as usize, 0);
                // The lane counts pairs of coins, the block is the site.
                for (pair, two) in coins.chunks_mut(2).enumerate() {
                    key.fill(Purpose::RunCoins, pair as u32, start, two);
                }
                let heads = coins.iter().zip(start..).filter(|&(&coin, _)| unit(coin) < self.inner);
                flipped.extend(heads.map(|(_, site)| site));
            }
            flipped.sort_unstable();
            flipped.dedup();
            drawn.extend_flips(&flipped);
        }
        Ok(())
    }

    fn p_no_flip(
        &self,
        exposure: &Exposure,
        rate: Option<BitErrorRate>,
        _stored: Option<&StoredBits>,
    ) -> Option<f64> {
        let p = rate?.get();
        Some(libm::exp(exposure.parameters().iter().map(|exposed| self.log_no_flip(exposed, p)).sum()))
    }
}
