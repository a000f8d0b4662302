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

/// The gradients of x0 · s + b + x with respect to x0, s and x.
#[inline(always)]
fn cross_gradient<L: Lanes>(x0: &[Lane], s: &[Lane], dy: &[Lane], dx0: &mut [Lane], ds: &mut [Lane]) {
    let groups = s.len();
    for ((x0, dy), dx0) in
        x0.chunks_exact(groups).zip(dy.chunks_exact(groups)).zip(dx0.chunks_exact_mut(groups))
    {
        for g in 0..groups {
            let d = L::load(&dy[g]);
            d.fma(L::load(&s[g]), L::load(&dx0[g])).store(&mut dx0[g]);
            d.fma(L::load(&x0[g]), L::load(&ds[g])).store(&mut ds[g]);
        }
    }
}

kernels! {
    /// y = fma(x0, s, b) + x.
    ///
    /// # Shapes
    /// `x0`, `x`, `y` [K, R], `s` [1, R], `b` [K].
    pub fn cross(x0: &[Lane], s: &[Lane], b: &[f32], x: &[Lane], y: &mut [Lane]) = cross;

    /// Adds dy · s to `dx0` and Σ_k dy · x0 to `ds`.
    ///
    /// # Shapes
    /// `x0`, `dy`, `dx0` [K, R], `s`, `ds` [1, R].
    pub fn cross_gradient(x0: &[Lane], s: &[Lane], dy: &[Lane], dx0: &mut [Lane], ds: &mut [Lane]) = cross_gradient;
}
