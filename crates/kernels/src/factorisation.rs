//! Sums over fields and the second-order term of factorisation machines.

use crate::lanes::{LANES, Lane, Lanes};
use crate::linear::{push, root};
use crate::row_sums::Block;

/// Levels of a stack that holds more fields than there can be.
const DEPTH: usize = 32;

#[inline(always)]
fn field_sum<L: Lanes>(x: &[Lane], out: &mut [Lane]) {
    let groups = out.len();
    let fields = x.len() / groups;
    let mut stack = [[L::splat(0.0)]; DEPTH];
    for (g, out) in out.iter_mut().enumerate() {
        for f in 0..fields {
            push(&mut stack, f, [L::load(&x[f * groups + g])]);
        }
        let [sum] = root(&stack, fields);
        sum.store(out);
    }
}

#[inline(always)]
fn looked_up_sums<L: Lanes>(
    table: &[f32],
    (offsets, indices, rows): (&[u32], &[u32], usize),
    out: &mut [Lane],
) {
    let fields = offsets.len();
    let ahead = Block { offsets, indices, rows };
    let mut stack = [[L::splat(0.0)]; DEPTH];
    let mut lane = [0.0; LANES];
    for (g, out) in out.iter_mut().enumerate() {
        let own: [&[u32]; LANES] = std::array::from_fn(|i| {
            let row = (g * LANES + i).min(rows - 1);
            &indices[row * fields..(row + 1) * fields]
        });
        for r in 0..LANES {
            ahead.ask(table, 1, g * LANES + r);
        }
        for (f, &offset) in offsets.iter().enumerate() {
            for (x, row) in lane.iter_mut().zip(&own) {
                *x = table[(offset + row[f]) as usize];
            }
            push(&mut stack, f, [L::load(&lane)]);
        }
        let [sum] = root(&stack, fields);
        sum.store(out);
    }
}

/// The trees of v and of v · v over the fields of one dimension, in one lane group.
#[inline(always)]
fn sums<L: Lanes>(
    v: &[Lane],
    stack: &mut [[L; 2]; DEPTH],
    fields: usize,
    stride: usize,
    at: usize,
) -> [L; 2] {
    for f in 0..fields {
        let x = L::load(&v[f * stride + at]);
        push(stack, f, [x, x.mul(x)]);
    }
    root(stack, fields)
}

#[inline(always)]
fn factorisation<L: Lanes>(v: &[Lane], fields: usize, out: &mut [Lane]) {
    let groups = out.len();
    let dim = v.len() / (groups * fields);
    let used = dim.min(LANES);
    let half = L::splat(0.5);
    let mut stack = [[L::splat(0.0); 2]; DEPTH];
    let mut lanes = [L::splat(0.0); LANES];
    let mut nodes = [[L::splat(0.0)]; 6];
    for (g, out) in out.iter_mut().enumerate() {
        for d in 0..dim {
            let [sum, squares] = sums(v, &mut stack, fields, dim * groups, d * groups + g);
            let term = sum.mul(sum).sub(squares);
            lanes[d % LANES] = if d < LANES { term } else { lanes[d % LANES].add(term) };
        }
        for (i, lane) in lanes[..used].iter().enumerate() {
            push(&mut nodes, i, [*lane]);
        }
        let [total] = root(&nodes, used);
        half.mul(total).store(out);
    }
}

#[inline(always)]
fn factorisation_gradient<L: Lanes>(v: &[Lane], fields: usize, dy: &[Lane], dv: &mut [Lane]) {
    let groups = dy.len();
    let stride = v.len() / fields;
    let mut stack = [[L::splat(0.0); 2]; DEPTH];
    for at in 0..stride {
        let [sum, _] = sums(v, &mut stack, fields, stride, at);
        let dy = L::load(&dy[at % groups]);
        for f in 0..fields {
            let i = f * stride + at;
            dy.fma(sum.sub(L::load(&v[i])), L::load(&dv[i])).store(&mut dv[i]);
        }
    }
}

kernels! {
    /// The sum over fields.
    ///
    /// # Shapes
    /// `x` [F, R], `out` [1, R].
    pub fn field_sum(x: &[Lane], out: &mut [Lane]) = field_sum;

    /// The sum over fields of one value per field, looked up in a table `[V]` of all fields by index and the field's
    /// offset; rows of the block behind the last one repeat it.
    ///
    /// # Shapes
    /// `rows` as in [`Kernels::row_sums`](crate::Kernels::row_sums), `out` [1, R].
    ///
    /// # Numerics
    /// As [`Kernels::field_sum`](crate::Kernels::field_sum) of the gathered values.
    pub fn looked_up_sums(table: &[f32], rows: (&[u32], &[u32], usize), out: &mut [Lane]) = looked_up_sums;

    /// ½ Σ_d[(Σ_f v)² − Σ_f v²].
    ///
    /// # Shapes
    /// `v` [F · D, R], `out` [1, R].
    pub fn factorisation(v: &[Lane], fields: usize, out: &mut [Lane]) = factorisation;

    /// Adds the gradient of [`Kernels::factorisation`](crate::Kernels::factorisation), dy · (Σ_f v − v).
    ///
    /// # Shapes
    /// `v`, `dv` [F · D, R], `dy` [1, R].
    pub fn factorisation_gradient(v: &[Lane], fields: usize, dy: &[Lane], dv: &mut [Lane])
        = factorisation_gradient;
}

#[cfg(test)]
mod tests {
    use crate::{Kernels, LANES, Path, Table};

    #[test]
    fn looked_up_sums_are_the_sums_of_what_a_gather_brings() {
        for dims in [vec![5], vec![40, 7], vec![3; 13]] {
            let offsets: Vec<u32> = (0..dims.len()).map(|f| dims[..f].iter().sum()).collect();
            let total: u32 = dims.iter().sum();
            let table: Vec<f32> = (0..total).map(|i| (i * 37 % 101) as f32 / 7.0 - 5.0).collect();
            let rows = 2 * LANES - 5;
            let index = |row: usize, f: usize| (row as u32 * 31 + f as u32 * 17) % dims[f];
            let indices: Vec<u32> = (0..rows)
                .flat_map(|row| (0..dims.len()).map(move |f| (row, f)))
                .map(|(r, f)| index(r, f))
                .collect();
            let ids: Vec<u32> = (0..dims.len())
                .flat_map(|f| (0..2 * LANES).map(move |row| (row, f)))
                .map(|(row, f)| offsets[f] + index(row.min(rows - 1), f))
                .collect();
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                let mut gathered = vec![[0.0; LANES]; 2 * dims.len()];
                for (ids, out) in ids.chunks_exact(2 * LANES).zip(gathered.chunks_exact_mut(2)) {
                    kernels.gather(Table::F32(&table), ids, 0, 1, out);
                }
                let (mut expected, mut found) = ([[0.0; LANES]; 2], [[0.0; LANES]; 2]);
                kernels.field_sum(&gathered, &mut expected);
                kernels.looked_up_sums(&table, (&offsets, &indices, rows), &mut found);
                assert_eq!(found, expected, "{} fields on {path}", dims.len());
            }
        }
    }
}
