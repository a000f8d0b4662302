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

/// A table, and rows that follow it; one vector wide where this is known to the loops.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, const BEHIND: bool, const ONE: bool> {
    table: &'a [f32],
    width: usize,
    /// Empty where nothing follows.
    behind: &'a [f32],
    /// The first id that names what follows.
    end: usize,
}

impl<'a, const BEHIND: bool, const ONE: bool> Rows<'a, BEHIND, ONE> {
    pub(crate) fn new(table: &'a [f32], width: usize, behind: &'a [f32]) -> Self {
        assert!(!ONE || width == LANES, "rows of one vector");
        Self { table, width, behind, end: table.len() / width }
    }

    #[inline(always)]
    pub(crate) fn width(&self) -> usize {
        if ONE { LANES } else { self.width }
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
            (self.behind, (id - self.end) * self.width())
        } else {
            (self.table, id * self.width())
        }
    }
}

/// What has a row of whole vectors for each field.
pub(crate) trait Lined: Copy {
    fn width(&self) -> usize;

    /// Sixteen columns of a field's row.
    fn lane(&self, row: Row<'_>, field: usize, column: usize) -> &Lane;
}

impl<const BEHIND: bool, const ONE: bool> Lined for Rows<'_, BEHIND, ONE> {
    #[inline(always)]
    fn width(&self) -> usize {
        Self::width(self)
    }

    #[inline(always)]
    fn lane(&self, row: Row<'_>, field: usize, column: usize) -> &Lane {
        Part { rows: *self, column }.lane(row, field)
    }
}

/// Sixteen columns of a table.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a, const BEHIND: bool, const ONE: bool> {
    pub(crate) rows: Rows<'a, BEHIND, ONE>,
    pub(crate) column: usize,
}

impl<'a, const BEHIND: bool, const ONE: bool> Part<'a, BEHIND, ONE> {
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

pub(crate) struct Values<'a, const BEHIND: bool, const ONE: bool>(pub(crate) Part<'a, BEHIND, ONE>);

impl<L: Lanes, const BEHIND: bool, const ONE: bool> Leaf<L, 1> for Values<'_, BEHIND, ONE> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 1] {
        [self.0.load(row, field)]
    }
}

pub(crate) struct ValuesAndSquares<'a, const BEHIND: bool, const ONE: bool>(pub(crate) Part<'a, BEHIND, ONE>);

impl<L: Lanes, const BEHIND: bool, const ONE: bool> Leaf<L, 2> for ValuesAndSquares<'_, BEHIND, ONE> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 2] {
        let x = self.0.load::<L>(row, field);
        [x, x.mul(x)]
    }
}

pub(crate) struct Both<'a, const BEHIND: bool, const ONE: bool>(
    pub(crate) Part<'a, BEHIND, ONE>,
    pub(crate) Part<'a, BEHIND, ONE>,
);

impl<L: Lanes, const BEHIND: bool, const ONE: bool> Leaf<L, 3> for Both<'_, BEHIND, ONE> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 3] {
        let x = self.0.load::<L>(row, field);
        [x, x.mul(x), self.1.load(row, field)]
    }
}

/// Rows of sixteen values, each followed by sixteen products.
#[derive(Clone, Copy)]
pub(crate) struct JoinedRows<'a>(&'a [[Lane; 2]]);

impl<'a> JoinedRows<'a> {
    /// Checks that ids up to the largest name rows.
    pub(crate) fn new(table: &'a [f32], largest: u32) -> Self {
        let (rows, _) = table.as_chunks::<LANES>().0.as_chunks::<2>();
        assert!((largest as usize) < rows.len(), "joined row {largest} of {}", rows.len());
        Self(rows)
    }

