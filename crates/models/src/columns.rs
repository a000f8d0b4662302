//! Some outputs of the linear layer on all fields, worked out from a table of products.
//!
//! A change in one row of the layer's weights reaches one output. Its value per data row is the tree over fields of that
//! row's products with the fields' table rows; each product is worked out once per table row that any data row reads.

use std::collections::BTreeSet;

use radhard_kernels::{Kernels, LANES, Lane, LookUps, RowIds};

use crate::graph::{Graph, ParameterId};
use crate::layers::linear::Linear;
use crate::layers::{FMA_NS, LOOKUP_NS, Values, Weights};
use crate::route::Start;
use crate::scores::BLOCK;
use crate::table::TableId;

/// Most outputs that are redone one by one.
const MOST: usize = 4;

/// Widest row of a table whose product with a row of weights is one chain.
const WIDEST: usize = radhard_kernels::plain::CHAIN;

/// The outputs to redo.
pub(crate) struct Columns<'g> {
    layer: &'g Linear,
    table: TableId,
    /// Width of a table row.
    width: usize,
    fields: usize,
    outputs: Vec<usize>,
}

impl<'g> Columns<'g> {
    /// The outputs that changes of a layer's own elements reach, where they are few.
    pub(crate) fn of<'c>(
        graph: &'g Graph,
        layer: &'g Linear,
        changed: impl Iterator<Item = &'c (ParameterId, u64)>,
    ) -> Option<Self> {
        let embedding = graph
            .layers()
            .iter()
            .filter_map(|layer| layer.whole_table())
            .find(|embedding| embedding.output == layer.input && embedding.dim <= WIDEST)?;
        let outputs: BTreeSet<usize> = changed
            .map(|&(id, element)| element as usize / if id == layer.weight { layer.inputs } else { 1 })
            .collect();
        let (table, width, fields) = (embedding.table, embedding.dim, embedding.fields.len());
        let few = outputs.len() <= MOST;
        few.then(|| Self { layer, table, width, fields, outputs: outputs.into_iter().collect() })
    }

    /// Nanoseconds per data row.
    pub(crate) fn cost(&self, start: Start<'_>) -> f64 {
        // A table row is gathered and multiplied in blocks of neighbours.
        let product = 2.0 * LOOKUP_NS + self.width as f64 * 8.0 * FMA_NS;
        let products = start.read as f64 * product / start.rows.max(1) as f64;
        self.outputs.len() as f64 * (self.fields as f64 * LOOKUP_NS + products)
    }

    /// Works out the products of the table rows `read`, ascending, with each output's weights.
    pub(crate) fn multiply(
        &self,
        graph: &Graph,
        (weights, kernels): (Weights<'_>, Kernels),
        read: &[u32],
        products: &mut Vec<Vec<f32>>,
    ) {
        let table = weights.table(self.table);
        let matrix = weights.f32s(self.layer.weight);
        let mut values = vec![[0.0; LANES]; self.width * BLOCK / LANES];
        let mut out = [[0.0; LANES]; BLOCK / LANES];
        let mut ids = [0; BLOCK];
        products.resize_with(products.len().max(self.outputs.len()), Vec::new);
        for (&output, products) in self.outputs.iter().zip(products) {
            products.resize(graph.config().table_rows(), 0.0);
            let row = &matrix[output * self.layer.inputs..(output + 1) * self.layer.inputs];
            let mut rest = read;
            for (field, weights) in row.chunks_exact(self.width).enumerate() {
                let end = graph
                    .offsets()
                    .get(field + 1)
                    .map_or(rest.len(), |next| rest.partition_point(|id| id < next));
                let (own, others) = rest.split_at(end);
                rest = others;
                for chunk in own.chunks(BLOCK) {
                    ids.fill(chunk[0]);
                    ids[..chunk.len()].copy_from_slice(chunk);
                    kernels.gather(table, &ids, 0, self.width, &mut values);
                    kernels.linear(weights, &[], &values, self.width, &mut out);
                    for (&id, &product) in chunk.iter().zip(out.as_flattened()) {
                        products[id as usize] = product;
                    }
                }
            }
        }
    }

    /// Redoes the outputs of one block.
    pub(crate) fn run(
        &self,
        (weights, kernels): (Weights<'_>, Kernels),
        rows: RowIds<'_>,
        products: &[Vec<f32>],
        values: &mut Values,
    ) {
        let groups = values.groups();
        let mut sums: [Lane; BLOCK / LANES] = [[0.0; LANES]; BLOCK / LANES];
        for (&output, products) in self.outputs.iter().zip(products) {
            let looked = LookUps { values: Some((products, &mut sums[..groups])), ..LookUps::default() };
            kernels.look_up(rows, looked);
            let out = &mut values.get_mut(self.layer.output)[output * groups..(output + 1) * groups];
            match self.layer.bias {
                Some(bias) => kernels.add_number(&sums[..groups], weights.f32s(bias)[output], out),
                None => out.copy_from_slice(&sums[..groups]),
            }
        }
    }
}
