//! The untrained models of section 5: shapes of the grid of table 1.

/// Length of the dense vector.
pub(crate) const DENSE_DIM: usize = 128;
/// Length of the sparse vector.
pub(crate) const SPARSE_DIM: u32 = 8192;

/// One dummy model with the sparsity of its data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DummyShape {
    /// Hidden layers of each MLP.
    pub depth: usize,
    /// Their width.
    pub hidden: usize,
    /// Width of an embedding row.
    pub embedding: usize,
    /// Share of set bits of the sparse vector.
    pub sparsity: f64,
}

impl DummyShape {
    /// The grid of table 1 over these widths.
    pub fn grid(widths: &[usize]) -> Vec<Self> {
        let mut grid = Vec::new();
        for depth in [1, 2] {
            for sparsity in [0.001, 0.01] {
                for &hidden in widths {
                    grid.extend(widths.iter().map(|&embedding| Self { depth, hidden, embedding, sparsity }));
                }
            }
        }
        grid
    }

    /// The name of the model: `dummy-d1-h64-e128`.
    pub fn name(&self) -> String {
        format!("dummy-d{}-h{}-e{}", self.depth, self.hidden, self.embedding)
    }

    /// Numbers in its parameters.
    pub fn parameters(&self) -> usize {
        let mlp = |inputs: usize, outputs: usize| {
            let mut widths = vec![inputs];
            widths.extend(std::iter::repeat_n(self.hidden, self.depth));
            widths.push(outputs);
            widths.windows(2).map(|pair| pair[0] * pair[1] + pair[1]).sum::<usize>()
        };
        let extracted = 32;
        SPARSE_DIM as usize * self.embedding + mlp(DENSE_DIM, extracted) + mlp(extracted + self.embedding, 1)
    }

    /// The name of its data: `dummy-0.001`.
    pub fn data(&self) -> String {
        format!("dummy-{}", self.sparsity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_that_of_table_1() {
        let grid = DummyShape::grid(&[64, 128, 256, 512]);
        assert_eq!(grid.len(), 64);
        assert_eq!(grid[0].parameters(), 8192 * 64 + 8192 + 64 + 2048 + 32 + 96 * 64 + 64 + 64 + 1);
        assert_eq!((grid[0].name().as_str(), grid[0].data().as_str()), ("dummy-d1-h64-e64", "dummy-0.001"));
    }
}
