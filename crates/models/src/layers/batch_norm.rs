//! Batch norm: running statistics in evaluation, the batch's own in training.

use radhard_kernels::{Kernels, plain};

use crate::graph::{ParameterId, Slot};
use crate::layers::{
    BatchLayer, BlockSums, ELEMENT_NS, Gradients, Known, Layer, Scope, Ties, Values, Weights,
};
use crate::parameter::Parameters;

/// Added to the variance.
const EPSILON: f32 = 1e-5;

/// How far the running statistics move per batch.
const MOMENTUM: f32 = 0.1;

/// fma(α, x, β) with α = w / √(var + ε), β = b − mean · α.
///
/// Derived values, H each: α, β; in training then the batch's mean and 1 / √(var + ε); before the backward pass then
/// the coefficients of dy, x and 1 in dx.
pub(crate) struct BatchNorm {
    pub(crate) weight: ParameterId,
    pub(crate) bias: ParameterId,
    pub(crate) mean: ParameterId,
    pub(crate) variance: ParameterId,
    pub(crate) batches: ParameterId,
    pub(crate) width: usize,
    pub(crate) input: Slot,
    pub(crate) output: Slot,
}

/// n, mean and sum of squared deviations of each feature, from the blocks in order (Chan, Golub, LeVeque 1979).
fn merge(blocks: &[BlockSums], width: usize) -> (f64, Vec<(f64, f64)>) {
    let mut count = 0.0;
    let mut moments = vec![(0.0, 0.0); width];
    for block in blocks {
        let more = block.rows as f64;
        let total = count + more;
        for ((mean, deviations), new) in moments.iter_mut().zip(&block.of_features) {
            let delta = new[0] - *mean;
            *mean += delta * more / total;
            *deviations += new[1] + delta * delta * count * more / total;
        }
        count = total;
    }
    (count, moments)
}

impl BatchNorm {
    /// Coefficient `i` of the derived values.
    pub(crate) fn part<'d>(&self, derived: &'d [f32], i: usize) -> &'d [f32] {
        &derived[i * self.width..(i + 1) * self.width]
    }

    /// The batch's mean and 1 / √(var + ε).
    pub(crate) fn of_batch<'d>(&self, derived: &'d [f32]) -> (&'d [f32], &'d [f32]) {
        (self.part(derived, 2), self.part(derived, 3))
    }

    /// Adds Σ dy and Σ dy · x̂ to the gradients of shift and scale.
    pub(crate) fn add_parameter_gradients(&self, sums: &[[f64; 2]], gradients: &mut Gradients) {
        for (i, [shift, product]) in sums.iter().enumerate() {
            gradients.dense[self.bias][i] += *shift as f32;
            gradients.dense[self.weight][i] += *product as f32;
        }
    }
}

impl Layer for BatchNorm {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.input],
            writes: vec![self.output],
            parameters: [self.weight, self.bias, self.mean, self.variance]
                .map(|id| (id, 0..self.width))
                .into(),
            cost: ELEMENT_NS * self.width as f64,
            ..Ties::default()
        }
    }

    fn derive(&self, weights: Weights<'_>) -> Vec<f32> {
        let (mean, variance) = (weights.f32s(self.mean), weights.f32s(self.variance));
        let (weight, bias) = (weights.f32s(self.weight), weights.f32s(self.bias));
        let pairs: Vec<_> = (0..self.width)
            .map(|i| plain::batch_norm(weight[i], bias[i], mean[i], variance[i], EPSILON))
            .collect();
        pairs.iter().map(|p| p.0).chain(pairs.iter().map(|p| p.1)).collect()
    }

    fn known(&self) -> Known<'_> {
        Known::BatchNorm(self)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        let (alpha, beta) = (self.part(scope.derived, 0), self.part(scope.derived, 1));
        values
            .write(self.output, |values, out| scope.kernels.affine(alpha, beta, values.get(self.input), out));
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let part = |i| self.part(scope.derived, i);
        gradients.values.write(self.input, |gradients, dx| {
            let inputs = (values.get(self.input), gradients.get(self.output));
            scope.kernels.affine_gradient(part(4), part(5), part(6), inputs, dx);
            // Padding rows took no part in the batch.
            let rows = scope.training.map_or(0, |t| t.rows);
            for lanes in dx.chunks_exact_mut(values.groups()) {
                for x in &mut lanes.as_flattened_mut()[rows..] {
                    *x = 0.0;
                }
            }
        });
    }

    fn batch(&self) -> Option<&dyn BatchLayer> {
        Some(self)
    }
}

