//! What sums to one value are held against where they are checked, and which data rows that clears.
//!
//! Where a sum through cross layers is checked, it is held on the way against clean weights S. After m cross layers with factors s a value is
//! x = c · x0 + B + d, where c = 1 + Σ s, B is the sum of the numbers that they add, and d comes of roundings. So x · S is
//! worked out without the layer's own weights and without x: piece by piece of the inputs, e' = Σ (c · (x0 · S) + B · S), with the sum
//! of the pieces' magnitudes beside it, which is no more than M = |x| · |S|, but for roundings.
//!
//! A data row is cleared only where its check passes. With u = 2^-24, L inputs a piece, g = 1 + Σ |s|, P = Σ |b| · |S| over all
//! numbers b that cross layers add, and X = |x0| · |S|:
//!
//! - a cross layer rounds twice, so |d| · |S| ≤ u (m + 1) (g X + P);
//! - a piece's chain is off by L u of its part of X, c by m u g, a rounded B · S by u of itself and of P, so that the sum of the pieces
//!   is off from x · S by at most u ((L |c| + 3 m g) X + (m + 2) P), and by u of each piece; and by u of all pieces for each of them
//!   that is added in f32;
//! - |c| X ≤ M + P, but for roundings, where |c| is not small beside g: then all of this is at most u (a (M + P) + (m + 2) P) with
//!   a = L + 3 m g / |c|;
//! - the check allows for r u M, of which (r − a) M is left where M may be replaced by the smaller sum of magnitudes.
//!
//! Terms of second order and the roundings of f64 are below 2^-8 of what is left, and what subnormal numbers lose is counted apart.

use crate::column::open;
use crate::lanes::{LANES, Lane};
use crate::linear::{push, root};
use crate::through::Crosses;
use crate::words::{Checks, Wide as _};

/// What a sum through cross layers is held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held<'a> {
    /// The clean weights `[K]`.
    pub weights: &'a [f32],
    /// What the numbers that cross layers add come to in each piece of the inputs: Σ b · weight.
    pub offsets: &'a [f32],
    /// The same of magnitudes, in all.
    pub offset: f64,
    /// Sum of the weights' magnitudes.
    pub magnitude: f64,
    /// Roundings that the check allows for; at most 1024.
    pub roundings: f64,
}