    #[inline(always)]
    fn row(&self, row: Row<'_>, field: usize) -> &'a [Lane; 2] {
        let id = row.id(field);
        debug_assert!(id < self.0.len(), "a row of the table");
        // SAFETY: `new` has checked the largest id.
        unsafe { self.0.get_unchecked(id) }
    }
}

impl Lined for JoinedRows<'_> {
    #[inline(always)]
    fn width(&self) -> usize {
        LANES
    }

    #[inline(always)]
    fn lane(&self, row: Row<'_>, field: usize, _: usize) -> &Lane {
        &self.row(row, field)[0]
    }
}

impl<L: Lanes> Leaf<L, 1> for JoinedRows<'_> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 1] {
        [L::load(&self.row(row, field)[1])]
    }
}

impl<L: Lanes> Leaf<L, 3> for JoinedRows<'_> {
    #[inline(always)]
    fn at(&self, row: Row<'_>, field: usize) -> [L; 3] {
        let [values, products] = self.row(row, field);
        let x = L::load(values);
        [x, x.mul(x), L::load(products)]
    }
}

/// What the data rows of a lane group have for one field.
pub(crate) trait Column<L: Lanes, const N: usize>: Copy {
    /// From the table rows that `id` names by data row.
    fn of(self, id: impl Fn(usize) -> usize) -> [L; N];
}

/// One value per table row.
#[derive(Clone, Copy)]
pub(crate) struct ValueOf<'a, const BEHIND: bool>(pub(crate) Rows<'a, BEHIND, false>);

impl<L: Lanes, const BEHIND: bool> Column<L, 1> for ValueOf<'_, BEHIND> {
    #[inline(always)]
    fn of(self, id: impl Fn(usize) -> usize) -> [L; 1] {
        let mut lane = [0.0; LANES];
        for (r, value) in lane.iter_mut().enumerate() {
            let (table, at) = self.0.place(id(r));
            debug_assert!(at < table.len(), "a row of the table");
            // SAFETY: `look_up` has checked the largest id against the rows, of one value each.
            *value = unsafe { *table.get_unchecked(at) };
        }
        [L::load(&lane)]
    }
}

/// Two values per table row: those of eight data rows fill a vector.
#[derive(Clone, Copy)]
pub(crate) struct TwoValuesOf<'a>(pub(crate) &'a [[f32; 2]]);

impl<L: Lanes> Column<L, 2> for TwoValuesOf<'_> {
    #[inline(always)]
    fn of(self, id: impl Fn(usize) -> usize) -> [L; 2] {
        let mut halves = [[0.0; LANES]; 2];
        let (pairs, _) = halves.as_flattened_mut().as_chunks_mut::<2>();
        for (r, pair) in pairs.iter_mut().enumerate() {
            let id = id(r);
            debug_assert!(id < self.0.len(), "a row of the table");
            // SAFETY: `look_up` has checked the largest id against the table.
            *pair = unsafe { *self.0.get_unchecked(id) };
        }
        [L::load(&halves[0]), L::load(&halves[1])]
    }
}

/// The data rows of one lane group, field by field.
pub(crate) struct Group<'a, C, const WHOLE: bool> {
    pub(crate) column: C,
    /// From those of the group's first row on.
    pub(crate) ids: &'a [u32],
    pub(crate) fields: usize,
    /// Where the ids of each row begin, where the group has fewer than sixteen.
    pub(crate) starts: [usize; LANES],
}

impl<L: Lanes, C: Column<L, N>, const N: usize, const WHOLE: bool> Leaf<L, N> for Group<'_, C, WHOLE> {
    #[inline(always)]
    fn at(&self, _: Row<'_>, field: usize) -> [L; N] {
        self.column.of(
            #[inline(always)]
            |r| {
                let start = if WHOLE { r * self.fields } else { self.starts[r] };
                debug_assert!(start + field < self.ids.len(), "a row of the group");
                // SAFETY: `look_up` has checked that there are ids for all rows of the block.
                unsafe { *self.ids.get_unchecked(start + field) as usize }
            },
        )
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
