//! Advice on protections at one rate: from paired differences on the same chips that hold, and from costs that no clock decides.

use std::fmt::Write as _;

use radhard_metrics::tail::BAD;
use serde::Serialize;

use crate::benefit::Benefit;
use crate::chips::{AllChips, CellChips, Compared, Grade, grades};
use crate::quantity::{loss, rate, whole};
use crate::summary::CellLine;

/// The lowest rate at which more chips than this are shown to lose more than the severe bound is where protection is worth a look.
const WORTH_PROTECTING: f64 = 0.01;

/// Advice on protections of a model at one rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// The target: the widest that protections were measured on.
    pub target: String,
    /// How bits go wrong.
    pub error_model: String,
    /// The rate.
    pub at: f64,
    /// Protections that are shown to help, and of which no other one is as good for less.
    pub front: Vec<String>,
    /// Protections that may belong there: it takes more chips to tell.
    pub undecided: Vec<String>,
    /// Whether times set the front's protections apart: `decided` or `undecided`.
    pub time: &'static str,
    /// Every protection, the front first.
    pub options: Vec<Protected>,
}

/// One protection at the rate of the advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Protected {
    /// The protection.
    pub protection: String,
    /// Whether it shields bits by decree: a bound, never advice.
    pub ideal: bool,
    /// How sure it is that it helps.
    pub grade: Grade,
    /// Mean difference of the score on the same chips.
    pub gain: Option<f64>,
    /// Lower end of its 95 % interval.
    pub gain_ci_low: Option<f64>,
    /// Upper end of it.
    pub gain_ci_high: Option<f64>,
    /// Chips compared.
    pub n: u64,
    /// Chips that lose more than the severe bound without protection alone, and with it alone.
    pub severe_alone: [u64; 2],
    /// Share of chips that lose more than the severe bound under it, with its 95 % interval.
    pub severe_share: Option<f64>,
    /// Lower end of that interval.
    pub severe_share_ci_low: Option<f64>,
    /// Upper end of it.
    pub severe_share_ci_high: Option<f64>,
    /// Its extra memory, as a share of the model's bits.
    pub memory_share: Option<f64>,
    /// Operations more per scored row.
    pub operations_per_sample: Option<f64>,
    /// Median time of a protected pass over that of an unprotected one, its smallest and its largest.
    pub time: Option<[f64; 3]>,
}

/// A rate that no unprotected cell has.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("rate {} is not in this campaign; --at takes one of {}", rate(*.at), .rates.iter().map(|one| rate(*one)).collect::<Vec<_>>().join(", "))]
pub struct UnknownRate {
    /// The rate.
    pub at: f64,
    /// The rates there are.
    pub rates: Vec<f64>,
}

/// The rates of unprotected cells, ascending.
pub(crate) fn rates(cells: &[CellLine]) -> Vec<f64> {
    let mut rates: Vec<f64> =
        cells.iter().filter(|cell| cell.protection == "none").filter_map(|cell| cell.ber).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    rates
}

/// Whether two rates are the same but for rounding.
pub(crate) fn same_rate(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

/// The unprotected cells of the widest target of a model, by rate: of those that protections were measured on, where any were.
pub(crate) fn widest<'a>(cells: &'a [CellLine], model: &str, data: &str) -> Vec<&'a CellLine> {
    let own: Vec<&CellLine> =
        cells.iter().filter(|cell| cell.model == model && cell.data == data && cell.ber.is_some()).collect();
    let is_protected = |bare: &CellLine| {
        own.iter().any(|cell| {
            cell.protection != "none"
                && (&cell.target, &cell.error_model, cell.ber) == (&bare.target, &bare.error_model, bare.ber)
        })
    };
    let mut bare: Vec<&CellLine> = own.iter().copied().filter(|cell| cell.protection == "none").collect();
    if bare.iter().any(|cell| is_protected(cell)) {
        bare.retain(|cell| is_protected(cell));
    }
    // Plain flips first, then the most bits.
    let widest = bare.iter().max_by(|a, b| {
        let order = |cell: &CellLine| (cell.error_model == "flips", cell.exposed_bits);
        order(a).cmp(&order(b)).then(b.target.cmp(&a.target))
    });
    let Some(widest) = widest.copied() else { return Vec::new() };
    bare.retain(|cell| (&cell.target, &cell.error_model) == (&widest.target, &widest.error_model));
    bare.sort_by(|a, b| a.ber.unwrap_or(0.0).total_cmp(&b.ber.unwrap_or(0.0)));
    bare
}

