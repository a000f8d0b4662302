//! A linear layer to one value whose chain is kept half way.

use crate::lanes::{Lane, Lanes};
use crate::linear::added;
use crate::plain::CHAIN;

/// Lane groups whose chains go on side by side: as many as hide how long one addition takes.
const SIDE_BY_SIDE: usize = 8;

/// The chains of one output in some lane groups go on from `sums` over some inputs.
#[inline(always)]
fn chain<L: Lanes, const GROUPS: usize>(
    weights: &[f32],
    x: &[Lane],
    (groups, g): (usize, usize),
    sums: &mut [L; GROUPS],
) {
    for (k, &w) in weights.iter().enumerate() {
        let at = k * groups + g;
        let lanes: &[Lane; GROUPS] = x[at..at + GROUPS].try_into().expect("the slice has this length");
        let w = L::splat(w);
        for i in 0..GROUPS {
            sums[i] = L::load(&lanes[i]).fma(w, sums[i]);
        }
    }
}

/// Blocks of the chains over `weights`, added in order to what was finished before; the first ones begin at `sums` and end
/// after `room` inputs.
#[inline(always)]
fn blocks<L: Lanes, const GROUPS: usize>(
    weights: &[f32],
    x: &[Lane],
    (groups, g): (usize, usize),
    mut finished: Option<[L; GROUPS]>,
    (mut sums, mut room): ([L; GROUPS], usize),
) -> (Option<[L; GROUPS]>, [L; GROUPS], usize) {
    let mut from = 0;
    loop {
        let to = weights.len().min(from + room);
        chain(&weights[from..to], &x[from * groups..], (groups, g), &mut sums);
        room -= to - from;
        if room > 0 {
            return (finished, sums, room);
        }
        finished = Some(added(finished, sums));
        (sums, room, from) = ([L::splat(0.0); GROUPS], CHAIN, to);
        if to == weights.len() {
            return (finished, sums, room);
        }
    }
}

#[inline(always)]
fn loaded<L: Lanes, const GROUPS: usize>(lanes: &[Lane]) -> [L; GROUPS] {
    let mut of = [L::splat(0.0); GROUPS];
    for i in 0..GROUPS {
        of[i] = L::load(&lanes[i]);
    }
    of
}

#[inline(always)]
fn head<L: Lanes, const GROUPS: usize>(
    weights: &[f32],
    x: &[Lane],
    (groups, g): (usize, usize),
    out: &mut [Lane],
) {
    let zero = [L::splat(0.0); GROUPS];
    let (finished, sums, _) = blocks::<L, GROUPS>(weights, x, (groups, g), None, (zero, CHAIN));
    let finished = finished.unwrap_or(zero);
    for i in 0..GROUPS {
        finished[i].store(&mut out[g + i]);
        sums[i].store(&mut out[groups + g + i]);
    }
}

#[inline(always)]
fn linear_head<L: Lanes>(weights: &[f32], x: &[Lane], out: &mut [Lane]) {
    let groups = out.len() / 2;
    let mut g = 0;
    while g + SIDE_BY_SIDE <= groups {
        head::<L, SIDE_BY_SIDE>(weights, x, (groups, g), out);
        g += SIDE_BY_SIDE;
    }
    while g + SIDE_BY_SIDE / 2 <= groups {
        head::<L, { SIDE_BY_SIDE / 2 }>(weights, x, (groups, g), out);
        g += SIDE_BY_SIDE / 2;
    }
    for g in g..groups {
        head::<L, 1>(weights, x, (groups, g), out);
    }
}

#[inline(always)]
fn tail<L: Lanes, const GROUPS: usize>(
    (weights, bias): (&[f32], f32),
    (head, before): (&[Lane], usize),
    x: &[Lane],
    (groups, g): (usize, usize),
    out: &mut [Lane],
) {
    let finished = (before >= CHAIN).then(|| loaded::<L, GROUPS>(&head[g..]));
    let start = (loaded(&head[groups + g..]), CHAIN - before % CHAIN);
    let (finished, sums, room) = blocks::<L, GROUPS>(weights, x, (groups, g), finished, start);
    // A block without inputs is none.
    let total = match finished {
        Some(finished) if room == CHAIN => finished,
        _ => added(finished, sums),
    };
    for i in 0..GROUPS {
        total[i].add(L::splat(bias)).store(&mut out[g + i]);
    }
}

#[inline(always)]
fn linear_tail<L: Lanes>(weights: &[f32], bias: f32, head: (&[Lane], usize), x: &[Lane], out: &mut [Lane]) {
    let (groups, layer) = (out.len(), (weights, bias));
    let mut g = 0;
    while g + SIDE_BY_SIDE <= groups {
        tail::<L, SIDE_BY_SIDE>(layer, head, x, (groups, g), out);
        g += SIDE_BY_SIDE;
    }
    while g + SIDE_BY_SIDE / 2 <= groups {
        tail::<L, { SIDE_BY_SIDE / 2 }>(layer, head, x, (groups, g), out);
        g += SIDE_BY_SIDE / 2;
    }
    for g in g..groups {
        tail::<L, 1>(layer, head, x, (groups, g), out);
    }
}

kernels! {
    /// The first inputs of a linear layer to one value: what its finished blocks add up to, and the unfinished block.
    ///
    /// # Shapes
    /// `weights` `[K]`, `x` `[K, R]`, `out` `[2, R]`.
    pub fn linear_head(weights: &[f32], x: &[Lane], out: &mut [Lane]) = linear_head;

    /// The other inputs of that layer, and its bias: the bits of [`Kernels::linear`](crate::Kernels::linear) on all inputs.
    ///
    /// # Shapes
    /// `weights` `[K]`, `head` = ([2, R], inputs of the head), `x` `[K, R]`, `out` `[1, R]`.
    pub fn linear_tail(weights: &[f32], bias: f32, head: (&[Lane], usize), x: &[Lane], out: &mut [Lane])
        = linear_tail;
}

#[cfg(test)]
mod tests {
    use crate::{Kernels, LANES, Path};

    #[test]
    fn head_and_tail_are_the_whole_layer_wherever_it_is_cut() {
        for inputs in [1, 17, 256, 300, 512, 640] {
            let weights: Vec<f32> = (0..inputs).map(|i| ((i * 37 % 101) as f32 - 50.0) / 31.0).collect();
            for (groups, &path) in
                [1, 2, 4, 13].into_iter().flat_map(|g| Path::available().iter().map(move |p| (g, p)))
            {
                let x: Vec<[f32; LANES]> = (0..groups * inputs)
                    .map(|i| std::array::from_fn(|l| ((i * 13 + l * 7) % 97) as f32 / 17.0 - 2.0))
                    .collect();
                let kernels = Kernels::on(path).unwrap();
                let mut whole = vec![[0.0; LANES]; groups];
                kernels.linear(&weights, &[0.25], &x, inputs, &mut whole);
                for cut in [0, 1, inputs / 2, 255, 256, 257, 512, inputs - 1, inputs] {
                    if cut > inputs {
                        continue;
                    }
                    let (mut head, mut out) = (vec![[9.0; LANES]; 2 * groups], vec![[9.0; LANES]; groups]);
                    kernels.linear_head(&weights[..cut], &x[..groups * cut], &mut head);
                    kernels.linear_tail(&weights[cut..], 0.25, (&head, cut), &x[groups * cut..], &mut out);
                    assert_eq!(out, whole, "{inputs} inputs of {groups} groups cut at {cut} on {path}");
                }
            }
        }
    }
}
