//! Sums over fields straight from a table, without a gathered block between.
//!
//! A vector holds sixteen neighbouring values of one table row here; sixteen finished data rows are turned into lanes at
//! the end. Each value meets the operations of the feature-major kernels in their order.

use crate::Ending;
use crate::gather::fetch;
use crate::lanes::{LANES, Lane, Lanes};
use crate::linear::{end, push, root};

/// Levels of a stack of subtrees of eight fields.
const DEPTH: usize = 28;

/// Table rows that are asked for ahead of the sums.
const AHEAD: usize = 96;

/// Vectors of one field of one data row.
trait Leaf<L: Lanes, const N: usize> {
    fn at(&self, field: usize) -> [L; N];
}

/// One data row's table rows: the value from `column` on.
struct Row<'a> {
    table: &'a [f32],
    width: usize,
    column: usize,
    offsets: &'a [u32],
    indices: &'a [u32],
}

impl Row<'_> {
    #[inline(always)]
    fn load<L: Lanes>(&self, field: usize) -> L {
        let row = (self.offsets[field] + self.indices[field]) as usize;
        let start = row * self.width + self.column;
        let lane: &Lane = self.table[start..start + LANES].try_into().expect("the slice has this length");
        L::load(lane)
    }
}

struct Values<'a>(Row<'a>);

impl<L: Lanes> Leaf<L, 1> for Values<'_> {
    #[inline(always)]
    fn at(&self, field: usize) -> [L; 1] {
        [self.0.load(field)]
    }
}

struct ValuesAndSquares<'a>(Row<'a>);