/// The cell that decisions are made at: the lowest rate at which more than 1 % of chips are shown to lose more than the severe bound,
/// else the highest rate; or the one at a given rate.
pub(crate) fn decisive<'a>(curve: &[&'a CellLine], at: Option<f64>) -> Option<&'a CellLine> {
    if let Some(at) = at {
        return curve.iter().copied().find(|cell| cell.ber.is_some_and(|ber| same_rate(ber, at)));
    }
    let shown = |cell: &&&CellLine| cell.severe_share_ci_low.is_some_and(|low| low > WORTH_PROTECTING);
    curve.iter().find(shown).or(curve.last()).copied()
}

/// Advice for each model; none for those without protections.
pub(crate) fn advices(
    cells: &[CellLine],
    benefits: &[Benefit],
    chips: &AllChips,
    at: Option<f64>,
) -> Vec<Advice> {
    benefits
        .chunk_by(|a, b| (&a.model, &a.data) == (&b.model, &b.data))
        .filter_map(|group| {
            let bare = decisive(&widest(cells, &group[0].model, &group[0].data), at)?;
            Advice::of(bare, cells, group, chips)
        })
        .collect()
}

/// A protection with what decides about it.
struct Candidate<'a> {
    benefit: &'a Benefit,
    chips: &'a CellChips,
    against_none: Compared,
    own: Protected,
    /// Lower and upper end of the share of harmful chips on which it noticed something.
    detections: [Option<f64>; 2],
}

impl Advice {
    fn of(bare: &CellLine, cells: &[CellLine], group: &[Benefit], chips: &AllChips) -> Option<Self> {
        let unprotected = chips.get(&bare.key())?;
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        for benefit in group {
            let cell = cells.iter().find(|cell| {
                cell.protection == benefit.protection
                    && (&cell.model, &cell.data, &cell.target, &cell.error_model, cell.ber)
                        == (&bare.model, &bare.data, &bare.target, &bare.error_model, bare.ber)
            });
            let Some((cell, own)) = cell.and_then(|cell| Some((cell, chips.get(&cell.key())?))) else {
                continue;
            };
            candidates.push(Candidate::of(benefit, cell, own, unprotected));
        }
        if candidates.is_empty() {
            return None;
        }
        let p_values: Vec<f64> = candidates.iter().map(|one| one.against_none.p_better()[0]).collect();
        for (one, grade) in candidates.iter_mut().zip(grades(&p_values)) {
            one.own.grade = grade;
        }
        let (front, undecided) = fronts(&candidates);
        let named = |places: &[usize]| -> Vec<String> {
            places.iter().map(|&place| candidates[place].own.protection.clone()).collect()
        };
        let (front_names, undecided_names) = (named(&front), named(&undecided));
        let times: Vec<[f64; 2]> =
            front.iter().filter_map(|&place| candidates[place].benefit.time_range).collect();
        let time = if decides(&times) && times.len() == front.len() { "decided" } else { "undecided" };
        let order = |name: &str| {
            let place = |names: &[String]| names.iter().position(|one| one == name);
            match (place(&front_names), place(&undecided_names)) {
                (Some(place), _) => (0, place),
                (None, Some(place)) => (1, place),
                _ => (2, 0),
            }
        };
        let mut options: Vec<Protected> = candidates.into_iter().map(|one| one.own).collect();
        options.sort_by_key(|one| (order(&one.protection), one.ideal));
        Some(Self {
            model: bare.model.clone(),
            data: bare.data.clone(),
            target: bare.target.clone(),
            error_model: bare.error_model.clone(),
            at: bare.ber?,
            front: front_names,
            undecided: undecided_names,
            time,
            options,
        })
    }

