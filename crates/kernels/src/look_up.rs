//! What the fields of data rows look up in tables of all fields: sums straight from the tables, and rows.
//!
//! A vector holds sixteen neighbouring values of one table row here; sixteen finished data rows are turned into lanes at
//! the end. Each value meets the operations of the feature-major kernels in their order. What is looked up for the same
//! fields is looked up together.

use crate::gather::{cache, fetch};
use crate::id::GlobalId;
use crate::lanes::{LANES, Lane, Lanes};
use crate::leaves::{
    Both, Column, Group, JoinedRows, Leaf, Lined, Part, Row, Rows, TwoValuesOf, ValueOf, Values,
    ValuesAndSquares, tree,
};
use crate::linear::end;
use crate::{Ending, Kernels};

/// Table rows that are asked for ahead of the sums.
const AHEAD: usize = 240;

/// Most fields whose table rows are asked for sixteen data rows at once.
const TOGETHER: usize = 4;

/// Data rows of more fields whose table rows are asked for at once.
const BURST: usize = 4;

/// Table rows, by data row and field, of a block and of what comes behind it.
#[derive(Debug, Clone, Copy)]
pub struct RowIds<'a> {
    /// `[B …, F]` row-major; the table rows of data rows behind the block are asked for ahead.
    pub ids: &'a [GlobalId],
    /// F.
    pub fields: usize,
    /// The fields whose table rows are asked for ahead: those too many to stay in the cache.
    pub far: &'a [u32],
    /// B, at least 1; lanes behind the last row repeat it.
    pub rows: usize,
    /// What is read after the block, `[B, F]` or less: asked for meanwhile.
    pub later: &'a [u32],
}

impl RowIds<'_> {
    /// The largest id of the block's rows, all of which there are, as there are the far fields.
    #[inline(always)]
    fn largest(&self) -> u32 {
        let own = &self.ids[..self.rows * self.fields];
        assert!(!own.is_empty(), "rows to look up");
        assert!(
            self.far.iter().all(|field| (*field as usize) < self.fields),
            "far fields of {}",
            self.fields
        );
        own.iter().fold(0, |largest, id| largest.max(id.get()))
    }

    /// Data rows behind a block that are asked for ahead.
    pub fn ahead(fields: usize) -> usize {
        (AHEAD / fields + 1).clamp(BURST, LANES)
    }
}

/// A table `[V, W]`, its widths (W, J), what follows a sum over fields, and the sums `[J, R]`.
pub type Sums<'a> = (&'a [f32], (usize, usize), Ending<'a>, &'a mut [Lane]);

/// Rows of a table, each followed by its products with the weights of a layer.
#[derive(Debug)]
pub struct Joined<'a> {
    /// `[V, 32]`: sixteen values, and sixteen products.
    pub table: &'a [f32],
    /// ½ Σ_d[(Σ_f v)² − Σ_f v²] of the values `[1, R]`.
    pub terms: Option<&'a mut [Lane]>,
    /// The values brought together as they are `[F · 16, R]`.
    pub rows: Option<&'a mut [Lane]>,
    /// What follows the sums of the products.
    pub ending: Ending<'a>,
    /// J, at most 16.
    pub outputs: usize,
    /// The sum over fields of the first J products `[J, R]`.
    pub sums: &'a mut [Lane],
}

/// Two values per table row `[V, 2]`, and their sums `[1, R]` each.
pub type TwoValues<'a> = (&'a [[f32; 2]], &'a mut [Lane], &'a mut [Lane]);

/// Rows that ids name from the end of the tables on: the id of the first is the number of the tables' rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behind<'a> {
    /// Of the table of one value `[n]`.
    pub values: &'a [f32],
    /// Of that of rows `[n, W]`.
    pub rows: &'a [f32],
    /// Of that of sums `[n, W]`.
    pub sums: &'a [f32],
}

