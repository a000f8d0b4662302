//! Look-ups that go straight to tables of all fields: what steps do in place of layers that read a gathered block.

use radhard_kernels::LANES;

use crate::graph::{Graph, Slot};
use crate::layers::embedding::Embedding;
use crate::layers::{Known, Weights};
use crate::steps::Step;
use crate::table::{TableFormat, TableId};
use crate::watch::Watch;

/// What is looked up in a table whose rows have this width.
pub(crate) struct LookedUp {
    pub(crate) table: TableId,
    pub(crate) width: usize,
    pub(crate) output: Slot,
}

/// Attention over two fields.
pub(crate) struct Pair {
    /// The table, and where the result goes.
    pub(crate) rows: LookedUp,
    /// The layer that gathers the rows, and the attention: they run where a product is beyond the limit.
    pub(crate) layers: [usize; 2],
    pub(crate) limit: f32,
}

/// The table of all fields whose rows a value holds, and their width.
pub(crate) fn rows_of(graph: &Graph, slot: Slot) -> Option<(TableId, usize)> {
    graph.layers().iter().find_map(|layer| {
        layer.whole_table().filter(|embedding| embedding.output == slot).map(|e| (e.table, e.dim))
    })
}

/// Whether nothing acts on the rows that are gathered to a value.
pub(crate) fn straight(graph: &Graph, slot: Slot, watch: &Watch<'_>) -> bool {
    !(0..graph.layers().len()).any(|at| graph.layers()[at].gathered() == Some(slot) && watch.acts(at))
}

/// What a layer looks up, where that is all that it does, or all that it comes to.
pub(crate) fn look_up<'h>(
    graph: &Graph,
    weights: Weights<'_>,
    at: usize,
    watch: &Watch<'h>,
) -> Option<Step<'h>> {
    // Whole vectors of a table whose words are the numbers.
    let vectors =
        |table: TableId, width: usize| table.format == TableFormat::F32 && width.is_multiple_of(LANES);
    let rows = |input| rows_of(graph, input).filter(|_| straight(graph, input, watch));
    match graph.layers()[at].known() {
        Known::Embedding(&Embedding { table, ref fields, dim: width, output, .. }) => {
            let whole = fields.len() == graph.offsets().len() && vectors(table, width);
            (whole && !watch.acts(at)).then_some(Step::Rows(LookedUp { table, width, output }))
        }
        Known::FirstOrder(first) => {
            let plain = first.table.format == TableFormat::F32 && !watch.of(at).reads;
            let looked_up = LookedUp { table: first.table, width: 1, output: first.output };
            plain.then_some(Step::FirstOrder(looked_up))
        }
        Known::Factorisation(term) => {
            let (table, width) = rows(term.input)?;
            let looked_up = LookedUp { table, width, output: term.output };
            vectors(table, width).then_some(Step::Factorisation(looked_up))
        }
        Known::PairAttention(attention) => {
            let (table, width) = rows(attention.input)?;
            let gathers = |at: &usize| graph.layers()[*at].gathered() == Some(attention.input);
            let layers = [(0..at).find(gathers)?, at];
            let looked_up = LookedUp { table, width, output: attention.output };
            let two = attention.fields == 2 && vectors(table, width) && !watch.held(at) && !watch.acts(at);
            two.then(|| Step::Pair(Pair { rows: looked_up, layers, limit: attention.limit(weights) as f32 }))
        }
        _ => None,
    }
}
