//! What is done to all values of a column.

use rayon::prelude::*;

/// The place of the first value that is bad.
pub(crate) fn first<T: Copy + Sync>(values: &[T], bad: impl Fn(T) -> bool + Sync) -> Option<usize> {
    const PIECE: usize = 1 << 15;
    values.par_chunks(PIECE).enumerate().find_map_first(|(piece, values)| {
        // Most pieces are good, and all values of one are looked at without a branch.
        let any = values.iter().fold(false, |any, value| any | bad(*value));
        any.then(|| values.iter().position(|value| bad(*value)).map(|place| piece * PIECE + place))?
    })
}

/// The values of some rows, `width` each, in memory of their own.
pub(crate) fn gathered<T: Copy>(values: &[T], width: usize, rows: &[u32]) -> Vec<T> {
    let mut out = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        let start = row as usize * width;
        out.extend_from_slice(&values[start..start + width]);
    }
    out
}
