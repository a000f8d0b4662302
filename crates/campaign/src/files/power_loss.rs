//! Every state of the disk that a stop in the middle of a change in place can leave is one from which the map leads back.
//!
//! The operations of a change are recorded on a disk in memory. At each point of it, whatever no sync holds may be lost: any
//! sectors of a file, any entries of the directory. From every state that can be left, changes start anew and are stopped again,
//! until no new state comes up.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use radhard_fault::*;

use super::FileCause;
use super::in_place::{Disk, Side, apply, put_whole, undo};
use super::words::{Bytes, ChangedWords};

const MODEL: &str = "m.st";
const MAP: &str = "m.map";
const SIDE: &str = "m.st.radhard-fault";
const MARK: &[u8] = b"{\"format\": 1}";
const SECTOR: usize = 512;

/// Operations on one file that the system was told to do and may not have done yet.
#[derive(Clone)]
enum Write {
    Length(usize),
    Sector(usize, Vec<u8>),
}

/// Changes of the directory's entries that happen at once.
#[derive(Clone)]
struct Entries(Vec<(PathBuf, Option<usize>)>);

/// A file: its bytes on the disk, and what is written but not yet there.
#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone, Default)]
struct Contents {
    files: Vec<Content>,
    entries: BTreeMap<PathBuf, usize>,
    pending: Vec<Entries>,
}

/// Which syncs a broken disk leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Broken {
    Nothing,
    Words,
    Files,
    Directory,
    All,
}

/// A directory on a disk in memory; after each operation a copy of it is put aside.
struct Recorder {
    now: RefCell<Contents>,
    history: RefCell<Vec<Contents>>,
    broken: Broken,
}

/// The disk after a stop: model, map and side file, whichever are there.
type State = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

impl Write {
    fn on(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Sector(at, sector) => {
                bytes.resize(bytes.len().max(at + sector.len()), 0);
                bytes[*at..][..sector.len()].copy_from_slice(sector);
            }
        }
    }
}

impl Entries {
    fn on(&self, entries: &mut BTreeMap<PathBuf, usize>) {
        for (name, file) in &self.0 {
            match file {
                Some(file) => entries.insert(name.clone(), *file),
                None => entries.remove(name),
            };
        }
    }
}

impl Content {
    fn live(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        self.pending.iter().for_each(|write| write.on(&mut bytes));
        bytes
    }

    fn sync(&mut self) {
        self.bytes = self.live();
        self.pending.clear();
    }
}

/// Each choice of some of these, in their order.
fn subsets<T: Clone>(of: &[T]) -> impl Iterator<Item = Vec<T>> {
    assert!(of.len() < 16, "too many to try");
    (0..1_usize << of.len()).map(|chosen| {
        (0..of.len()).filter(|place| chosen >> place & 1 == 1).map(|place| of[place].clone()).collect()
    })
}

impl Contents {
    fn of(state: &State) -> Self {
        let mut contents = Self::default();
        let (model, map, side) = state;
        for (name, bytes) in [(MODEL, Some(model)), (MAP, map.as_ref()), (SIDE, side.as_ref())] {
            if let Some(bytes) = bytes {
                contents.entries.insert(name.into(), contents.files.len());
                contents.files.push(Content { bytes: bytes.clone(), pending: Vec::new() });
            }
        }
        contents
    }

    fn live(&self) -> BTreeMap<PathBuf, usize> {
        let mut entries = self.entries.clone();
        self.pending.iter().for_each(|change| change.on(&mut entries));
        entries
    }

