//! The files of the repository, read once; checks are functions of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};

use crate::cargo;

/// Path from the root, with `/` between its parts, to content.
pub(crate) struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// The files that git tracks, and the new ones that it doesn't ignore.
    pub(crate) fn of_repository() -> Result<Self> {
        let root = cargo::workspace_root()?;
        let listing =
            cargo::output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let mut files = BTreeMap::new();
        for path in String::from_utf8(listing).context("a file name is not UTF-8")?.split_terminator('\0') {
            match fs::read(root.join(path)) {
                Ok(content) => drop(files.insert(path.to_string(), content)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            }
        }
        Ok(Self { files })
    }

    /// A small tree for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (path.to_string(), text.as_bytes().to_vec()));
        Self { files: files.collect() }
    }

    /// Every file with its bytes, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Every text file whose name ends with one of the endings.
    pub(crate) fn texts<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let chosen = self.files().filter(|(path, _)| endings.iter().any(|ending| path.ends_with(ending)));
        chosen.filter_map(|(path, content)| Some((path, std::str::from_utf8(content).ok()?)))
    }

    /// The manifests of the packages, each with the directory of its package.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let manifests = self.texts(&["/Cargo.toml"]);
        manifests.map(|(path, text)| (path, path.trim_end_matches("/Cargo.toml"), text))
    }

    /// True where a file of this path is in the tree.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// True where a file, or a directory with a file below it, has this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        let below = format!("{path}/");
        path.is_empty() || self.has_file(path) || self.files.keys().any(|file| file.starts_with(&below))
    }
}

/// The room of a file under `crates/`, or `xtask`, `fuzz`, and `fuzz-search` in it; none for the rest of the tree.
pub(crate) fn room(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    match parts.next()? {
        "crates" => parts.next(),
        "xtask" => Some("xtask"),
        "fuzz" => Some(if parts.next() == Some("search") { "fuzz-search" } else { "fuzz" }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_directories_under_crates_xtask_and_fuzz() {
        assert_eq!(room("crates/fault/src/lib.rs"), Some("fault"));
        assert_eq!(room("xtask/src/main.rs"), Some("xtask"));
        assert_eq!(room("fuzz/src/lib.rs"), Some("fuzz"));
        assert_eq!(room("fuzz/search/src/main.rs"), Some("fuzz-search"));
        assert_eq!(room("docs/glossary.md"), None);
    }

    #[test]
    fn a_directory_is_there_when_a_file_below_it_is() {
        let tree = Tree::of(&[("docs/formats/data.md", "")]);
        assert!(tree.has("docs/formats") && tree.has("docs/formats/data.md"));
        assert!(!tree.has("docs/form"));
    }
}
