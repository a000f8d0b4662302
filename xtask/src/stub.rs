//! Code that is not finished, and lints or tests switched off without a reason.

use crate::finding::Finding;
use crate::tree::Tree;

/// What must not stand in a source, with what to do instead. The words are put together from pieces, so that
/// this file passes its own check.
const STUBS: &[(&str, &str)] = &[
    (concat!("todo", "!("), "write it, or return an error that says what is missing"),
    (concat!("unimplemented", "!("), "write it, or return an error that says what is missing"),
    (concat!("FIX", "ME"), "mend it"),
    (concat!("TO", "DO"), "do it, or describe the limit in the documentation"),
    (concat!("XX", "X"), "mend it"),
    (concat!("#[", "ignore"), "run it, or delete it"),
    (concat!("pytest.mark.", "skip"), "run it, or delete it"),
    (concat!("#[", "allow("), "use #[expect(lint, reason = \"...\")]"),
    (concat!("#![", "allow("), "use #![expect(lint, reason = \"...\")]"),
];

/// Stubs in Rust and Python sources, comments included.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".rs", ".py"]) {
        for (index, line) in text.lines().enumerate() {
            for (stub, instead) in STUBS.iter().filter(|(stub, _)| line.contains(stub)) {
                findings.push(Finding::new(path, index + 1, format!("`{stub}`: {instead}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stub_is_found_with_its_line() {
        for (stub, _) in STUBS {
            let text = format!("fn a() {{}}\n// {stub}\n");
            let found = findings(&Tree::of(&[("crates/data/src/lib.rs", &text)]));
            assert_eq!(found.len(), 1, "{stub}");
            assert!(found[0].to_string().starts_with(&format!("crates/data/src/lib.rs:2: `{stub}`")));
        }
    }

    #[test]
    fn an_expectation_with_a_reason_is_fine() {
        let text = "#[expect(clippy::too_many_lines, reason = \"one table\")]\nfn a() {}\n";
        assert!(findings(&Tree::of(&[("crates/data/src/lib.rs", text)])).is_empty());
    }
}
