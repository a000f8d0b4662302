//! What follows a hidden layer in training: batch norm on the batch's own statistics, rectifier and dropout in one go.

use crate::dropout::Mask;
use crate::lanes::{LANES, Lane, Lanes};
use crate::loss::tree;

/// Sums of f64 over the first `rows` rows of a feature: sixteen lanes, then their tree.
#[inline(always)]
fn lane_sum(lanes: &[Lane], rows: usize, f: impl Fn(usize, usize, f32) -> f64) -> f64 {
    let mut sums = [0.0f64; LANES];
    let whole = rows / LANES;
    for (g, x) in lanes[..whole].iter().enumerate() {
        for lane in 0..LANES {
            sums[lane] += f(g, lane, x[lane]);
        }
    }
    for lane in 0..rows % LANES {
        sums[lane] += f(whole, lane, lanes[whole][lane]);
    }
    tree(sums)
}

#[inline(always)]
fn moments<L: Lanes>(x: &[Lane], rows: usize, out: &mut [[f64; 2]]) {
    let groups = x.len() / out.len();
    for (x, out) in x.chunks_exact(groups).zip(out) {
        let mean = lane_sum(x, rows, |_, _, x| f64::from(x)) / rows as f64;
        let deviations = lane_sum(x, rows, |_, _, x| (f64::from(x) - mean) * (f64::from(x) - mean));
        *out = [mean, deviations];
    }
}

#[inline(always)]
fn slope_moments<L: Lanes>(
    (x, dy): (&[Lane], &[Lane]),
    rows: usize,
    (mean, scale): (&[f32], &[f32]),
    out: &mut [[f64; 2]],
) {
    let groups = x.len() / out.len();
    for (i, out) in out.iter_mut().enumerate() {
        let part = i * groups..(i + 1) * groups;
        *out = slope_moments_of(&x[part.clone()], &dy[part], rows, mean[i], scale[i]);
    }
}

#[inline(always)]
fn slope_moments_of(x: &[Lane], dy: &[Lane], rows: usize, mean: f32, scale: f32) -> [f64; 2] {
    let shift = lane_sum(dy, rows, |_, _, dy| f64::from(dy));
    let product = lane_sum(dy, rows, |g, lane, dy| f64::from((x[g][lane] - mean) * scale * dy));
    [shift, product]
}

#[inline(always)]
fn hidden<L: Lanes>(
    (alpha, beta): (&[f32], &[f32]),
    mask: Option<&Mask>,
    (first_row, groups): (usize, usize),
    x: &[Lane],
    y: &mut [Lane],
) {
    let width = alpha.len();
    for feature in 0..width {
        let (a, b) = (L::splat(alpha[feature]), L::splat(beta[feature]));
        for g in 0..groups {
            let at = feature * groups + g;
            let open = a.fma(L::load(&x[at]), b).relu();
            let kept = match mask {
                Some(mask) => {
                    let factors =
                        mask.factors(((first_row + g * LANES) * width + feature) as u32, width as u32);
                    open.fma(L::load(&factors), L::splat(0.0))
                }
                None => open,
            };
            kept.store(&mut y[at]);
        }
    }
}

#[inline(always)]
fn hidden_slopes<L: Lanes>(
    (x, y, dy): (&[Lane], &[Lane], &[Lane]),
    keep: f32,
    rows: usize,
    (mean, scale): (&[f32], &[f32]),
    dx: &mut [Lane],
    out: &mut [[f64; 2]],
) {
    let groups = x.len() / out.len();
    let keep = L::splat(keep);
    for (i, out) in out.iter_mut().enumerate() {
        let part = i * groups..(i + 1) * groups;
        let (x, y, dy, dx) = (&x[part.clone()], &y[part.clone()], &dy[part.clone()], &mut dx[part]);
        for g in 0..groups {
            let kept = L::load(&dy[g]).fma(keep, L::splat(0.0));
            kept.where_open(L::load(&y[g])).add(L::splat(0.0)).store(&mut dx[g]);
        }
        *out = slope_moments_of(x, dx, rows, mean[i], scale[i]);
    }
}

#[inline(always)]
fn affine_slopes<L: Lanes>((a, b, c): (&[f32], &[f32], &[f32]), x: &[Lane], rows: usize, dx: &mut [Lane]) {
    let groups = x.len() / a.len();
    for (i, (x, dx)) in x.chunks_exact(groups).zip(dx.chunks_exact_mut(groups)).enumerate() {
        let (a, b, c) = (L::splat(a[i]), L::splat(b[i]), L::splat(c[i]));
        for (x, dx) in x.iter().zip(&mut *dx) {
            let constant = b.fma(L::load(x), c);
            a.fma(L::load(dx), constant).add(L::splat(0.0)).store(dx);
        }
        dx.as_flattened_mut()[rows..].fill(0.0);
    }
}

