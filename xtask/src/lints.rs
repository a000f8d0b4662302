//! Every package takes the lints of the workspace.

use toml::{Table, Value};

use crate::finding::Finding;
use crate::tree::Tree;

/// Manifests without `[lints] workspace = true`.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _, text) in tree.manifests() {
        let manifest = text.parse::<Table>().unwrap_or_default();
        let inherited =
            manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        if inherited != Some(true) {
            findings.push(Finding::new(path, 1, "`[lints] workspace = true` is missing"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_the_lints_of_the_workspace_is_found() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\n"),
            ("crates/data/Cargo.toml", "[lints]\nworkspace = true\n"),
            ("crates/fault/Cargo.toml", "[lints.rust]\nmissing_docs = \"warn\"\n"),
        ]);
        let found: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["crates/fault/Cargo.toml:1: `[lints] workspace = true` is missing"]);
    }
}
