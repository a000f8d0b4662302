//! Rows of a table into a feature-major block, and back.

use crate::id::GlobalId;
use crate::lanes::{LANES, Lane, Lanes};
use crate::{Table, plain};

/// The stored words of a table, read as numbers.
pub(crate) trait Words: Copy {
    /// Sixteen neighbouring values of a row of `dim`, from the `d`th on.
    fn lane(self, row: usize, dim: usize, d: usize, out: &mut Lane);
    /// One value.
    fn value(self, row: usize, dim: usize, d: usize) -> f32;
}

impl Words for &[f32] {
    #[inline(always)]
    fn lane(self, row: usize, dim: usize, d: usize, out: &mut Lane) {
        let start = row * dim + d;
        out.copy_from_slice(&self[start..start + LANES]);
    }

    #[inline(always)]
    fn value(self, row: usize, dim: usize, d: usize) -> f32 {
        self[row * dim + d]
    }
}

#[derive(Clone, Copy)]
pub(crate) struct F16<'a>(pub(crate) &'a [u16]);

impl Words for F16<'_> {
    #[inline(always)]
    fn lane(self, row: usize, dim: usize, d: usize, out: &mut Lane) {
        let start = row * dim + d;
        for (out, &word) in out.iter_mut().zip(&self.0[start..start + LANES]) {
            *out = plain::f16(word);
        }
    }

    #[inline(always)]
    fn value(self, row: usize, dim: usize, d: usize) -> f32 {
        plain::f16(self.0[row * dim + d])
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Bf16<'a>(pub(crate) &'a [u16]);

impl Words for Bf16<'_> {
    #[inline(always)]
    fn lane(self, row: usize, dim: usize, d: usize, out: &mut Lane) {
        let start = row * dim + d;
        for (out, &word) in out.iter_mut().zip(&self.0[start..start + LANES]) {
            *out = plain::bf16(word);
        }
    }

    #[inline(always)]
    fn value(self, row: usize, dim: usize, d: usize) -> f32 {
        plain::bf16(self.0[row * dim + d])
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Rowwise<'a> {
    pub(crate) codes: &'a [u8],
    pub(crate) scales: &'a [f32],
    pub(crate) biases: &'a [f32],
}

impl Words for Rowwise<'_> {
    #[inline(always)]
    fn lane(self, row: usize, dim: usize, d: usize, out: &mut Lane) {
        let (scale, bias, start) = (self.scales[row], self.biases[row], row * dim + d);
        for (out, &code) in out.iter_mut().zip(&self.codes[start..start + LANES]) {
            *out = plain::dequantised(code, scale, bias);
        }
    }

    #[inline(always)]
    fn value(self, row: usize, dim: usize, d: usize) -> f32 {
        plain::dequantised(self.codes[row * dim + d], self.scales[row], self.biases[row])
    }
}

#[inline(always)]
fn gather<L: Lanes>(table: Table<'_>, ids: &[GlobalId], first: GlobalId, dim: usize, out: &mut [Lane]) {
    let (ids, first) = (GlobalId::numbers(ids), first.get());
    match table {
        Table::F32(table) => gather_words::<L>(table, ids, first, dim, out),
        Table::F16(table) => gather_words::<L>(F16(table), ids, first, dim, out),
        Table::Bf16(table) => gather_words::<L>(Bf16(table), ids, first, dim, out),
        Table::Int8Rowwise { codes, scales, biases } => {
            gather_words::<L>(Rowwise { codes, scales, biases }, ids, first, dim, out);
        }
    }
}

/// Sixteen rows of a table become `dim` lanes.
#[inline(always)]
fn gather_words<L: Lanes>(words: impl Words, ids: &[u32], first: u32, dim: usize, out: &mut [Lane]) {
    let groups = ids.len() / LANES;
    let (ids, _) = ids.as_chunks::<LANES>();
    let mut rows = [[0.0f32; LANES]; LANES];
    for (g, ids) in ids.iter().enumerate() {
        let mut d = 0;
        while d + LANES <= dim {
            for (row, &id) in rows.iter_mut().zip(ids) {
                words.lane((id - first) as usize, dim, d, row);
            }
            L::transpose(&mut rows);
            for (i, row) in rows.iter().enumerate() {
                out[(d + i) * groups + g] = *row;
            }
            d += LANES;
        }
        for d in d..dim {
            let lane = &mut out[d * groups + g];
            for (x, &id) in lane.iter_mut().zip(ids) {
                *x = words.value((id - first) as usize, dim, d);
            }
        }
    }
}

