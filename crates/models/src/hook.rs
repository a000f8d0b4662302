//! Hooks: what a caller may do to values between layers.

use std::ops::Range;

use radhard_data::BagsView;
use radhard_kernels::{Bounds, GlobalId, Kernels, LANES, Lane, TableRow};

use crate::graph::Table;
use crate::hooked::BlockNotes;
use crate::layers::{Layer, Weights};
use crate::model::Model;
use crate::parameter::Component;
use crate::scores::CANONICAL_NAN;
use crate::table::TableFormat;

/// A place between layers where a hook can act: behind one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSite {
    /// The layer's number in the order of evaluation.
    pub layer: usize,
    /// The prefix of the layer's parameters; of a layer without any, that of the layer before it and what it is.
    pub name: String,
    /// What the layer is.
    pub kind: SiteKind,
    /// Values per row.
    pub width: usize,
}

/// What a layer is to a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteKind {
    /// A linear layer with more than one output.
    Linear,
    /// The activation behind a linear layer or its batch norm.
    Activation,
    /// Anything else.
    Other,
}

/// What a layer computes of each data row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSite {
    /// The layer's number in the order of evaluation.
    pub layer: usize,
    /// Values per row.
    pub width: usize,
    /// The parameters that it reads.
    pub parameters: Vec<usize>,
    /// The component of these; of a layer without any, that of what it reads first.
    pub component: Component,
}

/// A layer that multiplies by a matrix of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductSite {
    /// The layer's number in the order of evaluation.
    pub layer: usize,
    /// The parameter `[J, K]`.
    pub weight: usize,
    /// The parameter `[J]`, if there is one.
    pub bias: Option<usize>,
    /// K.
    pub inputs: usize,
    /// J.
    pub outputs: usize,
    /// The number of fields where the input is the concatenated embedding rows.
    pub fields: Option<usize>,
    /// Which part of a layer it is.
    pub part: ProductPart,
}

impl ProductSite {
    /// The elements of the weight parameter that it multiplies by.
    pub fn elements(&self) -> Range<usize> {
        match self.part {
            ProductPart::Head => 0..self.inputs,
            ProductPart::Tail { before } => before..before + self.inputs,
            ProductPart::Whole | ProductPart::Inner(_) => 0..self.inputs * self.outputs,
        }
    }
}

/// Where a product of matrices stands in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductPart {
    /// It is the layer.
    Whole,
    /// The first inputs of a layer to one value that is cut in two: its results are the finished sums, and the unfinished one.
    Head,
    /// The other inputs of that layer: it reads the results of the head, of so many inputs, and goes on with them.
    Tail {
        /// Inputs of the head.
        before: usize,
    },
    /// One of several inside the layer, by number.
    Inner(usize),
}

/// A layer that looks rows of a table up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupSite {
    /// The layer's number in the order of evaluation.
    pub layer: usize,
    /// The first parameter of the table.
    pub table: usize,
    /// Values of a row.
    pub width: usize,
    /// The fields whose rows it looks up.
    pub fields: Range<usize>,
    /// The id of the table's first row.
    pub first: GlobalId,
    /// What the layer gives of the rows.
    pub gives: LookupResult,
}

/// What a layer gives of the rows that it looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupResult {
    /// The rows, one after the other.
    Rows,
    /// Their sum over the fields.
    FieldSum,
    /// The sum over the bag of a data row.
    BagSum,
}

/// Checksums of a linear layer's clean parameters: a data row passes if |Σ_j y_j − (x · sums + bias)| ≤ roundings · 2^-24 ·
/// (|x| · magnitudes + bias_magnitude).
#[derive(Debug, Clone, Copy)]
pub struct Checksum<'a> {
    /// Σ_j of the weights of input k, `[K]`.
    pub sums: &'a [f64],
    /// Σ_j of their magnitudes, `[K]`, added from the first output to the last.
    pub magnitudes: &'a [f64],
    /// Sum of the biases.
    pub bias: f64,
    /// Sum of their magnitudes, likewise.
    pub bias_magnitude: f64,
    /// Roundings that are allowed for.
    pub roundings: f64,
}

