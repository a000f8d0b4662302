//! What passes cost, roughly, in nanoseconds per row on one core: what counts is the ratio.

use crate::apart::Apart;
use crate::graph::{Graph, Slot};
use crate::layers::{ELEMENT_NS, Known, ROW_NS};
use crate::model::Model;
use crate::reach::parts_cost;
use crate::units::Unit;

/// A cache line of a table row in a full pass, asked for ahead.
const LINE_NS: f64 = 2.3;
/// A first-order weight in a full pass.
const WEIGHT_NS: f64 = 0.6;
/// A value of a cross layer that is read through.
const THROUGH_NS: f64 = 0.04;
/// Numbers of a cache line.
const LINE: f64 = 16.0;
/// A row that is brought together with others that lie apart, and each of its fields: where layers gather what they read, and
/// where it is looked up.
const APART_NS: (f64, f64) = (10.0, 2.5);
const LOOKED_UP_NS: (f64, f64) = (12.0, 3.4);

/// A full pass over all rows, whose steps take layers together.
pub(crate) fn pass_cost(graph: &Graph) -> f64 {
    ROW_NS + (0..graph.layers().len()).map(|at| layer_cost(graph, at)).sum::<f64>()
}

/// A layer in a full pass.
fn layer_cost(graph: &Graph, at: usize) -> f64 {
    let fields = graph.offsets().len() as f64;
    let rows = |width: usize| LINE_NS * fields * width as f64 / LINE;
    let ties = &graph.ties()[at];
    match graph.layers()[at].known() {
        Known::FirstOrder(_) => WEIGHT_NS * fields,
        Known::Embedding(embedding) if !is_gathered(graph, embedding.output) => 0.0,
        Known::Embedding(embedding) => LINE_NS * embedding.fields.len() as f64 * embedding.dim as f64 / LINE,
        Known::Factorisation(term) => rows(graph.widths()[term.input] / graph.offsets().len().max(1)),
        // Multiplied table rows are looked up and added.
        Known::Linear(linear) if linear.fields.is_some() => rows(linear.outputs),
        Known::PairAttention(attention) if attention.fields == 2 => rows(attention.dim),
        Known::Cross(cross) => THROUGH_NS * graph.widths()[cross.output] as f64,
        Known::BatchNorm(_) | Known::Rectifier(_) | Known::Dropout(_) => 0.0,
        _ => ties.cost + ELEMENT_NS * ties.writes.last().map_or(0, |slot| graph.widths()[*slot]) as f64,
    }
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
    /// What a row costs that is evaluated among others that lie apart, in parts of a row of a full pass; from what is looked up, where
    /// it is at hand.
    pub fn cost_apart(&self, apart: Option<&Apart>) -> f64 {
        let graph = self.graph();
        let (units, fields) = (Unit::all(graph), graph.offsets().len() as f64);
        let cost = match apart {
            None => APART_NS.0 + APART_NS.1 * fields + parts_cost(graph, &units),
            Some(apart) => {
                let of = |(at, unit): (usize, &Unit)| match unit {
                    Unit::Dense(_) if !apart.looks_up(at) => unit.cost(graph),
                    Unit::Dense(dense) => layer_cost(graph, dense.layer),
                    Unit::Layer(layer) => layer_cost(graph, *layer),
                };
                LOOKED_UP_NS.0 + LOOKED_UP_NS.1 * fields + units.iter().enumerate().map(of).sum::<f64>()
            }
        };
        cost / pass_cost(graph)
    }
}
