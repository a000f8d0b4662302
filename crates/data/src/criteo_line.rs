//! One line of Criteo's `train.txt`: a label, 13 integers and 26 hexadecimal words between tabs.
use crate::bad_line::{Reason, excerpt};
use crate::key_table::{KEY_BYTES, key};

/// Integer columns, `I1` to `I13`.
pub(crate) const INTEGERS: usize = 13;
/// Hexadecimal columns, `C1` to `C26`.
pub(crate) const WORDS: usize = 26;
/// All columns, with the label.
pub(crate) const COLUMNS: usize = 1 + INTEGERS + WORDS;

/// The least integer whose category has a text of at most [`KEY_BYTES`] bytes; those of the published file are above -4.
const LEAST: i64 = -9_999_997;
/// The greatest integer of which every smaller one is exact as a double.
const GREATEST: i64 = 1 << 53;
/// Integers below this have their categories in a table.
const SMALL: i64 = 1 << 12;

/// The name of integer column `column`, from 0.
pub(crate) fn integer_name(column: usize) -> String {
    format!("I{}", column + 1)
}

/// The name of hexadecimal column `column`, from 0.
pub(crate) fn word_name(column: usize) -> String {
    format!("C{}", column + 1)
}

/// A line that is a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) label: u8,
    /// `None` where the value is missing.
    pub(crate) integers: [Option<i64>; INTEGERS],
    /// Keys of the words, that of the empty text where the value is missing.
    pub(crate) words: [u64; WORDS],
}

impl Line {
    /// Reads a line without its end.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Reason> {
        Self::usual(line).map_or_else(|| Self::any(line), Ok)
    }

    /// Reads a line as the published file has them, all words of 8 digits or missing; `None` where [`Line::any`] must look
    /// closer.
    fn usual(line: &[u8]) -> Option<Self> {
        let (label, mut rest) = match line {
            [label @ (b'0' | b'1'), rest @ ..] => (label - b'0', rest),
            _ => return None,
        };
        let mut row = Self { label, integers: [None; INTEGERS], words: [0; WORDS] };
        for value in &mut row.integers {
            rest = rest.strip_prefix(b"\t")?;
            let digits = rest.strip_prefix(b"-").unwrap_or(rest);
            let length = digits.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
            let size = digits[..length].iter().fold(0i64, |size, digit| 10 * size + i64::from(digit - b'0'));
            let negative = digits.len() < rest.len();
            if negative && (length == 0 || -size < LEAST) {
                return None;
            }
            if length > 0 {
                *value = Some(if negative { -size } else { size });
            }
            rest = &digits[length..];
        }
        for value in &mut row.words {
            rest = rest.strip_prefix(b"\t")?;
            if let Some((word, later)) = rest.split_first_chunk::<KEY_BYTES>() {
                let word = u64::from_be_bytes(*word);
                if eight_hexadecimal_digits(word) {
                    (*value, rest) = (word, later);
                }
            }
        }
        rest.is_empty().then_some(row)
    }

    /// Reads any line and says what is wrong with a bad one.
    fn any(line: &[u8]) -> Result<Self, Reason> {
        let mut ends = [line.len(); COLUMNS];
        let mut columns = 1;
        for tab in memchr::memchr_iter(b'\t', line) {
            if columns < COLUMNS {
                ends[columns - 1] = tab;
            }
            columns += 1;
        }
        if columns != COLUMNS {
            return Err(Reason::Columns { expected: COLUMNS, found: columns });
        }
        let cell = |column: usize| match column.checked_sub(1) {
            None => &line[..ends[0]],
            Some(before) => &line[ends[before] + 1..ends[column]],
        };
        let label = match cell(0) {
            b"0" => 0,
            b"1" => 1,
            other => return Err(Reason::Label { text: excerpt(other) }),
        };
        let mut row = Self { label, integers: [None; INTEGERS], words: [0; WORDS] };
        for (column, value) in row.integers.iter_mut().enumerate() {
            *value = integer(column, cell(1 + column))?;
        }
        for (column, value) in row.words.iter_mut().enumerate() {
            *value = word(column, cell(1 + INTEGERS + column))?;
        }
        Ok(row)
    }
}

