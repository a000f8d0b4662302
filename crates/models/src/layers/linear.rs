//! Linear layers.

use crate::graph::{ParameterId, Slot};
use crate::layers::{FMA_NS, Gradients, Known, Layer, Scope, Ties, Values};

/// `[J, R]`: W x + b.
pub(crate) struct Linear {
    pub(crate) weight: ParameterId,
    pub(crate) bias: Option<ParameterId>,
    pub(crate) input: Slot,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// The number of fields where the input is the concatenated embedding rows.
    pub(crate) fields: Option<usize>,
    pub(crate) output: Slot,
}

impl Linear {
    /// The part of the backward pass that concerns the layer's own parameters.
    pub(crate) fn parameter_gradients(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let x = values.get(self.input);
        let dy = gradients.values.get(self.output);
        scope.kernels.linear_weight_gradient(x, dy, self.inputs, &mut gradients.dense[self.weight]);
        if let Some(bias) = self.bias {
            scope.kernels.feature_sums(dy, &mut gradients.dense[bias]);
        }
    }
}

impl Layer for Linear {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.input],
            writes: vec![self.output],
            parameters: std::iter::once((self.weight, 0..self.inputs * self.outputs))
                .chain(self.bias.map(|bias| (bias, 0..self.outputs)))
                .collect(),
            cost: FMA_NS * (self.inputs * self.outputs) as f64,
            ..Ties::default()
        }
    }

    fn known(&self) -> Known<'_> {
        Known::Linear(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let weight = scope.weights.f32s(self.weight);
        let bias = self.bias.map_or(&[][..], |bias| scope.weights.f32s(bias));
        values.write(self.output, |values, out| {
            let x = values.get(self.input);
            match self.fields {
                Some(fields) => scope.kernels.field_layer(weight, bias, x, self.inputs, fields, out),
                None => scope.kernels.linear(weight, bias, x, self.inputs, out),
            }
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        self.parameter_gradients(scope, values, gradients);
        let weight = scope.weights.f32s(self.weight);
        gradients.values.write(self.input, |gradients, dx| {
            scope.kernels.linear_input_gradient(weight, gradients.get(self.output), self.inputs, dx);
        });
    }
}
