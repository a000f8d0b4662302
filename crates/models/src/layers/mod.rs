//! The layers, forward and backward side by side, each on one feature-major block of rows.

pub(crate) mod batch_norm;
pub(crate) mod bias;
pub(crate) mod concatenation;
pub(crate) mod cross;
pub(crate) mod dot_interaction;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod embedding_bag;
pub(crate) mod factorisation;
pub(crate) mod first_order;
pub(crate) mod linear;
pub(crate) mod pair_attention;
pub(crate) mod rectifier;
pub(crate) mod split_linear;
pub(crate) mod sum;

use std::ops::Range;

use radhard_data::BagsView;
use radhard_kernels::{GlobalId, Kernels, Lane, Table, TableRow};
use radhard_memory::Buffer;

use crate::graph::{ParameterId, Slot};
use crate::hook::{LookupSite, ProductSite};
use crate::layers::batch_norm::BatchNorm;
use crate::layers::cross::Cross;
use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::factorisation::Factorisation;
use crate::layers::first_order::FirstOrder;
use crate::layers::linear::Linear;
use crate::layers::pair_attention::PairAttention;
use crate::layers::rectifier::Rectifier;
use crate::layers::split_linear::LinearHead;
use crate::layers::sum::Sum;
use crate::overlay::Overlay;
use crate::parameter::{Parameters, Tensor};
use crate::table::TableId;

/// The parameters that a pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    tensors: &'a [Tensor],
    overlay: Option<&'a Overlay>,
    /// Whether the overlay's rows of tables are read too.
    rows: bool,
}

impl<'a> Weights<'a> {
    pub(crate) fn of(parameters: &'a Parameters) -> Self {
        Self { tensors: parameters.as_slice(), overlay: None, rows: false }
    }

    /// The parameters as they read under an overlay.
    pub(crate) fn under(parameters: &'a Parameters, overlay: &'a Overlay) -> Self {
        Self { tensors: parameters.as_slice(), overlay: Some(overlay), rows: true }
    }

    /// The dense parameters as they read under an overlay, the tables as they are stored.
    pub(crate) fn dense_under(parameters: &'a Parameters, overlay: &'a Overlay) -> Self {
        Self { rows: false, ..Self::under(parameters, overlay) }
    }

    pub(crate) fn f32s(&self, id: ParameterId) -> &'a [f32] {
        self.overlay.and_then(|overlay| overlay.dense(id)).unwrap_or_else(|| self.tensors[id].f32s())
    }

    pub(crate) fn table(&self, id: TableId) -> Table<'a> {
        id.of(self.tensors)
    }

    /// Whether rows of tables may read otherwise than they are stored.
    pub(crate) fn rewrites_rows(&self) -> bool {
        self.rows && self.overlay.is_some()
    }

    /// Puts the overlaid rows of a table into a gathered block `[F · D, R]` of the rows `ids` `[F, R]`.
    pub(crate) fn patch(&self, table: TableId, ids: &[GlobalId], block: usize, out: &mut [Lane]) {
        if let Some(overlay) = self.overlay.filter(|_| self.rows) {
            overlay.patch(table, ids, block, out);
        }
    }

    /// Writes the values of one row of a table.
    pub(crate) fn row(&self, table: TableId, row: TableRow, out: &mut [f32]) {
        match self.overlay.filter(|_| self.rows).and_then(|overlay| overlay.row(table, row)) {
            Some(values) => out.copy_from_slice(values),
            None => self.table(table).row(row.index(), out),
        }
    }
}

/// What a layer sees of a pass over one block.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) kernels: Kernels,
    pub(crate) weights: Weights<'a>,
    /// What the layer derived from its parameters (or, in training, from the batch).
    pub(crate) derived: &'a [f32],
    /// Table rows [F, R].
    pub(crate) ids: &'a [GlobalId],
    /// The bags of the block's rows that are not padding, where the model reads bags.
    pub(crate) bags: Option<BagsView<'a>>,
    /// In training: which mask each row of the block gets.
    pub(crate) training: Option<TrainingScope>,
}

