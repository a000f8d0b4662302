//! One forward pass: the layers with what they derived from the parameters of this moment.

use std::ops::Range;

use radhard_data::RowsView;
use radhard_kernels::{Finish, Kernels, LANES, Lane, Nans, Table};

use crate::graph::Graph;
use crate::layers::linear::Linear;
use crate::layers::{Scope, Values, Weights};
use crate::overlay::Overlay;
use crate::parameter::Parameters;
use crate::scores::BLOCK;
use crate::steps::{Step, Steps};
use crate::table::TableId;
use crate::watch::Watch;

/// What all blocks of a pass share.
pub(crate) struct Pass<'a> {
    graph: &'a Graph,
    pub(crate) kernels: Kernels,
    pub(crate) weights: Weights<'a>,
    derived: Vec<Vec<f32>>,
}

/// The buffers of one worker.
pub(crate) struct Workspace {
    pub(crate) ids: Vec<u32>,
    pub(crate) values: Values,
    /// NaN that steps replaced in the block, and one bit for each row that had one.
    pub(crate) nans: (u64, [u16; BLOCK / LANES]),
}

impl Workspace {
    /// Room for blocks of `rows` rows.
    pub(crate) fn new(graph: &Graph, rows: usize) -> Self {
        let values = Values::new(graph.widths(), rows / LANES);
        Self { ids: vec![0; graph.offsets().len() * rows], values, nans: (0, [0; BLOCK / LANES]) }
    }
}

impl<'a> Pass<'a> {
    pub(crate) fn new(graph: &'a Graph, parameters: &'a Parameters, kernels: Kernels) -> Self {
        Self::with(graph, Weights::of(parameters), kernels)
    }

    /// A pass that reads the parameters under an overlay.
    pub(crate) fn under(
        graph: &'a Graph,
        parameters: &'a Parameters,
        overlay: &'a Overlay,
        kernels: Kernels,
    ) -> Self {
        Self::with(graph, Weights::under(parameters, overlay), kernels)
    }

    /// A pass that reads the dense parameters under an overlay, and the tables as they are stored.
    pub(crate) fn dense_under(
        graph: &'a Graph,
        parameters: &'a Parameters,
        overlay: &'a Overlay,
        kernels: Kernels,
    ) -> Self {
        Self::with(graph, Weights::dense_under(parameters, overlay), kernels)
    }

    fn with(graph: &'a Graph, weights: Weights<'a>, kernels: Kernels) -> Self {
        let derived = graph.layers().iter().map(|layer| layer.derive(weights)).collect();
        Self { graph, kernels, weights, derived }
    }

    /// The logits of one block.
    ///
    /// # Shapes
    /// `rows` B of them, 1 ≤ B ≤ R; `logits` [B].
    pub(crate) fn block(&self, rows: &RowsView<'_>, workspace: &mut Workspace, logits: &mut [f32]) {
        self.begin(rows, workspace);
        for layer in 0..self.graph.layers().len() {
            self.layer(layer, rows, workspace);
        }
        self.end(workspace, logits);
    }