/// What hooks noticed in a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HookEvents {
    /// Results found bad.
    pub detected: u64,
    /// Of these, right after computing again.
    pub corrected: u64,
    /// Of these, computed anew from the clean copy.
    pub reloads: u64,
    /// Bytes of the clean copy that were read: of a table row once a pass, as a reload mends it.
    pub reload_bytes: u64,
    /// Layers whose parameters were taken from the clean copy, one bit each.
    pub reloaded_layers: u128,
    /// Computations that were repeated.
    pub retries: u64,
    /// Of those detected, replaced by a default.
    pub fallbacks: u64,
}

impl HookEvents {
    /// Adds those of another block or hook.
    pub fn add(&mut self, other: Self) {
        self.detected += other.detected;
        self.corrected += other.corrected;
        self.reloads += other.reloads;
        self.reload_bytes += other.reload_bytes;
        self.reloaded_layers |= other.reloaded_layers;
        self.retries += other.retries;
        self.fallbacks += other.fallbacks;
    }
}

/// What a hook sees of one block behind a layer.
pub struct HookCall<'a> {
    /// The layer's number in the order of evaluation.
    pub layer: usize,
    /// Rows of the block that are not padding.
    pub rows: usize,
    /// The kernels; all give the same bits.
    pub kernels: Kernels,
    /// The first value that the layer reads, `[K, R]`; empty for layers that look up, and for those that go on with the result of
    /// a linear layer in one step with it.
    pub input: &'a [Lane],
    /// The second value that the layer reads, if it does and the first is there.
    pub second: &'a [Lane],
    /// Ids of table rows `[F, R]`.
    pub ids: &'a [GlobalId],
    /// The bags of the block's rows, where the model reads bags.
    pub bags: Option<BagsView<'a>>,
    pub(crate) weights: Weights<'a>,
    pub(crate) tables: &'a [Table],
    pub(crate) upsets: Option<&'a dyn Upsets>,
    /// The data rows of the block.
    pub(crate) data_rows: &'a [u32],
    /// Lane groups of the block.
    pub(crate) groups: usize,
    pub(crate) notes: &'a BlockNotes,
}

impl<'a> HookCall<'a> {
    /// Writes the values of a table row as the pass reads it, faults included: of the table that begins with this parameter.
    ///
    /// # Panics
    /// If no table does, or it has no such row.
    pub fn table_row(&self, table: usize, row: TableRow, out: &mut [f32]) {
        self.weights.row(table_of(self.tables, table).id, row, out);
    }

    /// A dense parameter as the pass reads it, faults included.
    pub fn dense(&self, parameter: usize) -> &'a [f32] {
        self.weights.f32s(parameter)
    }

    /// Lane groups of the block: a value has this many lanes per feature.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Says that a check of this row of the block failed.
    pub fn detected(&self, row: usize) {
        self.notes.flag(row, ROW_DETECTED);
    }

    /// Says that what was found bad in this row of the block did not become right again.
    pub fn unrestored(&self, row: usize) {
        self.notes.flag(row, ROW_UNRESTORED);
    }

    /// Says that a row of this layer's table was taken from the clean copy.
    pub fn reloaded(&self, row: TableRow) {
        self.notes.reloaded(self.layer, row);
    }

    /// What happens to the layer's results `[width, R]` as they are computed again, for the `attempt`-th time from 1.
    pub fn recomputed(&self, attempt: u32, values: &mut [Lane]) {
        if let Some(upsets) = self.upsets.filter(|upsets| upsets.acts(self.layer)) {
            strike(upsets, (self.layer, attempt), (self.data_rows, self.groups), values);
        }
    }

    /// The same of one row of the block: of its results from element `first` on.
    pub fn recomputed_row(&self, attempt: u32, row: usize, first: usize, results: &mut [f32]) {
        if let Some(upsets) = self.upsets.filter(|upsets| upsets.acts(self.layer)) {
            upsets.each(self.layer, attempt, &self.data_rows[row..=row], &mut |_, element, bits| {
                if let Some(value) = element.checked_sub(first).and_then(|at| results.get_mut(at)) {
                    *value = flipped(*value, bits);
                }
            });
        }
    }
}

/// A check of a row failed.
pub const ROW_DETECTED: u8 = 1;

