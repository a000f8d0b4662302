//! The archives that `torch.save` writes: a pickle of names and shapes, and one entry per storage.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::archive::Archive;
use super::budget::Budget;
use super::pickle::unpickle;
use super::pickled::{Id, Pickled, Value};
use super::{Convert, ImportError, StateDict};

/// Modules within modules.
const MAX_DEPTH: usize = 64;

/// Modules and tensors.
const MAX_NAMES: usize = 65_536;

/// Bytes of a tensor's name.
const MAX_NAME: usize = 1024;

/// Bytes of keeping a name and its entry, besides its text.
const NAME_BYTES: u64 = 256;

/// The keys under which training scripts keep the state dict.
const NESTED: [&str; 2] = ["state_dict", "model_state_dict"];

/// Where the pickle is, if this is an archive of torch.
pub(super) fn root<'a>(archive: &Archive<'a>) -> Option<&'a str> {
    archive.names().find_map(|name| name.strip_suffix("/data.pkl").filter(|root| !root.contains('/')))
}

/// Reads the archive under its root directory.
pub(super) fn read(
    archive: &Archive<'_>,
    root: &str,
    convert: Convert,
    budget: &mut Budget,
) -> Result<StateDict, ImportError> {
    if archive.names().any(|name| name.strip_prefix(root) == Some("/constants.pkl")) {
        return Err(ImportError::TorchScript);
    }
    if let Some(order) = archive.read(&format!("{root}/byteorder"), budget)?
        && order.as_ref() != b"little"
    {
        return Err(ImportError::ByteOrder { found: String::from_utf8_lossy(&order).into_owned() });
    }
    let bytes = archive.read(&format!("{root}/data.pkl"), budget)?.unwrap_or_default();
    let pickled = unpickle(&bytes, budget)?;
    let mut found = Found { pickled: &pickled, tensors: Vec::new(), visited: 0, budget };
    found.checkpoint()?;
    let mut storages = Storages { archive, root, read: BTreeMap::new() };
    let mut state = StateDict::default();
    for (name, id) in found.tensors {
        storages.copy(&pickled, &name, id, convert, budget, &mut state)?;
    }
    Ok(state)
}

/// The tensors of a pickle by name.
struct Found<'p, 'a, 'b> {
    pickled: &'p Pickled<'a>,
    budget: &'b mut Budget,
    tensors: Vec<(String, Id)>,
    visited: usize,
}

impl<'a> Found<'_, 'a, '_> {
    /// The state dict: the pickle itself, or what it has under a known key.
    fn checkpoint(&mut self) -> Result<(), ImportError> {
        let mut root = self.pickled.root;
        if let Value::Dict(id) = root {
            let nested = self.pickled.pairs(id).iter().rev().find(|(key, value)| {
                matches!(key, Value::Text(key) if NESTED.contains(key))
                    && matches!(value, Value::Dict(_) | Value::Instance(_))
            });
            root = nested.map_or(root, |&(_, value)| value);
        }
        match root {
            Value::Dict(id) => {
                for &(key, value) in self.pickled.pairs(id) {
                    self.tensor("", key, value)?;
                }
                Ok(())
            }
            Value::Instance(id) => self.module("", id, 0),
            other => Err(ImportError::NoStateDict { found: self.pickled.describe(other) }),
        }
    }

    fn name(&mut self, prefix: &str, key: Value<'a>) -> Result<String, ImportError> {
        let Value::Text(key) = key else {
            return Err(ImportError::Key { found: self.pickled.describe(key) });
        };
        self.visited += 1;
        if self.visited > MAX_NAMES || prefix.len() + key.len() > MAX_NAME {
            return Err(ImportError::TooManyNames);
        }
        let name = format!("{prefix}{key}");
        // Kept with its tensor, and once more among the names that are taken.
        if let Err(source) = self.budget.take(2 * name.len() as u64 + NAME_BYTES) {
            return Err(ImportError::TooMuch { name, source });
        }
        Ok(name)
    }