    /// Every state that the disk may be in if all stops now.
    fn left(&self) -> BTreeSet<State> {
        let mut states = BTreeSet::new();
        let contents: Vec<BTreeSet<Vec<u8>>> = self
            .files
            .iter()
            .map(|file| {
                let some = subsets(&file.pending).map(|writes| {
                    let mut bytes = file.bytes.clone();
                    for write in &writes {
                        write.on(&mut bytes);
                    }
                    bytes
                });
                some.collect()
            })
            .collect();
        for changes in subsets(&self.pending) {
            let mut entries = self.entries.clone();
            for change in &changes {
                change.on(&mut entries);
            }
            let bytes_of = |name: &str| -> Vec<Option<Vec<u8>>> {
                match entries.get(Path::new(name)) {
                    Some(&file) => contents[file].iter().cloned().map(Some).collect(),
                    None => vec![None],
                }
            };
            for model in bytes_of(MODEL).into_iter().flatten() {
                for map in bytes_of(MAP) {
                    for side in bytes_of(SIDE) {
                        states.insert((model.clone(), map.clone(), side));
                    }
                }
            }
        }
        states
    }
}

impl Recorder {
    fn of(state: &State, broken: Broken) -> Self {
        let now = RefCell::new(Contents::of(state));
        Self { now, history: RefCell::default(), broken }
    }

    fn step<T>(&self, work: impl FnOnce(&mut Contents) -> T) -> T {
        let value = work(&mut self.now.borrow_mut());
        self.history.borrow_mut().push(self.now.borrow().clone());
        value
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.now.borrow().live().get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn model(&self) -> usize {
        self.file(Path::new(MODEL)).unwrap()
    }

    fn ignores(&self, what: Broken) -> bool {
        self.broken == what || self.broken == Broken::All
    }

    /// Every state that a stop at any point of what was recorded can leave.
    fn left(&self) -> BTreeSet<State> {
        self.history.borrow().iter().flat_map(Contents::left).collect()
    }

    /// Every state that a stop after the last operation can leave.
    fn left_at_end(&self) -> BTreeSet<State> {
        self.now.borrow().left()
    }
}

impl Bytes for Recorder {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let bytes = self.now.borrow().files[self.model()].live();
        into.copy_from_slice(&bytes[at as usize..][..into.len()]);
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let model = self.model();
        self.step(|now| {
            let mut at = at as usize;
            let mut rest = bytes;
            while !rest.is_empty() {
                let length = rest.len().min(SECTOR - at % SECTOR);
                let before = now.files[model].live();
                if before[at..at + length] != rest[..length] {
                    now.files[model].pending.push(Write::Sector(at, rest[..length].to_vec()));
                }
                (at, rest) = (at + length, &rest[length..]);
            }
        });
        Ok(())
    }
}

