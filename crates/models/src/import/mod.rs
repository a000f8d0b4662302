//! Weights of other programs: safetensors, torch's .pt and .pth, NumPy's .npz.
//!
//! Files are parsed and never executed: the pickle in a torch file is read as data, the classes it names are not looked
//! up, and what is no plain tensor is refused by its name. What a file may become in memory is bounded by its length.

mod archive;
mod budget;
mod element;
mod npz;
mod pickle;
mod pickle_error;
mod pickled;
mod strided;
mod torch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use radhard_memory::{MapError, Mapped};
use safetensors::{Dtype, SafeTensors};
use thiserror::Error;

pub use archive::ArchiveError;
pub use budget::TooMuch;
pub use element::Element;
pub use npz::NpyError;
pub use pickle_error::PickleError;

use crate::config::Config;
use crate::file::{NamedTensor, StateDictError};
use crate::model::Model;
use crate::parameter::NumberFormat;
use archive::Archive;
use budget::Budget;
use strided::Strided;

/// Whether f16, bf16 and f64 tensors become f32, the float that models have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Convert {
    /// They are an error.
    #[default]
    No,
    /// They are converted: f16 and bf16 exactly, f64 to the nearest.
    Yes,
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct StateTensor {
    /// The name in the state dict.
    pub name: String,
    /// The extent of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// The number format.
    pub element: Element,
    /// Little endian, row major, contiguous.
    pub bytes: Vec<u8>,
}

/// The tensors of a file in its order, each name once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateDict {
    tensors: Vec<StateTensor>,
    names: BTreeSet<String>,
}

/// What torch's wrappers put before the names of the module in them.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Weights that cannot be imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// No format that is read.
    #[error("neither safetensors nor a zip archive of torch.save or numpy.savez")]
    UnknownFormat,
    /// A torch file from before 1.6, or of its old writer.
    #[error(
        "a torch file of the old format ({found}); load it in torch 1.6 or later and torch.save its state_dict() again"
    )]
    Legacy {
        /// How it is known.
        found: &'static str,
    },
    /// A single array.
    #[error("one .npy array has no name; save all arrays by name with numpy.savez")]
    SingleArray,
    /// A compiled program.
    #[error("a TorchScript program; save its state_dict() instead")]
    TorchScript,
    /// A zip archive of something else.
    #[error("a zip archive without data.pkl (torch) and not of .npy arrays alone (NumPy)")]
    ForeignArchive,
    /// The bytes are no safetensors file.
    #[error("not a safetensors file: {0}")]
    Safetensors(String),
    /// The archive is damaged or hostile.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The pickle is damaged, hostile, or has more than tensors.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// An array of an .npz is damaged or no plain array.
    #[error("{name}: {source}")]
    Npy {
        /// The array.
        name: String,
        /// What is wrong with it.
        source: NpyError,
    },
    /// Storages of another byte order.
    #[error("byte order is {found:?}; \"little\" is read")]
    ByteOrder {
        /// The order in the file.
        found: String,
    },
    /// A pickle of something else.
    #[error("the pickle holds {found}; a state dict or a module has to be in it")]
    NoStateDict {
        /// What it holds.
        found: String,
    },
    /// A key of a state dict that is no name.
    #[error("the state dict has {found} as a key; names of tensors have to be text")]
    Key {
        /// The key.
        found: String,
    },
    /// A value that is no tensor.
    #[error("{name} is {found}; plain tensors are read")]
    NotATensor {
        /// Its name.
        name: String,
        /// What it is.
        found: String,
    },
    /// Modules within modules without end.
    #[error("modules are nested deeper than 64")]
    TooDeep,
    /// More or longer names than any model has.
    #[error("more than 65536 names, or one of more than 1024 bytes")]
    TooManyNames,
    /// A name that occurs twice.
    #[error("{name} is twice in the file")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A tensor without its numbers.
    #[error("{name}: entry {entry:?} is not in the archive")]
    NoStorage {
        /// The tensor.
        name: String,
        /// The entry.
        entry: String,
    },
    /// A storage of another length than the pickle says.
    #[error("{name}: entry {entry:?} has {found} bytes, the pickle says {wanted}")]
    StorageSize {
        /// The tensor.
        name: String,
        /// The entry.
        entry: String,
        /// Its bytes.
        found: usize,
        /// The bytes in the pickle.
        wanted: u64,
    },
    /// A tensor that reaches beyond its storage.
    #[error(
        "{name}: shape {shape:?} with strides {strides:?} from element {offset} is more than the {available} elements stored"
    )]
    Beyond {
        /// The tensor.
        name: String,
        /// The extent of each dimension.
        shape: Vec<usize>,
        /// The distance of neighbours in each dimension.
        strides: Vec<usize>,
        /// The first element.
        offset: usize,
        /// The elements of the storage.
        available: usize,
    },
    /// A number format that no tensor of a model can be made of.
    #[error("{name} is {found}; floats, integers and bools are read")]
    Format {
        /// The tensor.
        name: String,
        /// Its format.
        found: String,
    },
    /// A float that is no f32.
    #[error("{name} is {element}, and models have f32; --convert converts it")]
    NeedsConversion {
        /// The tensor.
        name: String,
        /// Its format.
        element: Element,
    },
    /// A tensor that makes the file far larger than it is.
    #[error("{name}: {source}")]
    TooMuch {
        /// The tensor.
        name: String,
        /// The limit.
        source: TooMuch,
    },
    /// The error with the file's name.
    #[error("{}: {source}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ImportError>,
    },
}

