//! Linear layers on feature-major blocks, and their gradients.

use crate::lanes::{LANES, Lane, Lanes, tree};
use crate::plain::CHAIN;

/// Adds one finished node to the stack of a binary counter: equal-sized neighbours merge.
///
/// `count` is the number of nodes pushed before. The stack then holds the subtrees of the bits of `count + 1`.
#[inline(always)]
pub(crate) fn push<L: Lanes, const N: usize>(stack: &mut [[L; N]], count: usize, mut node: [L; N]) {
    let merges = count.trailing_ones() as usize;
    let mut top = count.count_ones() as usize;
    for _ in 0..merges {
        top -= 1;
        for i in 0..N {
            node[i] = stack[top][i].add(node[i]);
        }
    }
    stack[top] = node;
}

/// The root of `count` pushed nodes: what is left merges from the top of the stack.
#[inline(always)]
pub(crate) fn root<L: Lanes, const N: usize>(stack: &[[L; N]], count: usize) -> [L; N] {
    let mut top = count.count_ones() as usize - 1;
    let mut node = stack[top];
    while top > 0 {
        top -= 1;
        for i in 0..N {
            node[i] = stack[top][i].add(node[i]);
        }
    }
    node
}

/// fma chains of OUT outputs times GROUPS groups over inputs `from..to`.
#[inline(always)]
pub(crate) fn chains<L: Lanes, const OUT: usize, const GROUPS: usize>(
    rows: &[&[f32]; OUT],
    x: &[Lane],
    groups: usize,
    g: usize,
    range: std::ops::Range<usize>,
) -> [[L; GROUPS]; OUT] {
    let mut sums = [[L::splat(0.0); GROUPS]; OUT];
    chains_from(rows, x, (groups, g), range, &mut sums);
    sums
}

/// The same chains, going on from where they were left.
#[inline(always)]
pub(crate) fn chains_from<L: Lanes, const OUT: usize, const GROUPS: usize>(
    rows: &[&[f32]; OUT],
    x: &[Lane],
    (groups, g): (usize, usize),
    range: std::ops::Range<usize>,
    sums: &mut [[L; GROUPS]; OUT],
) {
    for k in range {
        let at = k * groups + g;
        let lanes: &[Lane; GROUPS] = x[at..at + GROUPS].try_into().expect("the slice has this length");
        let lanes: [L; GROUPS] = std::array::from_fn(|i| L::load(&lanes[i]));
        for o in 0..OUT {
            let w = L::splat(rows[o][k]);
            for i in 0..GROUPS {
                sums[o][i] = lanes[i].fma(w, sums[o][i]);
            }
        }
    }
}

/// The sums of blocks of a chain, after those that are finished.
#[inline(always)]
pub(crate) fn added<L: Lanes, const GROUPS: usize>(
    before: Option<[L; GROUPS]>,
    mut sums: [L; GROUPS],
) -> [L; GROUPS] {
    if let Some(before) = before {
        for i in 0..GROUPS {
            sums[i] = before[i].add(sums[i]);
        }
    }
    sums
}

/// What follows the sums of a linear layer, one value an output each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ending<'a> {
    /// Added to the sums `[J]`; empty where there is none.
    pub bias: &'a [f32],
    /// Then fma(α, x, β), `[J]` both.
    pub scale: Option<(&'a [f32], &'a [f32])>,
    /// Then the rectifier.
    pub rectify: bool,
}

/// What follows the sum of output `j`.
#[inline(always)]
pub(crate) fn end<L: Lanes>(sum: L, ending: Ending<'_>, j: usize) -> L {
    let [ended] = end_groups([sum], ending, j);
    ended
}

/// What follows the sums of output `j` in several lane groups.
#[inline(always)]
pub(crate) fn end_groups<L: Lanes, const GROUPS: usize>(
    mut sums: [L; GROUPS],
    ending: Ending<'_>,
    j: usize,
) -> [L; GROUPS] {
    if let Some(&b) = ending.bias.get(j) {
        let b = L::splat(b);
        for sum in &mut sums {
            *sum = sum.add(b);
        }
    }
    if let Some((alpha, beta)) = ending.scale {
        let (alpha, beta) = (L::splat(alpha[j]), L::splat(beta[j]));
        for sum in &mut sums {
            *sum = alpha.fma(*sum, beta);
        }
    }
    if ending.rectify {
        for sum in &mut sums {
            *sum = sum.relu();
        }
    }
    sums
}

/// The shape of a layer: fields is 0 where it is an ordinary one.
#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    fields: usize,
    groups: usize,
}

