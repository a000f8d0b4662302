//! Normalisation, rectifier and element-wise sums on feature-major blocks.

use crate::lanes::{Lane, Lanes};

#[inline(always)]
fn affine<L: Lanes>(alpha: &[f32], beta: &[f32], x: &[Lane], y: &mut [Lane]) {
    let groups = x.len() / alpha.len();
    let features = x.chunks_exact(groups).zip(y.chunks_exact_mut(groups));
    for ((x, y), (&a, &b)) in features.zip(alpha.iter().zip(beta)) {
        let (a, b) = (L::splat(a), L::splat(b));
        for (x, y) in x.iter().zip(y) {
            a.fma(L::load(x), b).store(y);
        }
    }
}

#[inline(always)]
fn affine_gradient<L: Lanes>(a: &[f32], b: &[f32], c: &[f32], (x, dy): (&[Lane], &[Lane]), dx: &mut [Lane]) {
    let groups = x.len() / a.len();
    for (i, ((x, dy), dx)) in
        x.chunks_exact(groups).zip(dy.chunks_exact(groups)).zip(dx.chunks_exact_mut(groups)).enumerate()
    {
        let (a, b, c) = (L::splat(a[i]), L::splat(b[i]), L::splat(c[i]));
        for ((x, dy), dx) in x.iter().zip(dy).zip(dx) {
            let constant = b.fma(L::load(x), c);
            a.fma(L::load(dy), constant).add(L::load(dx)).store(dx);
        }
    }
}

#[inline(always)]
fn relu<L: Lanes>(x: &[Lane], y: &mut [Lane]) {
    for (x, y) in x.iter().zip(y) {
        L::load(x).relu().store(y);
    }
}

#[inline(always)]
fn relu_gradient<L: Lanes>(x: &[Lane], dy: &[Lane], dx: &mut [Lane]) {
    for ((x, dy), dx) in x.iter().zip(dy).zip(dx) {
        L::load(dy).where_open(L::load(x)).add(L::load(dx)).store(dx);
    }
}

#[inline(always)]
fn add<L: Lanes>(x: &[Lane], y: &mut [Lane]) {
    for (x, y) in x.iter().zip(y) {
        L::load(y).add(L::load(x)).store(y);
    }
}

#[inline(always)]
fn add_number<L: Lanes>(x: &[Lane], number: f32, y: &mut [Lane]) {
    for (x, y) in x.iter().zip(y) {
        L::load(x).add(L::splat(number)).store(y);
    }
}

#[inline(always)]
fn multiply<L: Lanes>(a: &[Lane], b: &[Lane], y: &mut [Lane]) {
    for ((a, b), y) in a.iter().zip(b).zip(y) {
        L::load(a).mul(L::load(b)).store(y);
    }
}

kernels! {
    /// y = fma(α, x, β) per feature.
    ///
    /// # Shapes
    /// `alpha`, `beta` `[H]`, `x`, `y` `[H, R]`.
    pub fn affine(alpha: &[f32], beta: &[f32], x: &[Lane], y: &mut [Lane]) = affine;

    /// Adds a · dy + b · x + c per feature to `dx`: the gradient of batch norm on batch statistics.
    ///
    /// # Shapes
    /// `a`, `b`, `c` `[H]`, `inputs` = (x, dy) each `[H, R]`, `dx` `[H, R]`.
    pub fn affine_gradient(a: &[f32], b: &[f32], c: &[f32], inputs: (&[Lane], &[Lane]), dx: &mut [Lane])
        = affine_gradient;

    /// The rectifier.
    pub fn relu(x: &[Lane], y: &mut [Lane]) = relu;

    /// Adds dy where x > 0 to `dx`.
    pub fn relu_gradient(x: &[Lane], dy: &[Lane], dx: &mut [Lane]) = relu_gradient;

    /// y = y + x.
    pub fn add(x: &[Lane], y: &mut [Lane]) = add;

    /// y = x + number.
    pub fn add_number(x: &[Lane], number: f32, y: &mut [Lane]) = add_number;

    /// y = a · b.
    pub fn multiply(a: &[Lane], b: &[Lane], y: &mut [Lane]) = multiply;
}
