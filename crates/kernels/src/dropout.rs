//! Dropout masks from a counter.

use crate::lanes::{LANES, Lane, Lanes};

/// Which values are dropped: a function of (key, row, feature).
///
/// # Numerics
/// A 32-bit hash of the counter row · width + feature (the two-round multiply-xorshift of Wellons' search,
/// `lowbias32`), keyed before and between the rounds; a value is dropped where its hash is below share · 2^32.
#[derive(Debug, Clone, Copy)]
pub struct Mask {
    keys: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Drops a share in [0, 1); what is kept is divided by 1 − share.
    pub fn new(key: u64, share: f64) -> Self {
        Self {
            keys: [key as u32, (key >> 32) as u32],
            threshold: (share * (1u64 << 32) as f64) as u32,
            scale: (1.0 / (1.0 - share)) as f32,
        }
    }

    /// What values that are kept are multiplied with, 1 / (1 − share).
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// What sixteen values are multiplied with: counters from `start` on, `step` apart.
    #[inline(always)]
    pub(crate) fn factors(self, start: u32, step: u32) -> [f32; LANES] {
        let mut factors = [0.0; LANES];
        for (lane, factor) in factors.iter_mut().enumerate() {
            *factor = self.factor(start.wrapping_add((lane as u32).wrapping_mul(step)));
        }
        factors
    }

    /// What the value of a row and feature is multiplied with.
    #[inline(always)]
    fn factor(self, counter: u32) -> f32 {
        let mut x = counter ^ self.keys[0];
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15) ^ self.keys[1]).wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x < self.threshold { 0.0 } else { self.scale }
    }
}

#[inline(always)]
fn add_masked<L: Lanes>(mask: &Mask, x: &[Lane], (first_row, groups): (usize, usize), y: &mut [Lane]) {
    let width = x.len() / groups;
    for feature in 0..width {
        for g in 0..groups {
            let at = feature * groups + g;
            let start = ((first_row + g * LANES) * width + feature) as u32;
            let factors = mask.factors(start, width as u32);
            L::load(&x[at]).fma(L::load(&factors), L::load(&y[at])).store(&mut y[at]);
        }
    }
}

kernels! {
    /// y = y + mask · x.
    ///
    /// # Shapes
    /// `x`, `y` [H, R]; `place` is the row of the first lane and R / 16.
    pub fn add_masked(mask: &Mask, x: &[Lane], place: (usize, usize), y: &mut [Lane]) = add_masked;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kernels;

    #[test]
    fn the_share_is_dropped_and_the_mean_kept() {
        let mask = Mask::new(0x1234_5678_9abc_def0, 0.2);
        let (groups, width) = (64, 100);
        let x = vec![[1.0; LANES]; groups * width];
        let mut y = vec![[0.0; LANES]; groups * width];
        Kernels::detected().add_masked(&mask, &x, (0, groups), &mut y);
        let n = (groups * width * LANES) as f64;
        let dropped = y.as_flattened().iter().filter(|&&y| y == 0.0).count() as f64;
        // 5 standard deviations; false-alarm rate below 1e-6.
        assert!((dropped - 0.2 * n).abs() < 5.0 * (0.16 * n).sqrt(), "{dropped} of {n}");
        assert!(y.as_flattened().iter().all(|&y| y == 0.0 || y == 1.25));
    }

    #[test]
    fn masks_depend_on_the_row_and_not_on_the_block() {
        let mask = Mask::new(7, 0.5);
        let x = vec![[1.0; LANES]; 2 * 3];
        let mut whole = vec![[0.0; LANES]; 2 * 3];
        Kernels::detected().add_masked(&mask, &x, (0, 2), &mut whole);
        let mut second = vec![[0.0; LANES]; 3];
        Kernels::detected().add_masked(&mask, &x[..3], (LANES, 1), &mut second);
        assert_eq!([whole[1], whole[3], whole[5]], second[..]);
    }
}
