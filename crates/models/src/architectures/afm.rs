//! Attentional factorisation machine (Xiao et al. 2017).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};

/// Pairwise interactions weighted by a small attention network.
pub(crate) struct Afm;

impl Architecture for Afm {
    fn name(&self) -> &'static str {
        "afm"
    }

    fn formula(&self) -> &'static str {
        "first + fc(Σ_ij a_ij (v_i⊙v_j)), a = softmax over pairs of projection(relu(attention(v_i⊙v_j)))"
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&Afm, config);
        let rows = b.embedding("embedding.embedding.weight");
        let first = b.first_order("linear.bias", "linear.fc.weight");
        let attended = b.pair_attention("afm", rows);
        let kept = b.dropout(attended);
        let pairs = b.linear("afm.fc", kept, 1, None);
        b.finish(&[first, pairs])
    }
}
