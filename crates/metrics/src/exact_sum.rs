//! Sums without rounding, so that a term can be taken out again and another put in.
//!
//! Each term is taken apart into two whole numbers by adding and subtracting a constant whose last bit has the wanted weight:
//! the first counts units of 2^-42, the second what is left in units of 2^-90. Whole numbers add up in any order.

/// One and a half times 2^10: numbers beside it are 2^-42 apart.
const COARSE: f64 = 1536.0;
/// One and a half times 2^-38: numbers beside it are 2^-90 apart.
const FINE: f64 = 1.5 / (1_u64 << 38) as f64;
/// The coarse unit in fine ones, as a power of two.
const SHIFT: u32 = 48;
/// Terms lie below this magnitude.
const LIMIT: f64 = 512.0;
/// Terms whose parts are added in 64 bits: coarse parts are below 2^51.
pub(crate) const CHUNK: usize = 256;
const LANES: usize = 8;

/// A sum of terms below 512 in magnitude.
///
/// Numerics: each term is rounded to a multiple of 2^-90, which probabilities of f32 from 2^-67 up are already; adding and taking away do not
/// round, and up to 2^28 terms fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExactSum(i128);

/// The two parts of a term; those of a term beyond the limit, which belong to no sum, may be any.
#[inline(always)]
fn parts(term: f64) -> (i64, i64) {
    let coarse = term + COARSE;
    let left = term - (coarse - COARSE);
    let fine = left + FINE;
    (
        coarse.to_bits().wrapping_sub(COARSE.to_bits()).cast_signed(),
        fine.to_bits().wrapping_sub(FINE.to_bits()).cast_signed(),
    )
}

fn joined((coarse, fine): (i64, i64)) -> i128 {
    (i128::from(coarse) << SHIFT) + i128::from(fine)
}

impl ExactSum {
    /// The sum of `term(0) … term(n - 1)`; `None` where one is NaN or not below 512 in magnitude.
    #[inline(always)]
    pub(crate) fn of(n: usize, term: impl Fn(usize) -> f64) -> Option<Self> {
        let mut sum = Self::default();
        let mut inside = true;
        let mut start = 0;
        while start < n {
            let mut terms = [0.0; CHUNK];
            for (at, to) in terms.iter_mut().enumerate().take(n - start) {
                *to = term(start + at);
            }
            inside &= sum.add_all(&terms);
            start += CHUNK;
        }
        inside.then_some(sum)
    }

    /// Adds terms; whether all were below 512 in magnitude, else the sum is none.
    #[inline(always)]
    pub(crate) fn add_all(&mut self, terms: &[f64; CHUNK]) -> bool {
        let (mut coarse, mut fine, mut beyond) = ([0_i64; LANES], [0_i64; LANES], [0_u64; LANES]);
        for terms in terms.chunks_exact(LANES) {
            for lane in 0..LANES {
                let parts = parts(terms[lane]);
                coarse[lane] = coarse[lane].wrapping_add(parts.0);
                fine[lane] = fine[lane].wrapping_add(parts.1);
                let within = terms[lane].abs() < LIMIT;
                beyond[lane] |= u64::from(!within);
            }
        }
        for lane in 0..LANES {
            self.0 += joined((coarse[lane], fine[lane]));
        }
        beyond == [0; LANES]
    }

    /// Adds a term below 512 in magnitude.
    pub(crate) fn add(&mut self, term: f64) {
        debug_assert!(term.abs() < LIMIT, "term {term}");
        self.0 += joined(parts(term));
    }

    /// Takes a term away that was added.
    pub(crate) fn take(&mut self, term: f64) {
        debug_assert!(term.abs() < LIMIT, "term {term}");
        self.0 -= joined(parts(term));
    }

    /// The sum as the nearest number.
    pub(crate) fn value(self) -> f64 {
        self.0 as f64 * (FINE / 1.5 / (1_u64 << 52) as f64)
    }

    /// The mean over `n` terms, `None` of nothing.
    pub(crate) fn mean(self, n: usize) -> Option<f64> {
        (n > 0).then(|| self.value() / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fine_unit_is_2_to_the_minus_90() {
        assert_eq!(ExactSum(1).value(), f64::powi(2.0, -90));
        assert_eq!(ExactSum::of(1, |_| f64::powi(2.0, -90)), Some(ExactSum(1)));
        assert_eq!(ExactSum::of(1, |_| 1.0).unwrap().value(), 1.0);
    }

    #[test]
    fn probabilities_add_up_exactly_where_running_sums_round() {
        let p = [1.0_f32, 1e-7, 0.1, 1.5e-19, 0.333];
        let n = 5 * 4099;
        let sum = ExactSum::of(n, |i| f64::from(p[i % 5])).unwrap();
        let units = |x: f32| (f64::from(x) * f64::powi(2.0, 90)) as i128;
        assert_eq!(sum.0, p.iter().map(|x| units(*x) * 4099).sum::<i128>());
    }

    #[test]
    fn what_is_added_and_taken_away_leaves_nothing() {
        let terms: Vec<f64> = (0..5000).map(|i| f64::from(i).sin() * 441.0).collect();
        let whole = ExactSum::of(terms.len(), |i| terms[i]).unwrap();
        let mut sum = whole;
        for term in terms.iter().rev() {
            sum.take(*term);
        }
        assert_eq!(sum, ExactSum::default());
        for term in &terms {
            sum.add(*term);
        }
        assert_eq!(sum, whole);
    }

    #[test]
    fn terms_that_do_not_fit_make_no_sum() {
        for term in [512.0, -512.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(ExactSum::of(3000, |i| if i == 2999 { term } else { 0.5 }), None, "{term}");
        }
        assert!(ExactSum::of(1, |_| 511.999).is_some());
    }
}
