//! Sums over what cross layers give, without writing it down: each value is worked out from the first one as it is needed.

use crate::held::{Held, suspects};
use crate::lanes::{LANES, Lane};
use crate::linear::added;
use crate::plain::CHAIN;
use crate::words::{Checks, Wide as _};

/// Cross layers that can be read through: for each the factor of each row, and the number added to each value.
pub type Crosses<'a> = [(&'a [Lane], &'a [f32])];

/// Most cross layers that are read through.
pub const CROSSES: usize = 4;

/// Inputs of a piece of a chain.
pub const PIECE: usize = 32;

/// How a sum's terms are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As [`Kernels::linear`](crate::Kernels::linear) does.
    Whole,
    /// As [`Kernels::linear_head`](crate::Kernels::linear_head) does.
    Head,
}

/// A chain, and what it is held against.
struct Chained<L: Checks, const GROUPS: usize> {
    /// What the finished blocks add up to.
    finished: Option<[L; GROUPS]>,
    /// The unfinished block.
    sums: [L; GROUPS],
    pieces: Pieces<L, GROUPS>,
}

/// What pieces of the inputs come to with clean weights.
#[derive(Clone, Copy)]
struct Pieces<L: Checks, const GROUPS: usize> {
    expected: [L; GROUPS],
    magnitudes: [L; GROUPS],
}

impl<L: Checks, const GROUPS: usize> Pieces<L, GROUPS> {
    #[inline(always)]
    fn add(&mut self, piece: [L; GROUPS]) {
        for i in 0..GROUPS {
            self.expected[i] = self.expected[i].add(piece[i]);
            self.magnitudes[i] = self.magnitudes[i].add(piece[i].magnitude());
        }
    }
}

