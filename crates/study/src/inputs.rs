//! Models with few and many dense inputs beside the same sparse part: is a model with more of them more susceptible?

use radhard_data::synth::DummyOptions;
use radhard_data::{Columns, DataSet, Meta};
use radhard_models::Config;

use crate::audience::Audience;
use crate::study::{Study, StudyError};

/// Lengths of the dense vector.
pub(crate) const DENSE_DIMS: [usize; 4] = [16, 64, 256, 1024];
/// The models: the paper's dummy, and a DLRM.
pub(crate) const MODELS: [&str; 2] = ["dummy", "dlrm"];
/// Rates at which some chips fail and some do not.
pub(crate) const RATES: [f64; 3] = [1e-7, 1e-6, 1e-5];

/// Hidden width and width of an embedding row.
const WIDTH: usize = 64;
/// Rows of the dummy's table.
const SPARSE_DIM: u32 = 1024;
/// Tables of the DLRM, and rows of each.
const TABLES: [u32; 4] = [256; 4];
/// Rows of the data: the susceptibility of a sample needs few.
const ROWS: u64 = 1000;

/// The name of a model with so many dense inputs.
pub(crate) fn name(model: &str, inputs: usize) -> String {
    format!("{model}-n{inputs}")
}

/// The name of its data.
pub(crate) fn data(model: &str, inputs: usize) -> String {
    format!("inputs-{model}-n{inputs}")
}

impl Study<'_> {
    /// The models and their data; `None` where the audience ended it.
    pub(crate) fn inputs(&self, audience: &dyn Audience) -> Result<Option<()>, StudyError> {
        for inputs in DENSE_DIMS {
            if audience.stop() {
                return Ok(None);
            }
            let options = DummyOptions {
                rows: ROWS,
                dense_dim: inputs as u32,
                sparse_dim: SPARSE_DIM,
                sparsity: 0.01,
                ..self.dummy_options()
            };
            let drawn = self.dummy_data(&data("dummy", inputs), &options, audience)?;
            self.untrained(&name("dummy", inputs), &Config::dummy(1, WIDTH, WIDTH, inputs, SPARSE_DIM))?;
            let looked_up = self.data(&data("dlrm", inputs));
            if !looked_up.exists() {
                let drawn =
                    DataSet::open(&drawn).map_err(|source| StudyError::Data { path: drawn, source })?;
                let (columns, meta) = with_tables(&drawn);
                columns
                    .write(&looked_up, meta)
                    .map_err(|source| StudyError::File { path: looked_up, source })?;
            }
            let mut config = Config::new("dlrm", TABLES.to_vec());
            config.numeric = inputs;
            config.bottom_dims = vec![WIDTH];
            config.mlp_dims = vec![WIDTH];
            self.untrained(&name("dlrm", inputs), &config)?;
        }
        Ok(Some(()))
    }
}

/// The same dense vectors with a row of each table to look up and a label, both from a hash of the row's number.
fn with_tables(drawn: &DataSet) -> (Columns, Meta) {
    let rows = drawn.rows() as u64;
    let of = |row: u64, place: u64| mixed(row * (TABLES.len() as u64 + 1) + place);
    let indices = (0..rows)
        .flat_map(|row| {
            TABLES.iter().zip(0..).map(move |(dim, field)| (of(row, field) % u64::from(*dim)) as u32)
        })
        .collect();
    let labels = (0..rows).map(|row| (of(row, TABLES.len() as u64) % 2) as u8).collect();
    let names = (0..TABLES.len()).map(|field| format!("table{field}")).collect();
    let mut meta = Meta::new("tables", names, TABLES.to_vec());
    meta.numeric_names.clone_from(&drawn.meta().numeric_names);
    meta.stand_in = true;
    "drawn".clone_into(&mut meta.positive);
    let numeric = drawn.numeric().to_vec();
    (Columns { indices, numeric, labels, parts: vec![0; rows as usize], ..Columns::default() }, meta)
}

/// SplitMix64's finaliser (Steele, Lea & Flood 2014).
fn mixed(place: u64) -> u64 {
    let mut z = place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
