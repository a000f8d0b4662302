//! Files that a command writes where the user said: judged before any work, so that nothing of the user's is lost.

use std::fs;
use std::path::{Path, PathBuf};

use radhard_memory::{can_write, followed, is_stream};

use crate::exit::{Exit, Failure, failure};

/// The files that a command reads and those that it is to write.
///
/// [`CommandFiles::check`] refuses an output that is there already, unless `--force` is given; and, whatever is given, an output that is
/// read, two outputs that are one file, and a place where no file can be made.
#[derive(Debug)]
pub(crate) struct CommandFiles {
    force: bool,
    inputs: Vec<(String, PathBuf)>,
    outputs: Vec<Output>,
    /// Directories that are to be radhard's alone.
    directories: Vec<PathBuf>,
}

#[derive(Debug)]
struct Output {
    /// The flag or the name that it goes by in messages.
    told: String,
    path: PathBuf,
    owner: Owner,
}

/// Whose name an output has.
#[derive(Debug, PartialEq)]
enum Owner {
    /// The user's, who says with `--force` that it may be replaced.
    User,
    /// radhard's own, in a directory that holds its records or its study: replaced freely, unless a link leads elsewhere.
    Radhard(PathBuf),
    /// As the user's, in a directory that is made where it is missing.
    InMadeDirectory,
    /// A file that is continued where it is there, by who knows its own.
    Continued,
}

/// One file, under whatever name.
#[derive(Debug, PartialEq)]
enum Identity {
    #[cfg(unix)]
    File {
        device: u64,
        inode: u64,
    },
    Place(PathBuf),
}

impl CommandFiles {
    /// Nothing yet; with `force`, files of the user's may be replaced.
    pub(crate) fn new(force: bool) -> Self {
        Self { force, inputs: Vec::new(), outputs: Vec::new(), directories: Vec::new() }
    }

    /// Adds a file that is read, called `told` in messages.
    pub(crate) fn reads(mut self, told: &str, path: &Path) -> Self {
        self.inputs.push((told.to_owned(), path.to_owned()));
        self
    }

    /// Adds a file that the user named with the flag `told`.
    pub(crate) fn writes(self, told: &str, path: &Path) -> Self {
        self.with(told, path.to_owned(), Owner::User)
    }

    /// Adds a file that is written under a name of radhard's own into `dir`, which is made where it is missing; `own` where the
    /// directory holds records or a study of radhard's.
    pub(crate) fn writes_into(self, dir: &Path, name: &str, own: bool) -> Self {
        let path = dir.join(name);
        let told = path.display().to_string();
        let owner = if own { Owner::Radhard(dir.to_owned()) } else { Owner::InMadeDirectory };
        self.with(&told, path, owner)
    }

    /// Adds a file that is continued where it is there, called `told` in messages: it may not be an input.
    pub(crate) fn continues(self, told: &str, path: &Path) -> Self {
        self.with(&format!("{told} {}", path.display()), path.to_owned(), Owner::Continued)
    }

    /// Adds a directory of many files that radhard names, which is made where it is missing; `own` where it is radhard's already.
    pub(crate) fn fills(mut self, directory: PathBuf, own: bool) -> Self {
        if !own {
            self.directories.push(directory);
        }
        self
    }

    fn with(mut self, told: &str, path: PathBuf, owner: Owner) -> Self {
        self.outputs.push(Output { told: told.to_owned(), path, owner });
        self
    }

