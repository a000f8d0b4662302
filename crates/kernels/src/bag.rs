//! Sums of table rows, as many for each data row as its bag holds.

use crate::lanes::{LANES, Lane};

impl crate::Kernels {
    /// The sums of the table rows in the bags of data rows, into a feature-major block.
    ///
    /// # Shapes
    /// `read` writes the `[D]` values of a table row; `bags` R slices of table rows at most, `sum` and `row` `[D]` each as scratch, `out` `[D, R]`; data rows of the
    /// block without a slice become those of an empty bag.
    ///
    /// # Numerics
    /// Per dimension the rows of the bag are added in their order, from +0; an empty bag gives +0.
    ///
    /// # Panics
    /// If `read` does, for a row outside the table.
    pub fn bag_sums<'a>(
        self,
        read: impl Fn(u32, &mut [f32]),
        bags: impl Iterator<Item = &'a [u32]>,
        (sum, row): (&mut [f32], &mut [f32]),
        out: &mut [Lane],
    ) {
        let groups = out.len() / sum.len();
        out.as_flattened_mut().fill(0.0);
        for (at, bag) in bags.enumerate() {
            sum.fill(0.0);
            for &id in bag {
                read(id, row);
                for (sum, x) in sum.iter_mut().zip(row.iter()) {
                    *sum += x;
                }
            }
            let (group, lane) = (at / LANES, at % LANES);
            for (d, sum) in sum.iter().enumerate() {
                out[d * groups + group][lane] = *sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Table};

    #[test]
    fn a_bag_adds_its_rows_in_order_and_an_empty_one_is_zero() {
        let table = [1e8, 2.0, 1.0, 3.0, -1e8, f32::INFINITY];
        let bags: [&[u32]; 3] = [&[0, 1, 2], &[], &[1]];
        let mut out = [[7.0; LANES]; 2];
        let (mut sum, mut row) = ([0.0; 2], [0.0; 2]);
        let scratch = (&mut sum[..], &mut row[..]);
        let read = |id: u32, out: &mut [f32]| Table::F32(&table).row(id as usize, out);
        Kernels::detected().bag_sums(read, bags.into_iter(), scratch, &mut out);
        assert_eq!(out[0][..4], [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(out[1][..4], [f32::INFINITY, 0.0, 3.0, 0.0]);
    }
}
