//! The generator of splits and stand-ins: SplitMix64, addressed by position.
//!
//! A draw is a function of (seed, stream, position), so it does not matter in which order or on how many threads draws
//! are made, and they are the same on every machine.
//!
//! Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with the finalizer of
//! Stafford's variant 13. Position i of a stream is output i of the sequential generator started at the stream's key.

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Independent sequences of one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// Parts of rows.
    Split = 1,
    /// Ids of stand-in rows.
    Ids = 2,
    /// Labels of stand-in rows.
    Labels = 3,
    /// Biases and vectors of the planted model.
    Planted = 4,
    /// Which ids occur, and how popular each is.
    Popularity = 5,
    /// Rows that calibrate the planted model.
    Calibration = 6,
    /// Dense values of dummy data.
    Dense = 7,
    /// Bits of the sparse vectors of dummy data.
    Bags = 8,
}

/// One stream of draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    key: u64,
}

impl Draws {
    /// The stream `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        Self { key: mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ stream as u64) }
    }

    /// A stream apart for each `part` of this one.
    pub(crate) fn substream(self, part: u64) -> Self {
        Self { key: mix(self.key ^ mix(part.wrapping_add(GOLDEN_GAMMA))) }
    }

    /// 64 bits at `position`.
    pub(crate) fn bits(self, position: u64) -> u64 {
        mix(self.key.wrapping_add(position.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA)))
    }

    /// An integer below `bound` at `position`, by the high half of a product.
    ///
    /// Precision: a value's probability is off by at most 2^-64, a relative error of bound·2^-64.
    pub(crate) fn below(self, position: u64, bound: u64) -> u64 {
        ((u128::from(self.bits(position)) * u128::from(bound)) >> 64) as u64
    }

    /// A multiple of 2^-53 in [0, 1) at `position`.
    pub(crate) fn unit(self, position: u64) -> f64 {
        unit(self.bits(position))
    }

    /// A standard normal value at `position`, by Box and Muller from the bits at 2·position and 2·position + 1.
    pub(crate) fn normal(self, position: u64) -> f64 {
        // In (0, 1], so that the logarithm is finite.
        let radius = 1.0 - self.unit(position.wrapping_mul(2));
        let angle = self.unit(position.wrapping_mul(2).wrapping_add(1));
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(std::f64::consts::TAU * angle)
    }
}

/// A random permutation of the integers below a bound, computed place by place.
///
/// Source: Luby and Rackoff, SIAM J. Comput. 17(2), 1988: rounds of a Feistel network on the bits of the place, here with
/// halves that may differ by one bit; places beyond the bound are mapped on until they fall below it (cycle walking, Black
/// and Rogaway, CT-RSA 2002).
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    rounds: [Draws; 6],
    bound: u64,
    low_bits: u32,
    low_mask: u64,
    high_mask: u64,
}

impl Permutation {
    /// A permutation of 0 … `bound` - 1, where `bound` is from 1 to 2^62.
    pub(crate) fn new(draws: Draws, bound: u64) -> Self {
        let bits = (u64::BITS - (bound - 1).leading_zeros()).max(2);
        let low_bits = bits / 2;
        Self {
            rounds: std::array::from_fn(|round| draws.substream(round as u64)),
            bound,
            low_bits,
            low_mask: (1 << low_bits) - 1,
            high_mask: (1 << (bits - low_bits)) - 1,
        }
    }

    /// Where `place`, below the bound, goes.
    pub(crate) fn place(&self, place: u64) -> u64 {
        let mut place = place;
        loop {
            let (mut low, mut high) = (place & self.low_mask, place >> self.low_bits);
            for (round, draws) in self.rounds.iter().enumerate() {
                if round % 2 == 0 {
                    low ^= draws.bits(high) & self.low_mask;
                } else {
                    high ^= draws.bits(low) & self.high_mask;
                }
            }
            place = (high << self.low_bits) | low;
            if place < self.bound {
                return place;
            }
        }
    }
}

/// A multiple of 2^-53 in [0, 1) from the high bits.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// The finalizer of SplitMix64.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_the_outputs_of_splitmix64() {
        // The published outputs for the seed 1234567.
        let draws = Draws { key: 1_234_567 };
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for (position, expected) in (0..).zip(expected) {
            assert_eq!(draws.bits(position), expected);
        }
    }

    #[test]
    fn normal_values_have_mean_0_and_variance_1() {
        let draws = Draws::new(1, Stream::Planted);
        let n = 100_000u32;
        let values: Vec<f64> = (0..u64::from(n)).map(|i| draws.normal(i)).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| v * v).sum::<f64>() / f64::from(n) - mean * mean;
        // 5 standard errors each: 1/sqrt(n) and sqrt(2/n); false alarms 6e-7 a seed, and the seed is fixed.
        assert!(mean.abs() < 5.0 * 0.003_163, "{mean}");
        assert!((variance - 1.0).abs() < 5.0 * 0.004_473, "{variance}");
    }

    #[test]
    fn a_permutation_takes_every_place_once() {
        for bound in [1u64, 2, 3, 4, 5, 17, 100, 1000, 4096, 5000] {
            let permutation = Permutation::new(Draws::new(bound, Stream::Ids), bound);
            let mut taken = vec![false; bound as usize];
            for place in 0..bound {
                let to = permutation.place(place) as usize;
                assert!(!std::mem::replace(&mut taken[to], true), "{to} twice, bound {bound}");
            }
        }
    }

    #[test]
    fn a_permutation_mixes_neighbours() {
        let n = 10_000u32;
        let permutation = Permutation::new(Draws::new(0, Stream::Ids), u64::from(n));
        let scaled = |place: u64| permutation.place(place) as f64 / f64::from(n) - 0.5;
        let sum = (0..u64::from(n) - 1).map(|i| scaled(i) * scaled(i + 1)).sum::<f64>();
        // The correlation of neighbours has standard error 1/sqrt(n); 5 of them: false alarms 6e-7, and the seed is fixed.
        assert!((12.0 * sum / f64::from(n)).abs() < 5.0 * 0.01, "{sum}");
    }
}
