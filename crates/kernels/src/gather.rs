//! Rows of a table into a feature-major block, and back.

use crate::lanes::{LANES, Lane, Lanes};

/// Sixteen rows of a table become `dim` lanes.
#[inline(always)]
fn gather<L: Lanes>(table: &[f32], ids: &[u32], first: u32, dim: usize, out: &mut [Lane]) {
    let groups = ids.len() / LANES;
    let (ids, _) = ids.as_chunks::<LANES>();
    let mut rows = [[0.0f32; LANES]; LANES];
    for (g, ids) in ids.iter().enumerate() {
        let mut d = 0;
        while d + LANES <= dim {
            for (row, &id) in rows.iter_mut().zip(ids) {
                let start = (id - first) as usize * dim + d;
                row.copy_from_slice(&table[start..start + LANES]);
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
                *x = table[(id - first) as usize * dim + d];
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
                rows[r * width + d..r * width + d + LANES].copy_from_slice(lane);
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
    /// Copies table rows into a feature-major block; the table's first row has the id `first`.
    ///
    /// # Shapes
    /// `table` [V, D], `ids` [R], `out` [D, R].
    ///
    /// # Panics
    /// If an id is outside the table or `out` has another size.
    pub fn gather(table: &[f32], ids: &[u32], first: u32, dim: usize, out: &mut [Lane]) = gather;

    /// Turns a feature-major block into rows.
    ///
    /// # Shapes
    /// `block` [width, R], `out` [R, width].
    pub fn to_rows(block: &[Lane], width: usize, out: &mut [f32]) = to_rows;
}

impl crate::Kernels {
    /// Asks the processor to fetch the table rows of `ids` while other work goes on.
    #[inline]
    pub fn prefetch(self, table: &[f32], ids: &[u32], first: u32, dim: usize) {
        #[cfg(target_arch = "x86_64")]
        for &id in ids {
            let row = table.as_ptr().wrapping_add(id.wrapping_sub(first) as usize * dim).cast::<i8>();
            let mut byte = 0;
            while byte < dim * 4 {
                // SAFETY: a prefetch is a hint; it may name any address.
                unsafe {
                    std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                        row.wrapping_add(byte),
                    );
                }
                byte += 64;
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (table, ids, first, dim);
    }
}
