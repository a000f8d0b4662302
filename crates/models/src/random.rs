//! The generator of initial weights, shuffles and dropout masks: a counter through a mixing function, so that the
//! value of a site depends on (seed, purpose, site) alone.
//!
//! Numerics: the finaliser of SplitMix64 (Steele, Lea, Flood 2014) over a keyed Weyl sequence. The values are part of
//! the training's reproducibility and stay as they are.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What numbers are drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Initial values of the parameter at this position.
    Start(usize),
    /// The order of rows in this epoch.
    Shuffle(u64),
    /// Masks of this layer in this step.
    Dropout(usize, u64),
}

/// Numbers of one purpose, addressed by position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Random {
    key: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let (kind, a, b) = match purpose {
            Purpose::Start(parameter) => (1, parameter as u64, 0),
            Purpose::Shuffle(epoch) => (2, epoch, 0),
            Purpose::Dropout(layer, step) => (3, layer as u64, step),
        };
        let mut key = mix(seed ^ GOLDEN);
        for part in [kind, a, b] {
            key = mix(key.wrapping_add(GOLDEN) ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        Self { key }
    }

    /// The 64 bits at a position.
    #[inline]
    pub(crate) fn bits(self, position: u64) -> u64 {
        mix(self.key.wrapping_add(position.wrapping_mul(GOLDEN)))
    }

    /// Uniform in (0, 1), 53 bits, never 0.
    #[inline]
    pub(crate) fn uniform(self, position: u64) -> f64 {
        ((self.bits(position) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958): two positions share one pair of uniforms.
    pub(crate) fn normal(self, position: u64) -> f64 {
        let pair = position & !1;
        let radius = (-2.0 * libm::log(self.uniform(pair))).sqrt();
        let angle = std::f64::consts::TAU * self.uniform(pair + 1);
        radius * if position & 1 == 0 { libm::cos(angle) } else { libm::sin(angle) }
    }

    /// Puts numbers into random order (Fisher and Yates; multiply-shift, bias below n / 2^64).
    pub(crate) fn shuffle(self, numbers: &mut [u32]) {
        for i in (1..numbers.len()).rev() {
            let j = (u128::from(self.bits(i as u64)) * (i as u128 + 1)) >> 64;
            numbers.swap(i, j as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_keeps_its_values() {
        let r = Random::new(7, Purpose::Shuffle(3));
        assert_eq!([r.bits(0), r.bits(1)], [10_395_028_571_947_333_933, 5_505_876_193_141_261_313]);
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let r = Random::new(1, Purpose::Start(0));
        let n = 100_000;
        let (sum, squares) = (0..n).map(|i| r.normal(i)).fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        // 5 standard errors: 1/√n and √(2/n); false-alarm rate below 1e-6 each.
        assert!((sum / n as f64).abs() < 5.0 / (n as f64).sqrt());
        assert!((squares / n as f64 - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
    }

    #[test]
    fn shuffled_numbers_are_all_still_there() {
        let mut order: Vec<u32> = (0..1000).collect();
        Random::new(5, Purpose::Shuffle(1)).shuffle(&mut order);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