/// What is looked up for the fields of data rows, and where its sums go.
#[derive(Debug, Default)]
pub struct LookUps<'a> {
    /// What ids beyond the tables name; not with `both` or `joined`.
    pub behind: Option<Behind<'a>>,
    /// One value per table row `[V]`: the sum over fields `[1, R]`.
    pub values: Option<(&'a [f32], &'a mut [Lane])>,
    /// Two values per table row `[V, 2]`: the sums over fields `[1, R]` of the first ones and of the second ones.
    pub both: Option<TwoValues<'a>>,
    /// Rows `[V, W]`, W: ½ Σ_d[(Σ_f v)² − Σ_f v²] `[1, R]`.
    pub terms: Option<(&'a [f32], usize, &'a mut [Lane])>,
    /// Rows `[V, W]`, (W, J) and what follows: the sum over fields of the first J values `[J, R]`.
    pub sums: Option<Sums<'a>>,
    /// In place of `sums` and one or both of `terms` and `rows`, where one table holds what they look up; other rows are of
    /// sixteen values then.
    pub joined: Option<Joined<'a>>,
    /// Rows `[V, D]`, D: brought together as they are `[F · D, R]`.
    pub rows: Option<(&'a [f32], usize, &'a mut [Lane])>,
    /// Rows `[V, D]`, D: the products of the rows of two fields `[D, R]`.
    pub pairs: Option<(&'a [f32], usize, &'a mut [Lane])>,
}

impl LookUps<'_> {
    /// Lane groups of what is looked up for so many fields.
    fn groups(&self, fields: usize) -> usize {
        let groups = [
            self.values.as_ref().map(|(_, out)| out.len()),
            self.both.as_ref().map(|(_, out, _)| out.len()),
            self.terms.as_ref().map(|(.., out)| out.len()),
            self.sums.as_ref().map(|(_, (_, outputs), _, out)| out.len() / outputs),
            self.joined.as_ref().map(|joined| joined.sums.len() / joined.outputs),
            self.joined.as_ref().and_then(|joined| Some(joined.terms.as_ref()?.len())),
            self.joined.as_ref().and_then(|joined| Some(joined.rows.as_ref()?.len() / (fields * LANES))),
            self.rows.as_ref().map(|(_, width, out)| out.len() / (fields * width)),
            self.pairs.as_ref().map(|(_, width, out)| out.len() / width),
        ];
        let mut some = groups.into_iter().flatten();
        let first = some.next().unwrap_or(0);
        assert!(some.all(|groups| groups == first), "sums of as many rows");
        first
    }

    /// Widths of the rows: of terms, sums, rows and pairs.
    fn widths(&self) -> [usize; 4] {
        let width_of = |part: &Option<(&[f32], usize, _)>| part.as_ref().map_or(0, |(_, width, _)| *width);
        let sums = self.sums.as_ref().map_or(0, |(_, (width, _), ..)| *width);
        [width_of(&self.terms), sums, width_of(&self.rows), width_of(&self.pairs)]
    }

    /// Checks what the loops go by: whether there are rows behind the tables, and joined ones.
    fn check(&self, fields: usize, (behind, joined): (bool, bool)) {
        assert!(self.pairs.is_none() || fields == 2, "pairs of {fields} fields");
        let vectors = self.widths().iter().all(|width| width.is_multiple_of(LANES));
        assert!(vectors, "tables whose rows are whole vectors");
        let within = |(_, (width, outputs), ..): &Sums<'_>| outputs <= width;
        assert!(self.sums.as_ref().is_none_or(within), "outputs of the sums of table rows");
        assert!(
            !behind || self.both.is_none() && !joined,
            "two values, and joined rows, of tables' own rows"
        );
        let apart = self.terms.is_some() || self.sums.is_some();
        assert!(self.joined.is_some() == joined && !(joined && apart), "joined rows or others");
        let within = |joined: &Joined<'_>| joined.outputs <= LANES;
        assert!(self.joined.as_ref().is_none_or(within), "outputs of the sums of joined rows");
    }

    /// Whether all rows are one vector.
    fn one_vector(&self) -> bool {
        self.widths().into_iter().all(|width| matches!(width, 0 | LANES))
    }
}

/// The table rows of a block's data rows; those of rows behind it are asked for ahead.
#[derive(Clone, Copy)]
struct Block<'a> {
    ids: &'a [u32],
    fields: usize,
    far: &'a [u32],
    rows: usize,
    ahead: usize,
    later: &'a [u32],
}

