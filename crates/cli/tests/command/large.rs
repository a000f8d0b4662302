//! Files larger than memory: what is not touched costs neither memory nor disk.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use crate::workbench::Workbench;

/// Bytes of data: more than the machines have that run this.
const BYTES: u64 = 60_000_000_000;
/// A file system may allocate more than the page that was written, and the journal of names counts too.
const DISK_PER_FLIP: u64 = 3 * 4096;

fn write_sparse(path: &Path) {
    let half = BYTES / 2;
    let mut header = format!(
        "{{\"codes\":{{\"dtype\":\"U8\",\"shape\":[{half}],\"data_offsets\":[0,{half}]}},\
         \"table\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{half},{BYTES}]}}}}",
        half / 4
    );
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + BYTES).unwrap();
}

fn disk(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

/// Runs a command, which must succeed, and returns what it printed.
fn run(bench: &Workbench, words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    let output = bench.command(&words).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_sparse_file_larger_than_memory_is_inspected_injected_copied_and_restored_at_the_cost_of_its_flips() {
    let bench = Workbench::new();
    let path = bench.path("big.st");
    write_sparse(&path);
    let before = disk(&path);
    let inspected = run(&bench, "inspect big.st --json");
    assert!(inspected.contains("\"critical_bits\":null"), "{inspected}");
    run(&bench, "inject big.st --error-model count:300 --seed 5 --map m.map --json");
    assert_eq!(disk(&path), before, "drawing reads");
    let map = radhard_fault::ErrorMap::load(bench.path("m.map")).unwrap();
    assert_eq!(map.flips(), 300);
    let beyond = map.parameters().iter().flat_map(radhard_fault::MapParameter::elements);
    assert!(beyond.filter(|&&element| element > 1 << 32).count() > 50, "elements beyond 32 bits");
    let most = before + 300 * DISK_PER_FLIP + (1 << 20);
    run(&bench, "apply big.st --map m.map --json");
    assert!(disk(&path) <= most, "{} bytes of disk", disk(&path));
    run(&bench, "undo big.st --map m.map --out clean.st --json");
    assert!(
        disk(&bench.path("clean.st")) <= most + (1 << 20),
        "{} bytes of disk",
        disk(&bench.path("clean.st"))
    );
    run(&bench, "undo big.st --map m.map --json");
    run(&bench, "inject big.st --error-model count:300 --seed 5 --out faulty.st --json");
    assert!(
        disk(&bench.path("faulty.st")) <= most + (1 << 20),
        "{} bytes of disk",
        disk(&bench.path("faulty.st"))
    );
    run(&bench, "undo faulty.st --map m.map --json");
    bench.run("undo big.st --map m.map").fails(5, &["not applied"]);
    assert_eq!(
        std::fs::metadata(bench.path("faulty.st")).unwrap().len(),
        std::fs::metadata(&path).unwrap().len()
    );
}