/// A feature-major block `[width, R]` becomes row-major `[R, width]`.
#[inline(always)]
fn to_rows<L: Lanes>(block: &[Lane], width: usize, out: &mut [f32]) {
    let groups = block.len() / width;
    let mut tile = [[0.0f32; LANES]; LANES];
    for g in 0..groups {
        let rows = &mut out[g * LANES * width..(g + 1) * LANES * width];
        let mut d = 0;
        while d + LANES <= width {
            for (i, lane) in tile.iter_mut().enumerate() {
                *lane = block[(d + i) * groups + g];
            }
            L::transpose(&mut tile);
            for (r, lane) in tile.iter().enumerate() {
                let at = r * width + d;
                let to: &mut Lane =
                    (&mut rows[at..at + LANES]).try_into().expect("the slice has this length");
                *to = *lane;
            }
            d += LANES;
        }
        for d in d..width {
            for (r, &x) in block[d * groups + g].iter().enumerate() {
                rows[r * width + d] = x;
            }
        }
    }
}

kernels! {
    /// Brings table rows as f32 into a feature-major block; the table's first row has the id `first`.
    ///
    /// # Shapes
    /// `table` `[V, D]`, `ids` `[R]`, `out` `[D, R]`.
    ///
    /// # Numerics
    /// The values of [`Table::row`], bit for bit.
    ///
    /// # Panics
    /// If an id is outside the table or `out` has another size.
    pub fn gather(
        table: Table<'_>, ids: &[GlobalId], first: GlobalId, dim: usize, out: &mut [Lane],
    ) = gather;

    /// Turns a feature-major block into rows.
    ///
    /// # Shapes
    /// `block` [width, R], `out` [R, width].
    pub fn to_rows(block: &[Lane], width: usize, out: &mut [f32]) = to_rows;
}

impl crate::Kernels {
    /// Asks the processor to fetch the table rows of `ids` while other work goes on.
    #[inline]
    pub fn prefetch(self, table: Table<'_>, ids: &[GlobalId], first: GlobalId, dim: usize) {
        let (ids, first) = (GlobalId::numbers(ids), first.get());
        match table {
            Table::F32(table) => prefetch(table, ids, first, dim),
            Table::F16(table) | Table::Bf16(table) => prefetch(table, ids, first, dim),
            Table::Int8Rowwise { codes, scales, biases } => {
                prefetch(codes, ids, first, dim);
                prefetch(scales, ids, first, 1);
                prefetch(biases, ids, first, 1);
            }
        }
    }
}

impl crate::Kernels {
    /// Asks the processor to fetch `width` values each from some places, counted in rows of that width.
    #[inline]
    pub fn prefetch_rows<T>(self, values: &[T], rows: &[u32], width: usize) {
        prefetch(values, rows, 0, width);
    }
}

#[inline]
fn prefetch<T>(table: &[T], ids: &[u32], first: u32, dim: usize) {
    for &id in ids {
        fetch::<{ cache::FIRST }, T>(table, id.wrapping_sub(first) as usize, dim);
    }
}

/// To which cache a row is asked for, as a hint of the processor's.
#[cfg(target_arch = "x86_64")]
pub(crate) mod cache {
    use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1};

    /// The first: for what is used at once.
    pub(crate) const FIRST: i32 = _MM_HINT_T0;
    /// The second: for what would not outlast in the first what is computed before its use.
    pub(crate) const SECOND: i32 = _MM_HINT_T1;
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) mod cache {
    pub(crate) const FIRST: i32 = 0;
    pub(crate) const SECOND: i32 = 1;
}

/// Asks for one row of a table.
#[inline(always)]
pub(crate) fn fetch<const CACHE: i32, T>(table: &[T], row: usize, dim: usize) {
    let row = table.as_ptr().wrapping_add(row * dim).cast::<i8>();
    let mut byte = 0;
    loop {
        ask::<CACHE>(row.wrapping_add(byte));
        byte += 64;
        if byte >= dim * size_of::<T>() {
            break;
        }
    }
}

/// Asks for one cache line.
#[inline(always)]
fn ask<const CACHE: i32>(at: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it may name any address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<CACHE>(at);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        if CACHE == cache::FIRST {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
        } else {
            std::arch::asm!("prfm pldl2keep, [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}
