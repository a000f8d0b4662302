//! Deep learning recommendation model (Naumov et al. 2019).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};

/// A bottom MLP on the numeric inputs, dot products with the embedding rows, a top MLP.
///
/// `bottom_dims` are the bottom's hidden widths before its output of the embedding's width, `mlp_dims` the top's.
pub(crate) struct Dlrm;

impl Architecture for Dlrm {
    fn name(&self) -> &'static str {
        "dlrm"
    }

    fn formula(&self) -> &'static str {
        "top([x; v_i·v_j for i > j]), x = v_0 = bottom(numeric)"
    }

    fn takes_numeric(&self) -> bool {
        true
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&Dlrm, config);
        let rows: Vec<_> = (0..config.fields())
            .map(|field| b.field_embedding(&format!("emb_l.{field}.weight"), field))
            .collect();
        let mut x = b.numeric();
        for (i, &width) in config.bottom_dims.iter().chain([&config.embed_dim]).enumerate() {
            x = b.normal_linear(&format!("bot_l.{}", 2 * i), x, width);
            x = b.rectifier(x);
        }
        let parts = [vec![x], rows].concat();
        let pairs = b.dot_interaction(&parts);
        let mut top = b.concatenation(&[x, pairs]);
        for (i, &width) in config.mlp_dims.iter().enumerate() {
            top = b.normal_linear(&format!("top_l.{}", 2 * i), top, width);
            top = b.rectifier(top);
        }
        let logit = b.normal_linear(&format!("top_l.{}", 2 * config.mlp_dims.len()), top, 1);
        b.finish(&[logit])
    }
}
