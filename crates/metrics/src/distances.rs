//! How far a run is from golden, moved by the rows that change.

use crate::sparse_sum::{SparseWork, sparse_sum};
use crate::sum::{LANES, LEAF, join, pairwise};

/// The distances of a run from golden: |Δp| row by row, of which most are +0 as a rule.
///
/// Memory: 16 bytes a row that is not golden, and 20 in 512 rows.
#[derive(Debug)]
pub(crate) struct Distances {
    rows: usize,
    /// Rows whose distance is not +0, ascending.
    apart: Vec<(u32, f64)>,
    /// Where those of each leaf of the fixed tree begin, and where the last ones end.
    starts: Vec<u32>,
    /// Of each leaf the sum of squares, and the largest distance.
    leaves: Vec<Leaf>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Leaf {
    squares: f64,
    largest: f64,
}

/// Reusable memory for distances.
#[derive(Debug, Default)]
pub(crate) struct DistancesWork {
    leaves: Vec<Leaf>,
    sparse: SparseWork,
}

/// Adds up the distances of one leaf.
#[derive(Default)]
struct Adding {
    lanes: [f64; LANES],
    largest: f64,
}

impl Adding {
    fn add(&mut self, row: usize, distance: f64) {
        self.lanes[row % LANES] += distance * distance;
        self.largest = larger(self.largest, distance);
    }

    fn leaf(self) -> Leaf {
        Leaf { squares: pairwise(self.lanes), largest: self.largest }
    }
}

fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

impl Distances {
    /// Those of a run whose scores are numbers, as the golden ones are.
    pub(crate) fn of(run: &[f32], golden: &[f32]) -> Self {
        let mut of = Self { rows: run.len(), apart: Vec::new(), starts: vec![0], leaves: Vec::new() };
        let mut row = 0;
        for (run, golden) in run.chunks(LEAF).zip(golden.chunks(LEAF)) {
            let mut adding = Adding::default();
            for (p, g) in run.iter().zip(golden) {
                let distance = (f64::from(*p) - f64::from(*g)).abs();
                if distance > 0.0 {
                    adding.add(row, distance);
                    of.apart.push((row as u32, distance));
                }
                row += 1;
            }
            of.leaves.push(adding.leaf());
            of.starts.push(of.apart.len() as u32);
        }
        of
    }

    /// The sum of the squares and the largest distance once some rows have others: each with its distance, ascending, +0 for none.
    ///
    /// Terms that are +0 change no sum, so only those of the leaves with changed rows are added.
    pub(crate) fn with(
        &self,
        changed: impl Iterator<Item = (usize, f64)> + Clone,
        work: &mut DistancesWork,
    ) -> (f64, f64) {
        if self.apart.is_empty() {
            let largest = changed.clone().fold(0.0, |largest, (_, distance)| larger(largest, distance));
            let squares = changed.map(|(row, distance)| (row, distance * distance));
            return (sparse_sum(self.rows, squares, &mut work.sparse), largest);
        }
        let leaves = &mut work.leaves;
        leaves.clear();
        leaves.extend_from_slice(&self.leaves);
        let mut changed = changed.peekable();
        while let Some((first, _)) = changed.peek() {
            let leaf = first / LEAF;
            let [start, end] = [leaf, leaf + 1].map(|at| self.starts[at] as usize);
            let mut others = self.apart[start..end].iter().peekable();
            let mut adding = Adding::default();
            while let Some((row, distance)) = changed.next_if(|(row, _)| row / LEAF == leaf) {
                while let Some((other, distance)) = others.next_if(|(other, _)| (*other as usize) < row) {
                    adding.add(*other as usize, *distance);
                }
                others.next_if(|(other, _)| *other as usize == row);
                adding.add(row, distance);
            }
            others.for_each(|(other, distance)| adding.add(*other as usize, *distance));
            leaves[leaf] = adding.leaf();
        }
        let largest = leaves.iter().fold(0.0, |largest, leaf| larger(largest, leaf.largest));
        (join(leaves.iter().map(|leaf| leaf.squares)), largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sum::tree_sum;

    #[test]
    fn changed_distances_add_up_as_all_of_them_do() {
        let mut work = DistancesWork::default();
        for (rows, every) in [(1_usize, 1_usize), (511, 3), (513, 5), (5000, 2), (5000, 700), (5000, 6000)] {
            let golden: Vec<f32> = (0..rows).map(|row| (row * 37 % 101) as f32 / 101.0).collect();
            let run: Vec<f32> = (0..rows)
                .map(|row| if row % every == every - 1 { (row * 53 % 97) as f32 / 97.0 } else { golden[row] })
                .collect();
            let distances = Distances::of(&run, &golden);
            for step in [1, 2, 7, 600, 4999, 10_000] {
                let mut all: Vec<f64> =
                    run.iter().zip(&golden).map(|(p, g)| (f64::from(*p) - f64::from(*g)).abs()).collect();
                let changed: Vec<(usize, f64)> =
                    (step / 2..rows).step_by(step).map(|row| (row, (row % 3) as f64 / 7.0)).collect();
                for (row, distance) in &changed {
                    all[*row] = *distance;
                }
                let (squares, largest) = distances.with(changed.iter().copied(), &mut work);
                assert_eq!(
                    squares.to_bits(),
                    tree_sum(rows, |i| all[i] * all[i]).to_bits(),
                    "{rows} {every} {step}"
                );
                assert_eq!(largest, all.iter().copied().fold(0.0, f64::max), "{rows} {every} {step}");
            }
        }
    }
}
