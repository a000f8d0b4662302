//! The MovieLens files as GroupLens publishes them.
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::UnknownWord;
use crate::assembly::{Assembly, Piece, RowReader};
use crate::bad_line::{Reason, excerpt};
use crate::embedded;
use crate::id_rule::{FieldRule, UNDECLARED_DIM, id_number, renumber_occurring};
use crate::meta::{IdRule, Meta};
use crate::prepare::{Preparation, PrepareError, PrepareOptions};
use crate::progress::Report;
use crate::text::{self, Text};

/// The published sets, each with its own file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MovieLens {
    /// `ratings.dat`: `user::item::rating::timestamp`.
    OneMillion,
    /// `ratings.csv` with a header and half stars; the sets of 25 and 32 million have the same format.
    TwentyMillion,
    /// `u.data`: the same columns between tabs.
    HundredThousand,
    /// `ratings.csv` of ml-latest-small, in the format of [`MovieLens::TwentyMillion`].
    LatestSmall,
}

/// What distinguishes the format of one set.
struct Format {
    set: MovieLens,
    name: &'static str,
    file: &'static str,
    separator: &'static str,
    header: Option<&'static str>,
    ids: IdRule,
    /// Rows of the published file.
    rows: u64,
}

const HEADER: &str = "userId,movieId,rating,timestamp";

const FORMATS: [Format; 4] = [
    Format {
        set: MovieLens::OneMillion,
        name: "movielens-1m",
        file: "ratings.dat",
        separator: "::",
        header: None,
        ids: IdRule::OneBased,
        rows: 1_000_209,
    },
    Format {
        set: MovieLens::TwentyMillion,
        name: "movielens-20m",
        file: "ratings.csv",
        separator: ",",
        header: Some(HEADER),
        ids: IdRule::OneBased,
        rows: 20_000_263,
    },
    Format {
        set: MovieLens::HundredThousand,
        name: "movielens-100k",
        file: "u.data",
        separator: "\t",
        header: None,
        ids: IdRule::Dense,
        rows: 100_000,
    },
    Format {
        set: MovieLens::LatestSmall,
        name: "movielens-latest-small",
        file: "ratings.csv",
        separator: ",",
        header: Some(HEADER),
        ids: IdRule::Dense,
        rows: 100_836,
    },
];

impl MovieLens {
    fn format(self) -> &'static Format {
        let found = FORMATS.iter().position(|format| format.set == self);
        &FORMATS[found.unwrap_or_default()]
    }

    /// The name on the command line and in the prepared file.
    pub fn name(self) -> &'static str {
        self.format().name
    }

    /// The form of a row, for messages.
    fn form(self) -> String {
        let separator = self.format().separator;
        let row = ["user", "item", "rating", "timestamp"].join(separator);
        if separator == "\t" { row.replace('\t', "<tab>") } else { row }
    }
}

impl fmt::Display for MovieLens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for MovieLens {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        FORMATS.iter().find(|format| format.name == word).map(|format| format.set).ok_or_else(|| UnknownWord {
            value: word.to_owned(),
            expected: "a MovieLens set: movielens-1m, movielens-20m, movielens-100k or movielens-latest-small",
        })
    }
}

/// How to prepare a MovieLens set.
#[derive(Debug, Clone)]
pub struct MovieLensOptions {
    /// Which set, and so which format.
    pub set: MovieLens,
    /// What all preparations have in common. Ids are one-based for the sets of 1 and 20 million, else dense.
    pub common: PrepareOptions,
}

/// The names of the two fields.
const FIELDS: [&str; 2] = ["userId", "movieId"];
/// Ids begin at 1.
const FIRST_ID: u32 = 1;
/// In half stars: a row is positive where the rating is above 3.
const POSITIVE_ABOVE_HALVES: u8 = 6;

/// The file that [`movielens`] reads: `input`, or the file of the set's own name in the directory `input`.
pub fn movielens_file(set: MovieLens, input: &Path) -> Result<PathBuf, PrepareError> {
    text::locate(input, &[set.format().file])
}

/// Prepares the file `input`, or the file of the set's own name in the directory `input`.
pub fn movielens(
    input: &Path,
    out: &Path,
    options: &MovieLensOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let path = movielens_file(options.set, input)?;
    prepare(Text::open(&path)?, out, options, report)
}