impl<'a> Block<'a> {
    #[inline(always)]
    fn row(&self, row: usize) -> Row<'a> {
        let start = row.min(self.rows - 1) * self.fields;
        debug_assert!(start + self.fields <= self.ids.len(), "a row of the block");
        // SAFETY: `look_up` has checked that there are ids for all rows of the block.
        Row(unsafe { self.ids.get_unchecked(start..start + self.fields) })
    }

    /// Asks for the table rows of so many data rows further on.
    #[inline(always)]
    fn ask<const ONE: bool>(&self, row: usize, rows: usize, looked: &LookUps<'_>) {
        let from = ((row + self.ahead) * self.fields).min(self.ids.len());
        let next = &self.ids[from..self.ids.len().min(from + rows * self.fields)];
        let (lines, _) = self.later.as_chunks::<LANES>();
        let of = |row: usize| (row * self.fields / LANES).min(lines.len());
        for line in &lines[of(row)..of(row + rows)] {
            fetch::<{ cache::SECOND }, _>(line, 0, LANES);
        }
        let width = |width: usize| if ONE { LANES } else { width };
        if let Some((table, _)) = &looked.values {
            self.ask_table(next, table, 1);
        }
        if let Some((table, ..)) = &looked.both {
            self.ask_table(next, table.as_flattened(), 2);
        }
        if let Some((table, of, _)) = &looked.terms {
            self.ask_table(next, table, width(*of));
        }
        for (table, of, _) in looked.rows.iter().chain(&looked.pairs) {
            self.ask_table(next, table, width(*of));
        }
        if let Some(joined) = &looked.joined {
            self.ask_table(next, joined.table, 2 * LANES);
        }
        if let Some((table, (of, _), ..)) = &looked.sums {
            self.ask_table(next, table, width(*of));
        }
    }

    #[inline(always)]
    fn ask_table(&self, next: &[u32], table: &[f32], width: usize) {
        if self.far.len() == self.fields {
            for &id in next {
                fetch::<{ cache::SECOND }, _>(table, id as usize, width);
            }
            return;
        }
        let mut start = 0;
        while start + self.fields <= next.len() {
            for &field in self.far {
                // SAFETY: `look_up` has checked that far fields are fields, and a data row has an id for each.
                let id = unsafe { *next.get_unchecked(start + field as usize) };
                fetch::<{ cache::SECOND }, _>(table, id as usize, width);
            }
            start += self.fields;
        }
    }

    /// The trees of sixteen rows' fields; what the rows behind need is asked for meanwhile.
    #[inline(always)]
    fn trees<L: Lanes, const N: usize, const ONE: bool>(
        &self,
        leaf: &impl Leaf<L, N>,
        (g, ask): (usize, Option<&LookUps<'_>>),
        stack: &mut [[L; N]],
        mut each: impl FnMut(usize, [L; N]),
    ) {
        // Only so many table rows can be on their way.
        let burst = if self.fields <= TOGETHER { LANES } else { BURST };
        for r in 0..LANES {
            let at = g * LANES + r;
            if let Some(looked) = ask.filter(|_| r.is_multiple_of(burst)) {
                self.ask::<ONE>(at, burst, looked);
            }
            each(r, tree(leaf, self.row(at), self.fields, stack));
        }
    }

    /// The rows of one lane group.
    #[inline(always)]
    fn rows<L: Lanes>(&self, table: impl Lined, (g, groups): (usize, usize), out: &mut [Lane]) {
        let width = table.width();
        let mut rows = [self.row(g * LANES); LANES];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = self.row(g * LANES + r);
        }
        for field in 0..self.fields {
            for column in (0..width).step_by(LANES) {
                let mut lanes = [table.lane(rows[0], field, column); LANES];
                for (lane, row) in lanes.iter_mut().zip(rows) {
                    *lane = table.lane(row, field, column);
                }
                let columns = L::columns(lanes);
                for (i, lane) in columns.into_iter().enumerate() {
                    lane.store(&mut out[(field * width + column + i) * groups + g]);
                }
            }
        }
    }

    /// The products of the rows of two fields, of one lane group.
    #[inline(always)]
    fn pairs<L: Lanes, const BEHIND: bool, const ONE: bool>(
        &self,
        table: Rows<'_, BEHIND, ONE>,
        (g, groups): (usize, usize),
        out: &mut [Lane],
    ) {
        let mut tile = [[0.0f32; LANES]; LANES];
        for column in (0..table.width()).step_by(LANES) {
            let part = Part { rows: table, column };
            for (r, lane) in tile.iter_mut().enumerate() {
                let row = self.row(g * LANES + r);
                part.load::<L>(row, 0).mul(part.load(row, 1)).store(lane);
            }
            for (i, lane) in L::columns(tile.each_ref()).into_iter().enumerate() {
                lane.store(&mut out[(column + i) * groups + g]);
            }
        }
    }

    /// The tree over the fields of what a lane group's rows have for each.
    #[inline(always)]
    fn group<L: Lanes, C: Column<L, N>, const N: usize>(
        &self,
        column: C,
        g: usize,
        stack: &mut [[L; N]],
    ) -> [L; N] {
        let Self { ids, fields, rows, .. } = *self;
        let first = (g * LANES).min(rows - 1);
        let whole = first + LANES <= rows;
        let group = &ids[first * fields..];
        let mut starts = [0; LANES];
        for (r, start) in starts.iter_mut().enumerate() {
            *start = r.min(rows - 1 - first) * fields;
        }
        if whole {
            tree(&Group::<_, true> { column, ids: group, fields, starts }, self.row(first), fields, stack)
        } else {
            tree(&Group::<_, false> { column, ids: group, fields, starts }, self.row(first), fields, stack)
        }
    }

    /// The sums over fields of two values each, of one lane group.
    #[inline(always)]
    fn both<L: Lanes>(
        &self,
        table: &[[f32; 2]],
        g: usize,
        stack: &mut [[L; 2]],
        [first, second]: [&mut Lane; 2],
    ) {
        let [low, high] = self.group(TwoValuesOf(table), g, stack);
        let mut sums = [[0.0; LANES]; 2];
        low.store(&mut sums[0]);
        high.store(&mut sums[1]);
        let (pairs, _) = sums.as_flattened().as_chunks::<2>();
        for (r, pair) in pairs.iter().enumerate() {
            [first[r], second[r]] = *pair;
        }
    }
}

