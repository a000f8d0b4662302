//! Table rows of one data row's fields, as the leaves of the tree that adds them.

use crate::lanes::{LANES, Lane, Lanes};
use crate::linear::{push, root};

/// Vectors of one field of one data row.
pub(crate) trait Leaf<L: Lanes, const N: usize> {
    fn at(&self, row: Row<'_>, field: usize) -> [L; N];
}

/// One data row's table rows: ids that were checked against each table.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a [u32]);

impl Row<'_> {
    #[inline(always)]
    pub(crate) fn id(self, field: usize) -> usize {
        debug_assert!(field < self.0.len(), "a field of the row");
        // SAFETY: trees ask for fields of the row only.
        unsafe { *self.0.get_unchecked(field) as usize }
    }
}

/// A table, and rows that follow it.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, const BEHIND: bool> {
    table: &'a [f32],
    pub(crate) width: usize,
    /// Empty where nothing follows.
    behind: &'a [f32],
    /// The first id that names what follows.
    end: usize,
}

impl<'a, const BEHIND: bool> Rows<'a, BEHIND> {
    pub(crate) fn new(table: &'a [f32], width: usize, behind: &'a [f32]) -> Self {
        Self { table, width, behind, end: table.len() / width }
    }

    /// Checks that ids up to the largest name rows.
    pub(crate) fn check(&self, largest: u32) {
        let Self { table, width, behind, end } = *self;
        if BEHIND {
            assert!(table.len() == end * width && behind.len().is_multiple_of(width), "whole rows");
        }
        let rows = end + if BEHIND { behind.len() / width } else { 0 };
        assert!((largest as usize) < rows, "table row {largest} of {rows}");
    }

    /// What holds a row, and where it begins there.
    #[inline(always)]
    pub(crate) fn place(&self, id: usize) -> (&'a [f32], usize) {
        if BEHIND && id >= self.end {
            (self.behind, (id - self.end) * self.width)
        } else {
            (self.table, id * self.width)
        }
    }
}

/// Sixteen columns of a table.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a, const BEHIND: bool> {
    pub(crate) rows: Rows<'a, BEHIND>,
    pub(crate) column: usize,
}

impl<'a, const BEHIND: bool> Part<'a, BEHIND> {
    #[inline(always)]
    pub(crate) fn load<L: Lanes>(&self, row: Row<'_>, field: usize) -> L {
        L::load(self.lane(row, field))
    }

    #[inline(always)]
    pub(crate) fn lane(&self, row: Row<'_>, field: usize) -> &'a Lane {
        let (table, start) = self.rows.place(row.id(field));
        let start = start + self.column;
        debug_assert!(start + LANES <= table.len(), "a row of the table");
        // SAFETY: `look_up` has checked the largest id against the rows, and columns stay within a row's width.
        unsafe { &*table.as_ptr().add(start).cast::<Lane>() }
    }
}

pub(crate) struct Values<'a, const BEHIND: bool>(pub(crate) Part<'a, BEHIND>);

impl<L: Lanes, const BEHIND: bool> Leaf<L, 1> for Values<'_, BEHIND> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 1] {
        [self.0.load(row, field)]
    }
}

pub(crate) struct ValuesAndSquares<'a, const BEHIND: bool>(pub(crate) Part<'a, BEHIND>);

impl<L: Lanes, const BEHIND: bool> Leaf<L, 2> for ValuesAndSquares<'_, BEHIND> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 2] {
        let x = self.0.load::<L>(row, field);
        [x, x.mul(x)]
    }
}

pub(crate) struct Both<'a, const BEHIND: bool>(pub(crate) Part<'a, BEHIND>, pub(crate) Part<'a, BEHIND>);

impl<L: Lanes, const BEHIND: bool> Leaf<L, 3> for Both<'_, BEHIND> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 3] {
        let x = self.0.load::<L>(row, field);
        [x, x.mul(x), self.1.load(row, field)]
    }
}

#[inline(always)]
fn add<L: Lanes, const N: usize>(a: [L; N], b: [L; N]) -> [L; N] {
    let mut sum = a;
    for i in 0..N {
        sum[i] = a[i].add(b[i]);
    }
    sum
}

#[inline(always)]
fn pair<L: Lanes, const N: usize>(leaf: &impl Leaf<L, N>, row: Row<'_>, f: usize) -> [L; N] {
    add(leaf.at(row, f), leaf.at(row, f + 1))
}

#[inline(always)]
fn four<L: Lanes, const N: usize>(leaf: &impl Leaf<L, N>, row: Row<'_>, f: usize) -> [L; N] {
    add(pair(leaf, row, f), pair(leaf, row, f + 2))
}

/// The tree of the fields, subtrees of eight at a time.
#[inline(always)]
pub(crate) fn tree<L: Lanes, const N: usize>(
    leaf: &impl Leaf<L, N>,
    row: Row<'_>,
    fields: usize,
    stack: &mut [[L; N]],
) -> [L; N] {
    let (eights, rest) = (fields / 8, fields % 8);
    for e in 0..eights {
        push(stack, e, add(four(leaf, row, 8 * e), four(leaf, row, 8 * e + 4)));
    }
    // The last, smaller subtrees, from the right.
    let mut last = if rest & 1 == 1 { Some(leaf.at(row, fields - 1)) } else { None };
    if rest & 2 == 2 {
        let two = pair(leaf, row, 8 * eights + (rest & 4));
        last = Some(last.map_or(two, |last| add(two, last)));
    }
    if rest & 4 == 4 {
        let four = four(leaf, row, 8 * eights);
        last = Some(last.map_or(four, |last| add(four, last)));
    }
    match last {
        None if eights == 0 => [L::splat(0.0); N],
        None => root(stack, eights),
        Some(mut node) => {
            for top in (0..eights.count_ones() as usize).rev() {
                node = add(stack[top], node);
            }
            node
        }
    }
}
