//! Several values one after the other.

use crate::graph::Slot;
use crate::layers::{Gradients, Layer, Scope, Ties, Values};

/// `[Σ widths, R]`.
pub(crate) struct Concatenation {
    pub(crate) inputs: Vec<Slot>,
    pub(crate) output: Slot,
}

impl Layer for Concatenation {
    fn ties(&self) -> Ties {
        Ties { reads: self.inputs.clone(), writes: vec![self.output], ..Ties::default() }
    }

    fn forward(&self, _scope: &Scope<'_>, values: &mut Values) {
        values.write(self.output, |values, mut out| {
            for &input in &self.inputs {
                let x = values.get(input);
                let (head, tail) = out.split_at_mut(x.len());
                head.copy_from_slice(x);
                out = tail;
            }
        });
    }

    fn backward(&self, scope: &Scope<'_>, _values: &Values, gradients: &mut Gradients) {
        let mut start = 0;
        for &input in &self.inputs {
            gradients.values.write(input, |gradients, dx| {
                let end = start + dx.len();
                scope.kernels.add(&gradients.get(self.output)[start..end], dx);
                start = end;
            });
        }
    }
}
