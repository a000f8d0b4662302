//! `train.txt` of the Criteo Display Advertising Challenge, in two passes: one counts values, one writes rows.
use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use radhard_memory::write_atomically;
use rayon::prelude::*;

use crate::bad_line::{BadLines, Reason, excerpt};
use crate::criteo_line::{self, Categories, INTEGERS, Line, WORDS};
use crate::key_table::{self, KeyTable};
use crate::meta::{IdRule, Meta};
use crate::prepare::{self, PrepareError, PrepareOptions};
use crate::progress::{Progress, Report, Stage};
use crate::row_writer::RowWriter;
use crate::text::{self, Text};
use crate::vocabulary::Vocabulary;

const NAME: &str = "criteo";
const FILE: &str = "train.txt";
/// Rows of the published file.
const PUBLISHED_ROWS: u64 = 45_840_617;
const FORM: &str = "label<tab>13 integers<tab>26 hexadecimal words";
const PIECE_BYTES: usize = 1 << 20;
/// Values seen fewer times share one row, unless said otherwise.
const RARE_BELOW: u32 = 10;

/// What becomes of the 13 integer columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CriteoIntegers {
    /// Fields I1 to I13 before C1 to C26: category floor(ln(v)²) where v > 2, else v - 2; empty is a category too.
    #[default]
    Categories,
    /// Numeric columns I1 to I13: log(1 + max(v, 0)), and 0 where v is missing.
    Dense,
}

/// How to prepare Criteo's `train.txt`.
#[derive(Debug, Clone)]
pub struct CriteoOptions {
    /// What becomes of the integers.
    pub integers: CriteoIntegers,
    /// Values of a field seen fewer times share one row.
    pub rare_below: u32,
    /// What all preparations have in common. Ids are always dense.
    pub common: PrepareOptions,
}

impl Default for CriteoOptions {
    /// Integers as categories; values seen fewer than 10 times share a row.
    fn default() -> Self {
        Self {
            integers: CriteoIntegers::default(),
            rare_below: RARE_BELOW,
            common: PrepareOptions::default(),
        }
    }
}

/// The file that [`criteo`] reads: `input`, or the file of the set's own name in the directory `input`.
pub fn criteo_file(input: &Path) -> Result<PathBuf, PrepareError> {
    text::locate(input, &[FILE])
}

/// Prepares the file `input`, or `train.txt` in the directory `input`, plain or gzip.
///
/// Values are compared as text, a missing one is the empty text. The values of a field that are seen at least `rare_below`
/// times get rows in the order of (count downwards, bytes of the text); all others share the row after them, which exists
/// even if no value is rare. A vocabulary from an earlier preparation takes the place of the counts.
///
/// Memory holds the counts of all values and one byte or two per row, not the rows.
pub fn criteo(
    input: &Path,
    out: &Path,
    options: &CriteoOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let path = criteo_file(input)?;
    if !path.is_file() && path.exists() {
        return Err(PrepareError::ReadTwice { path, format: NAME });
    }
    let integers = options.integers;
    let mut names: Vec<String> = (0..WORDS).map(criteo_line::word_name).collect();
    let integer_names: Vec<String> = (0..INTEGERS).map(criteo_line::integer_name).collect();
    if integers == CriteoIntegers::Categories {
        names.splice(0..0, integer_names.iter().cloned());
    }
    if let Some(ids @ (IdRule::Index | IdRule::OneBased)) = options.common.ids {
        return Err(PrepareError::HashedIds { format: NAME, ids });
    }
    let known = options.common.rules(&names, IdRule::Dense)?.known;
    let reader = Reader { integers, categories: Categories::new(), fields: names.len() };
    let mut meta = Meta::new(NAME, names, Vec::new());
    let (vocabularies, places, census) = if let Some(known) = known {
        let places: Vec<Places> = (known.vocabularies.iter().zip(&known.rare_rows))
            .map(|(vocabulary, rare)| Places::new(vocabulary.as_ref(), *rare))
            .collect();
        let census = reader.census(&path, Some(&places), report)?;
        meta.rare_below = known.rare_below;
        meta.field_dims = known.dims;
        (known.vocabularies, places, census)
    } else {
        let census = reader.census(&path, None, report)?;
        let rare_below = options.rare_below.max(1);
        let vocabularies: Vec<Option<Vocabulary>> =
            census.counts.par_iter().map(|counts| Some(frequent(counts, rare_below))).collect();
        let places: Vec<Places> = vocabularies
            .iter()
            .map(|v| Places::new(v.as_ref(), v.as_ref().map(|v| v.len() as u32)))
            .collect();
        meta.rare_below = Some(rare_below);
        meta.field_dims = dims(&meta.field_names, &vocabularies, options.common.field_dims.as_deref())?;
        (vocabularies, places, census)
    };
    // The counts are the largest part of the memory; the second pass needs none of them.
    let Census { counts, bad, rows } = census;
    drop(counts);
    prepare::check_lines(&path, FORM, rows, &bad, options.common.max_bad_lines)?;
    if bad.count > 0 {
        meta.notes.push(format!("left out: {bad}"));
    }
    let lines = rows + bad.count;
    if lines != PUBLISHED_ROWS {
        meta.notes.push(format!("{lines} lines, where the published {FILE} has {PUBLISHED_ROWS}"));
    }
    if integers == CriteoIntegers::Dense {
        meta.notes.push("numeric values are log(1 + max(v, 0)), and 0 where v is missing".to_owned());
        meta.numeric_names = integer_names;
    }
    meta.bad_lines = bad.count;
    meta.rows = rows;
    meta.ids = IdRule::Dense;
    meta.source = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let parts = prepare::draw_split(&mut meta, options.common.split);
    let mut failed = None;
    let written = write_atomically(out, |file| {
        let mut writer = RowWriter::begin(file, &meta, &vocabularies)?;
        let mut done = 0;
        let read = pieces(
            &path,
            |bytes| reader.rows(bytes, &places),
            |rows, _, _| {
                done += rows.labels.len() as u64;
                if done > meta.rows {
                    return Err(changed(&path));
                }
                let appended = writer.append(&rows.indices, &rows.numeric, &rows.labels);
                report(Progress { stage: Stage::Writing, done, total: meta.rows });
                appended.map_err(|source| PrepareError::Write { path: out.to_owned(), source })
            },
        );
        if let Err(error) = read.and_then(|()| if done == meta.rows { Ok(()) } else { Err(changed(&path)) }) {
            failed = Some(error);
            return Err(io::Error::other("the rows could not be read"));
        }
        writer.finish(meta, &parts)
    });
    written.map_err(|source| failed.unwrap_or_else(|| PrepareError::Write { path: out.to_owned(), source }))
}

