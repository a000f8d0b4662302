//! The fixed tree's sum where all terms but few are +0.

use crate::sum::{LANES, LEAF, pairwise};

/// Reusable memory of [`sparse_sum`].
#[derive(Debug, Default)]
pub(crate) struct SparseWork {
    /// Place and sum of the nodes of one level that are not +0.
    nodes: Vec<(usize, f64)>,
}

/// What [`tree_sum`](crate::sum::tree_sum) gives over `n` terms that are +0 but for `terms`: places, ascending, and what stands
/// there, none of it negative or -0.
///
/// Adding +0 changes no such number, so subtrees without a term can be passed over.
pub(crate) fn sparse_sum(n: usize, terms: impl Iterator<Item = (usize, f64)>, work: &mut SparseWork) -> f64 {
    let nodes = &mut work.nodes;
    nodes.clear();
    let mut lanes = [0.0; LANES];
    let mut leaf = 0;
    for (place, term) in terms {
        if place / LEAF != leaf {
            nodes.push((leaf, pairwise(lanes)));
            lanes = [0.0; LANES];
            leaf = place / LEAF;
        }
        lanes[place % LANES] += term;
    }
    nodes.push((leaf, pairwise(lanes)));

    let mut sum = 0.0;
    let mut width = n.div_ceil(LEAF);
    // At each level the last node of an odd number has no partner: it is a root, and roots are added from the right.
    while width > 0 {
        if width % 2 == 1 && nodes.last().is_some_and(|(place, _)| *place == width - 1) {
            sum += nodes.pop().map_or(0.0, |node| node.1);
        }
        width /= 2;
        nodes.dedup_by(|right, left| {
            let pair = right.0 / 2 == left.0 / 2;
            if pair {
                left.1 += right.1;
            }
            pair
        });
        for node in &mut *nodes {
            node.0 /= 2;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sum::tree_sum;

    #[test]
    fn few_terms_sum_as_in_the_whole_tree() {
        let mut state = 1_u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut work = SparseWork::default();
        for n in [1_usize, 7, 511, 512, 513, 1024, 1536, 5000, 40_000, 65_536] {
            for few in [0_usize, 1, 2, 9, 100] {
                let mut terms = vec![0.0; n];
                for _ in 0..few {
                    terms[draw() as usize % n] = draw() as f64 / 3.0e9;
                }
                let places = terms.iter().copied().enumerate().filter(|(_, term)| *term != 0.0);
                let sum = sparse_sum(n, places, &mut work);
                assert_eq!(sum.to_bits(), tree_sum(n, |i| terms[i]).to_bits(), "{few} of {n}");
            }
        }
    }
}
