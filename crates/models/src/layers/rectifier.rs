//! The rectifier, which keeps NaN.

use crate::graph::Slot;
use crate::layers::{Gradients, Known, Layer, Scope, Ties, Values};

/// +0 where x ≤ 0, x elsewhere.
pub(crate) struct Rectifier {
    pub(crate) input: Slot,
    pub(crate) output: Slot,
}

impl Layer for Rectifier {
    fn ties(&self) -> Ties {
        Ties { reads: vec![self.input], writes: vec![self.output], ..Ties::default() }
    }

    fn known(&self) -> Known<'_> {
        Known::Rectifier(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        values.write(self.output, |values, out| scope.kernels.relu(values.get(self.input), out));
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        gradients.values.write(self.input, |gradients, dx| {
            scope.kernels.relu_gradient(values.get(self.input), gradients.get(self.output), dx);
        });
    }
}