    /// Refuses what would lose a file, and places where none can be written.
    ///
    /// # Errors
    /// Wrong usage where a file would be lost; an unusable file where none can be made.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (place, output) in self.outputs.iter().enumerate() {
            output.check_kind()?;
            let identity = identity(&output.path);
            if identity.is_none() {
                continue;
            }
            let is_same = |path: &Path| self::identity(path) == identity;
            let path = &output.name();
            if let Some((told, _)) = self.inputs.iter().find(|(_, path)| is_same(path)) {
                let text = format!("{path} is {told} itself, which is read; give the output another name");
                return Err(failure(Exit::Usage, text));
            }
            if let Some(other) = self.outputs[..place].iter().find(|other| is_same(&other.path)) {
                let text = format!("{path} and {} are one file; give them two names", other.name());
                return Err(failure(Exit::Usage, text));
            }
        }
        let filled =
            |directory: &&PathBuf| fs::read_dir(directory).is_ok_and(|mut files| files.next().is_some());
        if let Some(directory) = self.directories.iter().find(filled).filter(|_| !self.force) {
            let rule = "holds files that radhard did not write; --force writes over those of the same name";
            return Err(failure(Exit::Usage, format!("{} {rule}", directory.display())));
        }
        self.outputs.iter().try_for_each(|output| output.check_place(self.force))
    }
}

impl Output {
    /// Flag and path, for messages.
    fn name(&self) -> String {
        if self.owner == Owner::User {
            format!("{} {}", self.told, self.path.display())
        } else {
            self.told.clone()
        }
    }

    fn unusable(&self, reason: &str) -> Failure {
        failure(Exit::Input, format!("{}: {reason}", self.name()))
    }

    /// Refuses what is neither a file nor takes bytes, such as a directory.
    fn check_kind(&self) -> Result<(), Failure> {
        let Ok(there) = fs::metadata(&self.path) else { return Ok(()) };
        if there.is_dir() {
            return Err(self.unusable("a directory is there; give the name of a file in it"));
        }
        if !there.is_file() && !is_stream(there.file_type()) {
            return Err(self.unusable("it is there and is neither a regular file nor a pipe"));
        }
        Ok(())
    }

    /// Refuses a file that is there, unless it may be replaced, and a place where none can be made.
    fn check_place(&self, force: bool) -> Result<(), Failure> {
        if self.owner == Owner::Continued {
            return Ok(());
        }
        let there = fs::metadata(&self.path);
        if there.as_ref().is_ok_and(|there| !there.is_file()) {
            return Ok(());
        }
        let target = followed(&self.path).map_err(|error| self.unusable(&error.to_string()))?;
        if there.is_ok() && !force && !self.is_own(&target) {
            let leads = if target == self.path {
                String::new()
            } else {
                format!(" (it leads to {})", target.display())
            };
            let rule = "is there already; --force writes over it, another name keeps it";
            return Err(failure(Exit::Usage, format!("{}{leads} {rule}", self.name())));
        }
        let directory = directory_of(&target);
        if !directory.is_dir() {
            // Directories of radhard's own are made by who writes into them.
            if self.owner != Owner::User {
                return Ok(());
            }
            let shown = directory.display();
            let reason = if directory.exists() {
                format!("{shown} is no directory")
            } else {
                format!("there is no directory {shown}; make it first")
            };
            return Err(self.unusable(&reason));
        }
        can_write(&self.path)
            .map_err(|error| self.unusable(&format!("no file can be written there: {error}")))
    }

    /// Whether a file of this name is radhard's own: one that lies in its directory, and not where a link leads from there.
    fn is_own(&self, target: &Path) -> bool {
        let Owner::Radhard(dir) = &self.owner else { return false };
        let (own, target) = (dir.canonicalize(), directory_of(target).canonicalize());
        matches!((own, target), (Ok(own), Ok(target)) if target.starts_with(&own))
    }
}

/// The file that a path leads to; `None` for a device, which is no single file, and where the system does not tell.
fn identity(path: &Path) -> Option<Identity> {
    let there = fs::metadata(path);
    #[cfg(unix)]
    if let Ok(there) = &there {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let device = there.file_type().is_char_device();
        return (!device).then(|| Identity::File { device: there.dev(), inode: there.ino() });
    }
    let target = followed(path).ok()?;
    let target = if there.is_ok() {
        target.canonicalize().ok()?
    } else {
        directory_of(&target).canonicalize().ok()?.join(target.file_name()?)
    };
    Some(Identity::Place(target))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a directory holds records of a campaign.
pub(crate) fn holds_records(dir: &Path) -> bool {
    dir.join(radhard_records::FILE).is_file()
}
