//! Reading of looked-up words with a check: bounds on magnitudes, bits that never change, sums of rows.
//!
//! Words are the bits of f32 numbers in a feature-major block `[F · D, R]`. Looking for bad words writes nothing, so that the
//! usual case, that there is none, costs a pass over words in cache; only then are they replaced, in place.

use crate::id::TableRow;
use crate::lanes::{LANES, Lane, Lanes};
use crate::words::{Bits, Checks};

/// The bits of an f32 below its sign: magnitudes are in the order of these, NaN above all.
const MAGNITUDE: u32 = !0 >> 1;

/// The words of sixteen data rows.
type Words = [u32; LANES];

/// A limit for each table row, or one for all.
#[derive(Debug, Clone, Copy)]
pub enum Limits<'a> {
    /// The largest magnitude of every word, as bits.
    All(u32),
    /// That of the words of each table row `[V]`, and what was looked up: rows `[F, R]`, F.
    Rows(&'a [u32], (&'a [TableRow], usize)),
}

/// Takes what `each` makes of the words of each looked-up row, one after another, four groups side by side, and gives it to `then`
/// with the place of the lookup.
#[inline(always)]
fn fold_rows<B: Bits>(
    (rows, fields): (&[TableRow], usize),
    x: &[Lane],
    each: impl Fn(B, B) -> B,
    mut then: impl FnMut(usize, B, &Words),
) {
    let (ids, _) = TableRow::numbers(rows).as_chunks();
    let groups = ids.len() / fields;
    let width = x.len() / groups / fields;
    for (field, x) in x.chunks_exact(width * groups).enumerate() {
        let mut first = 0;
        while first + 4 <= groups {
            let mut all = [B::splat(0); 4];
            for x in x[first..].chunks(groups) {
                for g in 0..4 {
                    all[g] = each(all[g], B::load(&x[g]));
                }
            }
            for g in 0..4 {
                let at = field * groups + first + g;
                then(at, all[g], &ids[at]);
            }
            first += 4;
        }
        for g in first..groups {
            let all = x[g..].iter().step_by(groups).fold(B::splat(0), |all, x| each(all, B::load(x)));
            then(field * groups + g, all, &ids[field * groups + g]);
        }
    }
}

/// The largest magnitude in each lane.
#[inline(always)]
fn most<'a, L: Checks>(x: impl Iterator<Item = &'a Lane>) -> L::Bits {
    let magnitude = L::Bits::splat(MAGNITUDE);
    let mut most = L::Bits::splat(0);
    for x in x {
        most = most.max(L::Bits::load(x).and(magnitude));
    }
    most
}

#[inline(always)]
fn beyond_limits<L: Checks>(limits: Limits<'_>, x: &[Lane], found: &mut bool) {
    *found = match limits {
        Limits::All(limit) => most::<L>(x.iter()).above(L::Bits::splat(limit)) != 0,
        Limits::Rows(limits, lookups) => {
            let magnitude = L::Bits::splat(MAGNITUDE);
            let mut beyond = 0;
            let largest = |most: L::Bits, x: L::Bits| most.max(x.and(magnitude));
            fold_rows(lookups, x, largest, |_, most, ids| {
                beyond |= most.above(L::Bits::gather(limits, ids));
            });
            beyond != 0
        }
    };
}

#[inline(always)]
fn limit_lane(limits: &Words, clamp: bool, x: &mut Lane, changed: &mut Words) {
    for l in 0..LANES {
        let word = x[l].to_bits();
        let magnitude = word & MAGNITUDE;
        let bad = magnitude > limits[l];
        let clamped =
            if clamp && magnitude <= f32::INFINITY.to_bits() { word & !MAGNITUDE | limits[l] } else { 0 };
        x[l] = f32::from_bits(if bad { clamped } else { word });
        changed[l] += u32::from(bad);
    }
}

#[inline(always)]
fn limit<L: Lanes>(limits: Limits<'_>, clamp: bool, x: &mut [Lane], changed: &mut [Words]) {
    let groups = changed.len();
    match limits {
        Limits::All(limit) => {
            for (at, x) in x.iter_mut().enumerate() {
                limit_lane(&[limit; LANES], clamp, x, &mut changed[at % groups]);
            }
        }
        Limits::Rows(limits, (rows, fields)) => {
            let width = x.len() / groups / fields;
            let (ids, _) = TableRow::numbers(rows).as_chunks::<LANES>();
            for (at, ids) in ids.iter().enumerate() {
                let limits = ids.map(|id| limits[id as usize]);
                let (field, g) = (at / groups, at % groups);
                for x in x[field * width * groups + g..].iter_mut().step_by(groups).take(width) {
                    limit_lane(&limits, clamp, x, &mut changed[g]);
                }
            }
        }
    }
}

#[inline(always)]
fn force(word: u32, always: u32, sometimes: u32) -> u32 {
    (word | always) & sometimes
}

