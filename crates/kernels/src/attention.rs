//! Softmax and weighted sums over the pairs of fields.

use crate::id::GlobalId;
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

/// Where the scores of two fields stand that were worked out for all their indices: those of the table rows a and b at
/// `start` + a · `steps[0]` + b · `steps[1]`, modulo 2³².
#[derive(Debug, Clone, Copy)]
pub struct ScorePlaces {
    /// The two fields.
    pub fields: [u32; 2],
    /// May lie before the scores.
    pub start: u32,
    /// Of the first field, and of the second one.
    pub steps: [u32; 2],
}

/// Scores of some pairs of fields, for rows among which those of a block are.
#[derive(Debug, Clone, Copy)]
pub struct KnownScores<'a> {
    /// `[K, W]`.
    pub scores: &'a [Lane],
    /// Lane groups of W, and where the block's are among them.
    pub groups: (usize, usize),
    /// For each pair i < j of fields in row order, which of the K it is.
    pub pairs: &'a [Option<u32>],
}

impl<'a> KnownScores<'a> {
    /// The scores of a pair, of so many lane groups.
    #[inline(always)]
    fn of(&self, pair: usize, groups: usize) -> Option<&'a [Lane]> {
        let start = self.pairs[pair]? as usize * self.groups.0 + self.groups.1;
        Some(&self.scores[start..start + groups])
    }
}

