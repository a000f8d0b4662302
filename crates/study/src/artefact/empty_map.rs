//! Selective bit protection on an empty error map.

use super::{Shown, largest_gap, plots_of_models, recorded};
use crate::audience::Audience;
use crate::campaigns::Campaign;
use crate::figures::{Line, Mark, Sheet};
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::study::{Study, StudyError};

/// AUC against the rate without a protection, with protected bits, and with an empty map.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    let campaign = Campaign::artefact_protections(&study.scale);
    if study.run(&campaign, audience)?.is_none() {
        return Ok(None);
    }
    let mut findings = Findings::default();
    findings.take_from(study, &campaign)?;
    let set = SETS[0].name;
    let plots = plots_of_models(&findings, |model| {
        let place = Place::new(model, set, "all");
        let bare = recorded(&findings, &place, "none");
        let sbp = recorded(&findings, &place.under("sbp"), "sbp");
        let empty = emptied(&sbp);
        vec![bare, sbp, empty]
    });
    let gap = |first: usize, second: usize| {
        largest_gap(&plots, first, second).map_or_else(
            || "nothing measured".to_owned(),
            |(plot, rate, gap)| format!("{gap:.4} ({plot} at {rate:.0e})"),
        )
    };
    let effect = format!(
        "the score cannot fall at any rate; sign and exponent protected in truth lose at most {} against it, so the picture is nearly \
         the same for this choice of bits, and would be for any other: what is protected does not matter when nothing is injected. \
         Without a protection the loss is up to {}",
        gap(2, 1),
        gap(2, 0),
    );
    Ok(Some(Shown {
        sheet: Sheet {
            title: "as-artefact: bit protection applied to an empty map, errors in all parameters".to_owned(),
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

/// What is measured where no error is left: the fault-free score at every rate.
fn emptied(line: &Line) -> Line {
    let marks = line.golden.into_iter().flat_map(|golden| {
        let at = move |mark: &Mark| Mark {
            mean: golden,
            band: [golden; 2],
            ends: [golden; 2],
            interval: None,
            predicted: None,
            rate: mark.rate,
        };
        line.marks.iter().map(at)
    });
    Line { name: "empty map, as-artefact".to_owned(), golden: line.golden, marks: marks.collect() }
}
