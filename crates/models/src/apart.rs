//! Rows that lie apart, where only words of tables changed: they look up, as a full pass does, what the golden tables hold, and
//! what changed table rows hold stands behind the tables.

use radhard_kernels::{Behind, GlobalId, Kernels, LANES, LookUps, RowIds, Table, TableRow};
use radhard_memory::Buffer;

use crate::folded::{columns, fold};
use crate::graph::{Graph, Slot};
use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::layers::{Known, Values, Weights};
use crate::model::Model;
use crate::overlay::Overlay;
use crate::steps::Step;
use crate::table::{TableFormat, TableId};
use crate::units::{Derived, Unit};

/// The golden model's table rows as evaluations of rows that lie apart look them up.
pub struct Apart {
    /// The table that all fields are looked up in, so that ids are its rows, and its rows' width.
    table: TableId,
    dim: usize,
    /// The table of first-order weights, and where their sum goes.
    firsts: Option<(TableId, Slot)>,
    /// Where the second-order term goes.
    term: Option<Slot>,
    multiplied: Option<Multiplied>,
    /// Where the products of two fields' rows go, which is what attention over them gives while none is beyond a limit.
    pair: Option<(Slot, f32)>,
    /// Where rows are gathered to, and whether units read them there.
    gathered: Slot,
    gathers: bool,
    /// The units that are looked up in place of being computed.
    looked_up: Vec<bool>,
    /// Whether another unit looks up words itself.
    ids: bool,
}

/// Products of all table rows, whose sums are a linear layer's.
struct Multiplied {
    unit: usize,
    layer: usize,
    /// Where the layer's results go.
    output: Slot,
    outputs: usize,
    /// `[V, W]`.
    products: Buffer<f32>,
    width: usize,
    /// The layer's weights by input `[K, W]`.
    columns: Vec<f32>,
}

impl std::fmt::Debug for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apart").finish_non_exhaustive()
    }
}

/// Changed table rows, and the ids of a block's.
#[derive(Debug, Default)]
pub(crate) struct ChangedRows {
    /// Ascending.
    changed: Vec<GlobalId>,
    /// One bit for each table row, set between evaluations for none.
    marks: Vec<u64>,
    firsts: Vec<f32>,
    rows: Vec<f32>,
    products: Vec<f32>,
    /// Table rows `[B, F]` of a block; those that changed have ids from the end of the tables on.
    ids: Vec<GlobalId>,
}

impl Apart {
    /// `None` where a model's first layers look nothing up in f32 tables of all fields.
    ///
    /// Products of table rows are held where `rows` data rows look up enough of them, and they are within the bytes.
    pub(crate) fn new(graph: &Graph, weights: Weights<'_>, rows: usize, bytes: u64) -> Option<Self> {
        let whole = |embedding: &&Embedding| embedding.fields.len() == graph.offsets().len();
        let embedding = graph.layers().iter().find_map(|layer| layer.whole_table()).filter(whole)?;
        let &Embedding { table, dim, output: gathered, .. } = embedding;
        if table.format != TableFormat::F32 || !dim.is_multiple_of(LANES) {
            return None;
        }
        let units = Unit::all(graph);
        let looked_up = vec![false; units.len()];
        let mut of = Self {
            table,
            dim,
            firsts: None,
            term: None,
            multiplied: None,
            pair: None,
            gathered,
            gathers: false,
            looked_up,
            ids: false,
        };
        for (at, unit) in units.iter().enumerate() {
            of.looked_up[at] = match unit {
                Unit::Dense(dense) if dense.linear(graph).input == gathered && of.multiplied.is_none() => {
                    let linear = dense.linear(graph);
                    of.multiplied = Multiplied::new(graph, weights, (linear, rows), bytes)
                        .map(|of| Multiplied { unit: at, layer: dense.layer, output: dense.output, ..of });
                    of.multiplied.is_some()
                }
                Unit::Dense(_) => false,
                Unit::Layer(layer) => match graph.layers()[*layer].known() {
                    Known::Embedding(embedding) => embedding.output == gathered,
                    Known::FirstOrder(first)
                        if first.table.format == TableFormat::F32 && of.firsts.is_none() =>
                    {
                        of.firsts = Some((first.table, first.output));
                        true
                    }
                    Known::Factorisation(term) if term.input == gathered && of.term.is_none() => {
                        of.term = Some(term.output);
                        true
                    }
                    Known::PairAttention(attention)
                        if attention.input == gathered && attention.fields == 2 && of.pair.is_none() =>
                    {
                        of.pair = Some((attention.output, attention.limit(weights) as f32));
                        true
                    }
                    _ => false,
                },
            };
        }
        let reads = |(unit, looked_up): (&Unit, &bool)| !looked_up && unit.reads(graph).contains(&gathered);
        of.gathers = units.iter().zip(&of.looked_up).any(reads);
        let looks_up =
            |unit: &Unit| matches!(unit, Unit::Layer(at) if graph.layers()[*at].lookup().is_some());
        of.ids = units.iter().zip(&of.looked_up).any(|(unit, looked_up)| !looked_up && looks_up(unit));
        (of.multiplied.is_some() || of.term.is_some() || of.pair.is_some()).then_some(of)
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        self.multiplied.as_ref().map_or(0, |of| size_of_val(&of.products[..]) as u64)
    }

