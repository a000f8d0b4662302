//! What shapes a model: its architecture, fields and widths.

use radhard_kernels::{GlobalId, TableRow};
use radhard_memory::TooLittleMemory;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::architecture::{architecture, architectures};
use crate::table::TableFormat;

/// Architecture and hyper-parameters of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The architecture's name, as in [`architectures`].
    pub name: String,
    /// The number of values of each categorical field.
    pub field_dims: Vec<u32>,
    /// The number of numeric inputs.
    #[serde(default)]
    pub numeric: usize,
    /// The width of an embedding row.
    pub embed_dim: usize,
    /// The widths of the hidden layers.
    #[serde(default)]
    pub mlp_dims: Vec<usize>,
    /// The share of hidden values dropped in training.
    #[serde(default)]
    pub dropout: f64,
    /// The widths of the hidden layers below the interaction (`dlrm`).
    #[serde(default)]
    pub bottom_dims: Vec<usize>,
    /// The number of cross layers (`dcn`).
    #[serde(default = "three")]
    pub cross_layers: usize,
    /// The width of the attention layer (`afm`).
    #[serde(default = "sixteen")]
    pub attention_dim: usize,
    /// The format that tables are stored in.
    #[serde(default, skip_serializing_if = "TableFormat::is_f32")]
    pub tables: TableFormat,
}

fn three() -> usize {
    3
}

fn sixteen() -> usize {
    16
}

/// A configuration that no model can have.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The architecture is not in the table.
    #[error("model {name:?} is not known; known are {}", names().join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
    },
    /// No categorical field, where the model needs one.
    #[error("field dims are empty; {name} needs at least one categorical field")]
    NoFields {
        /// The architecture.
        name: String,
    },
    /// A model that reads bags of one table has one field.
    #[error("{fields} field dims given, but {name} has one: the length of its sparse vector")]
    Bags {
        /// The architecture.
        name: String,
        /// The number of fields.
        fields: usize,
    },
    /// A field without values.
    #[error("field dim {field} is 0; every field needs at least one value")]
    EmptyField {
        /// The position of the field.
        field: usize,
    },
    /// More table rows than an index can name.
    #[error("field dims add up to {rows}; a table has at most {} rows", u32::MAX)]
    TooManyRows {
        /// The sum of the field dims.
        rows: u64,
    },
    /// A width of zero or beyond reason.
    #[error("{what} is {value}; it has to be in [1, 65536]")]
    Width {
        /// Which width.
        what: String,
        /// Its value.
        value: usize,
    },
    /// Too many layers.
    #[error("{what} is {value}; at most 64 are supported")]
    Depth {
        /// Which layers.
        what: String,
        /// Their number.
        value: usize,
    },
    /// A dropout share that is no share.
    #[error("dropout {value} is outside [0, 1)")]
    Dropout {
        /// The share.
        value: f64,
    },
    /// Numeric inputs for a model that takes none, or none for one that does.
    #[error("{numeric} numeric inputs given, but {name} takes {}", numeric_rule(name))]
    Numeric {
        /// The architecture.
        name: String,
        /// The number of numeric inputs.
        numeric: usize,
    },
    /// Tables that no model starts with.
    #[error("tables of an untrained model are f32, not {format}; convert it")]
    Tables {
        /// The format asked for.
        format: TableFormat,
    },
    /// More memory than there is.
    #[error("the parameters of {name}: {source}")]
    Memory {
        /// The architecture.
        name: String,
        /// The bytes needed and the bytes there.
        source: TooLittleMemory,
    },
    /// More bytes than the address space.
    #[error("the parameters of {name} are more than an address space can hold")]
    TooLarge {
        /// The architecture.
        name: String,
    },
}

fn numeric_rule(name: &str) -> &'static str {
    if architecture(name).is_some_and(crate::architecture::Architecture::takes_numeric) {
        "at least one"
    } else {
        "categorical fields only"
    }
}

fn names() -> Vec<&'static str> {
    architectures().iter().map(|a| a.name()).collect()
}

