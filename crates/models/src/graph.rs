//! A model as a list of layers over feature-major blocks, built once for its configuration.
//!
//! Letters of shapes: R rows of a block, F fields, D embedding width, H width of a hidden layer.

use std::sync::{Mutex, PoisonError};

use radhard_kernels::{GlobalId, LANES};
use radhard_memory::Buffer;

use crate::architecture::Architecture;
use crate::config::{Config, ConfigError};
use crate::layers::batch_norm::BatchNorm;
use crate::layers::bias::Bias;
use crate::layers::concatenation::Concatenation;
use crate::layers::cross::Cross;
use crate::layers::dot_interaction::DotInteraction;
use crate::layers::dropout::{Dropout, Masking};
use crate::layers::embedding::Embedding;
use crate::layers::embedding_bag::EmbeddingBag;
use crate::layers::factorisation::Factorisation;
use crate::layers::first_order::FirstOrder;
use crate::layers::linear::Linear;
use crate::layers::pair_attention::PairAttention;
use crate::layers::rectifier::Rectifier;
use crate::layers::split_linear::{LinearHead, LinearTail};
use crate::layers::sum::Sum;
use crate::layers::{Layer, Ties};
use crate::parameter::{Component, NumberFormat, Start, TensorSpec};
use crate::scores::{BLOCK, WIDEST_BLOCK};
use crate::table::{TableFormat, TableId};

/// The position of a tensor among the parameters.
pub(crate) type ParameterId = usize;

/// The position of a value among a block's values.
pub(crate) type Slot = usize;

/// A table and the width of a row of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) id: TableId,
    pub(crate) width: usize,
    /// The one field that it holds, or all.
    pub(crate) field: Option<usize>,
    /// Whether a data row has one gradient for it, or one per field.
    pub(crate) shared: bool,
}

/// Offsets and dims of the fields, as often as loops over rows like them long.
struct Repeated {
    offsets: Vec<GlobalId>,
    dims: Vec<u32>,
}

/// About as many values as a block of a full pass may have.
const BLOCK_VALUES: usize = 1 << 16;

/// Fields of more values than these have table rows that are asked for ahead of their use.
const NEAR: u32 = 1024;

/// Rows of all tables up to which none is asked for ahead: they stay in the second cache.
const FEW: u64 = 1 << 14;

/// The fields whose table rows are asked for ahead.
fn far(dims: &[u32]) -> Vec<u32> {
    let rows: u64 = dims.iter().map(|dim| u64::from(*dim)).sum();
    (0..).zip(dims).filter(|(_, dim)| rows > FEW && **dim > NEAR).map(|(field, _)| field).collect()
}

