//! Softmax and weighted sums over the pairs of fields.

use crate::lanes::{LANES, Lane, Lanes};
use crate::linear::{chains, push, root};
use crate::plain::{self, CHAIN};

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

/// A linear layer: weights `[J, K]`, row-major, and a bias `[J]`.
pub type Affine<'a> = (&'a [f32], &'a [f32]);

/// The chains of scores go on with one hidden value.
#[inline(always)]
fn add_hidden<L: Lanes, const GROUPS: usize>(
    scores: &mut [L; GROUPS],
    hidden: [L; GROUPS],
    (bias, weight): (f32, f32),
) {
    for i in 0..GROUPS {
        scores[i] = hidden[i].add(L::splat(bias)).relu().fma(L::splat(weight), scores[i]);
    }
}

#[inline(always)]
fn scores_of_pair<L: Lanes, const OUT: usize, const GROUPS: usize>(
    product: &[Lane],
    (attention, bias): Affine<'_>,
    projection: &[f32],
    (groups, g): (usize, usize),
) -> [L; GROUPS] {
    let dim = product.len() / groups;
    let mut scores = [L::splat(0.0); GROUPS];
    let mut j = 0;
    while j + OUT <= bias.len() {
        let rows: [&[f32]; OUT] = std::array::from_fn(|o| &attention[(j + o) * dim..(j + o + 1) * dim]);
        let tile = chains::<L, OUT, GROUPS>(&rows, product, groups, g, 0..dim);
        for o in 0..OUT {
            add_hidden(&mut scores, tile[o], (bias[j + o], projection[j + o]));
        }
        j += OUT;
    }
    for j in j..bias.len() {
        let rows = [&attention[j * dim..(j + 1) * dim]];
        let [hidden] = chains::<L, 1, GROUPS>(&rows, product, groups, g, 0..dim);
        add_hidden(&mut scores, hidden, (bias[j], projection[j]));
    }
    scores
}

#[inline(always)]
fn scores_of_pairs<L: Lanes, const OUT: usize, const GROUPS: usize>(
    v: &[Lane],
    fields: usize,
    attention: Affine<'_>,
    projection: Affine<'_>,
    (product, scores): (&mut [Lane], &mut [Lane]),
) {
    let stride = product.len();
    let groups = product.len() * projection.0.len() / attention.0.len();
    let last = L::splat(projection.1[0]);
    let mut scores = scores.chunks_exact_mut(groups);
    for i in 0..fields {
        for j in i + 1..fields {
            let pair = v[i * stride..(i + 1) * stride].iter().zip(&v[j * stride..(j + 1) * stride]);
            for (product, (a, b)) in product.iter_mut().zip(pair) {
                L::load(a).mul(L::load(b)).store(product);
            }
            let scores = scores.next().expect("a score for each pair");
            let mut g = 0;
            while g + GROUPS <= groups {
                let of = scores_of_pair::<L, OUT, GROUPS>(product, attention, projection.0, (groups, g));
                for (score, to) in of.into_iter().zip(&mut scores[g..g + GROUPS]) {
                    score.add(last).store(to);
                }
                g += GROUPS;
            }
            for g in g..groups {
                let [score] = scores_of_pair::<L, OUT, 1>(product, attention, projection.0, (groups, g));
                score.add(last).store(&mut scores[g]);
            }
        }
    }
}

#[inline(always)]
fn pair_scores<L: Lanes>(
    v: &[Lane],
    fields: usize,
    (attention, projection): (Affine<'_>, Affine<'_>),
    product: &mut [Lane],
    scores: &mut [Lane],
) {
    let width = attention.1.len();
    let dim = attention.0.len() / width;
    assert!(width <= CHAIN && dim <= CHAIN, "chains of one block");
    assert_eq!(v.len(), fields * product.len(), "rows of the fields");
    assert_eq!(scores.len() * dim * 2, product.len() * fields * (fields - 1), "scores of the pairs");
    if L::WIDE {
        scores_of_pairs::<L, 4, 4>(v, fields, attention, projection, (product, scores));
    } else {
        scores_of_pairs::<L, 2, 2>(v, fields, attention, projection, (product, scores));
    }
}

