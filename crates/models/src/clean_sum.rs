//! What a linear layer to one value is held against in one step with it: its clean weights, and what they make of the numbers that
//! cross layers add.

use radhard_kernels::{Held, PIECE};

use crate::hook::Checksum;

/// Fewest inputs of such a layer behind cross layers. The check of a shorter chain allows for so few roundings that the numbers which
/// trained cross layers add leave no row cleared.
const FEWEST_INPUTS: usize = 128;

/// Most inputs of such a layer.
const MOST_INPUTS: usize = 16_384;

/// Most roundings that its check may allow for.
const MOST_ROUNDINGS: f64 = 1024.0;

/// Clean weights of one output.
pub(crate) struct CleanSum {
    weights: Vec<f32>,
    offsets: Vec<f32>,
    offset: f64,
    magnitude: f64,
    roundings: f64,
}

impl CleanSum {
    /// From the checksums of a layer without bias, which of one output are the weights, behind cross layers that add these numbers;
    /// none where rows can't be cleared.
    pub(crate) fn new(checksum: &Checksum<'_>, crosses: &[&[f32]]) -> Option<Self> {
        let weights: Vec<f32> = checksum.sums.iter().map(|&sum| sum as f32).collect();
        let exact = weights.iter().zip(checksum.sums).all(|(w, sum)| f64::from(*w) == *sum);
        let enough = crosses.is_empty() || weights.len() >= FEWEST_INPUTS;
        let fits = enough && weights.len() <= MOST_INPUTS && checksum.roundings <= MOST_ROUNDINGS;
        if !exact || !fits || checksum.bias_magnitude != 0.0 {
            return None;
        }
        let mut sums = vec![0.0; weights.len().div_ceil(PIECE)];
        let mut offset = 0.0;
        for numbers in crosses {
            for (k, (b, w)) in numbers.iter().zip(checksum.sums).enumerate() {
                sums[k / PIECE] += f64::from(*b) * w;
                offset += (f64::from(*b) * w).abs();
            }
        }
        let magnitude = checksum.sums.iter().map(|w| w.abs()).sum();
        let offsets = sums.iter().map(|&sum| sum as f32).collect();
        Some(Self { weights, offsets, offset, magnitude, roundings: checksum.roundings })
    }

    pub(crate) fn held(&self) -> Held<'_> {
        let Self { ref weights, ref offsets, offset, magnitude, roundings } = *self;
        Held { weights, offsets, offset, magnitude, roundings }
    }
}