impl Disk for Recorder {
    fn sync_words(&self) -> io::Result<()> {
        let (model, ignores) = (self.model(), self.ignores(Broken::Words));
        self.step(|now| (!ignores).then(|| now.files[model].sync()));
        Ok(())
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(|now| {
            let file = now.files.len();
            let pending = vec![Write::Length(bytes.len()), Write::Sector(0, bytes.to_vec())];
            now.files.push(Content { bytes: Vec::new(), pending });
            now.pending.push(Entries(vec![(path.to_owned(), Some(file))]));
        });
        Ok(())
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let (file, ignores) = (self.file(path)?, self.ignores(Broken::Files));
        self.step(|now| (!ignores).then(|| now.files[file].sync()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.file(from)?;
        self.step(|now| {
            now.pending.push(Entries(vec![(to.to_owned(), Some(file)), (from.to_owned(), None)]));
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.step(|now| now.pending.push(Entries(vec![(path.to_owned(), None)])));
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let ignores = self.ignores(Broken::Directory);
        self.step(|now| {
            if !ignores {
                now.entries = now.live();
                now.pending.clear();
            }
        });
        Ok(())
    }
}

/// Faults at given words.
struct Given(Vec<(usize, u64, u64)>);

impl ErrorModel for Given {
    fn name(&self) -> String {
        "given".to_owned()
    }

    fn nests(&self) -> bool {
        true
    }

    fn takes_rate(&self) -> bool {
        false
    }

    fn fill(&self, _: Chip, _: &Exposure, _: BitErrorRate, out: &mut DrawnMap) -> Result<(), DrawError> {
        for &(place, element, mask) in &self.0 {
            out.parameter_mut(place).push(element, Effect::flip(mask));
        }
        Ok(())
    }
}

/// A small model whose words lie across sectors, and a map with a word across two of them, two words of one write in different
/// sectors, and two that share a byte.
fn subject() -> (Vec<u8>, SafetensorsLayout, ErrorMap) {
    let mut header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2000],\"data_offsets\":[0,8000]},\
                       \"n\":{\"dtype\":\"F4\",\"shape\":[8],\"data_offsets\":[8000,8004]}}"
        .to_owned();
    while (header.len() + 8) % 4 != 2 {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend((0..8004_u32).map(|i| (i * 7 % 251) as u8));
    let layout = SafetensorsLayout::of(&bytes, |_| Component::Unknown).unwrap();
    let across = (0..200).find(|&element| layout.place(0, element).at % 512 == 510).unwrap();
    let parameters = SafetensorsBytes::new(bytes.clone(), |_| Component::Unknown).unwrap();
    let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters).unwrap();
    let mut drawn = DrawnMap::new();
    let words =
        vec![(0, across, 0x0101_0101), (0, 1500, 1 << 30), (0, 1700, 0xFF), (1, 2, 0b1000), (1, 3, 0b0001)];
    Given(words).draw(Chip::new(1, 0), &exposure, None, &mut drawn).unwrap();
    let errors = drawn.resolve(&parameters).unwrap();
    assert_eq!((errors.words(), errors.flips()), (5, 4 + 1 + 8 + 1 + 1));
    (bytes, layout, errors)
}

/// The three commands: injection with its map written first, `apply` and `undo`.
#[derive(Clone, Copy, Debug)]
enum Command {
    Inject,
    Apply,
    Undo,
}

fn run(command: Command, disk: &Recorder, words: &ChangedWords<'_>, map: &[u8]) -> Result<(), FileCause> {
    let path = Path::new(SIDE);
    let there = disk.file(path).is_ok();
    match command {
        Command::Inject => {
            put_whole(disk, Path::new(MAP), map)?;
            apply(disk, words, Side { path, there }, MARK).map(|_| ())
        }
        Command::Apply => apply(disk, words, Side { path, there }, MARK).map(|_| ()),
        Command::Undo => undo(disk, words, there.then_some(path)).map(|_| ()),
    }
}

/// Follows every stop of every command from every state; the first thing that is lost, and how many states there were.
fn lost(broken: Broken) -> Result<usize, String> {
    let (clean, layout, errors) = subject();
    let words = ChangedWords::new(&errors, &layout).unwrap();
    let map = errors.to_bytes().unwrap();
    let mut injected = clean.clone();
    {
        let mut parameters = SafetensorsBytes::new(&mut injected[..], |_| Component::Unknown).unwrap();
        errors.apply(&mut parameters).unwrap();
    }
    let mut known = BTreeSet::from([(clean.clone(), None, None)]);
    let mut open: Vec<State> = known.iter().cloned().collect();
    while let Some(state) = open.pop() {
        let (model, map_there, side) = &state;
        if let Some(side) = side.as_ref().filter(|side| side[..] != *MARK) {
            return Err(format!("a side file of {} bytes", side.len()));
        }
        if *model != clean && side.is_none() {
            return Err("a faulty file without a side file".to_owned());
        }
        if (*model != clean || side.is_some()) && map_there.as_deref() != Some(&map[..]) {
            return Err("a faulty file without its map".to_owned());
        }
        let whole_map = map_there.as_deref() == Some(&map[..]);
        let commands = if whole_map { vec![Command::Apply, Command::Undo] } else { vec![Command::Inject] };
        for command in commands {
            let disk = Recorder::of(&state, broken);
            let ended = run(command, &disk, &words, &map);
            let after = match command {
                Command::Inject | Command::Apply => {
                    (injected.clone(), Some(map.clone()), Some(MARK.to_vec()))
                }
                Command::Undo => (clean.clone(), Some(map.clone()), None),
            };
            match ended {
                Ok(()) if disk.left_at_end() != BTreeSet::from([after.clone()]) => {
                    return Err(format!("{command:?} has ended, and what it did may be lost"));
                }
                Ok(()) => {}
                Err(FileCause::Apply(ApplyError::AppliedAlready { .. } | ApplyError::NotApplied { .. }))
                    if state == after => {}
                Err(error) => return Err(format!("{command:?} is refused: {error}")),
            }
            for left in disk.left() {
                if known.insert(left.clone()) {
                    open.push(left);
                }
            }
        }
    }
    Ok(known.len())
}

#[test]
fn no_order_of_writes_that_the_syncs_allow_loses_the_file() {
    // The file before it has a map, the file with one, and with the side file every mix of the five sectors that are written.
    assert_eq!(lost(Broken::Nothing), Ok(1 + 1 + (1 << 5)));
}

#[test]
fn a_disk_that_leaves_out_syncs_does_lose_it() {
    for broken in [Broken::Words, Broken::Files, Broken::Directory, Broken::All] {
        assert!(lost(broken).is_err(), "{broken:?}");
    }
}

/// A disk with room for so many more writes; what was written once has its room.
struct Full {
    disk: Recorder,
    room: std::cell::Cell<usize>,
    written: RefCell<BTreeSet<u64>>,
}

impl Full {
    fn take(&self) -> io::Result<()> {
        let left = self.room.get().checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        self.room.set(left);
        Ok(())
    }
}

impl Bytes for Full {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.written.borrow().contains(&at) {
            self.take()?;
            self.written.borrow_mut().insert(at);
        }
        self.disk.write_at(at, bytes)
    }
}

impl Disk for Full {
    fn sync_words(&self) -> io::Result<()> {
        self.disk.sync_words()
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.take()?;
        self.disk.create(path, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.disk.sync(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }
}

#[test]
fn a_full_disk_stops_apply_and_leaves_the_file_as_it_was() {
    let (clean, layout, errors) = subject();
    let words = ChangedWords::new(&errors, &layout).unwrap();
    let map = errors.to_bytes().unwrap();
    let start = (clean.clone(), Some(map), None);
    let side = Side { path: Path::new(SIDE), there: false };
    let mut stopped = 0;
    for room in 0..10 {
        let disk = Recorder::of(&start, Broken::Nothing);
        let full = Full { disk, room: room.into(), written: RefCell::default() };
        match apply(&full, &words, side, MARK) {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(full.disk.left_at_end(), BTreeSet::from([start.clone()]), "room for {room}");
                let told = error.to_string();
                assert!(told.contains("no space left") || room == 0, "{told}");
                stopped += 1;
            }
        }
    }
    assert_eq!(stopped, 1 + 3, "the side file and each write of words");
}

#[test]
fn a_full_disk_that_stops_a_change_begun_before_says_what_finishes_it() {
    let (clean, layout, errors) = subject();
    let words = ChangedWords::new(&errors, &layout).unwrap();
    let map = errors.to_bytes().unwrap();
    let disk = Recorder::of(&(clean.clone(), Some(map.clone()), Some(MARK.to_vec())), Broken::Nothing);
    let full = Full { disk, room: 1.into(), written: RefCell::default() };
    words.set(&full, super::words::State::Injected).unwrap_err();
    let side = Path::new(SIDE);
    let error = apply(&full, &words, Side { path: side, there: true }, MARK).unwrap_err().to_string();
    assert!(error.contains("no space left") && error.contains("undo with the same map"), "{error}");
    undo(&full, &words, Some(side)).unwrap();
    assert_eq!(full.disk.left_at_end(), BTreeSet::from([(clean, Some(map), None)]));
}
