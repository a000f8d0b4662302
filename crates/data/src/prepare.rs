//! From original files to one prepared file.
use std::io;
use std::path::{Path, PathBuf};

use radhard_memory::{MapError, TooLittleMemory};

pub use crate::criteo::{CriteoIntegers, CriteoOptions, criteo, criteo_file};
pub use crate::csv::csv;
pub use crate::movielens::{
    MovieLens, MovieLensOptions, embedded_ml_latest_small, movielens, movielens_file,
};
pub use crate::parquet::parquet;
pub use crate::table::{Condition, TableOptions};

use crate::bad_line::{BadLine, BadLines};
use crate::data_set::DataSet;
use crate::file::Columns;
use crate::id_rule::{FieldRule, Places, UNDECLARED_DIM};
use crate::meta::{IdRule, Meta};
use crate::open_error::OpenError;
use crate::progress::{Progress, Report, Stage};
use crate::split::Split;
use crate::vocabulary::Vocabulary;

/// What all preparations have in common.
#[derive(Debug, Clone, Default)]
pub struct PrepareOptions {
    /// How ids become table rows; `None` takes the format's own rule.
    pub ids: Option<IdRule>,
    /// Table rows of each field; `None` takes what the data need.
    pub field_dims: Option<Vec<u32>>,
    /// A prepared file whose vocabulary and dims are used instead of new ones.
    pub vocabulary: Option<PathBuf>,
    /// How parts are drawn; `None` leaves all rows in `train`.
    pub split: Option<Split>,
    /// How many bad lines may be left out; more are an error.
    pub max_bad_lines: u64,
}

/// Why no prepared file was written.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A file could not be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// A directory has none of the files that the format is known by.
    #[error("{} has no file {names}", directory.display())]
    NoFile {
        /// The directory.
        directory: PathBuf,
        /// The names looked for.
        names: String,
    },
    /// A line is longer than any line of a table.
    #[error("{} has a line of more than {limit} bytes, so it is no text table", path.display())]
    LongLine {
        /// The file.
        path: PathBuf,
        /// Bytes that a line may have.
        limit: usize,
    },
    /// The input has no line at all, or only a header.
    #[error("{} holds no rows", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The first line is not the header of the format.
    #[error("{}: line 1 is {found:?}, expected the header {expected:?}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What stands there.
        found: String,
        /// What should.
        expected: String,
    },
    /// Not one line is a row.
    #[error("{}: none of {lines} lines is a row of the form {expected}; {first}", path.display())]
    NoRow {
        /// The file.
        path: PathBuf,
        /// Lines of the file.
        lines: u64,
        /// The form of a row.
        expected: String,
        /// The first line and why it is no row.
        first: Box<BadLine>,
    },
    /// More lines are bad than allowed.
    #[error("{}: {bad}; at most {allowed} are allowed", path.display())]
    BadLines {
        /// The file.
        path: PathBuf,
        /// The bad lines.
        bad: BadLines,
        /// How many were allowed.
        allowed: u64,
    },
    /// A column that was asked for is not there.
    #[error("{} has no column `{column}`; it has {columns}", path.display())]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns of the file.
        columns: String,
    },
    /// A column is there twice, or was asked for twice.
    #[error("column `{0}` is named twice")]
    RepeatedColumn(String),
    /// Not as many dims as fields.
    #[error("{dims} field dims for {fields} fields")]
    DimCount {
        /// Dims given.
        dims: usize,
        /// Fields of the data.
        fields: usize,
    },
    /// A field has more values than its declared dim.
    #[error("field `{field}` has {values} values, but its dim is declared as {dim}")]
    DimTooSmall {
        /// The field.
        field: String,
        /// Values that occur.
        values: usize,
        /// The declared dim.
        dim: u32,
    },
    /// The dims of all fields together are too large.
    #[error("the field dims sum to {0}, more than {max}", max = u32::MAX)]
    DimSum(u64),
    /// The file with the vocabulary could not be opened.
    #[error("vocabulary of {}: {source}", path.display())]
    VocabularyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<OpenError>,
    },
    /// The file with the vocabulary has other fields.
    #[error("{} has the fields {theirs}, the new data {ours}", path.display())]
    OtherFields {
        /// The file.
        path: PathBuf,
        /// Its fields.
        theirs: String,
        /// The fields of the new data.
        ours: String,
    },
    /// The file has no vocabulary because its ids were taken as they are.
    #[error("{} has no vocabulary of field `{field}`: its ids are {ids}, with the field dims {dims:?}", path.display())]
    NoVocabulary {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its rule for ids.
        ids: IdRule,
        /// Its dims.
        dims: Vec<u32>,
    },
    /// A vocabulary together with another rule for ids, or with other dims.
    #[error("a vocabulary gives the ids and dims of dense fields, so {0} cannot be given with it")]
    VocabularyConflict(&'static str),
    /// Ids of the format are no numbers that could be rows.
    #[error("ids of {format} are words that are counted, so they are dense and cannot be {ids}")]
    HashedIds {
        /// The format.
        format: &'static str,
        /// The rule that was asked for.
        ids: IdRule,
    },
    /// The share of set bits is no probability.
    #[error("sparsity {0} is outside [0, 1]")]
    Sparsity(f64),
    /// A sparse vector without bits.
    #[error("a sparse vector has at least one bit")]
    NoSparseBits,
    /// The rows need more memory than there is.
    #[error("{what}: {source}")]
    Memory {
        /// The purpose of the memory.
        what: String,
        /// The bytes needed and the bytes there.
        source: TooLittleMemory,
    },
    /// A format that is read twice, from where it can be read once only.
    #[error("{} is no regular file, and {format} is read twice; save it as a file first", path.display())]
    ReadTwice {
        /// The input.
        path: PathBuf,
        /// The format.
        format: &'static str,
    },
    /// More rows than a prepared file can hold.
    #[error("more than {} rows", u32::MAX)]
    TooManyRows,
    /// The Parquet file cannot be read.
    #[error("{}: {reason}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A Parquet column has a type that is no category, number or label.
    #[error("{}: column `{column}` of type {kind} cannot be used as {role}", path.display())]
    ParquetColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
        /// What it was asked to be.
        role: &'static str,
    },
    /// The prepared file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The rules of all fields, and the vocabularies that they were taken from.
