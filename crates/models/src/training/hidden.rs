//! Batch norm, rectifier and dropout after a hidden layer, taken together in training.

use crate::graph::{Graph, Slot};
use crate::layers::batch_norm::BatchNorm;
use crate::layers::dropout::Masking;
use crate::layers::{BlockSums, Gradients, Known, Scope, Values};

/// Where they stand in a graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hidden {
    pub(super) input: Slot,
    output: Slot,
    masking: Option<Masking>,
    /// The last layer that is taken.
    pub(super) last: usize,
}

impl Hidden {
    /// The chain that begins with a batch norm, and the values within it, which nobody else may read.
    pub(super) fn at(graph: &Graph, norm: usize) -> Option<(Self, Vec<Slot>)> {
        let layers = graph.layers();
        let known = |i: usize| layers.get(i).map_or(Known::Other, |layer| layer.known());
        let readers = |slot: Slot| graph.ties().iter().filter(|ties| ties.reads.contains(&slot)).count();
        let Known::BatchNorm(first) = known(norm) else { return None };
        let Known::Rectifier(rectifier) = known(norm + 1) else { return None };
        if rectifier.input != first.output || readers(first.output) != 1 || readers(first.input) != 1 {
            return None;
        }
        let (input, output) = (first.input, rectifier.output);
        let plain = Self { input, output, masking: None, last: norm + 1 };
        match known(norm + 2) {
            Known::Dropout(dropout) if dropout.input == output && readers(output) == 1 => {
                let masking = Some(dropout.masking);
                let whole = Self { input, output: dropout.output, masking, last: norm + 2 };
                Some((whole, vec![first.output, output]))
            }
            _ => Some((plain, vec![first.output])),
        }
    }

    pub(super) fn forward(&self, norm: &BatchNorm, scope: &Scope<'_>, values: &mut Values) {
        let scale = (norm.part(scope.derived, 0), norm.part(scope.derived, 1));
        let mask = self.masking.zip(scope.training).map(|(masking, training)| masking.mask(training));
        let place = (scope.training.map_or(0, |t| t.first_row), values.groups());
        values.write(self.output, |values, out| {
            scope.kernels.hidden(scale, mask.as_ref(), place, values.get(self.input), out);
        });
    }

    /// What the block contributes before the backward pass; the gradient of the batch norm's result takes the place of
    /// that of its input.
    pub(super) fn gradient_statistics(
        &self,
        norm: &BatchNorm,
        scope: &Scope<'_>,
        values: &Values,
        gradients: &mut Gradients,
    ) -> BlockSums {
        let rows = scope.training.map_or(0, |t| t.rows);
        let keep = self.masking.zip(scope.training).map_or(1.0, |(masking, t)| masking.mask(t).scale());
        let mut of_features = vec![[0.0; 2]; norm.width];
        gradients.values.write(self.input, |gradients, dx| {
            let all = (values.get(self.input), values.get(self.output), gradients.get(self.output));
            let of_batch = norm.of_batch(scope.derived);
            scope.kernels.hidden_slopes(all, keep, rows, of_batch, dx, &mut of_features);
        });
        norm.add_parameter_gradients(&of_features, gradients);
        BlockSums { rows, of_features }
    }

    pub(super) fn backward(
        &self,
        norm: &BatchNorm,
        scope: &Scope<'_>,
        values: &Values,
        gradients: &mut Gradients,
    ) {
        let part = |i| norm.part(scope.derived, i);
        let rows = scope.training.map_or(0, |t| t.rows);
        let dx = gradients.values.get_mut(self.input);
        scope.kernels.affine_slopes((part(4), part(5), part(6)), values.get(self.input), rows, dx);
    }
}
