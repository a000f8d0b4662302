//! What follows a linear layer's sums, with values kept within bounds on the way.

use crate::check::Bounds;
use crate::lanes::{LANES, Lane};
use crate::linear::{Ending, end};
use crate::words::Checks;

/// Places of an ending behind which values can be kept within bounds.
pub const STAGES: usize = 4;

/// An ending with bounds behind its parts: behind the bias, the scale, the rectifier, and once more at the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish<'a> {
    /// The parts.
    pub ending: Ending<'a>,
    /// The bounds behind each; a part that there is not may have some too.
    pub within: [Option<Bounds>; STAGES],
}

/// The NaN that bounds replaced, among rows that are not padding.
#[derive(Debug)]
pub struct Nans<'a> {
    /// How many.
    pub count: &'a mut u64,
    /// One bit for each row that had one, by lane group; bits are added.
    pub rows: &'a mut [u16],
}

impl Nans<'_> {
    /// Counts the NaN of a lane group, of which so many rows follow from its first one on.
    #[inline(always)]
    fn count(&mut self, nan: u16, g: usize, rows: usize) {
        let used = ((1u32 << rows.saturating_sub(g * LANES).min(LANES)) - 1) as u16;
        self.rows[g] |= nan & used;
        *self.count += u64::from((nan & used).count_ones());
    }
}

#[inline(always)]
fn finish<L: Checks>(finish: Finish<'_>, rows: usize, x: &mut [Lane], mut nans: Nans<'_>) {
    let Finish { ending, within } = finish;
    let groups = nans.rows.len();
    let ends = !ending.bias.is_empty() || ending.scale.is_some() || ending.rectify;
    let mut bounded = within.iter().flatten();
    match (bounded.next(), bounded.next()) {
        (None, _) => {
            for (j, x) in x.chunks_exact_mut(groups).enumerate() {
                for x in x {
                    end(L::load(x), ending, j).store(x);
                }
            }
        }
        (Some(bounds), None) if !ends => {
            for x in x.chunks_exact_mut(groups) {
                for (g, x) in x.iter_mut().enumerate() {
                    let (_, nan) = L::bound(bounds, x);
                    if nan != 0 {
                        nans.count(nan, g, rows);
                    }
                }
            }
        }
        _ => {
            for (j, x) in x.chunks_exact_mut(groups).enumerate() {
                for (g, x) in x.iter_mut().enumerate() {
                    stages::<L>(finish, j, x, |nan| nans.count(nan, g, rows));
                }
            }
        }
    }
}

/// The parts of output `j`, each with the bounds behind it.
#[inline(always)]
fn stages<L: Checks>(finish: Finish<'_>, j: usize, x: &mut Lane, mut count: impl FnMut(u16)) {
    let Finish { ending, within } = finish;
    let mut value = L::load(x);
    for (stage, bounds) in within.iter().enumerate() {
        value = match stage {
            0 => ending.bias.get(j).map_or(value, |&b| value.add(L::splat(b))),
            1 => ending.scale.map_or(value, |(alpha, beta)| L::splat(alpha[j]).fma(value, L::splat(beta[j]))),
            2 if ending.rectify => value.relu(),
            _ => value,
        };
        if let Some(bounds) = bounds {
            let mut lane = [0.0; LANES];
            value.store(&mut lane);
            let (_, nan) = L::bound(bounds, &mut lane);
            value = L::load(&lane);
            if nan != 0 {
                count(nan);
            }
        }
    }
    value.store(x);
}

