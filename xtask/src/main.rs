//! `cargo xtask`: test, bench, and checks of the workspace.
#![forbid(unsafe_code)]

fn main() {}