    /// Whether a unit is looked up.
    pub(crate) fn looks_up(&self, unit: usize) -> bool {
        self.looked_up[unit]
    }

    /// Whether a step of a pass comes to what is looked up.
    pub(crate) fn covers(&self, step: &Step<'_>) -> bool {
        match step {
            Step::FirstOrder(first) => self.firsts.is_some_and(|(_, slot)| slot == first.output),
            Step::Factorisation(term) => self.term == Some(term.output),
            Step::Rows(rows) => self.gathered == rows.output,
            Step::Pair(pair) => self.pair.is_some_and(|(slot, _)| slot == pair.rows.output),
            Step::Dense(dense, _) => self.multiplied.as_ref().is_some_and(|of| of.layer == dense.layer),
            _ => false,
        }
    }

    /// Whether units that are not looked up look words up themselves.
    pub(crate) fn needs_ids(&self) -> bool {
        self.ids
    }

    /// Works out what changed table rows hold.
    pub(crate) fn begin(&self, model: &Model, (kernels, overlay): (Kernels, &Overlay), of: &mut ChangedRows) {
        let (graph, weights) = (model.graph(), Weights::under(model.parameters(), overlay));
        of.changed.clear();
        of.changed.extend(overlay.ids());
        of.changed.sort_unstable();
        of.changed.dedup();
        of.marks.resize(graph.config().table_rows().div_ceil(64), 0);
        for id in &of.changed {
            of.marks[id.index() / 64] |= 1 << (id.index() % 64);
        }
        of.rows.resize(of.changed.len() * self.dim, 0.0);
        for (id, row) in of.changed.iter().zip(of.rows.chunks_exact_mut(self.dim)) {
            weights.row(self.table, id.row(GlobalId::FIRST), row);
        }
        if let Some((table, _)) = self.firsts {
            of.firsts.resize(of.changed.len(), 0.0);
            for (id, first) in of.changed.iter().zip(&mut of.firsts) {
                weights.row(table, id.row(GlobalId::FIRST), std::slice::from_mut(first));
            }
        }
        if let Some(Multiplied { width, columns, .. }) = &self.multiplied {
            of.products.resize(of.changed.len() * width, 0.0);
            let products = of.products.chunks_exact_mut(*width);
            for (at, (id, out)) in of.changed.iter().zip(products).enumerate() {
                let field = graph.offsets().partition_point(|offset| offset <= id) - 1;
                let columns = &columns[field * self.dim * width..(field + 1) * self.dim * width];
                kernels.row_products(Table::F32(&of.rows), (at, self.dim), columns, *width, out);
            }
        }
    }

