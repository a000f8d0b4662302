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

    /// The first element that was not passed.
    pub(crate) fn next(&self) -> Option<u64> {
        self.list.first().map(|&(element, _)| element)
    }

    /// The entries before this element; they are passed. Each entry is looked at once: codewords hold few of them.
    pub(crate) fn before(&mut self, end: u64) -> &'a [(u64, T)] {
        let count = self.list.iter().take_while(|&&(element, _)| element < end).count();
        let (passed, rest) = self.list.split_at(count);
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
        let mut data = Cursor::new(self.words);
        let mut kept: Vec<Cursor<'_, Effect>> = self.kept.iter().map(|list| Cursor::new(list)).collect();
        let mut read = vec![0; kept.len()];
        loop {
            let in_data = data.next().map(|element| element / run);
            let Some(number) = kept.iter().filter_map(Cursor::next).chain(in_data).min() else { return };
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
