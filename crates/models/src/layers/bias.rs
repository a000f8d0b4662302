//! One number added to every row.

use crate::graph::{ParameterId, Slot};
use crate::layers::{ELEMENT_NS, Gradients, Layer, Scope, Ties, Values};

/// `[1, R]`: x + b.
pub(crate) struct Bias {
    pub(crate) parameter: ParameterId,
    pub(crate) input: Slot,
    pub(crate) output: Slot,
}

impl Layer for Bias {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.input],
            writes: vec![self.output],
            parameters: vec![(self.parameter, 0..1)],
            cost: ELEMENT_NS,
            ..Ties::default()
        }
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let bias = scope.weights.f32s(self.parameter)[0];
        values.write(self.output, |values, out| {
            scope.kernels.add_number(values.get(self.input), bias, out);
        });
    }

    fn backward(&self, scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        let dy = gradients.values.get(self.output);
        scope.kernels.feature_sums(dy, &mut gradients.dense[self.parameter]);
        gradients.values.write(self.input, |gradients, dx| scope.kernels.add(gradients.get(self.output), dx));
    }
}
