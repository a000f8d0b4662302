//! The way from kept values to the logits: what is loaded, and which layers run.

use std::collections::BTreeSet;

use crate::columns::Columns;
use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::{ELEMENT_NS, LOAD_NS, LOOKUP_NS, ROW_NS};

/// A part of a pass.
pub(crate) struct Route<'g> {
    pub(crate) load: Vec<Slot>,
    pub(crate) steps: Vec<Step<'g>>,
    /// Whether a step reads table rows by their ids.
    pub(crate) gathers: bool,
    /// Nanoseconds per row.
    pub(crate) cost: f64,
}

pub(crate) enum Step<'g> {
    Layer(usize),
    /// Some outputs of a linear layer on all fields, from a table of which their products were taken.
    Columns(Columns<'g>),
}

/// Where a route may begin.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// By slot: whether its golden values are there.
    pub(crate) kept: &'a [bool],
    /// By layer: whether its result does not depend on its parameters.
    pub(crate) settled: &'a [bool],
    /// Rows, and table rows that they read.
    pub(crate) rows: usize,
    pub(crate) read: usize,
}

impl<'g> Route<'g> {
    /// The route under changes of these elements.
    ///
    /// A layer runs if one of its parameters changed or one of its inputs did; what else is read is what the golden pass
    /// had: loaded where it is kept, else worked out again.
    pub(crate) fn of(graph: &'g Graph, start: Start<'_>, changed: &[(ParameterId, u64)]) -> Self {
        let mut affected = vec![false; graph.widths().len()];
        let mut runs = vec![false; graph.layers().len()];
        let mut columns: Vec<Option<Columns<'g>>> = Vec::new();
        for (at, ties) in graph.ties().iter().enumerate() {
            let downstream = ties.reads.iter().any(|slot| affected[*slot]);
            let own = |(id, element): &&(ParameterId, u64)| {
                ties.parameters.iter().any(|(own, range)| own == id && range.contains(&(*element as usize)))
            };
            let touched = !start.settled[at] && changed.iter().any(|change| own(&change));
            let mut few = None;
            if downstream || touched {
                runs[at] = true;
                for slot in &ties.writes {
                    affected[*slot] = true;
                }
                let linear = graph.layers()[at].field_layer().filter(|linear| start.kept[linear.output]);
                if !downstream && let Some(linear) = linear {
                    few = Columns::of(graph, linear, changed.iter().filter(own));
                }
            }
            columns.push(few);
        }
        let mut need = vec![false; graph.widths().len()];
        need[graph.logit()] = true;
        let (mut load, mut steps, mut gathers, mut cost) = (BTreeSet::new(), Vec::new(), false, ROW_NS);
        for (at, ties) in graph.ties().iter().enumerate().rev() {
            let Some(&result) = ties.writes.last().filter(|_| ties.writes.iter().any(|slot| need[*slot]))
            else {
                continue;
            };
            let few = columns[at].take();
            if few.is_some() || !runs[at] && start.kept[result] {
                load.insert(result);
                cost += graph.widths()[result] as f64 * LOAD_NS;
            }
            if let Some(few) = few {
                cost += few.cost(start);
                steps.push(Step::Columns(few));
            } else if !load.contains(&result) {
                cost += ties.cost + graph.widths()[result] as f64 * ELEMENT_NS;
                gathers |= ties.reads.is_empty();
                for slot in &ties.reads {
                    need[*slot] = true;
                }
                steps.push(Step::Layer(at));
            }
        }
        steps.reverse();
        if gathers {
            cost += graph.offsets().len() as f64 * LOOKUP_NS / 4.0;
        }
        Self { load: load.into_iter().collect(), steps, gathers, cost }
    }

    /// Nanoseconds per row of a full pass.
    pub(crate) fn full_cost(graph: &'g Graph) -> f64 {
        let nothing = vec![false; graph.widths().len()];
        let settled = vec![false; graph.layers().len()];
        Self::of(graph, Start { kept: &nothing, settled: &settled, rows: 1, read: 0 }, &[]).cost
    }
}
