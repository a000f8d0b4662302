//! Sixteen words as bits, and sixteen f32 as f64, on each instruction set: what checks are made of.

use crate::check::Bounds;
use crate::lanes::{LANES, Lane, Lanes, Portable};

/// An instruction set's lanes for checks.
pub(crate) trait Checks: Lanes {
    /// Sixteen u32.
    type Bits: Bits;
    /// Sixteen f64.
    type Wide: Wide;

    /// Magnitudes.
    fn magnitude(self) -> Self;

    /// Keeps values within bounds; gives one bit for each that was beyond, NaN included, and for each NaN.
    fn bound(bounds: &Bounds, x: &mut Lane) -> (u16, u16);
}

/// Sixteen u32.
pub(crate) trait Bits: Copy {
    fn splat(x: u32) -> Self;
    fn of(x: &[u32; LANES]) -> Self;
    fn load(x: &Lane) -> Self;
    /// What a table holds for sixteen ids.
    ///
    /// # Panics
    /// If it does not hold one of them.
    #[inline(always)]
    fn gather(table: &[u32], ids: &[u32; LANES]) -> Self {
        Self::of(&ids.map(|id| table[id as usize]))
    }
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    /// Modulo 2^32.
    fn add(self, other: Self) -> Self;
    /// One bit for each lane that is larger than the other's.
    fn above(self, other: Self) -> u16;
    /// One bit for each lane that differs.
    fn differs(self, other: Self) -> u16;
}

/// Sixteen f64.
pub(crate) trait Wide: Copy {
    fn splat(x: f64) -> Self;
    fn of(x: &[f64; LANES]) -> Self;
    /// f32 as f64, exact.
    fn load(x: &Lane) -> Self;
    /// What a table holds for sixteen ids.
    ///
    /// # Panics
    /// If it does not hold one of them.
    #[inline(always)]
    fn gather(table: &[f64], ids: &[u32; LANES]) -> Self {
        Self::of(&ids.map(|id| table[id as usize]))
    }
    fn store(self, to: &mut [f64; LANES]);
    fn add(self, other: Self) -> Self;
    /// self · b + c, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    fn abs(self) -> Self;
    /// One bit for each lane that differs; NaN does.
    fn differs(self, other: Self) -> u16;
}

/// Plain words.
#[derive(Clone, Copy)]
pub(crate) struct PortableBits([u32; LANES]);

/// Plain f64.
#[derive(Clone, Copy)]
pub(crate) struct PortableWide([f64; LANES]);

/// One bit for each lane where it is so; the bits of all lanes first, as vectors have them.
#[inline(always)]
fn mask(bit: impl Fn(usize) -> bool) -> u16 {
    let mut bits = [0u32; LANES];
    for (l, bits) in bits.iter_mut().enumerate() {
        *bits = if bit(l) { 1 << l } else { 0 };
    }
    bits.iter().fold(0, |mask, bits| mask | bits) as u16
}

impl Bits for PortableBits {
    #[inline(always)]
    fn splat(x: u32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn of(x: &[u32; LANES]) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn load(x: &Lane) -> Self {
        Self(x.map(f32::to_bits))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].max(other.0[i])))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }

    #[inline(always)]
    fn above(self, other: Self) -> u16 {
        mask(|l| self.0[l] > other.0[l])
    }

    #[inline(always)]
    fn differs(self, other: Self) -> u16 {
        mask(|l| self.0[l] != other.0[l])
    }
}

impl Wide for PortableWide {
    #[inline(always)]
    fn splat(x: f64) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn of(x: &[f64; LANES]) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn load(x: &Lane) -> Self {
        Self(x.map(f64::from))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.map(f64::abs))
    }

    #[inline(always)]
    fn differs(self, other: Self) -> u16 {
        mask(|l| self.0[l] != other.0[l])
    }
}

impl Checks for Portable {
    type Bits = PortableBits;
    type Wide = PortableWide;

