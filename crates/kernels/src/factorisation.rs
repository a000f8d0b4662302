//! Sums over fields and the second-order term of factorisation machines.

use crate::lanes::{LANES, Lane, Lanes};
use crate::linear::{push, root};

/// Levels of a stack that holds more fields than there can be.
const DEPTH: usize = 32;

#[inline(always)]
fn field_sum<L: Lanes>(x: &[Lane], out: &mut [Lane]) {
    let groups = out.len();
    let fields = x.len() / groups;
    let mut stack = [[L::splat(0.0)]; DEPTH];
    for (g, out) in out.iter_mut().enumerate() {
        for f in 0..fields {
            push(&mut stack, f, [L::load(&x[f * groups + g])]);
        }
        let [sum] = root(&stack, fields);
        sum.store(out);
    }
}

/// The trees of v and of v · v over the fields of one dimension, in one lane group.
#[inline(always)]
fn sums<L: Lanes>(
    v: &[Lane],
    stack: &mut [[L; 2]; DEPTH],
    fields: usize,
    stride: usize,
    at: usize,
) -> [L; 2] {
    for f in 0..fields {
        let x = L::load(&v[f * stride + at]);
        push(stack, f, [x, x.mul(x)]);
    }
    root(stack, fields)
}

#[inline(always)]
fn factorisation<L: Lanes>(v: &[Lane], fields: usize, out: &mut [Lane]) {
    let groups = out.len();
    let dim = v.len() / (groups * fields);
    let used = dim.min(LANES);
    let half = L::splat(0.5);
    let mut stack = [[L::splat(0.0); 2]; DEPTH];
    let mut lanes = [L::splat(0.0); LANES];
    let mut nodes = [[L::splat(0.0)]; 6];
    for (g, out) in out.iter_mut().enumerate() {
        for d in 0..dim {
            let [sum, squares] = sums(v, &mut stack, fields, dim * groups, d * groups + g);
            let term = sum.mul(sum).sub(squares);
            lanes[d % LANES] = if d < LANES { term } else { lanes[d % LANES].add(term) };
        }
        for (i, lane) in lanes[..used].iter().enumerate() {
            push(&mut nodes, i, [*lane]);
        }
        let [total] = root(&nodes, used);
        half.mul(total).store(out);
    }
}

#[inline(always)]
fn factorisation_gradient<L: Lanes>(v: &[Lane], fields: usize, dy: &[Lane], dv: &mut [Lane]) {
    let groups = dy.len();
    let stride = v.len() / fields;
    let mut stack = [[L::splat(0.0); 2]; DEPTH];
    for at in 0..stride {
        let [sum, _] = sums(v, &mut stack, fields, stride, at);
        let dy = L::load(&dy[at % groups]);
        for f in 0..fields {
            let i = f * stride + at;
            dy.fma(sum.sub(L::load(&v[i])), L::load(&dv[i])).store(&mut dv[i]);
        }
    }
}

kernels! {
    /// The sum over fields.
    ///
    /// # Shapes
    /// `x` [F, R], `out` [1, R].
    pub fn field_sum(x: &[Lane], out: &mut [Lane]) = field_sum;

    /// ½ Σ_d[(Σ_f v)² − Σ_f v²].
    ///
    /// # Shapes
    /// `v` [F · D, R], `out` [1, R].
    pub fn factorisation(v: &[Lane], fields: usize, out: &mut [Lane]) = factorisation;

    /// Adds the gradient of [`Kernels::factorisation`](crate::Kernels::factorisation), dy · (Σ_f v − v).
    ///
    /// # Shapes
    /// `v`, `dv` [F · D, R], `dy` [1, R].
    pub fn factorisation_gradient(v: &[Lane], fields: usize, dy: &[Lane], dv: &mut [Lane])
        = factorisation_gradient;
}
