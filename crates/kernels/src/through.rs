//! Sums over what cross layers give, without writing it down: each value is worked out from the first one as it is needed.

use crate::lanes::{Lane, Lanes};
use crate::plain::CHAIN;

/// Cross layers that can be read through: for each the factor of each row, and the number added to each value.
pub type Crosses<'a> = [(&'a [Lane], &'a [f32])];

/// Most cross layers that are read through.
pub const CROSSES: usize = 4;

/// The chain over `weights`: what its finished blocks add up to, and the unfinished block.
#[inline(always)]
fn chain<L: Lanes, const M: usize, const GROUPS: usize>(
    x0: &[Lane],
    crosses: &Crosses<'_>,
    weights: &[f32],
    (groups, g): (usize, usize),
) -> (Option<[L; GROUPS]>, [L; GROUPS]) {
    let zero = [L::splat(0.0); GROUPS];
    let mut factors = [zero; M];
    let mut numbers: [&[f32]; M] = [&[]; M];
    for m in 0..M {
        let (factor, number) = crosses[m];
        factors[m] = std::array::from_fn(|i| L::load(&factor[g + i]));
        numbers[m] = &number[..weights.len()];
    }
    let (mut finished, mut sums) = (None, zero);
    for (k, &w) in weights.iter().enumerate() {
        if k > 0 && k % CHAIN == 0 {
            finished = Some(added(finished, sums));
            sums = zero;
        }
        let at = k * groups + g;
        let lanes: &[Lane; GROUPS] = x0[at..at + GROUPS].try_into().expect("the slice has this length");
        let first: [L; GROUPS] = std::array::from_fn(|i| L::load(&lanes[i]));
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
    }
    if !weights.is_empty() && weights.len().is_multiple_of(CHAIN) {
        (Some(added(finished, sums)), zero)
    } else {
        (finished, sums)
    }
}

#[inline(always)]
fn added<L: Lanes, const GROUPS: usize>(before: Option<[L; GROUPS]>, sums: [L; GROUPS]) -> [L; GROUPS] {
    match before {
        Some(before) => std::array::from_fn(|i| before[i].add(sums[i])),
        None => sums,
    }
}

#[inline(always)]
fn some<L: Lanes, const M: usize, const GROUPS: usize>(
    (x0, crosses, weights): (&[Lane], &Crosses<'_>, &[f32]),
    (groups, g): (usize, usize),
    whole: bool,
    out: &mut [Lane],
) {
    let (finished, sums) = chain::<L, M, GROUPS>(x0, crosses, weights, (groups, g));
    for i in 0..GROUPS {
        if whole {
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
    }
}

#[inline(always)]
fn all<L: Lanes, const M: usize>(
    parts: (&[Lane], &Crosses<'_>, &[f32]),
    groups: usize,
    whole: bool,
    out: &mut [Lane],
) {
    let mut g = 0;
    while g + 4 <= groups {
        some::<L, M, 4>(parts, (groups, g), whole, out);
        g += 4;
    }
    for g in g..groups {
        some::<L, M, 1>(parts, (groups, g), whole, out);
    }
}

#[inline(always)]
fn through<L: Lanes>(x0: &[Lane], crosses: &Crosses<'_>, weights: &[f32], whole: bool, out: &mut [Lane]) {
    let groups = x0.len() / weights.len();
    let parts = (x0, crosses, weights);
    match crosses.len() {
        0 => all::<L, 0>(parts, groups, whole, out),
        1 => all::<L, 1>(parts, groups, whole, out),
        2 => all::<L, 2>(parts, groups, whole, out),
        3 => all::<L, 3>(parts, groups, whole, out),
        CROSSES => all::<L, CROSSES>(parts, groups, whole, out),
        more => panic!("{more} cross layers are read through, at most {CROSSES} can be"),
    }
}

#[inline(always)]
fn linear_through<L: Lanes>(x0: &[Lane], crosses: &Crosses<'_>, weights: &[f32], out: &mut [Lane]) {
    through::<L>(x0, crosses, weights, true, out);
}

#[inline(always)]
fn linear_head_through<L: Lanes>(x0: &[Lane], crosses: &Crosses<'_>, weights: &[f32], out: &mut [Lane]) {
    through::<L>(x0, crosses, weights, false, out);
}

kernels! {
    /// A linear layer to one value, without bias, on what cross layers make of `x0`.
    ///
    /// # Shapes
    /// `x0` `[K, R]`, each of `crosses` = (`[1, R]`, `[K]`) in order, at most [`CROSSES`] of them, `weights` `[K]`, `out` `[1, R]`.
    ///
    /// # Numerics
    /// As [`Kernels::linear`](crate::Kernels::linear) of [`Kernels::cross`](crate::Kernels::cross).
    pub fn linear_through(x0: &[Lane], crosses: &Crosses<'_>, weights: &[f32], out: &mut [Lane]) = linear_through;

    /// [`Kernels::linear_head`](crate::Kernels::linear_head) on what cross layers make of `x0`.
    ///
    /// # Shapes
    /// As [`Kernels::linear_through`](crate::Kernels::linear_through), but `out` `[2, R]`.
    pub fn linear_head_through(x0: &[Lane], crosses: &Crosses<'_>, weights: &[f32], out: &mut [Lane])
        = linear_head_through;
}

#[cfg(test)]
mod tests {
    use crate::{Kernels, LANES, Lane, Path};

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
                    kernels.linear_through(&x0, &crosses, &weights, &mut found);
                    let bits = |lanes: &[Lane]| -> Vec<u32> {
                        let canonical = |x: &f32| if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() };
                        lanes.as_flattened().iter().map(canonical).collect()
                    };
                    assert_eq!(bits(&found), bits(&expected), "{inputs} inputs, {depth} crosses on {path}");
                    let (mut expected, mut found) =
                        (vec![[0.0; LANES]; 2 * groups], vec![[9.0; LANES]; 2 * groups]);
                    kernels.linear_head(&weights, &x, &mut expected);
                    kernels.linear_head_through(&x0, &crosses, &weights, &mut found);
                    assert_eq!(bits(&found), bits(&expected), "{inputs} inputs, {depth} crosses on {path}");
                }
            }
        }
    }
}
