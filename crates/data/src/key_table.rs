//! A hash table from short texts to numbers, for fields with tens of millions of values.
use crate::random::mix;

/// The longest text that a key holds, in bytes.
pub(crate) const KEY_BYTES: usize = 8;

/// A text of at most [`KEY_BYTES`] bytes other than zero as a number, which orders as its bytes do.
pub(crate) fn key(text: &[u8]) -> u64 {
    if let Ok(whole) = text.try_into() {
        return u64::from_be_bytes(whole);
    }
    let mut bytes = [0; KEY_BYTES];
    bytes[..text.len()].copy_from_slice(text);
    u64::from_be_bytes(bytes)
}

/// The text of a key.
pub(crate) fn text(key: u64) -> Box<[u8]> {
    let bytes = key.to_be_bytes();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(KEY_BYTES);
    bytes[..end].into()
}

/// Twelve bytes, where a key of one word would take sixteen.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    high: u32,
    low: u32,
    /// 0 where the slot is free.
    number: u32,
}

impl Slot {
    fn holds(self, key: u64) -> bool {
        self.high == (key >> 32) as u32 && self.low == key as u32
    }

    fn key(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

/// Numbers above 0 by key, by open addressing.
#[derive(Debug, Clone)]
pub(crate) struct KeyTable {
    /// As many as a power of two, at most three quarters of them taken.
    slots: Vec<Slot>,
    taken: usize,
}

impl KeyTable {
    /// An empty table that takes `keys` keys before it grows.
    pub(crate) fn with_room_for(keys: usize) -> Self {
        let slots = (2 * keys).next_power_of_two().max(16);
        Self { slots: vec![Slot::default(); slots], taken: 0 }
    }

    /// Where `key` is, or would be.
    fn place(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = mix(key) as usize & mask;
        while self.slots[place].number != 0 && !self.slots[place].holds(key) {
            place = (place + 1) & mask;
        }
        place
    }

    /// The number of `key`, 0 if it has none.
    pub(crate) fn get(&self, key: u64) -> u32 {
        self.slots[self.place(key)].number
    }

    /// Adds `number`, which is not 0, to the number of `key`.
    pub(crate) fn add(&mut self, key: u64, number: u32) {
        let place = self.place(key);
        let slot = &mut self.slots[place];
        if slot.number != 0 {
            slot.number += number;
            return;
        }
        *slot = Slot { high: (key >> 32) as u32, low: key as u32, number };
        self.taken += 1;
        if self.taken > self.slots.len() / 4 * 3 {
            let larger = vec![Slot::default(); 2 * self.slots.len()];
            let smaller = std::mem::replace(&mut self.slots, larger);
            for slot in smaller.into_iter().filter(|slot| slot.number != 0) {
                let place = self.place(slot.key());
                self.slots[place] = slot;
            }
        }
    }

    /// Keys and their numbers, in no order of use.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.slots.iter().filter(|slot| slot.number != 0).map(|slot| (slot.key(), slot.number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn keys_are_their_texts_in_order() {
        let texts = ["", "-1", "-2", "0", "1", "10", "2", "68fd1e64", "68fd1e65", "a"];
        for pair in texts.windows(2) {
            assert!(key(pair[0].as_bytes()) < key(pair[1].as_bytes()), "{pair:?}");
        }
        for word in texts {
            assert_eq!(*text(key(word.as_bytes())), *word.as_bytes());
        }
    }

    #[test]
    fn a_table_counts_what_a_map_counts() {
        let mut table = KeyTable::with_room_for(0);
        let mut map = BTreeMap::new();
        for step in 0..20_000u64 {
            // Key 0 too, and keys that differ in one half only.
            let key = (mix(step) % 3000) << (32 * (step % 2));
            table.add(key, 1 + (step % 3) as u32);
            *map.entry(key).or_insert(0) += 1 + (step % 3) as u32;
        }
        assert_eq!(table.entries().collect::<BTreeMap<_, _>>(), map);
        assert!(map.iter().all(|(key, number)| table.get(*key) == *number));
        assert_eq!(table.get(u64::MAX), 0);
    }
}