/// What was found bad in a row did not become right again.
pub const ROW_UNRESTORED: u8 = 2;

/// Bits that flip in results as they are computed.
///
/// They belong to a data row, a layer and an attempt alone, not to the block in which it is computed.
pub trait Upsets: Sync {
    /// Whether it flips bits of this layer's results.
    fn acts(&self, layer: usize) -> bool;

    /// Calls `flip` with the place in `rows`, the element and the bits of each result of these data rows that is hit when the layer
    /// computes it for the `attempt`-th time, the first being 0.
    fn each(&self, layer: usize, attempt: u32, rows: &[u32], flip: &mut dyn FnMut(usize, usize, u32));
}

/// Flips bits of a layer's results `[width, R]`, of which the first belong to `rows`.
pub(crate) fn strike(
    upsets: &dyn Upsets,
    (layer, attempt): (usize, u32),
    (rows, groups): (&[u32], usize),
    values: &mut [Lane],
) {
    upsets.each(layer, attempt, rows, &mut |row, element, bits| {
        let value = &mut values[element * groups + row / LANES][row % LANES];
        *value = flipped(*value, bits);
    });
}

/// A value with bits flipped; of a NaN, whose bits no contract fixes, the stored one.
fn flipped(value: f32, bits: u32) -> f32 {
    let stored = if value.is_nan() { CANONICAL_NAN } else { value };
    f32::from_bits(stored.to_bits() ^ bits)
}

/// What a caller does to values between layers.
///
/// What it makes of a row's values, and what it notices of the row, must depend on the row and the parameters alone, not on the
/// block and its size: rows are picked from anywhere and put together.
pub trait Hooks: Sync {
    /// Whether it acts behind this layer.
    fn acts(&self, layer: usize) -> bool;

    /// Whether it holds the result of this layer against what the layer read.
    fn needs_input(&self, layer: usize) -> bool {
        self.acts(layer)
    }

    /// Whether it reads the words that this layer looks up.
    fn reads(&self, layer: usize) -> bool {
        let _ = layer;
        false
    }

    /// Whether it would rewrite none of a table's words `[V, D]`, those that this layer looks up. Asked once per pass where rows look up
    /// more words than the table has: then nothing is read where they are looked up.
    fn passes_whole(&self, layer: usize, words: &[f32]) -> bool {
        let _ = (layer, words);
        false
    }

    /// Whether it would notice and rewrite nothing behind this layer, which looks rows of a table up, whichever they are: the table
    /// holds these words `[V, D]`. Asked once per pass where rows look up more words than the table has: then it is not shown the
    /// results.
    fn vouches(&self, layer: usize, words: &[f32]) -> bool {
        let _ = (layer, words);
        false
    }

    /// Bounds, where all that it does behind this layer is to keep values within them, as [`Kernels::bound`] does, and to count
    /// each NaN as found bad and replaced, and its row as not restored.
    fn bounds(&self, layer: usize) -> Option<Bounds> {
        let _ = layer;
        None
    }

    /// Checksums, where it notices and rewrites nothing behind this linear layer, or the head of one, in rows that pass them.
    fn checksum(&self, layer: usize) -> Option<Checksum<'_>> {
        let _ = layer;
        None
    }

    /// Reads looked-up words `[F · D, R]` before anything is computed from them, as a gather that checks would: words that it finds
    /// bad it rewrites.
    fn read(&self, call: &HookCall<'_>, words: &mut [Lane]) -> HookEvents {
        let _ = (call, words);
        HookEvents::default()
    }

    /// Whether it acts on products of matrices inside this layer.
    fn acts_inside(&self, layer: usize) -> bool {
        let _ = layer;
        false
    }

    /// Rewrites the results `[J, R]` of a product inside a layer, the one of this number; the call's input is what it multiplies.
    fn inside(&self, call: &HookCall<'_>, product: usize, results: &mut [Lane]) -> HookEvents {
        let _ = (call, product, results);
        HookEvents::default()
    }

    /// Bytes of the clean copy of a layer's parameters, where it computes from them.
    fn clean_bytes(&self, layer: usize) -> u64 {
        let _ = layer;
        0
    }

    /// Rewrites the values behind a layer, `[width, R]`: a feature has [`groups`](HookCall::groups) lanes, of whose values the first
    /// [`rows`](HookCall::rows) are rows and the rest padding. The call has what the layer read.
    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let _ = (call, values);
        HookEvents::default()
    }
}