/// Where a block stands in training.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrainingScope {
    pub(crate) seed: u64,
    /// The step, counted from 1 over all epochs.
    pub(crate) step: u64,
    /// The block's first row within the batch.
    pub(crate) first_row: usize,
    /// The block's rows that are not padding.
    pub(crate) rows: usize,
}

/// A value of one block, on a cache line's boundary.
pub(crate) type Block = Buffer<Lane>;

/// The values of one block, feature-major `[width, R]` each.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// `None` while a layer holds it.
    slots: Vec<Option<Block>>,
    groups: usize,
}

impl Values {
    /// Room for blocks of `groups` lane groups.
    pub(crate) fn new(widths: &[usize], groups: usize) -> Self {
        Self { slots: widths.iter().map(|width| Some(Block::zeroed(width * groups))).collect(), groups }
    }

    /// Lane groups of the block.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    pub(crate) fn get(&self, slot: Slot) -> &[Lane] {
        self.slots[slot].as_deref().unwrap_or_default()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut [Lane] {
        self.slots[slot].as_deref_mut().unwrap_or_default()
    }

    /// Runs `f` with one value to write and all others to read.
    pub(crate) fn write(&mut self, output: Slot, f: impl FnOnce(&Self, &mut [Lane])) {
        let mut taken = self.slots[output].take();
        f(self, taken.as_deref_mut().unwrap_or_default());
        self.slots[output] = taken;
    }

    /// Exchanges a value with that of others of the same widths.
    pub(crate) fn exchange(&mut self, slot: Slot, others: &mut Self) {
        std::mem::swap(&mut self.slots[slot], &mut others.slots[slot]);
    }

    /// Takes a value out, to be [`put`](Self::put) back.
    pub(crate) fn take(&mut self, slot: Slot) -> Block {
        self.slots[slot].take().unwrap_or_default()
    }

    /// Gives each of two values the other's room.
    pub(crate) fn swap(&mut self, a: Slot, b: Slot) {
        self.slots.swap(a, b);
    }

    pub(crate) fn put(&mut self, slot: Slot, lanes: Block) {
        self.slots[slot] = Some(lanes);
    }
}

/// The gradients of one block.
#[derive(Debug)]
pub(crate) struct Gradients {
    /// By slot.
    pub(crate) values: Values,
    /// By parameter, empty for tables and state.
    pub(crate) dense: Vec<Vec<f32>>,
    /// By parameter, for tables: row-major `[R, F · D]`, or `[R]` where all fields share one gradient.
    pub(crate) tables: Vec<Vec<f32>>,
}

/// What a layer is connected to, and about what it costs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ties {
    /// Values it reads.
    pub(crate) reads: Vec<Slot>,
    /// Values it writes; the last one is its result.
    pub(crate) writes: Vec<Slot>,
    /// Parameters outside the tables, with the elements that it reads.
    pub(crate) parameters: Vec<(ParameterId, Range<usize>)>,
    /// Whether the result may be the same whatever its parameters are: [`Layer::settled`] says when.
    pub(crate) settles: bool,
    /// Time per row in nanoseconds, roughly, on one core: what counts is the ratio.
    pub(crate) cost: f64,
}

/// Nanoseconds of a multiplication and addition in a full block.
pub(crate) const FMA_NS: f64 = 0.035;
/// Nanoseconds of an element that is read, changed and written.
pub(crate) const ELEMENT_NS: f64 = 0.1;
/// Nanoseconds of a kept value that is loaded.
pub(crate) const LOAD_NS: f64 = 0.25;
/// Nanoseconds of a table row of the usual width that is gathered.
pub(crate) const GATHER_NS: f64 = 2.5;
/// Nanoseconds of a single value that is looked up and added.
pub(crate) const LOOKUP_NS: f64 = 2.5;
/// Nanoseconds of a row beside its layers: from the logit to the answer.
pub(crate) const ROW_NS: f64 = 3.0;

