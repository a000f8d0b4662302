//! Cross layers.

use crate::graph::{ParameterId, Slot};
use crate::layers::{ELEMENT_NS, Gradients, Known, Layer, Scope, Ties, Values};

/// `[K, R]`: x0 · s + b + x, where s is the layer's dot product `[1, R]`.
pub(crate) struct Cross {
    pub(crate) bias: ParameterId,
    pub(crate) first: Slot,
    pub(crate) product: Slot,
    pub(crate) input: Slot,
    pub(crate) width: usize,
    pub(crate) output: Slot,
}

impl Layer for Cross {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.first, self.product, self.input],
            writes: vec![self.output],
            parameters: vec![(self.bias, 0..self.width)],
            cost: ELEMENT_NS * self.width as f64,
            ..Ties::default()
        }
    }

    fn known(&self) -> Known<'_> {
        Known::Cross(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let bias = scope.weights.f32s(self.bias);
        values.write(self.output, |values, out| {
            let (x0, s) = (values.get(self.first), values.get(self.product));
            scope.kernels.cross(x0, s, bias, values.get(self.input), out);
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let (x0, s) = (values.get(self.first), values.get(self.product));
        let all = &mut gradients.values;
        scope.kernels.feature_sums(all.get(self.output), &mut gradients.dense[self.bias]);
        all.write(self.input, |gradients, dx| scope.kernels.add(gradients.get(self.output), dx));
        all.write(self.first, |gradients, dx0| scope.kernels.add_scaled(gradients.get(self.output), s, dx0));
        all.write(self.product, |gradients, ds| scope.kernels.add_dot(gradients.get(self.output), x0, ds));
    }
}
