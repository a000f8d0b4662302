//! Clipping as the text says and as the artefact does.

use super::{Shown, largest_gap, plots_of_models, recorded};
use crate::audience::Audience;
use crate::campaigns::Campaign;
use crate::figures::Sheet;
use crate::findings::{Findings, Place};
use crate::sets::SETS;
use crate::study::{Study, StudyError};
use crate::training::MODELS;

/// AUC against the rate without a protection, and with either clip.
pub(super) fn show(study: &Study<'_>, audience: &dyn Audience) -> Result<Option<Shown>, StudyError> {
    let campaign = Campaign::artefact_protections(&study.scale);
    if study.run(&campaign, audience)?.is_none() {
        return Ok(None);
    }
    let mut findings = Findings::default();
    findings.take_from(study, &campaign)?;
    let set = SETS[0].name;
    let plots = plots_of_models(&findings, |model| {
        [("none", "none"), ("clip:paper", "clip:paper"), ("clip:artefact", "clip:artefact, as-artefact")]
            .map(|(protection, name)| {
                recorded(&findings, &Place::new(model, set, "all").under(protection), name)
            })
            .to_vec()
    });
    let changed: Vec<String> = MODELS
        .into_iter()
        .filter_map(|model| {
            let (bare, clipped) = (
                findings.unprotected_auc(model, set)?,
                findings.golden(model, set, "clip:artefact")?.scores.auc?,
            );
            (bare != clipped).then(|| format!("{model} {:+.4}", clipped - bare))
        })
        .collect();
    let to = |line: usize| {
        largest_gap(&plots, line, 0).map_or_else(
            || "nothing measured".to_owned(),
            |(plot, rate, gap)| format!("{gap:+.3} ({plot} at {rate:.0e})"),
        )
    };
    let effect = format!(
        "largest gain over no protection: {} with the text's clip, {} with the artefact's; fault-free AUC under the artefact's clip \
         {}; its bound of 100 lies far above what layers give, and batch norm behind it scales what is left",
        to(1),
        to(2),
        if changed.is_empty() {
            "is unchanged".to_owned()
        } else {
            format!("changes: {}", changed.join(", "))
        },
    );
    Ok(Some(Shown {
        sheet: Sheet {
            title: "as-artefact: clipping of linear layers at ±100, errors in all parameters".to_owned(),
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
