//! Deep & Cross network (Wang et al. 2017).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};

/// Cross layers and an MLP side by side on the embedding rows.
pub(crate) struct Dcn;

impl Architecture for Dcn {
    fn name(&self) -> &'static str {
        "dcn"
    }

    fn formula(&self) -> &'static str {
        "Linear([cross(x0); MLP(x0)]), x_{l+1} = x0·(w_l·x_l) + b_l + x_l"
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&Dcn, config);
        let rows = b.embedding("embedding.embedding.weight");
        let crossed = b.cross("cn", rows);
        let deep = b.mlp("mlp.mlp", rows, false);
        let logit = b.linear_on("linear", [crossed, deep]);
        b.finish(&[logit])
    }
}
