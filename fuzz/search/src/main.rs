//! libFuzzer over one target, which the environment variable `RADHARD_FUZZ_TARGET` names.
//!
//! `RADHARD_FUZZ_SEEDS` names a directory into which the target's seeds are written before the search begins.
#![forbid(unsafe_code)]
#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs};

use libfuzzer_sys::fuzz_target;
use radhard_fuzz::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    *TARGET.get_or_init(|| {
        let name = env::var("RADHARD_FUZZ_TARGET").unwrap_or_default();
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        *radhard_fuzz::find(&name).unwrap_or_else(|| {
            panic!("RADHARD_FUZZ_TARGET is {name:?}, expected one of {}", names.join(", "))
        })
    })
}

fuzz_target!(
    init: {
        if let Some(directory) = env::var_os("RADHARD_FUZZ_SEEDS") {
            for (number, seed) in (target().seeds)().iter().enumerate() {
                fs::write(Path::new(&directory).join(format!("seed-{number}")), seed).expect("a seed is written");
            }
        }
    },
    |input: &[u8]| (target().run)(input)
);
