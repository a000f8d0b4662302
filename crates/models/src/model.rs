//! A model: its configuration, its parameters, and where they come from.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use radhard_kernels::{GlobalId, TableRow};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Config, ConfigError};
use crate::file::{DataMeta, TrainingMeta, Written};
use crate::graph::Graph;
use crate::parameter::{NumberFormat, Parameters, Start, Tensor};
use crate::random::{Purpose, Random};
use crate::table::TableFormat;

/// How parameters start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// As torchfm: Xavier-uniform tables, first-order weights from N(0, 1), torch's defaults elsewhere.
    #[serde(rename = "torchfm")]
    TorchFm,
    /// The same with first-order weights of zero.
    #[default]
    ZeroFirstOrder,
}

impl std::fmt::Display for Init {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::TorchFm => "torchfm",
            Self::ZeroFirstOrder => "zero-first-order",
        })
    }
}

/// A name that is no start.
#[derive(Debug, thiserror::Error)]
#[error("initialisation {0:?} is not known; known are torchfm, zero-first-order")]
pub struct UnknownInit(pub String);

impl FromStr for Init {
    type Err = UnknownInit;

    fn from_str(s: &str) -> Result<Self, UnknownInit> {
        match s {
            "torchfm" => Ok(Self::TorchFm),
            "zero-first-order" => Ok(Self::ZeroFirstOrder),
            _ => Err(UnknownInit(s.to_owned())),
        }
    }
}

/// A model in memory.
#[derive(Debug, Clone)]
pub struct Model {
    graph: Arc<Graph>,
    parameters: Parameters,
    /// How the parameters started, where they were not read.
    init: Option<Init>,
    /// How it was trained, if it was.
    pub training: Option<TrainingMeta>,
    /// What it was trained on, if known.
    pub data: Option<DataMeta>,
    /// The integrity of its file's tensors.
    pub(crate) written: Written,
}

/// The words of a parameter as rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRows {
    /// Words of one row.
    pub words: usize,
    /// The id of its first row.
    pub first: GlobalId,
}

impl TableRows {
    /// The row that an element of the parameter is part of.
    ///
    /// # Panics
    /// If it is beyond all rows that a table can have.
    #[inline]
    pub fn row(&self, element: u64) -> TableRow {
        let row = u32::try_from(element / self.words as u64);
        TableRow::new(row.unwrap_or_else(|_| panic!("element {element} is beyond all rows of a table")))
    }

    /// The id of that row.
    ///
    /// # Panics
    /// If it is beyond all rows that tables can have.
    #[inline]
    pub fn id(&self, element: u64) -> GlobalId {
        self.row(element).id(self.first)
    }
}

impl Model {
    /// An untrained model.
    ///
    /// # Errors
    /// If no model can have this configuration, or its tables are not f32.
    pub fn new(config: &Config, init: Init, seed: u64) -> Result<Self, ConfigError> {
        if config.tables != TableFormat::F32 {
            return Err(ConfigError::Tables { format: config.tables });
        }
        let mut model = Self::zeroed(config)?;
        model.init = Some(init);
        for (i, (spec, tensor)) in model.graph.specs().iter().zip(&mut model.parameters).enumerate() {
            start(tensor, spec.start, init, Random::new(seed, Purpose::Start(i)));
        }
        Ok(model)
    }

    /// A model whose parameters are all zero.
    pub(crate) fn zeroed(config: &Config) -> Result<Self, ConfigError> {
        let graph = Graph::of(config)?;
        let bytes = graph.specs().iter().map(|spec| spec.bytes() as u64).sum();
        radhard_memory::need(bytes)
            .map_err(|source| ConfigError::Memory { name: config.name.clone(), source })?;
        let parameters = Parameters::new(graph.specs().iter().map(Tensor::zeroed).collect());
        Ok(Self {
            graph: Arc::new(graph),
            parameters,
            init: None,
            training: None,
            data: None,
            written: Written::default(),
        })
    }

    /// Takes over how another model came to be.
    pub(crate) fn describe_as(&mut self, other: &Self) {
        self.init = other.init;
        self.training.clone_from(&other.training);
        self.data.clone_from(&other.data);
    }

    /// Architecture and hyper-parameters.
    pub fn config(&self) -> &Config {
        self.graph.config()
    }

    /// How the parameters started, where they were not read.
    pub fn init(&self) -> Option<Init> {
        self.init
    }

    /// The layers.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The tensors in state-dict order.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The tensors, to be changed in place.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Where the words of a parameter are rows of a table: its words per row, and the id of its first row among all
    /// fields'.
    pub fn table_of(&self, parameter: usize) -> Option<TableRows> {
        self.graph.tables().iter().find_map(|table| {
            let parts = if table.id.format == TableFormat::Int8Rowwise { 3 } else { 1 };
            let part = parameter.checked_sub(table.id.first).filter(|part| *part < parts)?;
            Some(TableRows {
                words: if part == 0 { table.width } else { 1 },
                first: self.graph.first_id(table),
            })
        })
    }

    /// The graph beside the tensors, to be changed in place.
    pub(crate) fn split_mut(&mut self) -> (&Graph, &mut Parameters) {
        (&self.graph, &mut self.parameters)
    }

    /// SHA-256 over names, formats, shapes and bytes, as lower-case hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for tensor in &self.parameters {
            let head = format!("{} {} {:?}\n", tensor.name(), tensor.format(), tensor.shape());
            hash.update((head.len() as u64).to_le_bytes());
            hash.update(head);
            hash.update(tensor.bytes());
        }
        hex(&hash.finalize())
    }

    /// SHA-256 of the tensors' bytes, one tensor after the other in the order of their names, as lower-case hexadecimal: what
    /// a model file has under `sha256`.
    pub fn sha256(&self) -> String {
        let mut tensors: Vec<_> = self.parameters.iter().collect();
        tensors.sort_unstable_by_key(|tensor| tensor.name());
        let mut hash = Sha256::new();
        for tensor in tensors {
            hash.update(tensor.bytes());
        }
        hex(&hash.finalize())
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn start(tensor: &mut Tensor, start: Start, init: Init, random: Random) {
    if tensor.format() == NumberFormat::I64 {
        if let Start::Constant(value) = start {
            tensor.i64s_mut().fill(value as i64);
        }
        return;
    }
    let fill = |values: &mut [f32], f: &(dyn Fn(u64) -> f64 + Sync)| {
        values.par_chunks_mut(1 << 14).enumerate().for_each(|(chunk, values)| {
            for (i, value) in values.iter_mut().enumerate() {
                *value = f(((chunk << 14) + i) as u64) as f32;
            }
        });
    };
    match start {
        Start::Uniform { bound } => {
            fill(tensor.f32s_mut(), &|i| (2.0 * random.uniform(i) - 1.0) * bound);
        }
        Start::Normal { deviation } => fill(tensor.f32s_mut(), &|i| deviation * random.normal(i)),
        Start::FirstOrder if init == Init::TorchFm => fill(tensor.f32s_mut(), &|i| random.normal(i)),
        Start::FirstOrder => tensor.f32s_mut().fill(0.0),
        Start::Constant(value) => tensor.f32s_mut().fill(value as f32),
    }
}
