//! The arrows between rooms: who may depend on whom.

use toml::{Table, Value};

use crate::finding::Finding;
use crate::tree::{Tree, room};

/// The leaf that any room may use.
const BOTTOM: &str = "memory";

/// Each room and the rooms it may use besides `memory`. Only normal and build dependencies count.
const ARROWS: &[(&str, &[&str])] = &[
    ("memory", &[]),
    ("fault", &[]),
    ("kernels", &[]),
    ("metrics", &[]),
    ("data", &[]),
    ("models", &["kernels", "data"]),
    ("engine", &["fault", "kernels", "metrics", "data", "models"]),
    ("protect", &["fault", "kernels", "metrics", "data", "models"]),
    ("records", &["metrics"]),
    ("campaign", &["fault", "kernels", "metrics", "data", "models", "engine", "protect", "records"]),
    ("report", &["records", "metrics"]),
    ("study", &["fault", "metrics", "data", "models", "protect", "records", "campaign", "report"]),
    (
        "cli",
        &[
            "fault", "kernels", "metrics", "data", "models", "engine", "protect", "records", "campaign",
            "report", "study",
        ],
    ),
    (
        "python",
        &["fault", "kernels", "metrics", "data", "models", "protect", "records", "campaign", "report"],
    ),
    ("fuzz", &["fault", "metrics", "data", "models", "protect", "records", "campaign"]),
    ("fuzz-search", &["fuzz"]),
    ("xtask", &[]),
];

/// Dependencies that no arrow allows, and rooms that the table doesn't know.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _, text) in tree.manifests() {
        let Some(here) = room(path) else {
            findings.push(Finding::new(path, 1, "this package is neither under crates/ nor xtask nor fuzz"));
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == here) else {
            findings.push(Finding::new(path, 1, format!("room {here} is not in xtask/src/arrows.rs")));
            continue;
        };
        let manifest: Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(path, 1, format!("not a manifest: {error}")));
                continue;
            }
        };
        for dependency in dependencies(&manifest) {
            let Some(there) = room_of_package(&dependency) else { continue };
            if there != BOTTOM && !allowed.contains(&there) {
                let allowed = std::iter::once(BOTTOM).chain(allowed.iter().copied());
                let allowed: Vec<&str> = allowed.filter(|room| *room != here).collect();
                let what = format!("{here} must not depend on {there} (it may use: {})", allowed.join(", "));
                findings.push(Finding::new(path, line_of(text, &dependency), what));
            }
        }
    }
    findings
}

/// Package names under `dependencies` and `build-dependencies`, those of a target included.
fn dependencies(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut names = Vec::new();
    for owner in std::iter::once(manifest).chain(targets) {
        for kind in ["dependencies", "build-dependencies"] {
            for (name, source) in owner.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let renamed = source.get("package").and_then(Value::as_str);
                names.push(renamed.unwrap_or(name).to_string());
            }
        }
    }
    names
}

fn room_of_package(package: &str) -> Option<&str> {
    match package {
        "radhard" => Some("cli"),
        "xtask" => Some("xtask"),
        _ => package.strip_prefix("radhard-"),
    }
}

/// The line, counted from 1, that names a package.
fn line_of(text: &str, package: &str) -> usize {
    let names = |line: &str| {
        let after = line.trim_start().strip_prefix(package);
        after.is_some_and(|after| after.starts_with([' ', '.', '=']))
            || line.contains(&format!("\"{package}\""))
    };
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, manifest: &str) -> Vec<String> {
        findings(&Tree::of(&[(path, manifest)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_that_points_up_is_found_with_its_line() {
        let manifest = "[dependencies]\nserde = \"1\"\nradhard-models.workspace = true\n";
        let expected = "crates/fault/Cargo.toml:3: fault must not depend on models (it may use: memory)";
        assert_eq!(found("crates/fault/Cargo.toml", manifest), [expected]);
    }

    #[test]
    fn any_room_may_use_memory_and_tests_are_free() {
        let manifest = "[dependencies]\nradhard-memory.workspace = true\n[dev-dependencies]\nradhard-models.workspace = true\n";
        assert!(found("crates/fault/Cargo.toml", manifest).is_empty());
    }

    #[test]
    fn build_target_and_renamed_dependencies_count() {
        let manifest = "[build-dependencies]\nradhard-data.workspace = true\n[target.'cfg(unix)'.dependencies]\nbits = { package = \"radhard-fault\", path = \"../fault\" }\n";
        let found = found("crates/kernels/Cargo.toml", manifest);
        assert!(found[0].ends_with("kernels must not depend on data (it may use: memory)"), "{found:?}");
        assert!(found[1].contains("Cargo.toml:4: kernels must not depend on fault"), "{found:?}");
    }

    #[test]
    fn a_room_that_the_table_does_not_know_is_found() {
        assert!(found("crates/attic/Cargo.toml", "")[0].contains("room attic is not in"));
        assert!(found("tools/Cargo.toml", "")[0].contains("neither under crates/ nor xtask nor fuzz"));
    }

    #[test]
    fn the_table_has_no_circle() {
        for (index, (room, allowed)) in ARROWS.iter().enumerate() {
            for below in *allowed {
                let at = ARROWS.iter().position(|(known, _)| known == below);
                assert!(
                    at.is_some_and(|at| at < index),
                    "{room} uses {below}, which is not above it in the table"
                );
            }
        }
    }
}
