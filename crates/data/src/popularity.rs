//! How often each id of a stand-in occurs.
//!
//! Source: Zipf and Mandelbrot's law, weight ∝ (r + q)^-s of rank r, with the factor ((n - r)/n)^b for the end of a finite
//! list (the discrete generalised beta law of Martínez-Mekler et al., PLoS ONE 4(3): e4791, 2009) and a least count.
//! Drawn by Walker's alias method as Vose builds it (IEEE TSE 17(9), 1991).

use crate::random::{Draws, Stream};
use crate::shape::FieldShape;

/// The ids of one field with their frequencies, ready to draw from.
#[derive(Debug)]
pub(crate) struct Popularity {
    slots: Vec<Slot>,
}

/// `own` with probability threshold·2^-32, else `other`.
#[derive(Debug, Clone, Copy)]
struct Slot {
    threshold: u32,
    own: u32,
    other: u32,
}

impl Popularity {
    /// The frequencies of a field that has `rows` rows where its counts were taken.
    ///
    /// Which ids occur, and which of them are popular, is drawn by seed; the last id always occurs.
    pub(crate) fn new(field: &FieldShape, rows: u64, seed: u64, number: u64) -> Self {
        let ids = occurring(field, Draws::new(seed, Stream::Popularity).substream(number));
        Self { slots: alias(&counts(field, rows), &ids) }
    }

    /// The id that 64 random bits choose.
    ///
    /// Precision: probabilities are off by at most 2^-32 / ids.
    pub(crate) fn id(&self, bits: u64) -> u32 {
        let product = u128::from(bits) * self.slots.len() as u128;
        let slot = &self.slots[(product >> 64) as usize];
        if ((product as u64) >> 32) as u32 >= slot.threshold { slot.other } else { slot.own }
    }
}

/// The expected count of each rank among `rows` rows.
pub(crate) fn counts(field: &FieldShape, rows: u64) -> Vec<f64> {
    let n = f64::from(field.occurring);
    let weights: Vec<f64> = (0..field.occurring)
        .map(|rank| {
            let rank = f64::from(rank);
            libm::exp(field.tail * libm::log((n - rank) / n) - field.exponent * libm::log(rank + field.shift))
        })
        .collect();
    let beyond_least = rows as f64 - field.least * n;
    let scale = beyond_least / weights.iter().sum::<f64>();
    weights.iter().map(|weight| field.least + scale * weight).collect()
}

/// The ids that occur, in the order of their popularity.
fn occurring(field: &FieldShape, draws: Draws) -> Vec<u32> {
    let mut wanted = u64::from(field.occurring) - 1;
    let last = field.dim - 1;
    let mut ids = Vec::with_capacity(field.occurring as usize);
    for id in 0..last {
        // Selection sampling, as in the split.
        if draws.below(u64::from(id), u64::from(last - id)) < wanted {
            wanted -= 1;
            ids.push(id);
        }
    }
    ids.push(last);
    for place in (1..ids.len()).rev() {
        let other = draws.below(u64::from(last) + place as u64, place as u64 + 1);
        ids.swap(place, other as usize);
    }
    ids
}

fn alias(weights: &[f64], ids: &[u32]) -> Vec<Slot> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let mut shares: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
    let mut slots: Vec<Slot> =
        ids.iter().map(|id| Slot { threshold: u32::MAX, own: *id, other: *id }).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..shares.len()).partition(|place| shares[*place] < 1.0);
    while let (Some(needy), Some(rich)) = (small.pop(), large.last().copied()) {
        slots[needy].threshold = (shares[needy] * 4_294_967_296.0) as u32;
        slots[needy].other = ids[rich];
        shares[rich] -= 1.0 - shares[needy];
        if shares[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: FieldShape = FieldShape {
        name: "item",
        dim: 12,
        occurring: 8,
        least: 1.0,
        exponent: 0.7,
        shift: 0.5,
        tail: 1.0,
        bias_sd: 0.0,
        vector_sd: 0.0,
    };

    #[test]
    fn counts_add_up_and_fall_to_the_least() {
        let counts = counts(&FIELD, 1000);
        assert!((counts.iter().sum::<f64>() - 1000.0).abs() < 1e-9);
        assert!(counts.windows(2).all(|pair| pair[0] > pair[1]) && counts[7] > 1.0);
    }

    #[test]
    fn the_ids_that_occur_include_the_last() {
        for seed in 0..50 {
            let mut ids = occurring(&FIELD, Draws::new(seed, Stream::Popularity));
            ids.sort_unstable();
            ids.dedup();
            assert_eq!((ids.len(), ids[7]), (8, 11));
        }
    }

    #[test]
    fn ids_are_drawn_as_often_as_their_weights_say() {
        let popularity = Popularity::new(&FIELD, 1000, 3, 0);
        let expected = counts(&FIELD, 1000);
        let ids = occurring(&FIELD, Draws::new(3, Stream::Popularity).substream(0));
        let draws = Draws::new(5, Stream::Ids);
        let n = 100_000u32;
        let mut found = [0u32; 12];
        for i in 0..u64::from(n) {
            found[popularity.id(draws.bits(i)) as usize] += 1;
        }
        for (rank, id) in ids.iter().enumerate() {
            let p = expected[rank] / 1000.0;
            let sd = (f64::from(n) * p * (1.0 - p)).sqrt();
            // 5 standard deviations for 8 ids: false alarms 5e-6 a seed, and the seeds are fixed.
            assert!((f64::from(found[*id as usize]) - f64::from(n) * p).abs() < 5.0 * sd);
        }
        assert_eq!(found.iter().filter(|count| **count == 0).count(), 4);
    }
}