/// The layers of a model in the order of their evaluation, and the tensors they read.
pub struct Graph {
    architecture: &'static dyn Architecture,
    config: Config,
    offsets: Vec<GlobalId>,
    repeated: Repeated,
    far: Vec<u32>,
    specs: Vec<TensorSpec>,
    widths: Vec<usize>,
    layers: Vec<Box<dyn Layer>>,
    ties: Vec<Ties>,
    tables: Vec<Table>,
    numeric: Option<Slot>,
    logit: Slot,
    /// Room of past passes, for the next ones.
    spare: Mutex<Vec<Buffer<f32>>>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("config", &self.config)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// The layers of a configuration.
    ///
    /// # Errors
    /// If no model can have this configuration.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let architecture = crate::architecture::architecture(&config.name)
            .ok_or_else(|| ConfigError::UnknownModel { name: config.name.clone() })?;
        Ok(architecture.graph(config))
    }

    /// Names, shapes and roles of the tensors, in state-dict order.
    pub fn specs(&self) -> &[TensorSpec] {
        &self.specs
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The first table row of each field.
    pub(crate) fn offsets(&self) -> &[GlobalId] {
        &self.offsets
    }

    /// Offsets and dims of the fields, over and over.
    pub(crate) fn repeated(&self) -> (&[GlobalId], &[u32]) {
        (&self.repeated.offsets, &self.repeated.dims)
    }

    /// Fields whose table rows are asked for ahead of their use.
    pub(crate) fn far(&self) -> &[u32] {
        &self.far
    }

    /// The width of each value.
    pub(crate) fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Rows of a block of a pass over so many, whose values stay in the first caches: a multiple of [`BLOCK`].
    pub(crate) fn block_rows_of(&self, rows: usize) -> usize {
        let width: usize = self.widths.iter().sum();
        let block = (BLOCK_VALUES / width.max(1)).max(1).next_power_of_two().clamp(BLOCK, WIDEST_BLOCK);
        block.min(rows.next_multiple_of(BLOCK)).max(BLOCK)
    }

    /// Room for `len` values, whatever they are: that of a past pass, or new.
    pub(crate) fn spare(&self, len: usize) -> Buffer<f32> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let at = spare.iter().position(|buffer| buffer.len() == len);
        at.map_or_else(|| Buffer::zeroed(len), |at| spare.swap_remove(at))
    }

    /// Gives the room of past passes back.
    pub(crate) fn drop_spare(&self) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps room for the next pass.
    pub(crate) fn keep_spare(&self, buffer: Buffer<f32>) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    pub(crate) fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// What each layer is connected to.
    pub(crate) fn ties(&self) -> &[Ties] {
        &self.ties
    }

    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The id of a table's first row.
    pub(crate) fn first_id(&self, table: &Table) -> GlobalId {
        table.field.map_or(GlobalId::FIRST, |field| self.offsets[field])
    }

    /// Where the numeric inputs `[N, R]` go.
    pub(crate) fn numeric(&self) -> Option<Slot> {
        self.numeric
    }

    pub(crate) fn logit(&self) -> Slot {
        self.logit
    }

    /// Whether logits go through a sigmoid.
    pub(crate) fn answers_probabilities(&self) -> bool {
        self.architecture.answers_probabilities()
    }
}

/// Collects parameters and layers in state-dict order.
pub(crate) struct Builder {
    graph: Graph,
}

impl Builder {
    pub(crate) fn new(architecture: &'static dyn Architecture, config: &Config) -> Self {
        Self {
            graph: Graph {
                architecture,
                config: config.clone(),
                offsets: config.offsets(),
                repeated: Repeated {
                    offsets: config.offsets().repeat(LANES),
                    dims: config.field_dims.repeat(LANES),
                },
                far: far(&config.field_dims),
                specs: Vec::new(),
                widths: Vec::new(),
                layers: Vec::new(),
                ties: Vec::new(),
                tables: Vec::new(),
                numeric: None,
                logit: 0,
                spare: Mutex::default(),
            },
        }
    }

    pub(crate) fn width(&self, slot: Slot) -> usize {
        self.graph.widths[slot]
    }