/// The chain over `weights`.
#[inline(always)]
fn chain<L: Checks, const M: usize, const GROUPS: usize, const HELD: bool>(
    x0: &[Lane],
    crosses: &Crosses<'_>,
    (weights, held): (&[f32], &Held<'_>),
    (groups, g): (usize, usize),
) -> Chained<L, GROUPS> {
    let zero = [L::splat(0.0); GROUPS];
    let mut factors = [zero; M];
    let mut numbers: [&[f32]; M] = [&[]; M];
    let mut scale = [L::splat(1.0); GROUPS];
    for m in 0..M {
        let (factor, number) = crosses[m];
        numbers[m] = &number[..weights.len()];
        for i in 0..GROUPS {
            factors[m][i] = L::load(&factor[g + i]);
            scale[i] = scale[i].add(factors[m][i]);
        }
    }
    let clean = if HELD { &held.weights[..weights.len()] } else { weights };
    let (mut finished, mut sums, mut pieces) = (None, zero, Pieces { expected: zero, magnitudes: zero });
    for (piece, some) in weights.chunks(PIECE).enumerate() {
        if piece > 0 && piece % (CHAIN / PIECE) == 0 {
            finished = Some(added(finished, sums));
            sums = zero;
        }
        let mut of_clean = zero;
        for (k, &w) in (piece * PIECE..).zip(some) {
            let at = k * groups + g;
            let lanes: &[Lane; GROUPS] = x0[at..at + GROUPS].try_into().expect("the slice has this length");
            let mut first = zero;
            for i in 0..GROUPS {
                first[i] = L::load(&lanes[i]);
            }
            let mut x = first;
            for m in 0..M {
                let b = L::splat(numbers[m][k]);
                for i in 0..GROUPS {
                    x[i] = first[i].fma(factors[m][i], b).add(x[i]);
                }
            }
            let w = L::splat(w);
            for i in 0..GROUPS {
                sums[i] = x[i].fma(w, sums[i]);
            }
            if HELD {
                let w = L::splat(clean[k]);
                for i in 0..GROUPS {
                    of_clean[i] = first[i].fma(w, of_clean[i]);
                }
            }
        }
        if HELD {
            if M > 0 {
                let offset = L::splat(held.offsets[piece]);
                for i in 0..GROUPS {
                    of_clean[i] = scale[i].fma(of_clean[i], offset);
                }
            }
            pieces.add(of_clean);
        }
    }
    if !weights.is_empty() && weights.len().is_multiple_of(CHAIN) {
        (finished, sums) = (Some(added(finished, sums)), zero);
    }
    Chained { finished, sums, pieces }
}

#[inline(always)]
fn some<L: Checks, const M: usize, const GROUPS: usize, const HELD: bool>(
    (x0, crosses, weights): (&[Lane], &Crosses<'_>, &[f32]),
    (groups, g): (usize, usize),
    order: Order,
    out: &mut [Lane],
    (held, suspected): (&Held<'_>, &mut [u16]),
) {
    let Chained { finished, sums, pieces } =
        chain::<L, M, GROUPS, HELD>(x0, crosses, (weights, held), (groups, g));
    for i in 0..GROUPS {
        if order == Order::Whole {
            let ended = weights.len().is_multiple_of(CHAIN);
            let total = match finished {
                Some(finished) if ended => finished[i],
                Some(finished) => finished[i].add(sums[i]),
                None => sums[i],
            };
            total.store(&mut out[g + i]);
        } else {
            finished.map_or(L::splat(0.0), |finished| finished[i]).store(&mut out[g + i]);
            sums[i].store(&mut out[groups + g + i]);
        }
        if HELD {
            let mut y = L::Wide::load(&out[g + i]);
            if order == Order::Head {
                y = y.add(L::Wide::load(&out[groups + g + i]));
            }
            let mut lane = [0.0; LANES];
            pieces.expected[i].store(&mut lane);
            let (added, expected) = (weights.len().div_ceil(PIECE), L::Wide::load(&lane));
            let of_pieces = (expected, pieces.magnitudes[i]);
            suspected[g + i] = suspects::<L>(held, (crosses, g + i), (PIECE, added), of_pieces, y);
        }
    }
}

#[inline(always)]
fn all<L: Checks, const M: usize, const HELD: bool>(
    parts: (&[Lane], &Crosses<'_>, &[f32]),
    groups: usize,
    order: Order,
    out: &mut [Lane],
    (held, suspected): (&Held<'_>, &mut [u16]),
) {
    let mut g = 0;
    while g + 4 <= groups {
        some::<L, M, 4, HELD>(parts, (groups, g), order, out, (held, suspected));
        g += 4;
    }
    for g in g..groups {
        some::<L, M, 1, HELD>(parts, (groups, g), order, out, (held, suspected));
    }
}

#[inline(always)]
fn through<L: Checks, const HELD: bool>(
    parts: (&[Lane], &Crosses<'_>, &[f32]),
    order: Order,
    out: &mut [Lane],
    held: (&Held<'_>, &mut [u16]),
) {
    let (x0, crosses, weights) = parts;
    let groups = x0.len() / weights.len();
    match crosses.len() {
        0 => all::<L, 0, HELD>(parts, groups, order, out, held),
        1 => all::<L, 1, HELD>(parts, groups, order, out, held),
        2 => all::<L, 2, HELD>(parts, groups, order, out, held),
        3 => all::<L, 3, HELD>(parts, groups, order, out, held),
        CROSSES => all::<L, CROSSES, HELD>(parts, groups, order, out, held),
        more => panic!("{more} cross layers are read through, at most {CROSSES} can be"),
    }
}

#[inline(always)]
fn linear_through<L: Checks>(
    x0: &[Lane],
    crosses: &Crosses<'_>,
    weights: &[f32],
    order: Order,
    out: &mut [Lane],
) {
    through::<L, false>((x0, crosses, weights), order, out, (&Held::default(), &mut []));
}

#[inline(always)]
fn linear_through_held<L: Checks>(
    x0: &[Lane],
    crosses: &Crosses<'_>,
    (weights, held): (&[f32], &Held<'_>),
    order: Order,
    out: &mut [Lane],
    suspected: &mut [u16],
) {
    through::<L, true>((x0, crosses, weights), order, out, (held, suspected));
}

kernels! {
    /// A linear layer to one value, without bias, or the head of one, on what cross layers make of `x0`.
    ///
    /// # Shapes
    /// `x0` `[K, R]`, each of `crosses` = (`[1, R]`, `[K]`) in order, at most [`CROSSES`] of them, `weights` `[K]`, `out` `[1, R]`, of
    /// a head `[2, R]`.
    ///
    /// # Numerics
    /// As [`Kernels::linear`](crate::Kernels::linear), or [`Kernels::linear_head`](crate::Kernels::linear_head), of
    /// [`Kernels::cross`](crate::Kernels::cross).
    pub fn linear_through(x0: &[Lane], crosses: &Crosses<'_>, weights: &[f32], order: Order, out: &mut [Lane])
        = linear_through;

    /// The same, with one bit for each data row whose result is not cleared: of all others a check against the clean weights
    /// finds that |Σ y − x · S| ≤ roundings · 2^-24 · |x| · |S|.
    ///
    /// # Shapes
    /// As above; `layer` = (weights, what they are held against) with an offset for each [`PIECE`] of the inputs, `suspected` `[G]`.
    pub fn linear_through_held(
        x0: &[Lane], crosses: &Crosses<'_>, layer: (&[f32], &Held<'_>), order: Order, out: &mut [Lane], suspected: &mut [u16],
    ) = linear_through_held;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    #[test]
    fn sums_through_cross_layers_are_those_of_what_they_give() {
        for inputs in [1, 16, 255, 256, 257, 300, 512, 624] {
            for (groups, depth) in [(1, 0), (4, 1), (5, 2), (3, 3), (8, 4)] {
                let number = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 97.0;
                let special = |i: usize| match i % 1999 {
                    7 => f32::NAN,
                    11 => f32::INFINITY,
                    13 => 1e-41,
                    17 => 3e38,
                    _ => number(i),
                };
                let x0: Vec<Lane> =
                    (0..inputs * groups).map(|i| std::array::from_fn(|l| special(i * 16 + l))).collect();
                let weights: Vec<f32> = (0..inputs).map(|i| number(i * 3 + 1)).collect();
                let factors: Vec<Vec<Lane>> = (0..depth)
                    .map(|m| {
                        (0..groups).map(|g| std::array::from_fn(|l| number(m * 7 + g * 16 + l))).collect()
                    })
                    .collect();
                let biases: Vec<Vec<f32>> =
                    (0..depth).map(|m| (0..inputs).map(|k| number(k * 5 + m)).collect()).collect();
                let crosses: Vec<_> = factors.iter().zip(&biases).map(|(f, b)| (&f[..], &b[..])).collect();
                for &path in Path::available() {
                    let kernels = Kernels::on(path).unwrap();
                    let mut x = x0.clone();
                    for (factor, bias) in &crosses {
                        let mut y = x.clone();
                        kernels.cross(&x0, factor, bias, &x, &mut y);
                        x = y;
                    }
                    let (mut expected, mut found) = (vec![[0.0; LANES]; groups], vec![[9.0; LANES]; groups]);
                    kernels.linear(&weights, &[], &x, inputs, &mut expected);
                    kernels.linear_through(&x0, &crosses, &weights, Order::Whole, &mut found);
                    let bits = |lanes: &[Lane]| -> Vec<u32> {
                        let canonical = |x: &f32| if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() };
                        lanes.as_flattened().iter().map(canonical).collect()
                    };
                    assert_eq!(bits(&found), bits(&expected), "{inputs} inputs, {depth} crosses on {path}");
                    let (mut expected, mut found) =
                        (vec![[0.0; LANES]; 2 * groups], vec![[9.0; LANES]; 2 * groups]);
                    kernels.linear_head(&weights, &x, &mut expected);
                    kernels.linear_through(&x0, &crosses, &weights, Order::Head, &mut found);
                    assert_eq!(bits(&found), bits(&expected), "{inputs} inputs, {depth} crosses on {path}");
                }
            }
        }
    }

    /// Numbers of a row's layer: x0, weights as they are and clean ones, factors, and numbers that cross layers add.
    struct Case {
        x0: Vec<Lane>,
        weights: Vec<f32>,
        clean: Vec<f32>,
        factors: Vec<Vec<Lane>>,
        numbers: Vec<Vec<f32>>,
    }

    fn draw(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / 8_388_608.0 - 1.0
    }

    fn case(inputs: usize, groups: usize, depth: usize, hit: usize, state: &mut u64) -> Case {
        let mut lanes = |count: usize, by: f32, special: bool| -> Vec<Lane> {
            let mut number = || match (draw(state) * 8_388_608.0) as i32 % 4001 {
                1 if special => f32::NAN,
                2 if special => f32::INFINITY,
                3 if special => 1e-42,
                4 if special => 3e38,
                5 if special => -1e30,
                _ => draw(state) * by,
            };
            (0..count).map(|_| std::array::from_fn(|_| number())).collect()
        };
        let x0 = lanes(inputs * groups, 0.1, hit % 5 == 4);
        // Factors that take the scale to about zero, and that let it grow.
        let factors = (0..depth).map(|m| lanes(groups, [0.1, 2.0, 30.0][(hit + m) % 3], false)).collect();
        let by = [0.0, 0.01, 1.0][hit % 3];
        let numbers = (0..depth).map(|_| (0..inputs).map(|_| draw(state) * by).collect()).collect();
        let clean: Vec<f32> = (0..inputs).map(|_| draw(state)).collect();
        let mut weights = clean.clone();
        if hit % 2 == 1 {
            let k = hit * 7 % inputs;
            weights[k] = f32::from_bits(weights[k].to_bits() ^ 1 << (hit / 2 % 32));
        }
        Case { x0, weights, clean, factors, numbers }
    }

    /// What the check of a row finds: whether it passes, in f64, with no rounding allowed for but those of f32.
    fn passes(clean: &[f32], x: &[Lane], (groups, row): (usize, usize), y: f64, roundings: f64) -> bool {
        let (mut expected, mut magnitude) = (0.0f64, 0.0f64);
        for (x, &w) in x[row / LANES..].iter().step_by(groups).zip(clean) {
            expected = f64::from(x[row % LANES]).mul_add(f64::from(w), expected);
            magnitude += (f64::from(x[row % LANES]) * f64::from(w)).abs();
        }
        (y - expected).abs() <= roundings / 16_777_216.0 * magnitude
    }

    #[test]
    fn rows_that_are_cleared_pass_their_check_and_results_are_the_same() {
        let (mut cleared, mut failed, mut clean_rows, mut state) = (0, 0, 0, 1);
        for hit in 0..192 {
            for (inputs, groups, depth) in [(16, 1, 0), (48, 4, 1), (300, 5, 3), (624, 4, 2), (512, 1, 4)] {
                let case = case(inputs, groups, depth, hit, &mut state);
                let Case { x0, weights, clean, factors, numbers } = &case;
                let crosses: Vec<_> = factors.iter().zip(numbers).map(|(f, b)| (&f[..], &b[..])).collect();
                let (mut sums, mut offset) = (vec![0.0; inputs.div_ceil(PIECE)], 0.0);
                for (_, numbers) in &crosses {
                    for (k, (b, w)) in numbers.iter().zip(clean).enumerate() {
                        sums[k / PIECE] += f64::from(*b) * f64::from(*w);
                        offset += (f64::from(*b) * f64::from(*w)).abs();
                    }
                }
                let offsets: Vec<f32> = sums.iter().map(|&sum| sum as f32).collect();
                let magnitude = clean.iter().map(|w| f64::from(w.abs())).sum();
                let roundings = (inputs.min(CHAIN) + inputs.div_ceil(CHAIN) + 2) as f64;
                let held = Held { weights: clean, offsets: &offsets, offset, magnitude, roundings };
                for &path in Path::available() {
                    let kernels = Kernels::on(path).unwrap();
                    let mut x = x0.clone();
                    for (factor, bias) in &crosses {
                        let mut y = x.clone();
                        kernels.cross(x0, factor, bias, &x, &mut y);
                        x = y;
                    }
                    let same = |a: &[Lane], b: &[Lane]| {
                        let mut both = a.as_flattened().iter().zip(b.as_flattened());
                        both.all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
                    };
                    for (order, results) in [(Order::Whole, 1), (Order::Head, 2)] {
                        let mut wanted = vec![[0.0; LANES]; results * groups];
                        let (mut found, mut open) =
                            (vec![[9.0; LANES]; results * groups], vec![0xaaaa; groups]);
                        kernels.linear_through(x0, &crosses, weights, order, &mut wanted);
                        let layer = (&weights[..], &held);
                        kernels.linear_through_held(x0, &crosses, layer, order, &mut found, &mut open);
                        assert!(same(&found, &wanted), "{inputs} inputs, {depth} crosses on {path}");
                        for row in 0..groups * LANES {
                            let y = |at: usize| f64::from(wanted[at * groups + row / LANES][row % LANES]);
                            let y = (0..results).map(y).sum();
                            let pass = passes(clean, &x, (groups, row), y, roundings);
                            let open = open[row / LANES] >> (row % LANES) & 1 == 1;
                            assert!(
                                pass || open,
                                "{inputs} inputs, {depth} crosses, hit {hit}, row {row} on {path}"
                            );
                            failed += usize::from(!pass);
                            // Factors and numbers of a size as in a model.
                            let mild = hit % 6 == 0 && depth == 1;
                            clean_rows += usize::from(mild);
                            cleared += usize::from(mild && !open);
                        }
                    }
                    let fields = inputs / 4;
                    let held = Held { roundings: 7.0 + f64::from(fields.ilog2()), ..held };
                    let (mut wanted, mut found) = (vec![[0.0; LANES]; groups], vec![[9.0; LANES]; groups]);
                    let mut open = vec![0xaaaa; groups];
                    kernels.field_layer(weights, &[], x0, inputs, fields, &mut wanted);
                    let (mut checks, mut beside) = (wanted.clone(), wanted.clone());
                    let sums: &[f32] = if hit % 4 == 0 { &[] } else { weights };
                    let to = (&mut found[..], &mut open[..]);
                    kernels.field_sum_held(x0, (weights, &held), fields, to, (sums, &mut beside));
                    assert!(same(&found, &wanted), "{fields} fields on {path}");
                    if !sums.is_empty() {
                        kernels.block_checks(sums, inputs / fields, x0, &mut checks);
                    }
                    assert!(same(&beside, &checks), "{fields} fields on {path}");
                    for row in 0..groups * LANES {
                        let y = f64::from(wanted[row / LANES][row % LANES]);
                        let pass = passes(clean, x0, (groups, row), y, held.roundings);
                        let open = open[row / LANES] >> (row % LANES) & 1 == 1;
                        assert!(pass || open, "{fields} fields, hit {hit}, row {row} on {path}");
                    }
                }
            }
        }
        assert!(failed > 10_000, "{failed}");
        assert!(cleared * 10 > clean_rows * 9, "{cleared} of {clean_rows}");
    }
}
