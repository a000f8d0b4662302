//! The models that every law runs over: each architecture once, with three fields of unequal sizes, and the dummies at both of
//! the paper's depths. Laws of other crates take this list by its path, so that no law leaves a model out.

use radhard_data::{Bags, RowsView};
use radhard_models::{Config, Init, Model, architectures};

/// A model with rows that it can be evaluated on.
pub(crate) struct LawModel {
    /// The architecture; of a dummy with its depth.
    pub(crate) name: String,
    /// The model, untrained.
    pub(crate) model: Model,
    /// `[rows, F]`.
    pub(crate) indices: Vec<u32>,
    /// `[rows, N]`.
    pub(crate) numeric: Vec<f32>,
    /// `[rows]`, of both classes.
    pub(crate) labels: Vec<u8>,
    /// The bags that a dummy reads in place of indices.
    pub(crate) bags: Option<Bags<'static>>,
}

/// Sizes of the fields: unequal, and the first is neither the smallest nor the largest.
const DIMS: [u32; 3] = [40, 90, 12];

/// Rows of a dummy's table.
const TABLE: u32 = 60;

impl LawModel {
    fn new(name: String, config: &Config, rows: usize) -> Self {
        let model = Model::new(config, Init::TorchFm, 11).expect("a configuration that can be");
        // Some values are read by most rows, some by none.
        let row = |row: u32| {
            [(row * 13 + 5) % 37, row * row % 71, if row.is_multiple_of(3) { row % 11 } else { 0 }]
        };
        let mut indices: Vec<u32> = (0..rows as u32).flat_map(row).collect();
        let bags = config.takes_bags().then(|| {
            let (mut offsets, mut of_rows) = (vec![0], Vec::new());
            for row in 0..rows as u32 {
                let mut bag: Vec<u32> = (0..row % 4).map(|at| (row * 7 + at * 17) % (TABLE - 9)).collect();
                bag.sort_unstable();
                of_rows.extend(bag);
                offsets.push(of_rows.len() as u64);
            }
            indices.clear();
            Bags { dim: TABLE, offsets: offsets.into(), indices: of_rows.into() }
        });
        let numeric = (0..rows * config.numeric).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let labels = (0..rows).map(|row| u8::from(row * 7 % 5 < 2)).collect();
        Self { name, model, indices, numeric, labels, bags }
    }

    /// The rows.
    pub(crate) fn rows(&self) -> RowsView<'_> {
        RowsView {
            fields: if self.bags.is_some() { 0 } else { self.model.config().fields() },
            numeric_width: self.model.config().numeric,
            indices: &self.indices,
            numeric: &self.numeric,
            labels: &self.labels,
            bags: self.bags.as_ref().map(Bags::view),
        }
    }
}

/// Every model, with so many rows each.
pub(crate) fn law_models(rows: usize) -> Vec<LawModel> {
    let mut all = Vec::new();
    for architecture in architectures() {
        let name = architecture.name();
        if architecture.takes_bags() {
            for depth in [1, 2] {
                let config = Config::dummy(depth, 20, 16, 6, TABLE);
                all.push(LawModel::new(format!("{name} of depth {depth}"), &config, rows));
            }
            continue;
        }
        let mut config = Config::new(name, DIMS.to_vec());
        if architecture.takes_numeric() {
            (config.numeric, config.bottom_dims, config.mlp_dims) = (4, vec![8], vec![9, 6]);
        }
        all.push(LawModel::new(name.to_owned(), &config, rows));
    }
    all
}
