//! The Adam optimiser on slices (Kingma and Ba 2015), as torch's fused kernel computes it.

use crate::lanes::Lanes;

/// The constants of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Share kept of the first moment.
    pub beta1: f32,
    /// Share kept of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Times the weight, added to the gradient.
    pub weight_decay: f32,
    /// Learning rate / (1 − β1^t).
    pub step_size: f32,
    /// 1 / √(1 − β2^t).
    pub root_scale: f32,
}

impl AdamStep {
    /// The constants of step `t`, counted from 1.
    pub fn at(t: u64, learning_rate: f64, weight_decay: f64, betas: (f64, f64), epsilon: f64) -> Self {
        let bias = |beta: f64| -> f64 { 1.0 - libm::pow(beta, t as f64) };
        Self {
            beta1: betas.0 as f32,
            beta2: betas.1 as f32,
            epsilon: epsilon as f32,
            weight_decay: weight_decay as f32,
            step_size: (learning_rate / bias(betas.0)) as f32,
            root_scale: (1.0 / bias(betas.1).sqrt()) as f32,
        }
    }
}

#[inline(always)]
pub(crate) fn update(step: &AdamStep, gradient: f32, w: &mut f32, m: &mut f32, v: &mut f32) {
    let g = step.weight_decay.mul_add(*w, gradient);
    *m = flush((1.0 - step.beta1).mul_add(g - *m, *m));
    *v = flush(((1.0 - step.beta2) * g).mul_add(g, step.beta2 * *v));
    *w -= step.step_size * *m / v.sqrt().mul_add(step.root_scale, step.epsilon);
}

/// Subnormal moments become zero; they would slow every later step many times.
#[inline(always)]
fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

#[inline(always)]
fn adam<L: Lanes>(step: &AdamStep, gradient: &[f32], w: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    for (((g, w), m), v) in gradient.iter().zip(w).zip(m).zip(v) {
        update(step, *g, w, m, v);
    }
}

#[inline(always)]
fn adam_idle<L: Lanes>(step: &AdamStep, w: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    for ((w, m), v) in w.iter_mut().zip(m).zip(v) {
        update(step, 0.0, w, m, v);
    }
}

kernels! {
    /// One step on the weights `w` with moments `m` and `v`.
    ///
    /// # Numerics
    /// g ← g + decay · w; m ← m + (1 − β1)(g − m); v ← β2 · v + (1 − β2) · g²; w ← w − step · m / (√v · scale + ε).
    /// Subnormal moments are flushed to zero.
    pub fn adam(step: &AdamStep, gradient: &[f32], w: &mut [f32], m: &mut [f32], v: &mut [f32]) = adam;

    /// One step where the gradient is zero everywhere but for the weight decay.
    pub fn adam_idle(step: &AdamStep, w: &mut [f32], m: &mut [f32], v: &mut [f32]) = adam_idle;
}