/// One bit for each row of a lane group that is not cleared, from its result.
#[inline(always)]
pub(crate) fn suspects<L: Checks>(
    held: &Held<'_>,
    (crosses, g): (&Crosses<'_>, usize),
    (piece, added): (usize, usize),
    (expected, magnitude): (L::Wide, L),
    y: L::Wide,
) -> u16 {
    const UNIT: f64 = 1.0 / 16_777_216.0;
    let (mut expecteds, mut results, mut magnitudes) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    expected.store(&mut expecteds);
    y.store(&mut results);
    magnitude.store(&mut magnitudes);
    let (mut scale, mut grown) = ([1.0f64; LANES], [1.0f64; LANES]);
    for (factor, _) in crosses {
        for l in 0..LANES {
            let factor = f64::from(factor[g][l]);
            scale[l] += factor;
            grown[l] += factor.abs();
        }
    }
    let (piece, added, depth) = (piece as f64, added as f64, crosses.len() as f64);
    let (inputs, subnormal) = (held.weights.len() as f64, f64::from(f32::from_bits(1)));
    let mut cleared = [0u64; LANES];
    for l in 0..LANES {
        let scale = scale[l].abs();
        let ratio = grown[l] / scale;
        let lost = piece + 3.0 * depth * ratio;
        let share = (held.roundings - lost) * (1.0 - 1.0 / 256.0) - added - 2.0;
        let room = share * f64::from(magnitudes[l]) - (lost + depth + 4.0) * held.offset;
        let tiny = subnormal * (inputs * (scale + 1.0) + depth * held.magnitude);
        // NaN clears nothing.
        let near = (results[l] - expecteds[l]).abs() + tiny <= UNIT * room;
        let (finite, scaled) = (magnitudes[l] <= f32::MAX, ratio <= 256.0);
        cleared[l] = u64::from(near & finite & scaled);
    }
    open(&cleared)
}

#[inline(always)]
fn some_fields<L: Checks, const GROUPS: usize, const DEPTH: usize, const BESIDE: bool>(
    x: &[Lane],
    (weights, held, fields): (&[f32], &Held<'_>, usize),
    (groups, g): (usize, usize),
    (out, suspected): (&mut [Lane], &mut [u16]),
    (sums, checks): (&[f32], &mut [Lane]),
) {
    let dim = weights.len() / fields;
    let zero = [L::splat(0.0); GROUPS];
    let mut stack = [zero; DEPTH];
    let mut magnitudes = zero;
    // Of the clean weights, and of what is checked beside.
    let mut totals = [[L::Wide::splat(0.0); GROUPS]; 2];
    let mut lane = [0.0; LANES];
    let clean = &held.weights[..weights.len()];
    let beside = if BESIDE { &sums[..weights.len()] } else { weights };
    for field in 0..fields {
        let (mut chain, mut of_clean, mut check) = (zero, zero, zero);
        for k in field * dim..(field + 1) * dim {
            let at = k * groups + g;
            let lanes: &[Lane; GROUPS] = x[at..at + GROUPS].try_into().expect("the slice has this length");
            let (w, clean, sum) = (L::splat(weights[k]), L::splat(clean[k]), L::splat(beside[k]));
            for i in 0..GROUPS {
                let x = L::load(&lanes[i]);
                chain[i] = x.fma(w, chain[i]);
                of_clean[i] = x.fma(clean, of_clean[i]);
                if BESIDE {
                    check[i] = x.fma(sum, check[i]);
                }
            }
        }
        push(&mut stack, field, chain);
        for i in 0..GROUPS {
            magnitudes[i] = magnitudes[i].add(of_clean[i].magnitude());
            of_clean[i].store(&mut lane);
            totals[0][i] = totals[0][i].add(L::Wide::load(&lane));
            if BESIDE {
                check[i].store(&mut lane);
                totals[1][i] = totals[1][i].add(L::Wide::load(&lane));
            }
        }
    }
    let root = root(&stack, fields);
    for i in 0..GROUPS {
        if BESIDE {
            let mut wide = [0.0; LANES];
            totals[1][i].store(&mut wide);
            for l in 0..LANES {
                checks[g + i][l] = wide[l] as f32;
            }
        }
        root[i].store(&mut out[g + i]);
        let of_fields = (totals[0][i], magnitudes[i]);
        suspected[g + i] = suspects::<L>(held, (&[], g + i), (dim, 0), of_fields, L::Wide::load(&out[g + i]));
    }
}

#[inline(always)]
fn all_fields<L: Checks, const DEPTH: usize, const BESIDE: bool>(
    x: &[Lane],
    layer: (&[f32], &Held<'_>, usize),
    (out, suspected): (&mut [Lane], &mut [u16]),
    (sums, checks): (&[f32], &mut [Lane]),
) {
    let groups = out.len();
    let mut g = 0;
    while g + 4 <= groups {
        some_fields::<L, 4, DEPTH, BESIDE>(x, layer, (groups, g), (out, suspected), (sums, checks));
        g += 4;
    }
    for g in g..groups {
        some_fields::<L, 1, DEPTH, BESIDE>(x, layer, (groups, g), (out, suspected), (sums, checks));
    }
}

#[inline(always)]
fn field_sum_held<L: Checks>(
    x: &[Lane],
    (weights, held): (&[f32], &Held<'_>),
    fields: usize,
    to: (&mut [Lane], &mut [u16]),
    beside: (&[f32], &mut [Lane]),
) {
    assert_eq!(x.len(), weights.len() * to.0.len(), "inputs of a linear layer");
    let layer = (weights, held, fields);
    match (fields, beside.0.is_empty()) {
        (0..4, true) => all_fields::<L, 2, false>(x, layer, to, beside),
        (0..4, false) => all_fields::<L, 2, true>(x, layer, to, beside),
        (4..64, true) => all_fields::<L, 6, false>(x, layer, to, beside),
        (4..64, false) => all_fields::<L, 6, true>(x, layer, to, beside),
        (_, true) => all_fields::<L, 32, false>(x, layer, to, beside),
        (_, false) => all_fields::<L, 32, true>(x, layer, to, beside),
    }
}

kernels! {
    /// A field layer to one value, without bias: the bits of [`Kernels::field_layer`](crate::Kernels::field_layer), with one bit for
    /// each data row that is not cleared;
    /// beside it what [`Kernels::block_checks`](crate::Kernels::block_checks) gives for another layer on the same rows, if
    /// there is one.
    ///
    /// # Shapes
    /// `x` `[F · D, R]`, `layer` = (`[F · D]`, what it is held against), `to` = (`[1, R]`, bits `[G]`), `beside` = (sums
    /// `[F · D]` or none, `[1, R]`).
    pub fn field_sum_held(
        x: &[Lane], layer: (&[f32], &Held<'_>), fields: usize, to: (&mut [Lane], &mut [u16]), beside: (&[f32], &mut [Lane]),
    ) = field_sum_held;
}
