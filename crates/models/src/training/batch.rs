//! One training step: forward and backward over the blocks of a batch, synchronised where a layer needs the whole.

use radhard_kernels::{Kernels, LANES};
use rayon::prelude::*;

use crate::graph::Graph;
use crate::layers::{Gradients, Scope, TrainingScope, Values, Weights};
use crate::parameter::{Component, Parameters};
use crate::pass::{numeric_values, table_rows};
use crate::training::TrainOptions;
use crate::training::loss::cross_entropy;
use crate::training::optimizer::Moments;
use crate::training::tables::{self, Reads};

/// Rows of one block in training. It fixes the order of sums, and so the bits.
pub(super) const CHUNK: usize = 256;

/// One block of a batch with everything computed on it.
pub(super) struct Chunk {
    pub(super) ids: Vec<u32>,
    labels: Vec<u8>,
    indices: Vec<u32>,
    numeric: Vec<f32>,
    pub(super) values: Values,
    pub(super) gradients: Gradients,
    pub(super) rows: usize,
    pub(super) first_row: usize,
    loss: f64,
}

impl Chunk {
    fn new(graph: &Graph) -> Self {
        let sizes = |keep: Component| {
            graph.specs().iter().map(move |s| if s.component == keep { s.elements() } else { 0 })
        };
        let fields = graph.offsets().len();
        let mut tables = vec![Vec::new(); graph.specs().len()];
        for table in graph.tables() {
            let reads = if table.shared { 1 } else { fields };
            tables[table.id.first] = vec![0.0; CHUNK * reads * table.width];
        }
        Self {
            ids: vec![0; fields * CHUNK],
            labels: Vec::new(),
            indices: Vec::new(),
            numeric: Vec::new(),
            values: Values::new(graph.widths(), CHUNK / LANES),
            gradients: Gradients {
                values: Values::new(graph.widths(), CHUNK / LANES),
                dense: sizes(Component::Dense).map(|n| vec![0.0; n]).collect(),
                tables,
            },
            rows: 0,
            first_row: 0,
            loss: 0.0,
        }
    }

    /// Loss and gradient of the logits, of a batch of `batch` rows.
    fn start_backward(&mut self, graph: &Graph, batch: usize) {
        self.gradients.values.clear();
        for dense in &mut self.gradients.dense {
            dense.fill(0.0);
        }
        let logits = self.values.get(graph.logit()).as_flattened();
        let slopes = self.gradients.values.get_mut(graph.logit()).as_flattened_mut();
        self.loss = 0.0;
        for ((&logit, &label), slope) in logits.iter().zip(&self.labels).zip(slopes) {
            let (loss, d) = cross_entropy(logit, label);
            self.loss += loss;
            *slope = (d / batch as f64) as f32;
        }
    }
}

/// The training rows, and the order in which an epoch takes them.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) indices: &'a [u32],
    pub(super) numeric: &'a [f32],
    pub(super) labels: &'a [u8],
    pub(super) order: &'a [u32],
}

/// Buffers, moments and counters of a training run.
pub(super) struct Trainer {
    kernels: Kernels,
    chunks: Vec<Chunk>,
    reads: Reads,
    pub(super) moments: Moments,
    derived: Vec<Vec<f32>>,
}

impl Trainer {
    pub(super) fn new(graph: &Graph, parameters: &Parameters) -> Self {
        Self {
            kernels: Kernels::detected(),
            chunks: Vec::new(),
            reads: Reads::default(),
            moments: Moments::zeroed(parameters),
            derived: vec![Vec::new(); graph.layers().len()],
        }
    }

    /// Steps done.
    pub(super) fn steps(&self) -> u64 {
        self.moments.steps
    }

    /// One step; the mean loss of the batch before it.
    pub(super) fn step(
        &mut self,
        graph: &Graph,
        parameters: &mut Parameters,
        batch: Batch<'_>,
        options: &TrainOptions,
    ) -> f64 {
        let loss = self.gradients(graph, parameters, batch, options.seed);
        let step = self.moments.next(options);
        self.dense_step(parameters, &step);
        self.reads.sort(graph, &self.chunks[..batch.order.len().div_ceil(CHUNK)]);
        tables::step(
            graph,
            parameters,
            &mut self.moments,
            &step,
            options.optimizer,
            &self.reads,
            &self.chunks,
        );
        loss
    }

    /// Forward and backward; the gradients stay in the chunks.
    pub(super) fn gradients(
        &mut self,
        graph: &Graph,
        parameters: &mut Parameters,
        batch: Batch<'_>,
        seed: u64,
    ) -> f64 {
        let rows = batch.order.len();
        self.load(graph, batch);
        let step = self.moments.steps + 1;
        let layers = graph.layers();
        let stops: Vec<usize> = (0..layers.len()).filter(|&i| layers[i].batch().is_some()).collect();
        let kernels = self.kernels;

        let mut from = 0;
        for &stop in &stops {
            let weights = Weights::of(parameters);
            let derived = &self.derived;
            let blocks: Vec<_> = self
                .chunks
                .par_iter_mut()
                .map(|chunk| {
                    let run = Run { graph, kernels, weights, derived, seed, step };
                    run.forward(chunk, from..stop);
                    layers[stop].batch().map(|b| b.statistics(chunk.rows, &chunk.values)).unwrap_or_default()
                })
                .collect();
            if let Some(layer) = layers[stop].batch() {
                self.derived[stop] = layer.combine(weights, &blocks);
                layer.track(parameters, &blocks);
            }
            from = stop;
        }

        let weights = Weights::of(parameters);
        let mut to = layers.len();
        for pass in (0..=stops.len()).rev() {
            let stop = pass.checked_sub(1).map(|i| stops[i]);
            let derived = &self.derived;
            let blocks: Vec<_> = self
                .chunks
                .par_iter_mut()
                .map(|chunk| {
                    let run = Run { graph, kernels, weights, derived, seed, step };
                    if to == layers.len() {
                        run.forward(chunk, from..to);
                        chunk.start_backward(graph, rows);
                    }
                    run.backward(chunk, stop.map_or(0, |s| s + 1)..to);
                    stop.and_then(|s| Some((s, layers[s].batch()?))).map_or(Vec::new(), |(s, layer)| {
                        let ids = std::mem::take(&mut chunk.ids);
                        let scope = run.scope(s, &ids, chunk.first_row, chunk.rows);
                        let sums = layer.gradient_statistics(&scope, &chunk.values, &mut chunk.gradients);
                        chunk.ids = ids;
                        sums
                    })
                })
                .collect();
            if let Some(stop) = stop {
                if let Some(layer) = layers[stop].batch() {
                    layer.combine_gradient(&mut self.derived[stop], &blocks, rows);
                }
                to = stop + 1;
            }
        }
        self.chunks.iter().map(|c| c.loss).sum::<f64>() / rows as f64
    }

