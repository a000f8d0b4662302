//! The words of an error map in a file, read and written by calls: the cost follows the flips, never the file.

use std::fs::File;
use std::io;
use std::ops::Range;

use radhard_fault::{ApplyError, ErrorMap, Format, MapParameter, SafetensorsLayout};

use super::FileCause;

/// Bytes that one call reads or writes, at most: a page.
const SPAN: u64 = 4096;
/// Bytes that a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// Bytes at places, of a file or of what stands in for one in a test.
pub(crate) trait Bytes {
    /// Reads bytes at a place.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes bytes at a place.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

impl Bytes for File {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        radhard_memory::read_at(self, at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        radhard_memory::write_at(self, at, bytes)
    }
}

/// The words of a map, as they are to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The words before.
    Old,
    /// The words that the map makes of them.
    Injected,
}

/// How many words of a map are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Words as they were before.
    pub(crate) old: u64,
    /// Words as the map makes them.
    pub(crate) injected: u64,
    /// Words across two sectors of a disk of which one was written.
    pub(crate) torn: u64,
}

impl Survey {
    /// Whether there are words, and all are in this state.
    pub(crate) fn all(self, state: State) -> bool {
        let (of_state, others) = match state {
            State::Old => (self.old, self.injected),
            State::Injected => (self.injected, self.old),
        };
        of_state > 0 && others + self.torn == 0
    }
}

/// The words that an error map changes, and where in a file they are.
#[derive(Debug)]
pub(crate) struct ChangedWords<'a> {
    errors: &'a ErrorMap,
    /// The place of each changed parameter in the layout.
    places: Vec<usize>,
    layout: &'a SafetensorsLayout,
    /// Where data begins in the file at hand, whose header may be longer or shorter than that of the layout.
    data_at: u64,
}

impl<'a> ChangedWords<'a> {
    /// Errors: the map is for other parameters.
    pub(crate) fn new(errors: &'a ErrorMap, layout: &'a SafetensorsLayout) -> Result<Self, ApplyError> {
        let places = errors.fits(layout.specs())?;
        Ok(Self { errors, places, layout, data_at: layout.header().end as u64 })
    }

    /// The same words in a file whose data begin elsewhere.
    pub(crate) fn with_data_at(&self, data_at: u64) -> ChangedWords<'a> {
        ChangedWords { places: self.places.clone(), data_at, ..*self }
    }

    /// Looks at every word.
    ///
    /// Errors: the file can't be read; a word is neither the old nor the injected one.
    pub(crate) fn survey(&self, file: &impl Bytes) -> Result<Survey, FileCause> {
        let mut survey = Survey::default();
        let mut buffer = Vec::new();
        for (changed, &index) in self.errors.parameters().iter().zip(&self.places) {
            for group in self.groups(changed, index) {
                read_group(file, &group, &mut buffer)?;
                for i in group.words {
                    let place = self.layout.place(index, changed.elements()[i]);
                    let at = self.moved(place.at);
                    let found = place.get(&buffer[(at - group.bytes.start) as usize..], changed.format());
                    let (old, injected) = (changed.old()[i], changed.old()[i] ^ changed.masks()[i]);
                    if found == injected {
                        survey.injected += 1;
                    } else if found == old {
                        survey.old += 1;
                    } else if is_torn(found, (old, injected), at..at + place.bytes as u64) {
                        survey.torn += 1;
                    } else {
                        let (name, element) = (changed.name().to_owned(), changed.elements()[i]);
                        return Err(ApplyError::ThirdWord { name, element, old, injected, found }.into());
                    }
                }
            }
        }
        Ok(survey)
    }

    /// Brings every word into a state; those that are in it already are not written.
    pub(crate) fn set(&self, file: &impl Bytes, state: State) -> io::Result<()> {
        let mut buffer = Vec::new();
        for (changed, &index) in self.errors.parameters().iter().zip(&self.places) {
            for group in self.groups(changed, index) {
                read_group(file, &group, &mut buffer)?;
                let before = buffer.clone();
                for i in group.words {
                    let place = self.layout.place(index, changed.elements()[i]);
                    let word = match state {
                        State::Old => changed.old()[i],
                        State::Injected => changed.old()[i] ^ changed.masks()[i],
                    };
                    let start = (self.moved(place.at) - group.bytes.start) as usize;
                    place.set(&mut buffer[start..], changed.format(), word);
                }
                if buffer != before {
                    file.write_at(group.bytes.start, &buffer)?;
                }
            }
        }
        Ok(())
    }

    fn moved(&self, at: u64) -> u64 {
        at - self.layout.header().end as u64 + self.data_at
    }

    fn groups(&self, changed: &MapParameter, index: usize) -> impl Iterator<Item = Group> {
        let elements = changed.elements();
        groups(elements, move |element| {
            let place = self.layout.place(index, element);
            let at = self.moved(place.at);
            at..at + place.bytes as u64
        })
    }
}

