//! One forward pass: the layers with what they derived from the parameters of this moment.

use std::ops::Range;

use radhard_data::RowsView;
use radhard_kernels::{
    Finish, GlobalId, Joined, Kernels, LANES, Lane, LookUps, Nans, RowIds, Table, TableRow,
};

use crate::column::Column;
use crate::graph::Graph;
use crate::layers::linear::Linear;
use crate::layers::{Known, Scope, Values, Weights};
use crate::looked_up::Pair;
use crate::overlay::Overlay;
use crate::pair_scores::KnownOfTask;
use crate::parameter::Parameters;
use crate::scores::WIDEST_BLOCK;
use crate::steps::{Step, Steps, ThroughSums};
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
    /// Table rows of the block `[F, R]`.
    pub(crate) ids: Vec<GlobalId>,
    /// Table rows `[B …, F]`, with those of rows behind the block.
    pub(crate) row_ids: Vec<GlobalId>,
    pub(crate) values: Values,
    /// The block's first row, and what is known of it and others, where steps know scores.
    first: usize,
    known: KnownOfTask,
    /// NaN that steps replaced in the block, and one bit for each row that had one.
    pub(crate) nans: (u64, [u16; WIDEST_BLOCK / LANES]),
    /// Sums of the check values that a folded layer looked up, where it is checked `[1, R]`.
    pub(crate) checks: [Lane; WIDEST_BLOCK / LANES],
    /// One bit for each row whose result a step that is held did not clear, by lane group.
    pub(crate) open: [u16; WIDEST_BLOCK / LANES],
}

