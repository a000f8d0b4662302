//! From the values of a categorical column to rows of its table.
use std::collections::HashMap;

use rayon::prelude::*;

use crate::bad_line::{Reason, excerpt};
use crate::vocabulary::Vocabulary;

/// Without declared dims an id that becomes a table row as it is must be below this, so that one damaged id cannot ask
/// for a model of billions of rows.
pub const UNDECLARED_DIM: u32 = 10_000_000;

/// Rows of a field by the value's text.
pub(crate) type Places = HashMap<Box<[u8]>, u32>;

/// How one field finds the row of a value.
#[derive(Debug, Clone)]
pub(crate) enum FieldRule {
    /// The value less `first`, which must be below `dim`.
    Number { first: u32, dim: u32 },
    /// The value's place in an existing vocabulary, or the row of rare values where there is one.
    Known { places: Places, rare: Option<u32> },
    /// Numbered as they come, renumbered at the end.
    Dense,
}

impl FieldRule {
    /// The row of a value, or for [`FieldRule::Dense`] nothing yet.
    pub(crate) fn place(&self, column: &str, value: &[u8]) -> Result<Option<u32>, Reason> {
        match self {
            Self::Number { first, dim } => id_number(column, value, *first, *dim).map(Some),
            Self::Known { places, rare } => match places.get(value).or(rare.as_ref()) {
                Some(row) => Ok(Some(*row)),
                None => Err(Reason::Unknown { column: column.to_owned(), text: excerpt(value) }),
            },
            Self::Dense => Ok(None),
        }
    }
}

/// The whole number `value` less `first`, below `dim`.
pub(crate) fn id_number(column: &str, value: &[u8], first: u32, dim: u32) -> Result<u32, Reason> {
    let value = value.trim_ascii();
    let out_of_range = || Reason::OutOfRange {
        column: column.to_owned(),
        text: excerpt(value),
        low: f64::from(first),
        high: f64::from(first) + f64::from(dim) - 1.0,
    };
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::NotANumber { column: column.to_owned(), text: excerpt(value) });
    }
    let id = digits
        .iter()
        .try_fold(0u32, |id, digit| id.checked_mul(10)?.checked_add(u32::from(digit - b'0')))
        .filter(|id| digits.len() == value.len() || *id == 0);
    id.and_then(|id| id.checked_sub(first)).filter(|row| *row < dim).ok_or_else(out_of_range)
}

/// Values numbered in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    places: Places,
    values: Vec<Box<[u8]>>,
}

impl Interner {
    /// The number of a value, a new one if it did not come before.
    pub(crate) fn intern(&mut self, value: &[u8]) -> u32 {
        if let Some(place) = self.places.get(value) {
            return *place;
        }
        let place = self.values.len() as u32;
        self.values.push(value.into());
        self.places.insert(value.into(), place);
        place
    }

    /// Takes in the values of a later piece; says the number here of each number there.
    pub(crate) fn absorb(&mut self, later: &Self) -> Vec<u32> {
        later.values.iter().map(|value| self.intern(value)).collect()
    }

    /// The values in their final order and the final row of each number: whole numbers by size if all values are whole
    /// numbers as they would be printed, else by their bytes.
    pub(crate) fn into_vocabulary(self) -> (Vocabulary, Vec<u32>) {
        let integers: Option<Vec<i64>> = self.values.iter().map(|value| canonical_integer(value)).collect();
        let mut order: Vec<u32> = (0..self.values.len() as u32).collect();
        match &integers {
            Some(integers) => order.sort_unstable_by_key(|place| integers[*place as usize]),
            None => {
                order.sort_unstable_by(|a, b| self.values[*a as usize].cmp(&self.values[*b as usize]));
            }
        }
        let mut rows = vec![0; order.len()];
        for (row, place) in (0u32..).zip(&order) {
            rows[*place as usize] = row;
        }
        let vocabulary = match integers {
            Some(integers) => {
                Vocabulary::Integers(order.iter().map(|place| integers[*place as usize]).collect())
            }
            None => {
                Vocabulary::Strings(order.iter().map(|place| self.values[*place as usize].clone()).collect())
            }
        };
        (vocabulary, rows)
    }
}

fn canonical_integer(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

/// Gives each index of `field` its row.
pub(crate) fn renumber(indices: &mut [u32], fields: usize, field: usize, rows: &[u32]) {
    indices.par_chunks_mut(fields << 16).for_each(|block| {
        for index in block.iter_mut().skip(field).step_by(fields) {
            *index = rows[*index as usize];
        }
    });
}

/// Renumbers the indices of `field` to those that occur, which are the values less `first`.
pub(crate) fn renumber_occurring(indices: &mut [u32], fields: usize, field: usize, first: u32) -> Vocabulary {
    let column = || indices.iter().skip(field).step_by(fields);
    let end = column().max().map_or(0, |max| *max as usize + 1);
    let mut rows = vec![u32::MAX; end];
    for index in column() {
        rows[*index as usize] = 0;
    }
    let mut values = Vec::new();
    for (index, row) in rows.iter_mut().enumerate().filter(|(_, row)| **row == 0) {
        *row = values.len() as u32;
        values.push(index as i64 + i64::from(first));
    }
    renumber(indices, fields, field, &rows);
    Vocabulary::Integers(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rows_within_their_field() {
        let rule = FieldRule::Number { first: 1, dim: 60 };
        assert_eq!(rule.place("u", b"1"), Ok(Some(0)));
        assert_eq!(rule.place("u", b"060"), Ok(Some(59)));
        for value in ["0", "61", "-1", "4000000000", "99999999999999999999"] {
            let reason = rule.place("u", value.as_bytes()).unwrap_err();
            assert!(matches!(&reason, Reason::OutOfRange { low: 1.0, high: 60.0, .. }), "{reason}");
        }
        for value in ["", "-", "x", "1.0", "1e3", "NaN", "+1"] {
            let reason = rule.place("u", value.as_bytes()).unwrap_err();
            assert!(matches!(&reason, Reason::NotANumber { .. }), "{value} {reason}");
        }
        assert_eq!(FieldRule::Number { first: 0, dim: 1 }.place("u", b"0"), Ok(Some(0)));
    }

    #[test]
    fn a_vocabulary_does_not_depend_on_the_order_of_its_values() {
        let of = |values: &[&str]| {
            let mut interner = Interner::default();
            for value in values {
                interner.intern(value.as_bytes());
            }
            interner.into_vocabulary()
        };
        let (vocabulary, rows) = of(&["10", "9", "-3", "10"]);
        assert_eq!(vocabulary, Vocabulary::Integers(vec![-3, 9, 10]));
        assert_eq!(rows, [2, 1, 0]);
        for mixed in [["10", "9", "01"], ["10", "9", "+1"], ["10", "9", ""]] {
            assert!(matches!(of(&mixed).0, Vocabulary::Strings(_)));
        }
        assert_eq!(of(&["b", "", "a"]).1, [2, 0, 1]);
    }

    #[test]
    fn ids_that_occur_are_renumbered_in_their_order() {
        let mut indices = vec![7, 0, 2, 1, 7, 2];
        assert_eq!(renumber_occurring(&mut indices, 2, 0, 1), Vocabulary::Integers(vec![3, 8]));
        assert_eq!(indices, [1, 0, 0, 1, 1, 2]);
    }
}