/// A row's (Σ v)² − Σ v² of sixteen columns, added to those of others.
#[inline(always)]
fn add_term<L: Lanes>(first: bool, sum: L, squares: L, to: &mut Lane) {
    let term = sum.mul(sum).sub(squares);
    let term = if first { term } else { L::load(to).add(term) };
    term.store(to);
}

/// ½ the sum over a dimension of what sixteen rows have in sixteen lanes.
#[inline(always)]
fn half_sums<L: Lanes>(tile: &mut [Lane; LANES]) -> L {
    L::transpose(tile);
    let mut nodes = [L::load(&tile[0]); LANES];
    for (node, lane) in nodes.iter_mut().zip(&*tile) {
        *node = L::load(lane);
    }
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for i in 0..count {
            nodes[i] = nodes[2 * i].add(nodes[2 * i + 1]);
        }
    }
    L::splat(0.5).mul(nodes[0])
}

/// Ends the sums of up to sixteen outputs, those of sixteen rows.
#[inline(always)]
fn end_sums<L: Lanes>(
    sums: &mut [Lane; LANES],
    ending: Ending<'_>,
    outputs: std::ops::Range<usize>,
    (g, groups): (usize, usize),
    out: &mut [Lane],
) {
    L::transpose(sums);
    for (lane, j) in sums.iter().zip(outputs) {
        end(L::load(lane), ending, j).store(&mut out[j * groups + g]);
    }
}

// Each shape of what is looked up is a function of its own, whose loops have the registers to themselves. The number of fields is
// known to the loops where it is two, and the width of rows where it is one vector; a stack holds subtrees of eight fields, or of
// one value.

#[inline(always)]
fn of_two_fields<L: Lanes>(rows: RowIds<'_>, looked: LookUps<'_>) {
    let two = RowIds { fields: 2, ..rows };
    match looked.behind {
        Some(behind) => with_fields::<L, 2, true, true, false>(two, looked, behind),
        None if looked.joined.is_some() => {
            with_fields::<L, 2, false, true, true>(two, looked, Behind::default());
        }
        None => with_fields::<L, 2, false, true, false>(two, looked, Behind::default()),
    }
}

#[inline(always)]
fn of_vectors<L: Lanes>(rows: RowIds<'_>, looked: LookUps<'_>) {
    with_fields::<L, 7, false, true, false>(rows, looked, Behind::default());
}

#[inline(always)]
fn of_joined<L: Lanes>(rows: RowIds<'_>, looked: LookUps<'_>) {
    with_fields::<L, 28, false, true, true>(rows, looked, Behind::default());
}

