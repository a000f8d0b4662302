//! The paper's data sets: real where the files are, stand-ins else.

use std::path::{Path, PathBuf};

use radhard_data::prepare::{self, CriteoOptions, MovieLens, MovieLensOptions, PrepareOptions};
use radhard_data::synth::{Shape, SynthOptions, synth};
use radhard_data::{DataSet, Meta, Progress, Split};

use crate::audience::Audience;
use crate::study::StudyError;

/// A data set of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Its name, and that of its prepared file.
    pub name: &'static str,
    /// What the paper calls it.
    pub title: &'static str,
    /// Where its real file may lie under the directory of real data, the likeliest first.
    pub files: &'static [&'static str],
    /// Rows of the whole real file.
    pub rows: u64,
    real: Real,
}

/// How a real file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Real {
    /// Ratings of MovieLens.
    MovieLens(MovieLens),
    /// Criteo's display advertising challenge.
    Criteo,
}

/// The paper's three data sets, in its order.
pub const SETS: [Set; 3] = [
    Set {
        name: "movielens-1m",
        title: "MovieLens-1M",
        files: &["ml-1m/ratings.dat", "movielens-1m/ratings.dat", "ratings.dat"],
        rows: 1_000_209,
        real: Real::MovieLens(MovieLens::OneMillion),
    },
    Set {
        name: "movielens-20m",
        title: "MovieLens-20M",
        files: &["ml-20m/ratings.csv", "movielens-20m/ratings.csv", "ratings.csv"],
        rows: 20_000_263,
        real: Real::MovieLens(MovieLens::TwentyMillion),
    },
    Set {
        name: "criteo",
        title: "Criteo",
        files: &["criteo/train.txt", "dac/train.txt", "train.txt"],
        rows: 45_840_617,
        real: Real::Criteo,
    },
];

impl Set {
    /// Whether prepared rows are real ones, and fewer than the whole file has.
    pub(crate) fn partial(&self, meta: &Meta) -> bool {
        !meta.stand_in && meta.rows + meta.bad_lines < self.rows
    }

    /// Its rows, for captions: `MovieLens-1M (synthetic, 1,000,209 rows)`.
    pub(crate) fn caption(&self, meta: &Meta) -> String {
        let kind = match (meta.stand_in, self.partial(meta)) {
            (true, _) => format!("synthetic, {} rows", grouped(meta.rows)),
            (false, true) => {
                format!("real, {} of {} rows: no verdict", grouped(meta.rows), grouped(self.rows))
            }
            (false, false) => format!("real, {} rows", grouped(meta.rows)),
        };
        format!("{} ({kind})", self.title)
    }

    /// A set by its name.
    pub fn place_of(name: &str) -> Option<usize> {
        SETS.iter().position(|set| set.name == name)
    }

    /// The set's real file, where there is one.
    pub fn real_file(&self, real: &Path) -> Option<PathBuf> {
        self.files.iter().map(|file| real.join(file)).find(|path| path.is_file())
    }

    /// The prepared file, made where it is not there yet.
    pub(crate) fn prepared(
        &self,
        real: Option<&Path>,
        out: &Path,
        rows: Option<u64>,
        seed: u64,
        audience: &dyn Audience,
    ) -> Result<Meta, StudyError> {
        if out.exists() {
            let data = DataSet::open(out).map_err(|source| StudyError::Data { path: out.into(), source })?;
            return Ok(data.meta().clone());
        }
        let split = Some(Split { seed, ..Split::default() });
        let common = PrepareOptions { split, ..PrepareOptions::default() };
        let mut told = |progress: Progress| audience.step(progress.done, progress.total);
        let prepared = match (real.and_then(|real| self.real_file(real)), self.real) {
            (Some(file), Real::MovieLens(set)) => {
                audience.stage(&format!("preparing {}", file.display()));
                prepare::movielens(&file, out, &MovieLensOptions { set, common }, &mut told)
            }
            (Some(file), Real::Criteo) => {
                audience.stage(&format!("preparing {}", file.display()));
                prepare::criteo(&file, out, &CriteoOptions { common, ..CriteoOptions::default() }, &mut told)
            }
            (None, _) => {
                audience.stage(&format!("drawing a stand-in for {}", self.title));
                let shape = Shape::named(self.name)?;
                synth(shape, out, &SynthOptions { rows, seed, split }, &mut told)
            }
        };
        let meta = prepared.map_err(|source| StudyError::Prepare { set: self.name, source })?;
        let kind = if meta.stand_in { "stand-in" } else { "real" };
        audience.done(&format!("data: {} ({kind}), {} rows", self.title, meta.rows));
        Ok(meta)
    }
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(rows: u64, stand_in: bool) -> Meta {
        let mut meta = Meta::new("criteo", vec!["a".to_owned()], vec![2]);
        (meta.rows, meta.stand_in) = (rows, stand_in);
        meta
    }

    #[test]
    fn a_part_of_a_real_file_says_so_and_synthetic_rows_are_no_part() {
        let criteo = &SETS[2];
        assert_eq!(
            criteo.caption(&meta(10_000, false)),
            "Criteo (real, 10,000 of 45,840,617 rows: no verdict)"
        );
        assert!(criteo.partial(&meta(10_000, false)) && !criteo.partial(&meta(10_000, true)));
        assert!(!criteo.partial(&meta(45_840_617, false)));
        assert_eq!(criteo.caption(&meta(400_000, true)), "Criteo (synthetic, 400,000 rows)");
        assert_eq!(
            (grouped(7), grouped(1_000), Set::place_of("criteo")),
            ("7".into(), "1,000".into(), Some(2))
        );
    }
}