/// Prepares the ratings of ml-latest-small that this crate carries.
pub fn embedded_ml_latest_small(
    out: &Path,
    common: PrepareOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let text = Text::given("ratings.csv", embedded::ml_latest_small_ratings())?;
    prepare(text, out, &MovieLensOptions { set: MovieLens::LatestSmall, common }, report)
}

fn prepare(
    mut text: Text,
    out: &Path,
    options: &MovieLensOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let path = text.path().to_owned();
    let format = options.set.format();
    let mut lines_before = 0;
    if let Some(header) = format.header {
        let line = text.line()?.ok_or_else(|| PrepareError::Empty { path: path.clone() })?;
        if line != header.as_bytes() {
            return Err(PrepareError::Header { path, found: excerpt(&line), expected: header.to_owned() });
        }
        lines_before = 1;
    }
    let names = FIELDS.map(str::to_owned).to_vec();
    let rules = options.common.rules(&names, format.ids)?;
    let reader = RatingReader {
        separator: format.separator.as_bytes(),
        places: [Places::of(&rules.rules[0]), Places::of(&rules.rules[1])],
    };
    // Ids are numbers here, so dense fields are renumbered from the numbers at the end.
    let dense = matches!(rules.rules[0], FieldRule::Dense);
    let numbers = [const { FieldRule::Number { first: FIRST_ID, dim: UNDECLARED_DIM } }; 2];
    let mut assembly = Assembly::new(&numbers);
    assembly.read(&mut text, lines_before, &reader, report)?;
    let (mut columns, bad) = assembly.into_columns();
    if dense {
        for field in 0..FIELDS.len() {
            let vocabulary = renumber_occurring(&mut columns.indices, FIELDS.len(), field, FIRST_ID);
            columns.vocabularies[field] = Some(vocabulary);
        }
    }
    let mut meta = Meta::new(format.name, names, Vec::new());
    meta.user_field = Some(0);
    meta.item_field = Some(1);
    "rating > 3".clone_into(&mut meta.positive);
    let rows = columns.labels.len() as u64 + bad.count;
    if rows != format.rows {
        meta.notes.push(format!("{rows} lines, where the published {} has {}", format.file, format.rows));
    }
    Preparation { input: &path, expected: options.set.form(), columns, bad, meta, rules }.write(
        out,
        &options.common,
        report,
    )
}

/// From an id to its row.
enum Places {
    /// The id less `first`, below `dim`.
    Number { first: u32, dim: u32 },
    /// The rows of a vocabulary, and that of rare values where there is one.
    Known { places: HashMap<u32, u32>, rare: Option<u32> },
}

impl Places {
    fn of(rule: &FieldRule) -> Self {
        match rule {
            FieldRule::Number { first, dim } => Self::Number { first: *first, dim: *dim },
            FieldRule::Dense => Self::Number { first: FIRST_ID, dim: UNDECLARED_DIM },
            FieldRule::Known { places, rare } => {
                let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse().ok();
                let places = places.iter().filter_map(|(value, row)| Some((number(value)?, *row))).collect();
                Self::Known { places, rare: *rare }
            }
        }
    }

    fn get(&self, id: u32) -> Option<u32> {
        match self {
            Self::Number { first, dim } => id.checked_sub(*first).filter(|row| row < dim),
            Self::Known { places, rare } => places.get(&id).copied().or(*rare),
        }
    }
}

struct RatingReader<'a> {
    separator: &'a [u8],
    places: [Places; 2],
}

/// A rating as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rating {
    user: u32,
    item: u32,
    positive: bool,
}

impl RowReader for RatingReader<'_> {
    fn fields(&self) -> usize {
        FIELDS.len()
    }

    fn read(&self, line: &[u8], piece: &mut Piece) -> Result<(), Reason> {
        let usual = self.usual(line);
        let rating = if let Some(rating) = usual { rating } else { self.any(line)? };
        piece.indices.extend_from_slice(&[rating.user, rating.item]);
        piece.labels.push(u8::from(rating.positive));
        Ok(())
    }
}

