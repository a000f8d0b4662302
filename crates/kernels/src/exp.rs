//! Sigmoid of many values, and the one NaN of what is stored.

use crate::lanes::Lanes;
use crate::plain;

#[inline(always)]
fn sigmoid<L: Lanes>(x: &[f32], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y = plain::sigmoid(*x);
    }
}

#[inline(always)]
fn canonical<L: Lanes>(x: &mut [f32], nan: f32) {
    for x in x {
        *x = if x.is_nan() { nan } else { *x };
    }
}

kernels! {
    /// Stores every NaN as the bits of `nan`.
    pub fn canonical(x: &mut [f32], nan: f32) = canonical;

    /// y = 1 / (1 + exp(−x)).
    pub fn sigmoid(x: &[f32], y: &mut [f32]) = sigmoid;
}