#[inline(always)]
fn of_any<L: Lanes>(rows: RowIds<'_>, looked: LookUps<'_>) {
    match (looked.one_vector(), looked.behind) {
        (_, None) => with_fields::<L, 28, false, false, false>(rows, looked, Behind::default()),
        (true, Some(behind)) => with_fields::<L, 28, true, true, false>(rows, looked, behind),
        (false, Some(behind)) => with_fields::<L, 28, true, false, false>(rows, looked, behind),
    }
}

#[inline(always)]
fn with_fields<L: Lanes, const DEPTH: usize, const BEHIND: bool, const ONE: bool, const JOINED: bool>(
    rows: RowIds<'_>,
    mut looked: LookUps<'_>,
    behind: Behind<'_>,
) {
    let groups = looked.groups(rows.fields);
    looked.check(rows.fields, (BEHIND, JOINED));
    let [term_width, ..] = looked.widths();
    let outputs = looked.sums.as_ref().map_or(0, |(_, (_, outputs), ..)| *outputs);
    let mut one = [[L::splat(0.0)]; DEPTH];
    let mut two = [[L::splat(0.0); 2]; DEPTH];
    let mut three = [[L::splat(0.0); 3]; DEPTH];
    let (mut terms, mut sums) = ([[0.0f32; LANES]; LANES], [[0.0f32; LANES]; LANES]);
    let columns = term_width.max(outputs.next_multiple_of(LANES));
    let RowIds { ids, fields, far, rows: count, later } = rows;
    let ids = GlobalId::numbers(ids);
    let largest = rows.largest();
    let of = |table, width, behind| {
        let rows = Rows::<BEHIND, ONE>::new(table, width, behind);
        rows.check(largest);
        rows
    };
    let one_value = looked.values.as_ref().map(|(table, _)| {
        let rows = Rows::<BEHIND, false>::new(table, 1, behind.values);
        rows.check(largest);
        rows
    });
    let terms_of = looked.terms.as_ref().map(|(table, width, _)| of(table, *width, behind.rows));
    let rows_of = looked.rows.as_ref().map(|(table, width, _)| of(table, *width, behind.rows));
    let pairs_of = looked.pairs.as_ref().map(|(table, width, _)| of(table, *width, behind.rows));
    let sums_of = looked.sums.as_ref().map(|(table, (width, _), ..)| of(table, *width, behind.sums));
    // Known to the loops: joined rows, or terms and sums.
    let joined_of = looked.joined.as_ref().filter(|_| JOINED);
    let joined_of = joined_of.map(|joined| JoinedRows::new(joined.table, largest));
    let joined_terms = looked.joined.as_ref().is_some_and(|joined| joined.terms.is_some());
    if let Some((table, ..)) = &looked.both {
        Rows::<false, false>::new(table.as_flattened(), 2, &[]).check(largest);
    }
    let block = Block { ids, fields, far, rows: count, ahead: RowIds::ahead(fields), later };
    for g in 0..groups {
        for column in (0..columns.max(1)).step_by(LANES) {
            let at = (g, (column == 0).then_some(&looked));
            let rows = terms_of.filter(|_| !JOINED && column < term_width).map(|rows| Part { rows, column });
            let products = sums_of.filter(|_| !JOINED && column < outputs).map(|rows| Part { rows, column });
            match (joined_of, rows, products) {
                (Some(joined), ..) if !joined_terms => {
                    block.trees::<_, _, ONE>(&joined, at, &mut one, |r, [product]| {
                        product.store(&mut sums[r]);
                    });
                }
                (Some(joined), ..) => {
                    block.trees::<_, _, ONE>(&joined, at, &mut three, |r, [sum, squares, product]| {
                        add_term(true, sum, squares, &mut terms[r]);
                        product.store(&mut sums[r]);
                    });
                }
                (None, Some(rows), Some(products)) => {
                    let leaf = Both(rows, products);
                    block.trees::<_, _, ONE>(&leaf, at, &mut three, |r, [sum, squares, product]| {
                        add_term(column == 0, sum, squares, &mut terms[r]);
                        product.store(&mut sums[r]);
                    });
                }
                (None, Some(rows), None) => {
                    let leaf = ValuesAndSquares(rows);
                    block.trees::<_, _, ONE>(&leaf, at, &mut two, |r, [sum, squares]| {
                        add_term(column == 0, sum, squares, &mut terms[r]);
                    });
                }
                (None, None, Some(products)) => {
                    block.trees::<_, _, ONE>(&Values(products), at, &mut one, |r, [product]| {
                        product.store(&mut sums[r]);
                    });
                }
                (None, None, None) => block.ask::<ONE>(g * LANES, LANES, &looked),
            }
            if let Some((.., (_, outputs), ending, out)) = looked.sums.as_mut().filter(|_| column < outputs) {
                end_sums::<L>(&mut sums, *ending, column..*outputs, (g, groups), out);
            }
        }
        if let (Some(table), Some(joined)) = (joined_of, &mut looked.joined) {
            end_sums::<L>(&mut sums, joined.ending, 0..joined.outputs, (g, groups), joined.sums);
            if let Some(out) = &mut joined.terms {
                half_sums::<L>(&mut terms).store(&mut out[g]);
            }
            if let Some(out) = &mut joined.rows {
                block.rows::<L>(table, (g, groups), out);
            }
        }
        if let Some((.., out)) = &mut looked.terms {
            half_sums::<L>(&mut terms).store(&mut out[g]);
        }
        if let (Some(table), Some((.., out))) = (rows_of, &mut looked.rows) {
            block.rows::<L>(table, (g, groups), out);
        }
        if let (Some(table), Some((.., out))) = (pairs_of, &mut looked.pairs) {
            block.pairs::<L, BEHIND, ONE>(table, (g, groups), out);
        }
        if let (Some(table), Some((_, out))) = (one_value, &mut looked.values) {
            let [sum] = block.group(ValueOf(table), g, &mut one);
            L::store(sum, &mut out[g]);
        }
        if let Some((table, first, second)) = &mut looked.both {
            block.both::<L>(table, g, &mut two, [&mut first[g], &mut second[g]]);
        }
    }
}

