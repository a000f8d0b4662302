//! Factorisation machine (Rendle 2010).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};

/// First-order terms plus all pairwise interactions of embedding rows.
pub(crate) struct Fm;

impl Architecture for Fm {
    fn name(&self) -> &'static str {
        "fm"
    }

    fn formula(&self) -> &'static str {
        "first + ½ Σ_d[(Σ_f v)² − Σ_f v²]"
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&Fm, config);
        let rows = b.embedding("embedding.embedding.weight");
        let first = b.first_order("linear.bias", "linear.fc.weight");
        let pairs = b.factorisation(rows);
        b.finish(&[first, pairs])
    }
}
