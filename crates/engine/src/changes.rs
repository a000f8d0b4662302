//! Words that read otherwise than they are stored, and a guard that writes them.

use std::ops::Deref;

use radhard_fault::{DrawnMap, Effect, Parameters};

use crate::lend::LentModel;

/// The words of a model that read otherwise than stored, sorted within each parameter.
///
/// Memory: O(words changed), two 64-bit numbers each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    parameters: Vec<Changed>,
    flips: u64,
}

/// The changed words of one parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Changed {
    index: usize,
    /// Element, and the word that is read there.
    words: Vec<(u64, u64)>,
}

impl Changes {
    /// What a drawn map changes in a model as it is now; words that it leaves as they are do not count.
    pub fn of(drawn: &DrawnMap, lent: &LentModel) -> Self {
        let mut changes = Self::default();
        for parameter in drawn.parameters().iter().filter(|parameter| !parameter.elements().is_empty()) {
            let words = lent.words(parameter.index());
            let read = parameter.iter().map(|(element, effect)| (element, effect.on(words.get(element))));
            changes.push(lent, parameter.index(), read);
        }
        changes
    }

    /// Adds words of one parameter, in the order of their elements; those that equal the stored ones are left out.
    pub fn push(&mut self, lent: &LentModel, index: usize, read: impl IntoIterator<Item = (u64, u64)>) {
        let stored = lent.words(index);
        let read = read.into_iter();
        let mut words = Vec::with_capacity(read.size_hint().0);
        for (element, word) in read {
            let difference = stored.get(element) ^ word;
            if difference != 0 {
                self.flips += u64::from(difference.count_ones());
                words.push((element, word));
            }
        }
        if !words.is_empty() {
            self.parameters.push(Changed { index, words });
        }
    }

    /// Bits that read otherwise than stored.
    pub fn flips(&self) -> u64 {
        self.flips
    }

    /// Whether every word reads as stored.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Number of words that read otherwise.
    pub fn words(&self) -> usize {
        self.parameters.iter().map(|changed| changed.words.len()).sum()
    }

    /// Parameters with the elements and words that are read.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[(u64, u64)])> {
        self.parameters.iter().map(|changed| (changed.index, changed.words.as_slice()))
    }
}

/// Changes in the words of a model; dropping it restores every byte.
#[derive(Debug)]
pub struct Written<'a> {
    lent: &'a mut LentModel,
    /// Parameter, element and the word that was stored.
    stored: Vec<(usize, Vec<(u64, u64)>)>,
}

impl<'a> Written<'a> {
    /// Writes the changed words into the model.
    pub fn new(lent: &'a mut LentModel, changes: &Changes) -> Self {
        let mut written = Self { lent, stored: Vec::with_capacity(changes.parameters.len()) };
        for (index, read) in changes.iter() {
            let mut words = written.lent.words_mut(index);
            let stored = read
                .iter()
                .map(|&(element, word)| (element, words.apply(element, Effect::write(word))))
                .collect();
            written.stored.push((index, stored));
        }
        written
    }
}

impl Deref for Written<'_> {
    type Target = LentModel;

    fn deref(&self) -> &LentModel {
        self.lent
    }
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        for (index, stored) in &self.stored {
            let mut words = self.lent.words_mut(*index);
            for &(element, word) in stored {
                words.set(element, word);
            }
        }
    }
}
