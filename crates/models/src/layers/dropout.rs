//! Dropout: in evaluation the identity.

use radhard_kernels::{LANES, Lane};

use crate::graph::Slot;
use crate::layers::{Gradients, Layer, Scope, TrainingScope, Values};
use crate::random::{Purpose, Random};

/// In training a value is zero with probability `share`, else divided by 1 − `share`.
///
/// The mask of a value depends on (seed, step, layer, row of the batch, feature) alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    pub(crate) share: f64,
    /// The position among the graph's layers.
    pub(crate) layer: usize,
}

impl Mask {
    /// Hands out the masked values of `x`: position of the lane, lane, value.
    pub(crate) fn apply(
        self,
        training: TrainingScope,
        x: &[Lane],
        groups: usize,
        mut put: impl FnMut(usize, usize, f32),
    ) {
        let random = Random::new(training.seed, Purpose::Dropout(self.layer, training.step));
        let scale = (1.0 / (1.0 - self.share)) as f32;
        let threshold = (self.share * (1u64 << 32) as f64) as u32;
        let width = x.len() / groups;
        for feature in 0..width {
            for g in 0..groups {
                let at = feature * groups + g;
                let row = training.first_row + g * LANES;
                // One number serves two neighbouring rows.
                for half in 0..LANES / 2 {
                    let bits = random.bits((row / 2 + half) as u64 * width as u64 + feature as u64);
                    for (lane, bits) in [(2 * half, bits as u32), (2 * half + 1, (bits >> 32) as u32)] {
                        put(at, lane, if bits < threshold { 0.0 } else { x[at][lane] * scale });
                    }
                }
            }
        }
    }
}

/// `[H, R]` under a mask.
pub(crate) struct Dropout {
    pub(crate) mask: Mask,
    pub(crate) input: Slot,
    pub(crate) output: Slot,
}

impl Layer for Dropout {
    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let groups = values.groups();
        values.write(self.output, |values, out| match scope.training {
            None => out.copy_from_slice(values.get(self.input)),
            Some(training) => {
                self.mask.apply(training, values.get(self.input), groups, |at, lane, y| out[at][lane] = y);
            }
        });
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let groups = values.groups();
        gradients.values.write(self.input, |gradients, dx| match scope.training {
            None => scope.kernels.add(gradients.get(self.output), dx),
            Some(training) => {
                let dy = gradients.get(self.output);
                self.mask.apply(training, dy, groups, |at, lane, d| dx[at][lane] += d);
            }
        });
    }
}
