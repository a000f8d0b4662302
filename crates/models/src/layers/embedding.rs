//! Embedding rows, looked up per field and concatenated.

use crate::graph::{ParameterId, Slot};
use crate::layers::{Gradients, Layer, Scope, Values};

/// `[F · D, R]` from one table.
pub(crate) struct Embedding {
    pub(crate) table: ParameterId,
    pub(crate) fields: usize,
    pub(crate) dim: usize,
    pub(crate) output: Slot,
}

impl Layer for Embedding {
    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let table = scope.weights.f32s(self.table);
        let out = values.get_mut(self.output);
        let rows = scope.ids.len() / self.fields;
        let fields = scope.ids.chunks_exact(rows).zip(out.chunks_exact_mut(self.dim * rows / 16));
        for (f, (ids, out)) in fields.enumerate() {
            if let Some(ahead) = scope.ids.get((f + 2) * rows..(f + 3) * rows) {
                scope.kernels.prefetch(table, ahead, self.dim);
            }
            scope.kernels.gather(table, ids, self.dim, out);
        }
    }

    fn backward(&self, scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        let rows = &mut gradients.tables[self.table];
        scope.kernels.to_rows(gradients.values.get(self.output), self.fields * self.dim, rows);
    }
}
