//! What the rows of a field were called in the input.
use std::borrow::Cow;

/// The values of a field in the order of its rows: row i of the table is value i.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vocabulary {
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Any bytes.
    Strings(Vec<Box<[u8]>>),
}

impl Vocabulary {
    /// Values.
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Strings(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `row` as it would stand in a text file.
    ///
    /// Panics: when there is no such row.
    pub fn text(&self, row: usize) -> Cow<'_, str> {
        match self {
            Self::Integers(values) => values[row].to_string().into(),
            Self::Strings(values) => String::from_utf8_lossy(&values[row]),
        }
    }
}