/// Whether each of the eight bytes of `word` is a hexadecimal digit.
fn eight_hexadecimal_digits(word: u64) -> bool {
    const fn all(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // With its high bit clear, a byte plus (128 - low) has the high bit where the byte is at least low, and no carry.
    let within = |word: u64, low: u8, high: u8| (word + all(0x80 - low)) & !(word + all(0x7f - high));
    let low_bits = word & all(0x7f);
    let digits = within(low_bits, b'0', b'9') | within(low_bits | all(0x20), b'a', b'f');
    digits & !word & all(0x80) == all(0x80)
}

fn integer(column: usize, text: &[u8]) -> Result<Option<i64>, Reason> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::NotANumber { column: integer_name(column), text: excerpt(text) });
    }
    let size = digits
        .iter()
        .try_fold(0i64, |value, digit| value.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
    let value = size.map(|size| if digits.len() < text.len() { -size } else { size });
    match value.filter(|value| (LEAST..=GREATEST).contains(value)) {
        Some(value) => Ok(Some(value)),
        None => Err(Reason::OutOfRange {
            column: integer_name(column),
            text: excerpt(text),
            low: LEAST as f64,
            high: GREATEST as f64,
        }),
    }
}

fn word(column: usize, text: &[u8]) -> Result<u64, Reason> {
    if text.len() > KEY_BYTES || !text.iter().all(u8::is_ascii_hexdigit) {
        return Err(Reason::NotHexadecimal { column: word_name(column), text: excerpt(text) });
    }
    Ok(key(text))
}

/// The category of an integer: floor(ln(v)²) where v > 2, else v - 2.
///
/// Source: the winners of the Criteo challenge (Juan, Zhuang, Chin, "3 Idiots' Approach", 2014).
pub(crate) fn category(value: i64) -> i64 {
    if value > 2 {
        let logarithm = libm::log(value as f64);
        (logarithm * logarithm) as i64
    } else {
        value - 2
    }
}

/// log(1 + max(v, 0)); 0 where the value is missing.
pub(crate) fn dense(value: Option<i64>) -> f32 {
    libm::log1p(value.unwrap_or(0).max(0) as f64) as f32
}

/// The keys of integers' categories.
#[derive(Debug)]
pub(crate) struct Categories {
    small: Vec<u64>,
}

impl Categories {
    pub(crate) fn new() -> Self {
        Self { small: (0..SMALL).map(category_key).collect() }
    }

    /// The key of the category of `value`, that of the empty text where it is missing.
    pub(crate) fn key(&self, value: Option<i64>) -> u64 {
        match value {
            None => key(b""),
            Some(value) if (0..SMALL).contains(&value) => self.small[value as usize],
            Some(value) => category_key(value),
        }
    }
}

