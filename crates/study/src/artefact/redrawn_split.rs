//! A split drawn anew: most rows that are tested on were trained on.

use radhard_data::{Columns, DataSet, Meta, Split};

use super::{Shown, largest_gap, plots_of_models, recorded};
use crate::audience::Audience;
use crate::campaigns::Campaign;
use crate::figures::Sheet;
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::study::{SEED, Study, StudyError};
use crate::training::MODELS;

/// The smallest data set with its split drawn anew.
pub(crate) const DATA: &str = "as-artefact-redrawn";

impl Study<'_> {
    /// The rows of the smallest data set in another split; `None` where the audience ended it.
    pub(crate) fn redrawn_split(&self, audience: &dyn Audience) -> Result<Option<()>, StudyError> {
        let path = self.data(DATA);
        if path.exists() {
            return Ok(Some(()));
        }
        if audience.stop() {
            return Ok(None);
        }
        let of = self.data(SETS[0].name);
        let data = DataSet::open(&of).map_err(|source| StudyError::Data { path: of, source })?;
        let (columns, meta) = redrawn(&data);
        columns.write(&path, meta).map_err(|source| StudyError::File { path, source })?;
        Ok(Some(()))
    }
}

/// The rows of a data set in a split by another seed.
fn redrawn(data: &DataSet) -> (Columns, Meta) {
    let (parts, split) = Split { seed: SEED + 1, ..Split::default() }.draw(data.rows() as u64);
    let columns = Columns {
        indices: data.indices().to_vec(),
        numeric: data.numeric().to_vec(),
        labels: data.labels().to_vec(),
        parts,
        ..Columns::default()
    };
    (columns, Meta { name: DATA.to_owned(), split: Some(split), ..data.meta().clone() })
}

/// The share of rows in the test part of the second that are in the train part of the first.
fn trained_on(first: &DataSet, second: &DataSet) -> f64 {
    let tested = || first.parts().iter().zip(second.parts()).filter(|(_, part)| **part == 2);
    tested().filter(|(part, _)| **part == 0).count() as f64 / tested().count() as f64
}

/// AUC against the rate on rows that were never trained on, and on those of another split.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    let campaign = Campaign::redrawn_split(&study.scale);
    if study.run(&campaign, audience)?.is_none() {
        return Ok(None);
    }
    let mut findings = Findings::default();
    findings.take_from(study, &campaign)?;
    let set = SETS[0].name;
    let plots = plots_of_models(&findings, |model| {
        let line = |data, name| recorded(&findings, &Place::new(model, data, "all"), name);
        vec![line(set, "rows never trained on"), line(DATA, "split redrawn, as-artefact")]
    });
    let open = |name: &str| {
        let path = study.data(name);
        DataSet::open(&path).map_err(|source| StudyError::Data { path, source })
    };
    let seen = trained_on(&open(set)?, &open(DATA)?);
    let gains: Vec<String> = MODELS
        .into_iter()
        .filter_map(|model| {
            let (clean, redrawn) =
                (findings.unprotected_auc(model, set)?, findings.unprotected_auc(model, DATA)?);
            Some(format!("{model} {clean:.3} → {redrawn:.3}"))
        })
        .collect();
    let gap = largest_gap(&plots, 1, 0).map_or_else(String::new, |(plot, rate, gap)| {
        format!("; the largest difference at one rate is {gap:+.3}, {plot} at {rate:.0e}")
    });
    let effect = format!(
        "{:.0} % of the rows tested on were trained on; fault-free AUC {}{gap}: the curve starts too high and meets ours where \
         nothing is left",
        100.0 * seen,
        gains.join(", ")
    );
    Ok(Some(Shown {
        sheet: Sheet {
            title: "as-artefact: tested on a split drawn anew, errors in all parameters".to_owned(),
            note: String::new(),
            score: "AUC",
            guess: Some(0.5),
            whiskers: false,
            plots,
        },
        effect,
        n: study.scale.artefact_chips,
        stand_in: findings.stand_in(set),
    }))
}