    #[inline(always)]
    fn magnitude(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    #[inline(always)]
    fn bound(bounds: &Bounds, x: &mut Lane) -> (u16, u16) {
        // Loops without branches, on numbers of their own: they become vectors.
        let Bounds { low, high, below, above, nan } = *bounds;
        let before = *x;
        for (x, value) in x.iter_mut().zip(before) {
            let other = if value > high { above } else { below };
            let other = if value.is_nan() { nan } else { other };
            *x = if value >= low && value <= high { value } else { other };
        }
        (mask(|l| !(before[l] >= low && before[l] <= high)), mask(|l| before[l].is_nan()))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256d, __m256i, __m512d, __m512i, _CMP_GE_OQ, _CMP_GT_OQ, _CMP_LE_OQ, _CMP_NEQ_UQ, _CMP_UNORD_Q,
        _mm_loadu_ps, _mm256_add_epi32, _mm256_add_pd, _mm256_and_pd, _mm256_and_ps, _mm256_and_si256,
        _mm256_blendv_ps, _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmp_pd, _mm256_cmp_ps,
        _mm256_cmpeq_epi32, _mm256_cvtps_pd, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_loadu_ps,
        _mm256_loadu_si256, _mm256_max_epu32, _mm256_movemask_pd, _mm256_movemask_ps, _mm256_or_si256,
        _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_set1_ps, _mm256_storeu_pd,
        _mm256_storeu_ps, _mm256_xor_si256, _mm512_abs_pd, _mm512_abs_ps, _mm512_add_epi32, _mm512_add_pd,
        _mm512_and_si512, _mm512_castsi512_si256, _mm512_cmp_pd_mask, _mm512_cmp_ps_mask,
        _mm512_cmpge_epu32_mask, _mm512_cmpgt_epu32_mask, _mm512_cmpneq_epi32_mask, _mm512_cvtps_pd,
        _mm512_extracti64x4_epi64, _mm512_fmadd_pd, _mm512_i32gather_epi32, _mm512_i32gather_pd,
        _mm512_loadu_pd, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_cmp_ps_mask, _mm512_mask_mov_ps,
        _mm512_max_epu32, _mm512_or_si512, _mm512_set1_epi32, _mm512_set1_pd, _mm512_set1_ps,
        _mm512_storeu_pd, _mm512_storeu_ps, _mm512_xor_si512,
    };

    use super::{Bits, Bounds, Checks, LANES, Lane, Wide};
    use crate::lanes::{Avx2, Avx512};

    /// One AVX-512 register.
    #[derive(Clone, Copy)]
    pub(crate) struct Bits512(__m512i);

    /// Two AVX-512 registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Wide512(__m512d, __m512d);

    /// Two AVX registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Bits256(__m256i, __m256i);

    /// Four AVX registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Wide256([__m256d; 4]);

    /// Ids as signed offsets, all below a length that these can hold.
    #[inline(always)]
    fn within(length: usize, ids: &[u32; LANES]) -> __m512i {
        let length = u32::try_from(length).unwrap_or(u32::MAX).min(i32::MAX as u32);
        // SAFETY: reached on processors with AVX-512F only (see `Lanes`); the array holds 16 ids.
        let (ids, beyond) = unsafe {
            let ids = _mm512_loadu_si512(ids.as_ptr().cast());
            (ids, _mm512_cmpge_epu32_mask(ids, _mm512_set1_epi32(length.cast_signed())))
        };
        assert!(beyond == 0, "ids of rows within a table of {length}");
        ids
    }

    impl Bits for Bits512 {
        #[inline(always)]
        fn splat(x: u32) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see `Lanes`).
            Self(unsafe { _mm512_set1_epi32(x.cast_signed()) })
        }

        #[inline(always)]
        fn of(x: &[u32; LANES]) -> Self {
            // SAFETY: as above; the array holds 16 words and the load needs no alignment.
            Self(unsafe { _mm512_loadu_si512(x.as_ptr().cast()) })
        }

        #[inline(always)]
        fn load(x: &Lane) -> Self {
            // SAFETY: as above; the array holds 16 values and the load needs no alignment.
            Self(unsafe { _mm512_loadu_si512(x.as_ptr().cast()) })
        }

        #[inline(always)]
        fn gather(table: &[u32], ids: &[u32; LANES]) -> Self {
            let at = within(table.len(), ids);
            // SAFETY: as above; all ids are within the table.
            Self(unsafe { _mm512_i32gather_epi32::<4>(at, table.as_ptr().cast()) })
        }

