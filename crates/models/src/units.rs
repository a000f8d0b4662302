//! A graph as units: a linear layer with what follows it at once, or a layer alone; and what the logit is the sum of.

use radhard_data::RowsView;
use radhard_kernels::{Answers, Ending, GlobalId, Kernels, Lane};

use crate::graph::{Graph, ParameterId, Slot};
use crate::layers::linear::Linear;
use crate::layers::{ELEMENT_NS, FMA_NS, Known, Scope, Values, Weights};

/// Terms of a logit, at most.
const MOST_TERMS: usize = 8;

/// One unit.
pub(crate) enum Unit {
    Dense(Dense),
    Layer(usize),
}

/// A linear layer, then at most α · x + β, then at most the rectifier; dropout is the identity.
pub(crate) struct Dense {
    pub(crate) layer: usize,
    norm: Option<usize>,
    rectify: bool,
    pub(crate) output: Slot,
}

/// What follows the sums of a dense unit, worked out from its parameters.
pub(crate) struct Finish<'a> {
    pub(crate) bias: &'a [f32],
    /// α, then β.
    scale: Option<Vec<f32>>,
    rectify: bool,
}

impl Finish<'_> {
    pub(crate) fn ending(&self) -> Ending<'_> {
        Ending {
            bias: self.bias,
            scale: self.scale.as_ref().map(|scale| scale.split_at(scale.len() / 2)),
            rectify: self.rectify,
        }
    }
}

impl Dense {
    pub(crate) fn linear<'g>(&self, graph: &'g Graph) -> &'g Linear {
        match graph.layers()[self.layer].known() {
            Known::Linear(linear) => linear,
            _ => unreachable!("a dense unit begins with a linear layer"),
        }
    }

    pub(crate) fn finish<'a>(&self, graph: &Graph, weights: Weights<'a>) -> Finish<'a> {
        let linear = self.linear(graph);
        Finish {
            bias: linear.bias.map_or(&[][..], |bias| weights.f32s(bias)),
            scale: self.norm.map(|norm| {
                let mut scale = graph.layers()[norm].derive(weights);
                scale.truncate(2 * linear.outputs);
                scale
            }),
            rectify: self.rectify,
        }
    }

    /// Some outputs of a block, one for each row of `weights`.
    pub(crate) fn run(
        &self,
        graph: &Graph,
        kernels: Kernels,
        (weights, ending): (&[f32], Ending<'_>),
        x: &[Lane],
        out: &mut [Lane],
    ) {
        let linear = self.linear(graph);
        match linear.fields {
            Some(fields) => kernels.field_dense(weights, ending, x, (linear.inputs, fields), out),
            None => kernels.dense(weights, ending, x, linear.inputs, out),
        }
    }

    /// Nanoseconds per row of so many outputs over so many inputs.
    pub(crate) fn cost(outputs: usize, inputs: usize) -> f64 {
        outputs as f64 * (inputs as f64 * FMA_NS + ELEMENT_NS)
    }
}

/// What a unit works out of its parameters once per pass.
pub(crate) enum Derived<'a> {
    Dense(Finish<'a>),
    Layer(Vec<f32>),
}