    /// The steps of a pass over this many rows.
    pub(crate) fn steps(&self, rows: usize, watch: &Watch<'a>) -> Steps<'a> {
        Steps::new(self.graph, self.weights, self.kernels, rows, watch)
    }

    /// The logits of the block `block` of `rows`, by steps.
    ///
    /// # Shapes
    /// `block` B rows, 1 ≤ B ≤ R; `logits` [B].
    pub(crate) fn run(
        &self,
        steps: &Steps<'_>,
        (rows, block): (&RowsView<'_>, Range<usize>),
        workspace: &mut Workspace,
        logits: &mut [f32],
    ) {
        let own = rows.slice(block.clone());
        self.enter(&own, steps.ids, workspace);
        for (_, step) in &steps.all {
            self.step(step, &own, self.ahead(rows, &block), workspace);
        }
        self.end(workspace, logits);
    }

    /// Brings what steps read of a block into the workspace.
    pub(crate) fn enter(&self, rows: &RowsView<'_>, ids: bool, workspace: &mut Workspace) {
        if ids {
            self.ids(rows, workspace);
        }
        self.numeric(rows, workspace);
    }

    /// Offsets, indices from a block's rows on, and how many rows the block has. The rows behind the block are named too, so that
    /// they are on their way when their turn comes.
    pub(crate) fn ahead<'r>(
        &self,
        rows: &RowsView<'r>,
        block: &Range<usize>,
    ) -> (&'a [u32], &'r [u32], usize) {
        let offsets = self.graph.offsets();
        (offsets, rows.indices.get(block.start * offsets.len()..).unwrap_or_default(), block.len())
    }

    /// The words of the table that a layer looks up, where so many rows' look-ups are more than they, and read them as they are
    /// stored.
    pub(crate) fn read_often(&self, layer: usize, rows: usize) -> Option<&'a [f32]> {
        let site = self.graph.layers()[layer].lookup()?;
        let table = self.graph.tables().iter().find(|table| table.id.first == site.table)?;
        match self.weights.table(table.id) {
            Table::F32(words) if words.len() < rows * site.fields.len() * site.width => {
                Some(words).filter(|_| !self.weights.rewrites_rows())
            }
            _ => None,
        }
    }

    /// Ends what a step computed, within bounds.
    fn finish(
        finish: Option<Finish<'_>>,
        kernels: Kernels,
        rows: usize,
        values: &mut [Lane],
        (count, nan_rows): (&mut u64, &mut [u16]),
    ) {
        if let Some(finish) = finish {
            kernels.finish(finish, rows, values, Nans { count, rows: nan_rows });
        }
    }

    /// Takes one step on the rows of a block.
    pub(crate) fn step(
        &self,
        step: &Step<'_>,
        rows: &RowsView<'_>,
        ahead: (&[u32], &[u32], usize),
        workspace: &mut Workspace,
    ) {
        let kernels = self.kernels;
        let Workspace { values, nans: (count, nan_rows), .. } = workspace;
        let nans = (count, &mut nan_rows[..values.groups()]);
        match step {
            Step::Layer(at) => self.layer(*at, rows, workspace),
            Step::FirstOrder { table, output } => {
                kernels.looked_up_sums(self.f32s(*table), ahead, values.get_mut(*output));
            }
            Step::Factorisation { table, width, output } => {
                kernels.row_factorisation(self.f32s(*table), *width, ahead, values.get_mut(*output));
            }
            Step::Dense(dense) => {
                let linear = dense.linear(self.graph);
                let (ending, finish) = dense.ending(self.bias(linear), &self.derived);
                let weight = self.weights.f32s(linear.weight);
                values.write(dense.output, |values, out| {
                    let x = values.get(linear.input);
                    match linear.fields {
                        Some(fields) => kernels.field_dense(weight, ending, x, (linear.inputs, fields), out),
                        None => kernels.dense(weight, ending, x, linear.inputs, out),
                    }
                    Self::finish(finish, kernels, rows.len(), out, nans);
                });
            }
            Step::Folded(dense, folded) => {
                let linear = dense.linear(self.graph);
                let (ending, finish) = dense.ending(self.bias(linear), &self.derived);
                let out = values.get_mut(dense.output);
                kernels.row_sums(&folded.products, (folded.width, linear.outputs), ahead, ending, out);
                Self::finish(finish, kernels, rows.len(), out, nans);
            }
            Step::Rest(rest, input) => {
                values.swap(*input, rest.output);
                let out = values.get_mut(rest.output);
                Self::finish(Some(rest.finish(&self.derived)), kernels, rows.len(), out, nans);
            }
            Step::Through(through) => {
                let weight = &self.weights.f32s(through.weight)[..through.inputs];
                values.write(through.output, |values, out| {
                    let x0 = values.get(through.first);
                    let crosses: Vec<_> = through
                        .crosses
                        .iter()
                        .map(|&(factor, numbers)| (values.get(factor), self.weights.f32s(numbers)))
                        .collect();
                    if through.head {
                        kernels.linear_head_through(x0, &crosses, weight, out);
                    } else {
                        kernels.linear_through(x0, &crosses, weight, out);
                    }
                });
            }
        }
    }

