//! One training step: forward and backward over the blocks of a batch, synchronised where a layer needs the whole.

use std::io;
use std::ops::Range;

use radhard_kernels::{AdamStep, Kernels, LANES};
use rayon::prelude::*;

use crate::graph::Graph;
use crate::layers::linear::Linear;
use crate::layers::{BlockSums, Known, Scope, TrainingScope, Weights};
use crate::parameter::{Component, Parameters};
pub(super) use crate::training::chunk::Batch;
use crate::training::chunk::{CHUNK, Chunk, Loaded, Room};
use crate::training::optimizer::Moments;
use crate::training::schedule::{Duty, Schedule};
use crate::training::tables::{self, Reads};
use crate::training::{Optimizer, TrainOptions};

/// Buffers, moments and counters of a training run.
pub(super) struct Trainer {
    kernels: Kernels,
    pub(super) schedule: Schedule,
    loaded: Vec<Loaded>,
    chunks: Vec<Chunk>,
    room: Room,
    reads: Reads,
    /// The dense gradients of the batch, by parameter.
    totals: Vec<Vec<f32>>,
    pub(super) moments: Moments,
    derived: Vec<Vec<f32>>,
}

impl Trainer {
    pub(super) fn new(graph: &Graph, parameters: &Parameters) -> Self {
        let of_dense = |component, elements| if component == Component::Dense { elements } else { 0 };
        Self {
            kernels: Kernels::detected(),
            schedule: Schedule::of(graph),
            loaded: Vec::new(),
            chunks: Vec::new(),
            room: Room::default(),
            reads: Reads::default(),
            totals: parameters.iter().map(|t| vec![0.0; of_dense(t.component(), t.elements())]).collect(),
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
    ) -> io::Result<f64> {
        // On a worker thread the parallel parts follow each other without a hand-over each.
        rayon::scope(|_| {
            let loss = self.gradients(graph, parameters, batch, options.seed)?;
            let step = self.moments.next(options);
            self.update(graph, parameters, &step, options.optimizer);
            Ok(loss)
        })
    }

    /// Steps all parameters by the gradients of the last batch.
    fn update(&mut self, graph: &Graph, parameters: &mut Parameters, step: &AdamStep, optimizer: Optimizer) {
        let through = self.schedule.rows.as_ref().and_then(|rows| rows.through.as_ref());
        let state = (parameters, &mut self.moments, &mut self.totals[..]);
        tables::step(graph, through, state, (step, optimizer), &self.reads, &self.chunks);
    }

    /// Forward and backward; the gradients stay in the chunks, the reads are sorted.
    ///
    /// # Errors
    /// If rows cannot be read; the model's statistics are worth nothing then.
    pub(super) fn gradients(
        &mut self,
        graph: &Graph,
        parameters: &mut Parameters,
        batch: Batch<'_>,
        seed: u64,
    ) -> io::Result<f64> {
        let rows = batch.order.len();
        let count = rows.div_ceil(CHUNK);
        let Self { kernels, schedule, loaded, chunks, room, reads, moments, derived, .. } = self;
        loaded.truncate(count);
        chunks.truncate(count);
        while loaded.len() < count {
            loaded.push(Loaded::new(graph, loaded.len()));
        }
        chunks.resize_with(count, || Chunk::new(graph, schedule));
        let (layers, stops) = (graph.layers(), &schedule.stops);
        let base = Base { graph, kernels: *kernels, schedule, room, seed, step: moments.steps + 1 };
        let load = |loaded: &mut Loaded, chunk: &mut Chunk, order: &[u32]| {
            loaded.load(base.kernels, graph, batch, order, &mut chunk.values);
        };
        if stops.is_empty() {
            let all = loaded.par_iter_mut().zip(&mut *chunks).zip(batch.order.par_chunks(CHUNK));
            all.for_each(|((loaded, chunk), order)| load(loaded, chunk, order));
        }

        let mut from = 0;
        for (pass, &stop) in stops.iter().enumerate() {
            let run = Run { base, weights: Weights::of(parameters), derived };
            let forward = |loaded: &Loaded, chunk: &mut Chunk| {
                run.pass(loaded, chunk, from..stop, None);
                let batch = layers[stop].batch();
                batch.map_or_else(BlockSums::default, |b| {
                    b.statistics(base.kernels, loaded.rows(), &chunk.values)
                })
            };
            let blocks: Vec<_> = if pass == 0 {
                let all = loaded.par_iter_mut().zip(&mut *chunks).zip(batch.order.par_chunks(CHUNK));
                all.map(|((loaded, chunk), order)| {
                    load(loaded, chunk, order);
                    forward(loaded, chunk)
                })
                .collect()
            } else {
                loaded.par_iter().zip(&mut *chunks).map(|(loaded, chunk)| forward(loaded, chunk)).collect()
            };
            if let Some(layer) = layers[stop].batch() {
                derived[stop] = layer.combine(Weights::of(parameters), &blocks);
                layer.track(parameters, &blocks);
            }
            from = stop;
        }

        let weights = Weights::of(parameters);
        let mut to = layers.len();
        for pass in (0..=stops.len()).rev() {
            let stop = pass.checked_sub(1).map(|i| stops[i]);
            let run = Run { base, weights, derived };
            let backward = |loaded: &Loaded, chunk: &mut Chunk| {
                let forward = if to == layers.len() { from..to } else { 0..0 };
                run.pass(loaded, chunk, forward, Some((stop.map_or(0, |s| s + 1)..to, rows)));
                stop.map_or_else(BlockSums::default, |stop| run.gradient_statistics(loaded, chunk, stop))
            };
            let mut over_chunks = || -> Vec<_> {
                loaded.par_iter().zip(&mut *chunks).map(|(loaded, chunk)| backward(loaded, chunk)).collect()
            };
            let blocks = if to == layers.len() {
                rayon::join(over_chunks, || reads.sort(graph, loaded)).0
            } else {
                over_chunks()
            };
            if let Some(stop) = stop {
                if let Some(layer) = layers[stop].batch() {
                    layer.combine_gradient(&mut derived[stop], &blocks, rows);
                }
                to = stop + 1;
            }
        }
        if let Some(error) = loaded.iter_mut().find_map(|loaded| loaded.failed.take()) {
            return Err(error);
        }
        Ok(chunks.iter().map(|c| c.loss).sum::<f64>() / rows as f64)
    }

    /// The gradients of the last batch by parameter, tables in full.
    ///
    /// A step without inertia leaves the gradient in the first moment, and one of length zero leaves the weights.
    #[cfg(test)]
    pub(super) fn collected(&mut self, graph: &Graph, parameters: &mut Parameters) -> Vec<Vec<f64>> {
        let still = AdamStep {
            beta1: 0.0,
            beta2: 0.5,
            epsilon: 1.0,
            weight_decay: 0.0,
            step_size: 0.0,
            root_scale: 1.0,
        };
        self.moments = Moments::zeroed(parameters);
        self.update(graph, parameters, &still, Optimizer::Adam);
        self.moments.first.iter().map(|m| m.iter().map(|&g| f64::from(g)).collect()).collect()
    }
}

/// What all passes of a step share.
#[derive(Clone, Copy)]
struct Base<'a> {
    graph: &'a Graph,
    kernels: Kernels,
    schedule: &'a Schedule,
    room: &'a Room,
    seed: u64,
    step: u64,
}