impl StateDict {
    /// The tensors in the order of the file.
    pub fn tensors(&self) -> &[StateTensor] {
        &self.tensors
    }

    /// The tensor of a name.
    pub fn named(&self, name: &str) -> Option<&StateTensor> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// Takes off what torch's wrappers (`DataParallel`, `compile`) put before every name; the prefix, empty if there is
    /// none.
    pub fn strip_wrappers(&mut self) -> String {
        let mut prefix = String::new();
        while let Some(wrapper) =
            WRAPPERS.iter().find(|wrapper| self.all_start_with(&format!("{prefix}{wrapper}")))
        {
            prefix.push_str(wrapper);
        }
        for tensor in &mut self.tensors {
            tensor.name.drain(..prefix.len());
        }
        self.names = self.tensors.iter().map(|tensor| tensor.name.clone()).collect();
        prefix
    }

    /// Whether there are names, and all are longer than this and begin so.
    fn all_start_with(&self, prefix: &str) -> bool {
        !self.tensors.is_empty()
            && self.tensors.iter().all(|t| t.name.len() > prefix.len() && t.name.starts_with(prefix))
    }

    /// Adds a tensor, contiguous and converted; `storage` has what the view reaches.
    fn push(
        &mut self,
        name: &str,
        element: Element,
        view: &Strided,
        storage: &[u8],
        convert: Convert,
        budget: &mut Budget,
    ) -> Result<(), ImportError> {
        if !self.names.insert(name.to_owned()) {
            return Err(ImportError::Duplicate { name: name.to_owned() });
        }
        let converted = element.is_other_float();
        if converted && convert == Convert::No {
            return Err(ImportError::NeedsConversion { name: name.to_owned(), element });
        }
        let width = element.bytes() + if converted { Element::F32.bytes() } else { 0 };
        let bytes = view.elements().and_then(|n| n.checked_mul(width)).unwrap_or(usize::MAX);
        let over = |source| ImportError::TooMuch { name: name.to_owned(), source };
        budget.take(bytes as u64).map_err(over)?;
        let bytes = view.gather(storage, element.bytes());
        let (element, bytes) = match element::to_f32(element, &bytes) {
            Some(converted) => (Element::F32, converted),
            None => (element, bytes),
        };
        self.tensors.push(StateTensor { name: name.to_owned(), shape: view.shape.clone(), element, bytes });
        Ok(())
    }
}

/// Reads the weights in a file; its format is told by its content.
///
/// # Errors
/// If the file is none of the formats, damaged or hostile, has something that is no plain tensor, or a float other
/// than f32 that is not to be converted.
pub fn read(path: impl AsRef<Path>, convert: Convert) -> Result<StateDict, ImportError> {
    let path = path.as_ref();
    let mapped = Mapped::open(path)?;
    from_bytes(&mapped, convert)
        .map_err(|source| ImportError::At { path: path.to_owned(), source: Box::new(source) })
}

/// Reads the weights in the bytes of a file.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8], convert: Convert) -> Result<StateDict, ImportError> {
    let mut budget = Budget::of(bytes.len());
    if bytes.starts_with(b"PK\x03\x04") {
        let archive = Archive::open(bytes)?;
        return if let Some(root) = torch::root(&archive) {
            torch::read(&archive, root, convert, &mut budget)
        } else if npz::is_npz(&archive) {
            npz::read(&archive, convert, &mut budget)
        } else {
            Err(ImportError::ForeignArchive)
        };
    }
    if bytes.starts_with(npz::MAGIC) {
        return Err(ImportError::SingleArray);
    }
    // The number that the old writer pickles first, and the mark of a tar header.
    if bytes
        .get(2..)
        .is_some_and(|rest| rest.starts_with(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"))
    {
        return Err(ImportError::Legacy { found: "a pickle that is not in a zip archive" });
    }
    if bytes.get(257..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        return Err(ImportError::Legacy { found: "a tar archive" });
    }
    if bytes.get(8) == Some(&b'{') {
        return safetensors(bytes, convert, &mut budget);
    }
    Err(ImportError::UnknownFormat)
}

fn safetensors(bytes: &[u8], convert: Convert, budget: &mut Budget) -> Result<StateDict, ImportError> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|error| ImportError::Safetensors(error.to_string()))?;
    let mut state = StateDict::default();
    for (name, view) in file.tensors() {
        let format = || ImportError::Format { name: name.clone(), found: format!("{:?}", view.dtype()) };
        let element = match view.dtype() {
            Dtype::F64 => Element::F64,
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::BF16,
            Dtype::I64 => Element::I64,
            Dtype::I32 => Element::I32,
            Dtype::I16 => Element::I16,
            Dtype::I8 => Element::I8,
            Dtype::U8 => Element::U8,
            Dtype::BOOL => Element::Bool,
            _ => return Err(format()),
        };
        let whole = Strided::whole(view.shape().to_vec(), false).ok_or_else(format)?;
        state.push(&name, element, &whole, view.data(), convert, budget)?;
    }
    Ok(state)
}

/// A model from imported weights.
///
/// # Errors
/// If names, shapes or formats are not those of the architecture: both sides are listed.
pub fn model(config: &Config, state: &StateDict) -> Result<Model, StateDictError> {
    let named: Vec<_> = state
        .tensors
        .iter()
        .map(|tensor| NamedTensor {
            name: &tensor.name,
            shape: &tensor.shape,
            format: match tensor.element {
                Element::F32 => Some(NumberFormat::F32),
                Element::I64 => Some(NumberFormat::I64),
                _ => None,
            },
            bytes: &tensor.bytes,
        })
        .collect();
    Model::from_state_dict(config, &named)
}
