//! Injection into files: any safetensors file, without loading it as a model.

use std::io;
use std::path::{Path, PathBuf};

use radhard_fault::{
    ApplyError, BitErrorRate, Chip, Component, DrawError, DrawnMap, ErrorMap, ErrorModel, Expose,
    InjectError, MapFileError, SafetensorsBytes, SafetensorsError, Target, TargetError,
};
use radhard_memory::{MapError, Mapped, MappedMut, edit_copy, write_atomically};
use radhard_models::{Config, components};
use radhard_protect::{Combination, Events, ProtectError, ReadWork, Subject};
use serde::Serialize;

use crate::lend;

/// What is to be injected.
pub struct Request<'a> {
    /// Where faults may strike.
    pub target: &'a Target,
    /// Whether BatchNorm statistics are exposed.
    pub expose: Expose,
    /// How bits go wrong.
    pub error_model: &'a dyn ErrorModel,
    /// At which rate, for error models that take one.
    pub rate: Option<BitErrorRate>,
    /// What protects the stored words.
    pub protection: &'a Combination,
    /// Seed of the campaign.
    pub seed: u64,
    /// Chip of that seed.
    pub chip: u64,
}

/// What an injection, an apply or an undo did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Injection {
    /// Bits that changed.
    pub flips: u64,
    /// Words that changed.
    pub words: u64,
    /// Bits that could have been hit.
    pub exposed_bits: u64,
    /// The target, in its canonical form.
    pub target: String,
    /// The bit error rate; none where the error model has none.
    pub ber: Option<f64>,
    /// What a protection did; none without one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
}

/// What a protection did to an injection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protected {
    /// Its canonical name.
    pub protection: String,
    /// Bits that changed in memory, check bits and copies included, before it read them.
    pub memory_flips: u64,
    /// Words, codewords or rows that it found bad.
    pub detected: u64,
    /// Of these, restored.
    pub restored: u64,
}

/// Why a file could not be injected into; nothing is changed or written then.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct FileError {
    /// The file that is at fault.
    pub path: PathBuf,
    /// What is wrong.
    pub cause: FileCause,
}

/// What is wrong with a file, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum FileCause {
    /// It could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It could not be mapped.
    #[error(transparent)]
    Memory(#[from] MapError),
    /// It is no safetensors file, or is cut short.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// The target exposes nothing in it.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The error model can't be drawn on it.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The drawn map does not fit it.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// It is no error map.
    #[error(transparent)]
    Map(#[from] MapFileError),
    /// It can't be protected so.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// An error map is asked for, and words are stored otherwise than in the file.
    #[error(
        "protection {protection} stores other words than the file has, so no error map fits it; write the copy alone"
    )]
    MapOfRewritten {
        /// The protection.
        protection: String,
    },
    /// The map does not fit the file as it is.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl FileCause {
    fn at(self, path: &Path) -> FileError {
        FileError { path: path.to_path_buf(), cause: self }
    }
}

/// Names the file at fault.
trait At<T> {
    fn at(self, path: &Path) -> Result<T, FileError>;
}

impl<T, E: Into<FileCause>> At<T> for Result<T, E> {
    fn at(self, path: &Path) -> Result<T, FileError> {
        self.map_err(|error| error.into().at(path))
    }
}

/// What tells the component of each tensor of a file: the architecture in its metadata, where there is one.
pub fn component_of(bytes: &[u8]) -> impl Fn(&str) -> Component + use<> {
    let known = Config::of_file(bytes).and_then(|config| components(&config).ok());
    move |name| {
        let found = known.as_ref().and_then(|known| known.iter().find(|(of, _)| of == name));
        found.map_or(Component::Unknown, |(_, component)| lend::component(*component))
    }
}

