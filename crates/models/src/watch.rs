//! What acts beside the layers of one pass, layer by layer: what a step may take together, and what it has to leave to hooks.

use radhard_kernels::Bounds;

use crate::graph::Graph;
use crate::hook::Checksum;
use crate::hooked::Acting;
use crate::pass::Pass;

/// What acts at one layer.
#[expect(clippy::struct_excessive_bools, reason = "each is another question to hooks")]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watched<'h> {
    /// Whether its result is looked at, or hit, as it stands behind the layer.
    pub(crate) seen: bool,
    /// Whether hooks hold its result against what it read.
    pub(crate) held: bool,
    /// Whether hooks read words as it looks them up.
    pub(crate) reads: bool,
    /// Whether hooks act on products inside it.
    pub(crate) inside: bool,
    /// Bounds that its values are kept within, where nothing else acts there: then they are not seen.
    pub(crate) bounds: Option<Bounds>,
    /// What its results are held against, where they are computed as they are stored.
    pub(crate) checksum: Option<Checksum<'h>>,
}

/// What acts in a pass, by layer.
#[derive(Debug)]
pub(crate) struct Watch<'h>(Vec<Watched<'h>>);

impl<'h> Watch<'h> {
    /// Nothing acts.
    pub(crate) fn nothing(graph: &Graph) -> Self {
        Self(vec![Watched::default(); graph.layers().len()])
    }

    /// What acts in a pass over so many rows; without a number each layer is seen as it is.
    pub(crate) fn new(pass: &Pass<'_>, graph: &Graph, acting: Acting<'h>, rows: Option<usize>) -> Self {
        Self((0..graph.layers().len()).map(|layer| Self::at(layer, pass, acting, rows)).collect())
    }

    fn at(layer: usize, pass: &Pass<'_>, acting: Acting<'h>, rows: Option<usize>) -> Watched<'h> {
        let upset = acting.upsets.is_some_and(|upsets| upsets.acts(layer));
        let Some(hooks) = acting.hooks else { return Watched { seen: upset, ..Watched::default() } };
        // The words of a table that rows read often are asked for once, where nothing hits what is read of them.
        let words = rows.and_then(|rows| pass.read_often(layer, rows));
        let reads = hooks.reads(layer) && words.is_none_or(|words| !hooks.passes_whole(layer, words));
        let idle = || !upset && !reads && words.is_some_and(|words| hooks.vouches(layer, words));
        let acts = hooks.acts(layer) && !idle();
        let bounds = hooks.bounds(layer).filter(|_| acts && !upset && rows.is_some());
        let inside = hooks.acts_inside(layer);
        Watched {
            seen: upset || reads || acts && bounds.is_none() || inside,
            held: acts && hooks.needs_input(layer),
            reads,
            inside,
            bounds,
            checksum: hooks.checksum(layer).filter(|_| acts && !upset),
        }
    }

    pub(crate) fn of(&self, layer: usize) -> &Watched<'h> {
        &self.0[layer]
    }

    /// Whether anything acts on its result.
    pub(crate) fn acts(&self, layer: usize) -> bool {
        self.0[layer].seen || self.0[layer].bounds.is_some()
    }

    /// Whether it holds the result of this layer against what the layer read.
    pub(crate) fn held(&self, layer: usize) -> bool {
        self.0[layer].held
    }
}
