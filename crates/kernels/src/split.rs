//! A linear layer to one value whose chain is kept half way.

use crate::lanes::{Lane, Lanes};
use crate::plain::CHAIN;

/// The chain of one output goes on from `sum` over some inputs.
#[inline(always)]
fn chain<L: Lanes>(weights: &[f32], x: &[Lane], groups: usize, g: usize, mut sum: L) -> L {
    for (k, &w) in weights.iter().enumerate() {
        sum = L::load(&x[k * groups + g]).fma(L::splat(w), sum);
    }
    sum
}

/// Blocks of the chain over `weights`, added in order to what was finished before; the first one begins at `sum` and ends
/// after `room` inputs.
#[inline(always)]
fn blocks<L: Lanes>(
    weights: &[f32],
    x: &[Lane],
    (groups, g): (usize, usize),
    mut finished: Option<L>,
    (mut sum, mut room): (L, usize),
) -> (Option<L>, L, usize) {
    let mut from = 0;
    loop {
        let to = weights.len().min(from + room);
        sum = chain(&weights[from..to], &x[from * groups..], groups, g, sum);
        room -= to - from;
        if room > 0 {
            return (finished, sum, room);
        }
        finished = Some(match finished {
            Some(before) => before.add(sum),
            None => sum,
        });
        (sum, room, from) = (L::splat(0.0), CHAIN, to);
        if to == weights.len() {
            return (finished, sum, room);
        }
    }
}

#[inline(always)]
fn linear_head<L: Lanes>(weights: &[f32], x: &[Lane], out: &mut [Lane]) {
    let groups = out.len() / 2;
    for g in 0..groups {
        let start = (L::splat(0.0), CHAIN);
        let (finished, sum, _) = blocks::<L>(weights, x, (groups, g), None, start);
        finished.unwrap_or(L::splat(0.0)).store(&mut out[g]);
        sum.store(&mut out[groups + g]);
    }
}

#[inline(always)]
fn linear_tail<L: Lanes>(
    weights: &[f32],
    bias: f32,
    (head, before): (&[Lane], usize),
    x: &[Lane],
    out: &mut [Lane],
) {
    let groups = out.len();
    for (g, out) in out.iter_mut().enumerate() {
        let finished = (before >= CHAIN).then(|| L::load(&head[g]));
        let start = (L::load(&head[groups + g]), CHAIN - before % CHAIN);
        let (finished, sum, room) = blocks::<L>(weights, x, (groups, g), finished, start);
        // A block without inputs is none.
        let total = match finished {
            Some(finished) if room == CHAIN => finished,
            Some(finished) => finished.add(sum),
            None => sum,
        };
        total.add(L::splat(bias)).store(out);
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
            let x: Vec<[f32; LANES]> = (0..2 * inputs)
                .map(|i| std::array::from_fn(|l| ((i * 13 + l * 7) % 97) as f32 / 17.0 - 2.0))
                .collect();
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let mut whole = vec![[0.0; LANES]; 2];
                kernels.linear(&weights, &[0.25], &x, inputs, &mut whole);
                for cut in [0, 1, inputs / 2, 255, 256, 257, 512, inputs - 1, inputs] {
                    if cut > inputs {
                        continue;
                    }
                    let (mut head, mut out) = (vec![[0.0; LANES]; 4], vec![[0.0; LANES]; 2]);
                    kernels.linear_head(&weights[..cut], &x[..2 * cut], &mut head);
                    kernels.linear_tail(&weights[cut..], 0.25, (&head, cut), &x[2 * cut..], &mut out);
                    assert_eq!(out, whole, "{inputs} inputs cut at {cut} on {path}");
                }
            }
        }
    }
}
