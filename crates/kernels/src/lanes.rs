//! Sixteen rows at once, on each instruction set.

/// Rows in one lane group.
pub const LANES: usize = 16;

/// One value of sixteen neighbouring rows.
pub type Lane = [f32; LANES];

/// The tree of sixteen values, as [`crate::plain::tree`].
#[inline(always)]
pub(crate) fn tree(x: &Lane) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|i| x[2 * i] + x[2 * i + 1]);
    let four: [f32; 4] = std::array::from_fn(|i| eight[2 * i] + eight[2 * i + 1]);
    (four[0] + four[1]) + (four[2] + four[3])
}

/// Sixteen f32 with the operations that the kernels need.
///
/// Methods are safe to call because a value of an implementor is only made below the dispatcher, which enters an
/// instruction set's functions on processors that have it.
pub(crate) trait Lanes: Copy {
    /// Whether the instruction set has 32 registers of this width.
    const WIDE: bool;
    fn splat(x: f32) -> Self;
    fn load(x: &Lane) -> Self;
    fn store(self, to: &mut Lane);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// self · b + c, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    /// +0 where self ≤ 0, self elsewhere.
    fn relu(self) -> Self;
    /// `self` where `gate` > 0 or NaN, +0 elsewhere.
    fn where_open(self, gate: Self) -> Self;

    /// The sixteen columns of sixteen rows.
    #[inline(always)]
    fn columns(rows: [&Lane; LANES]) -> [Self; LANES] {
        std::array::from_fn(|column| {
            let lane: Lane = std::array::from_fn(|row| rows[row][column]);
            Self::load(&lane)
        })
    }

    /// Turns sixteen rows into sixteen columns.
    #[inline(always)]
    fn transpose(tile: &mut [Lane; LANES]) {
        let columns = Self::columns(tile.each_ref());
        for (lane, column) in tile.iter_mut().zip(columns) {
            column.store(lane);
        }
    }
}

/// Plain arrays, for processors of unknown abilities.
#[derive(Clone, Copy)]
pub(crate) struct Portable(pub(crate) Lane);

impl Lanes for Portable {
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(x: &Lane) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn store(self, to: &mut Lane) {
        *to = self.0;
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] / other.0[i]))
    }

    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        Self(self.0.map(|x| if x <= 0.0 { 0.0 } else { x }))
    }

    #[inline(always)]
    fn where_open(self, gate: Self) -> Self {
        Self(std::array::from_fn(|i| if gate.0[i] <= 0.0 { 0.0 } else { self.0[i] }))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _CMP_NLE_UQ, _mm256_add_ps, _mm256_and_ps, _mm256_cmp_ps, _mm256_div_ps,
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm256_sub_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_cmp_ps_mask, _mm512_div_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_mov_ps, _mm512_mul_ps, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_pd,
        _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::{LANES, Lane, Lanes};

    /// One AVX-512 register.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(pub(crate) __m512);

    /// Two AVX registers.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(pub(crate) __m256, pub(crate) __m256);

    impl Lanes for Avx512 {
        const WIDE: bool = true;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe { _mm512_set1_ps(x) })
        }

        #[inline(always)]
        fn load(x: &Lane) -> Self {
            // SAFETY: as above; the array holds 16 values and the load needs no alignment.
            Self(unsafe { _mm512_loadu_ps(x.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut Lane) {
            // SAFETY: as above; the array holds 16 values and the store needs no alignment.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe { _mm512_div_ps(self.0, other.0) })
        }

        #[inline(always)]
        fn fma(self, b: Self, c: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
        }

        #[inline(always)]
        fn relu(self) -> Self {
            self.where_open(self)
        }

        #[inline(always)]
        fn where_open(self, gate: Self) -> Self {
            // SAFETY: reached on processors with AVX-512F only (see the trait).
            Self(unsafe {
                let open = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(gate.0, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(open, self.0)
            })
        }

        #[inline(always)]
        fn columns(rows: [&Lane; LANES]) -> [Self; LANES] {
            // Loops in place of closures: those are not always inlined where processor features are enabled.
            let mut loaded = [Self::splat(0.0).0; LANES];
            for (to, row) in loaded.iter_mut().zip(rows) {
                *to = Self::load(row).0;
            }
            let rows = loaded;
            let mut pairs = rows;
            let mut quads = rows;
            for i in 0..8 {
                // SAFETY: reached on processors with AVX-512F only (see the trait).
                unsafe {
                    pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                    pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
                }
            }
            for i in 0..4 {
                for half in 0..2 {
                    // SAFETY: reached on processors with AVX-512F only (see the trait).
                    unsafe {
                        let low = _mm512_castps_pd(pairs[4 * i + half]);
                        let high = _mm512_castps_pd(pairs[4 * i + 2 + half]);
                        quads[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
                        quads[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
                    }
                }
            }
            // quads[4 i + c] holds, in its 128-bit part p, column 4 p + c of rows 4 i … 4 i + 3.
            let mut columns = rows;
            for c in 0..4 {
                // SAFETY: reached on processors with AVX-512F only (see the trait).
                unsafe {
                    let a = _mm512_shuffle_f32x4::<0b10_00_10_00>(quads[c], quads[4 + c]);
                    let b = _mm512_shuffle_f32x4::<0b11_01_11_01>(quads[c], quads[4 + c]);
                    let d = _mm512_shuffle_f32x4::<0b10_00_10_00>(quads[8 + c], quads[12 + c]);
                    let e = _mm512_shuffle_f32x4::<0b11_01_11_01>(quads[8 + c], quads[12 + c]);
                    columns[c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, d);
                    columns[4 + c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(b, e);
                    columns[8 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, d);
                    columns[12 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(b, e);
                }
            }
            let mut out = [Self(columns[0]); LANES];
            for (out, column) in out.iter_mut().zip(columns) {
                *out = Self(column);
            }
            out
        }
    }

    impl Lanes for Avx2 {
        const WIDE: bool = false;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: reached on processors with AVX2 only (see the trait).
            let x = unsafe { _mm256_set1_ps(x) };
            Self(x, x)
        }

        #[inline(always)]
        fn load(x: &Lane) -> Self {
            // SAFETY: as above; the array holds 16 values, both halves lie inside it.
            unsafe { Self(_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))) }
        }

        #[inline(always)]
        fn store(self, to: &mut Lane) {
            // SAFETY: as above; the array holds 16 values, both halves lie inside it.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), self.0);
                _mm256_storeu_ps(to.as_mut_ptr().add(8), self.1);
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see the trait).
            unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }

        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see the trait).
            unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
        }

        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see the trait).
            unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
        }

        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see the trait).
            unsafe { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
        }

        #[inline(always)]
        fn fma(self, b: Self, c: Self) -> Self {
            // SAFETY: reached on processors with AVX2 and FMA only (see the trait).
            unsafe { Self(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
        }

        #[inline(always)]
        fn relu(self) -> Self {
            self.where_open(self)
        }

        #[inline(always)]
        fn where_open(self, gate: Self) -> Self {
            // SAFETY: reached on processors with AVX2 only (see the trait).
            unsafe {
                let zero = _mm256_setzero_ps();
                let low = _mm256_cmp_ps::<_CMP_NLE_UQ>(gate.0, zero);
                let high = _mm256_cmp_ps::<_CMP_NLE_UQ>(gate.1, zero);
                Self(_mm256_and_ps(self.0, low), _mm256_and_ps(self.1, high))
            }
        }
    }
}
