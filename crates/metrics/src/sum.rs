//! Sums whose value depends on the terms and their places alone.

/// Terms in one leaf of the tree.
pub(crate) const LEAF: usize = 512;
pub(crate) const LANES: usize = 8;

/// The sum of `term(0) … term(n - 1)` by a fixed tree.
///
/// Numerics: leaves of 512 terms in 8 lanes, lanes added in pairs, leaves joined like the carries of a binary
/// counter; the rounding error grows with log n, and the bits are the same on every run.
pub fn tree_sum(n: usize, term: impl Fn(usize) -> f64) -> f64 {
    join((0..n.div_ceil(LEAF)).map(|leaf| leaf_sum(leaf, n, &term)))
}

/// The sum of one leaf of the tree over n terms.
fn leaf_sum(leaf: usize, n: usize, term: impl Fn(usize) -> f64) -> f64 {
    let start = leaf * LEAF;
    let mut lanes = [0.0; LANES];
    let mut i = start;
    let end = n.min(start + LEAF);
    // A leaf begins at lane 0.
    while i + LANES <= end {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(i + lane);
        }
        i += LANES;
    }
    for (lane, sum) in lanes[..end - i].iter_mut().enumerate() {
        *sum += term(i + lane);
    }
    pairwise(lanes)
}

/// The sum of the lanes, in pairs.
#[inline(always)]
pub(crate) fn pairwise([a, b, c, d, e, f, g, h]: [f64; LANES]) -> f64 {
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// The root over the sums of leaves.
pub(crate) fn join(leaves: impl Iterator<Item = f64>) -> f64 {
    let mut levels: Vec<f64> = Vec::with_capacity(32);
    for (leaf, mut sum) in leaves.enumerate() {
        for _ in 0..leaf.trailing_ones() {
            sum += levels.pop().unwrap_or(0.0);
        }
        levels.push(sum);
    }
    levels.into_iter().rev().fold(0.0, |sum, level| sum + level)
}

/// The mean of `values`, `None` of nothing.
///
/// Numerics: [`tree_sum`] of the distances from the first value, so the mean of equal values is that value.
pub fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    Some(first + tree_sum(values.len(), |i| values[i] - first) / values.len() as f64)
}

/// The sample variance (divisor n - 1) about the mean, `None` below two values.
pub fn variance(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    (values.len() > 1).then(|| {
        tree_sum(values.len(), |i| (values[i] - centre) * (values[i] - centre)) / (values.len() - 1) as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_sum_exactly_at_every_length() {
        for n in [0_usize, 1, 7, 8, 511, 512, 513, 1024, 1535, 5000] {
            assert_eq!(tree_sum(n, |i| i as f64), (n * n.saturating_sub(1) / 2) as f64);
        }
    }

    #[test]
    fn a_nan_term_makes_the_sum_nan() {
        assert!(tree_sum(2000, |i| if i == 1999 { f64::NAN } else { 1.0 }).is_nan());
    }

    #[test]
    fn a_million_tenths_lose_less_than_a_running_sum() {
        assert!((tree_sum(1_000_000, |_| 0.1) - 100_000.0).abs() < 1e-9);
    }
}
