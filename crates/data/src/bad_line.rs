//! Lines that are no rows: counted, and the first of them kept with their reasons.
use std::fmt;

/// How many bad lines are kept with their reasons; all of them are counted.
pub const NAMED_BAD_LINES: usize = 20;

/// Why a line is no row.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Another number of columns than the format has.
    Columns {
        /// Columns of the format.
        expected: usize,
        /// Columns of the line.
        found: usize,
    },
    /// A quoted column is not closed on its line.
    Quote,
    /// A value that should be a number is none.
    NotANumber {
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A value that should be a hexadecimal word is none, or too long.
    NotHexadecimal {
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A number is outside the range of its column.
    OutOfRange {
        /// The column.
        column: String,
        /// What stands there.
        text: String,
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// A label is neither 0 nor 1, and no rule says when it is positive.
    Label {
        /// What stands there.
        text: String,
    },
    /// A value that the given vocabulary does not have.
    Unknown {
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// No value where one is needed.
    Missing {
        /// The column.
        column: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Columns { expected, found } => write!(f, "expected {expected} columns, found {found}"),
            Self::Quote => f.write_str("a quoted column is not closed on its line"),
            Self::NotANumber { column, text } => write!(f, "{column} {text:?} is not a number"),
            Self::NotHexadecimal { column, text } => {
                write!(f, "{column} {text:?} is not a hexadecimal word of at most 8 digits")
            }
            Self::NotFinite { column, text } => write!(f, "{column} {text:?} is not finite"),
            Self::OutOfRange { column, text, low, high } => {
                write!(f, "{column} {text} is outside [{low}, {high}]")
            }
            Self::Label { text } => write!(f, "label {text:?} is neither 0 nor 1"),
            Self::Unknown { column, text } => write!(f, "{column} {text:?} is not in the vocabulary"),
            Self::Missing { column } => write!(f, "{column} has no value"),
        }
    }
}

/// The beginning of a value, for messages.
pub(crate) fn excerpt(value: &[u8]) -> String {
    let end = value.len().min(40);
    let dots = if value.len() > end { "…" } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(&value[..end]))
}

/// A line that is no row.
#[derive(Debug, Clone, PartialEq)]
pub struct BadLine {
    /// Its number, from 1; of Parquet files the number of the row.
    pub line: u64,
    /// Why it is no row.
    pub reason: Reason,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// The bad lines of one input: how many, and the first [`NAMED_BAD_LINES`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BadLines {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<BadLine>,
}

impl BadLines {
    pub(crate) fn add(&mut self, line: u64, reason: Reason) {
        self.count += 1;
        if self.first.len() < NAMED_BAD_LINES {
            self.first.push(BadLine { line, reason });
        }
    }

    /// Adds those of a later piece of the input, which begins after `lines` lines.
    pub(crate) fn append(&mut self, later: Self, lines: u64) {
        self.count += later.count;
        let room = NAMED_BAD_LINES - self.first.len();
        let moved = later.first.into_iter().map(|bad| BadLine { line: bad.line + lines, ..bad });
        self.first.extend(moved.take(room));
    }
}

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bad line{}", self.count, if self.count == 1 { "" } else { "s" })?;
        for (place, bad) in self.first.iter().enumerate() {
            write!(f, "{} {bad}", if place == 0 { ":" } else { ";" })?;
        }
        if self.count > self.first.len() as u64 {
            f.write_str("; …")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_lines_are_counted_and_the_first_named() {
        let mut bad = BadLines::default();
        for line in 1..=15 {
            bad.add(line, Reason::Quote);
        }
        let mut later = BadLines::default();
        for line in 1..=30 {
            later.add(line, Reason::Columns { expected: 4, found: 1 });
        }
        bad.append(later, 100);
        assert_eq!(bad.count, 45);
        assert_eq!(bad.first.len(), NAMED_BAD_LINES);
        assert_eq!(bad.first[15].line, 101);
        let text = bad.to_string();
        assert!(text.starts_with("45 bad lines: line 1: a quoted column"), "{text}");
        assert!(text.contains("; line 101: expected 4 columns, found 1") && text.ends_with("; …"), "{text}");
    }
}
