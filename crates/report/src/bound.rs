//! Bounds that a campaign must keep: `severe_share@1e-5 > 0.01` fails where it is shown to hold.

use std::fmt;
use std::str::FromStr;

use radhard_metrics::{clopper_pearson, quantile_interval};
use serde::Serialize;

use crate::advice::{rates, same_rate};
use crate::chips::{CellChips, RISK};
use crate::quantity::rate;
use crate::summary::Summary;

/// A quantity that may be bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounded {
    /// Share of chips that lose more than 0.001.
    BadShare,
    /// Share of chips that lose more than 0.05.
    SevereShare,
    /// Mean loss.
    Loss,
    /// The loss that 95 % of the chips stay within.
    LossQ95,
}

impl Bounded {
    /// Every quantity with its word.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::BadShare, "bad_share"),
        (Self::SevereShare, "severe_share"),
        (Self::Loss, "loss"),
        (Self::LossQ95, "loss_q95"),
    ];
}

/// A condition that makes a campaign fail, as in `[TARGET/][PROTECTION/]KEY@RATE OP NUMBER`.
#[derive(Debug, Clone, PartialEq)]
pub struct FailIf {
    text: String,
    /// Targets and protections before the key.
    names: Vec<String>,
    quantity: Bounded,
    ber: f64,
    above: bool,
    number: f64,
}

/// Why a text is no bound, or does not fit a campaign.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BoundError {
    /// It is not of the form.
    #[error(
        "bound \"{text}\": {reason}; write [TARGET/][PROTECTION/]KEY@RATE OP NUMBER, as in 'severe_share@1e-5 > 0.01'"
    )]
    Form {
        /// The text.
        text: String,
        /// The reason.
        reason: String,
    },
    /// The rate is not among those of the campaign.
    #[error("bound \"{text}\": rate {} is not in the plan, which has {}", rate(*.at), .rates.iter().map(|one| rate(*one)).collect::<Vec<_>>().join(", "))]
    Rate {
        /// The text.
        text: String,
        /// The rate.
        at: f64,
        /// The rates there are.
        rates: Vec<f64>,
    },
    /// A name is neither a target nor a protection of the campaign.
    #[error("bound \"{text}\": \"{name}\" is neither a target nor a protection of the plan, which has {}", .names.join(", "))]
    Name {
        /// The text.
        text: String,
        /// The name.
        name: String,
        /// The names there are.
        names: Vec<String>,
    },
}

/// The result for a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BoundVerdict {
    /// A cell is shown to cross it.
    Crossed,
    /// Every cell is shown to keep it.
    Kept,
    /// Neither.
    Undecided,
}

/// A bound with what is shown about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoundCheck {
    /// The bound as it was written.
    pub bound: String,
    /// The result.
    pub verdict: BoundVerdict,
    /// Cells looked at.
    pub cells: usize,
    /// The cells that are shown to cross it, or are undecided, as in "dense, secded: 0.02 [0.004, 0.08]".
    pub which: Vec<String>,
}