fn changed(path: &Path) -> PrepareError {
    let source = io::Error::other("its rows changed between the two passes over it");
    PrepareError::Read { path: path.to_owned(), source }
}

/// The values seen at least `rare_below` times, most frequent first, equals by their bytes.
fn frequent(counts: &KeyTable, rare_below: u32) -> Vocabulary {
    let mut values: Vec<(u64, u32)> = counts.entries().filter(|(_, count)| *count >= rare_below).collect();
    values.sort_unstable_by_key(|(key, count)| (Reverse(*count), *key));
    Vocabulary::Strings(values.into_iter().map(|(key, _)| key_table::text(key)).collect())
}

/// The dims declared, or as many as values and one row for the rare ones.
fn dims(
    names: &[String],
    vocabularies: &[Option<Vocabulary>],
    declared: Option<&[u32]>,
) -> Result<Vec<u32>, PrepareError> {
    let needed: Vec<u32> =
        vocabularies.iter().map(|v| v.as_ref().map_or(0, |v| v.len() as u32) + 1).collect();
    let Some(declared) = declared else {
        prepare::check_dim_sum(&needed)?;
        return Ok(needed);
    };
    let mut fields = names.iter().zip(&needed).zip(declared);
    match fields.find(|((_, needed), dim)| needed > dim) {
        Some(((name, needed), dim)) => {
            Err(PrepareError::DimTooSmall { field: name.clone(), values: *needed as usize, dim: *dim })
        }
        None => Ok(declared.to_vec()),
    }
}

/// The rows of one field's values.
struct Places {
    /// The row of each value, plus 1.
    table: KeyTable,
    /// The row of all other values, where they have one.
    rare: Option<u32>,
}

impl Places {
    fn new(vocabulary: Option<&Vocabulary>, rare: Option<u32>) -> Self {
        let mut table = KeyTable::with_room_for(vocabulary.map_or(0, Vocabulary::len));
        let mut add = |row: u32, value: &[u8]| {
            // A longer value stands in no line.
            if value.len() <= key_table::KEY_BYTES {
                table.add(key_table::key(value), row + 1);
            }
        };
        match vocabulary {
            Some(Vocabulary::Strings(values)) => (0..).zip(values).for_each(|(row, value)| add(row, value)),
            Some(Vocabulary::Integers(values)) => {
                (0..).zip(values).for_each(|(row, value)| add(row, value.to_string().as_bytes()));
            }
            None => {}
        }
        Self { table, rare }
    }

    fn row(&self, key: u64) -> Option<u32> {
        self.table.get(key).checked_sub(1).or(self.rare)
    }
}

/// What the first pass finds.
struct Census {
    /// How often each value of each field occurs; empty where a vocabulary is given.
    counts: Vec<KeyTable>,
    bad: BadLines,
    rows: u64,
}

/// What one piece of the text holds.
///
/// Shapes: `of_fields` `[F, lines]`, of which the first `rows` of each field are filled.
struct Keys {
    of_fields: Vec<u64>,
    stride: usize,
    rows: usize,
    lines: u64,
    bad: BadLines,
}

/// The rows of one piece of the text.
///
/// Shapes: `indices` `[B, F]`, `numeric` `[B, N]`, `labels` `[B]`.
#[derive(Default)]
struct Rows {
    indices: Vec<u32>,
    numeric: Vec<f32>,
    labels: Vec<u8>,
}