impl RatingReader<'_> {
    /// Reads a line as the published files have it; `None` where [`RatingReader::any`] must look closer.
    fn usual(&self, line: &[u8]) -> Option<Rating> {
        let (user, rest) = leading_number(line)?;
        let (item, rest) = leading_number(rest.strip_prefix(self.separator)?)?;
        let (stars, rest) = rest.strip_prefix(self.separator)?.split_first()?;
        let (half, rest) = match rest {
            [b'.', b'0', rest @ ..] => (0, rest),
            [b'.', b'5', rest @ ..] => (1, rest),
            _ => (0, rest),
        };
        let halves = 2 * stars.wrapping_sub(b'0').min(9) + half;
        let timestamp = rest.strip_prefix(self.separator)?;
        let digits = !timestamp.is_empty() && timestamp.iter().all(u8::is_ascii_digit);
        if !(1..=10).contains(&halves) || !digits {
            return None;
        }
        let (user, item) = (self.places[0].get(user)?, self.places[1].get(item)?);
        Some(Rating { user, item, positive: halves > POSITIVE_ABOVE_HALVES })
    }

    /// Reads any line and says what is wrong with a bad one.
    fn any(&self, line: &[u8]) -> Result<Rating, Reason> {
        let columns: Vec<&[u8]> = split(line, self.separator).collect();
        let [user, item, rating, timestamp] = columns[..] else {
            return Err(Reason::Columns { expected: 4, found: columns.len() });
        };
        let user = self.id(0, user)?;
        let item = self.id(1, item)?;
        let rating = number("rating", rating)?;
        if !(0.5..=5.0).contains(&rating) {
            let (column, text) = ("rating".to_owned(), rating.to_string());
            return Err(Reason::OutOfRange { column, text, low: 0.5, high: 5.0 });
        }
        if timestamp.is_empty() || !timestamp.iter().all(u8::is_ascii_digit) {
            return Err(Reason::NotANumber { column: "timestamp".to_owned(), text: excerpt(timestamp) });
        }
        Ok(Rating { user, item, positive: rating > f64::from(POSITIVE_ABOVE_HALVES) / 2.0 })
    }

    fn id(&self, field: usize, text: &[u8]) -> Result<u32, Reason> {
        match &self.places[field] {
            Places::Number { first, dim } => id_number(FIELDS[field], text, *first, *dim),
            known @ Places::Known { .. } => {
                let id = leading_number(text).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id);
                id.and_then(|id| known.get(id))
                    .ok_or_else(|| Reason::Unknown { column: FIELDS[field].to_owned(), text: excerpt(text) })
            }
        }
    }
}

fn number(column: &str, text: &[u8]) -> Result<f64, Reason> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<f64>().ok());
    let value =
        parsed.ok_or_else(|| Reason::NotANumber { column: column.to_owned(), text: excerpt(text) })?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Reason::NotFinite { column: column.to_owned(), text: excerpt(text) })
    }
}

/// The number at the beginning, of at most 9 digits so that it cannot overflow, and what follows.
fn leading_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    let mut length = 0;
    for byte in bytes.iter().take(9) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value * 10 + u32::from(digit);
        length += 1;
    }
    (length > 0).then(|| (value, &bytes[length..]))
}

fn split<'a>(line: &'a [u8], separator: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = all.windows(separator.len()).position(|window| window == separator);
        rest = end.map(|at| &all[at + separator.len()..]);
        Some(&all[..end.unwrap_or(all.len())])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(separator: &'static str) -> RatingReader<'static> {
        let places = || Places::Number { first: FIRST_ID, dim: UNDECLARED_DIM };
        RatingReader { separator: separator.as_bytes(), places: [places(), places()] }
    }

    /// Whether the quick reading of a line, where it reads it, is the careful one.
    fn agree(line: &[u8]) -> bool {
        ["::", ",", "\t"].into_iter().all(|separator| {
            let reader = reader(separator);
            let careful = reader.any(line);
            reader.usual(line).is_none_or(|rating| careful == Ok(rating))
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_rating_or_a_bad_line(line: Vec<u8>) {
            prop_assert!(agree(&line));
        }

        #[test]
        fn the_quick_reading_is_the_careful_one(line in "[0-9.:,\t -]{0,24}") {
            prop_assert!(agree(line.as_bytes()));
        }

        #[test]
        fn ratings_are_read_back(user in 1u32..10_000_000, item in 1u32..10_000_000, halves in 1u8..=10, time: u64) {
            let line = format!("{user}::{item}::{}::{time}", f64::from(halves) / 2.0);
            let rating = Rating { user: user - 1, item: item - 1, positive: halves > 6 };
            prop_assert_eq!(reader("::").usual(line.as_bytes()), Some(rating));
            prop_assert!(agree(line.as_bytes()));
        }
    }
}