/// Draws a chip on a model file; writes the faulty copy to `out` and the error map to `map`, where they are asked for.
///
/// Under a protection they hold what readers get of what the chip did to the protected memory.
pub fn inject(
    model: &Path,
    out: Option<&Path>,
    map: Option<&Path>,
    request: &Request<'_>,
) -> Result<Injection, FileError> {
    let file = MappedMut::open_private(model).at(model)?;
    let component = component_of(&file);
    let mut lent = SafetensorsBytes::new(file, component).at(model)?;
    let target = request.target.resolve(lent.specs(), request.expose).at(model)?;
    let combination = request.protection;
    if map.is_some() && combination.rewrites() {
        return Err(FileCause::MapOfRewritten { protection: combination.name() }.at(model));
    }
    // The mapping is private: the file keeps its words.
    combination.rewrite(&mut lent);
    let looked_up = vec![0.0; lent.specs().len()];
    let subject = Subject { model: None, parameters: &lent, calibration: None, looked_up: &looked_up };
    // Protections of activations have no words to show in a file, and say so for want of a model.
    let protected = combination.prepare(&subject).at(model)?;
    let exposure = protected.exposure(&target).at(model)?;
    let (mut drawn, mut read) = (DrawnMap::new(), DrawnMap::new());
    request
        .error_model
        .draw(Chip::new(request.seed, request.chip), exposure.memory(), request.rate, &mut drawn)
        .at(model)?;
    let memory_flips = protected.flips(&exposure, &lent, &drawn);
    let mut events = Events::default();
    if protected.reads() {
        events = protected.read(&exposure, &lent, &drawn, &mut ReadWork::default(), &mut read).at(model)?;
    } else {
        read = drawn;
    }
    let errors = read.resolve(&lent).at(model)?;
    if let Some(out) = out {
        copy_with(model, out, |lent| {
            combination.rewrite(lent);
            Ok(errors.apply(lent)?)
        })?;
    }
    if let Some(map) = map {
        let bytes = errors.to_bytes().at(map)?;
        write_atomically(map, |writer| io::Write::write_all(writer, &bytes)).at(map)?;
    }
    let of_protection = Protected {
        protection: combination.name(),
        memory_flips,
        detected: events.detected,
        restored: events.corrected + events.reloads,
    };
    Ok(Injection {
        exposed_bits: exposure.memory().bits(),
        protected: (!combination.is_none()).then_some(of_protection),
        ..injection(&errors)
    })
}

/// Applies an error map to a model file: in place, or to a copy.
///
/// With `rebase`, words may differ from those the map was drawn on: flips flip what is there. Maps that wrote words are refused.
pub fn apply(model: &Path, map: &Path, out: Option<&Path>, rebase: bool) -> Result<Injection, FileError> {
    change(model, map, out, |errors, lent| {
        if rebase {
            let rebased = errors.rebased(lent)?;
            rebased.apply(lent)?;
            Ok(injection(&rebased))
        } else {
            errors.apply(lent)?;
            Ok(injection(errors))
        }
    })
}

/// Undoes an error map on a model file: in place, or in a copy.
pub fn undo(model: &Path, map: &Path, out: Option<&Path>) -> Result<Injection, FileError> {
    change(model, map, out, |errors, lent| {
        errors.undo(lent)?;
        Ok(injection(errors))
    })
}

type Lent<'a> = SafetensorsBytes<&'a mut [u8]>;

fn change<T>(
    model: &Path,
    map: &Path,
    out: Option<&Path>,
    work: impl FnOnce(&ErrorMap, &mut Lent<'_>) -> Result<T, FileCause>,
) -> Result<T, FileError> {
    let errors = ErrorMap::from_bytes(&Mapped::open(map).at(map)?).at(map)?;
    if let Some(out) = out {
        return copy_with(model, out, |lent| work(&errors, lent));
    }
    let mut file = MappedMut::open(model).at(model)?;
    let component = component_of(&file);
    let mut lent = SafetensorsBytes::new(&mut file[..], component).at(model)?;
    let value = work(&errors, &mut lent).at(model)?;
    file.flush().at(model)?;
    Ok(value)
}

/// Writes a copy of a model file in which `work` has changed words.
fn copy_with<T>(
    model: &Path,
    out: &Path,
    work: impl FnOnce(&mut Lent<'_>) -> Result<T, FileCause>,
) -> Result<T, FileError> {
    // What is wrong with the words is the model's fault, what is wrong with writing the copy's.
    let mut at_model = false;
    let copied = edit_copy(model, out, |bytes| {
        at_model = true;
        let component = component_of(bytes);
        let mut lent = SafetensorsBytes::new(bytes, component)?;
        let value = work(&mut lent)?;
        at_model = false;
        Ok(value)
    });
    copied.map_err(|cause: FileCause| cause.at(if at_model { model } else { out }))
}

fn injection(errors: &ErrorMap) -> Injection {
    Injection {
        flips: errors.flips(),
        words: errors.words(),
        exposed_bits: errors.origin.exposed_bits,
        target: errors.origin.target.clone(),
        ber: errors.origin.rate.map(BitErrorRate::get),
        protected: None,
    }
}
