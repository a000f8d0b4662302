//! Data for the untrained dummy model: dense vectors and multi-hot sparse ones, without labels.
use std::path::Path;

use rayon::prelude::*;

use crate::bags::Bags;
use crate::file::Columns;
use crate::meta::{IdRule, Meta};
use crate::prepare::{PrepareError, write_split};
use crate::progress::{Progress, Report, Stage};
use crate::random::{Draws, Stream, unit};
use crate::split::Split;
use crate::synth::need_rows;

const NAME: &str = "dummy";

/// What to draw; the defaults are those of the paper's dummy model, section 5.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DummyOptions {
    /// Rows.
    pub rows: u64,
    /// The seed of all values.
    pub seed: u64,
    /// Length of the dense vector, N.
    pub dense_dim: u32,
    /// Length of the sparse vector.
    pub sparse_dim: u32,
    /// The probability that a bit of the sparse vector is set.
    pub sparsity: f64,
    /// How parts are drawn; `None` leaves all rows in `train`.
    pub split: Option<Split>,
}

impl Default for DummyOptions {
    /// 10,000 rows, 128 dense values, 8,192 bits of which a thousandth is set.
    fn default() -> Self {
        Self { rows: 10_000, seed: 0, dense_dim: 128, sparse_dim: 8192, sparsity: 0.001, split: None }
    }
}

/// Draws dummy data and writes them as a prepared file.
///
/// Dense values are independent and standard normal, bits of the sparse vector independent of each other; a row's set bits
/// are its bag. There are no labels: all are stored as 0.
pub fn dummy(out: &Path, options: &DummyOptions, report: &mut Report<'_>) -> Result<Meta, PrepareError> {
    let &DummyOptions { rows, seed, dense_dim, sparse_dim, sparsity, split } = options;
    if rows == 0 {
        return Err(PrepareError::Empty { path: NAME.into() });
    }
    if rows > u64::from(u32::MAX) {
        return Err(PrepareError::TooManyRows);
    }
    if !(0.0..=1.0).contains(&sparsity) {
        return Err(PrepareError::Sparsity(sparsity));
    }
    if sparse_dim == 0 {
        return Err(PrepareError::NoSparseBits);
    }
    // A row has its dense values, an offset, and on average so many set bits, which are kept twice while they are put together; its
    // label and part are a byte each.
    let set_bits = (f64::from(sparse_dim) * sparsity).ceil() as u64;
    need_rows(rows, 4 * u64::from(dense_dim) + 8 + 24 + 8 * set_bits + 2)?;
    let dense = Draws::new(seed, Stream::Dense);
    let values = rows * u64::from(dense_dim);
    let numeric: Vec<f32> = (0..values).into_par_iter().map(|place| dense.normal(place) as f32).collect();
    let bits = Draws::new(seed, Stream::Bags);
    let set = |row: u64| -> Vec<u32> {
        let first = row * u64::from(sparse_dim);
        (0..sparse_dim).filter(|bit| unit(bits.bits(first + u64::from(*bit))) < sparsity).collect()
    };
    let bags: Vec<Vec<u32>> = (0..rows).into_par_iter().map(set).collect();
    report(Progress { stage: Stage::Drawing, done: rows, total: rows });
    let mut offsets = vec![0u64];
    let mut end = 0;
    offsets.extend(bags.iter().map(|bag| {
        end += bag.len() as u64;
        end
    }));
    let bags = Bags { dim: sparse_dim, offsets: offsets.into(), indices: bags.concat().into() };
    let mut meta = Meta::new(format!("{NAME}-{sparsity}"), Vec::new(), Vec::new());
    meta.numeric_names = (0..dense_dim).map(|value| format!("dense{value}")).collect();
    meta.source = format!("drawn by seed {seed}, sparsity {sparsity}");
    meta.stand_in = true;
    meta.ids = IdRule::Index;
    "never: there are no labels".clone_into(&mut meta.positive);
    meta.notes.push("stand-in: dense and sparse vectors are drawn, not read from a file".to_owned());
    meta.notes.push("dummy data have no labels; those stored are all 0".to_owned());
    let columns = Columns { numeric, labels: vec![0; rows as usize], bags: Some(bags), ..Columns::default() };
    write_split(out, meta, columns, split, report)
}
