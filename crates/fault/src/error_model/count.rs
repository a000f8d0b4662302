use super::{DrawError, ErrorModel, Wrong};
use crate::arrivals::Arrival;
use crate::{BitErrorRate, Chip, DrawnMap, Exposure, StoredBits};

/// Exactly `count` exposed bits flip, each set of them equally likely: those that arrive first on the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Bits that flip.
    pub count: u64,
}

impl Count {
    pub(super) fn parse(settings: &[&str]) -> Result<Box<dyn ErrorModel>, Wrong> {
        let &[count] = settings else { return Err(Wrong::Form) };
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Wrong::Form);
        }
        Ok(Box::new(Self { count: count.parse().map_err(|_| Wrong::Range("a count is below 2^64"))? }))
    }
}

impl ErrorModel for Count {
    fn name(&self) -> String {
        format!("count:{}", self.count)
    }

    fn takes_rate(&self) -> bool {
        false
    }

    fn nests(&self) -> bool {
        true
    }

    fn flips_only(&self) -> bool {
        true
    }

    /// Widens the rate until enough exposed bits arrive below it, then keeps the first ones; ties go to the smaller
    /// (parameter hash, site).
    fn fill(
        &self,
        chip: Chip,
        exposure: &Exposure,
        _rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        let (count, bits) = (self.count, exposure.bits());
        if count > bits {
            return Err(DrawError::TooManyBits { count, bits });
        }
        if count == 0 {
            return Ok(());
        }
        let (arrivals, parameters) = out.split();
        let enough = count as f64 + 4.0 * (count as f64).sqrt() + 4.0;
        let mut p = enough / bits as f64;
        let mut found: Vec<(Arrival, usize)> = Vec::new();
        let mut marked = Vec::new();
        loop {
            let rate = if p < 1.0 { BitErrorRate::ONE.times(p) } else { BitErrorRate::ONE };
            found.clear();
            for (place, exposed) in exposure.parameters().iter().enumerate() {
                marked.clear();
                arrivals.marked_bits_below(chip, exposed, rate, &mut marked);
                let is_exposed =
                    |arrival: &&Arrival| 1 << exposed.element_and_bit(arrival.site).1 & exposed.mask != 0;
                found.extend(marked.iter().filter(is_exposed).map(|&arrival| (arrival, place)));
            }
            if found.len() as u64 >= count {
                break;
            }
            p *= 2.0;
        }
        let hash = |place: usize| exposure.parameters()[place].hash;
        let order = |(a, i): &(Arrival, usize), (b, j): &(Arrival, usize)| {
            a.value.total_cmp(&b.value).then_with(|| (hash(*i), a.site).cmp(&(hash(*j), b.site)))
        };
        let count = count as usize;
        if count < found.len() {
            found.select_nth_unstable_by(count - 1, order);
            found.truncate(count);
        }
        found.sort_unstable_by_key(|(arrival, place)| (*place, arrival.site));
        let mut sites = Vec::new();
        for group in found.chunk_by(|(_, a), (_, b)| a == b) {
            sites.clear();
            sites.extend(group.iter().map(|(arrival, _)| arrival.site));
            parameters[group[0].1].extend_flips(&sites);
        }
        Ok(())
    }

    fn p_no_flip(
        &self,
        _exposure: &Exposure,
        _rate: Option<BitErrorRate>,
        _stored: Option<&StoredBits>,
    ) -> Option<f64> {
        Some(if self.count == 0 { 1.0 } else { 0.0 })
    }
}