impl<L: Lanes> Leaf<L, 2> for ValuesAndSquares<'_> {
    #[inline(always)]
    fn at(&self, field: usize) -> [L; 2] {
        let x = self.0.load::<L>(field);
        [x, x.mul(x)]
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
fn pair<L: Lanes, const N: usize>(leaf: &impl Leaf<L, N>, f: usize) -> [L; N] {
    add(leaf.at(f), leaf.at(f + 1))
}

#[inline(always)]
fn four<L: Lanes, const N: usize>(leaf: &impl Leaf<L, N>, f: usize) -> [L; N] {
    add(pair(leaf, f), pair(leaf, f + 2))
}

/// The tree of the fields, subtrees of eight at a time.
#[inline(always)]
fn tree<L: Lanes, const N: usize>(
    leaf: &impl Leaf<L, N>,
    fields: usize,
    stack: &mut [[L; N]; DEPTH],
) -> [L; N] {
    let (eights, rest) = (fields / 8, fields % 8);
    for e in 0..eights {
        push(stack, e, add(four(leaf, 8 * e), four(leaf, 8 * e + 4)));
    }
    // The last, smaller subtrees, from the right.
    let mut last = if rest & 1 == 1 { Some(leaf.at(fields - 1)) } else { None };
    if rest & 2 == 2 {
        let two = pair(leaf, 8 * eights + (rest & 4));
        last = Some(last.map_or(two, |last| add(two, last)));
    }
    if rest & 4 == 4 {
        let four = four(leaf, 8 * eights);
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

/// The indices of a block's data rows; those behind them are asked for ahead.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) offsets: &'a [u32],
    pub(crate) indices: &'a [u32],
    pub(crate) rows: usize,
}

impl<'a> Block<'a> {
    #[inline(always)]
    fn row(&self, row: usize) -> &'a [u32] {
        let (fields, row) = (self.offsets.len(), row.min(self.rows - 1));
        &self.indices[row * fields..(row + 1) * fields]
    }

    /// Asks for the table rows of a data row further on.
    #[inline(always)]
    pub(crate) fn ask(&self, table: &[f32], width: usize, row: usize) {
        let fields = self.offsets.len();
        let from = (row + AHEAD / fields + 1) * fields;
        if let Some(next) = self.indices.get(from..from + fields) {
            for (offset, index) in self.offsets.iter().zip(next) {
                fetch(table, offset.wrapping_add(*index) as usize, width);
            }
        }
    }
}

#[inline(always)]
fn row_sums<L: Lanes>(
    table: &[f32],
    (width, outputs): (usize, usize),
    (offsets, indices, rows): (&[u32], &[u32], usize),
    ending: Ending<'_>,
    out: &mut [Lane],
) {
    let block = Block { offsets, indices, rows };
    let groups = out.len() / outputs;
    assert!(width % LANES == 0 && outputs <= width, "outputs of the sums of table rows");
    let mut stack = [[L::splat(0.0)]; DEPTH];
    let mut tile = [[0.0f32; LANES]; LANES];
    for g in 0..groups {
        for column in (0..outputs).step_by(LANES) {
            for (r, lane) in tile.iter_mut().enumerate() {
                let row = g * LANES + r;
                if column == 0 {
                    block.ask(table, width, row);
                }
                let row = Row { table, width, column, offsets, indices: block.row(row) };
                let [sum] = tree::<L, 1>(&Values(row), offsets.len(), &mut stack);
                sum.store(lane);
            }
            L::transpose(&mut tile);
            for (i, lane) in tile.iter().enumerate().take(outputs - column) {
                let j = column + i;
                end(L::load(lane), ending, j).store(&mut out[j * groups + g]);
            }
        }
    }
}

#[inline(always)]
fn row_factorisation<L: Lanes>(
    table: &[f32],
    width: usize,
    (offsets, indices, rows): (&[u32], &[u32], usize),
    out: &mut [Lane],
) {
    assert_eq!(width % LANES, 0, "width of a table row");
    let block = Block { offsets, indices, rows };
    let half = L::splat(0.5);
    let mut stack = [[L::splat(0.0); 2]; DEPTH];
    let mut tile = [[0.0f32; LANES]; LANES];
    for (g, out) in out.iter_mut().enumerate() {
        for (r, lane) in tile.iter_mut().enumerate() {
            let row = g * LANES + r;
            block.ask(table, width, row);
            let mut terms = L::splat(0.0);
            for column in (0..width).step_by(LANES) {
                let row = Row { table, width, column, offsets, indices: block.row(row) };
                let [sum, squares] = tree::<L, 2>(&ValuesAndSquares(row), offsets.len(), &mut stack);
                let term = sum.mul(sum).sub(squares);
                terms = if column == 0 { term } else { terms.add(term) };
            }
            terms.store(lane);
        }
        L::transpose(&mut tile);
        let mut nodes = [L::splat(0.0); LANES];
        for (node, lane) in nodes.iter_mut().zip(&tile) {
            *node = L::load(lane);
        }
        let mut count = LANES;
        while count > 1 {
            count /= 2;
            for i in 0..count {
                nodes[i] = nodes[2 * i].add(nodes[2 * i + 1]);
            }
        }
        half.mul(nodes[0]).store(out);
    }
}

/// Whether an index of a row reaches its field's dim.
#[inline(always)]
fn outside<L: Lanes>(indices: &[u32], dims: &[u32], found: &mut bool) {
    let mut any = 0;
    for indices in indices.chunks(dims.len()) {
        for (index, dim) in indices.iter().zip(dims) {
            any |= u32::from(index >= dim);
        }
    }
    *found |= any != 0;
}

kernels! {
    /// Whether an index is not below the dim of its field.
    ///
    /// # Shapes
    /// `indices` `[B, F]` row-major, `dims` `[n, F]`: the fields' dims, n times, for the length of the loop.
    pub fn outside(indices: &[u32], dims: &[u32], found: &mut bool) = outside;

    /// The sum over fields of rows of one table of all fields, and what follows it.
    ///
    /// # Shapes
    /// `table` `[V, W]`; `widths` = (W, J), W a multiple of 16 that is at least J; `rows` = (offsets `[F]`, indices `[B …, F]`
    /// row-major, 1 ≤ B ≤ R): indices behind the block's are asked for ahead; `out` `[J, R]`.
    ///
    /// # Numerics
    /// As [`Kernels::field_layer`](crate::Kernels::field_layer), where the table holds each field's products.
    ///
    /// # Panics
    /// If an index is outside the table, or a shape is another.
    pub fn row_sums(
        table: &[f32], widths: (usize, usize), rows: (&[u32], &[u32], usize), ending: Ending<'_>, out: &mut [Lane],
    ) = row_sums;

    /// ½ Σ_d[(Σ_f v)² − Σ_f v²] of rows of one table of all fields.
    ///
    /// # Shapes
    /// `table` `[V, width]`, width a multiple of 16; `rows` as in [`Kernels::row_sums`](crate::Kernels::row_sums);
    /// `out` `[1, R]`.
    ///
    /// # Numerics
    /// As [`Kernels::factorisation`](crate::Kernels::factorisation) of the gathered rows.
    ///
    /// # Panics
    /// If an index is outside the table.
    pub fn row_factorisation(table: &[f32], width: usize, rows: (&[u32], &[u32], usize), out: &mut [Lane])
        = row_factorisation;
}

#[cfg(test)]
mod tests {
    use crate::{Ending, Kernels, LANES, Path, Table};

    #[test]
    fn sums_straight_from_a_table_are_those_of_a_gathered_block() {
        for fields in [1usize, 2, 3, 7, 8, 9, 13, 24, 39, 47] {
            for (width, outputs, rows) in [(16, 16, 16), (16, 5, 40), (32, 32, 33), (48, 40, 64)] {
                let dims: Vec<u32> = (0..fields as u32).map(|f| 3 + f * 7 % 11).collect();
                let offsets: Vec<u32> = (0..fields).map(|f| dims[..f].iter().sum()).collect();
                let total = dims.iter().sum::<u32>() as usize;
                let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -0.0, 3e38, -3e38, 1.9e19];
                let table: Vec<f32> = (0..total * width)
                    .map(|i| match i % 997 {
                        n @ 0..8 if fields > 7 => special[n],
                        _ => (i * 37 % 101) as f32 / 7.0 - 5.0,
                    })
                    .collect();
                let index = |row: usize, f: usize| (row as u32 * 31 + f as u32 * 17) % dims[f];
                let more = 20;
                let indices: Vec<u32> = (0..rows + more)
                    .flat_map(|row| (0..fields).map(move |f| (row, f)))
                    .map(|(row, f)| index(row, f))
                    .collect();
                let block = rows.div_ceil(LANES) * LANES;
                let ids: Vec<u32> = (0..fields)
                    .flat_map(|f| (0..block).map(move |row| (row, f)))
                    .map(|(row, f)| offsets[f] + index(row.min(rows - 1), f))
                    .collect();
                let groups = block / LANES;
                let (alpha, beta) = (vec![-1.5; outputs], vec![0.25; outputs]);
                let bias: Vec<f32> = (0..outputs).map(|j| j as f32 / 3.0).collect();
                for &path in Path::available() {
                    let kernels = Kernels::on(path).unwrap();
                    let mut gathered = vec![[0.0; LANES]; width * fields * groups];
                    for (ids, out) in ids.chunks_exact(block).zip(gathered.chunks_exact_mut(width * groups)) {
                        kernels.gather(Table::F32(&table), ids, 0, width, out);
                    }
                    let all = (&offsets[..], &indices[..], rows);
                    let (mut expected, mut found) =
                        (vec![[0.0; LANES]; outputs * groups], vec![[9.0; LANES]; outputs * groups]);
                    for j in 0..outputs {
                        let column: Vec<_> = (0..fields)
                            .flat_map(|f| &gathered[(f * width + j) * groups..(f * width + j + 1) * groups])
                            .copied()
                            .collect();
                        let mut sum = vec![[0.0; LANES]; groups];
                        kernels.field_sum(&column, &mut sum);
                        kernels.add_number(&sum, bias[j], &mut expected[j * groups..(j + 1) * groups]);
                    }
                    let mut scaled = expected.clone();
                    kernels.affine(&alpha, &beta, &expected, &mut scaled);
                    let mut rectified = scaled.clone();
                    kernels.relu(&scaled, &mut rectified);
                    let same = |what: &str, found: &[[f32; LANES]], expected: &[[f32; LANES]]| {
                        for (f, e) in found.as_flattened().iter().zip(expected.as_flattened()) {
                            let nan = f.is_nan() && e.is_nan();
                            assert!(nan || f.to_bits() == e.to_bits(), "{what} of {fields} on {path}");
                        }
                    };
                    let ending = Ending { bias: &bias, ..Ending::default() };
                    kernels.row_sums(&table, (width, outputs), all, ending, &mut found);
                    same("sums", &found, &expected);
                    let ending = Ending { bias: &bias, scale: Some((&alpha, &beta)), rectify: true };
                    kernels.row_sums(&table, (width, outputs), all, ending, &mut found);
                    same("rectified sums", &found, &rectified);
                    let (mut expected, mut found) = (vec![[0.0; LANES]; groups], vec![[9.0; LANES]; groups]);
                    kernels.factorisation(&gathered, fields, &mut expected);
                    kernels.row_factorisation(&table, width, all, &mut found);
                    same("factorisation", &found, &expected);
                }
            }
        }
    }
}
