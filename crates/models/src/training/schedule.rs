//! How a training step takes the layers of a graph: where it needs the whole batch, which layers it takes together, and
//! which values it keeps.

use std::cmp::Reverse;
use std::ops::Range;

use radhard_kernels::LANES;

use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::Known;
use crate::layers::linear::Linear;
use crate::training::hidden::Hidden;

/// Who does a layer's work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Duty {
    /// The layer itself.
    Layer,
    /// It and those after it, in one go.
    Hidden(Hidden),
    /// A layer before it.
    Done,
    /// The lookup of all fields' rows, and what follows from their gradients.
    Rows,
    /// A linear layer that alone reads its input: it puts the gradient there, where others add.
    SoleLinear,
    /// The linear layer through which gradients reach the table's rows where these are stepped.
    Through,
}

/// The rows `[F · D, R]` that all fields look up in one table.
///
/// They are the largest value of a block by far, and cheap to look up again: no block keeps them.
#[derive(Debug, Clone)]
pub(super) struct TableRows {
    /// The layer that looks them up.
    pub(super) layer: usize,
    pub(super) slot: Slot,
    /// F · D.
    pub(super) width: usize,
    /// The widest linear layer that reads them.
    pub(super) through: Option<Through>,
    /// The layers whose backward passes read them and add to their gradient.
    pub(super) others: Vec<usize>,
    /// Whether their gradient begins and ends in the pass that is the last one backward.
    pub(super) brief: bool,
}

/// A linear layer on table rows. Neither its part of the rows' gradients is ever written down, nor its weights' gradient
/// by block: both follow from the gradients of its results where the rows are stepped.
#[derive(Debug, Clone)]
pub(super) struct Through {
    /// Among the layers.
    pub(super) layer: usize,
    pub(super) table: ParameterId,
    pub(super) weight: ParameterId,
    /// F · D.
    pub(super) inputs: usize,
    outputs: usize,
    /// Whether nothing else reads the rows.
    pub(super) alone: bool,
}

impl Through {
    /// Values from one data row's gradients to the next.
    pub(super) fn stride(&self) -> usize {
        self.outputs.next_multiple_of(LANES)
    }
}

/// The plan of a step.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Layers that need the whole batch, in order.
    pub(super) stops: Vec<usize>,
    /// By layer.
    pub(super) duties: Vec<Duty>,
    pub(super) rows: Option<TableRows>,
    /// The widths of the values that a block keeps, by slot.
    pub(super) value_widths: Vec<usize>,
    /// The widths of the gradients that a block keeps.
    pub(super) gradient_widths: Vec<usize>,
    /// The gradients that are added to.
    pub(super) cleared: Vec<Slot>,
}

impl Schedule {
    /// Each layer by itself, every value kept: what [`Schedule::of`] is held against.
    #[cfg(test)]
    pub(super) fn plain(graph: &Graph) -> Self {
        Self {
            stops: stops(graph),
            duties: vec![Duty::Layer; graph.layers().len()],
            rows: None,
            value_widths: graph.widths().to_vec(),
            gradient_widths: graph.widths().to_vec(),
            cleared: (0..graph.widths().len()).collect(),
        }
    }

    pub(super) fn of(graph: &Graph) -> Self {
        let stops = stops(graph);
        let mut duties = vec![Duty::Layer; graph.layers().len()];
        let (mut value_widths, mut gradient_widths) = (graph.widths().to_vec(), graph.widths().to_vec());
        let mut assigned = Vec::new();
        for &stop in &stops {
            let Some((hidden, within)) = Hidden::at(graph, stop) else { continue };
            for slot in within {
                (value_widths[slot], gradient_widths[slot]) = (0, 0);
            }
            duties[stop + 1..=hidden.last].fill(Duty::Done);
            assigned.push(hidden.input);
            duties[stop] = Duty::Hidden(hidden);
        }
        for (i, duty) in duties.iter_mut().enumerate() {
            if let Some(linear) = linear_of(graph, i)
                && graph.ties().iter().filter(|ties| ties.reads.contains(&linear.input)).count() == 1
            {
                assigned.push(linear.input);
                *duty = Duty::SoleLinear;
            }
        }
        let rows = TableRows::of(graph, stops.first().copied());
        if let Some(rows) = &rows {
            duties[rows.layer] = Duty::Rows;
            if let Some(through) = &rows.through {
                duties[through.layer] = Duty::Through;
            }
            value_widths[rows.slot] = 0;
            if rows.brief {
                gradient_widths[rows.slot] = 0;
            }
        }
        let cleared = (0..gradient_widths.len())
            .filter(|slot| gradient_widths[*slot] > 0 && !assigned.contains(slot))
            .collect();
        Self { stops, duties, rows, value_widths, gradient_widths, cleared }
    }
}

fn stops(graph: &Graph) -> Vec<usize> {
    (0..graph.layers().len()).filter(|&i| graph.layers()[i].batch().is_some()).collect()
}

impl TableRows {
    fn of(graph: &Graph, first_stop: Option<usize>) -> Option<Self> {
        let layers = graph.layers();
        let fields = graph.offsets().len();
        let (layer, embedding) = layers.iter().enumerate().find_map(|(i, layer)| {
            layer.whole_table().filter(|rows| rows.fields.len() == fields).map(|rows| (i, rows))
        })?;
        let slot = embedding.output;
        let is_shared = |table: &crate::graph::Table| table.id.first == embedding.table.first && table.shared;
        if graph.tables().iter().any(is_shared) {
            return None;
        }
        let end = first_stop.unwrap_or(layers.len());
        let widest = (0..end)
            .filter_map(|i| linear_of(graph, i).filter(|linear| linear.input == slot).map(|l| (i, l)))
            .filter(|(_, linear)| linear.outputs > 1 && embedding.dim.is_multiple_of(LANES))
            .max_by_key(|(i, linear)| (linear.outputs, Reverse(*i)));
        let others: Vec<usize> = (0..layers.len())
            .filter(|&i| Some(i) != widest.map(|(i, _)| i) && graph.ties()[i].reads.contains(&slot))
            .collect();
        let through = widest.map(|(layer, linear)| Through {
            layer,
            table: embedding.table.first,
            weight: linear.weight,
            inputs: linear.inputs,
            outputs: linear.outputs,
            alone: others.is_empty(),
        });
        let brief = others.iter().all(|&i| i < end);
        Some(Self { layer, slot, width: fields * embedding.dim, through, others, brief })
    }

    /// Whether layers of a forward pass use the rows.
    pub(super) fn forward(&self, layers: &Range<usize>) -> bool {
        let readers = self.others.iter().chain(self.through.iter().map(|through| &through.layer));
        std::iter::once(&self.layer).chain(readers).any(|i| layers.contains(i))
    }

    /// Whether layers of a backward pass use the rows.
    pub(super) fn backward(&self, layers: &Range<usize>) -> bool {
        self.others.iter().any(|i| layers.contains(i))
    }
}

pub(super) fn linear_of(graph: &Graph, layer: usize) -> Option<&Linear> {
    match graph.layers()[layer].known() {
        Known::Linear(linear) => Some(linear),
        _ => None,
    }
}
