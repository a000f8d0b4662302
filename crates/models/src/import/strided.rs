//! Strided views of a storage, made contiguous.

/// Dimensions beyond these are no tensor of anybody's.
pub(super) const MAX_RANK: usize = 64;

/// Where the elements of a tensor are in its storage, counted in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strided {
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl Strided {
    /// The whole of a storage, the last dimension (row major) or the first (column major) the fastest.
    pub(super) fn whole(shape: Vec<usize>, column_major: bool) -> Option<Self> {
        let mut strides = vec![0; shape.len()];
        let mut next = 1_usize;
        for i in 0..shape.len() {
            let at = if column_major { i } else { shape.len() - 1 - i };
            strides[at] = next;
            next = next.checked_mul(shape[at])?;
        }
        Some(Self { offset: 0, shape, strides })
    }

    /// The number of elements, if a word can hold it.
    pub(super) fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))
    }

    /// The elements that a storage needs for this view, if a word can hold their number.
    pub(super) fn reach(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        self.shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |last, (&d, &s)| last.checked_add((d - 1).checked_mul(s)?))?
            .checked_add(1)
    }

    /// The elements in row-major order, of a storage that has [`Strided::reach`] of them.
    pub(super) fn gather(&self, storage: &[u8], width: usize) -> Vec<u8> {
        let elements = self.shape.iter().product::<usize>();
        if elements == 0 {
            return Vec::new();
        }
        let dims: Vec<(usize, usize)> =
            self.shape.iter().copied().zip(self.strides.iter().copied()).filter(|&(d, _)| d > 1).collect();
        let mut expected = 1;
        let contiguous = dims.iter().rev().all(|&(d, s)| {
            let holds = s == expected;
            expected *= d;
            holds
        });
        if contiguous {
            return storage[self.offset * width..][..elements * width].to_vec();
        }
        let mut out = Vec::with_capacity(elements * width);
        let mut index = vec![0; dims.len()];
        let mut at = self.offset;
        for _ in 0..elements {
            out.extend_from_slice(&storage[at * width..][..width]);
            for (i, &(d, s)) in index.iter_mut().zip(&dims).rev() {
                *i += 1;
                if *i < d {
                    at += s;
                    break;
                }
                at -= (d - 1) * s;
                *i = 0;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_becomes_row_major() {
        let view = Strided { offset: 1, shape: vec![3, 1, 2], strides: vec![1, 9, 3] };
        assert_eq!(view.reach(), Some(7));
        assert_eq!(view.gather(&[9, 0, 1, 2, 3, 4, 5], 1), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn a_scalar_is_one_element_and_an_empty_dimension_none() {
        let scalar = Strided { offset: 2, shape: Vec::new(), strides: Vec::new() };
        assert_eq!((scalar.elements(), scalar.reach()), (Some(1), Some(3)));
        assert_eq!(scalar.gather(&[1, 2, 3], 1), [3]);
        let empty = Strided::whole(vec![2, 0], false).unwrap();
        assert_eq!((empty.elements(), empty.reach()), (Some(0), Some(0)));
        assert!(empty.gather(&[], 4).is_empty());
    }

    #[test]
    fn extents_beyond_a_word_have_no_reach() {
        let view = Strided { offset: 0, shape: vec![1 << 40, 1 << 40], strides: vec![1 << 40, 1] };
        assert_eq!((view.elements(), view.reach()), (None, None));
        assert_eq!(Strided::whole(vec![usize::MAX, 2], true), None);
    }
}
