//! The sparse vector's values taken for places: two rows of the table are read.

use std::path::Path;

use radhard_data::synth::DummyOptions;
use radhard_data::{Bags, Columns, DataSet, Meta};
use radhard_models::Config;

use super::Shown;
use crate::audience::Audience;
use crate::campaigns::Campaign;
use crate::dummy::{DENSE_DIM, SPARSE_DIM};
use crate::figures::{Failures, Line, Mark, Plot, Sheet};
use crate::findings::{Findings, Place};
use crate::study::{Study, StudyError};

/// The model: depth 1, hidden and embedding width 64.
pub(crate) const MODEL: &str = "dummy-d1-h64-e64";
/// Its data.
pub(crate) const PLACES: &str = "as-artefact-places";
/// Its data as the artefact reads them.
pub(crate) const VALUES: &str = "as-artefact-values";
/// Up to where two rows are hit as 8,192 are at 1e-6.
pub(crate) const RATES: [f64; 8] = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];

/// Rows: a bag of the artefact holds 8,192 places, and whether a chip is printed inf or nan needs few.
const ROWS: u64 = 500;

impl Study<'_> {
    /// The model, its data, and the same data as the artefact reads them; `None` where the audience ended it.
    pub(crate) fn bag_values(&self, audience: &dyn Audience) -> Result<Option<()>, StudyError> {
        if audience.stop() {
            return Ok(None);
        }
        self.untrained(MODEL, &Config::dummy(1, 64, 64, DENSE_DIM, SPARSE_DIM))?;
        let options = DummyOptions { rows: ROWS, ..self.dummy_options() };
        let drawn = self.data("as-artefact-drawn");
        let written = |path: &Path, columns: &Columns, meta| {
            let written = columns.write(path, meta);
            written.map_err(|source| StudyError::File { path: path.to_path_buf(), source })
        };
        let (places, values) = (self.data(PLACES), self.data(VALUES));
        if !places.exists() || !values.exists() {
            self.dummy_data("as-artefact-drawn", &options, audience)?;
            let data = DataSet::open(&drawn);
            let data = data.map_err(|source| StudyError::Data { path: drawn, source })?;
            let (columns, meta) = named(&data, PLACES);
            written(&places, &columns, meta)?;
            let (columns, meta) = named(&data, VALUES);
            written(
                &values,
                &Columns { bags: columns.bags.map(|bags| values_as_places(&bags)), ..columns },
                meta,
            )?;
        }
        Ok(Some(()))
    }
}

/// The rows of a data set under another name.
fn named(data: &DataSet, name: &str) -> (Columns, Meta) {
    let columns = Columns {
        numeric: data.numeric().to_vec(),
        labels: data.labels().to_vec(),
        parts: data.parts().to_vec(),
        bags: data.bags().map(Bags::into_owned),
        ..Columns::default()
    };
    (columns, Meta { name: name.to_owned(), ..data.meta().clone() })
}

/// Bags with a place for every value of the sparse vector: 0 for each zero, 1 for each one.
fn values_as_places(bags: &Bags<'_>) -> Bags<'static> {
    let length = bags.dim as usize;
    let view = bags.view();
    let mut indices = Vec::with_capacity(bags.len() * length);
    for row in 0..bags.len() {
        let ones = view.of(row).len();
        indices.extend(std::iter::repeat_n(0, length - ones));
        indices.extend(std::iter::repeat_n(1, ones));
    }
    let offsets: Vec<u64> = (0..=bags.len() as u64).map(|row| row * length as u64).collect();
    Bags { dim: bags.dim, offsets: offsets.into(), indices: indices.into() }
}

/// Shares of chips and of samples that fail under errors in the table, with places and with values.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    let campaign = Campaign::bag_values(&study.scale);
    if study.run(&campaign, audience)?.is_none() {
        return Ok(None);
    }
    let mut findings = Findings::default();
    findings.take_from(study, &campaign)?;
    let of = |data: &str, share: fn(&Failures) -> f64| -> Vec<Mark> {
        let curve = findings.curve(&Place::new(MODEL, data, "embedding"));
        let marks = curve.into_iter().filter_map(|(rate, cell)| {
            let mean = share(&Failures::of(cell)?);
            Some(Mark { rate, mean, band: [mean; 2], ends: [mean; 2], interval: None, predicted: None })
        });
        marks.collect()
    };
    let plot = |title: &str, share: fn(&Failures) -> f64| Plot {
        title: title.to_owned(),
        lines: [("places of the ones", PLACES), ("values as places, as-artefact", VALUES)]
            .map(|(name, data)| Line { name: name.to_owned(), golden: None, marks: of(data, share) })
            .to_vec(),
    };
    let printed: fn(&Failures) -> f64 = |failures| failures.printed as f64 / failures.chips as f64;
    let plots = vec![
        plot("chips printed inf or nan", printed),
        plot("outputs that differ, over all chips", |failures| failures.touched),
    ];
    let first = |line: &Line, share: f64| {
        line.marks
            .iter()
            .find(|mark| mark.mean >= share)
            .map_or_else(|| "at no rate up to 1e-2".to_owned(), |mark| format!("at {:.0e}", mark.rate))
    };
    let effect = format!(
        "the embedding looks more robust than it is: half of the chips are printed inf or nan {} with places and {} with values, \
         where {} words instead of {} decide; but an error that is read touches every sample: half of all outputs differ {} and {}",
        first(&plots[0].lines[0], 0.5),
        first(&plots[0].lines[1], 0.5),
        2 * 64,
        64 * SPARSE_DIM,
        first(&plots[1].lines[0], 0.5),
        first(&plots[1].lines[1], 0.5),
    );
    Ok(Some(Shown {
        sheet: Sheet {
            title: "as-artefact: values of the sparse vector read as places, errors in the table".to_owned(),
            note: String::new(),
            score: "share",
            guess: None,
            whiskers: false,
            plots,
        },
        effect,
        n: study.scale.artefact_chips,
        stand_in: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_places_name_rows_0_and_1_alone() {
        let bags = Bags { dim: 5, offsets: vec![0, 2, 2].into(), indices: vec![1, 4].into() };
        let read = values_as_places(&bags);
        assert_eq!(read.view().of(0), [0, 0, 0, 1, 1]);
        assert_eq!(read.view().of(1), [0; 5]);
    }
}