pub(crate) struct FieldRules {
    pub(crate) rules: Vec<FieldRule>,
    pub(crate) ids: IdRule,
    pub(crate) known: Option<Known>,
}

/// Fields as an earlier preparation numbered them.
pub(crate) struct Known {
    pub(crate) dims: Vec<u32>,
    pub(crate) vocabularies: Vec<Option<Vocabulary>>,
    pub(crate) rare_below: Option<u32>,
    /// The row of rare values of each field, where they have one.
    pub(crate) rare_rows: Vec<Option<u32>>,
}

impl PrepareOptions {
    /// The rule of each field, when the format's own rule is `default`.
    pub(crate) fn rules(&self, names: &[String], default: IdRule) -> Result<FieldRules, PrepareError> {
        if let Some(dims) = &self.field_dims {
            if dims.len() != names.len() {
                return Err(PrepareError::DimCount { dims: dims.len(), fields: names.len() });
            }
            check_dim_sum(dims)?;
        }
        if let Some(path) = &self.vocabulary {
            return self.known(path, names);
        }
        let ids = self.ids.unwrap_or(default);
        let rule = |field: usize| {
            let dim = self.field_dims.as_ref().map_or(UNDECLARED_DIM, |dims| dims[field]);
            match ids {
                IdRule::Dense => FieldRule::Dense,
                IdRule::Index => FieldRule::Number { first: 0, dim },
                IdRule::OneBased => FieldRule::Number { first: 1, dim },
            }
        };
        Ok(FieldRules { rules: (0..names.len()).map(rule).collect(), ids, known: None })
    }

