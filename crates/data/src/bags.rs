//! Bags: any number of rows of one table for each row of a data set, as a multi-hot vector has them.
use std::borrow::Cow;
use std::ops::Range;

/// The bags of some rows, in the order of these rows.
///
/// Shapes: `offsets` `[B + 1]`, `indices` `[offsets[B]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bags<'a> {
    /// Rows of the table.
    pub dim: u32,
    /// Where each row's bag begins in `indices`, and at last where the last one ends.
    pub offsets: Cow<'a, [u64]>,
    /// Rows of the table, bag after bag, ascending within a bag.
    pub indices: Cow<'a, [u32]>,
}

impl Bags<'_> {
    /// Bags, B.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of these bags.
    pub fn view(&self) -> BagsView<'_> {
        BagsView { offsets: &self.offsets, indices: &self.indices }
    }

    /// The same bags, in memory of their own.
    pub fn into_owned(self) -> Bags<'static> {
        let Self { dim, offsets, indices } = self;
        Bags { dim, offsets: offsets.into_owned().into(), indices: indices.into_owned().into() }
    }

    /// The bags of some rows, in the order of `rows`.
    #[must_use]
    pub fn gathered(&self, rows: &[u32]) -> Bags<'static> {
        let view = self.view();
        let mut offsets = vec![0u64];
        let mut indices = Vec::new();
        for row in rows {
            indices.extend_from_slice(view.of(*row as usize));
            offsets.push(indices.len() as u64);
        }
        Bags { dim: self.dim, offsets: offsets.into(), indices: indices.into() }
    }
}

/// Bags of rows that lie together, by reference.
///
/// Shapes: `offsets` `[B + 1]`; `indices` may hold the bags of other rows too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BagsView<'a> {
    /// Where each row's bag begins in `indices`, and at last where the last one ends.
    pub offsets: &'a [u64],
    /// Rows of the table.
    pub indices: &'a [u32],
}

impl<'a> BagsView<'a> {
    /// Bags, B.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bag of row `row`.
    pub fn of(&self, row: usize) -> &'a [u32] {
        &self.indices[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// The bags of some of these rows.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> BagsView<'a> {
        BagsView { offsets: &self.offsets[range.start..=range.end], indices: self.indices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bags_keep_their_rows_when_sliced_and_gathered() {
        let bags = Bags { dim: 9, offsets: vec![0, 2, 2, 5].into(), indices: vec![1, 8, 0, 3, 4].into() };
        assert_eq!((bags.len(), bags.is_empty()), (3, false));
        assert_eq!(
            (bags.view().of(0), bags.view().of(1), bags.view().of(2)),
            (&[1, 8][..], &[][..], &[0, 3, 4][..])
        );
        let later = bags.view().slice(1..3);
        assert_eq!((later.len(), later.of(0), later.of(1)), (2, &[][..], &[0, 3, 4][..]));
        let gathered = bags.gathered(&[2, 0]);
        assert_eq!((gathered.view().of(0), gathered.view().of(1)), (&[0, 3, 4][..], &[1, 8][..]));
        assert!(bags.view().slice(1..1).is_empty());
    }
}
