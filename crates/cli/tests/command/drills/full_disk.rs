//! A full disk is told as one, nothing that was there is lost, and the same command continues once there is room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workbench::{Ran, Workbench};

/// A file system of a few kilobytes, gone when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounted at a new directory of the bench; `None`, with the reason printed, where this process may not mount.
    fn new(bench: &Workbench, kilobytes: u64) -> Option<Self> {
        let at = bench.path("disk");
        fs::create_dir_all(&at).expect("a directory can be made");
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        let refused = match mounted {
            Ok(output) if output.status.success() => return Some(Self { at }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("drill full disk: skipped, a small file system cannot be mounted here: {refused}");
        None
    }

    fn grow(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.at).status();
        assert!(status.is_ok_and(|status| status.success()), "the small disk cannot grow");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

/// Every file of a directory, by name.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(directory).expect("a directory is listed").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let bytes = fs::read(entry.path()).expect("a file can be read");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

fn told(ran: &Ran, case: &str) {
    assert_eq!(ran.code, Some(5), "{case}: {}{}", ran.out, ran.err);
    assert!(ran.err.to_lowercase().contains("no space left"), "{case}: {}", ran.err);
}

/// Runs a command whose output goes to `disk/NAME` on disks of these sizes: where it fails it says why and leaves the other
/// files and no half output; on a larger disk the same command gives the bytes of `expected`.
fn drill(bench: &Workbench, words: &str, name: &str, sizes: &[u64], expected: &Path) {
    let expected = fs::read(expected).expect("what is expected is there");
    let before = contents(&bench.path(""));
    let mut full = 0;
    for kilobytes in sizes {
        let Some(disk) = SmallDisk::new(bench, *kilobytes) else { return };
        let case = format!("{words} on {kilobytes} KiB");
        let ran = bench.run(words);
        if ran.code != Some(0) {
            full += 1;
            told(&ran, &case);
            assert!(!disk.at.join(name).exists(), "{case}: half an output is there");
            disk.grow();
            // The file that was whole before the disk was full is written over.
            let again = bench.run(&format!("{words} --force"));
            assert_eq!(again.code, Some(0), "{case}, then with room: {}{}", again.out, again.err);
        }
        assert!(fs::read(disk.at.join(name)).is_ok_and(|bytes| bytes == expected), "{case}: other bytes");
        assert!(contents(&bench.path("")) == before, "{case}: a file beside the disk changed");
    }
    assert!(full > 0, "{words}: no disk was too small");
    println!("drill full disk: {words}: {full} of {} disks were full, nothing lost", sizes.len());
}

#[test]
fn outputs_on_a_full_disk_say_so_and_the_command_repeats() {
    let bench = Workbench::new();
    bench.models();
    let train = "train --model wide-deep --data small.data --epochs 3 --batch-size 128 --lr 0.02 --out";
    let prepare = "data prepare movielens-latest-small ratings.csv --out";
    let inject = "inject fm.model --ber 1e-2 --seed 3 --out";
    for (words, name) in [(train, "a.model"), (prepare, "a.data"), (inject, "faulty.model")] {
        let whole = bench.run(&format!("{words} whole.{name}"));
        assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
        let sizes = [4, 8, 12, 16, 24, 32, 48, 200];
        drill(&bench, &format!("{words} disk/{name}"), name, &sizes, &bench.path(&format!("whole.{name}")));
    }
}

#[test]
fn campaigns_and_exports_on_a_full_disk_say_so_and_continue() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 4\nchips = 400\ntargets = [\"embedding\", \"all\"]\nrates = [1e-5, 1e-3]\n");
    assert_eq!(bench.run("run plan.toml --out whole --json").code, Some(0));
    let digest = bench.digest("whole");
    let mut full = 0;
    let sizes = [4, 40, 80, 100, 120, 200, 300, 500, 700];
    for kilobytes in sizes {
        let Some(disk) = SmallDisk::new(&bench, kilobytes) else { return };
        let words = "run plan.toml --out disk/run";
        let ran = bench.run(words);
        if ran.code != Some(0) {
            full += 1;
            told(&ran, &format!("{words} on {kilobytes} KiB"));
            disk.grow();
            let again = bench.run(words);
            assert_eq!(again.code, Some(0), "{kilobytes} KiB, then with room: {}", again.err);
        }
        assert_eq!(bench.digest("disk/run"), digest, "{kilobytes} KiB");
    }
    assert!(full > 0, "no disk was too small");
    println!(
        "drill full disk: run: {full} of {} disks were full, each continued to the same digest",
        sizes.len()
    );
    assert_eq!(bench.run("export whole --out exported").code, Some(0));
    drill(&bench, "export whole --out disk", "trials.csv", &[4, 16, 64], &bench.path("exported/trials.csv"));
}
