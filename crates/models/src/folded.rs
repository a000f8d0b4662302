//! A linear layer over fields, folded into the table that it reads: every table row's product with its field's weights.

use radhard_kernels::{GlobalId, Kernels, LANES, Lane, Table};
use radhard_memory::Buffer;
use rayon::prelude::*;

use crate::column::{Column, Sourced};
use crate::graph::Graph;
use crate::layers::Weights;
use crate::layers::linear::Linear;
use crate::looked_up::rows_of;
use crate::scores::BLOCK;
use crate::table::TableId;

/// Widest row of a table whose product with a row of weights is one chain.
const WIDEST: usize = radhard_kernels::plain::CHAIN;

/// Fewest outputs of a layer for which products are worked out.
pub(crate) const FEWEST: usize = 8;

/// Lookups per table row from which on the products of all table rows pay.
const LOOKUPS_PER_ROW: usize = 2;

/// Table rows of one task.
const TASK: usize = 1024;

/// Every table row's product with the layer's weights for its field.
pub(crate) struct Folded<'h> {
    pub(crate) width: usize,
    /// `[V, W]`, or behind the rows that they are of `[V, D + W]`.
    pub(crate) products: Buffer<f32>,
    /// The table whose rows stand there too, so that they are looked up with the sums.
    pub(crate) joined: Option<TableId>,
    /// What each table row adds to the total of the outputs, where this is checked.
    pub(crate) column: Option<Column<'h>>,
}

/// The weights `[J, K]` of a layer by input, `[K, W]`, with zeros behind the outputs.
pub(crate) fn columns(weights: &[f32], inputs: usize, width: usize) -> Vec<f32> {
    let mut columns = vec![0.0; inputs * width];
    for (j, row) in weights.chunks_exact(inputs).enumerate() {
        for (column, &weight) in columns.chunks_exact_mut(width).zip(row) {
            column[j] = weight;
        }
    }
    columns
}

/// The products of all table rows, where the rows look up enough of them; with a check column where there is a checksum.
pub(crate) fn fold<'h>(
    graph: &Graph,
    weights: Weights<'_>,
    kernels: Kernels,
    (linear, checksum, beside, joined): (&Linear, Option<Sourced<'h>>, Option<&[f32]>, Option<TableId>),
    rows: usize,
) -> Option<Folded<'h>> {
    let fields = linear.fields?;
    let (table, dim) = rows_of(graph, linear.input)?;
    let table_rows = graph.config().table_rows();
    if dim > WIDEST || linear.outputs < FEWEST || rows.saturating_mul(fields) < LOOKUPS_PER_ROW * table_rows {
        return None;
    }
    let width = linear.outputs.next_multiple_of(LANES);
    let matrix = weights.f32s(linear.weight);
    let mut column = None;
    if let Some((checksum, from)) = checksum {
        let bias = linear.bias.map_or(&[][..], |bias| weights.f32s(bias));
        let room = |width| graph.spare(table_rows * width);
        column = Some(Column::new(checksum, (matrix, bias), fields, from, room)?);
    }
    let by_input = columns(matrix, linear.inputs, width);
    let table = weights.table(table);
    let stride = width + joined.map_or(0, |_| dim);
    let mut products = graph.spare(table_rows * stride);
    let scratch = || {
        (
            vec![GlobalId::FIRST; BLOCK],
            Buffer::<Lane>::zeroed(dim * BLOCK / LANES),
            [[0.0; LANES]; BLOCK / LANES],
        )
    };
    let (mut checked, mut parts) = (None, Vec::new());
    if let Some((values, width, sums)) = column.as_mut().and_then(Column::table_mut) {
        checked = Some((sums, width));
        parts.extend(values.chunks_mut(TASK * width));
    }
    // Each task's part of the column, empty where there is none.
    parts.resize_with(table_rows.div_ceil(TASK), || &mut [][..]);
    let tasks = products.par_chunks_mut(TASK * stride).zip(parts.par_iter_mut()).enumerate();
    tasks.for_each_init(scratch, |(ids, values, own), (task, (mut out, checks))| {
        let mut first = task * TASK;
        while !out.is_empty() {
            // As many rows as are left in the field.
            let field = graph.offsets().partition_point(|offset| offset.index() <= first) - 1;
            let end = graph.offsets().get(field + 1).map_or(table_rows, |next| next.index());
            let count = (end - first).min(out.len() / stride);
            let (now, rest) = out.split_at_mut(count * stride);
            let weights = &by_input[field * dim * width..(field + 1) * dim * width];
            match table {
                Table::F32(words) if joined.is_some() => {
                    let rows = &words[first * dim..(first + count) * dim];
                    kernels.rows_and_products(rows, dim, weights, width, now);
                }
                _ => kernels.row_products(table, (first, dim), weights, width, now),
            }
            if let Some((sums, width)) = checked {
                let sums = &sums[field * dim..(field + 1) * dim];
                for start in (first..first + count).step_by(BLOCK) {
                    let count = BLOCK.min(first + count - start);
                    for (i, id) in ids.iter_mut().enumerate() {
                        *id = GlobalId::new((start + i.min(count - 1)) as u32);
                    }
                    kernels.gather(table, ids, GlobalId::FIRST, dim, values);
                    kernels.check_values(sums, values, own);
                    let at = start - task * TASK;
                    let to = checks[at * width..(at + count) * width].chunks_exact_mut(width);
                    for (i, (to, check)) in to.zip(own.as_flattened()).enumerate() {
                        if let Some(firsts) = beside {
                            to[0] = firsts[start + i];
                        }
                        to[width - 1] = *check;
                    }
                }
            }
            (first, out) = (first + count, rest);
        }
    });
    Some(Folded { width, products, joined, column })
}
