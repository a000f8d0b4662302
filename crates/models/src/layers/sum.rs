//! The sum of several values.

use crate::graph::Slot;
use crate::layers::{Gradients, Known, Layer, Scope, Ties, Values};

/// ((a + b) + c) + …
pub(crate) struct Sum {
    pub(crate) inputs: Vec<Slot>,
    pub(crate) output: Slot,
}

impl Layer for Sum {
    fn ties(&self) -> Ties {
        Ties { reads: self.inputs.clone(), writes: vec![self.output], ..Ties::default() }
    }

    fn known(&self) -> Known<'_> {
        Known::Sum(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        values.write(self.output, |values, out| {
            out.copy_from_slice(values.get(self.inputs[0]));
            for &input in &self.inputs[1..] {
                scope.kernels.add(values.get(input), out);
            }
        });
    }

    fn backward(&self, scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        for &input in &self.inputs {
            gradients.values.write(input, |gradients, dx| scope.kernels.add(gradients.get(self.output), dx));
        }
    }
}
