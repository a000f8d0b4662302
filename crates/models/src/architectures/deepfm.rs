//! DeepFM (Guo et al. 2017).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};

/// A factorisation machine and an MLP on the same embedding rows.
pub(crate) struct DeepFm;

impl Architecture for DeepFm {
    fn name(&self) -> &'static str {
        "deepfm"
    }

    fn formula(&self) -> &'static str {
        "first + ½ Σ_d[(Σ_f v)² − Σ_f v²] + MLP(concat v)"
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&DeepFm, config);
        let first = b.first_order("linear.bias", "linear.fc.weight");
        let rows = b.embedding("embedding.embedding.weight");
        let pairs = b.factorisation(rows);
        let deep = b.mlp("mlp.mlp", rows, true);
        b.finish(&[first, pairs, deep])
    }
}
