//! How far a change of parameters reaches, and what of the golden run it goes on from.

use std::collections::BTreeSet;

use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::{ELEMENT_NS, LOAD_NS, LOOKUP_NS, ROW_NS};
use crate::units::{Dense, Unit, terms};

/// What of a value differs from the golden run, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Nothing,
    /// Some features, ascending.
    Columns(Vec<usize>),
    All,
}

/// What is to be worked out again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redo {
    /// Some outputs of a dense unit whose input is golden.
    Columns { unit: usize, columns: Vec<usize> },
    /// All of a dense unit; its input is golden before feature `from`.
    Dense { unit: usize, from: usize },
    /// A layer.
    Layer(usize),
}

/// What one change comes to.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) redo: Vec<Redo>,
    /// Golden values that are read.
    pub(crate) golden: BTreeSet<Slot>,
    /// Nanoseconds per row, golden values apart.
    pub(crate) cost: f64,
}

impl Change {
    /// The reach of changes of these elements; the results of `settled` layers do not depend on their parameters.
    ///
    /// A unit is worked out again if one of its parameters changed or one of its inputs did.
    pub(crate) fn of(
        graph: &Graph,
        units: &[Unit],
        settled: &[bool],
        changed: &[(ParameterId, u64)],
    ) -> Self {
        let mut reach = vec![Reach::Nothing; graph.widths().len()];
        let mut change = Self { redo: Vec::new(), golden: BTreeSet::new(), cost: ROW_NS };
        for (at, unit) in units.iter().enumerate() {
            let own: BTreeSet<usize> =
                changed.iter().filter_map(|element| unit.reached(graph, *element)).collect();
            let reads = unit.reads(graph);
            let golden_input = reads.iter().all(|slot| reach[*slot] == Reach::Nothing);
            if golden_input && own.is_empty() {
                continue;
            }
            let golden = reads.iter().filter(|slot| reach[**slot] != Reach::All);
            match unit {
                Unit::Dense(dense) => {
                    change.golden.extend(golden);
                    let (linear, input) = (dense.linear(graph), reads[0]);
                    let from = match &reach[input] {
                        Reach::Columns(columns) => columns[0],
                        _ => 0,
                    };
                    if golden_input {
                        let columns: Vec<usize> = own.into_iter().collect();
                        change.cost += Dense::cost(columns.len(), linear.inputs);
                        if columns.len() < linear.outputs {
                            // The others are golden.
                            change.golden.insert(dense.output);
                        }
                        change.redo.push(Redo::Columns { unit: at, columns: columns.clone() });
                        reach[dense.output] = Reach::Columns(columns);
                    } else {
                        change.cost += Dense::cost(linear.outputs, linear.inputs - from);
                        change.redo.push(Redo::Dense { unit: at, from });
                        reach[dense.output] = Reach::All;
                    }
                }
                Unit::Layer(layer) => {
                    if golden_input && settled[*layer] {
                        continue;
                    }
                    change.golden.extend(golden);
                    change.cost += unit.cost(graph);
                    change.redo.push(Redo::Layer(*layer));
                    for slot in unit.writes(graph) {
                        reach[*slot] = Reach::All;
                    }
                }
            }
        }
        change.golden.extend(terms(graph).into_iter().filter(|slot| reach[*slot] == Reach::Nothing));
        change
    }
}

/// What of the golden run is brought into a block, for any number of changes.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) load: Vec<Slot>,
    /// Units that run on golden values, in order.
    pub(crate) units: Vec<usize>,
    /// Whether a unit reads table rows by their ids.
    pub(crate) ids: bool,
    /// Nanoseconds per row.
    pub(crate) cost: f64,
}

impl Golden {
    /// What is kept is loaded, what is not is worked out again.
    pub(crate) fn of(graph: &Graph, units: &[Unit], kept: &[bool], need: &BTreeSet<Slot>) -> Self {
        let mut need = need.clone();
        let mut golden = Self { load: Vec::new(), units: Vec::new(), ids: false, cost: 0.0 };
        for (at, unit) in units.iter().enumerate().rev() {
            let writes = unit.writes(graph);
            let Some(&result) = writes.last().filter(|_| writes.iter().any(|slot| need.contains(slot)))
            else {
                continue;
            };
            if kept[result] {
                golden.load.push(result);
                golden.cost += graph.widths()[result] as f64 * LOAD_NS;
                continue;
            }
            golden.cost += unit.cost(graph);
            golden.ids |= unit.reads(graph).is_empty();
            golden.units.push(at);
            need.extend(unit.reads(graph));
        }
        golden.units.reverse();
        if golden.ids {
            golden.cost += graph.offsets().len() as f64 * (LOOKUP_NS / 4.0 + ELEMENT_NS);
        }
        golden
    }
}

/// Nanoseconds per row of an evaluation unit by unit from the inputs on.
pub(crate) fn parts_cost(graph: &Graph, units: &[Unit]) -> f64 {
    let nothing = vec![false; graph.widths().len()];
    ROW_NS + Golden::of(graph, units, &nothing, &terms(graph).into_iter().collect()).cost
}
