//! First-order weights, summed over the fields.

use radhard_kernels::GlobalId;

use crate::graph::Slot;
use crate::hook::{LookupResult, LookupSite};
use crate::layers::{Gradients, Known, LOOKUP_NS, Layer, Scope, Ties, Values};
use crate::table::TableId;

/// `[1, R]`: the tree of the weights of the fields' values.
pub(crate) struct FirstOrder {
    pub(crate) table: TableId,
    pub(crate) fields: usize,
    pub(crate) gathered: Slot,
    pub(crate) output: Slot,
}

impl Layer for FirstOrder {
    fn ties(&self) -> Ties {
        Ties {
            writes: vec![self.gathered, self.output],
            cost: LOOKUP_NS / 2.0 * self.fields as f64,
            ..Ties::default()
        }
    }

    fn lookup(&self) -> Option<LookupSite> {
        Some(LookupSite {
            layer: 0,
            table: self.table.first,
            width: 1,
            fields: 0..self.fields,
            first: GlobalId::FIRST,
            gives: LookupResult::FieldSum,
        })
    }

    fn known(&self) -> Known<'_> {
        Known::FirstOrder(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let table = scope.weights.table(self.table);
        let gathered = values.get_mut(self.gathered);
        let rows = scope.ids.len() / self.fields;
        let fields = scope.ids.chunks_exact(rows).zip(gathered.chunks_exact_mut(rows / 16));
        for (f, (ids, out)) in fields.enumerate() {
            if let Some(ahead) = scope.ids.get((f + 2) * rows..(f + 3) * rows) {
                scope.kernels.prefetch(table, ahead, GlobalId::FIRST, 1);
            }
            scope.kernels.gather(table, ids, GlobalId::FIRST, 1, out);
        }
        scope.weights.patch(self.table, scope.ids, rows, values.get_mut(self.gathered));
        self.again(scope, values);
    }

    fn gathered(&self) -> Option<Slot> {
        Some(self.gathered)
    }

    fn again(&self, scope: &Scope<'_>, values: &mut Values) {
        values.write(self.output, |values, out| scope.kernels.field_sum(values.get(self.gathered), out));
    }

    fn backward(&self, _scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        let dy = gradients.values.get(self.output);
        gradients.tables[self.table.first].copy_from_slice(dy.as_flattened());
    }
}