#[inline(always)]
fn unlike_forced<L: Checks>(always: u32, sometimes: u32, x: &[Lane], found: &mut bool) {
    let (always, sometimes) = (L::Bits::splat(always), L::Bits::splat(sometimes));
    let mut unlike = L::Bits::splat(0);
    for x in x {
        let x = L::Bits::load(x);
        unlike = unlike.or(x.xor(x.or(always).and(sometimes)));
    }
    *found = unlike.differs(L::Bits::splat(0)) != 0;
}

#[inline(always)]
fn forced<L: Lanes>(always: u32, sometimes: u32, x: &mut [Lane], changed: &mut [Words]) {
    let groups = changed.len();
    for (at, x) in x.iter_mut().enumerate() {
        let changed = &mut changed[at % groups];
        for l in 0..LANES {
            let word = x[l].to_bits();
            let read = force(word, always, sometimes);
            x[l] = f32::from_bits(read);
            changed[l] += u32::from(read != word);
        }
    }
}

#[inline(always)]
fn unlike_sums<L: Checks>(sums: &[u32], lookups: (&[TableRow], usize), x: &[Lane], failed: &mut [u16]) {
    let add = |total: L::Bits, x: L::Bits| total.add(x);
    fold_rows(lookups, x, add, |at, total, ids| {
        failed[at] = total.differs(L::Bits::gather(sums, ids));
    });
}

