//! Rows of a data set, by reference where they lie together.
use std::borrow::Cow;
use std::ops::Range;

use crate::bags::{Bags, BagsView};

/// The rows of one part, in their order in the data set.
///
/// Shapes: `indices` `[B, F]` per field and without offsets, `numeric` `[B, N]`, `labels` `[B]`, `row_ids` `[B]`.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// Categorical fields, F.
    pub fields: usize,
    /// Numeric columns, N.
    pub numeric_width: usize,
    /// Row of each field's table, row-major.
    pub indices: Cow<'a, [u32]>,
    /// Numeric values, row-major.
    pub numeric: Cow<'a, [f32]>,
    /// Labels, 0 or 1.
    pub labels: Cow<'a, [u8]>,
    /// The bag of each row; `None` where rows have none.
    pub bags: Option<Bags<'a>>,
    /// Where each row stands in the data set; `None` when these are all its rows.
    pub row_ids: Option<Vec<u32>>,
}

impl Rows<'_> {
    /// The same rows, in memory of their own.
    pub fn into_owned(self) -> Rows<'static> {
        Rows {
            fields: self.fields,
            numeric_width: self.numeric_width,
            indices: Cow::Owned(self.indices.into_owned()),
            numeric: Cow::Owned(self.numeric.into_owned()),
            labels: Cow::Owned(self.labels.into_owned()),
            bags: self.bags.map(Bags::into_owned),
            row_ids: self.row_ids,
        }
    }

    /// Rows, B.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Labels, 0 or 1, `[B]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Where row `row` stands in the data set.
    pub fn row_id(&self, row: usize) -> u32 {
        self.row_ids.as_ref().map_or(row as u32, |ids| ids[row])
    }

    /// The column of one field, `[B]`.
    pub fn field(&self, field: usize) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.indices.chunks_exact(self.fields.max(1)).map(move |row| row[field])
    }

    /// All of these rows.
    pub fn view(&self) -> RowsView<'_> {
        self.slice(0..self.len())
    }

    /// Some of these rows.
    pub fn slice(&self, range: Range<usize>) -> RowsView<'_> {
        RowsView {
            fields: self.fields,
            numeric_width: self.numeric_width,
            indices: &self.indices[range.start * self.fields..range.end * self.fields],
            numeric: &self.numeric[range.start * self.numeric_width..range.end * self.numeric_width],
            bags: self.bags.as_ref().map(|bags| bags.view().slice(range.clone())),
            labels: &self.labels[range],
        }
    }
}

/// Rows that lie together, by reference.
///
/// Shapes: as [`Rows`].
#[derive(Debug, Clone, Copy)]
pub struct RowsView<'a> {
    /// Categorical fields, F.
    pub fields: usize,
    /// Numeric columns, N.
    pub numeric_width: usize,
    /// Row of each field's table, row-major.
    pub indices: &'a [u32],
    /// Numeric values, row-major.
    pub numeric: &'a [f32],
    /// Labels, 0 or 1.
    pub labels: &'a [u8],
    /// The bag of each row; `None` where rows have none.
    pub bags: Option<BagsView<'a>>,
}

impl<'a> RowsView<'a> {
    /// Rows, B.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The indices of row `row`, `[F]`.
    pub fn indices_of(&self, row: usize) -> &'a [u32] {
        &self.indices[row * self.fields..(row + 1) * self.fields]
    }

    /// The numeric values of row `row`, `[N]`.
    pub fn numeric_of(&self, row: usize) -> &'a [f32] {
        &self.numeric[row * self.numeric_width..(row + 1) * self.numeric_width]
    }

    /// Some of these rows.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> RowsView<'a> {
        RowsView {
            fields: self.fields,
            numeric_width: self.numeric_width,
            indices: &self.indices[range.start * self.fields..range.end * self.fields],
            numeric: &self.numeric[range.start * self.numeric_width..range.end * self.numeric_width],
            labels: &self.labels[range.clone()],
            bags: self.bags.map(|bags| bags.slice(range)),
        }
    }
}
