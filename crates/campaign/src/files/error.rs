//! Why a file could not be injected into.

use std::io;
use std::path::{Path, PathBuf};

use radhard_fault::{
    ApplyError, DrawError, InjectError, MapFileError, PassedOver, SafetensorsError, TargetError,
};
use radhard_memory::{LockError, MapError};
use radhard_protect::ProtectError;

use super::provenance::{Mark, MarkError};

/// Why a file could not be injected into; nothing is changed or written then.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct FileError {
    /// The file that is at fault.
    pub path: PathBuf,
    /// The reason.
    pub cause: FileCause,
}

/// The reason why a file, or a request on it, is refused.
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
    /// The target names tensors, but none that faults can strike.
    #[error("target \"{target}\" names only tensors of types that are no number format: {}", listed(tensors))]
    ForeignAlone {
        /// The target.
        target: String,
        /// The tensors.
        tensors: Vec<PassedOver>,
    },
    /// The target passes over tensors that it names, and that was to be an error.
    #[error(
        "target \"{target}\" passes over {}, and --strict is given; name the tensors that can be hit",
        listed(tensors)
    )]
    PassedOver {
        /// The target.
        target: String,
        /// The tensors.
        tensors: Vec<PassedOver>,
    },
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
    /// The file can't be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Another file came under its name while it was opened.
    #[error("was replaced by another process; try again")]
    Replaced,
    /// A change in place needs a map to be taken back by.
    #[error("a change in place needs an error map to be undone by; give --map")]
    InPlaceWithoutMap,
    /// A device or a pipe keeps no map.
    #[error("is not a regular file, and a change in place is undone by its error map; give --map a file")]
    MapIsNoFile,
    /// Its mark can't be read.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// It holds faults already.
    #[error("it holds faults already: {mark}; undo these first")]
    Marked {
        /// The provenance of the faults.
        mark: Box<Mark>,
    },
    /// The map that goes with a side file is another one.
    #[error("{} is not the map that the side file names; the words as they were are in no other file", path.display())]
    OtherJournal {
        /// The map.
        path: PathBuf,
    },
    /// A faulty copy without the header of its original.
    #[error(
        "metadata key \"radhard.fault.header\" is missing, so the header can't be restored; the fault-free file has it"
    )]
    NoOriginalHeader,
    /// No reader would take the header of a faulty copy.
    #[error(
        "the header of a faulty copy would be {bytes} bytes long, and readers take 100000000; use --in-place"
    )]
    HeaderTooLong {
        /// Bytes of the header.
        bytes: usize,
    },
    /// The disk refused in the middle of a change in place.
    #[error("{}; {}", told(source), if *restored {
        "nothing was changed"
    } else {
        "some words are injected and some are not: undo with the same map makes all of them old, apply all of them injected"
    })]
    Stopped {
        /// The system's error.
        source: io::Error,
        /// Whether the words are old again.
        restored: bool,
    },
}

/// The system's error; a full disk in plain words.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "no space left on the disk".to_owned(),
        io::ErrorKind::UnexpectedEof => "the file became shorter while it was read".to_owned(),
        _ => error.to_string(),
    }
}

/// Tensors for a message: the first ones, and how many more.
pub fn listed(tensors: &[PassedOver]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> = tensors.iter().take(SHOWN).map(ToString::to_string).collect();
    if tensors.len() > SHOWN {
        shown.push(format!("and {} more", tensors.len() - SHOWN));
    }
    shown.join(", ")
}

impl FileCause {
    pub(super) fn at(self, path: &Path) -> FileError {
        FileError { path: path.to_path_buf(), cause: self }
    }
}

/// Names the file at fault.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, FileError>;
}

impl<T, E: Into<FileCause>> At<T> for Result<T, E> {
    fn at(self, path: &Path) -> Result<T, FileError> {
        self.map_err(|error| error.into().at(path))
    }
}