kernels! {
    /// Whether a word's magnitude is above its limit; that of NaN is above every one.
    ///
    /// # Panics
    /// If a table row has no limit.
    pub fn beyond_limits(limits: Limits<'_>, x: &[Lane], found: &mut bool) = beyond_limits;

    /// Replaces words beyond their limits by zero, or by the limit with their sign where `clamp` and they are no NaN; adds to
    /// `changed` `[R]` how many of each data row.
    ///
    /// # Panics
    /// If a table row has no limit.
    pub fn limit(limits: Limits<'_>, clamp: bool, x: &mut [Lane], changed: &mut [[u32; LANES]]) = limit;

    /// Whether a word lacks a bit of `always`, or has one that is not in `sometimes`.
    pub fn unlike_forced(always: u32, sometimes: u32, x: &[Lane], found: &mut bool) = unlike_forced;

    /// Gives every word the bits of `always` and takes those that are not in `sometimes`; adds to `changed` `[R]` how many words
    /// of each data row were otherwise.
    pub fn forced(always: u32, sometimes: u32, x: &mut [Lane], changed: &mut [[u32; LANES]]) = forced;

    /// One bit for each looked-up row whose words don't add up, modulo 2^32, to the sum of its table row.
    ///
    /// # Shapes
    /// `sums` `[V]`, `lookups` = (rows `[F, R]`, F), `x` `[F · D, R]`, `failed` `[F, G]` with bit l of data row l of a group.
    ///
    /// # Panics
    /// If there is no such table row.
    pub fn unlike_sums(sums: &[u32], lookups: (&[TableRow], usize), x: &[Lane], failed: &mut [u16]) = unlike_sums;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    const SHAPE: (usize, usize, usize) = (3, 5, 2);

    /// Any bits, NaN, infinities and subnormals among them; the table row of each lookup.
    fn block(seed: u64) -> (Vec<Lane>, Vec<u32>) {
        let (fields, width, groups) = SHAPE;
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        let x = (0..fields * width * groups)
            .map(|_| {
                std::array::from_fn(|_| {
                    f32::from_bits(match next() % 16 {
                        0 => 0x7fc0_0001 | next() & 0x8000_0000,
                        1 => 0x7f80_0000 | next() & 0x8000_0000,
                        2 => next() & 0x807f_ffff,
                        3 => next(),
                        _ => next() & 0xbfff_ffff,
                    })
                })
            })
            .collect();
        let ids = (0..fields * groups * LANES).map(|_| next() % 9).collect();
        (x, ids)
    }

    /// The word of a data row, and its table row.
    fn each(x: &[Lane], ids: &[u32], mut see: impl FnMut(usize, usize, u32, u32)) {
        let (fields, width, groups) = SHAPE;
        for field in 0..fields {
            for d in 0..width {
                for row in 0..groups * LANES {
                    let lane = &x[(field * width + d) * groups + row / LANES];
                    let id = ids[field * groups * LANES + row];
                    see(row, field, id, lane[row % LANES].to_bits());
                }
            }
        }
    }

    fn words(x: &[Lane], ids: &[u32]) -> Vec<u32> {
        let mut all = Vec::new();
        each(x, ids, |_, _, _, word| all.push(word));
        all
    }

    #[test]
    fn words_beyond_limits_are_found_and_replaced_as_one_by_one() {
        let table: Vec<u32> = (0..9).map(|id| (0.01f32 * f32::powi(9.0, id)).to_bits()).collect();
        for seed in 0..20 {
            let (x, ids) = block(seed);
            for (clamp, by_row) in [(false, false), (false, true), (true, false), (true, true)] {
                let limits = if by_row {
                    Limits::Rows(&table, (TableRow::all(&ids), SHAPE.0))
                } else {
                    Limits::All(table[4])
                };
                let (mut wanted, mut counts) = (Vec::new(), vec![[0; LANES]; SHAPE.2]);
                each(&x, &ids, |row, _, id, word| {
                    let limit = f32::from_bits(if by_row { table[id as usize] } else { table[4] });
                    let value = f32::from_bits(word);
                    let passes = value.abs() <= limit;
                    let other = if clamp && !value.is_nan() { limit.copysign(value) } else { 0.0 };
                    wanted.push(if passes { word } else { other.to_bits() });
                    counts[row / LANES][row % LANES] += u32::from(!passes);
                });
                for &path in Path::available() {
                    let kernels = Kernels::on(path).unwrap();
                    let (mut read, mut changed, mut found) = (x.clone(), vec![[0; LANES]; SHAPE.2], false);
                    kernels.beyond_limits(limits, &x, &mut found);
                    assert!(found, "{path}");
                    kernels.limit(limits, clamp, &mut read, &mut changed);
                    assert_eq!(words(&read, &ids), wanted, "{path}, seed {seed}");
                    assert_eq!(changed, counts, "{path}, seed {seed}");
                    kernels.beyond_limits(limits, &read, &mut found);
                    assert!(!found, "{path}, seed {seed}: nothing is beyond its limit after reading");
                }
            }
        }
    }

    #[test]
    fn one_word_beyond_its_limit_is_found_wherever_it_is() {
        let (fields, width, groups) = SHAPE;
        let ids = vec![3; fields * groups * LANES];
        let table = [1.0f32.to_bits(); 4];
        for at in 0..fields * width * groups {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.000_000_1, -1.000_000_1] {
                let mut x = vec![[-1.0; LANES]; fields * width * groups];
                x[at][at % LANES] = bad;
                for &path in Path::available() {
                    for limits in [Limits::All(table[3]), Limits::Rows(&table, (TableRow::all(&ids), fields))]
                    {
                        let mut found = false;
                        Kernels::on(path).unwrap().beyond_limits(limits, &x, &mut found);
                        assert!(found, "{path}: {bad} at {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn forced_bits_are_found_and_forced_as_one_by_one() {
        let (always, sometimes) = (0x0100_0000, !0x4000_0001);
        for seed in 0..20 {
            let (x, ids) = block(seed);
            let (mut wanted, mut counts) = (Vec::new(), vec![[0; LANES]; SHAPE.2]);
            each(&x, &ids, |row, _, _, word| {
                let read = (word | always) & sometimes;
                wanted.push(read);
                counts[row / LANES][row % LANES] += u32::from(read != word);
            });
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let (mut read, mut changed, mut found) = (x.clone(), vec![[0; LANES]; SHAPE.2], false);
                kernels.unlike_forced(always, sometimes, &x, &mut found);
                assert!(found, "{path}");
                kernels.forced(always, sometimes, &mut read, &mut changed);
                assert_eq!(words(&read, &ids), wanted, "{path}, seed {seed}");
                assert_eq!(changed, counts, "{path}, seed {seed}");
                kernels.unlike_forced(always, sometimes, &read, &mut found);
                assert!(!found, "{path}, seed {seed}");
            }
        }
    }

    #[test]
    fn rows_that_do_not_add_up_fail_and_no_others() {
        let (fields, width, groups) = SHAPE;
        let row: Vec<u32> = (0..9u32).map(|id| id.wrapping_mul(0x9e37_79b9)).collect();
        let sums: Vec<u32> = row.iter().map(|word| word.wrapping_mul(width as u32)).collect();
        let (_, ids) = block(5);
        let mut x = vec![[0.0; LANES]; fields * width * groups];
        for (at, lane) in x.iter_mut().enumerate() {
            let ids = &ids[(at / groups / width * groups + at % groups) * LANES..][..LANES];
            *lane = std::array::from_fn(|l| f32::from_bits(row[ids[l] as usize]));
        }
        for bit in 0..32 {
            let mut hit = x.clone();
            hit[(width + 2) * groups + 1][bit % LANES] =
                f32::from_bits(hit[(width + 2) * groups + 1][bit % LANES].to_bits() ^ 1 << bit);
            for &path in Path::available() {
                let mut failed = vec![0xffff; fields * groups];
                Kernels::on(path).unwrap().unlike_sums(&sums, (TableRow::all(&ids), fields), &x, &mut failed);
                assert_eq!(failed, [0; 6], "{path}");
                Kernels::on(path).unwrap().unlike_sums(
                    &sums,
                    (TableRow::all(&ids), fields),
                    &hit,
                    &mut failed,
                );
                assert_eq!(failed, [0, 0, 0, 1 << (bit % LANES), 0, 0], "{path}, bit {bit}");
            }
        }
    }
}
