//! Absolute paths of one machine, which mean nothing on another.

use crate::finding::Finding;
use crate::tree::Tree;

/// First parts of absolute paths that belong to a machine or a user.
const ROOTS: &[&str] = &["home", "root", "Users", "work", "tmp"];

/// Absolute paths under one of the roots, in any file.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, content) in tree.files() {
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            for root in ROOTS.iter().filter(|root| names_path_under(line, root)) {
                let what =
                    format!("a path under /{root} is of one machine: use a relative or a temporary one");
                findings.push(Finding::new(path, index + 1, what));
            }
        }
    }
    findings
}

/// True where a line holds an absolute path under `root`: the part before it is no name, dot or slash.
fn names_path_under(line: &[u8], root: &str) -> bool {
    let wanted = format!("/{root}/");
    let is_path_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/~}*".contains(&byte);
    line.windows(wanted.len())
        .enumerate()
        .any(|(at, window)| window == wanted.as_bytes() && !(at > 0 && is_path_part(line[at - 1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_a_machine_are_found_in_any_file() {
        for root in ROOTS {
            for before in ["", "see ", "\"", "path = '", "(", "file:"] {
                let text = format!("first\n{before}/{root}/someone\n");
                let found = findings(&Tree::of(&[("docs/notes.txt", &text)]));
                assert_eq!(found.len(), 1, "{text}");
                assert!(found[0].to_string().starts_with("docs/notes.txt:2: a path under"));
            }
        }
    }

    #[test]
    fn relative_paths_and_addresses_are_fine() {
        for root in ROOTS {
            for before in ["https://example.org", "..", "./a", "docs"] {
                let text = format!("{before}/{root}/page\n");
                assert!(findings(&Tree::of(&[("docs/notes.md", &text)])).is_empty(), "{text}");
            }
        }
    }
}
