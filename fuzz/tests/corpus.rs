//! Every target on its seeds, and on the inputs that searches kept.

use std::fs;
use std::panic;
use std::path::Path;

use radhard_fuzz::TARGETS;

/// Bytes of the kept inputs of all targets together.
const CORPUS_BYTES: u64 = 300 * 1024;

#[test]
fn no_seed_breaks_a_promise() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(seeds.len() >= 3, "{} has {} seeds", target.name, seeds.len());
        for seed in seeds {
            (target.run)(&seed);
        }
    }
}

#[test]
fn no_kept_input_breaks_a_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut bytes = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let directory = entry.unwrap().path();
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let target =
            radhard_fuzz::find(&name).unwrap_or_else(|| panic!("corpus/{name} belongs to no target"));
        for entry in fs::read_dir(&directory).unwrap() {
            let input = fs::read(entry.unwrap().path()).unwrap();
            bytes += input.len() as u64;
            (target.run)(&input);
        }
    }
    assert!(bytes <= CORPUS_BYTES, "{bytes} bytes");
}

#[test]
fn the_planted_panic_is_there() {
    let planted = radhard_fuzz::find("planted").unwrap();
    (planted.run)(b"all,dense,embedding@16-23");
    let found = panic::catch_unwind(|| (planted.run)(b"all,embedding@17-23,dense"));
    let message = *found.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("the planted panic is found"), "{message}");
}