/// Reads the text in batches of pieces: `read` in parallel, `take` with the results of each batch in their order.
fn batches<T: Send>(
    path: &Path,
    read: impl Fn(&[u8]) -> T + Sync,
    mut take: impl FnMut(Vec<T>, u64, u64) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    let mut text = Text::open(path)?;
    let total = text.total_bytes();
    while let Some(batch) = text.batch()? {
        let read: Vec<T> = text::pieces(batch, PIECE_BYTES).into_par_iter().map(&read).collect();
        take(read, text.done_bytes(), total)?;
    }
    Ok(())
}

/// As [`batches`], with `take` called for each piece.
fn pieces<T: Send>(
    path: &Path,
    read: impl Fn(&[u8]) -> T + Sync,
    mut take: impl FnMut(T, u64, u64) -> Result<(), PrepareError>,
) -> Result<(), PrepareError> {
    batches(path, read, |pieces, done, total| {
        pieces.into_iter().try_for_each(|piece| take(piece, done, total))
    })
}

struct Reader {
    integers: CriteoIntegers,
    categories: Categories,
    fields: usize,
}

impl Reader {
    /// The keys of a line's fields.
    fn keys<'a>(&'a self, line: &'a Line) -> impl Iterator<Item = u64> + 'a {
        let integers: &[Option<i64>] = match self.integers {
            CriteoIntegers::Categories => &line.integers,
            CriteoIntegers::Dense => &[],
        };
        integers.iter().map(|value| self.categories.key(*value)).chain(line.words)
    }

    /// The first pass. With `places` a value that has no row makes its line a bad one, and nothing is counted.
    fn census(
        &self,
        path: &Path,
        places: Option<&[Places]>,
        report: &mut Report<'_>,
    ) -> Result<Census, PrepareError> {
        let counted = if places.is_some() { 0 } else { self.fields };
        let counts = vec![KeyTable::with_room_for(0); counted];
        let mut census = Census { counts, bad: BadLines::default(), rows: 0 };
        let mut lines = 0;
        batches(
            path,
            |bytes| self.read_keys(bytes, places),
            |pieces, done, total| {
                census.counts.par_iter_mut().enumerate().with_max_len(1).for_each(|(field, counts)| {
                    for piece in &pieces {
                        let begin = field * piece.stride;
                        piece.of_fields[begin..begin + piece.rows].iter().for_each(|key| counts.add(*key, 1));
                    }
                });
                for piece in pieces {
                    census.rows += piece.rows as u64;
                    census.bad.append(piece.bad, lines);
                    lines += piece.lines;
                }
                if census.rows > u64::from(u32::MAX) {
                    return Err(PrepareError::TooManyRows);
                }
                report(Progress { stage: Stage::Reading, done, total });
                Ok(())
            },
        )?;
        if census.rows + census.bad.count == 0 {
            return Err(PrepareError::Empty { path: path.to_owned() });
        }
        Ok(census)
    }

    fn read_keys(&self, bytes: &[u8], places: Option<&[Places]>) -> Keys {
        let stride = memchr::memchr_iter(b'\n', bytes).count() + 1;
        let length = if places.is_some() { 0 } else { self.fields * stride };
        let mut piece =
            Keys { of_fields: vec![0; length], stride, rows: 0, lines: 0, bad: BadLines::default() };
        for line in text::lines(bytes) {
            piece.lines += 1;
            match Line::read(line).and_then(|line| self.check(&line, places).map(|()| line)) {
                Ok(line) => {
                    if places.is_none() {
                        for (field, key) in self.keys(&line).enumerate() {
                            piece.of_fields[field * stride + piece.rows] = key;
                        }
                    }
                    piece.rows += 1;
                }
                Err(reason) => piece.bad.add(piece.lines, reason),
            }
        }
        if places.is_some() {
            piece.stride = 0;
        }
        piece
    }

    /// Whether every value of a line has a row.
    fn check(&self, line: &Line, places: Option<&[Places]>) -> Result<(), Reason> {
        let Some(places) = places else { return Ok(()) };
        match self.keys(line).zip(places).enumerate().find(|(_, (key, places))| places.row(*key).is_none()) {
            Some((field, (key, _))) => {
                Err(Reason::Unknown { column: self.column(field), text: excerpt(&key_table::text(key)) })
            }
            None => Ok(()),
        }
    }

    fn column(&self, field: usize) -> String {
        let words_before = self.fields - WORDS;
        match field.checked_sub(words_before) {
            Some(word) => criteo_line::word_name(word),
            None => criteo_line::integer_name(field),
        }
    }

    /// The rows of a piece, in the second pass.
    fn rows(&self, bytes: &[u8], places: &[Places]) -> Rows {
        let mut rows = Rows::default();
        for line in text::lines(bytes).filter_map(|line| Line::read(line).ok()) {
            let begin = rows.indices.len();
            rows.indices.extend(self.keys(&line).zip(places).map_while(|(key, places)| places.row(key)));
            if rows.indices.len() < begin + self.fields {
                // A bad line for want of a row in the vocabulary.
                rows.indices.truncate(begin);
                continue;
            }
            if self.integers == CriteoIntegers::Dense {
                rows.numeric.extend(line.integers.map(criteo_line::dense));
            }
            rows.labels.push(line.label);
        }
        rows
    }
}
