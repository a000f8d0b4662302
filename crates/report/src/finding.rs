//! Findings: between which rates a mean loss exceeds a bound, shown by tests, or undecided.

use std::collections::BTreeMap;

use radhard_metrics::tail::{BAD, SEVERE};
use radhard_metrics::{Bracket, BracketStatus, RateInterval, chips_to_decide, half_of_lead};
use radhard_records::CellKey;
use serde::Serialize;

use crate::chips::AllChips;
use crate::quantity::{rate, whole};
use crate::summary::CellLine;

/// Which bound of the mean loss a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// A loss that matters.
    Bad,
    /// A loss that no service would accept.
    Severe,
    /// Half of the advantage over random ranking: where it is reached is BER_50.
    Half,
}

/// Between which rates the mean loss of one target first exceeds one bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// The target.
    pub target: String,
    /// How bits go wrong.
    pub error_model: String,
    /// The protection.
    pub protection: String,
    /// The score whose loss it is.
    pub metric: &'static str,
    /// Seed of the chips.
    pub seed: u64,
    /// Which bound.
    pub limit: Limit,
    /// The bound of the mean loss.
    pub bound: f64,
    /// Largest rate shown to lose no more, all lower ones shown too.
    pub largest_within: Option<f64>,
    /// Smallest rate shown to lose more, all higher ones shown too.
    pub smallest_beyond: Option<f64>,
    /// Which ends are shown.
    pub status: BracketStatus,
    /// About how many more chips at each rate would show the next end; none where none is missing, or no number would.
    pub more_chips: Option<u64>,
    /// The lowest and the highest rate tested.
    #[serde(skip)]
    pub tested: [f64; 2],
}

/// The findings of all curves, in the order of their cells; a bound a finding.
pub(crate) fn findings(cells: &[CellLine], chips: &AllChips) -> Vec<Finding> {
    let mut curves: BTreeMap<[&str; 5], Vec<&CellLine>> = BTreeMap::new();
    for cell in
        cells.iter().filter(|cell| cell.ber.is_some_and(|ber| ber > 0.0) && cell.reference().is_some())
    {
        let key = [&cell.model, &cell.data, &cell.target, &cell.error_model, &cell.protection];
        curves.entry(key.map(String::as_str)).or_default().push(cell);
    }
    let mut found = Vec::new();
    for curve in curves.values_mut() {
        curve.sort_by(|a, b| a.ber.unwrap_or(0.0).total_cmp(&b.ber.unwrap_or(0.0)));
        let reference = curve[0].reference().unwrap_or(0.5);
        let mut limits = vec![(Limit::Bad, BAD), (Limit::Severe, SEVERE)];
        if reference > 0.5 {
            limits.push((Limit::Half, half_of_lead(reference)));
        }
        found.extend(limits.into_iter().filter_map(|limit| Finding::of(curve, chips, limit)));
    }
    found
}

impl Finding {
    fn of(curve: &[&CellLine], chips: &AllChips, (limit, bound): (Limit, f64)) -> Option<Self> {
        let (first, last) = (curve.first()?, curve.last()?);
        let tested: Vec<RateInterval> = curve
            .iter()
            .map(|cell| RateInterval { rate: cell.ber.unwrap_or(0.0), loss: cell.mean_loss_interval() })
            .collect();
        let bracket = Bracket::of(bound, &tested);
        Some(Self {
            model: first.model.clone(),
            data: first.data.clone(),
            target: first.target.clone(),
            error_model: first.error_model.clone(),
            protection: first.protection.clone(),
            metric: "auc",
            seed: first.seed,
            limit,
            bound,
            largest_within: bracket.largest_within,
            smallest_beyond: bracket.smallest_beyond,
            status: bracket.status(),
            more_chips: more_chips(curve, chips, bound, &bracket),
            tested: [first.ber?, last.ber?],
        })
    }

    /// Whether this finding is about the same curve as a cell.
    pub fn is_of(&self, cell: &CellLine) -> bool {
        (&self.model, &self.data, &self.target, &self.error_model, &self.protection)
            == (&cell.model, &cell.data, &cell.target, &cell.error_model, &cell.protection)
    }

    /// The bracket.
    pub fn bracket(&self) -> Bracket {
        Bracket { largest_within: self.largest_within, smallest_beyond: self.smallest_beyond }
    }

    /// The bracket in a field of a table, as in `1e-6 … 1e-4`.
    pub fn bracket_in_words(&self) -> String {
        bracket_in_words(self.bracket(), self.tested)
    }

    /// How many more chips it takes, in brackets; empty where that is not known.
    pub fn more_in_words(&self) -> String {
        self.more_chips
            .map_or_else(String::new, |more| format!(" (about {} more chips)", whole(rounded(more))))
    }
}

/// A bracket as a sentence: `beyond` says what happens where the bound is exceeded, `within` what where it is kept; `more` says
/// what would decide the rest.
pub(crate) fn statement(
    [beyond, within]: [&str; 2],
    bracket: Bracket,
    [lowest, highest]: [f64; 2],
    more: &str,
) -> String {
    match (bracket.largest_within, bracket.smallest_beyond) {
        (Some(low), Some(high)) => {
            format!("{beyond} at {} and above, not at {} and below", rate(high), rate(low))
        }
        (None, Some(high)) if high == lowest => {
            format!("{beyond} already at {}, the lowest rate tested", rate(high))
        }
        (None, Some(high)) => format!("{beyond} at {} and above; undecided below{more}", rate(high)),
        (Some(low), None) if low == highest => {
            format!("{within} up to {}, the highest rate tested", rate(low))
        }
        (Some(low), None) => format!("{within} at {} and below; undecided above{more}", rate(low)),
        (None, None) => format!("undecided at every rate tested{more}: whether {beyond}"),
    }
}