impl Unit {
    pub(crate) fn derived<'a>(&self, graph: &Graph, weights: Weights<'a>) -> Derived<'a> {
        match self {
            Self::Dense(dense) => Derived::Dense(dense.finish(graph, weights)),
            Self::Layer(at) => Derived::Layer(graph.layers()[*at].derive(weights)),
        }
    }

    /// Writes its result on one block of rows.
    pub(crate) fn forward(
        &self,
        graph: &Graph,
        (kernels, weights, derived): (Kernels, Weights<'_>, &Derived<'_>),
        (rows, ids): (&RowsView<'_>, &[GlobalId]),
        values: &mut Values,
    ) {
        match (self, derived) {
            (Self::Dense(dense), Derived::Dense(finish)) => {
                let linear = dense.linear(graph);
                let matrix = weights.f32s(linear.weight);
                values.write(dense.output, |values, out| {
                    dense.run(graph, kernels, (matrix, finish.ending()), values.get(linear.input), out);
                });
            }
            (Self::Layer(at), Derived::Layer(derived)) => {
                let scope = Scope { kernels, weights, derived, ids, bags: rows.bags, training: None };
                graph.layers()[*at].forward(&scope, values);
            }
            _ => unreachable!("what is derived belongs to the unit"),
        }
    }

    /// The units of a graph, in the order of their evaluation, but for the sum that gives the logit.
    pub(crate) fn all(graph: &Graph) -> Vec<Self> {
        let mut taken = vec![false; graph.layers().len()];
        let mut units = Vec::new();
        for at in 0..taken.len() {
            if taken[at] {
                continue;
            }
            units.push(match graph.layers()[at].known() {
                Known::Linear(linear) => Self::Dense(follow(graph, at, linear, &mut taken)),
                Known::Sum(sum) if sum.output == graph.logit() => continue,
                _ => Self::Layer(at),
            });
        }
        units
    }

    /// The layers that have parameters, the first of them that which reads.
    fn layers(&self) -> impl Iterator<Item = usize> {
        let (first, norm) = match self {
            Self::Dense(dense) => (dense.layer, dense.norm),
            Self::Layer(at) => (*at, None),
        };
        std::iter::once(first).chain(norm)
    }

    /// What it reads.
    pub(crate) fn reads<'g>(&self, graph: &'g Graph) -> &'g [Slot] {
        self.layers().next().map_or(&[], |first| &graph.ties()[first].reads)
    }

    /// What it writes, the result last.
    pub(crate) fn writes<'u>(&'u self, graph: &'u Graph) -> &'u [Slot] {
        match self {
            Self::Dense(dense) => std::slice::from_ref(&dense.output),
            Self::Layer(at) => &graph.ties()[*at].writes,
        }
    }

    /// The outputs of a dense unit, or whatever of a layer, that one element of a parameter reaches; `None` where it is none of its
    /// own.
    pub(crate) fn reached(&self, graph: &Graph, (parameter, element): (ParameterId, u64)) -> Option<usize> {
        let element = element as usize;
        let at = self.layers().find(|at| {
            let own = |(id, range): &(ParameterId, std::ops::Range<usize>)| {
                *id == parameter && range.contains(&element)
            };
            graph.ties()[*at].parameters.iter().any(own)
        })?;
        Some(match graph.layers()[at].known() {
            Known::Linear(linear) if parameter == linear.weight => element / linear.inputs,
            _ => element,
        })
    }

    /// Nanoseconds per row.
    pub(crate) fn cost(&self, graph: &Graph) -> f64 {
        match self {
            Self::Dense(dense) => {
                let linear = dense.linear(graph);
                Dense::cost(linear.outputs, linear.inputs)
            }
            Self::Layer(at) => {
                let ties = &graph.ties()[*at];
                let result = ties.writes.last().map_or(0, |slot| graph.widths()[*slot]);
                ties.cost + result as f64 * ELEMENT_NS
            }
        }
    }
}

/// The values whose sum, in their order, is the logit.
pub(crate) fn terms(graph: &Graph) -> Vec<Slot> {
    let sum = graph.layers().iter().find_map(|layer| match layer.known() {
        Known::Sum(sum) if sum.output == graph.logit() => Some(sum),
        _ => None,
    });
    sum.map_or_else(|| vec![graph.logit()], |sum| sum.inputs.clone())
}

/// Answers a block: the sum of the logit's terms, and what follows it; one term may stand elsewhere than among the values.
pub(crate) fn answer(
    graph: &Graph,
    kernels: Kernels,
    (terms, elsewhere): (&[Slot], Option<(Slot, &[Lane])>),
    values: &Values,
    out: &mut Answers<'_>,
) {
    let mut lanes = [&[][..]; MOST_TERMS];
    assert!(terms.len() <= MOST_TERMS, "a logit of {} terms", terms.len());
    for (lanes, slot) in lanes.iter_mut().zip(terms) {
        *lanes = match elsewhere {
            Some((of, lanes)) if of == *slot => lanes,
            _ => values.get(*slot),
        };
    }
    kernels.answer(&lanes[..terms.len()], graph.answers_probabilities(), out);
}

/// The layers behind a linear one that only go on with its result.
fn follow(graph: &Graph, layer: usize, linear: &Linear, taken: &mut [bool]) -> Dense {
    let mut dense = Dense { layer, norm: None, rectify: false, output: linear.output };
    loop {
        let mut readers = (0..taken.len()).filter(|&at| graph.ties()[at].reads.contains(&dense.output));
        let (Some(next), None) = (readers.next(), readers.next()) else { return dense };
        match graph.layers()[next].known() {
            Known::BatchNorm(norm) if dense.norm.is_none() && !dense.rectify => {
                (dense.norm, dense.output) = (Some(next), norm.output);
            }
            Known::Rectifier(rectifier) if !dense.rectify => {
                (dense.rectify, dense.output) = (true, rectifier.output);
            }
            Known::Dropout(dropout) => dense.output = dropout.output,
            _ => return dense,
        }
        taken[next] = true;
    }
}