impl Workspace {
    /// Room for blocks of `rows` rows.
    pub(crate) fn new(graph: &Graph, rows: usize) -> Self {
        let values = Values::new(graph.widths(), rows / LANES);
        let ids = vec![GlobalId::FIRST; graph.offsets().len() * rows];
        let checks = [[0.0; LANES]; WIDEST_BLOCK / LANES];
        let (nans, open) = ((0, [0; WIDEST_BLOCK / LANES]), [0; WIDEST_BLOCK / LANES]);
        Self { ids, row_ids: Vec::new(), values, first: 0, known: KnownOfTask::default(), nans, checks, open }
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

    fn with(graph: &'a Graph, weights: Weights<'a>, kernels: Kernels) -> Self {
        let derived = graph.layers().iter().map(|layer| layer.derive(weights)).collect();
        Self { graph, kernels, weights, derived }
    }

    /// The steps of a pass over this many rows.
    pub(crate) fn steps(&self, rows: usize, watch: &Watch<'a>) -> Steps<'a> {
        Steps::new(self.graph, self.weights, self.kernels, rows, watch)
    }

    /// The logits of the block `block` of `rows`, by steps; false where an index of the block, or of rows soon behind it, lies
    /// outside its field.
    ///
    /// # Shapes
    /// `block` B rows, 1 ≤ B ≤ R; `logits` [B].
    pub(crate) fn run(
        &self,
        steps: &Steps<'_>,
        (rows, block): (&RowsView<'_>, Range<usize>),
        workspace: &mut Workspace,
        logits: &mut [f32],
    ) -> bool {
        let own = rows.slice(block.clone());
        if !self.enter((rows, block.clone()), steps.ids, workspace) {
            return false;
        }
        self.enter_task(steps, (rows, &block), workspace);
        self.look_up(steps.that_look_up(), (&own, later(rows, &block)), workspace);
        for (at, (_, step)) in steps.all.iter().enumerate() {
            if !steps.looks_up(at) {
                self.step(step, &own, workspace);
            }
        }
        self.end(workspace, logits);
        true
    }

    /// Brings what steps read of a block into the workspace; false where an index lies outside its field.
    pub(crate) fn enter(
        &self,
        (rows, block): (&RowsView<'_>, Range<usize>),
        ids: bool,
        workspace: &mut Workspace,
    ) -> bool {
        let own = rows.slice(block.clone());
        self.numeric(&own, workspace);
        if rows.bags.is_some() {
            return true;
        }
        let inside = self.row_ids(rows, block, &mut workspace.row_ids);
        if ids && inside {
            self.ids(&own, workspace);
        }
        inside
    }

    /// Looks up what steps know of all rows of a task, as its first block comes; blocks come in their order.
    pub(crate) fn enter_task(
        &self,
        steps: &Steps<'_>,
        (rows, block): (&RowsView<'_>, &Range<usize>),
        workspace: &mut Workspace,
    ) {
        let Some(known) = steps.known_scores() else { return };
        let block_rows = workspace.values.groups() * LANES;
        workspace.first = block.start;
        known.enter(self.kernels, self.graph.offsets(), (rows, block, block_rows), &mut workspace.known);
    }

    /// The table rows of a block, row after row, and of rows soon behind it, so that they can be on their way when their turn
    /// comes; false where an index lies outside its field.
    pub(crate) fn row_ids(&self, rows: &RowsView<'_>, block: Range<usize>, ids: &mut Vec<GlobalId>) -> bool {
        let fields = rows.fields;
        let end = (block.end + RowIds::ahead(fields)).min(rows.len());
        let indices = &rows.indices[block.start * fields..end * fields];
        ids.resize(indices.len(), GlobalId::FIRST);
        let mut outside = false;
        self.kernels.row_ids(indices, self.graph.repeated(), ids, &mut outside);
        !outside
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
    pub(crate) fn step(&self, step: &Step<'_>, rows: &RowsView<'_>, workspace: &mut Workspace) {
        let kernels = self.kernels;
        let Workspace { values, nans: (count, nan_rows), checks, open, .. } = workspace;
        let nans = (count, &mut nan_rows[..values.groups()]);
        match step {
            Step::Layer(at) => self.layer(*at, rows, workspace),
            Step::Attention(at, known) => {
                let Known::PairAttention(attention) = self.graph.layers()[*at].known() else { return };
                let scope = self.scope(*at, rows, &workspace.ids);
                let known = known.of(workspace.first, &workspace.known);
                attention.forward_with(Some(known), &scope, &mut workspace.values);
            }
            Step::FirstOrder(_)
            | Step::Factorisation(_)
            | Step::Rows(_)
            | Step::Pair(_)
            | Step::Folded(..) => self.look_up([Some(step)], (rows, &[]), workspace),
            Step::Dense(dense, _) => {
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
                        .map(|crossed| (values.get(crossed.factor), self.weights.f32s(crossed.numbers)))
                        .collect();
                    let open = &mut open[..values.groups()];
                    match (&through.sums, &through.clean) {
                        (ThroughSums::Chains(order), None) => {
                            kernels.linear_through(x0, &crosses, weight, *order, out);
                        }
                        (ThroughSums::Chains(order), Some(clean)) => {
                            let layer = (weight, &clean.held());
                            kernels.linear_through_held(x0, &crosses, layer, *order, out, open);
                        }
                        (ThroughSums::Fields(fields), None) => {
                            kernels.field_layer(weight, &[], x0, through.inputs, *fields, out);
                        }
                        (ThroughSums::Fields(fields), Some(clean)) => {
                            let beside = (&through.beside[..], &mut checks[..open.len()]);
                            let layer = (weight, &clean.held());
                            kernels.field_sum_held(x0, layer, *fields, (out, open), beside);
                        }
                    }
                });
            }
        }
    }

    /// Takes steps together that only look up, at most one of each kind; what is read [`later`] is asked for.
    pub(crate) fn look_up<const N: usize>(
        &self,
        steps: [Option<&Step<'_>>; N],
        (rows, later): (&RowsView<'_>, &[u32]),
        workspace: &mut Workspace,
    ) {
        if steps.iter().all(Option::is_none) {
            return;
        }
        let Workspace { row_ids, values, nans: (count, nan_rows), checks, .. } = workspace;
        let checks = &mut checks[..values.groups()];
        // What stands beside other values is looked up with them; what stands alone in their place, or after them.
        let column = steps.iter().flatten().find_map(|step| step.checked()).map(|(_, column)| column);
        let mut outputs = [const { None }; N];
        for (step, output) in steps.iter().zip(&mut outputs) {
            *output = step.map(|step| (step.output(), values.take(step.output())));
        }
        let joined = steps.iter().flatten().find_map(|step| match step {
            Step::Folded(_, folded) => folded.joined,
            _ => None,
        });
        let joins = |table: TableId| joined.is_some_and(|joined| joined.first == table.first);
        let (mut looked, mut finish, mut with_sums) = (LookUps::default(), None, (None, None));
        for (step, output) in steps.iter().zip(&mut outputs) {
            let (Some(step), Some((_, out))) = (step, output) else { continue };
            match step {
                Step::FirstOrder(first) => looked.values = Some((self.f32s(first.table), out)),
                Step::Factorisation(terms) if joins(terms.table) => with_sums.0 = Some(&mut out[..]),
                Step::Rows(rows) if joins(rows.table) => with_sums.1 = Some(&mut out[..]),
                Step::Factorisation(terms) => {
                    looked.terms = Some((self.f32s(terms.table), terms.width, out));
                }
                Step::Rows(rows) => looked.rows = Some((self.f32s(rows.table), rows.width, out)),
                Step::Pair(Pair { rows, .. }) => {
                    looked.pairs = Some((self.f32s(rows.table), rows.width, out));
                }
                Step::Folded(dense, folded) => {
                    let linear = dense.linear(self.graph);
                    let (ending, later) = dense.ending(self.bias(linear), &self.derived);
                    finish = later;
                    let (table, outputs) = (&folded.products[..], linear.outputs);
                    if joined.is_some() {
                        let (terms, rows, sums) = (None, None, &mut out[..]);
                        looked.joined = Some(Joined { table, terms, rows, ending, outputs, sums });
                    } else {
                        looked.sums = Some((table, (folded.width, outputs), ending, out));
                    }
                }
                Step::Layer(_)
                | Step::Attention(..)
                | Step::Dense(..)
                | Step::Rest(..)
                | Step::Through(_) => {}
            }
        }
        if let Some(joined) = &mut looked.joined {
            (joined.terms, joined.rows) = with_sums;
        }
        let (fields, far) = (rows.fields, self.graph.far());
        let ids = RowIds { ids: row_ids, fields, far, rows: rows.len(), later };
        let mut unused = [[0.0; LANES]; WIDEST_BLOCK / LANES];
        if let Some(both) = column.and_then(Column::beside) {
            let first = looked.values.take().map_or(&mut unused[..checks.len()], |(_, out)| out);
            looked.both = Some((both, first, checks));
        } else if let Some(values) = column.and_then(Column::alone) {
            self.kernels.look_up(ids, LookUps { values: Some((values, checks)), ..LookUps::default() });
        }
        self.kernels.look_up(ids, looked);
        for (step, output) in steps.iter().zip(outputs) {
            let (Some(step), Some((slot, mut lanes))) = (step, output) else { continue };
            if let Step::Folded(..) = step {
                let nans = (&mut *count, &mut nan_rows[..values.groups()]);
                Self::finish(finish, self.kernels, rows.len(), &mut lanes, nans);
            }
            values.put(slot, lanes);
        }
        for step in steps.into_iter().flatten() {
            let Step::Pair(pair) = step else { continue };
            let mut finite = true;
            self.kernels.within(workspace.values.get(step.output()), pair.limit, &mut finite);
            if !finite {
                self.ids(rows, workspace);
                for layer in pair.layers {
                    self.layer(layer, rows, workspace);
                }
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

    pub(crate) fn scope<'s>(&'s self, at: usize, rows: &RowsView<'s>, ids: &'s [GlobalId]) -> Scope<'s> {
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

/// The indices of the block behind this one.
pub(crate) fn later<'r>(rows: &RowsView<'r>, block: &Range<usize>) -> &'r [u32] {
    let end = (block.end + block.len()).min(rows.len());
    &rows.indices[block.end * rows.fields..end * rows.fields]
}

/// Table rows `[F, R]` of the rows `[B, F]`; a block that is not full repeats its last row.
pub(crate) fn table_rows(indices: &[u32], offsets: &[GlobalId], ids: &mut [GlobalId]) {
    let fields = offsets.len();
    let block = ids.len() / fields;
    let rows = indices.len() / fields;
    for (f, (ids, offset)) in ids.chunks_exact_mut(block).zip(offsets).enumerate() {
        let (used, padding) = ids.split_at_mut(rows);
        for (id, row) in used.iter_mut().zip(indices.chunks_exact(fields)) {
            *id = TableRow::new(row[f]).id(*offset);
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
