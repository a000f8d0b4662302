//! A linear layer to one value on two inputs, in two halves: the first can be kept where only the second changes.

use crate::graph::{ParameterId, Slot};
use crate::layers::{FMA_NS, Gradients, Known, Layer, Scope, Ties, Values};

/// `[2, R]`: the finished blocks of the chain over the first input, added in order, and the block that is not finished.
pub(crate) struct LinearHead {
    pub(crate) weight: ParameterId,
    pub(crate) input: Slot,
    pub(crate) inputs: usize,
    pub(crate) output: Slot,
}

impl Layer for LinearHead {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.input],
            writes: vec![self.output],
            parameters: vec![(self.weight, 0..self.inputs)],
            cost: FMA_NS * self.inputs as f64,
            ..Ties::default()
        }
    }

    fn known(&self) -> Known<'_> {
        Known::LinearHead(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let weight = &scope.weights.f32s(self.weight)[..self.inputs];
        values.write(self.output, |values, out| {
            scope.kernels.linear_head(weight, values.get(self.input), out);
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let weight = &scope.weights.f32s(self.weight)[..self.inputs];
        let x = values.get(self.input);
        let groups = values.groups();
        let dy = &gradients.values.get(self.output)[..groups];
        let dw = &mut gradients.dense[self.weight][..self.inputs];
        scope.kernels.linear_weight_gradient(x, dy, self.inputs, dw);
        gradients.values.write(self.input, |gradients, dx| {
            scope.kernels.linear_input_gradient(
                weight,
                &gradients.get(self.output)[..groups],
                self.inputs,
                dx,
            );
        });
    }
}

/// `[1, R]`: the chain goes on over the second input; then the bias.
pub(crate) struct LinearTail {
    pub(crate) weight: ParameterId,
    pub(crate) bias: ParameterId,
    pub(crate) head: Slot,
    /// Inputs of the head.
    pub(crate) before: usize,
    pub(crate) input: Slot,
    pub(crate) inputs: usize,
    pub(crate) output: Slot,
}

impl Layer for LinearTail {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.head, self.input],
            writes: vec![self.output],
            parameters: vec![(self.weight, self.before..self.before + self.inputs), (self.bias, 0..1)],
            cost: FMA_NS * self.inputs as f64,
            ..Ties::default()
        }
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let weight = &scope.weights.f32s(self.weight)[self.before..];
        let bias = scope.weights.f32s(self.bias)[0];
        values.write(self.output, |values, out| {
            let (head, x) = (values.get(self.head), values.get(self.input));
            scope.kernels.linear_tail(weight, bias, (head, self.before), x, out);
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let weight = &scope.weights.f32s(self.weight)[self.before..];
        let groups = values.groups();
        let dy = gradients.values.take(self.output);
        let dw = &mut gradients.dense[self.weight][self.before..];
        scope.kernels.linear_weight_gradient(values.get(self.input), &dy, self.inputs, dw);
        scope.kernels.feature_sums(&dy, &mut gradients.dense[self.bias]);
        scope.kernels.linear_input_gradient(weight, &dy, self.inputs, gradients.values.get_mut(self.input));
        // Both parts of the head are added as they are.
        for part in gradients.values.get_mut(self.head).chunks_exact_mut(groups) {
            scope.kernels.add(&dy, part);
        }
        gradients.values.put(self.output, dy);
    }
}
