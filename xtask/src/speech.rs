//! Who may print, end the process or read the environment: the command line and xtask.

use crate::finding::Finding;
use crate::source::Source;
use crate::tree::{Tree, room};

/// The rooms that may. A search is a program too.
const MAY_SPEAK: &[&str] = &["cli", "fuzz-search", "xtask"];

/// What the other rooms leave alone. `std::process::id` and compile-time `env!` are not among it.
const SPEECH: &[&str] = &[
    "println!",
    "print!",
    "eprintln!",
    "eprint!",
    "dbg!",
    "io::stdout",
    "io::stderr",
    "io::stdin",
    "process::exit",
    "process::abort",
    "std::env",
    "env::var",
    "env::var_os",
    "env::vars",
    "env::args",
    "env::args_os",
    "env::temp_dir",
    "env::current_dir",
    "env::set_var",
];

/// Output, exits and the environment in rooms that should return values.
pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in Source::all(tree) {
        let may = room(source.path).is_none_or(|here| MAY_SPEAK.contains(&here));
        if may || source.is_beside_the_product() {
            continue;
        }
        let shipped = source.without_unit_tests();
        for word in SPEECH {
            for line in shipped.lines_with(word) {
                let what = format!("`{word}` may stand only in {} and in tests", MAY_SPEAK.join(", "));
                findings.push(Finding::new(source.path, line, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: &str = "/// println!()\nfn a() {\n    println!(\"x\");\n    std::process::exit(1);\n    let v = env!(\"CARGO_PKG_VERSION\");\n}\n#[cfg(test)]\nmod tests {\n    fn b() { println!() }\n}\n";

    #[test]
    fn a_room_that_prints_or_exits_is_found_with_its_line() {
        let found: Vec<String> = findings(&Tree::of(&[("crates/data/src/lib.rs", LOUD)]))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "crates/data/src/lib.rs:3: `println!` may stand only in cli, fuzz-search, xtask and in tests",
                "crates/data/src/lib.rs:4: `process::exit` may stand only in cli, fuzz-search, xtask and in tests",
            ]
        );
    }

    #[test]
    fn the_command_line_tests_benches_and_examples_may_print() {
        for path in [
            "crates/cli/src/main.rs",
            "xtask/src/main.rs",
            "crates/data/tests/files.rs",
            "crates/data/benches/read.rs",
            "examples/own_model.rs",
            "crates/data/build.rs",
        ] {
            assert!(findings(&Tree::of(&[(path, LOUD)])).is_empty(), "{path}");
        }
    }

    #[test]
    fn reading_the_environment_is_found() {
        let text = "use std::env;\nfn a() { let _ = env::var(\"X\"); }\n";
        assert_eq!(findings(&Tree::of(&[("crates/campaign/src/plan.rs", text)])).len(), 2);
    }
}