#[inline(always)]
fn tile<L: Lanes, const OUT: usize, const GROUPS: usize, const DEPTH: usize>(
    weights: &[f32],
    ending: Ending<'_>,
    x: &[Lane],
    shape: Shape,
    j: usize,
    g: usize,
    y: &mut [Lane],
) {
    let Shape { inputs, fields, groups } = shape;
    let rows: [&[f32]; OUT] = std::array::from_fn(|o| &weights[(j + o) * inputs..(j + o + 1) * inputs]);
    let sums = if let Some(dim) = inputs.checked_div(fields) {
        let mut stack = [[[L::splat(0.0); GROUPS]; OUT]; DEPTH];
        for f in 0..fields {
            let node = chains::<L, OUT, GROUPS>(&rows, x, groups, g, f * dim..(f + 1) * dim);
            push_tile(&mut stack, f, node);
        }
        root_tile(&stack, fields)
    } else {
        let mut sums = chains::<L, OUT, GROUPS>(&rows, x, groups, g, 0..inputs.min(CHAIN));
        let mut k = CHAIN;
        while k < inputs {
            let more = chains::<L, OUT, GROUPS>(&rows, x, groups, g, k..inputs.min(k + CHAIN));
            for o in 0..OUT {
                for i in 0..GROUPS {
                    sums[o][i] = sums[o][i].add(more[o][i]);
                }
            }
            k += CHAIN;
        }
        sums
    };
    for (o, sums) in sums.into_iter().enumerate() {
        let at = (j + o) * groups + g;
        let ended = end_groups(sums, ending, j + o);
        for (sum, y) in ended.into_iter().zip(&mut y[at..at + GROUPS]) {
            sum.store(y);
        }
    }
}

#[inline(always)]
fn push_tile<L: Lanes, const OUT: usize, const GROUPS: usize>(
    stack: &mut [[[L; GROUPS]; OUT]],
    count: usize,
    mut node: [[L; GROUPS]; OUT],
) {
    let mut top = count.count_ones() as usize;
    for _ in 0..count.trailing_ones() {
        top -= 1;
        add_tile(&stack[top], &mut node);
    }
    stack[top] = node;
}

#[inline(always)]
fn root_tile<L: Lanes, const OUT: usize, const GROUPS: usize>(
    stack: &[[[L; GROUPS]; OUT]],
    count: usize,
) -> [[L; GROUPS]; OUT] {
    let mut top = count.count_ones() as usize - 1;
    let mut node = stack[top];
    while top > 0 {
        top -= 1;
        add_tile(&stack[top], &mut node);
    }
    node
}

#[inline(always)]
fn add_tile<L: Lanes, const OUT: usize, const GROUPS: usize>(
    left: &[[L; GROUPS]; OUT],
    node: &mut [[L; GROUPS]; OUT],
) {
    for o in 0..OUT {
        for i in 0..GROUPS {
            node[o][i] = left[o][i].add(node[o][i]);
        }
    }
}

#[inline(always)]
fn tiles<L: Lanes, const OUT: usize, const GROUPS: usize, const DEPTH: usize>(
    weights: &[f32],
    ending: Ending<'_>,
    x: &[Lane],
    shape: Shape,
    y: &mut [Lane],
) {
    let outputs = weights.len() / shape.inputs;
    let mut j = 0;
    while j + OUT <= outputs {
        let mut g = 0;
        while g + GROUPS <= shape.groups {
            tile::<L, OUT, GROUPS, DEPTH>(weights, ending, x, shape, j, g, y);
            g += GROUPS;
        }
        for g in g..shape.groups {
            tile::<L, OUT, 1, DEPTH>(weights, ending, x, shape, j, g, y);
        }
        j += OUT;
    }
    for j in j..outputs {
        let mut g = 0;
        while g + GROUPS <= shape.groups {
            tile::<L, 1, GROUPS, DEPTH>(weights, ending, x, shape, j, g, y);
            g += GROUPS;
        }
        for g in g..shape.groups {
            tile::<L, 1, 1, DEPTH>(weights, ending, x, shape, j, g, y);
        }
    }
}

#[inline(always)]
fn layer<L: Lanes, const DEPTH: usize>(
    w: &[f32],
    ending: Ending<'_>,
    x: &[Lane],
    shape: Shape,
    y: &mut [Lane],
) {
    assert_eq!(x.len(), shape.inputs * shape.groups, "inputs of a linear layer");
    assert_eq!(y.len() * shape.inputs, w.len() * shape.groups, "outputs of a linear layer");
    if L::WIDE {
        tiles::<L, 4, 4, DEPTH>(w, ending, x, shape, y);
    } else {
        tiles::<L, 2, 2, DEPTH>(w, ending, x, shape, y);
    }
}

