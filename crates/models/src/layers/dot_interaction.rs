//! Dot products between all pairs of embedding-wide parts.

use crate::graph::Slot;
use crate::layers::{ELEMENT_NS, Gradients, Layer, Scope, Ties, Values};

/// `[P, R]`: v_i · v_j for the parts i > j in row order.
pub(crate) struct DotInteraction {
    /// `[D, R]` each.
    pub(crate) parts: Vec<Slot>,
    pub(crate) output: Slot,
}

impl DotInteraction {
    fn pairs(&self) -> impl Iterator<Item = (Slot, Slot)> {
        (0..self.parts.len()).flat_map(move |i| (0..i).map(move |j| (self.parts[i], self.parts[j])))
    }
}

impl Layer for DotInteraction {
    fn ties(&self) -> Ties {
        Ties {
            reads: self.parts.clone(),
            writes: vec![self.output],
            cost: ELEMENT_NS * (self.parts.len() * self.parts.len() * 4) as f64,
            ..Ties::default()
        }
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let groups = values.groups();
        values.write(self.output, |values, out| {
            out.as_flattened_mut().fill(0.0);
            for ((i, j), out) in self.pairs().zip(out.chunks_exact_mut(groups)) {
                scope.kernels.add_dot(values.get(i), values.get(j), out);
            }
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let groups = values.groups();
        let dy = gradients.values.take(self.output);
        for ((i, j), dy) in self.pairs().zip(dy.chunks_exact(groups)) {
            for (to, from) in [(i, j), (j, i)] {
                scope.kernels.add_scaled(values.get(from), dy, gradients.values.get_mut(to));
            }
        }
        gradients.values.put(self.output, dy);
    }
}