        #[inline(always)]
        fn and(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see `Lanes`).
            Self(unsafe { _mm512_and_si512(self.0, other.0) })
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm512_or_si512(self.0, other.0) })
        }

        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm512_xor_si512(self.0, other.0) })
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm512_max_epu32(self.0, other.0) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm512_add_epi32(self.0, other.0) })
        }

        #[inline(always)]
        fn above(self, other: Self) -> u16 {
            // SAFETY: as above.
            unsafe { _mm512_cmpgt_epu32_mask(self.0, other.0) }
        }

        #[inline(always)]
        fn differs(self, other: Self) -> u16 {
            // SAFETY: as above.
            unsafe { _mm512_cmpneq_epi32_mask(self.0, other.0) }
        }
    }

    impl Wide for Wide512 {
        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see `Lanes`).
            let x = unsafe { _mm512_set1_pd(x) };
            Self(x, x)
        }

        #[inline(always)]
        fn of(x: &[f64; LANES]) -> Self {
            // SAFETY: as above; the array holds 16 values, both halves lie inside it.
            unsafe { Self(_mm512_loadu_pd(x.as_ptr()), _mm512_loadu_pd(x.as_ptr().add(8))) }
        }

        #[inline(always)]
        fn load(x: &Lane) -> Self {
            // SAFETY: as above; the array holds 16 values, both halves lie inside it.
            unsafe {
                let (low, high) = (_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8)));
                Self(_mm512_cvtps_pd(low), _mm512_cvtps_pd(high))
            }
        }

        #[inline(always)]
        fn gather(table: &[f64], ids: &[u32; LANES]) -> Self {
            let at = within(table.len(), ids);
            // SAFETY: as above; all ids are within the table.
            unsafe {
                let (low, high) = (_mm512_castsi512_si256(at), _mm512_extracti64x4_epi64::<1>(at));
                Self(
                    _mm512_i32gather_pd::<8>(low, table.as_ptr().cast()),
                    _mm512_i32gather_pd::<8>(high, table.as_ptr().cast()),
                )
            }
        }

        #[inline(always)]
        fn store(self, to: &mut [f64; LANES]) {
            // SAFETY: as above; the array holds 16 values, both halves lie inside it.
            unsafe {
                _mm512_storeu_pd(to.as_mut_ptr(), self.0);
                _mm512_storeu_pd(to.as_mut_ptr().add(8), self.1);
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see `Lanes`).
            unsafe { Self(_mm512_add_pd(self.0, other.0), _mm512_add_pd(self.1, other.1)) }
        }

        #[inline(always)]
        fn fma(self, b: Self, c: Self) -> Self {
            // SAFETY: as above.
            unsafe { Self(_mm512_fmadd_pd(self.0, b.0, c.0), _mm512_fmadd_pd(self.1, b.1, c.1)) }
        }

        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: as above.
            unsafe { Self(_mm512_abs_pd(self.0), _mm512_abs_pd(self.1)) }
        }

        #[inline(always)]
        fn differs(self, other: Self) -> u16 {
            // SAFETY: as above.
            let (low, high) = unsafe {
                (
                    _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(self.0, other.0),
                    _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(self.1, other.1),
                )
            };
            u16::from(low) | u16::from(high) << 8
        }
    }

    impl Checks for Avx512 {
        type Bits = Bits512;
        type Wide = Wide512;

        #[inline(always)]
        fn magnitude(self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see `Lanes`).
            Self(unsafe { _mm512_abs_ps(self.0) })
        }

        #[inline(always)]
        fn bound(bounds: &Bounds, x: &mut Lane) -> (u16, u16) {
            // SAFETY: reached on processors with AVX-512F only (see `Lanes`); the array holds 16 values.
            unsafe {
                let value = _mm512_loadu_ps(x.as_ptr());
                let high = _mm512_set1_ps(bounds.high);
                let low = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(value, _mm512_set1_ps(bounds.low));
                let inside = _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(low, value, high);
                let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, high);
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
                let other =
                    _mm512_mask_mov_ps(_mm512_set1_ps(bounds.below), above, _mm512_set1_ps(bounds.above));
                let other = _mm512_mask_mov_ps(other, nan, _mm512_set1_ps(bounds.nan));
                _mm512_storeu_ps(x.as_mut_ptr(), _mm512_mask_mov_ps(other, inside, value));
                (!inside, nan)
            }
        }
    }

    impl Bits for Bits256 {
        #[inline(always)]
        fn splat(x: u32) -> Self {
            // SAFETY: reached on processors with AVX2 only (see `Lanes`).
            let x = unsafe { _mm256_set1_epi32(x.cast_signed()) };
            Self(x, x)
        }

        #[inline(always)]
        fn of(x: &[u32; LANES]) -> Self {
            // SAFETY: as above; the array holds 16 words, both halves lie inside it.
            unsafe {
                Self(_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().add(8).cast()))
            }
        }

        #[inline(always)]
        fn load(x: &Lane) -> Self {
            // SAFETY: as above; the array holds 16 values, both halves lie inside it.
            unsafe {
                Self(_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().add(8).cast()))
            }
        }

        #[inline(always)]
        fn and(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see `Lanes`).
            unsafe { Self(_mm256_and_si256(self.0, other.0), _mm256_and_si256(self.1, other.1)) }
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            // SAFETY: as above.
            unsafe { Self(_mm256_or_si256(self.0, other.0), _mm256_or_si256(self.1, other.1)) }
        }

        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            // SAFETY: as above.
            unsafe { Self(_mm256_xor_si256(self.0, other.0), _mm256_xor_si256(self.1, other.1)) }
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: as above.
            unsafe { Self(_mm256_max_epu32(self.0, other.0), _mm256_max_epu32(self.1, other.1)) }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: as above.
            unsafe { Self(_mm256_add_epi32(self.0, other.0), _mm256_add_epi32(self.1, other.1)) }
        }

        #[inline(always)]
        fn above(self, other: Self) -> u16 {
            // a > b where the larger of both is not b.
            self.max(other).differs(other)
        }

        #[inline(always)]
        fn differs(self, other: Self) -> u16 {
            // SAFETY: as above.
            let equal = unsafe {
                let low = _mm256_castsi256_ps(_mm256_cmpeq_epi32(self.0, other.0));
                let high = _mm256_castsi256_ps(_mm256_cmpeq_epi32(self.1, other.1));
                _mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8
            };
            !(equal as u16)
        }
    }

    impl Wide for Wide256 {
        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: reached on processors with AVX2 only (see `Lanes`).
            Self([unsafe { _mm256_set1_pd(x) }; 4])
        }

        #[inline(always)]
        fn of(x: &[f64; LANES]) -> Self {
            // SAFETY: as above; the array holds 16 values, all quarters lie inside it.
            Self(std::array::from_fn(|i| unsafe { _mm256_loadu_pd(x.as_ptr().add(4 * i)) }))
        }

        #[inline(always)]
        fn load(x: &Lane) -> Self {
            // SAFETY: as above; the array holds 16 values, all quarters lie inside it.
            Self(std::array::from_fn(|i| unsafe { _mm256_cvtps_pd(_mm_loadu_ps(x.as_ptr().add(4 * i))) }))
        }

        #[inline(always)]
        fn store(self, to: &mut [f64; LANES]) {
            for (i, x) in self.0.into_iter().enumerate() {
                // SAFETY: as above; the array holds 16 values, all quarters lie inside it.
                unsafe { _mm256_storeu_pd(to.as_mut_ptr().add(4 * i), x) };
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see `Lanes`).
            Self(std::array::from_fn(|i| unsafe { _mm256_add_pd(self.0[i], other.0[i]) }))
        }

        #[inline(always)]
        fn fma(self, b: Self, c: Self) -> Self {
            // SAFETY: reached on processors with AVX2 and FMA only (see `Lanes`).
            Self(std::array::from_fn(|i| unsafe { _mm256_fmadd_pd(self.0[i], b.0[i], c.0[i]) }))
        }

        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see `Lanes`).
            Self(
                self.0
                    .map(|x| unsafe { _mm256_and_pd(x, _mm256_castsi256_pd(_mm256_set1_epi64x(i64::MAX))) }),
            )
        }

        #[inline(always)]
        fn differs(self, other: Self) -> u16 {
            (0..4).fold(0, |mask, i| {
                // SAFETY: as above.
                let differs =
                    unsafe { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_NEQ_UQ>(self.0[i], other.0[i])) };
                mask | (differs as u16) << (4 * i)
            })
        }
    }

    impl Checks for Avx2 {
        type Bits = Bits256;
        type Wide = Wide256;

        #[inline(always)]
        fn magnitude(self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see `Lanes`).
            unsafe {
                let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
                Self(_mm256_and_ps(self.0, magnitude), _mm256_and_ps(self.1, magnitude))
            }
        }

        #[inline(always)]
        fn bound(bounds: &Bounds, x: &mut Lane) -> (u16, u16) {
            let (mut beyond, mut nans) = (0, 0);
            for half in 0..2 {
                // SAFETY: reached on processors with AVX2 only (see `Lanes`); the array holds 16 values, both halves lie
                // inside it.
                unsafe {
                    let to = x.as_mut_ptr().add(8 * half);
                    let value = _mm256_loadu_ps(to);
                    let high = _mm256_set1_ps(bounds.high);
                    let inside = _mm256_and_ps(
                        _mm256_cmp_ps::<_CMP_GE_OQ>(value, _mm256_set1_ps(bounds.low)),
                        _mm256_cmp_ps::<_CMP_LE_OQ>(value, high),
                    );
                    let above = _mm256_cmp_ps::<_CMP_GT_OQ>(value, high);
                    let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(value, value);
                    let other =
                        _mm256_blendv_ps(_mm256_set1_ps(bounds.below), _mm256_set1_ps(bounds.above), above);
                    let other = _mm256_blendv_ps(other, _mm256_set1_ps(bounds.nan), nan);
                    _mm256_storeu_ps(to, _mm256_blendv_ps(other, value, inside));
                    beyond |= ((!_mm256_movemask_ps(inside) & 0xff) as u16) << (8 * half);
                    nans |= (_mm256_movemask_ps(nan) as u16) << (8 * half);
                }
            }
            (beyond, nans)
        }
    }
}
