//! What passes cost, roughly, in nanoseconds per row on one core: what counts is the ratio.

use crate::graph::{Graph, Slot};
use crate::layers::{ELEMENT_NS, Known, ROW_NS};
use crate::model::Model;
use crate::reach::parts_cost;
use crate::units::Unit;

/// A cache line of a table row in a full pass, asked for ahead.
const LINE_NS: f64 = 5.5;
/// A first-order weight in a full pass.
const WEIGHT_NS: f64 = 1.0;
/// Numbers of a cache line.
const LINE: f64 = 16.0;
/// A row that is brought together with others that lie apart, and each of its fields.
const APART_NS: (f64, f64) = (10.0, 2.5);

/// A full pass over all rows, whose steps take layers together.
pub(crate) fn pass_cost(graph: &Graph) -> f64 {
    let fields = graph.offsets().len() as f64;
    let rows = |width: usize| LINE_NS * fields * width as f64 / LINE;
    let layers = graph.layers().iter().zip(graph.ties()).map(|(layer, ties)| match layer.known() {
        Known::FirstOrder(_) => WEIGHT_NS * fields,
        Known::Embedding(embedding) if !is_gathered(graph, embedding.output) => 0.0,
        Known::Embedding(embedding) => LINE_NS * embedding.fields.len() as f64 * embedding.dim as f64 / LINE,
        Known::Factorisation(term) => rows(graph.widths()[term.input] / graph.offsets().len().max(1)),
        // Multiplied table rows are looked up and added.
        Known::Linear(linear) if linear.fields.is_some() => rows(linear.outputs),
        Known::PairAttention(attention) if attention.fields == 2 => rows(attention.dim),
        Known::BatchNorm(_) | Known::Rectifier(_) | Known::Dropout(_) => 0.0,
        _ => ties.cost + ELEMENT_NS * ties.writes.last().map_or(0, |slot| graph.widths()[*slot]) as f64,
    });
    ROW_NS + layers.sum::<f64>()
}

/// Whether a step reads the table rows of a block that are gathered to a value.
fn is_gathered(graph: &Graph, slot: Slot) -> bool {
    graph.layers().iter().zip(graph.ties()).any(|(layer, ties)| {
        let looks_up = match layer.known() {
            Known::Factorisation(_) => true,
            Known::Linear(linear) => linear.fields.is_some(),
            Known::PairAttention(attention) => attention.fields == 2,
            _ => false,
        };
        ties.reads.contains(&slot) && !looks_up
    })
}

impl Model {
    /// What a row costs that is evaluated among others that lie apart, in parts of a row of a full pass.
    pub fn cost_apart(&self) -> f64 {
        let graph = self.graph();
        let parts = parts_cost(graph, &Unit::all(graph));
        (APART_NS.0 + APART_NS.1 * graph.offsets().len() as f64 + parts) / pass_cost(graph)
    }
}