    /// The gradients of the last batch by parameter, tables in full.
    #[cfg(test)]
    pub(super) fn collected(&self, graph: &Graph, parameters: &Parameters) -> Vec<Vec<f64>> {
        let mut all: Vec<Vec<f64>> = parameters.iter().map(|t| vec![0.0; t.elements()]).collect();
        let fields = graph.offsets().len();
        for chunk in &self.chunks {
            for (sum, dense) in all.iter_mut().zip(&chunk.gradients.dense) {
                for (sum, &g) in sum.iter_mut().zip(dense) {
                    *sum += f64::from(g);
                }
            }
            for table in graph.tables() {
                let (gradient, width) = (&chunk.gradients.tables[table.id.first], table.width);
                for field in (0..fields).filter(|&f| table.field.is_none_or(|own| own == f)) {
                    for row in 0..chunk.rows {
                        let first = table.field.map_or(0, |own| graph.offsets()[own]);
                        let id = (chunk.ids[field * CHUNK + row] - first) as usize;
                        let at = if table.shared { row } else { row * fields + field };
                        for d in 0..width {
                            all[table.id.first][id * width + d] += f64::from(gradient[at * width + d]);
                        }
                    }
                }
            }
        }
        all
    }

    fn load(&mut self, graph: &Graph, batch: Batch<'_>) {
        let (fields, width) = (graph.offsets().len(), graph.config().numeric);
        let count = batch.order.len().div_ceil(CHUNK);
        self.chunks.truncate(count);
        self.chunks.resize_with(count, || Chunk::new(graph));
        self.chunks.par_iter_mut().zip(batch.order.par_chunks(CHUNK)).enumerate().for_each(
            |(i, (chunk, rows))| {
                chunk.rows = rows.len();
                chunk.first_row = i * CHUNK;
                chunk.labels.clear();
                chunk.indices.clear();
                chunk.numeric.clear();
                for &row in rows {
                    let row = row as usize;
                    chunk.labels.push(batch.labels[row]);
                    chunk.indices.extend_from_slice(&batch.indices[row * fields..(row + 1) * fields]);
                    chunk.numeric.extend_from_slice(&batch.numeric[row * width..(row + 1) * width]);
                }
                table_rows(&chunk.indices, graph.offsets(), &mut chunk.ids);
                if let Some(slot) = graph.numeric() {
                    numeric_values(&chunk.numeric, width, chunk.values.get_mut(slot));
                }
            },
        );
    }

    /// Sums the chunks' gradients in order and steps every dense parameter.
    fn dense_step(&mut self, parameters: &mut Parameters, step: &radhard_kernels::AdamStep) {
        let (first, rest) = self.chunks.split_at_mut(1);
        let Some(total) = first.first_mut() else { return };
        let (kernels, moments) = (self.kernels, &mut self.moments);
        for (i, tensor) in parameters.iter_mut().enumerate() {
            if tensor.component() != Component::Dense {
                continue;
            }
            let sum = &mut total.gradients.dense[i];
            for chunk in &*rest {
                for (sum, g) in sum.iter_mut().zip(&chunk.gradients.dense[i]) {
                    *sum += g;
                }
            }
            kernels.adam(step, sum, tensor.f32s_mut(), &mut moments.first[i], &mut moments.second[i]);
        }
    }
}

/// What the chunks of one pass share.
#[derive(Clone, Copy)]
struct Run<'a> {
    graph: &'a Graph,
    kernels: Kernels,
    weights: Weights<'a>,
    derived: &'a [Vec<f32>],
    seed: u64,
    step: u64,
}

impl<'a> Run<'a> {
    fn scope(&self, layer: usize, ids: &'a [u32], first_row: usize, rows: usize) -> Scope<'a> {
        Scope {
            kernels: self.kernels,
            weights: self.weights,
            derived: &self.derived[layer],
            ids,
            bags: None,
            training: Some(TrainingScope { seed: self.seed, step: self.step, first_row, rows }),
        }
    }

    fn forward(&self, chunk: &mut Chunk, layers: std::ops::Range<usize>) {
        for i in layers {
            let scope = Run::scope(self, i, &chunk.ids, chunk.first_row, chunk.rows);
            self.graph.layers()[i].forward(&scope, &mut chunk.values);
        }
    }

    fn backward(&self, chunk: &mut Chunk, layers: std::ops::Range<usize>) {
        for i in layers.rev() {
            let scope = Run::scope(self, i, &chunk.ids, chunk.first_row, chunk.rows);
            self.graph.layers()[i].backward(&scope, &chunk.values, &mut chunk.gradients);
        }
    }
}