impl Model {
    /// Where hooks can act, in the order of evaluation.
    pub fn sites(&self) -> Vec<HookSite> {
        let graph = self.graph();
        let mut sites: Vec<HookSite> = Vec::new();
        let mut written: Vec<Option<usize>> = vec![None; graph.widths().len()];
        let mut norms = vec![false; graph.layers().len()];
        for (layer, tied) in graph.layers().iter().enumerate() {
            let ties = tied.ties();
            let Some(&result) = ties.writes.last() else { continue };
            let width = graph.widths()[result];
            let specs: Vec<_> = ties.parameters.iter().map(|(id, _)| &graph.specs()[*id]).collect();
            let before = match ties.reads[..] {
                [read] if graph.widths()[read] == width => written[read],
                _ => None,
            };
            let weight = specs.first().filter(|spec| spec.component == Component::Dense);
            let matrix = weight.is_some_and(|spec| spec.shape.len() == 2 && spec.shape[0] == width);
            norms[layer] =
                before.is_some() && specs.len() == 4 && specs.iter().all(|spec| spec.shape == [width]);
            let kind = if matrix && specs.len() <= 2 && width > 1 {
                SiteKind::Linear
            } else if specs.is_empty()
                && before.is_some_and(|before| norms[before] || sites[before].kind == SiteKind::Linear)
            {
                SiteKind::Activation
            } else {
                SiteKind::Other
            };
            let name = match (weight, before) {
                (Some(spec), _) => spec.name.rsplit_once('.').map_or("", |(prefix, _)| prefix).to_owned(),
                (None, Some(before)) if kind == SiteKind::Activation => {
                    format!("{} activation", sites[before].name)
                }
                _ => format!("layer {layer}"),
            };
            sites.push(HookSite { layer, name, kind, width });
            written[result] = Some(layer);
        }
        sites
    }

    /// The products of matrices, in the order of evaluation.
    pub fn products(&self) -> Vec<ProductSite> {
        let graph = self.graph();
        let product = |(layer, tied): (usize, &dyn Layer)| {
            let ties = tied.ties();
            let (&read, &[write]) = (ties.reads.last()?, &ties.writes[..]) else { return None };
            let ((weight, columns), rest) = ties.parameters.split_first()?;
            let (inputs, results) = (graph.widths()[read], graph.widths()[write]);
            let bias = rest.first().map(|&(bias, _)| bias);
            let fields = tied.field_layer().and_then(|linear| linear.fields);
            let shape = &graph.specs()[*weight].shape;
            let part = match ties.reads.len() {
                1 if *shape == [results, inputs] && rest.len() <= 1 => ProductPart::Whole,
                // A cut layer reads some columns of its one row of weights.
                1 if shape.len() == 2 && rest.is_empty() && columns.end == inputs => ProductPart::Head,
                2 if shape.len() == 2 && rest.len() == 1 && columns.len() == inputs => {
                    ProductPart::Tail { before: columns.start }
                }
                _ => return None,
            };
            Some(ProductSite { layer, weight: *weight, bias, inputs, outputs: results, fields, part })
        };
        let of_layer = |(layer, tied): (usize, &dyn Layer)| {
            let inner = tied.inner_products().into_iter().map(move |site| ProductSite { layer, ..site });
            inner.chain(product((layer, tied))).collect::<Vec<_>>()
        };
        graph.layers().iter().map(Box::as_ref).enumerate().flat_map(of_layer).collect()
    }

