//! Sums by the fixed tree whose leaves are kept, so that few new terms cost few leaves.

use crate::sum::{LEAF, join, leaf_sum};

/// The leaves of a [`tree_sum`](crate::sum::tree_sum).
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptSum {
    leaves: Vec<f64>,
    terms: usize,
}

impl KeptSum {
    /// The leaves over n terms.
    pub(crate) fn of(terms: usize, term: impl Fn(usize) -> f64) -> Self {
        Self { leaves: (0..terms.div_ceil(LEAF)).map(|leaf| leaf_sum(leaf, terms, &term)).collect(), terms }
    }

    /// The leaves over n terms that are all +0.
    pub(crate) fn zeros(terms: usize) -> Self {
        Self { leaves: vec![0.0; terms.div_ceil(LEAF)], terms }
    }

    /// The sum once some terms changed; `changed` are their places, ascending, and `term` gives all terms as they are now.
    pub(crate) fn with(
        &self,
        changed: impl Iterator<Item = usize>,
        work: &mut Vec<f64>,
        term: impl Fn(usize) -> f64,
    ) -> f64 {
        work.clear();
        work.extend_from_slice(&self.leaves);
        let mut last = usize::MAX;
        for place in changed {
            let leaf = place / LEAF;
            if leaf != last {
                work[leaf] = leaf_sum(leaf, self.terms, &term);
                last = leaf;
            }
        }
        join(work.iter().copied())
    }
}

/// A [`mean`](crate::sum::mean) of values that are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptMean {
    pub(crate) values: Vec<f64>,
    sum: KeptSum,
}

impl KeptMean {
    /// The mean of these values.
    pub(crate) fn of(values: Vec<f64>) -> Self {
        let sum = match values.first() {
            Some(first) => KeptSum::of(values.len(), |i| values[i] - first),
            None => KeptSum::default(),
        };
        Self { values, sum }
    }

    /// The mean once some values changed, `changed` by place, ascending; the values are kept as they were.
    pub(crate) fn with(&mut self, changed: &mut [(usize, f64)], work: &mut Vec<f64>) -> Option<f64> {
        let exchange = |values: &mut [f64], changed: &mut [(usize, f64)]| {
            for (place, value) in changed {
                std::mem::swap(&mut values[*place], value);
            }
        };
        exchange(&mut self.values, changed);
        let n = self.values.len();
        let mean = self.values.first().map(|first| {
            let term = |i: usize| self.values[i] - first;
            // Every term is a distance from the first value.
            let all = changed.first().is_some_and(|(place, _)| *place == 0);
            let places: Box<dyn Iterator<Item = usize>> =
                if all { Box::new((0..n).step_by(LEAF)) } else { Box::new(changed.iter().map(|c| c.0)) };
            first + self.sum.with(places, work, term) / n as f64
        });
        exchange(&mut self.values, changed);
        mean
    }
}
