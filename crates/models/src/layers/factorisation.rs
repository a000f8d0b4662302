//! The second-order term of a factorisation machine.

use crate::graph::Slot;
use crate::layers::{ELEMENT_NS, Gradients, Known, Layer, Scope, Ties, Values};

/// `[1, R]`: ½ Σ_d[(Σ_f v)² − Σ_f v²].
pub(crate) struct Factorisation {
    pub(crate) input: Slot,
    pub(crate) fields: usize,
    pub(crate) output: Slot,
}

impl Layer for Factorisation {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.input],
            writes: vec![self.output],
            cost: ELEMENT_NS * (self.fields * 16 * 4) as f64,
            ..Ties::default()
        }
    }

    fn known(&self) -> Known<'_> {
        Known::Factorisation(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        values.write(self.output, |values, out| {
            scope.kernels.factorisation(values.get(self.input), self.fields, out);
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        gradients.values.write(self.input, |gradients, dv| {
            let dy = gradients.get(self.output);
            scope.kernels.factorisation_gradient(values.get(self.input), self.fields, dy, dv);
        });
    }
}
