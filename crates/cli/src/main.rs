//! The `radhard` command.
#![forbid(unsafe_code)]

fn main() {}
