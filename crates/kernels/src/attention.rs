//! Softmax and weighted sums over the pairs of fields.

use crate::lanes::{LANES, Lane, Lanes};
use crate::linear::{push, root};
use crate::plain;

#[inline(always)]
fn softmax<L: Lanes>(x: &mut [Lane], groups: usize) {
    let count = x.len() / groups;
    let used = count.min(LANES);
    let mut nodes = [[L::splat(0.0)]; 6];
    for g in 0..groups {
        let mut top = [f32::NEG_INFINITY; LANES];
        for i in 0..count {
            for (top, &x) in top.iter_mut().zip(&x[i * groups + g]) {
                *top = if x > *top || x.is_nan() { x } else { *top };
            }
        }
        let mut sums = [L::splat(0.0); LANES];
        for i in 0..count {
            let lane = &mut x[i * groups + g];
            for (x, top) in lane.iter_mut().zip(&top) {
                *x = plain::exp(*x - top);
            }
            let value = L::load(lane);
            sums[i % LANES] = if i < LANES { value } else { sums[i % LANES].add(value) };
        }
        for (i, sum) in sums[..used].iter().enumerate() {
            push(&mut nodes, i, [*sum]);
        }
        if count > 0 {
            let [total] = root(&nodes, used);
            for i in 0..count {
                let lane = &mut x[i * groups + g];
                L::load(lane).div(total).store(lane);
            }
        }
    }
}

#[inline(always)]
fn softmax_gradient<L: Lanes>(shares: &[Lane], mean: &[Lane], ds: &mut [Lane]) {
    let groups = mean.len();
    for (shares, ds) in shares.chunks_exact(groups).zip(ds.chunks_exact_mut(groups)) {
        for ((share, mean), d) in shares.iter().zip(mean).zip(ds) {
            L::load(share).mul(L::load(d).sub(L::load(mean))).store(d);
        }
    }
}

/// Dimensions summed in one sweep over the pairs.
const SWEEP: usize = 4;

#[inline(always)]
fn pair_sum<L: Lanes>(v: &[Lane], shares: &[Lane], fields: usize, out: &mut [Lane]) {
    let pairs = fields * (fields - 1) / 2;
    if pairs == 0 {
        out.fill([0.0; LANES]);
        return;
    }
    let groups = shares.len() / pairs;
    let dim = out.len() / groups;
    let stride = dim * groups;
    for g in 0..groups {
        for from in (0..dim).step_by(SWEEP) {
            let width = SWEEP.min(dim - from);
            let mut sums = [[L::splat(0.0); LANES]; SWEEP];
            let mut pair = 0;
            for i in 0..fields {
                for j in i + 1..fields {
                    let share = L::load(&shares[pair * groups + g]);
                    for d in 0..width {
                        let at = (from + d) * groups + g;
                        let product = L::load(&v[i * stride + at]).mul(L::load(&v[j * stride + at]));
                        let term = share.mul(product);
                        let sum = &mut sums[d][pair % LANES];
                        *sum = if pair < LANES { term } else { sum.add(term) };
                    }
                    pair += 1;
                }
            }
            for d in 0..width {
                let mut nodes = [[L::splat(0.0)]; 6];
                let used = pairs.min(LANES);
                for (i, sum) in sums[d][..used].iter().enumerate() {
                    push(&mut nodes, i, [*sum]);
                }
                let [total] = root(&nodes, used);
                total.store(&mut out[(from + d) * groups + g]);
            }
        }
    }
}

kernels! {
    /// The softmax over the features of each row, in place.
    ///
    /// # Shapes
    /// `x` [P, R], R = 16 · `groups`.
    pub fn softmax(x: &mut [Lane], groups: usize) = softmax;

    /// ds = a · (ds − mean): the gradient of the softmax, given Σ a · ds per row.
    ///
    /// # Shapes
    /// `shares`, `ds` [P, R], `mean` [1, R].
    pub fn softmax_gradient(shares: &[Lane], mean: &[Lane], ds: &mut [Lane]) = softmax_gradient;

    /// The sum over the pairs i < j of share · (v_i ⊙ v_j).
    ///
    /// # Shapes
    /// `v` [F · D, R], `shares` [F(F − 1)/2, R], `out` [D, R].
    pub fn pair_sum(v: &[Lane], shares: &[Lane], fields: usize, out: &mut [Lane]) = pair_sum;
}