    fn bias(&self, linear: &Linear) -> &'a [f32] {
        linear.bias.map_or(&[][..], |bias| self.weights.f32s(bias))
    }

    /// The words of a table that is stored as f32.
    fn f32s(&self, table: TableId) -> &'a [f32] {
        match self.weights.table(table) {
            Table::F32(words) => words,
            _ => unreachable!("steps read f32 tables only"),
        }
    }

    /// Brings the inputs of a block into the workspace.
    pub(crate) fn begin(&self, rows: &RowsView<'_>, workspace: &mut Workspace) {
        self.ids(rows, workspace);
        self.numeric(rows, workspace);
    }

    /// Brings the ids of a block's table rows into the workspace.
    pub(crate) fn ids(&self, rows: &RowsView<'_>, workspace: &mut Workspace) {
        if rows.bags.is_none() {
            table_rows(rows.indices, self.graph.offsets(), &mut workspace.ids);
        }
    }

    /// Brings the numeric inputs of a block into the workspace.
    pub(crate) fn numeric(&self, rows: &RowsView<'_>, workspace: &mut Workspace) {
        if let Some(slot) = self.graph.numeric() {
            numeric_values(rows.numeric, self.graph.config().numeric, workspace.values.get_mut(slot));
        }
    }

    /// Runs one layer on a block.
    pub(crate) fn layer(&self, at: usize, rows: &RowsView<'_>, workspace: &mut Workspace) {
        let scope = self.scope(at, rows, &workspace.ids);
        self.graph.layers()[at].forward(&scope, &mut workspace.values);
    }

    /// Computes a layer's result again from looked-up words that changed.
    pub(crate) fn again(&self, at: usize, rows: &RowsView<'_>, workspace: &mut Workspace) {
        let scope = self.scope(at, rows, &workspace.ids);
        self.graph.layers()[at].again(&scope, &mut workspace.values);
    }

    pub(crate) fn scope<'s>(&'s self, at: usize, rows: &RowsView<'s>, ids: &'s [u32]) -> Scope<'s> {
        Scope {
            kernels: self.kernels,
            weights: self.weights,
            derived: &self.derived[at],
            ids,
            bags: rows.bags,
            training: None,
        }
    }

    /// Takes the logits of a block out of the workspace.
    pub(crate) fn end(&self, workspace: &Workspace, logits: &mut [f32]) {
        let all = workspace.values.get(self.graph.logit()).as_flattened();
        logits.copy_from_slice(&all[..logits.len()]);
    }

    /// What the model answers for logits: probabilities, or the logits themselves.
    pub(crate) fn answers(&self, logits: &[f32], out: &mut [f32]) {
        if self.graph.answers_probabilities() {
            self.kernels.sigmoid(logits, out);
        } else {
            out.copy_from_slice(logits);
        }
    }
}

/// Table rows `[F, R]` of the rows `[B, F]`; a block that is not full repeats its last row.
pub(crate) fn table_rows(indices: &[u32], offsets: &[u32], ids: &mut [u32]) {
    let fields = offsets.len();
    let block = ids.len() / fields;
    let rows = indices.len() / fields;
    for (f, (ids, offset)) in ids.chunks_exact_mut(block).zip(offsets).enumerate() {
        let (used, padding) = ids.split_at_mut(rows);
        for (id, row) in used.iter_mut().zip(indices.chunks_exact(fields)) {
            *id = row[f] + offset;
        }
        padding.fill(used[rows - 1]);
    }
}

/// The numeric inputs `[B, N]` as a block `[N, R]`; a block that is not full repeats its last row.
pub(crate) fn numeric_values(numeric: &[f32], width: usize, out: &mut [Lane]) {
    let rows = numeric.len() / width;
    let values = out.as_flattened_mut();
    let block = values.len() / width;
    for (k, values) in values.chunks_exact_mut(block).enumerate() {
        for (r, value) in values.iter_mut().enumerate() {
            *value = numeric[r.min(rows - 1) * width + k];
        }
    }
}
