//! Cross layers on feature-major blocks.

use crate::lanes::{Lane, Lanes};

#[inline(always)]
fn cross<L: Lanes>(x0: &[Lane], s: &[Lane], b: &[f32], x: &[Lane], y: &mut [Lane]) {
    let groups = s.len();
    let inputs = x0.chunks_exact(groups).zip(x.chunks_exact(groups));
    for (((x0, x), &b), y) in inputs.zip(b).zip(y.chunks_exact_mut(groups)) {
        let b = L::splat(b);
        for (((x0, x), s), y) in x0.iter().zip(x).zip(s).zip(y) {
            L::load(x0).fma(L::load(s), b).add(L::load(x)).store(y);
        }
    }
}

#[inline(always)]
fn add_scaled<L: Lanes>(x: &[Lane], s: &[Lane], y: &mut [Lane]) {
    for (x, y) in x.chunks_exact(s.len()).zip(y.chunks_exact_mut(s.len())) {
        add_product::<L>(x, s, y);
    }
}

#[inline(always)]
fn add_product<L: Lanes>(a: &[Lane], b: &[Lane], y: &mut [Lane]) {
    for ((a, b), y) in a.iter().zip(b).zip(y) {
        L::load(a).fma(L::load(b), L::load(y)).store(y);
    }
}

#[inline(always)]
fn add_dot<L: Lanes>(a: &[Lane], b: &[Lane], out: &mut [Lane]) {
    for (a, b) in a.chunks_exact(out.len()).zip(b.chunks_exact(out.len())) {
        add_product::<L>(a, b, out);
    }
}

kernels! {
    /// y = fma(x0, s, b) + x.
    ///
    /// # Shapes
    /// `x0`, `x`, `y` `[K, R]`, `s` [1, R], `b` `[K]`.
    pub fn cross(x0: &[Lane], s: &[Lane], b: &[f32], x: &[Lane], y: &mut [Lane]) = cross;

    /// y = y + x · s, one factor per row.
    ///
    /// # Shapes
    /// `x`, `y` `[K, R]`, `s` [1, R].
    pub fn add_scaled(x: &[Lane], s: &[Lane], y: &mut [Lane]) = add_scaled;

    /// y = y + a · b.
    pub fn add_product(a: &[Lane], b: &[Lane], y: &mut [Lane]) = add_product;

    /// out = out + Σ_k a · b.
    ///
    /// # Shapes
    /// `a`, `b` `[K, R]`, `out` [1, R].
    pub fn add_dot(a: &[Lane], b: &[Lane], out: &mut [Lane]) = add_dot;
}