/// index + offset, and whether an index reaches its field's dim.
#[inline(always)]
fn row_ids<L: Lanes>(
    indices: &[u32],
    (offsets, dims): (&[GlobalId], &[u32]),
    ids: &mut [GlobalId],
    outside: &mut bool,
) {
    let (offsets, ids) = (GlobalId::numbers(offsets), GlobalId::numbers_mut(ids));
    let mut any = 0;
    for (indices, ids) in indices.chunks(dims.len()).zip(ids.chunks_mut(dims.len())) {
        for (((index, id), offset), dim) in indices.iter().zip(ids).zip(offsets).zip(dims) {
            *id = index.wrapping_add(*offset);
            any |= u32::from(index >= dim);
        }
    }
    *outside |= any != 0;
}

kernels! {
    /// The table rows that indices name, in a table of all fields, and whether an index is not below the dim of its field.
    ///
    /// # Shapes
    /// `indices`, `ids` `[B, F]` row-major; `fields` = (offsets, dims) `[n, F]`: those of the fields, n times, for the length of
    /// the loop.
    pub fn row_ids(
        indices: &[u32], fields: (&[GlobalId], &[u32]), ids: &mut [GlobalId], outside: &mut bool,
    ) = row_ids;

    fn look_up_of_two_fields(rows: RowIds<'_>, looked: LookUps<'_>) = of_two_fields;
    fn look_up_of_vectors(rows: RowIds<'_>, looked: LookUps<'_>) = of_vectors;
    fn look_up_of_joined(rows: RowIds<'_>, looked: LookUps<'_>) = of_joined;
    fn look_up_of_any(rows: RowIds<'_>, looked: LookUps<'_>) = of_any;
}

impl Kernels {
    /// Sums over the fields of what they look up in tables of all fields.
    ///
    /// # Shapes
    /// As [`LookUps`] and [`RowIds`] say; widths of rows are multiples of 16.
    ///
    /// # Numerics
    /// Bit for bit as [`Kernels::field_sum`](crate::Kernels::field_sum) and
    /// [`Kernels::factorisation`](crate::Kernels::factorisation) of the gathered rows; where a table holds each field's products,
    /// the sums are [`Kernels::field_layer`](crate::Kernels::field_layer).
    ///
    /// # Panics
    /// If an id is outside a table, or a shape is another.
    pub fn look_up(self, rows: RowIds<'_>, looked: LookUps<'_>) {
        match rows.fields {
            2 if looked.one_vector() => self.look_up_of_two_fields(rows, looked),
            _ if looked.joined.is_some() => self.look_up_of_joined(rows, looked),
            0..128 if looked.one_vector() && looked.behind.is_none() => self.look_up_of_vectors(rows, looked),
            _ => self.look_up_of_any(rows, looked),
        }
    }
}
