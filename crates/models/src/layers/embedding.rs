//! Embedding rows, looked up per field and concatenated.

use std::ops::Range;

use radhard_kernels::{GlobalId, LANES};

use crate::graph::Slot;
use crate::hook::{LookupResult, LookupSite};
use crate::layers::{GATHER_NS, Gradients, Known, Layer, Scope, Ties, Values};
use crate::table::TableId;

/// The rows of some fields from one table, one after the other.
pub(crate) struct Embedding {
    pub(crate) table: TableId,
    /// The fields that the table holds.
    pub(crate) fields: Range<usize>,
    /// The id of the table's first row.
    pub(crate) first: GlobalId,
    pub(crate) dim: usize,
    pub(crate) output: Slot,
}

impl Layer for Embedding {
    fn ties(&self) -> Ties {
        Ties { writes: vec![self.output], cost: GATHER_NS * self.fields.len() as f64, ..Ties::default() }
    }

    fn known(&self) -> Known<'_> {
        Known::Embedding(self)
    }

    fn lookup(&self) -> Option<LookupSite> {
        Some(LookupSite {
            layer: 0,
            table: self.table.first,
            width: self.dim,
            fields: self.fields.clone(),
            first: self.first,
            gives: LookupResult::Rows,
        })
    }

    fn gathered(&self) -> Option<Slot> {
        Some(self.output)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let table = scope.weights.table(self.table);
        let groups = values.groups();
        let rows = groups * LANES;
        let ids = &scope.ids[self.fields.start * rows..self.fields.end * rows];
        let out = values.get_mut(self.output);
        for first in ids.chunks_exact(rows).take(2) {
            scope.kernels.prefetch(table, first, self.first, self.dim);
        }
        let fields = ids.chunks_exact(rows).zip(out.chunks_exact_mut(self.dim * groups));
        for (f, (now, out)) in fields.enumerate() {
            if let Some(ahead) = ids.get((f + 2) * rows..(f + 3) * rows) {
                scope.kernels.prefetch(table, ahead, self.first, self.dim);
            }
            scope.kernels.gather(table, now, self.first, self.dim, out);
        }
        scope.weights.patch(self.table, ids, rows, out);
    }

    fn backward(&self, scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        let rows = &mut gradients.tables[self.table.first];
        scope.kernels.to_rows(gradients.values.get(self.output), self.fields.len() * self.dim, rows);
    }
}
