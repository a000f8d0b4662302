//! Linear layers whose chains go on from where they were left.

use std::ops::Range;

use crate::lanes::{Lane, Lanes};
use crate::linear::{Ending, chains_from, end};
use crate::plain::CHAIN;

/// A layer's inputs, of which some are taken, and the lane groups of a block.
#[derive(Clone)]
struct Shape {
    inputs: usize,
    range: Range<usize>,
    groups: usize,
}

#[inline(always)]
fn tile<L: Lanes, const OUT: usize, const GROUPS: usize>(
    (weights, ending): (&[f32], Ending<'_>),
    (first, x): (&[Lane], &[Lane]),
    shape: &Shape,
    (j, g): (usize, usize),
    sums: &[Lane],
    out: &mut [Lane],
) {
    let Shape { inputs, ref range, groups } = *shape;
    let rows: [&[f32]; OUT] = std::array::from_fn(|o| &weights[(j + o) * inputs..(j + o + 1) * inputs]);
    let mut chained = [[L::splat(0.0); GROUPS]; OUT];
    for (o, chained) in chained.iter_mut().enumerate() {
        let at = (j + o) * groups + g;
        for (chained, sum) in chained.iter_mut().zip(&sums[at..at + GROUPS]) {
            *chained = L::load(sum);
        }
    }
    let mut range = range.clone();
    if !first.is_empty() {
        let lanes: &[Lane; GROUPS] = first[g..g + GROUPS].try_into().expect("the slice has this length");
        for o in 0..OUT {
            let w = L::splat(rows[o][range.start]);
            for i in 0..GROUPS {
                chained[o][i] = L::load(&lanes[i]).fma(w, chained[o][i]);
            }
        }
        range.start += 1;
    }
    chains_from(&rows, x, (groups, g), range, &mut chained);
    for (o, chained) in chained.into_iter().enumerate() {
        let at = (j + o) * groups + g;
        for (sum, out) in chained.into_iter().zip(&mut out[at..at + GROUPS]) {
            end(sum, ending, j + o).store(out);
        }
    }
}

#[inline(always)]
fn tiles<L: Lanes, const OUT: usize, const GROUPS: usize>(
    layer: (&[f32], Ending<'_>),
    x: (&[Lane], &[Lane]),
    shape: &Shape,
    sums: &[Lane],
    out: &mut [Lane],
) {
    let outputs = layer.0.len() / shape.inputs;
    let mut j = 0;
    while j < outputs {
        let several = j + OUT <= outputs;
        let mut g = 0;
        while g < shape.groups {
            match (several, g + GROUPS <= shape.groups) {
                (true, true) => tile::<L, OUT, GROUPS>(layer, x, shape, (j, g), sums, out),
                (true, false) => tile::<L, OUT, 1>(layer, x, shape, (j, g), sums, out),
                (false, true) => tile::<L, 1, GROUPS>(layer, x, shape, (j, g), sums, out),
                (false, false) => tile::<L, 1, 1>(layer, x, shape, (j, g), sums, out),
            }
            g += if g + GROUPS <= shape.groups { GROUPS } else { 1 };
        }
        j += if several { OUT } else { 1 };
    }
}

#[inline(always)]
fn resumed<L: Lanes>(
    layer: (&[f32], Ending<'_>),
    (first, x): (&[Lane], &[Lane]),
    (inputs, range): (usize, Range<usize>),
    sums: &[Lane],
    out: &mut [Lane],
) {
    let groups = x.len() / inputs;
    assert!(inputs <= CHAIN, "a layer of more than one chain");
    assert!(range.start <= range.end && range.end <= inputs, "inputs that a layer does not have");
    assert_eq!(sums.len() * inputs, layer.0.len() * groups, "sums of a linear layer");
    let alone = !first.is_empty();
    assert!(
        !alone || first.len() == groups && !range.is_empty(),
        "lane groups of an input that stands alone"
    );
    let (x, shape) = ((first, x), Shape { inputs, range, groups });
    if L::WIDE {
        tiles::<L, 4, 4>(layer, x, &shape, sums, out);
    } else {
        tiles::<L, 2, 2>(layer, x, &shape, sums, out);
    }
}

#[inline(always)]
fn linear_sums<L: Lanes>(
    weights: &[f32],
    x: &[Lane],
    inputs: usize,
    range: Range<usize>,
    sums: &[Lane],
    out: &mut [Lane],
) {
    resumed::<L>((weights, Ending::default()), (&[], x), (inputs, range), sums, out);
}

#[inline(always)]
fn dense_from<L: Lanes>(
    weights: &[f32],
    ending: Ending<'_>,
    x: (&[Lane], &[Lane]),
    (inputs, from): (usize, usize),
    sums: &[Lane],
    y: &mut [Lane],
) {
    resumed::<L>((weights, ending), x, (inputs, from..inputs), sums, y);
}

kernels! {
    /// The chains of a linear layer of at most 256 inputs, as they are after some more of them.
    ///
    /// # Shapes
    /// `weights` `[J, K]`, `x` `[K, R]`, `range` within K, `sums` and `out` `[J, R]`.
    pub fn linear_sums(
        weights: &[f32], x: &[Lane], inputs: usize, range: std::ops::Range<usize>, sums: &[Lane], out: &mut [Lane],
    ) = linear_sums;

    /// A linear layer of at most 256 inputs and what follows it, from its chains as they are before the input `from`: the bits of
    /// [`Kernels::dense`](crate::Kernels::dense). That input may stand alone; what stands in its place among the others is not read then.
    ///
    /// # Shapes
    /// `weights` `[J, K]`, `x` = (`[1, R]` or empty, `[K, R]`), `shape` = (K, from), `sums` and `y` `[J, R]`.
    pub fn dense_from(
        weights: &[f32], ending: Ending<'_>, x: (&[Lane], &[Lane]), shape: (usize, usize), sums: &[Lane], y: &mut [Lane],
    ) = dense_from;
}

#[cfg(test)]
mod tests {
    use crate::{Ending, Kernels, LANES, Lane, Path};

    #[test]
    fn a_layer_is_the_same_wherever_its_chains_are_left() {
        for (inputs, outputs, groups) in [(1, 1, 1), (16, 16, 8), (19, 7, 5), (256, 3, 4)] {
            let number = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 31.0;
            let weights: Vec<f32> = (0..inputs * outputs).map(number).collect();
            let x: Vec<Lane> = (0..inputs * groups)
                .map(|i| std::array::from_fn(|l| if i + l == 70 { f32::NAN } else { number(i * 16 + l + 5) }))
                .collect();
            let bias: Vec<f32> = (0..outputs).map(|j| number(j + 9)).collect();
            let ending = Ending {
                bias: &bias,
                scale: Some((&bias, &weights[..outputs.min(weights.len())])),
                rectify: true,
            };
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let zeros = vec![[0.0; LANES]; outputs * groups];
                let mut whole = zeros.clone();
                kernels.dense(&weights, ending, &x, inputs, &mut whole);
                for from in [0, 1, inputs / 2, inputs - 1, inputs] {
                    let (mut half, mut sums, mut y) = (zeros.clone(), zeros.clone(), zeros.clone());
                    kernels.linear_sums(&weights, &x, inputs, 0..from / 2, &zeros, &mut half);
                    kernels.linear_sums(&weights, &x, inputs, from / 2..from, &half, &mut sums);
                    kernels.dense_from(&weights, ending, (&[], &x), (inputs, from), &sums, &mut y);
                    let bits = |y: &[Lane]| y.as_flattened().iter().map(|y| y.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&y), bits(&whole), "{inputs} inputs left at {from} on {path}");
                    if from == inputs {
                        continue;
                    }
                    let own = from * groups..(from + 1) * groups;
                    let (first, mut others) = (x[own.clone()].to_vec(), x.clone());
                    others[own].fill([7.0; LANES]);
                    y.fill([9.0; LANES]);
                    kernels.dense_from(&weights, ending, (&first, &others), (inputs, from), &sums, &mut y);
                    assert_eq!(
                        bits(&y),
                        bits(&whole),
                        "{inputs} inputs of which {from} stands alone on {path}"
                    );
                }
            }
        }
    }
}