impl FromStr for FailIf {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        let wrong = |reason: String| BoundError::Form { text: text.to_owned(), reason };
        let (left, above, number) = [(">=", true), ("<=", false), (">", true), ("<", false)]
            .into_iter()
            .find_map(|(sign, above)| text.split_once(sign).map(|(left, right)| (left, above, right)))
            .ok_or_else(|| wrong("there is no > or <".to_owned()))?;
        let number: f64 =
            number.trim().parse().map_err(|_| wrong(format!("\"{}\" is no number", number.trim())))?;
        if !number.is_finite() {
            return Err(wrong(format!("{number} is not finite")));
        }
        let mut names: Vec<&str> = left.trim().split('/').map(str::trim).collect();
        let last = names.pop().unwrap_or_default();
        let (key, ber) = last.rsplit_once('@').ok_or_else(|| wrong(format!("\"{last}\" names no rate")))?;
        let quantity = Bounded::WORDS.into_iter().find(|(_, word)| *word == key.trim()).ok_or_else(|| {
            let words: Vec<&str> = Bounded::WORDS.iter().map(|(_, word)| *word).collect();
            wrong(format!("\"{}\" is not one of {}", key.trim(), words.join(", ")))
        })?;
        let ber: f64 = ber.trim().parse().map_err(|_| wrong(format!("\"{}\" is no rate", ber.trim())))?;
        if names.len() > 2 || names.iter().any(|name| name.is_empty()) {
            return Err(wrong("at most a target and a protection stand before the key".to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            names: names.into_iter().map(str::to_owned).collect(),
            quantity: quantity.0,
            ber,
            above,
            number,
        })
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FailIf {
    /// Errors: a rate or a name that a plan does not have.
    pub fn fits(&self, rates: &[f64], targets: &[String], protections: &[String]) -> Result<(), BoundError> {
        if !rates.iter().any(|rate| same_rate(*rate, self.ber)) {
            return Err(BoundError::Rate { text: self.text.clone(), at: self.ber, rates: rates.to_vec() });
        }
        for name in &self.names {
            if !targets.contains(name) && !protections.contains(name) {
                return Err(BoundError::Name {
                    text: self.text.clone(),
                    name: name.clone(),
                    names: targets.iter().chain(protections).cloned().collect(),
                });
            }
        }
        Ok(())
    }
}

impl Summary {
    /// The result for a bound: a cell crosses it at the level that Holm's procedure leaves to the first of all cells, or every
    /// cell keeps it, each at 2.5 %.
    ///
    /// Errors: no cell has the rate, or a name is unknown.
    pub fn check(&self, bound: &FailIf) -> Result<BoundCheck, BoundError> {
        let mut targets: Vec<String> = self.cells.iter().map(|cell| cell.target.clone()).collect();
        let mut protections: Vec<String> = self.cells.iter().map(|cell| cell.protection.clone()).collect();
        for names in [&mut targets, &mut protections] {
            names.sort_unstable();
            names.dedup();
        }
        bound.fits(&rates(&self.cells), &targets, &protections)?;
        let chosen: Vec<_> = self
            .cells
            .iter()
            .filter(|cell| cell.ber.is_some_and(|ber| same_rate(ber, bound.ber)))
            .filter(|cell| bound.names.iter().all(|name| *name == cell.target || *name == cell.protection))
            .collect();
        let strict = 1.0 - RISK / chosen.len().max(1) as f64;
        let (mut crossed, mut undecided) = (Vec::new(), Vec::new());
        for cell in &chosen {
            let chips = self.chips.get(&cell.key());
            let at = |level: f64| chips.map_or([None; 2], |chips| bound.interval(chips, level));
            let [low, high] = at(strict);
            let beyond = if bound.above {
                low.is_some_and(|low| low > bound.number)
            } else {
                high.is_some_and(|high| high < bound.number)
            };
            let [low, high] = at(1.0 - RISK);
            let within = if bound.above {
                high.is_some_and(|high| high <= bound.number)
            } else {
                low.is_some_and(|low| low >= bound.number)
            };
            let end = |end: Option<f64>| end.map_or_else(|| "?".to_owned(), |end| format!("{end:.4}"));
            let words = format!("{}, {}: [{}, {}]", cell.target, cell.protection, end(low), end(high));
            match (beyond, within) {
                (true, _) => crossed.push(words),
                (false, false) => undecided.push(words),
                (false, true) => {}
            }
        }
        let (verdict, which) = if !crossed.is_empty() {
            (BoundVerdict::Crossed, crossed)
        } else if undecided.is_empty() && !chosen.is_empty() && self.progress.complete {
            (BoundVerdict::Kept, Vec::new())
        } else {
            (BoundVerdict::Undecided, undecided)
        };
        Ok(BoundCheck { bound: bound.text.clone(), verdict, cells: chosen.len(), which })
    }
}

impl FailIf {
    /// The interval of the quantity at a level.
    fn interval(&self, chips: &CellChips, level: f64) -> [Option<f64>; 2] {
        let share = |bound: f64| {
            let Some((with, drawn, known, known_have_it)) = chips.beyond(bound) else { return [None; 2] };
            if drawn + known == 0 {
                return [None; 2];
            }
            let p0 = chips.p_no_flip;
            let interval = if p0 == 0.0 {
                clopper_pearson(with + if known_have_it { known } else { 0 }, drawn + known, level)
            } else {
                let offset = if known_have_it { p0 } else { 0.0 };
                let inner = clopper_pearson(with, drawn, level);
                let [low, high] = inner.map_or([0.0, 1.0], |of| [of.low, of.high]);
                return [low, high].map(|end| Some(offset + (1.0 - p0) * end));
            };
            interval.map_or([None; 2], |of| [Some(of.low), Some(of.high)])
        };
        match self.quantity {
            Bounded::BadShare => share(radhard_metrics::tail::BAD),
            Bounded::SevereShare => share(radhard_metrics::tail::SEVERE),
            Bounded::Loss => chips.mean_loss(level).map_or([None; 2], |ends| ends.map(Some)),
            Bounded::LossQ95 => {
                chips.sorted_losses().map_or([None; 2], |losses| quantile_interval(&losses, 0.95, level))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_and_wrong_ones_say_what_is_wrong() {
        let bound: FailIf = "embedding@30/secded:zero/severe_share@1e-5 > 0.01".parse().unwrap();
        assert_eq!(bound.names, ["embedding@30", "secded:zero"]);
        assert_eq!(
            (bound.quantity, bound.ber, bound.above, bound.number),
            (Bounded::SevereShare, 1e-5, true, 0.01)
        );
        let bound: FailIf = "loss_q95@0.001<=-.5".parse().unwrap();
        assert_eq!((bound.quantity, bound.above, bound.number), (Bounded::LossQ95, false, -0.5));
        for (text, reason) in [
            ("loss@1e-5", "no > or <"),
            ("loss > 0.1", "names no rate"),
            ("auc@1e-5 > 0.1", "not one of bad_share, severe_share, loss, loss_q95"),
            ("loss@x > 0.1", "\"x\" is no rate"),
            ("loss@1e-5 > much", "\"much\" is no number"),
            ("loss@1e-5 > inf", "not finite"),
            ("a/b/c/loss@1e-5 > 1", "at most a target and a protection"),
            ("/loss@1e-5 > 1", "at most a target and a protection"),
        ] {
            let error = text.parse::<FailIf>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text), "{error}");
        }
        let names = ["dense".to_owned()];
        assert_eq!(bound.fits(&[1e-3], &names, &names), Ok(()));
        assert!(bound.fits(&[1e-4], &names, &names).unwrap_err().to_string().contains("which has 1e-4"));
        let named: FailIf = "dens/loss@1e-3 > 0".parse().unwrap();
        assert!(named.fits(&[1e-3], &names, &names).unwrap_err().to_string().contains("\"dens\""));
    }
}
