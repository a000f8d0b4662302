//! Walking what a chip touched, codeword by codeword.

use radhard_fault::Effect;

use crate::protection::{Prepared, Touched};

/// A place in a sorted list.
pub(crate) struct Cursor<'a, T> {
    list: &'a [(u64, T)],
}

impl<'a, T> Cursor<'a, T> {
    pub(crate) fn new(list: &'a [(u64, T)]) -> Self {
        Self { list }
    }

    /// The entries before this element; they are passed.
    pub(crate) fn before(&mut self, end: u64) -> &'a [(u64, T)] {
        let (passed, rest) = self.list.split_at(self.list.partition_point(|&(element, _)| element < end));
        self.list = rest;
        passed
    }
}

impl Touched<'_> {
    /// Calls `visit` for each codeword of `run` words that was hit, itself or in what is kept for it, in order: with its
    /// number, the touched words in it, and the kept words as they are read now, one of each kind.
    pub(crate) fn codewords(
        &self,
        run: u64,
        prepared: &dyn Prepared,
        mut visit: impl FnMut(u64, &[(u64, u64)], &[u64]),
    ) {
        let mut numbers: Vec<u64> = self.words.iter().map(|&(element, _)| element / run).collect();
        let in_data = numbers.len();
        for kept in self.kept {
            numbers.extend(kept.iter().map(|&(element, _)| element));
        }
        if numbers.len() > in_data {
            numbers.sort_unstable();
        }
        numbers.dedup();
        let mut data = Cursor::new(self.words);
        let mut kept: Vec<Cursor<'_, Effect>> = self.kept.iter().map(|list| Cursor::new(list)).collect();
        let mut read = vec![0; kept.len()];
        for number in numbers {
            for (copy, (cursor, read)) in kept.iter_mut().zip(&mut read).enumerate() {
                let stored = prepared.kept_word(self.index, copy, self.clean, number);
                *read = cursor.before(number + 1).last().map_or(stored, |(_, effect)| effect.on(stored));
            }
            visit(number, data.before((number + 1) * run), &read);
        }
    }

    /// Bytes of a run of words.
    pub(crate) fn bytes(&self, words: u64) -> u64 {
        self.clean.format().bytes(words)
    }
}