/// A bracket in a field of a table.
pub(crate) fn bracket_in_words(bracket: Bracket, [lowest, highest]: [f64; 2]) -> String {
    match (bracket.largest_within, bracket.smallest_beyond) {
        (Some(within), Some(beyond)) => format!("{} … {}", rate(within), rate(beyond)),
        (None, Some(beyond)) if beyond == lowest => format!("≤ {}", rate(beyond)),
        (None, Some(beyond)) => format!("? … {}", rate(beyond)),
        (Some(within), None) if within == highest => format!("> {}", rate(within)),
        (Some(within), None) => format!("{} … ?", rate(within)),
        (None, None) => "undecided".to_owned(),
    }
}

/// A number of chips to two digits, upwards: it is an estimate.
pub(crate) fn rounded(chips: u64) -> u64 {
    let mut unit = 1;
    while chips / unit >= 100 {
        unit *= 10;
    }
    chips.div_ceil(unit) * unit
}

/// About how many more chips would show the end of a bracket that is missing, or the nearer of two.
fn more_chips(curve: &[&CellLine], chips: &AllChips, bound: f64, bracket: &Bracket) -> Option<u64> {
    let needed = |cell: &CellLine, within: bool| {
        let loss = cell.reference()? - cell.stratified_mean.or(cell.mean)?;
        if (loss <= bound) != within {
            return None;
        }
        let sample = chips.get(&cell.key())?;
        let all = chips_to_decide((loss - bound).abs(), sample.sd_with_flips(), 1.0, sample.p_no_flip)?;
        Some(all.saturating_sub(cell.n).max(1))
    };
    let rate = |cell: &CellLine| cell.ber.unwrap_or(0.0);
    // The first of each sequence that was not shown.
    let low = || curve.iter().find(|cell| bracket.largest_within.is_none_or(|within| rate(cell) > within));
    let high =
        || curve.iter().rev().find(|cell| bracket.smallest_beyond.is_none_or(|beyond| rate(cell) < beyond));
    let missing_low = || low().and_then(|cell| needed(cell, true));
    let missing_high = || high().and_then(|cell| needed(cell, false));
    match bracket.status() {
        BracketStatus::Shown => None,
        BracketStatus::ShownLow => missing_high(),
        BracketStatus::ShownHigh => missing_low(),
        BracketStatus::Undecided => missing_low().into_iter().chain(missing_high()).min(),
    }
}

impl CellLine {
    /// Its key.
    pub(crate) fn key(&self) -> CellKey {
        CellKey {
            model: self.model.clone(),
            data: self.data.clone(),
            target: self.target.clone(),
            error_model: self.error_model.clone(),
            ber: self.ber,
            protection: self.protection.clone(),
        }
    }

    /// The golden score that its losses are taken against.
    pub fn reference(&self) -> Option<f64> {
        self.unprotected.or(self.golden)
    }

    /// The 95 % interval of its mean loss.
    pub fn mean_loss_interval(&self) -> Option<[f64; 2]> {
        let reference = self.reference()?;
        Some([reference - self.ci_high?, reference - self.ci_low?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(
        largest_within: Option<f64>,
        smallest_beyond: Option<f64>,
        more_chips: Option<u64>,
    ) -> Finding {
        Finding {
            model: "fm".into(),
            data: "ml".into(),
            target: "all".into(),
            error_model: "flips".into(),
            protection: "none".into(),
            metric: "auc",
            seed: 1,
            limit: Limit::Bad,
            bound: BAD,
            largest_within,
            smallest_beyond,
            status: Bracket { largest_within, smallest_beyond }.status(),
            more_chips,
            tested: [1e-7, 1e-2],
        }
    }

    #[test]
    fn a_statement_says_what_is_shown_and_what_it_takes_to_show_the_rest() {
        for (ends, sentence, short) in [
            (
                (Some(1e-6), Some(1e-4), None),
                "it drops at 1e-4 and above, not at 1e-6 and below",
                "1e-6 … 1e-4",
            ),
            ((None, Some(1e-7), None), "it drops already at 1e-7, the lowest rate tested", "≤ 1e-7"),
            (
                (None, Some(1e-3), Some(3689)),
                "it drops at 1e-3 and above; undecided below (about 3,700 more chips)",
                "? … 1e-3",
            ),
            ((Some(1e-2), None, None), "it stays up to 1e-2, the highest rate tested", "> 1e-2"),
            ((Some(1e-6), None, None), "it stays at 1e-6 and below; undecided above", "1e-6 … ?"),
            (
                (None, None, Some(41)),
                "undecided at every rate tested (about 41 more chips): whether it drops",
                "undecided",
            ),
        ] {
            let finding = finding(ends.0, ends.1, ends.2);
            let (bracket, more) = (finding.bracket(), finding.more_in_words());
            let said = statement(["it drops", "it stays"], bracket, finding.tested, &more);
            assert_eq!((said.as_str(), finding.bracket_in_words().as_str()), (sentence, short));
        }
    }
}