kernels! {
    /// Mean and summed squared deviation of each feature over the first `rows` rows, in f64.
    ///
    /// # Shapes
    /// `x` `[H, R]`, `out` `[H]`.
    pub fn moments(x: &[Lane], rows: usize, out: &mut [[f64; 2]]) = moments;

    /// Σ dy and Σ (x − mean) · scale · dy of each feature over the first `rows` rows, summed in f64.
    ///
    /// # Shapes
    /// `values` = (x, dy) `[H, R]` each, `of_batch` = (mean, scale) `[H]` each, `out` `[H]`.
    pub fn slope_moments(
        values: (&[Lane], &[Lane]), rows: usize, of_batch: (&[f32], &[f32]), out: &mut [[f64; 2]],
    ) = slope_moments;

    /// y = mask · relu(fma(α, x, β)): batch norm, rectifier and dropout.
    ///
    /// # Shapes
    /// `scale` = (α, β) `[H]` each, `x`, `y` `[H, R]`; `place` is the row of the first lane and R / 16.
    ///
    /// # Numerics
    /// The bits of [`affine`](crate::Kernels::affine), [`relu`](crate::Kernels::relu) and
    /// [`add_masked`](crate::Kernels::add_masked) to zeros one after the other.
    pub fn hidden(
        scale: (&[f32], &[f32]), mask: Option<&Mask>, place: (usize, usize), x: &[Lane], y: &mut [Lane],
    ) = hidden;

    /// The slopes of what batch norm put out, given those of [`hidden`](crate::Kernels::hidden)'s result, and their
    /// [`slope_moments`](crate::Kernels::slope_moments).
    ///
    /// # Shapes
    /// `values` = (x, y, dy) `[H, R]` each, `of_batch` = (mean, scale) `[H]` each, `dx` `[H, R]`, `out` `[H]`.
    ///
    /// # Numerics
    /// dy · keep where y > 0, or NaN, +0 elsewhere: a result is positive where its rectifier is open and its mask does
    /// not drop it. The bits of the three backward passes one after the other, as long as dy is finite.
    pub fn hidden_slopes(
        values: (&[Lane], &[Lane], &[Lane]),
        keep: f32,
        rows: usize,
        of_batch: (&[f32], &[f32]),
        dx: &mut [Lane],
        out: &mut [[f64; 2]],
    ) = hidden_slopes;

    /// dx = a · dx + b · x + c per feature, and 0 from row `rows` on: the gradient of batch norm on batch statistics.
    ///
    /// # Shapes
    /// `coefficients` `[H]` each, `x`, `dx` `[H, R]`.
    pub fn affine_slopes(coefficients: (&[f32], &[f32], &[f32]), x: &[Lane], rows: usize, dx: &mut [Lane])
        = affine_slopes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    const WIDTH: usize = 5;
    const GROUPS: usize = 3;

    fn block(seed: usize) -> Vec<Lane> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 2003) as f32 / 501.0 - 2.0;
        (0..WIDTH * GROUPS).map(|i| std::array::from_fn(|lane| value(i * LANES + lane))).collect()
    }

    #[test]
    fn one_go_forward_and_back_has_the_bits_of_the_single_kernels() {
        let (x, dy) = (block(1), block(2));
        let alpha: Vec<f32> = (0..WIDTH).map(|i| 0.7 - 0.3 * i as f32).collect();
        let beta: Vec<f32> = (0..WIDTH).map(|i| 0.1 * i as f32 - 0.2).collect();
        let batch = (&beta[..], &alpha[..]);
        let zeros = vec![[0.0; LANES]; WIDTH * GROUPS];
        let rows = 2 * LANES + 5;
        for &path in Path::available() {
            let kernels = Kernels::on(path).unwrap();
            for mask in [None, Some(Mask::new(99, 0.3))] {
                let mut normal = zeros.clone();
                kernels.affine(&alpha, &beta, &x, &mut normal);
                let mut open = zeros.clone();
                kernels.relu(&normal, &mut open);
                let mut masked = zeros.clone();
                let place = (64, GROUPS);
                let keep = mask.as_ref().map_or(1.0, Mask::scale);
                let mut by_open = zeros.clone();
                if let Some(mask) = &mask {
                    kernels.add_masked(mask, &open, place, &mut masked);
                    kernels.add_masked(mask, &dy, place, &mut by_open);
                } else {
                    masked.clone_from(&open);
                    kernels.add(&dy, &mut by_open);
                }
                let mut by_normal = zeros.clone();
                kernels.relu_gradient(&normal, &by_open, &mut by_normal);
                let mut sums = vec![[0.0; 2]; WIDTH];
                kernels.slope_moments((&x, &by_normal), rows, batch, &mut sums);
                let mut by_x = zeros.clone();
                kernels.affine_gradient(&alpha, &beta, &alpha, (&x, &by_normal), &mut by_x);
                for lanes in by_x.chunks_exact_mut(GROUPS) {
                    lanes.as_flattened_mut()[rows..].fill(0.0);
                }

                let (mut y, mut dx, mut found) = (zeros.clone(), block(3), vec![[9.0; 2]; WIDTH]);
                kernels.hidden((&alpha, &beta), mask.as_ref(), place, &x, &mut y);
                assert_eq!(y, masked, "{path}");
                kernels.hidden_slopes((&x, &y, &dy), keep, rows, batch, &mut dx, &mut found);
                assert_eq!((&dx, &found), (&by_normal, &sums), "{path}");
                kernels.affine_slopes((&alpha, &beta, &alpha), &x, rows, &mut dx);
                assert_eq!(dx, by_x, "{path}");
            }
        }
    }

    #[test]
    fn moments_leave_padding_out_and_are_the_same_on_every_path() {
        let x = block(4);
        for rows in [1, 16, 33, 48] {
            let of = |path| {
                let mut out = vec![[0.0; 2]; WIDTH];
                Kernels::on(path).unwrap().moments(&x, rows, &mut out);
                out
            };
            let plain = of(Path::Portable);
            for (i, [mean, deviations]) in plain.iter().enumerate() {
                let values: Vec<f64> = x[i * GROUPS..(i + 1) * GROUPS].as_flattened()[..rows]
                    .iter()
                    .map(|&x| f64::from(x))
                    .collect();
                let expected = values.iter().sum::<f64>() / rows as f64;
                assert!((mean - expected).abs() < 1e-12);
                let expected: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
                assert!((deviations - expected).abs() < 1e-10);
            }
            for &path in Path::available() {
                assert_eq!(of(path), plain, "{path}");
            }
        }
    }
}