    /// Looks up what a block's units read, with the indices of its rows `[B, F]`; false where a product is beyond the limit, so that
    /// all units are to run.
    pub(crate) fn look_up(
        &self,
        model: &Model,
        (kernels, derived): (Kernels, &[Derived<'_>]),
        indices: &[u32],
        of: &mut ChangedRows,
        values: &mut Values,
    ) -> bool {
        let graph = model.graph();
        let fields = graph.offsets().len();
        of.ids.resize(indices.len(), GlobalId::FIRST);
        let mut outside = false;
        kernels.row_ids(indices, graph.repeated(), &mut of.ids, &mut outside);
        assert!(!outside, "indices within their fields");
        let end = GlobalId::new(graph.config().table_rows() as u32);
        for id in &mut of.ids {
            if of.marks[id.index() / 64] >> (id.index() % 64) & 1 == 1 {
                let place = of.changed.binary_search(id).expect("what is marked has changed");
                *id = TableRow::new(place as u32).id(end);
            }
        }
        let golden = Weights::of(model.parameters());
        let words = |table: TableId| match golden.table(table) {
            Table::F32(words) => words,
            _ => unreachable!("f32 tables only"),
        };
        let multiplied = self.multiplied.as_ref();
        let firsts = self.firsts.map(|(_, slot)| slot);
        let pair = self.pair.map(|(slot, _)| slot);
        let rows = self.gathers.then_some(self.gathered);
        let slots = [firsts, self.term, multiplied.map(|of| of.output), rows, pair];
        let mut outputs = slots.map(|slot| slot.map(|slot| values.take(slot)));
        {
            let [firsts, term, sums, rows, pairs] = outputs.each_mut().map(Option::as_deref_mut);
            let table = words(self.table);
            let looked = LookUps {
                behind: Some(Behind { values: &of.firsts, rows: &of.rows, sums: &of.products }),
                values: self.firsts.zip(firsts).map(|((table, _), out)| (words(table), out)),
                terms: term.map(|out| (table, self.dim, out)),
                sums: multiplied.zip(sums).map(|(of, out)| {
                    let ending = match &derived[of.unit] {
                        Derived::Dense(finish) => finish.ending(),
                        Derived::Layer(_) => unreachable!("products are a dense unit's"),
                    };
                    (&of.products[..], (of.width, of.outputs), ending, out)
                }),
                rows: rows.map(|out| (table, self.dim, out)),
                pairs: pairs.map(|out| (table, self.dim, out)),
                ..LookUps::default()
            };
            let rows = indices.len() / fields;
            let ids = RowIds { ids: &of.ids, fields, far: graph.far(), rows, later: &[] };
            kernels.look_up(ids, looked);
        }
        for (slot, lanes) in slots.into_iter().zip(outputs) {
            if let (Some(slot), Some(lanes)) = (slot, lanes) {
                values.put(slot, lanes);
            }
        }
        let mut within = true;
        if let Some((slot, limit)) = self.pair {
            kernels.within(values.get(slot), limit, &mut within);
        }
        within
    }

    /// Forgets what changed.
    pub(crate) fn end(of: &mut ChangedRows) {
        for id in &of.changed {
            of.marks[id.index() / 64] = 0;
        }
    }
}

impl Multiplied {
    /// The products of a layer that `rows` data rows look up often enough, within some bytes; not yet of a unit.
    fn new(
        graph: &Graph,
        weights: Weights<'_>,
        (linear, rows): (&Linear, usize),
        bytes: u64,
    ) -> Option<Self> {
        let width = linear.outputs.next_multiple_of(LANES);
        if (graph.config().table_rows() * width * size_of::<f32>()) as u64 > bytes {
            return None;
        }
        let folded = fold(graph, weights, Kernels::detected(), (linear, None, None, None), rows)?;
        let columns = columns(weights.f32s(linear.weight), linear.inputs, width);
        let (output, outputs, products) = (linear.output, linear.outputs, folded.products);
        Some(Self { unit: 0, layer: 0, output, outputs, products, width, columns })
    }
}
