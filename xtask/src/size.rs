//! How long a source and how large a file may be.

use crate::finding::Finding;
use crate::tree::Tree;

/// Lines of a source; past them, look for the second noun in it.
const SOURCE_LINES: usize = 600;
/// Bytes of one file under `testdata/`.
const TESTDATA_BYTES: usize = 256 * 1024;
/// Bytes of any other file.
const FILE_BYTES: usize = 1024 * 1024;

/// Sources with too many lines and files with too many bytes.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".rs", ".py"]) {
        let lines = text.lines().count();
        if lines > SOURCE_LINES {
            let what = format!("{lines} lines are more than {SOURCE_LINES}: is there a second noun in it?");
            findings.push(Finding::new(path, SOURCE_LINES + 1, what));
        }
    }
    for (path, content) in tree.files() {
        let bound = if path.starts_with("testdata/") { TESTDATA_BYTES } else { FILE_BYTES };
        if content.len() > bound {
            findings.push(Finding::new(path, 1, format!("{} bytes are more than {bound}", content.len())));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_601_is_one_too_many() {
        let fits = "\n".repeat(SOURCE_LINES);
        let long = "\n".repeat(SOURCE_LINES + 1);
        let found = findings(&Tree::of(&[("crates/a/src/fits.rs", &fits), ("crates/a/src/long.rs", &long)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("crates/a/src/long.rs:601: 601 lines"));
    }

    #[test]
    fn test_data_stays_small() {
        let large = "x".repeat(TESTDATA_BYTES + 1);
        let found = findings(&Tree::of(&[("testdata/data/a.csv", &large), ("docs/picture.svg", &large)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("testdata/data/a.csv:1: 262145 bytes"));
    }
}
