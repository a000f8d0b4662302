//! exp and sigmoid of many values.

use crate::lanes::Lanes;
use crate::plain;

#[inline(always)]
fn sigmoid<L: Lanes>(x: &[f32], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y = plain::sigmoid(*x);
    }
}

kernels! {
    /// y = 1 / (1 + exp(−x)).
    pub fn sigmoid(x: &[f32], y: &mut [f32]) = sigmoid;
}