/// What the chunks of one pass share.
#[derive(Clone, Copy)]
struct Run<'a> {
    base: Base<'a>,
    weights: Weights<'a>,
    derived: &'a [Vec<f32>],
}

impl<'a> Run<'a> {
    fn scope(&self, layer: usize, loaded: &'a Loaded) -> Scope<'a> {
        let Base { kernels, seed, step, .. } = self.base;
        let (first_row, rows) = (loaded.first_row, loaded.rows());
        Scope {
            kernels,
            weights: self.weights,
            derived: &self.derived[layer],
            ids: &loaded.ids,
            bags: None,
            training: Some(TrainingScope { seed, step, first_row, rows }),
        }
    }

    /// Some layers forward; then, if asked for, the loss (behind the last layer) and some layers backward, of a batch of so
    /// many rows.
    fn pass(
        &self,
        loaded: &Loaded,
        chunk: &mut Chunk,
        forward: Range<usize>,
        backward: Option<(Range<usize>, usize)>,
    ) {
        let Base { graph, kernels, schedule, room, .. } = self.base;
        let rows = schedule.rows.as_ref();
        let present = rows.filter(|rows| rows.forward(&forward));
        if let Some(rows) = present {
            room.lend(&mut chunk.values, rows.slot, rows.width);
            if !forward.contains(&rows.layer) {
                self.forward(loaded, chunk, rows.layer);
            }
        }
        for i in forward {
            self.forward(loaded, chunk, i);
        }
        let mut again = None;
        if let Some((layers, batch)) = backward {
            if layers.end == graph.layers().len() {
                chunk.start_backward(kernels, graph, schedule, &loaded.labels, batch);
            }
            again = rows.filter(|rows| present.is_none() && rows.backward(&layers));
            if let Some(rows) = again {
                room.lend(&mut chunk.values, rows.slot, rows.width);
                self.forward(loaded, chunk, rows.layer);
            }
            let slopes = rows.filter(|r| r.brief && !r.others.is_empty() && layers.contains(&r.layer));
            if let Some(rows) = slopes {
                room.lend(&mut chunk.gradients.values, rows.slot, rows.width);
                chunk.gradients.values.get_mut(rows.slot).fill([0.0; LANES]);
            }
            for i in layers.rev() {
                self.backward(loaded, chunk, i);
            }
            if let Some(rows) = slopes {
                room.return_from(&mut chunk.gradients.values, rows.slot);
            }
        }
        if let Some(rows) = present.or(again) {
            room.return_from(&mut chunk.values, rows.slot);
        }
    }

    fn forward(&self, loaded: &Loaded, chunk: &mut Chunk, i: usize) {
        let layer = &self.base.graph.layers()[i];
        match (self.base.schedule.duties[i], layer.known()) {
            (Duty::Done, _) => {}
            (Duty::Hidden(hidden), Known::BatchNorm(norm)) => {
                hidden.forward(norm, &self.scope(i, loaded), &mut chunk.values);
            }
            _ => layer.forward(&self.scope(i, loaded), &mut chunk.values),
        }
    }

    fn backward(&self, loaded: &Loaded, chunk: &mut Chunk, i: usize) {
        let layer = &self.base.graph.layers()[i];
        let scope = self.scope(i, loaded);
        match (self.base.schedule.duties[i], layer.known()) {
            (Duty::Done, _) => {}
            (Duty::Hidden(hidden), Known::BatchNorm(norm)) => {
                hidden.backward(norm, &scope, &chunk.values, &mut chunk.gradients);
            }
            (Duty::SoleLinear, Known::Linear(linear)) => {
                linear.parameter_gradients(&scope, &chunk.values, &mut chunk.gradients);
                let weight = self.weights.f32s(linear.weight);
                chunk.gradients.values.write(linear.input, |gradients, dx| {
                    let dy = gradients.get(linear.output);
                    scope.kernels.linear_input_slopes(weight, dy, linear.inputs, dx);
                });
            }
            (Duty::Through, Known::Linear(linear)) => self.through(chunk, linear),
            (Duty::Rows, _)
                if self.base.schedule.rows.as_ref().is_some_and(|rows| rows.others.is_empty()) => {}
            _ => layer.backward(&scope, &chunk.values, &mut chunk.gradients),
        }
    }

    /// The backward pass of the linear layer on table rows, as far as blocks do it.
    fn through(&self, chunk: &mut Chunk, linear: &Linear) {
        let kernels = self.base.kernels;
        let slopes = chunk.gradients.values.get(linear.output);
        let stride = linear.outputs.next_multiple_of(LANES);
        if stride == linear.outputs {
            kernels.to_rows(slopes, stride, &mut chunk.slopes);
        } else {
            for (j, of_output) in slopes.as_flattened().chunks_exact(CHUNK).enumerate() {
                for (to, slope) in chunk.slopes.chunks_exact_mut(stride).zip(of_output) {
                    to[j] = *slope;
                }
            }
        }
        if let Some(bias) = linear.bias {
            kernels.feature_sums(slopes, &mut chunk.gradients.dense[bias]);
        }
    }

    fn gradient_statistics(&self, loaded: &Loaded, chunk: &mut Chunk, stop: usize) -> BlockSums {
        let layer = &self.base.graph.layers()[stop];
        let scope = self.scope(stop, loaded);
        let (values, gradients) = (&chunk.values, &mut chunk.gradients);
        match (self.base.schedule.duties[stop], layer.known()) {
            (Duty::Hidden(hidden), Known::BatchNorm(norm)) => {
                hidden.gradient_statistics(norm, &scope, values, gradients)
            }
            _ => layer.batch().map_or_else(BlockSums::default, |batch| {
                batch.gradient_statistics(&scope, values, gradients)
            }),
        }
    }
}
