//! The sum of any number of rows of one table.

use radhard_kernels::{GlobalId, TableRow};

use crate::graph::Slot;
use crate::hook::{LookupResult, LookupSite};
use crate::layers::{GATHER_NS, Gradients, Layer, Scope, Ties, Values};
use crate::table::TableId;

/// `[D, R]`: per data row the sum of the table rows in its bag.
pub(crate) struct EmbeddingBag {
    pub(crate) table: TableId,
    pub(crate) dim: usize,
    pub(crate) output: Slot,
}

impl Layer for EmbeddingBag {
    fn ties(&self) -> Ties {
        Ties { writes: vec![self.output], cost: GATHER_NS * 8.0, ..Ties::default() }
    }

    fn lookup(&self) -> Option<LookupSite> {
        Some(LookupSite {
            layer: 0,
            table: self.table.first,
            width: self.dim,
            fields: 0..1,
            first: GlobalId::FIRST,
            gives: LookupResult::BagSum,
        })
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let (mut sum, mut row) = (vec![0.0; self.dim], vec![0.0; self.dim]);
        let bags = scope.bags.into_iter().flat_map(|bags| (0..bags.len()).map(move |row| bags.of(row)));
        let read = |row: u32, out: &mut [f32]| scope.weights.row(self.table, TableRow::new(row), out);
        scope.kernels.bag_sums(read, bags, (&mut sum, &mut row), values.get_mut(self.output));
    }

    /// Models with bags are not trained.
    fn backward(&self, _scope: &Scope<'_>, _values: &Values, _gradients: &mut Gradients) {}
}