#[inline(always)]
fn linear<L: Lanes>(weights: &[f32], bias: &[f32], x: &[Lane], inputs: usize, y: &mut [Lane]) {
    dense::<L>(weights, Ending { bias, ..Ending::default() }, x, inputs, y);
}

#[inline(always)]
fn dense<L: Lanes>(weights: &[f32], ending: Ending<'_>, x: &[Lane], inputs: usize, y: &mut [Lane]) {
    layer::<L, 1>(weights, ending, x, Shape { inputs, fields: 0, groups: x.len() / inputs }, y);
}

#[inline(always)]
fn field_layer<L: Lanes>(
    weights: &[f32],
    bias: &[f32],
    x: &[Lane],
    inputs: usize,
    fields: usize,
    y: &mut [Lane],
) {
    field_dense::<L>(weights, Ending { bias, ..Ending::default() }, x, (inputs, fields), y);
}

#[inline(always)]
fn field_dense<L: Lanes>(
    weights: &[f32],
    ending: Ending<'_>,
    x: &[Lane],
    (inputs, fields): (usize, usize),
    y: &mut [Lane],
) {
    let shape = Shape { inputs, fields, groups: x.len() / inputs };
    match fields {
        0..4 => layer::<L, 2>(weights, ending, x, shape, y),
        4..64 => layer::<L, 6>(weights, ending, x, shape, y),
        _ => layer::<L, 32>(weights, ending, x, shape, y),
    }
}

#[inline(always)]
fn input_gradient_tile<L: Lanes, const IN: usize, const ADD: bool>(
    weights: &[f32],
    dy: &[Lane],
    inputs: usize,
    k: usize,
    dx: &mut [Lane],
) {
    let outputs = weights.len() / inputs;
    let groups = dy.len() / outputs;
    for g in 0..groups {
        let mut sums = [L::splat(0.0); IN];
        if ADD {
            sums = std::array::from_fn(|i| L::load(&dx[(k + i) * groups + g]));
        }
        for j in 0..outputs {
            let d = L::load(&dy[j * groups + g]);
            let w = &weights[j * inputs + k..j * inputs + k + IN];
            for i in 0..IN {
                sums[i] = d.fma(L::splat(w[i]), sums[i]);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.store(&mut dx[(k + i) * groups + g]);
        }
    }
}

#[inline(always)]
fn linear_input_gradient<L: Lanes>(weights: &[f32], dy: &[Lane], inputs: usize, dx: &mut [Lane]) {
    input_gradient::<L, true>(weights, dy, inputs, dx);
}

#[inline(always)]
fn linear_input_slopes<L: Lanes>(weights: &[f32], dy: &[Lane], inputs: usize, dx: &mut [Lane]) {
    input_gradient::<L, false>(weights, dy, inputs, dx);
}

#[inline(always)]
fn input_gradient<L: Lanes, const ADD: bool>(weights: &[f32], dy: &[Lane], inputs: usize, dx: &mut [Lane]) {
    let mut k = 0;
    while k + 8 <= inputs {
        input_gradient_tile::<L, 8, ADD>(weights, dy, inputs, k, dx);
        k += 8;
    }
    for k in k..inputs {
        input_gradient_tile::<L, 1, ADD>(weights, dy, inputs, k, dx);
    }
}

#[inline(always)]
fn weight_gradient_tile<L: Lanes, const OUT: usize, const IN: usize>(
    x: &[Lane],
    dy: &[Lane],
    (inputs, groups): (usize, usize),
    (j, k): (usize, usize),
    dw: &mut [f32],
) {
    let mut sums = [[L::splat(0.0); IN]; OUT];
    for g in 0..groups {
        let xs: [L; IN] = std::array::from_fn(|i| L::load(&x[(k + i) * groups + g]));
        for o in 0..OUT {
            let d = L::load(&dy[(j + o) * groups + g]);
            for i in 0..IN {
                sums[o][i] = xs[i].fma(d, sums[o][i]);
            }
        }
    }
    let mut lanes = [[0.0; LANES]; LANES];
    for o in 0..OUT {
        for i in 0..IN {
            sums[o][i].store(&mut lanes[o * IN + i]);
        }
    }
    let mut totals = [0.0; LANES];
    if OUT * IN == LANES {
        trees::<L>(&mut lanes, &mut totals);
    } else {
        for (total, lane) in totals.iter_mut().zip(&lanes).take(OUT * IN) {
            *total = tree(lane);
        }
    }
    for o in 0..OUT {
        for i in 0..IN {
            dw[(j + o) * inputs + k + i] += totals[o * IN + i];
        }
    }
}

/// The tree of each of sixteen lanes, all at once.
#[inline(always)]
fn trees<L: Lanes>(lanes: &mut [Lane; LANES], totals: &mut Lane) {
    L::transpose(lanes);
    let mut nodes: [L; LANES] = std::array::from_fn(|i| L::load(&lanes[i]));
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for i in 0..count {
            nodes[i] = nodes[2 * i].add(nodes[2 * i + 1]);
        }
    }
    nodes[0].store(totals);
}

