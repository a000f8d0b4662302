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
        real: Real::MovieLens(MovieLens::OneMillion),
    },
    Set {
        name: "movielens-20m",
        title: "MovieLens-20M",
        files: &["ml-20m/ratings.csv", "movielens-20m/ratings.csv", "ratings.csv"],
        real: Real::MovieLens(MovieLens::TwentyMillion),
    },
    Set {
        name: "criteo",
        title: "Criteo",
        files: &["criteo/train.txt", "dac/train.txt", "train.txt"],
        real: Real::Criteo,
    },
];

impl Set {
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