impl BatchLayer for BatchNorm {
    fn statistics(&self, kernels: Kernels, rows: usize, values: &Values) -> BlockSums {
        let mut of_features = vec![[0.0; 2]; self.width];
        kernels.moments(values.get(self.input), rows, &mut of_features);
        BlockSums { rows, of_features }
    }

    fn combine(&self, weights: Weights<'_>, blocks: &[BlockSums]) -> Vec<f32> {
        let (count, moments) = merge(blocks, self.width);
        let (weight, bias) = (weights.f32s(self.weight), weights.f32s(self.bias));
        let mut derived = vec![0.0; 4 * self.width];
        for (i, (mean, deviations)) in moments.into_iter().enumerate() {
            let (mean, variance) = (mean as f32, (deviations / count) as f32);
            let (alpha, beta) = plain::batch_norm(weight[i], bias[i], mean, variance, EPSILON);
            derived[i] = alpha;
            derived[self.width + i] = beta;
            derived[2 * self.width + i] = mean;
            derived[3 * self.width + i] = 1.0 / (variance + EPSILON).sqrt();
        }
        derived
    }

    fn track(&self, parameters: &mut Parameters, blocks: &[BlockSums]) {
        let (count, moments) = merge(blocks, self.width);
        let unbiased = (count - 1.0).max(1.0);
        let towards = |old: &mut f32, new: f64| *old += MOMENTUM * (new as f32 - *old);
        for (old, (mean, _)) in parameters[self.mean].f32s_mut().iter_mut().zip(&moments) {
            towards(old, *mean);
        }
        for (old, (_, deviations)) in parameters[self.variance].f32s_mut().iter_mut().zip(&moments) {
            towards(old, deviations / unbiased);
        }
        parameters[self.batches].i64s_mut()[0] += 1;
    }

    fn gradient_statistics(
        &self,
        scope: &Scope<'_>,
        values: &Values,
        gradients: &mut Gradients,
    ) -> BlockSums {
        let rows = scope.training.map_or(0, |t| t.rows);
        let mut of_features = vec![[0.0; 2]; self.width];
        let both = (values.get(self.input), gradients.values.get(self.output));
        scope.kernels.slope_moments(both, rows, self.of_batch(scope.derived), &mut of_features);
        self.add_parameter_gradients(&of_features, gradients);
        BlockSums { rows, of_features }
    }

    fn combine_gradient(&self, derived: &mut Vec<f32>, blocks: &[BlockSums], rows: usize) {
        let mut sums = vec![0.0; 2 * self.width];
        for block in blocks {
            for (sum, x) in sums.iter_mut().zip(block.of_features.as_flattened()) {
                *sum += x;
            }
        }
        derived.truncate(4 * self.width);
        let mut coefficients = vec![0.0; 3 * self.width];
        for (i, sums) in sums.chunks_exact(2).enumerate() {
            let (alpha, mean, scale) = (
                f64::from(derived[i]),
                f64::from(derived[2 * self.width + i]),
                f64::from(derived[3 * self.width + i]),
            );
            let (dy, product) = (sums[0] / rows as f64, sums[1] / rows as f64);
            coefficients[i] = alpha as f32;
            coefficients[self.width + i] = (-alpha * product * scale) as f32;
            coefficients[2 * self.width + i] = (alpha * (product * scale * mean - dy)) as f32;
        }
        derived.extend(coefficients);
    }
}
