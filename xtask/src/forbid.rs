//! Where `unsafe` may stand.

use crate::finding::Finding;
use crate::source::Source;
use crate::tree::{Tree, room};

/// The rooms that may hold `unsafe`.
const MAY_HOLD_UNSAFE: &[&str] = &["kernels", "memory", "python"];

/// `unsafe` outside its rooms, and crate roots that don't forbid it.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in Source::all(tree) {
        let here = room(source.path);
        if here.is_some_and(|here| MAY_HOLD_UNSAFE.contains(&here)) {
            continue;
        }
        for line in source.lines_with("unsafe") {
            let what = format!("`unsafe` may stand only in {}", MAY_HOLD_UNSAFE.join(", "));
            findings.push(Finding::new(source.path, line, what));
        }
        if here.is_some() && is_crate_root(source.path) && !source.code.contains("#![forbid(unsafe_code)]") {
            findings.push(Finding::new(source.path, 1, "this crate lacks `#![forbid(unsafe_code)]`"));
        }
    }
    findings
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_outside_its_rooms_is_found_in_tests_too() {
        let block = "// unsafe here is a word\nfn a() {\n    unsafe { b() }\n}\n";
        let tree = Tree::of(&[("crates/fault/tests/law.rs", block), ("crates/kernels/src/gemm.rs", block)]);
        let found = findings(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("crates/fault/tests/law.rs:3: `unsafe` may stand only in"));
    }

    #[test]
    fn every_crate_root_must_forbid_unsafe_code() {
        let tree = Tree::of(&[
            ("crates/fault/src/lib.rs", "#![forbid(unsafe_code)]\n"),
            ("crates/data/src/lib.rs", "// #![forbid(unsafe_code)]\n"),
            ("crates/memory/src/lib.rs", ""),
            ("crates/cli/src/main.rs", ""),
        ]);
        let found: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        let lacks = "this crate lacks `#![forbid(unsafe_code)]`";
        assert_eq!(
            found,
            [format!("crates/cli/src/main.rs:1: {lacks}"), format!("crates/data/src/lib.rs:1: {lacks}")]
        );
    }
}