kernels! {
    /// Ends the sums of a linear layer in place, within bounds; counts NaN of the first `rows` rows.
    ///
    /// # Shapes
    /// `x` `[J, R]`, `nans.rows` `[G]`.
    ///
    /// # Numerics
    /// The parts as in [`Kernels::dense`](crate::Kernels::dense), bounds as in [`Kernels::bound`](crate::Kernels::bound).
    pub fn finish(finished: Finish<'_>, rows: usize, x: &mut [Lane], nans: Nans<'_>) = finish;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Outside, Path};

    fn numbers(count: usize) -> Vec<Lane> {
        let mut state = 17u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 27 {
                0 => f32::NAN,
                1 => f32::from_bits(state.wrapping_mul(2_654_435_761)),
                2 => f32::INFINITY,
                _ => (state >> 8) as f32 / 2_097_152.0 - 4.0,
            }
        };
        (0..count).map(|_| std::array::from_fn(|_| next())).collect()
    }

    #[test]
    fn an_ending_within_bounds_is_its_parts_and_the_bounds_one_after_another() {
        let (outputs, groups, rows) = (7, 4, 50);
        let bias: Vec<f32> = (0..outputs).map(|j| j as f32 / 3.0 - 1.0).collect();
        let alpha: Vec<f32> = (0..outputs).map(|j| if j == 3 { f32::NAN } else { 1.5 - j as f32 }).collect();
        let beta = vec![0.25; outputs];
        let of = |low, high, clips| {
            let (below, above) = if clips { (low, high) } else { (0.0, 0.0) };
            Some(Bounds { low, high, below, above, nan: 0.0 })
        };
        let all = [of(-1.0, 2.0, true), of(-3.0, 1.5, false), of(0.0, 1.0, true), of(-0.5, 0.5, true)];
        for shown in 0..1 << STAGES {
            let within: [_; STAGES] =
                std::array::from_fn(|stage| all[stage].filter(|_| shown >> stage & 1 == 1));
            for (bias, scale, rectify) in [
                (&bias[..], Some((&alpha[..], &beta[..])), true),
                (&[][..], None, true),
                (&bias[..], None, false),
                (&[][..], Some((&alpha[..], &beta[..])), false),
            ] {
                for &path in Path::available() {
                    let kernels = Kernels::on(path).unwrap();
                    let start = numbers(outputs * groups);
                    let (mut wanted, mut count, mut flags) = (start.clone(), 0, vec![0u16; groups]);
                    let bound = |stage: usize, x: &mut Vec<Lane>, count: &mut u64, flags: &mut Vec<u16>| {
                        let Some(bounds) = within[stage] else { return };
                        for (at, lane) in x.iter().enumerate() {
                            for l in
                                (0..LANES).filter(|l| lane[*l].is_nan() && at % groups * LANES + l < rows)
                            {
                                flags[at % groups] |= 1 << l;
                            }
                        }
                        let mut outside = Outside::default();
                        kernels.bound(bounds, (groups, rows), x, &mut outside);
                        *count += outside.nan;
                    };
                    for (at, lane) in wanted.iter_mut().enumerate() {
                        *lane = lane.map(|x| bias.get(at / groups).map_or(x, |b| x + b));
                    }
                    bound(0, &mut wanted, &mut count, &mut flags);
                    if let Some((alpha, beta)) = scale {
                        let before = wanted.clone();
                        kernels.affine(alpha, beta, &before, &mut wanted);
                    }
                    bound(1, &mut wanted, &mut count, &mut flags);
                    if rectify {
                        let before = wanted.clone();
                        kernels.relu(&before, &mut wanted);
                    }
                    bound(2, &mut wanted, &mut count, &mut flags);
                    bound(3, &mut wanted, &mut count, &mut flags);
                    let (mut found, mut found_count, mut found_flags) = (start, 0, vec![0u16; groups]);
                    let ending = Ending { bias, scale, rectify };
                    let nans = Nans { count: &mut found_count, rows: &mut found_flags };
                    kernels.finish(Finish { ending, within }, rows, &mut found, nans);
                    assert_eq!((found_count, &found_flags), (count, &flags), "{path}, bounds {shown:04b}");
                    for (found, wanted) in found.as_flattened().iter().zip(wanted.as_flattened()) {
                        let nan = found.is_nan() && wanted.is_nan();
                        assert!(nan || found.to_bits() == wanted.to_bits(), "{path}, bounds {shown:04b}");
                    }
                    assert!(shown == 0 || count > 0);
                }
            }
        }
    }
}
