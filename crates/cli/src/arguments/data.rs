//! The flags of `radhard data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Overwrite;

/// `radhard data …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Turn original rating files or a table into one prepared file with a stored split
    Prepare(Prepare),
    /// Make a stand-in data set with the shape of a public one
    Synth(Synth),
    /// Describe a prepared file
    Info {
        /// A prepared data file
        file: PathBuf,
    },
}

/// Formats of input that `data prepare` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// ratings.dat: user::item::rating::timestamp
    #[value(name = "movielens-1m")]
    Movielens1m,
    /// ratings.csv with a header: userId,movieId,rating,timestamp
    #[value(name = "movielens-20m")]
    Movielens20m,
    /// u.data: tab separated user, item, rating, timestamp
    #[value(name = "movielens-100k")]
    Movielens100k,
    /// ratings.csv of ml-latest-small
    #[value(name = "movielens-latest-small")]
    MovielensLatestSmall,
    /// Criteo's train.txt: label, 13 integers, 26 hexadecimal words, between tabs
    Criteo,
    /// A csv file with a header
    Csv,
    /// A Parquet file
    Parquet,
}

/// How ids become rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ids {
    /// Renumber the values that occur; the file keeps the vocabulary
    Dense,
    /// Ids are 0-based row numbers already
    Index,
    /// Ids are 1-based row numbers; gaps are rows too
    #[value(alias = "raw")]
    OneBased,
}

/// `radhard data prepare`.
#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Format of the input
    pub(crate) format: InputFormat,
    /// The file, or the directory that holds it under its original name
    pub(crate) input: PathBuf,
    /// The prepared file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Column with the label (csv, parquet)
    #[arg(long, value_name = "COL")]
    pub(crate) label: Option<String>,
    /// Condition that makes a label positive, e.g. '>3' [default: '>0'; MovieLens '>3']
    #[arg(long, value_name = "RULE")]
    pub(crate) positive: Option<String>,
    /// Columns that become table lookups (csv, parquet)
    #[arg(long, value_delimiter = ',', value_name = "COLS")]
    pub(crate) categorical: Vec<String>,
    /// Columns that stay numbers (csv, parquet)
    #[arg(long, value_delimiter = ',', value_name = "COLS")]
    pub(crate) numeric: Vec<String>,
    /// Criteo: keep the 13 integers as numbers log(1+v), for models with numeric inputs
    #[arg(long)]
    pub(crate) dense_integers: bool,
    /// Criteo: values seen fewer times share one table row [default: 10]
    #[arg(long, value_name = "N")]
    pub(crate) rare_below: Option<u32>,
    /// How ids become table rows [default: one-based for MovieLens-1M and -20M, dense otherwise]
    #[arg(long)]
    pub(crate) ids: Option<Ids>,
    /// Table rows per field, in the order of the fields [default: what the ids need]
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub(crate) field_dims: Option<Vec<u32>>,
    /// Number ids as this prepared file does
    #[arg(long, value_name = "FILE")]
    pub(crate) vocabulary: Option<PathBuf>,
    /// Train:validation:test, or none
    #[arg(long, default_value = "8:1:1", value_name = "RATIO")]
    pub(crate) split: String,
    /// Seed of the split
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Bad lines to put up with; more are an error, and all are reported
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) max_bad_lines: u64,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}

/// `radhard data synth`.
#[derive(Debug, Args)]
pub(crate) struct Synth {
    /// Shape: movielens-1m, movielens-20m, movielens-100k, criteo or dummy
    pub(crate) shape: String,
    /// Numbers in a row (dummy)
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub(crate) dense_dim: u32,
    /// Length of the sparse vector (dummy)
    #[arg(long, default_value_t = 8192, value_name = "N")]
    pub(crate) sparse_dim: u32,
    /// Share of the sparse vector that is set (dummy)
    #[arg(long, default_value_t = 0.001, value_name = "SHARE")]
    pub(crate) sparsity: f64,
    /// Rows to make [default: as many as the original has]
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<u64>,
    /// Seed of everything random in it
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// The prepared file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overwrite: Overwrite,
}
