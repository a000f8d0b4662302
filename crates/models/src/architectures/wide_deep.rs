//! Wide & Deep (Cheng et al. 2016).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};

/// First-order terms plus an MLP on the concatenated embedding rows.
pub(crate) struct WideDeep;

impl Architecture for WideDeep {
    fn name(&self) -> &'static str {
        "wide-deep"
    }

    fn formula(&self) -> &'static str {
        "first + MLP(concat v)"
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&WideDeep, config);
        let first = b.first_order("linear.bias", "linear.fc.weight");
        let rows = b.embedding("embedding.embedding.weight");
        let deep = b.mlp("mlp.mlp", rows, true);
        b.finish(&[first, deep])
    }
}