    fn known(&self, path: &Path, names: &[String]) -> Result<FieldRules, PrepareError> {
        if self.ids.is_some_and(|ids| ids != IdRule::Dense) {
            return Err(PrepareError::VocabularyConflict("another rule for ids"));
        }
        let other = DataSet::open(path).map_err(|source| PrepareError::VocabularyFile {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let meta = other.meta();
        if meta.field_names != names {
            return Err(PrepareError::OtherFields {
                path: path.to_owned(),
                theirs: meta.field_names.join(", "),
                ours: names.join(", "),
            });
        }
        if self.field_dims.as_ref().is_some_and(|dims| *dims != meta.field_dims) {
            return Err(PrepareError::VocabularyConflict("other field dims"));
        }
        let mut rules = Vec::new();
        let mut known = Known {
            dims: meta.field_dims.clone(),
            vocabularies: Vec::new(),
            rare_below: meta.rare_below,
            rare_rows: Vec::new(),
        };
        for (field, name) in names.iter().enumerate() {
            let vocabulary = other.vocabulary(field).ok_or_else(|| PrepareError::NoVocabulary {
                path: path.to_owned(),
                field: name.clone(),
                ids: meta.ids,
                dims: meta.field_dims.clone(),
            })?;
            let rare = meta.rare_below.map(|_| vocabulary.len() as u32);
            rules.push(FieldRule::Known { places: places(vocabulary), rare });
            known.vocabularies.push(Some(vocabulary.clone()));
            known.rare_rows.push(rare);
        }
        Ok(FieldRules { rules, ids: meta.ids, known: Some(known) })
    }
}

fn places(vocabulary: &Vocabulary) -> Places {
    match vocabulary {
        Vocabulary::Integers(values) => {
            (0u32..).zip(values).map(|(row, value)| (value.to_string().into_bytes().into(), row)).collect()
        }
        Vocabulary::Strings(values) => {
            (0u32..).zip(values).map(|(row, value)| (value.clone(), row)).collect()
        }
    }
}

pub(crate) fn check_dim_sum(dims: &[u32]) -> Result<(), PrepareError> {
    let sum = dims.iter().map(|dim| u64::from(*dim)).sum::<u64>();
    if sum > u64::from(u32::MAX) { Err(PrepareError::DimSum(sum)) } else { Ok(()) }
}

/// What was read, on its way to the prepared file.
pub(crate) struct Preparation<'a> {
    /// The input, for messages.
    pub(crate) input: &'a Path,
    /// The form of a row, for messages.
    pub(crate) expected: String,
    pub(crate) columns: Columns,
    pub(crate) bad: BadLines,
    /// Names and origin; dims and counts are filled in here.
    pub(crate) meta: Meta,
    pub(crate) rules: FieldRules,
}

impl Preparation<'_> {
    /// Checks bad lines and dims, draws the split and writes the file.
    pub(crate) fn write(
        self,
        out: &Path,
        options: &PrepareOptions,
        report: &mut Report<'_>,
    ) -> Result<Meta, PrepareError> {
        let Self { input, expected, mut columns, bad, mut meta, rules } = self;
        check_lines(input, &expected, columns.labels.len() as u64, &bad, options.max_bad_lines)?;
        if bad.count > 0 {
            meta.notes.push(format!("left out: {bad}"));
        }
        meta.bad_lines = bad.count;
        meta.source = input.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        meta.ids = rules.ids;
        meta.field_dims = match rules.known {
            Some(known) => {
                columns.vocabularies = known.vocabularies;
                meta.rare_below = known.rare_below;
                known.dims
            }
            None => needed_dims(&meta.field_names, &columns, options.field_dims.as_deref())?,
        };
        check_dim_sum(&meta.field_dims)?;
        write_split(out, meta, columns, options.split, report)
    }
}

/// Whether there are rows, and few enough bad lines.
pub(crate) fn check_lines(
    input: &Path,
    expected: &str,
    rows: u64,
    bad: &BadLines,
    allowed: u64,
) -> Result<(), PrepareError> {
    if rows == 0 {
        return Err(match bad.first.first() {
            Some(first) => PrepareError::NoRow {
                path: input.to_owned(),
                lines: bad.count,
                expected: expected.to_owned(),
                first: Box::new(first.clone()),
            },
            None => PrepareError::Empty { path: input.to_owned() },
        });
    }
    if bad.count > allowed {
        return Err(PrepareError::BadLines { path: input.to_owned(), bad: bad.clone(), allowed });
    }
    Ok(())
}

/// The part of each of `meta.rows` rows, all in train if no split is asked for.
pub(crate) fn draw_split(meta: &mut Meta, split: Option<Split>) -> Vec<u8> {
    let Some(split) = split else { return vec![0; meta.rows as usize] };
    let (parts, drawn) = split.draw(meta.rows);
    meta.split = Some(drawn);
    parts
}

/// Draws the split, if one is asked for, and writes the file.
pub(crate) fn write_split(
    out: &Path,
    mut meta: Meta,
    mut columns: Columns,
    split: Option<Split>,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let rows = columns.labels.len() as u64;
    meta.rows = rows;
    columns.parts = draw_split(&mut meta, split);
    report(Progress { stage: Stage::Writing, done: 0, total: rows });
    let meta =
        columns.write(out, meta).map_err(|source| PrepareError::Write { path: out.to_owned(), source })?;
    report(Progress { stage: Stage::Writing, done: rows, total: rows });
    Ok(meta)
}

/// The declared dims, or as many rows as each field's values need.
fn needed_dims(
    names: &[String],
    columns: &Columns,
    declared: Option<&[u32]>,
) -> Result<Vec<u32>, PrepareError> {
    let fields = names.len();
    let mut dims = vec![0u32; fields];
    for row in columns.indices.chunks_exact(fields.max(1)) {
        for (dim, index) in dims.iter_mut().zip(row) {
            *dim = (*dim).max(*index + 1);
        }
    }
    let Some(declared) = declared else { return Ok(dims) };
    for ((name, needed), dim) in names.iter().zip(&dims).zip(declared) {
        if needed > dim {
            return Err(PrepareError::DimTooSmall {
                field: name.clone(),
                values: *needed as usize,
                dim: *dim,
            });
        }
    }
    Ok(declared.to_vec())
}
