//! Linear layers whose chains go on from where they were left.

use std::ops::Range;

use crate::lanes::{Lane, Lanes};
use crate::linear::{Ending, chains_from, end, end_groups};
use crate::plain::CHAIN;

/// A layer's inputs, of which some are taken, and the lane groups of a block.
#[derive(Clone)]
struct Shape {
    inputs: usize,
    range: Range<usize>,
    groups: usize,
}

/// The chains of some outputs in some lane groups, after the inputs that are to be taken.
#[inline(always)]
fn chained<L: Lanes, const OUT: usize, const GROUPS: usize>(
    weights: &[f32],
    (first, x): (&[Lane], &[Lane]),
    shape: &Shape,
    (j, g): (usize, usize),
    sums: &[Lane],
) -> [[L; GROUPS]; OUT] {
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
    chained
}

#[inline(always)]
fn tile<L: Lanes, const OUT: usize, const GROUPS: usize>(
    (weights, ending): (&[f32], Ending<'_>),
    x: (&[Lane], &[Lane]),
    shape: &Shape,
    (j, g): (usize, usize),
    sums: &[Lane],
    out: &mut [Lane],
) {
    let groups = shape.groups;
    let chained = chained::<L, OUT, GROUPS>(weights, x, shape, (j, g), sums);
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
    x: (&[Lane], &[Lane]),
    shape: (usize, Range<usize>),
    sums: &[Lane],
    out: &mut [Lane],
) {
    let shape = shape_of(layer.0, x, shape, sums);
    if L::WIDE {
        tiles::<L, 4, 4>(layer, x, &shape, sums, out);
    } else {
        tiles::<L, 2, 2>(layer, x, &shape, sums, out);
    }
}

/// What inputs are to be taken, if there are such.
#[inline(always)]
fn shape_of(
    weights: &[f32],
    (first, x): (&[Lane], &[Lane]),
    (inputs, range): (usize, Range<usize>),
    sums: &[Lane],
) -> Shape {
    let groups = x.len() / inputs;
    assert!(inputs <= CHAIN, "a layer of more than one chain");
    assert!(range.start <= range.end && range.end <= inputs, "inputs that a layer does not have");
    assert_eq!(sums.len() * inputs, weights.len() * groups, "sums of a linear layer");
    let alone = !first.is_empty();
    assert!(
        !alone || first.len() == groups && !range.is_empty(),
        "lane groups of an input that stands alone"
    );
    Shape { inputs, range, groups }
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

/// One lane group after the other: a layer's outputs go straight into the chain of the one output that reads them.
#[inline(always)]
fn one_from<L: Lanes, const OUT: usize, const GROUPS: usize>(
    [(weights, ending), (next, last)]: [(&[f32], Ending<'_>); 2],
    x: (&[Lane], &[Lane]),
    (shape, g): (&Shape, usize),
    sums: &[Lane],
    out: &mut [Lane],
) {
    let mut total = [L::splat(0.0); GROUPS];
    let mut j = 0;
    while j + OUT <= next.len() {
        let chained = chained::<L, OUT, GROUPS>(weights, x, shape, (j, g), sums);
        for o in 0..OUT {
            let (w, ended) = (L::splat(next[j + o]), end_groups(chained[o], ending, j + o));
            for i in 0..GROUPS {
                total[i] = ended[i].fma(w, total[i]);
            }
        }
        j += OUT;
    }
    for j in j..next.len() {
        let [chained] = chained::<L, 1, GROUPS>(weights, x, shape, (j, g), sums);
        let (w, ended) = (L::splat(next[j]), end_groups(chained, ending, j));
        for i in 0..GROUPS {
            total[i] = ended[i].fma(w, total[i]);
        }
    }
    for (total, out) in end_groups(total, last, 0).into_iter().zip(&mut out[g..g + GROUPS]) {
        total.store(out);
    }
}

#[inline(always)]
fn ones_from<L: Lanes, const OUT: usize, const GROUPS: usize>(
    layers: [(&[f32], Ending<'_>); 2],
    x: (&[Lane], &[Lane]),
    shape: &Shape,
    sums: &[Lane],
    out: &mut [Lane],
) {
    let mut g = 0;
    while g + GROUPS <= shape.groups {
        one_from::<L, OUT, GROUPS>(layers, x, (shape, g), sums, out);
        g += GROUPS;
    }
    for g in g..shape.groups {
        one_from::<L, OUT, 1>(layers, x, (shape, g), sums, out);
    }
}

#[inline(always)]
fn dense_from_to_one<L: Lanes>(
    layers: [(&[f32], Ending<'_>); 2],
    x: (&[Lane], &[Lane]),
    (inputs, from): (usize, usize),
    sums: &[Lane],
    y: &mut [Lane],
) {
    let shape = shape_of(layers[0].0, x, (inputs, from..inputs), sums);
    let outputs = layers[0].0.len() / inputs;
    assert!(
        layers[1].0.len() == outputs && outputs <= CHAIN,
        "a layer that reads {outputs} outputs in one chain"
    );
    assert_eq!(y.len(), shape.groups, "one output");
    if L::WIDE {
        ones_from::<L, 4, 4>(layers, x, &shape, sums, y);
    } else {
        ones_from::<L, 2, 2>(layers, x, &shape, sums, y);
    }
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

    /// Such a layer, and one output that reads what it gives: the bits of both layers one after the other.
    ///
    /// # Shapes
    /// `layers` = weights `[J, K]` and `[J]`, J at most 256, with what follows each; others as in [`dense_from`](crate::Kernels::dense_from), `y` `[1, R]`.
    pub fn dense_from_to_one(
        layers: [(&[f32], Ending<'_>); 2], x: (&[Lane], &[Lane]), shape: (usize, usize), sums: &[Lane], y: &mut [Lane],
    ) = dense_from_to_one;
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
                    let next: Vec<f32> = (0..outputs).map(|j| number(j + 3)).collect();
                    let last =
                        Ending { bias: &bias[..1], scale: Some((&bias[..1], &next[..1])), rectify: true };
                    let (mut then, mut one) = (zeros[..groups].to_vec(), vec![[9.0; LANES]; groups]);
                    kernels.dense(&next, last, &whole, outputs, &mut then);
                    let layers = [(&weights[..], ending), (&next[..], last)];
                    kernels.dense_from_to_one(layers, (&[], &x), (inputs, from), &sums, &mut one);
                    assert_eq!(
                        bits(&one),
                        bits(&then),
                        "{inputs} inputs left at {from}, and then one, on {path}"
                    );
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