fn category_key(value: i64) -> u64 {
    key(category(value).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key_table::text;

    fn line(change: impl FnOnce(&mut Vec<String>)) -> String {
        let mut cells = vec!["1".to_owned()];
        cells.extend((0..INTEGERS).map(|column| column.to_string()));
        cells.extend((0..WORDS).map(|column| format!("{column:08x}")));
        change(&mut cells);
        cells.join("\t")
    }

    #[test]
    fn a_line_has_a_label_integers_and_words() {
        let row = Line::read(line(|_| {}).as_bytes()).unwrap();
        assert_eq!((row.label, row.integers[0], row.integers[12]), (1, Some(0), Some(12)));
        assert_eq!((&*text(row.words[0]), &*text(row.words[25])), (&b"00000000"[..], &b"00000019"[..]));
        let empty = format!("0{}", "\t".repeat(COLUMNS - 1));
        let row = Line::read(empty.as_bytes()).unwrap();
        assert_eq!((row.label, row.integers, row.words), (0, [None; INTEGERS], [0; WORDS]));
        let short = line(|cells| cells[14] = "aF".to_owned());
        assert_eq!(&*text(Line::read(short.as_bytes()).unwrap().words[0]), b"aF");
    }

    #[test]
    fn a_bad_line_says_what_is_wrong() {
        for (column, value, expected) in [
            (0, "2", "label \"2\" is neither 0 nor 1"),
            (0, "", "label \"\" is neither 0 nor 1"),
            (1, "x", "I1 \"x\" is not a number"),
            (1, "-", "I1 \"-\" is not a number"),
            (2, "1.5", "I2 \"1.5\" is not a number"),
            (13, " 1", "I13 \" 1\" is not a number"),
            (3, "-9999998", "I3 -9999998 is outside [-9999997, 9007199254740992]"),
            (3, "99999999999999999999", "I3 99999999999999999999 is outside [-9999997, 9007199254740992]"),
            (14, "68fd1e6g", "C1 \"68fd1e6g\" is not a hexadecimal word of at most 8 digits"),
            (39, "68fd1e640", "C26 \"68fd1e640\" is not a hexadecimal word of at most 8 digits"),
            (39, "0 1", "C26 \"0 1\" is not a hexadecimal word of at most 8 digits"),
        ] {
            let reason = Line::read(line(|cells| cells[column] = value.to_owned()).as_bytes()).unwrap_err();
            assert_eq!(reason.to_string(), expected);
        }
        for (bad, found) in [
            (line(|cells| _ = cells.pop()), 39),
            (line(|cells| cells.push("0".into())), 41),
            (String::new(), 1),
        ] {
            assert_eq!(Line::read(bad.as_bytes()), Err(Reason::Columns { expected: 40, found }));
        }
    }

    #[test]
    fn categories_are_squared_logarithms_or_two_less() {
        for (value, expected) in [
            (-3, -5),
            (-1, -3),
            (0, -2),
            (1, -1),
            (2, 0),
            (3, 1),
            (4, 1),
            (5, 2),
            (20, 8),
            (1000, 47),
            (5_775_000, 242),
        ] {
            assert_eq!(category(value), expected, "{value}");
        }
        let categories = Categories::new();
        assert_eq!(&*text(categories.key(Some(0))), b"-2");
        assert_eq!(&*text(categories.key(Some(LEAST))), b"-9999999");
        assert_eq!(&*text(categories.key(Some(GREATEST))), b"1349");
        assert_eq!(categories.key(None), 0);
        for value in SMALL - 2..SMALL + 2 {
            assert_eq!(categories.key(Some(value)), category_key(value));
        }
    }

    #[test]
    fn dense_values_are_logarithms_and_never_negative() {
        assert_eq!([dense(None), dense(Some(-3)), dense(Some(0))].map(f32::to_bits), [0; 3]);
        assert_eq!((dense(Some(1)), dense(Some(99))), (std::f32::consts::LN_2, 4.605_170_2));
    }

    #[test]
    fn eight_digits_are_found_byte_by_byte() {
        for place in 0..8 {
            for byte in 0..=255u8 {
                let mut bytes = *b"09afAF5b";
                bytes[place] = byte;
                let expected = byte.is_ascii_hexdigit();
                assert_eq!(eight_hexadecimal_digits(u64::from_be_bytes(bytes)), expected, "{place} {byte}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_usual_reading_is_the_careful_one(
            integers in proptest::collection::vec("-?[0-9]{0,9}|[0-9]{3}", 13),
            words in proptest::collection::vec("[0-9a-fA-F]{8}|[0-9a-f]{0,9}|", 24..=27),
        ) {
            let line = format!("1\t{}\t{}", integers.join("\t"), words.join("\t"));
            if let Some(row) = Line::usual(line.as_bytes()) {
                prop_assert_eq!(Line::any(line.as_bytes()), Ok(row));
            }
        }

        #[test]
        fn usual_lines_are_read_the_usual_way(
            integers in proptest::collection::vec("(-?[1-9][0-9]{0,6})?", 13),
            words in proptest::collection::vec("([0-9a-fA-F]{8})?", 26),
        ) {
            let line = format!("0\t{}\t{}", integers.join("\t"), words.join("\t"));
            let row = Line::usual(line.as_bytes());
            prop_assert!(row.is_some());
            prop_assert_eq!(Line::any(line.as_bytes()).ok(), row);
        }

        #[test]
        fn any_line_is_a_row_or_bad(line: Vec<u8>) {
            prop_assert!(Line::read(&line).is_err());
        }

        #[test]
        fn any_cells_are_a_row_or_bad(cells in proptest::collection::vec("[0-9a-f-]{0,9}", 40)) {
            let _ = Line::read(cells.join("\t").as_bytes());
        }
    }
}