/// Words that are near each other, and the bytes that they take together.
struct Group {
    words: Range<usize>,
    bytes: Range<u64>,
}

fn read_group(file: &impl Bytes, group: &Group, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize((group.bytes.end - group.bytes.start) as usize, 0);
    file.read_at(group.bytes.start, buffer)
}

/// Rising elements in groups of at most [`SPAN`] bytes.
fn groups(elements: &[u64], place: impl Fn(u64) -> Range<u64>) -> impl Iterator<Item = Group> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let Range { start, mut end } = place(*elements.get(first)?);
        let mut next = first + 1;
        while let Some(&element) = elements.get(next) {
            let bytes = place(element);
            if bytes.end - start > SPAN {
                break;
            }
            end = bytes.end;
            next += 1;
        }
        let words = first..next;
        first = next;
        Some(Group { words, bytes: start..end })
    })
}

/// The words of some rising elements of a parameter.
pub(crate) fn read_words(
    file: &impl Bytes,
    layout: &SafetensorsLayout,
    index: usize,
    elements: &[u64],
) -> io::Result<Vec<u64>> {
    let format: Format = layout.specs()[index].format;
    let range = |element| {
        let place = layout.place(index, element);
        place.at..place.at + place.bytes as u64
    };
    let (mut words, mut buffer) = (Vec::with_capacity(elements.len()), Vec::new());
    for group in groups(elements, range) {
        read_group(file, &group, &mut buffer)?;
        words.extend(group.words.map(|i| {
            let place = layout.place(index, elements[i]);
            place.get(&buffer[(place.at - group.bytes.start) as usize..], format)
        }));
    }
    Ok(words)
}

/// Whether a word reads in part as it was and in part as injected, with the cut where a sector of the disk ends.
fn is_torn(found: u64, (old, injected): (u64, u64), bytes: Range<u64>) -> bool {
    let boundary = (bytes.start / SECTOR + 1) * SECTOR;
    if boundary >= bytes.end {
        return false;
    }
    let low = (1_u64 << (8 * (boundary - bytes.start))) - 1;
    [(old, injected), (injected, old)].into_iter().any(|(first, rest)| found == first & low | rest & !low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_torn_only_where_a_sector_ends_in_it() {
        let (old, injected) = (0x1111_1111, 0x2222_2222);
        assert!(is_torn(0x1111_2222, (old, injected), 510..514));
        assert!(is_torn(0x2222_1111, (old, injected), 510..514));
        assert!(!is_torn(0x1111_2222, (old, injected), 508..512), "the word ends with the sector");
        assert!(!is_torn(0x1111_2222, (old, injected), 512..516), "the word begins with the sector");
        assert!(!is_torn(0x1111_2222, (old, injected), 509..513), "the cut is elsewhere");
        assert!(!is_torn(0x1112_2222, (old, injected), 510..514));
    }

    #[test]
    fn groups_hold_every_word_once_and_span_a_page_at_most() {
        let elements = [0, 1, 7, 1000, 1023, 1024, 5000, 1 << 40];
        let place = |element: u64| 8 + 4 * element..12 + 4 * element;
        let groups: Vec<_> = groups(&elements, place).map(|group| (group.words, group.bytes)).collect();
        assert_eq!(
            groups.iter().flat_map(|(words, _)| words.clone()).collect::<Vec<_>>(),
            (0..8).collect::<Vec<_>>()
        );
        assert_eq!(groups[0], (0..5, 8..8 + 4096));
        assert_eq!(groups.len(), 4);
    }
}
