//! Dropout: in evaluation the identity.

use radhard_kernels::{Kernels, LANES, Lane, Mask};

use crate::graph::Slot;
use crate::layers::{Gradients, Known, Layer, Scope, Ties, TrainingScope, Values};
use crate::random::{Purpose, Random};

/// In training a value is zero with probability `share`, else divided by 1 − `share`.
///
/// The mask of a value depends on (seed, step, layer, row of the batch, feature) alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Masking {
    pub(crate) share: f64,
    /// The position among the graph's layers.
    pub(crate) layer: usize,
}

impl Masking {
    /// y = y + mask · x.
    pub(crate) fn add(
        self,
        kernels: Kernels,
        training: TrainingScope,
        x: &[Lane],
        groups: usize,
        y: &mut [Lane],
    ) {
        kernels.add_masked(&self.mask(training), x, (training.first_row, groups), y);
    }

    /// The mask of a step.
    pub(crate) fn mask(self, training: TrainingScope) -> Mask {
        let random = Random::new(training.seed, Purpose::Dropout(self.layer, training.step));
        Mask::new(random.bits(0), self.share)
    }
}

/// `[H, R]` under a mask.
pub(crate) struct Dropout {
    pub(crate) masking: Masking,
    pub(crate) input: Slot,
    pub(crate) output: Slot,
}

impl Layer for Dropout {
    fn ties(&self) -> Ties {
        Ties { reads: vec![self.input], writes: vec![self.output], ..Ties::default() }
    }

    fn known(&self) -> Known<'_> {
        Known::Dropout(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let groups = values.groups();
        values.write(self.output, |values, out| match scope.training {
            None => out.copy_from_slice(values.get(self.input)),
            Some(training) => {
                out.fill([0.0; LANES]);
                self.masking.add(scope.kernels, training, values.get(self.input), groups, out);
            }
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let groups = values.groups();
        gradients.values.write(self.input, |gradients, dx| match scope.training {
            None => scope.kernels.add(gradients.get(self.output), dx),
            Some(training) => {
                self.masking.add(scope.kernels, training, gradients.get(self.output), groups, dx);
            }
        });
    }
}
