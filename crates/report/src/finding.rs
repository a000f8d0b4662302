//! Findings in a sentence: what breaks first, and at which rate.

use std::cmp::Ordering;

use crate::crossing::{Crossing, DEVIATION, ONSET_LOSS, SEVERE_LOSS};
use crate::panel::{Curve, Panel};
use crate::quantity::{loss, rate, score};

/// The target that holds all others.
const WHOLE: &str = "all";

impl Panel {
    /// The curves, the first to break first.
    pub fn by_fragility(&self) -> Vec<&Curve> {
        let mut curves: Vec<&Curve> = self.curves.iter().collect();
        curves.sort_by(|a, b| fragility(a, b));
        curves
    }

    /// Whether any cell has a bit error rate, so that there is a curve over rates.
    pub fn has_rates(&self) -> bool {
        let undefined =
            |curve: &Curve| (curve.onset, curve.deviating) == (Crossing::Undefined, Crossing::Undefined);
        !self.curves.iter().all(undefined)
    }

    /// What breaks first, and at which rate, as a sentence without its full stop.
    pub fn finding(&self) -> String {
        if self.by_rmse() && self.has_rates() {
            return self.deviation_finding();
        }
        if self.reference.is_none() {
            return "The golden AUC is undefined, so no loss can be stated".to_owned();
        }
        let ordered = self.by_fragility();
        let parts: Vec<&&Curve> = ordered.iter().filter(|curve| curve.target != WHOLE).collect();
        let Some(most_fragile) = ordered.first() else { return "No cell was run".to_owned() };
        if !self.has_rates() {
            let said = |curve: &Curve| {
                let cell = curve.cells.first()?;
                Some(format!("{} in {}", loss(cell.loss), curve.target))
            };
            let losses: Vec<String> = self.curves.iter().filter_map(said).collect();
            return format!("This error model has no rate: the mean AUC loss is {}", losses.join(", "));
        }
        if ordered.iter().all(|curve| matches!(curve.onset, Crossing::Above(_))) {
            let Crossing::Above(highest) = most_fragile.onset else { return String::new() };
            return format!(
                "Nothing tested breaks it: the mean AUC loss stays within {ONSET_LOSS} up to {}",
                rate(highest)
            );
        }
        match parts.as_slice() {
            [first, second, ..] if fragility(first, second).is_lt() => {
                format!("Of its parts, {} breaks first: it loses {}", first.target, clause(first))
            }
            [first, second, ..] => {
                format!(
                    "Its parts {} and {} break alike: each loses {}",
                    first.target,
                    second.target,
                    clause(first)
                )
            }
            [only] => format!("Hit in {}, it loses {}", only.target, clause(only)),
            [] => format!("Hit in {}, it loses {}", most_fragile.target, clause(most_fragile)),
        }
    }

    /// What moves away from golden first, where there is no AUC.
    fn deviation_finding(&self) -> String {
        let ordered = self.by_fragility();
        let part = ordered.iter().find(|curve| curve.target != WHOLE).or(ordered.first());
        let Some(first) = part else { return "No cell was run".to_owned() };
        let reached = |crossing: Crossing| match crossing {
            Crossing::Below(lowest) => format!("already at {}", rate(lowest)),
            Crossing::At(_) => format!("from {crossing}"),
            Crossing::Above(highest) => format!("not up to {}", rate(highest)),
            Crossing::Undefined => "at no known rate".to_owned(),
        };
        format!(
            "Hit in {}, its outputs move first: their median RMSE exceeds {DEVIATION} {}, and half of the chips give outputs that are not finite {}",
            first.target,
            reached(first.deviating),
            reached(first.non_finite)
        )
    }

    /// The golden score in words.
    pub fn golden_line(&self) -> String {
        if self.by_rmse() {
            return "No labels, so no AUC: RMSE against golden".to_owned();
        }
        match (self.golden, self.reference) {
            (Some(golden), Some(reference)) if golden != reference => {
                format!("Golden AUC {} (unprotected {})", score(self.golden), score(self.reference))
            }
            _ => format!("Golden AUC {}", score(self.golden)),
        }
    }
}

/// Which of two curves breaks first.
pub(crate) fn fragility(a: &Curve, b: &Curve) -> Ordering {
    a.half
        .fragility(b.half)
        .then(a.severe.fragility(b.severe))
        .then(a.onset.fragility(b.onset))
        .then(a.deviating.fragility(b.deviating))
        .then(a.non_finite.fragility(b.non_finite))
}

fn clause(curve: &Curve) -> String {
    let reached = |crossing: Crossing, word: &str| match crossing {
        Crossing::Below(lowest) => format!("already at {}", rate(lowest)),
        Crossing::At(_) => format!("{word} {crossing}"),
        Crossing::Above(highest) => format!("not up to {}", rate(highest)),
        Crossing::Undefined => "at no known rate".to_owned(),
    };
    format!(
        "more than {ONSET_LOSS} AUC {}, more than {SEVERE_LOSS} {}, and half of its lead over guessing {}",
        reached(curve.onset, "from"),
        reached(curve.severe, "from"),
        reached(curve.half, "at")
    )
}