impl Config {
    /// The literature's defaults: embedding 16, MLP (16, 16), dropout 0.2.
    pub fn new(name: &str, field_dims: Vec<u32>) -> Self {
        Self {
            name: name.to_owned(),
            field_dims,
            numeric: 0,
            embed_dim: 16,
            mlp_dims: vec![16, 16],
            dropout: 0.2,
            bottom_dims: Vec::new(),
            cross_layers: three(),
            attention_dim: sixteen(),
            tables: TableFormat::F32,
        }
    }

    /// The dummy model of the paper's section 5.1: `depth` hidden layers of a width in either MLP.
    pub fn dummy(depth: usize, hidden: usize, embed_dim: usize, dense_dim: usize, sparse_dim: u32) -> Self {
        Self {
            numeric: dense_dim,
            embed_dim,
            mlp_dims: vec![hidden; depth],
            dropout: 0.0,
            ..Self::new("dummy", vec![sparse_dim])
        }
    }

    /// Whether the model reads a bag of rows of one table instead of one row per field.
    pub fn takes_bags(&self) -> bool {
        architecture(&self.name).is_some_and(crate::architecture::Architecture::takes_bags)
    }

    /// Whether scores are probabilities; else they are raw outputs.
    pub fn answers_probabilities(&self) -> bool {
        architecture(&self.name).is_none_or(crate::architecture::Architecture::answers_probabilities)
    }

    /// The number of categorical fields.
    pub fn fields(&self) -> usize {
        self.field_dims.len()
    }

    /// The rows of the concatenated table.
    pub fn table_rows(&self) -> usize {
        self.field_dims.iter().map(|&d| d as usize).sum()
    }

    /// The first table row of each field.
    ///
    /// # Panics
    /// If the dims are more than [`check`](Self::check) lets pass.
    pub fn offsets(&self) -> Vec<GlobalId> {
        let mut next = GlobalId::FIRST;
        self.field_dims
            .iter()
            .map(|&dim| {
                let start = next;
                next = TableRow::new(dim).id(start);
                start
            })
            .collect()
    }

    /// Whether a model of this configuration can be.
    ///
    /// # Errors
    /// The first rule that is broken, with the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        let name = self.name.clone();
        let Some(architecture) = architecture(&self.name) else {
            return Err(ConfigError::UnknownModel { name });
        };
        if self.field_dims.is_empty() {
            return Err(ConfigError::NoFields { name });
        }
        if let Some(field) = self.field_dims.iter().position(|&d| d == 0) {
            return Err(ConfigError::EmptyField { field });
        }
        if architecture.takes_bags() && self.field_dims.len() != 1 {
            return Err(ConfigError::Bags { name, fields: self.field_dims.len() });
        }
        let rows: u64 = self.field_dims.iter().map(|&d| u64::from(d)).sum();
        if rows > u64::from(u32::MAX) {
            return Err(ConfigError::TooManyRows { rows });
        }
        if architecture.takes_numeric() != (self.numeric > 0) {
            return Err(ConfigError::Numeric { name, numeric: self.numeric });
        }
        let width = |what: &str, value: usize| {
            if (1..=65536).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::Width { what: what.to_owned(), value })
            }
        };
        width("embedding dim", self.embed_dim)?;
        width("attention dim", self.attention_dim)?;
        if self.numeric > 0 {
            width("numeric inputs", self.numeric)?;
        }
        for (what, dims) in [("mlp", &self.mlp_dims), ("bottom", &self.bottom_dims)] {
            for (i, &dim) in dims.iter().enumerate() {
                width(&format!("{what} dim {i}"), dim)?;
            }
        }
        for (what, value) in [
            ("mlp layers", self.mlp_dims.len()),
            ("bottom layers", self.bottom_dims.len()),
            ("cross layers", self.cross_layers),
            ("fields", self.fields() / 64),
        ] {
            if value > 64 {
                return Err(ConfigError::Depth { what: what.to_owned(), value });
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConfigError::Dropout { value: self.dropout });
        }
        let elements = rows.checked_mul(self.embed_dim as u64 * 4).filter(|&n| n < 1 << 46);
        elements.map(|_| ()).ok_or(ConfigError::TooLarge { name })
    }
}
