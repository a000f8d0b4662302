//! First-order weights: one per table row, summed over the fields.

use crate::graph::{ParameterId, Slot};
use crate::layers::{Gradients, Layer, Scope, Values};
use crate::table::TableId;

/// `[1, R]`: the sum of one weight per field, plus the bias.
pub(crate) struct FirstOrder {
    pub(crate) table: TableId,
    pub(crate) bias: ParameterId,
    pub(crate) fields: usize,
    pub(crate) gathered: Slot,
    pub(crate) output: Slot,
}

impl Layer for FirstOrder {
    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let table = scope.weights.table(self.table);
        let bias = scope.weights.f32s(self.bias)[0];
        let gathered = values.get_mut(self.gathered);
        let rows = scope.ids.len() / self.fields;
        let fields = scope.ids.chunks_exact(rows).zip(gathered.chunks_exact_mut(rows / 16));
        for (f, (ids, out)) in fields.enumerate() {
            if let Some(ahead) = scope.ids.get((f + 2) * rows..(f + 3) * rows) {
                scope.kernels.prefetch(table, ahead, 0, 1);
            }
            scope.kernels.gather(table, ids, 0, 1, out);
        }
        values
            .write(self.output, |values, out| scope.kernels.field_sum(values.get(self.gathered), bias, out));
    }

    fn backward(&self, scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        let dy = gradients.values.get(self.output);
        gradients.tables[self.table.first].copy_from_slice(dy.as_flattened());
        scope.kernels.feature_sums(dy, &mut gradients.dense[self.bias]);
    }
}