/// A layer by its kind.
pub(crate) enum Known<'a> {
    Embedding(&'a Embedding),
    FirstOrder(&'a FirstOrder),
    Factorisation(&'a Factorisation),
    Linear(&'a Linear),
    LinearHead(&'a LinearHead),
    Cross(&'a Cross),
    PairAttention(&'a PairAttention),
    BatchNorm(&'a BatchNorm),
    Rectifier(&'a Rectifier),
    Dropout(&'a Dropout),
    Sum(&'a Sum),
    Other,
}

impl dyn Layer + '_ {
    /// Where it is a linear layer on the concatenated rows of all fields.
    pub(crate) fn field_layer(&self) -> Option<&Linear> {
        match self.known() {
            Known::Linear(linear) if linear.fields.is_some() => Some(linear),
            _ => None,
        }
    }

    /// Where it gathers one row per field from one table of all fields.
    pub(crate) fn whole_table(&self) -> Option<&Embedding> {
        match self.known() {
            Known::Embedding(rows) if rows.first == GlobalId::FIRST && rows.fields.start == 0 => Some(rows),
            _ => None,
        }
    }
}

/// Sees the number, the input `[K, R]` and the result `[J, R]` of a product of matrices, and may rewrite the result.
pub(crate) type Show<'a> = dyn FnMut(usize, &[Lane], &mut [Lane]) + 'a;

/// One layer of a graph.
pub(crate) trait Layer: Send + Sync {
    /// What it is connected to.
    fn ties(&self) -> Ties;

    /// What it is, where others treat its kind in a way of its own.
    fn known(&self) -> Known<'_> {
        Known::Other
    }

    /// Where it looks rows of a table up; the layer's number is not set.
    fn lookup(&self) -> Option<LookupSite> {
        None
    }

    /// Where the words that it looked up stand, as numbers.
    fn gathered(&self) -> Option<Slot> {
        None
    }

    /// Computes the result again from words that changed after they were gathered.
    fn again(&self, scope: &Scope<'_>, values: &mut Values) {
        let _ = (scope, values);
    }

    /// Whether the result does not depend on the layer's parameters, given what they are and the largest magnitude in its
    /// table rows.
    fn settled(&self, weights: Weights<'_>, largest: f32) -> bool {
        let _ = (weights, largest);
        false
    }

    /// What the layer computes from its parameters once per pass.
    fn derive(&self, weights: Weights<'_>) -> Vec<f32> {
        let _ = weights;
        Vec::new()
    }

    /// Writes the layer's output.
    fn forward(&self, scope: &Scope<'_>, values: &mut Values);

    /// The products of matrices inside it; the layer's number is not set.
    fn inner_products(&self) -> Vec<ProductSite> {
        Vec::new()
    }

    /// The same as [`forward`](Self::forward), and shows each inner product as it is computed: its number, input and result.
    fn forward_shown(&self, scope: &Scope<'_>, values: &mut Values, show: &mut Show<'_>) {
        let _ = show;
        self.forward(scope, values);
    }

    /// Adds to the gradients of the layer's inputs and parameters, given that of its output.
    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients);

    /// The layer's statistics over a batch, where it needs them.
    fn batch(&self) -> Option<&dyn BatchLayer> {
        None
    }
}

/// What a block contributes to a layer that needs the whole batch: two sums per feature.
#[derive(Debug, Default)]
pub(crate) struct BlockSums {
    /// The block's rows.
    pub(crate) rows: usize,
    pub(crate) of_features: Vec<[f64; 2]>,
}

/// A layer whose training depends on the whole batch.
pub(crate) trait BatchLayer {
    /// What one block of `rows` rows contributes before the forward pass.
    fn statistics(&self, kernels: Kernels, rows: usize, values: &Values) -> BlockSums;

    /// The layer's derived values from the contributions of all blocks in order.
    fn combine(&self, weights: Weights<'_>, blocks: &[BlockSums]) -> Vec<f32>;

    /// Moves the running statistics.
    fn track(&self, parameters: &mut Parameters, blocks: &[BlockSums]);

    /// What one block contributes before the backward pass; adds the block's parameter gradients.
    fn gradient_statistics(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients)
    -> BlockSums;

    /// Appends to the derived values what the backward pass needs.
    fn combine_gradient(&self, derived: &mut Vec<f32>, blocks: &[BlockSums], rows: usize);
}
