//! A file that is changed in place survives a kill at any instant: `undo` brings back its bytes, or they never changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Instants, killed_after, kills, timed};
use crate::workbench::Ran;

/// Words of the file; each of the changes below flips about one word in 30.
const WORDS: usize = 500_000;

/// A file of one tensor in a directory of its own, which is on the disk that is to be tried.
struct Subject {
    directory: tempfile::TempDir,
    original: Vec<u8>,
}

impl Subject {
    fn new(place: &Path) -> Self {
        let directory = tempfile::tempdir_in(place).expect("a directory can be made");
        let end = WORDS * 4;
        let mut header = format!(r#"{{"w":{{"dtype":"F32","shape":[{WORDS}],"data_offsets":[0,{end}]}}}}"#);
        while header.len() % 8 != 0 {
            header.push(' ');
        }
        let words = (0..WORDS as u32).flat_map(|i| (0.01 + (i % 977) as f32).to_le_bytes());
        let length = (header.len() as u64).to_le_bytes();
        let original: Vec<u8> = length.into_iter().chain(header.bytes()).chain(words).collect();
        fs::write(directory.path().join("m.st"), &original).expect("a file is written");
        Self { directory, original }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radhard"));
        command.args(words.split(' ')).current_dir(self.directory.path());
        command
    }

    fn run(&self, words: &str) -> Ran {
        let output = self.command(words).output().expect("the command starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn is_original(&self) -> bool {
        fs::read(self.path("m.st")).expect("the file is there") == self.original
    }

    /// After a kill: `undo` finishes or says that there is nothing to take back, and the bytes are the original ones.
    fn restored(&self, case: &str) {
        if self.path("m.map").exists() {
            let undone = self.run("undo m.st --map m.map");
            assert!(matches!(undone.code, Some(0 | 5)), "{case}: {}{}", undone.out, undone.err);
            assert!(self.is_original(), "{case}: undo left other bytes: {}{}", undone.out, undone.err);
        } else {
            assert!(self.is_original(), "{case}: the file changed before its map was there");
        }
        let mut names: Vec<_> = fs::read_dir(self.directory.path())
            .expect("a directory is listed")
            .map(|entry| {
                entry.expect("a directory is listed").file_name().into_string().expect("a plain name")
            })
            .collect();
        names.retain(|name| name != "m.st" && name != "m.map");
        assert!(names.iter().all(|name| name.contains(".tmp")), "{case}: {names:?} were left");
        let inspected = self.run("inspect m.st --json");
        assert_eq!(inspected.code, Some(0), "{case}: {}", inspected.err);
    }
}

/// Kills `inject --in-place`, `apply` and `undo` in turn, and takes back what each left.
fn drill(place: &Path, name: &str, seed: u64) {
    let subject = Subject::new(place);
    let inject = "inject m.st --ber 1e-3 --in-place --map m.map";
    let (apply, undo) = ("apply m.st --map m.map", "undo m.st --map m.map");
    let mut longest = [Duration::ZERO; 3];
    for (words, longest) in [inject, undo, apply].into_iter().zip(&mut longest) {
        let (status, time) = timed(subject.command(words));
        assert!(status.success(), "{words}: {status}");
        *longest = time;
    }
    assert!(!subject.is_original());
    subject.restored("before the first kill");
    let (mut instants, mut killed, mut tries, mut mixed) = (Instants::new(seed), 0, 0_u64, 0);
    while killed < kills() {
        tries += 1;
        assert!(tries < 20 * kills().max(10), "{killed} of {tries} processes were killed");
        let (words, longest) = match tries % 3 {
            0 => (inject, longest[0]),
            1 => (undo, longest[1]),
            _ => (apply, longest[2]),
        };
        if words == inject {
            fs::remove_file(subject.path("m.map")).expect("the map is removed");
        } else if words == undo {
            assert!(timed(subject.command(apply)).0.success(), "try {tries}");
        }
        if killed_after(subject.command(words), instants.below(longest)).is_some() {
            killed += 1;
        }
        let bytes = fs::read(subject.path("m.st")).expect("the file is there");
        mixed += u64::from(bytes != subject.original);
        subject.restored(&format!("try {tries}, {words}"));
        if !subject.path("m.map").exists() {
            assert!(timed(subject.command(inject)).0.success(), "try {tries}");
            subject.restored(&format!("try {tries}, a new map"));
        }
    }
    println!("drill in place, {name}: {killed} kills, {mixed} files changed when they came, 0 not restored");
}

#[test]
fn in_place_changes_on_a_disk_survive_kills() {
    drill(Path::new(env!("CARGO_TARGET_TMPDIR")), "a disk", 2);
}

#[test]
fn in_place_changes_in_memory_survive_kills() {
    let place = Path::new("/dev/shm");
    if place.is_dir() {
        drill(place, "tmpfs", 3);
    } else {
        println!("drill in place, tmpfs: skipped, this machine has no /dev/shm");
    }
}