#[inline(always)]
fn known_scores<L: Lanes>(all: &[f32], pairs: &[ScorePlaces], ids: &[GlobalId], out: &mut [Lane]) {
    let last = u32::try_from(all.len() - 1).expect("scores whose places are u32");
    let groups = out.len() / pairs.len();
    let (ids, _) = GlobalId::numbers(ids).as_chunks::<LANES>();
    for (pair, out) in pairs.iter().zip(out.chunks_exact_mut(groups)) {
        let [first, second] =
            pair.fields.map(|field| &ids[field as usize * groups..(field as usize + 1) * groups]);
        for g in 0..groups {
            let mut places = [pair.start; LANES];
            for r in 0..LANES {
                let first = first[g][r].wrapping_mul(pair.steps[0]);
                let second = second[g][r].wrapping_mul(pair.steps[1]);
                places[r] = places[r].wrapping_add(first).wrapping_add(second);
            }
            for r in 0..LANES {
                places[r] = places[r].min(last);
            }
            for r in 0..LANES {
                // Sixteen loads are quicker than the gather that a compiler makes of them.
                // SAFETY: no place is beyond the last.
                out[g][r] = unsafe { all.as_ptr().add(places[r] as usize).read_volatile() };
            }
        }
    }
}

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
    (attention, projection): (Affine<'_>, Affine<'_>),
    known: Option<KnownScores<'_>>,
    (product, scores): (&mut [Lane], &mut [Lane]),
) {
    let stride = product.len();
    let groups = product.len() * projection.0.len() / attention.0.len();
    let last = L::splat(projection.1[0]);
    let mut scores = scores.chunks_exact_mut(groups).enumerate();
    for i in 0..fields {
        for j in i + 1..fields {
            let (at, scores) = scores.next().expect("a score for each pair");
            if let Some(known) = known.and_then(|known| known.of(at, groups)) {
                for (to, from) in scores.iter_mut().zip(known) {
                    L::load(from).store(to);
                }
                continue;
            }
            let pair = v[i * stride..(i + 1) * stride].iter().zip(&v[j * stride..(j + 1) * stride]);
            for (product, (a, b)) in product.iter_mut().zip(pair) {
                L::load(a).mul(L::load(b)).store(product);
            }
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
    known: Option<KnownScores<'_>>,
    product: &mut [Lane],
    scores: &mut [Lane],
) {
    let width = attention.1.len();
    let dim = attention.0.len() / width;
    assert!(width <= CHAIN && dim <= CHAIN, "chains of one block");
    assert_eq!(v.len(), fields * product.len(), "rows of the fields");
    assert_eq!(scores.len() * dim * 2, product.len() * fields * (fields - 1), "scores of the pairs");
    let layers = (attention, projection);
    if L::WIDE {
        scores_of_pairs::<L, 4, 4>(v, fields, layers, known, (product, scores));
    } else {
        scores_of_pairs::<L, 2, 2>(v, fields, layers, known, (product, scores));
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

/// The sums of a lane group's `D` dimensions from one on, by chains; `rows` is room for them `[F, D]`.
#[inline(always)]
fn sweep<L: Lanes, const D: usize>(
    (v, stride, fields): (&[Lane], usize, usize),
    shares: &[Lane],
    (groups, g, from): (usize, usize, usize),
    rows: &mut [[Lane; D]],
) -> [[L; LANES]; D] {
    // One dimension's rows lie so far apart that they would drive each other out of the first cache.
    for (i, row) in rows.iter_mut().enumerate() {
        for (d, lane) in row.iter_mut().enumerate() {
            *lane = v[i * stride + (from + d) * groups + g];
        }
    }
    // What is added to -0 keeps its bits.
    let mut sums = [[[-0.0; LANES]; D]; LANES];
    let mut shares = shares[g..].iter().step_by(groups);
    let mut chain = 0;
    for i in 0..fields {
        let mut row = [L::splat(0.0); D];
        for d in 0..D {
            row[d] = L::load(&rows[i][d]);
        }
        for (other, share) in rows[i + 1..fields].iter().zip(&mut shares) {
            let share = L::load(share);
            let sums = &mut sums[chain % LANES];
            for d in 0..D {
                let term = share.mul(row[d].mul(L::load(&other[d])));
                L::load(&sums[d]).add(term).store(&mut sums[d]);
            }
            chain += 1;
        }
    }
    let mut chains = [[L::splat(0.0); LANES]; D];
    for d in 0..D {
        for c in 0..LANES {
            chains[d][c] = L::load(&sums[c][d]);
        }
    }
    chains
}

/// The sum of the chains that are used.
#[inline(always)]
fn total<L: Lanes>(chains: &[L]) -> L {
    let mut nodes = [[L::splat(0.0)]; 6];
    for (i, sum) in chains.iter().enumerate() {
        push(&mut nodes, i, [*sum]);
    }
    let [total] = root(&nodes, chains.len());
    total
}

#[inline(always)]
fn pair_sum<L: Lanes>(v: &[Lane], shares: &[Lane], fields: usize, out: &mut [Lane]) {
    let pairs = fields * (fields - 1) / 2;
    if pairs == 0 {
        out.fill([0.0; LANES]);
        return;
    }
    let groups = shares.len() / pairs;
    let dim = out.len() / groups;
    assert!(
        v.len() == fields * out.len() && shares.len() == pairs * groups,
        "rows and shares of {fields} fields"
    );
    let v = (v, out.len(), fields);
    let used = pairs.min(LANES);
    let (mut wide, mut narrow) = (vec![[[0.0; LANES]; SWEEP]; fields], vec![[[0.0; LANES]; 1]; fields]);
    for g in 0..groups {
        let whole = dim / SWEEP * SWEEP;
        for from in (0..whole).step_by(SWEEP) {
            let sums = sweep::<L, SWEEP>(v, shares, (groups, g, from), &mut wide);
            for (d, chains) in sums.iter().enumerate() {
                total(&chains[..used]).store(&mut out[(from + d) * groups + g]);
            }
        }
        for d in whole..dim {
            let [chains] = sweep::<L, 1>(v, shares, (groups, g, d), &mut narrow);
            total(&chains[..used]).store(&mut out[d * groups + g]);
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
    /// [`CHAIN`](crate::plain::CHAIN); `known` those scores that need not be computed; `product` [D, R] is room for one pair;
    /// `scores` [F(F − 1)/2, R].
    ///
    /// # Numerics
    /// As [`Kernels::multiply`](crate::Kernels::multiply), [`Kernels::linear`](crate::Kernels::linear) and
    /// [`Kernels::relu`](crate::Kernels::relu) one after the other.
    pub fn pair_scores(
        v: &[Lane], fields: usize, layers: (Affine<'_>, Affine<'_>), known: Option<KnownScores<'_>>,
        product: &mut [Lane], scores: &mut [Lane],
    ) = pair_scores;

    /// Looks up the scores of pairs of fields that were worked out for all their indices.
    ///
    /// # Shapes
    /// `ids` table rows [F, W]; `out` [K, W], K pairs. A place beyond the scores is that of the last one.
    pub fn known_scores(all: &[f32], pairs: &[ScorePlaces], ids: &[GlobalId], out: &mut [Lane]) = known_scores;

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
    use super::ScorePlaces;
    use crate::{GlobalId, Kernels, LANES, Lane, Path};

    #[test]
    fn known_scores_are_looked_up_and_those_beyond_are_the_last() {
        let all: Vec<f32> = (0..60).map(|i| i as f32).collect();
        let ids: Vec<u32> = (0..3 * 32).map(|at| 1000 * (at / 32) + at * 7 % 5).collect();
        let pairs = [
            ScorePlaces { fields: [0, 2], start: 0u32.wrapping_sub(2000), steps: [5, 1] },
            ScorePlaces { fields: [2, 1], start: 30u32.wrapping_sub(2000 + 1000 * 5), steps: [1, 5] },
            ScorePlaces { fields: [0, 1], start: 3_000_000_000, steps: [1, 1] },
        ];
        for &path in Path::available() {
            let mut found = [[9.0; LANES]; 6];
            Kernels::on(path).unwrap().known_scores(&all, &pairs, GlobalId::all(&ids), &mut found);
            for (i, score) in found.as_flattened().iter().enumerate() {
                let (row, of) = (i % 32, |field: usize| (ids[field * 32 + i % 32] % 1000) as f32);
                let expected = [5.0 * of(0) + of(2), 30.0 + of(2) + 5.0 * of(1), 59.0][i / 32];
                assert_eq!(score.to_bits(), expected.to_bits(), "row {row} on {path}");
            }
        }
    }

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
                kernels.pair_scores(&v, fields, layers, None, &mut product, &mut found);
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