    /// The advice, as sentences.
    pub fn in_words(&self, timed: bool) -> String {
        let place = crate::part::place(&self.target);
        let at = rate(self.at);
        let option = |name: &String| self.options.iter().find(|one| one.protection == *name);
        let front: Vec<String> =
            self.front.iter().filter_map(|name| Some(option(name)?.in_words(timed))).collect();
        let mut text = match front.as_slice() {
            [] => format!("With errors {place} at {at}, no protection that can be built is shown to help"),
            [only] => format!("With errors {place} at {at}, {only}"),
            several => format!(
                "With errors {place} at {at}, {} protections are worth their cost: {}",
                several.len(),
                several.join("; ")
            ),
        };
        if !self.undecided.is_empty() {
            let more = self.more_chips().map_or_else(String::new, |more| {
                format!(" (about {} more chips)", whole(crate::finding::rounded(more)))
            });
            let names = &self.undecided[..self.undecided.len().min(4)];
            let rest = self.undecided.len() - names.len();
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            let _ = write!(text, ". Undecided{more}: {}{rest}", names.join(", "));
        }
        if timed && !self.front.is_empty() && self.time == "undecided" {
            text.push_str(". Time undecided (machine busy)");
        }
        text
    }

    /// How sure the advice is: shown where something is shown to help and nothing else is undecided.
    pub fn grade(&self) -> Grade {
        match (self.front.is_empty(), self.undecided.is_empty()) {
            (false, true) => Grade::Shown,
            (false, false) => Grade::Likely,
            (true, _) if self.options.iter().any(|one| !one.ideal && one.grade == Grade::Likely) => {
                Grade::Likely
            }
            _ => Grade::NotShown,
        }
    }

    /// About how many more chips would decide about one of the undecided protections.
    fn more_chips(&self) -> Option<u64> {
        let needed = |one: &Protected| {
            let gap = one.gain.filter(|gain| *gain > 0.0)?;
            let all = radhard_metrics::chips_to_decide(gap, gap, 2.0, 0.0)?;
            Some(all.saturating_sub(one.n).max(1))
        };
        let undecided = |one: &&Protected| self.undecided.contains(&one.protection);
        self.options.iter().filter(undecided).filter_map(needed).min()
    }
}

impl Protected {
    /// Its effect and cost, in words: "range-guard recovers 0.077 AUC on average, no extra memory".
    fn in_words(&self, timed: bool) -> String {
        let [before, after] = self.severe_alone;
        let mut text = format!("{} recovers {} AUC on average", self.protection, loss(self.gain));
        if before + after > 0 {
            let _ = write!(
                text,
                " and keeps {before} of {} chips from losing more than {}",
                self.n,
                radhard_metrics::tail::SEVERE
            );
        }
        let memory = match self.memory_share {
            Some(0.0) => ", no extra memory".to_owned(),
            Some(share) => format!(", {} more memory", crate::quantity::share(Some(share))),
            None => String::new(),
        };
        text.push_str(&memory);
        if let Some(operations) = self.operations_per_sample {
            let _ = write!(text, ", {} more operations a row", crate::quantity::count(Some(operations)));
        }
        if let Some([median, low, high]) = self.time.filter(|_| timed)
            && decides(&[[low, high]])
        {
            let _ = write!(text, ", time ×\u{a0}{median:.2}");
        }
        text
    }
}

impl<'a> Candidate<'a> {
    fn of(benefit: &'a Benefit, cell: &CellLine, chips: &'a CellChips, bare: &CellChips) -> Self {
        let against_none = Compared::of(chips, bare);
        let found = benefit.gains.iter().find(|gain| {
            (&gain.target, &gain.error_model, gain.ber) == (&cell.target, &cell.error_model, cell.ber)
        });
        let [with, without] = against_none.severe_alone;
        let interval = against_none.difference.mean_interval;
        let own = Protected {
            protection: benefit.protection.clone(),
            ideal: benefit.ideal,
            grade: Grade::NotShown,
            gain: against_none.difference.mean,
            gain_ci_low: interval.map(|of| of.low),
            gain_ci_high: interval.map(|of| of.high),
            n: against_none.difference.n,
            severe_alone: [without, with],
            severe_share: cell.severe_share,
            severe_share_ci_low: cell.severe_share_ci_low,
            severe_share_ci_high: cell.severe_share_ci_high,
            memory_share: benefit.memory_share,
            operations_per_sample: benefit.operations_per_sample,
            time: benefit.time.zip(benefit.time_range).map(|(median, [low, high])| [median, low, high]),
        };
        let detections = found.map_or([None; 2], |gain| {
            let of = &gain.noticed.found_of_harmful;
            [of.low, of.high]
        });
        Self { benefit, chips, against_none, own, detections }
    }