#[inline(always)]
fn linear_weight_gradient<L: Lanes>(x: &[Lane], dy: &[Lane], inputs: usize, dw: &mut [f32]) {
    let outputs = dw.len() / inputs;
    let groups = x.len() / inputs;
    let mut j = 0;
    while j < outputs {
        let wide = j + 4 <= outputs;
        let mut k = 0;
        while k < inputs {
            let at = (j, k);
            match (wide, k + 4 <= inputs) {
                (true, true) => weight_gradient_tile::<L, 4, 4>(x, dy, (inputs, groups), at, dw),
                (true, false) => weight_gradient_tile::<L, 4, 1>(x, dy, (inputs, groups), at, dw),
                (false, true) => weight_gradient_tile::<L, 1, 4>(x, dy, (inputs, groups), at, dw),
                (false, false) => weight_gradient_tile::<L, 1, 1>(x, dy, (inputs, groups), at, dw),
            }
            k += if k + 4 <= inputs { 4 } else { 1 };
        }
        j += if wide { 4 } else { 1 };
    }
}

#[inline(always)]
fn feature_sums<L: Lanes>(x: &[Lane], out: &mut [f32]) {
    let groups = x.len() / out.len();
    for (out, lanes) in out.iter_mut().zip(x.chunks_exact(groups)) {
        let mut total = L::splat(0.0);
        for lane in lanes {
            total = total.add(L::load(lane));
        }
        let mut lane = [0.0; LANES];
        total.store(&mut lane);
        *out += tree(&lane);
    }
}

kernels! {
    /// A linear layer.
    ///
    /// # Shapes
    /// `weights` `[J, K]`, `bias` `[J]` or empty, `x` `[K, R]`, `y` `[J, R]`.
    pub fn linear(weights: &[f32], bias: &[f32], x: &[Lane], inputs: usize, y: &mut [Lane]) = linear;

    /// A linear layer that reads the concatenated embedding rows.
    ///
    /// # Shapes
    /// `weights` [J, F · D], `bias` `[J]` or empty, `x` [F · D, R], `y` `[J, R]`.
    pub fn field_layer(
        weights: &[f32], bias: &[f32], x: &[Lane], inputs: usize, fields: usize, y: &mut [Lane],
    ) = field_layer;

    /// A linear layer and what follows it.
    ///
    /// # Shapes
    /// `weights` `[J, K]`, `x` `[K, R]`, `y` `[J, R]`.
    pub fn dense(weights: &[f32], ending: Ending<'_>, x: &[Lane], inputs: usize, y: &mut [Lane]) = dense;

    /// A linear layer on the concatenated embedding rows, and what follows it.
    ///
    /// # Shapes
    /// `weights` [J, F · D], `x` [F · D, R], `shape` = (F · D, F), `y` `[J, R]`.
    pub fn field_dense(
        weights: &[f32], ending: Ending<'_>, x: &[Lane], shape: (usize, usize), y: &mut [Lane],
    ) = field_dense;

    /// Adds the gradient of a linear layer's input, Wᵀ · dy.
    ///
    /// # Shapes
    /// `weights` `[J, K]`, `dy` `[J, R]`, `dx` `[K, R]`.
    pub fn linear_input_gradient(weights: &[f32], dy: &[Lane], inputs: usize, dx: &mut [Lane])
        = linear_input_gradient;

    /// The gradient of a linear layer's input, in the place of what `dx` held: the bits of
    /// [`linear_input_gradient`](crate::Kernels::linear_input_gradient) on zeros.
    ///
    /// # Shapes
    /// `weights` `[J, K]`, `dy` `[J, R]`, `dx` `[K, R]`.
    pub fn linear_input_slopes(weights: &[f32], dy: &[Lane], inputs: usize, dx: &mut [Lane]) = linear_input_slopes;

    /// Adds the gradient of a linear layer's weights, dy · xᵀ.
    ///
    /// # Shapes
    /// `x` `[K, R]`, `dy` `[J, R]`, `dw` `[J, K]`.
    pub fn linear_weight_gradient(x: &[Lane], dy: &[Lane], inputs: usize, dw: &mut [f32])
        = linear_weight_gradient;

    /// Adds the sum over the rows of each feature.
    ///
    /// # Shapes
    /// `x` `[J, R]`, `out` `[J]`.
    pub fn feature_sums(x: &[Lane], out: &mut [f32]) = feature_sums;
}