    /// The results that layers compute or look up; those that only pass values on (activation, dropout, concatenation) have none
    /// of their own.
    pub fn outputs(&self) -> Vec<OutputSite> {
        let graph = self.graph();
        let mut written: Vec<Option<Component>> = vec![None; graph.widths().len()];
        let mut sites = Vec::new();
        for (layer, tied) in graph.layers().iter().enumerate() {
            let ties = tied.ties();
            let Some(&result) = ties.writes.last() else { continue };
            let width = graph.widths()[result];
            let mut parameters: Vec<usize> = ties.parameters.iter().map(|(id, _)| *id).collect();
            let mut component = if parameters.is_empty() { None } else { Some(Component::Dense) };
            if let Some(site) = tied.lookup() {
                let table = table_of(graph.tables(), site.table).id;
                let parts = if table.format == TableFormat::Int8Rowwise { 3 } else { 1 };
                parameters.extend(site.table..site.table + parts);
                component = Some(Component::Embedding);
            }
            let read = ties.reads.iter().map(|&slot| graph.widths()[slot]).sum::<usize>();
            let passes_on = component.is_none() && read == width;
            let component = component.or_else(|| ties.reads.iter().find_map(|&slot| written[slot]));
            written[result] = component;
            if !passes_on {
                let component = component.unwrap_or(Component::Dense);
                sites.push(OutputSite { layer, width, parameters, component });
            }
        }
        sites
    }

    /// The layers that look rows of tables up.
    pub fn lookups(&self) -> Vec<LookupSite> {
        let layers = self.graph().layers().iter().enumerate();
        layers.filter_map(|(layer, tied)| tied.lookup().map(|site| LookupSite { layer, ..site })).collect()
    }

    /// Writes the values of a row of a table, the one that begins with this parameter.
    ///
    /// # Panics
    /// If no table does, or it has no such row.
    pub fn table_row(&self, table: usize, row: TableRow, out: &mut [f32]) {
        let of = table_of(self.graph().tables(), table);
        of.id.of(self.parameters().as_slice()).row(row.index(), out);
    }
}

pub(crate) fn table_of(tables: &[Table], first: usize) -> &Table {
    let of = tables.iter().find(|table| table.id.first == first);
    of.unwrap_or_else(|| panic!("parameter {first} begins no table"))
}

#[cfg(test)]
mod tests {
    use radhard_data::RowsView;

    use super::*;
    use crate::config::Config;
    use crate::model::Init;
    use crate::scores::Scores;

    fn sites(name: &str, kind: SiteKind) -> Vec<String> {
        let model = Model::new(&Config::new(name, vec![5, 4]), Init::TorchFm, 1).unwrap();
        let all = model.sites();
        assert!(all.iter().enumerate().all(|(layer, site)| site.layer == layer));
        all.into_iter().filter(|site| site.kind == kind).map(|site| site.name).collect()
    }

    #[test]
    fn linear_layers_and_activations_are_those_of_the_literature() {
        for name in ["deepfm", "wide-deep", "dcn"] {
            assert_eq!(sites(name, SiteKind::Linear), ["mlp.mlp.0", "mlp.mlp.4"], "{name}");
            let activations = ["mlp.mlp.1 activation", "mlp.mlp.5 activation"];
            assert_eq!(sites(name, SiteKind::Activation), activations, "{name}");
        }
        for name in ["fm", "afm"] {
            assert!(sites(name, SiteKind::Linear).is_empty(), "{name}");
            assert!(sites(name, SiteKind::Activation).is_empty(), "{name}");
        }
    }

    struct Nothing;

    impl Hooks for Nothing {
        fn acts(&self, _layer: usize) -> bool {
            true
        }

        fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
            assert!(call.rows <= call.groups() * LANES && values.len().is_multiple_of(call.groups()));
            HookEvents::default()
        }
    }

    #[test]
    fn a_hook_that_does_nothing_changes_nothing() {
        for name in ["fm", "deepfm", "wide-deep", "dcn", "afm"] {
            let model = Model::new(&Config::new(name, vec![50, 40]), Init::TorchFm, 1).unwrap();
            let indices: Vec<u32> = (0..600).map(|i| i * 7 % 40).collect();
            let labels = vec![0; 300];
            let rows = RowsView {
                fields: 2,
                numeric_width: 0,
                indices: &indices,
                numeric: &[],
                labels: &labels,
                bags: None,
            };
            let (mut plain, mut hooked) = (Scores::default(), Scores::default());
            model.scores(&rows, &mut plain).unwrap();
            assert_eq!(model.scores_hooked(&rows, &Nothing, &mut hooked).unwrap(), HookEvents::default());
            assert!(plain.same_bits(&hooked), "{name}");
        }
    }
}