    /// Whether this one costs no more than another in memory and operations, where both are known.
    fn costs_no_more(&self, than: &Self) -> bool {
        let known = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| a <= b);
        known(self.benefit.memory_share, than.benefit.memory_share)
            && known(self.benefit.operations_per_sample, than.benefit.operations_per_sample)
    }

    fn costs_less(&self, than: &Self) -> bool {
        self.costs_no_more(than) && !than.costs_no_more(self)
    }

    /// Whether the other one notices harmful chips more often, beyond chance.
    fn notices_less(&self, than: &Self) -> bool {
        self.detections[1].zip(than.detections[0]).is_some_and(|(high, low)| high < low)
    }
}

/// The protections that are shown to help and that no other one beats, and those that may belong to them.
fn fronts(candidates: &[Candidate<'_>]) -> (Vec<usize>, Vec<usize>) {
    let helpful: Vec<usize> = (0..candidates.len())
        .filter(|&place| !candidates[place].own.ideal && candidates[place].own.grade == Grade::Shown)
        .collect();
    // Every pair among them is compared, with Holm's adjustment over all pairs and both sides.
    let mut pairs = Vec::new();
    for (at, &first) in helpful.iter().enumerate() {
        for &second in &helpful[at + 1..] {
            pairs.push((first, second, Compared::of(candidates[first].chips, candidates[second].chips)));
        }
    }
    let p_values: Vec<f64> = pairs.iter().flat_map(|pair| pair.2.p_better()).collect();
    let shown = grades(&p_values);
    let is_better = |one: usize, than: usize| {
        pairs.iter().enumerate().any(|(at, (first, second, _))| {
            ((*first, *second) == (one, than) && shown[2 * at] == Grade::Shown)
                || ((*second, *first) == (one, than) && shown[2 * at + 1] == Grade::Shown)
        })
    };
    let beats = |one: usize, than: usize| {
        let (a, b) = (&candidates[one], &candidates[than]);
        a.costs_no_more(b)
            && !is_better(than, one)
            && !a.notices_less(b)
            && (a.costs_less(b) || is_better(one, than))
    };
    let mut front: Vec<usize> = helpful
        .iter()
        .copied()
        .filter(|&place| !helpful.iter().any(|&other| other != place && beats(other, place)))
        .collect();
    let gain = |place: &usize| candidates[*place].own.gain.unwrap_or(f64::NEG_INFINITY);
    front.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    // One that was beaten by a cheaper one and yet seems better; and one that may help.
    let best_on_front = front.iter().map(gain).fold(f64::NEG_INFINITY, f64::max);
    let mut undecided: Vec<usize> = (0..candidates.len())
        .filter(|place| !candidates[*place].own.ideal && !front.contains(place))
        .filter(|place| {
            let one = &candidates[*place];
            if helpful.contains(place) {
                // More than a loss that matters above the best of the front.
                return gain(place) > best_on_front + BAD;
            }
            one.own.gain_ci_high.is_none_or(|high| high > BAD) && one.own.gain.is_none_or(|gain| gain > 0.0)
        })
        .collect();
    undecided.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    (front, undecided)
}

/// Whether ranges of times lie apart, each from the others and a single one from 1.
fn decides(ranges: &[[f64; 2]]) -> bool {
    match ranges {
        [[low, high]] => *low > 1.0 || *high < 1.0,
        several => several
            .iter()
            .enumerate()
            .all(|(place, a)| several[place + 1..].iter().all(|b| a[1] < b[0] || b[1] < a[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_decide_only_where_their_ranges_lie_apart() {
        assert!(decides(&[[1.1, 1.3]]) && !decides(&[[0.9, 1.3]]));
        assert!(decides(&[[0.9, 1.0], [1.1, 1.3]]));
        assert!(!decides(&[[0.08, 26.29], [1.1, 1.3]]));
    }

    #[test]
    fn rates_are_the_same_but_for_rounding() {
        assert!(same_rate(0.1 + 0.2, 0.3) && !same_rate(1e-4, 1.001e-4) && same_rate(0.0, 0.0));
    }
}
