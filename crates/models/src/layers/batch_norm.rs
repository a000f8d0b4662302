//! Batch norm: running statistics in evaluation, the batch's own in training.

use radhard_kernels::{LANES, plain};

use crate::graph::{ParameterId, Slot};
use crate::layers::{BatchLayer, ELEMENT_NS, Gradients, Known, Layer, Scope, Ties, Values, Weights};
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
fn merge(blocks: &[Vec<f64>], width: usize) -> (f64, Vec<(f64, f64)>) {
    let mut count = 0.0;
    let mut moments = vec![(0.0, 0.0); width];
    for block in blocks {
        let more = block[0];
        let total = count + more;
        for ((mean, deviations), new) in moments.iter_mut().zip(block[1..].chunks_exact(2)) {
            let delta = new[0] - *mean;
            *mean += delta * more / total;
            *deviations += new[1] + delta * delta * count * more / total;
        }
        count = total;
    }
    (count, moments)
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
        let (alpha, rest) = scope.derived.split_at(self.width);
        let beta = &rest[..self.width];
        values
            .write(self.output, |values, out| scope.kernels.affine(alpha, beta, values.get(self.input), out));
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let part = |i: usize| &scope.derived[i * self.width..(i + 1) * self.width];
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
    fn statistics(&self, rows: usize, values: &Values) -> Vec<f64> {
        let mut out = vec![rows as f64];
        for lanes in values.get(self.input).chunks_exact(values.groups()) {
            let x = &lanes.as_flattened()[..rows];
            let mean = lane_sum(x, f64::from) / rows as f64;
            out.push(mean);
            out.push(lane_sum(x, |x| (f64::from(x) - mean) * (f64::from(x) - mean)));
        }
        out
    }

    fn combine(&self, weights: Weights<'_>, blocks: &[Vec<f64>]) -> Vec<f32> {
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

    fn track(&self, parameters: &mut Parameters, blocks: &[Vec<f64>]) {
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

    fn gradient_statistics(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) -> Vec<f64> {
        let rows = scope.training.map_or(0, |t| t.rows);
        let mut out = Vec::with_capacity(2 * self.width);
        for i in 0..self.width {
            let (mean, scale) = (scope.derived[2 * self.width + i], scope.derived[3 * self.width + i]);
            let part = i * values.groups()..(i + 1) * values.groups();
            let x = &values.get(self.input)[part.clone()].as_flattened()[..rows];
            let dy = &gradients.values.get(self.output)[part].as_flattened()[..rows];
            let shift = lane_sum(dy, f64::from);
            let products: Vec<f32> = x.iter().zip(dy).map(|(x, dy)| (x - mean) * scale * dy).collect();
            let product = lane_sum(&products, f64::from);
            gradients.dense[self.bias][i] += shift as f32;
            gradients.dense[self.weight][i] += product as f32;
            out.extend([shift, product]);
        }
        out
    }

    fn combine_gradient(&self, derived: &mut Vec<f32>, blocks: &[Vec<f64>], rows: usize) {
        let mut sums = vec![0.0; 2 * self.width];
        for block in blocks {
            for (sum, x) in sums.iter_mut().zip(block) {
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

/// The sum of `f` over the rows in sixteen lanes of f64.
fn lane_sum(x: &[f32], f: impl Fn(f32) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f(x);
    }
    lanes.iter().sum()
}