    /// Declares an f32 parameter.
    pub(crate) fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
        component: Component,
        start: Start,
    ) -> ParameterId {
        self.tensor(name, shape, component, start, NumberFormat::F32)
    }

    fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        component: Component,
        start: Start,
        format: NumberFormat,
    ) -> ParameterId {
        self.graph.specs.push(TensorSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            format,
            component,
            start,
        });
        self.graph.specs.len() - 1
    }

    /// Declares a value `[width, R]`.
    pub(crate) fn slot(&mut self, width: usize) -> Slot {
        self.graph.widths.push(width);
        self.graph.widths.len() - 1
    }

    pub(crate) fn layer(&mut self, layer: impl Layer + 'static) {
        self.graph.layers.push(Box::new(layer));
    }

    /// Declares the tensors of a table `[rows, width]` in the configured format.
    fn stored(&mut self, name: &str, rows: usize, width: usize, start: Start) -> TableId {
        let format = self.graph.config.tables.at_width(width);
        let mut tensor = |part: &str, shape: &[usize], words| {
            self.tensor(&format!("{name}{part}"), shape, Component::Embedding, start, words)
        };
        let first = match format {
            TableFormat::F32 => tensor("", &[rows, width], NumberFormat::F32),
            TableFormat::F16 => tensor("", &[rows, width], NumberFormat::F16),
            TableFormat::Bf16 => tensor("", &[rows, width], NumberFormat::Bf16),
            TableFormat::Int8Rowwise => {
                let codes = tensor(".codes", &[rows, width], NumberFormat::U8);
                tensor(".scale", &[rows], NumberFormat::F32);
                tensor(".bias", &[rows], NumberFormat::F32);
                codes
            }
        };
        TableId { first, format }
    }

    fn table(&mut self, name: &str, width: usize, shared: bool, start: Start) -> TableId {
        let rows = self.graph.config.table_rows();
        let table = self.stored(name, rows, width, start);
        self.graph.tables.push(Table { id: table, width, field: None, shared });
        table
    }

    /// The concatenated embedding rows `[F · D, R]`.
    pub(crate) fn embedding(&mut self, name: &str) -> Slot {
        let (rows, dim) = (self.graph.config.table_rows(), self.graph.config.embed_dim);
        let table = self.table(name, dim, false, Start::xavier(rows, dim));
        let fields = self.graph.config.fields();
        let output = self.slot(fields * dim);
        self.layer(Embedding { table, fields: 0..fields, first: GlobalId::FIRST, dim, output });
        output
    }

    /// The rows `[D, R]` of one field from a table of its own.
    pub(crate) fn field_embedding(&mut self, name: &str, field: usize) -> Slot {
        let (rows, dim) = (self.graph.config.field_dims[field] as usize, self.graph.config.embed_dim);
        let start = Start::Uniform { bound: 1.0 / (rows as f64).sqrt() };
        let table = self.stored(name, rows, dim, start);
        self.graph.tables.push(Table { id: table, width: dim, field: Some(field), shared: true });
        let output = self.slot(dim);
        let first = self.graph.offsets[field];
        self.layer(Embedding { table, fields: field..field + 1, first, dim, output });
        output
    }

    /// The sums of the bags' rows `[D, R]`, of a table that starts Kaiming-uniform.
    pub(crate) fn embedding_bag(&mut self, name: &str) -> Slot {
        let dim = self.graph.config.embed_dim;
        let table = self.table(name, dim, false, Start::kaiming(dim));
        let output = self.slot(dim);
        self.layer(EmbeddingBag { table, dim, output });
        output
    }

    /// The numeric inputs `[N, R]`.
    pub(crate) fn numeric(&mut self) -> Slot {
        let slot = self.slot(self.graph.config.numeric);
        self.graph.numeric = Some(slot);
        slot
    }

    /// The dot products of the parts i > j `[P, R]`.
    pub(crate) fn dot_interaction(&mut self, parts: &[Slot]) -> Slot {
        let output = self.slot(parts.len() * (parts.len() - 1) / 2);
        self.layer(DotInteraction { parts: parts.to_vec(), output });
        output
    }

    /// A linear layer started as DLRM starts it: N(0, √(2 / (in + out))), biases N(0, √(1 / out)).
    pub(crate) fn normal_linear(&mut self, name: &str, input: Slot, outputs: usize) -> Slot {
        let inputs = self.width(input);
        let weight = Start::Normal { deviation: (2.0 / (inputs + outputs) as f64).sqrt() };
        let bias = Start::Normal { deviation: (1.0 / outputs as f64).sqrt() };
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, inputs], Component::Dense, weight);
        let bias = self.parameter(&format!("{name}.bias"), &[outputs], Component::Dense, bias);
        let output = self.slot(outputs);
        self.layer(Linear { weight, bias: Some(bias), input, inputs, outputs, fields: None, output });
        output
    }

    /// The sum of the first-order weights and their bias `[1, R]`.
    pub(crate) fn first_order(&mut self, bias: &str, weight: &str) -> Slot {
        let bias = self.parameter(bias, &[1], Component::Dense, Start::Constant(0.0));
        let table = self.table(weight, 1, true, Start::FirstOrder);
        let fields = self.graph.config.fields();
        let (gathered, total, output) = (self.slot(fields), self.slot(1), self.slot(1));
        self.layer(FirstOrder { table, fields, gathered, output: total });
        self.layer(Bias { parameter: bias, input: total, output });
        output
    }

    /// The second-order term of a factorisation machine `[1, R]`.
    pub(crate) fn factorisation(&mut self, rows: Slot) -> Slot {
        let fields = self.graph.config.fields();
        let output = self.slot(1);
        self.layer(Factorisation { input: rows, fields, output });
        output
    }

    /// A linear layer `[H, R]`; `fields` where it reads the concatenated rows directly.
    pub(crate) fn linear(&mut self, name: &str, input: Slot, outputs: usize, fields: Option<usize>) -> Slot {
        let inputs = self.width(input);
        let start = Start::fan_in(inputs);
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, inputs], Component::Dense, start);
        let bias = self.parameter(&format!("{name}.bias"), &[outputs], Component::Dense, start);
        let output = self.slot(outputs);
        self.layer(Linear { weight, bias: Some(bias), input, inputs, outputs, fields, output });
        output
    }

    /// A linear layer `[1, R]` on two values, one after the other.
    pub(crate) fn linear_on(&mut self, name: &str, [first, second]: [Slot; 2]) -> Slot {
        let (before, inputs) = (self.width(first), self.width(second));
        let start = Start::fan_in(before + inputs);
        let shape = [1, before + inputs];
        let weight = self.parameter(&format!("{name}.weight"), &shape, Component::Dense, start);
        let bias = self.parameter(&format!("{name}.bias"), &[1], Component::Dense, start);
        let (head, output) = (self.slot(2), self.slot(1));
        self.layer(LinearHead { weight, input: first, inputs: before, output: head });
        self.layer(LinearTail { weight, bias, head, before, input: second, inputs, output });
        output
    }

    /// A linear layer `[H, R]` of parameters that are declared already.
    pub(crate) fn linear_of(
        &mut self,
        weight: ParameterId,
        bias: ParameterId,
        input: Slot,
        outputs: usize,
    ) -> Slot {
        let inputs = self.width(input);
        let output = self.slot(outputs);
        self.layer(Linear { weight, bias: Some(bias), input, inputs, outputs, fields: None, output });
        output
    }

    fn batch_norm(&mut self, name: &str, input: Slot) -> Slot {
        let width = self.width(input);
        let mut part = |part: &str, component, value| {
            self.parameter(&format!("{name}.{part}"), &[width], component, Start::Constant(value))
        };
        let weight = part("weight", Component::Dense, 1.0);
        let bias = part("bias", Component::Dense, 0.0);
        let mean = part("running_mean", Component::State, 0.0);
        let variance = part("running_var", Component::State, 1.0);
        let name = format!("{name}.num_batches_tracked");
        let batches = self.tensor(&name, &[], Component::State, Start::Constant(0.0), NumberFormat::I64);
        let output = self.slot(width);
        self.layer(BatchNorm { weight, bias, mean, variance, batches, width, input, output });
        output
    }

    /// Linear → BatchNorm → ReLU → Dropout per hidden width, then (if `output`) a linear layer to one value.
    pub(crate) fn mlp(&mut self, prefix: &str, input: Slot, output: bool) -> Slot {
        let dims = self.graph.config.mlp_dims.clone();
        let mut value = input;
        for (i, &dim) in dims.iter().enumerate() {
            let fields = (i == 0).then_some(self.graph.config.fields());
            value = self.linear(&format!("{prefix}.{}", 4 * i), value, dim, fields);
            value = self.batch_norm(&format!("{prefix}.{}", 4 * i + 1), value);
            value = self.rectifier(value);
            value = self.dropout(value);
        }
        if output {
            let fields = dims.is_empty().then_some(self.graph.config.fields());
            value = self.linear(&format!("{prefix}.{}", 4 * dims.len()), value, 1, fields);
        }
        value
    }

    pub(crate) fn rectifier(&mut self, input: Slot) -> Slot {
        let output = self.slot(self.width(input));
        self.layer(Rectifier { input, output });
        output
    }

    /// Dropout by the configured share; no layer where it is zero.
    pub(crate) fn dropout(&mut self, input: Slot) -> Slot {
        let share = self.graph.config.dropout;
        if share == 0.0 {
            return input;
        }
        let masking = self.masking();
        let output = self.slot(self.width(input));
        self.layer(Dropout { masking, input, output });
        output
    }

    /// The mask of the layer that comes next.
    fn masking(&self) -> Masking {
        Masking { share: self.graph.config.dropout, layer: self.graph.layers.len() }
    }

    /// The cross layers `[F · D, R]`.
    pub(crate) fn cross(&mut self, prefix: &str, rows: Slot) -> Slot {
        let (depth, width) = (self.graph.config.cross_layers, self.width(rows));
        let fields = self.graph.config.fields();
        let mut weights = Vec::new();
        let mut biases = Vec::new();
        for i in 0..depth {
            let name = format!("{prefix}.w.{i}.weight");
            weights.push(self.parameter(&name, &[1, width], Component::Dense, Start::fan_in(width)));
        }
        for i in 0..depth {
            let name = format!("{prefix}.b.{i}");
            biases.push(self.parameter(&name, &[width], Component::Dense, Start::Constant(0.0)));
        }
        let mut input = rows;
        for (weight, bias) in weights.into_iter().zip(biases) {
            let product = self.slot(1);
            let fields = (input == rows).then_some(fields);
            self.layer(Linear {
                weight,
                bias: None,
                input,
                inputs: width,
                outputs: 1,
                fields,
                output: product,
            });
            let output = self.slot(width);
            self.layer(Cross { bias, first: rows, product, input, width, output });
            input = output;
        }
        input
    }

    /// Several values one after the other.
    pub(crate) fn concatenation(&mut self, inputs: &[Slot]) -> Slot {
        let output = self.slot(inputs.iter().map(|&input| self.width(input)).sum());
        self.layer(Concatenation { inputs: inputs.to_vec(), output });
        output
    }

    /// Attention over the pairs of fields `[D, R]`.
    pub(crate) fn pair_attention(&mut self, prefix: &str, rows: Slot) -> Slot {
        let (fields, dim) = (self.graph.config.fields(), self.graph.config.embed_dim);
        let width = self.graph.config.attention_dim;
        let mut linear = |name: &str, outputs: usize, inputs: usize| {
            let start = Start::fan_in(inputs);
            let weight = format!("{prefix}.{name}.weight");
            let weight = self.parameter(&weight, &[outputs, inputs], Component::Dense, start);
            let bias = self.parameter(&format!("{prefix}.{name}.bias"), &[outputs], Component::Dense, start);
            (weight, bias)
        };
        let attention = linear("attention", width, dim);
        let projection = linear("projection", 1, width);
        let pairs = fields * (fields - 1) / 2;
        let masking = self.masking();
        let (shares, kept) = (self.slot(pairs), self.slot(pairs));
        let scratch = [dim, width, width].map(|width| self.slot(width));
        let output = self.slot(dim);
        let input = rows;
        self.layer(PairAttention {
            attention,
            projection,
            fields,
            dim,
            width,
            masking,
            input,
            shares,
            kept,
            scratch,
            output,
        });
        output
    }

    /// Ends with the logit, the sum of terms of width 1 from left to right.
    pub(crate) fn finish(mut self, terms: &[Slot]) -> Graph {
        let output = if let [one] = terms {
            *one
        } else {
            let output = self.slot(1);
            self.layer(Sum { inputs: terms.to_vec(), output });
            output
        };
        self.graph.logit = output;
        self.graph.ties = self.graph.layers.iter().map(|layer| layer.ties()).collect();
        self.graph
    }
}

impl Start {
    /// Xavier-uniform of a matrix.
    fn xavier(rows: usize, columns: usize) -> Self {
        Self::Uniform { bound: (6.0 / (rows + columns) as f64).sqrt() }
    }

    /// Kaiming-uniform of a matrix with this many inputs (He et al. 2015): bound √(6 / in).
    pub(crate) fn kaiming(inputs: usize) -> Self {
        Self::Uniform { bound: (6.0 / inputs as f64).sqrt() }
    }

    /// The default of torch's linear layers.
    pub(crate) fn fan_in(inputs: usize) -> Self {
        Self::Uniform { bound: 1.0 / (inputs as f64).sqrt() }
    }
}