/// Whether no magnitude is above the limit, and none is NaN.
#[inline(always)]
fn within<L: Lanes>(x: &[Lane], limit: f32, all: &mut bool) {
    let mut beyond = 0;
    for x in x.as_flattened() {
        beyond |= 1 - u32::from(x.abs() <= limit);
    }
    *all &= beyond == 0;
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

    /// The scores of the pairs i < j of fields: projection(relu(attention(v_i ⊙ v_j))).
    ///
    /// # Shapes
    /// `v` [F · D, R]; `layers` = attention ([A, D], `[A]`) and projection ([1, A], `[1]`), A and D at most
    /// [`CHAIN`](crate::plain::CHAIN); `product` [D, R] is room for one pair; `scores` [F(F − 1)/2, R].
    ///
    /// # Numerics
    /// As [`Kernels::multiply`](crate::Kernels::multiply), [`Kernels::linear`](crate::Kernels::linear) and
    /// [`Kernels::relu`](crate::Kernels::relu) one after the other.
    pub fn pair_scores(
        v: &[Lane], fields: usize, layers: (Affine<'_>, Affine<'_>), product: &mut [Lane], scores: &mut [Lane],
    ) = pair_scores;

    /// Clears `all` where a magnitude is above the limit, or NaN.
    pub fn within(x: &[Lane], limit: f32, all: &mut bool) = within;

    /// The sum over the pairs i < j of share · (v_i ⊙ v_j).
    ///
    /// # Shapes
    /// `v` [F · D, R], `shares` [F(F − 1)/2, R], `out` [D, R].
    pub fn pair_sum(v: &[Lane], shares: &[Lane], fields: usize, out: &mut [Lane]) = pair_sum;
}

#[cfg(test)]
mod tests {
    use crate::{Kernels, LANES, Lane, Path};

    #[test]
    fn scores_of_pairs_are_those_of_the_layers_one_by_one() {
        for (fields, dim, width, groups) in
            [(1, 16, 16, 4), (2, 16, 16, 4), (5, 8, 7, 3), (3, 33, 18, 1), (4, 1, 2, 6)]
        {
            let special = [f32::NAN, f32::INFINITY, -1e30, 1e-40, -0.0, 3e38];
            let number = |i: usize| match i % 4093 {
                n @ 0..6 => special[n],
                n => (n * 37 % 101) as f32 / 40.0 - 1.25,
            };
            let values = |count: usize, from: usize| -> Vec<f32> {
                (0..count).map(|i| number(from + i * 7 + 11)).collect()
            };
            let v: Vec<Lane> = values(fields * dim * groups * LANES, 3).as_chunks::<LANES>().0.to_vec();
            let (weight, bias) = (values(width * dim, 100), values(width, 200));
            let (projection, last) = (values(width, 300), values(1, 400));
            let pairs = fields * (fields - 1) / 2;
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let room = |width: usize| vec![[9.0f32; LANES]; width * groups];
                let (mut product, mut found, mut expected) = (room(dim), room(pairs), room(pairs));
                let layers = ((&weight[..], &bias[..]), (&projection[..], &last[..]));
                kernels.pair_scores(&v, fields, layers, &mut product, &mut found);
                let of = |field: usize| &v[field * dim * groups..(field + 1) * dim * groups];
                let mut expected_pairs = expected.chunks_exact_mut(groups);
                for i in 0..fields {
                    for j in i + 1..fields {
                        let (mut before, mut after) = (room(width), room(width));
                        kernels.multiply(of(i), of(j), &mut product);
                        kernels.linear(&weight, &bias, &product, dim, &mut before);
                        kernels.relu(&before, &mut after);
                        kernels.linear(&projection, &last, &after, width, expected_pairs.next().unwrap());
                    }
                }
                for (found, expected) in found.as_flattened().iter().zip(expected.as_flattened()) {
                    let nan = found.is_nan() && expected.is_nan();
                    assert!(nan || found.to_bits() == expected.to_bits(), "{fields} fields on {path}");
                }
            }
        }
    }

    #[test]
    fn nothing_beyond_the_limit_is_within_it_and_nan_is_not() {
        for &path in Path::available() {
            let kernels = Kernels::on(path).unwrap();
            for (value, expected) in
                [(2.0, true), (-2.0, true), (2.1, false), (-1e9, false), (f32::NAN, false)]
            {
                for place in 0..LANES {
                    let mut lanes = [[0.5; LANES]; 3];
                    lanes[1][place] = value;
                    let mut all = true;
                    kernels.within(&lanes, 2.0, &mut all);
                    assert_eq!(all, expected, "{value} on {path}");
                    let mut none = true;
                    kernels.within(&lanes, f32::NAN, &mut none);
                    assert!(!none);
                }
            }
        }
    }
}
