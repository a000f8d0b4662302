//! What passes cost, roughly, in nanoseconds per row on one core: what counts is the ratio.

use crate::apart::Apart;
use crate::folded::FEWEST;
use crate::graph::{Graph, Slot};
use crate::layers::linear::Linear;
use crate::layers::{ELEMENT_NS, Known, Layer, ROW_NS};
use crate::model::Model;
use crate::reach::parts_cost;
use crate::units::Unit;

/// A row of a full pass beside its layers and its answer: its indices.
const INDICES_NS: f64 = 2.0;
/// A cache line of a table row in a full pass, asked for ahead; and one that is a neighbour of another.
const LINE_NS: f64 = 1.8;
const NEIGHBOUR_NS: f64 = 1.0;
/// A first-order weight in a full pass.
const WEIGHT_NS: f64 = 0.4;
/// A value of a cross layer that is read through.
const THROUGH_NS: f64 = 0.055;
/// Numbers of a cache line.
const LINE: f64 = 16.0;
/// A row that is brought together with others that lie apart, and each of its fields: where layers gather what they read, and
/// where it is looked up.
const APART_NS: (f64, f64) = (10.0, 2.5);
const LOOKED_UP_NS: (f64, f64) = (12.0, 5.2);

/// A full pass over all rows, whose steps take layers together.
pub(crate) fn pass_cost(graph: &Graph) -> f64 {
    ROW_NS + INDICES_NS + (0..graph.layers().len()).map(|at| layer_cost(graph, at)).sum::<f64>()
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
        Known::Linear(linear) if folds(linear) => {
            let line = if has_neighbours(graph, linear) { NEIGHBOUR_NS } else { LINE_NS };
            rows(linear.outputs) * line / LINE_NS
        }
        Known::PairAttention(attention) if attention.fields == 2 => rows(attention.dim),
        Known::Cross(cross) => THROUGH_NS * graph.widths()[cross.output] as f64,
        Known::BatchNorm(_) | Known::Rectifier(_) | Known::Dropout(_) => 0.0,
        _ => ties.cost + ELEMENT_NS * ties.writes.last().map_or(0, |slot| graph.widths()[*slot]) as f64,
    }
}

/// Whether a layer's products of table rows are worked out, where the rows are enough.
fn folds(linear: &Linear) -> bool {
    linear.fields.is_some() && linear.outputs >= FEWEST
}

/// Whether the rows that a folded layer's products are of are looked up with them.
fn has_neighbours(graph: &Graph, linear: &Linear) -> bool {
    let term =
        |layer: &dyn Layer| matches!(layer.known(), Known::Factorisation(term) if term.input == linear.input);
    graph.layers().iter().any(|layer| term(&**layer)) || is_gathered(graph, linear.input)
}

/// Whether a step reads the table rows of a block that are gathered to a value.
fn is_gathered(graph: &Graph, slot: Slot) -> bool {
    graph.layers().iter().zip(graph.ties()).any(|(layer, ties)| {
        let looks_up = match layer.known() {
            Known::Factorisation(_) => true,
            Known::Linear(linear) => folds(linear),
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