    fn tensor(&mut self, prefix: &str, key: Value<'a>, value: Value<'a>) -> Result<(), ImportError> {
        let name = self.name(prefix, key)?;
        match value {
            Value::Tensor(id) => {
                self.tensors.push((name, id));
                Ok(())
            }
            other => Err(ImportError::NotATensor { name, found: self.pickled.describe(other) }),
        }
    }

    /// Parameters, then persistent buffers, then the modules within, as `state_dict()` orders them.
    fn module(&mut self, prefix: &str, id: Id, depth: usize) -> Result<(), ImportError> {
        if depth == MAX_DEPTH {
            return Err(ImportError::TooDeep);
        }
        let (class, attributes) = self
            .pickled
            .instance(id)
            .ok_or_else(|| ImportError::NoStateDict { found: "an object".to_owned() })?;
        let attribute = |wanted: &str| {
            attributes.iter().rev().find(|(key, _)| *key == Value::Text(wanted)).map(|&(_, value)| value)
        };
        let dict = |wanted: &str| match attribute(wanted) {
            Some(Value::Dict(id)) => Ok(self.pickled.pairs(id)),
            _ => Err(ImportError::NoStateDict { found: format!("an instance of {class} without {wanted}") }),
        };
        let (parameters, buffers, modules) = (dict("_parameters")?, dict("_buffers")?, dict("_modules")?);
        let transient = match attribute("_non_persistent_buffers_set") {
            Some(Value::List(id)) => self.pickled.values(id),
            _ => &[],
        };
        let kept = buffers.iter().filter(|(key, _)| !transient.contains(key));
        for &(key, value) in parameters.iter().chain(kept) {
            if value != Value::None {
                self.tensor(prefix, key, value)?;
            }
        }
        for &(key, value) in modules {
            let name = self.name(prefix, key)?;
            match value {
                Value::None => {}
                Value::Instance(id) => self.module(&format!("{name}."), id, depth + 1)?,
                other => {
                    return Err(ImportError::NotATensor { name, found: self.pickled.describe(other) });
                }
            }
        }
        Ok(())
    }
}

/// The storages that were read so far.
struct Storages<'p, 'a> {
    archive: &'p Archive<'a>,
    root: &'p str,
    read: BTreeMap<String, Cow<'a, [u8]>>,
}

impl Storages<'_, '_> {
    /// Adds a contiguous copy of a tensor to the state dict.
    fn copy(
        &mut self,
        pickled: &Pickled<'_>,
        name: &str,
        id: Id,
        convert: Convert,
        budget: &mut Budget,
        state: &mut StateDict,
    ) -> Result<(), ImportError> {
        let tensor = pickled.tensor(id);
        let Some((tensor, storage)) = tensor.and_then(|t| Some((t, pickled.storage(t.storage)?))) else {
            return Err(ImportError::NotATensor { name: name.to_owned(), found: "an object".to_owned() });
        };
        if !self.read.contains_key(storage.key) {
            let entry = format!("{}/data/{}", self.root, storage.key);
            let bytes = self.archive.read(&entry, budget)?;
            let bytes = bytes.ok_or(ImportError::NoStorage { name: name.to_owned(), entry })?;
            self.read.insert(storage.key.to_owned(), bytes);
        }
        let bytes = &self.read[storage.key];
        let width = storage.element.map_or(1, |element| element.bytes() as u64);
        let wanted = storage.count.saturating_mul(width);
        if bytes.len() as u64 != wanted {
            let (entry, found) = (format!("data/{}", storage.key), bytes.len());
            return Err(ImportError::StorageSize { name: name.to_owned(), entry, found, wanted });
        }
        let available = bytes.len() / tensor.element.bytes();
        let fits = tensor.view.reach().is_some_and(|reach| reach <= available);
        if !fits {
            let (shape, strides) = (tensor.view.shape.clone(), tensor.view.strides.clone());
            let offset = tensor.view.offset;
            return Err(ImportError::Beyond { name: name.to_owned(), shape, strides, offset, available });
        }
        state.push(name, tensor.element, &tensor.view, bytes, convert, budget)
    }
}
