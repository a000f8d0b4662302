//! The part that breaks first: parts of one model compared on the same chips, at every rate, with Holm's adjustment over all comparisons.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::chips::{AllChips, Compared, Grade, Side, grades};
use crate::panel::Panel;
use crate::part::{are_rivals, outermost};
use crate::quantity::{rate, share};
use crate::summary::CellLine;

/// Two parts of one model at one rate, on the same chips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rivalry {
    /// The part that loses more.
    pub worse: String,
    /// The part that loses less.
    pub better: String,
    /// The bit error rate.
    pub ber: f64,
    /// Chips compared.
    pub n: u64,
    /// Chips that lose more than the severe bound with errors in the worse part alone.
    pub worse_alone: u64,
    /// The same in the better part alone.
    pub better_alone: u64,
    /// Mean difference of the loss, the worse less the better part.
    pub difference: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Whether it holds after adjustment for all pairs and rates.
    pub grade: Grade,
}

/// Which part of a model breaks first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct First {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// How bits go wrong.
    pub error_model: String,
    /// The protection.
    pub protection: String,
    /// The parts compared.
    pub parts: Vec<String>,
    /// The part that breaks before every other; none where no test tells.
    pub part: Option<String>,
    /// How sure that is.
    pub grade: Grade,
    /// Its share of the bits that can be hit in the widest target.
    pub bits_share: Option<f64>,
    /// Its share of the flips there, over all rates.
    pub flips_share: Option<f64>,
    /// The comparison that shows it against each other part, at the lowest rate where it does.
    pub over: Vec<Rivalry>,
    /// About how many more chips would decide; none where it is decided, or no rate tells the parts apart.
    pub more_chips: Option<u64>,
}

/// The part that breaks first, for every model, data set, error model and protection with at least two parts that may be compared.
pub(crate) fn firsts(cells: &[CellLine], chips: &AllChips) -> Vec<First> {
    let mut panels: BTreeMap<[&str; 4], Vec<&CellLine>> = BTreeMap::new();
    for cell in
        cells.iter().filter(|cell| cell.ber.is_some_and(|ber| ber > 0.0) && cell.reference().is_some())
    {
        let key = [&cell.model, &cell.data, &cell.error_model, &cell.protection];
        panels.entry(key.map(String::as_str)).or_default().push(cell);
    }
    panels.values().filter_map(|cells| First::of(cells, chips)).collect()
}

impl First {
    fn of(cells: &[&CellLine], chips: &AllChips) -> Option<Self> {
        let mut targets: Vec<&str> = cells.iter().map(|cell| cell.target.as_str()).collect();
        targets.sort_unstable();
        targets.dedup();
        let parts = outermost(&targets);
        let mut all = Vec::new();
        for (place, first) in parts.iter().enumerate() {
            for second in parts[place + 1..].iter().filter(|second| are_rivals(first, second)) {
                all.extend(compared(cells, chips, [first, second]));
            }
        }
        if all.is_empty() {
            return None;
        }
        let p_values: Vec<f64> = all.iter().map(|one| one.1).collect();
        for (one, grade) in all.iter_mut().zip(grades(&p_values)) {
            one.0.grade = grade;
        }
        let rivalries: Vec<Rivalry> = all.into_iter().map(|one| one.0).collect();
        let sample = cells[0];
        let mut first = Self {
            model: sample.model.clone(),
            data: sample.data.clone(),
            error_model: sample.error_model.clone(),
            protection: sample.protection.clone(),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            part: None,
            grade: Grade::NotShown,
            bits_share: None,
            flips_share: None,
            over: Vec::new(),
            more_chips: None,
        };
        for grade in [Grade::Shown, Grade::Likely] {
            let won = parts.iter().find_map(|part| Some((part, wins(part, &parts, &rivalries, grade)?)));
            if let Some((part, over)) = won {
                (first.part, first.grade, first.over) = (Some((*part).to_owned()), grade, over);
                break;
            }
        }
        if let Some(part) = &first.part {
            (first.bits_share, first.flips_share) = shares(part, cells);
        }
        if first.grade != Grade::Shown {
            first.more_chips = more_chips(&rivalries);
        }
        Some(first)
    }

    /// Whether it is about the parts of this panel.
    pub fn is_of(&self, panel: &Panel) -> bool {
        (&self.model, &self.data, &self.error_model, &self.protection)
            == (&panel.model, &panel.data, &panel.error_model, &panel.protection)
    }

    /// Its share of bits and flips, in words.
    pub fn shares_in_words(&self) -> String {
        match (self.bits_share, self.flips_share) {
            (Some(bits), Some(flips)) => format!(
                "{} of the bits, {} of the bit errors",
                share_of_few(Some(bits)),
                share_of_few(Some(flips))
            ),
            (Some(bits), None) => format!("{} of the bits", share_of_few(Some(bits))),
            _ => String::new(),
        }
    }
}

impl Rivalry {
    /// The result of the comparison, in words: "at 1e-4, 21 of 30 chips lose more than 0.05 with errors there alone, 0 with errors in …".
    pub fn in_words(&self, severe: f64) -> String {
        let at = rate(self.ber);
        if self.worse_alone + self.better_alone == 0 {
            let mean = self.difference.map_or_else(String::new, |by| format!("{by:.4}"));
            return format!(
                "at {at} it loses {mean} more on average than {}",
                crate::part::thing(&self.better)
            );
        }
        format!(
            "at {at}, {} of {} chips lose more than {severe} through errors there and not through errors in {}, {} the other way round",
            self.worse_alone,
            self.n,
            crate::part::thing(&self.better),
            self.better_alone
        )
    }
}

/// A share that may be small, to two digits.
fn share_of_few(value: Option<f64>) -> String {
    match value {
        Some(value) if value > 0.0 && value < 0.0005 => format!("{} %", rate(100.0 * value)),
        value => share(value),
    }
}

/// Two parts compared at each rate that both have, with the p-value of the better one being no better.
fn compared(cells: &[&CellLine], chips: &AllChips, parts: [&str; 2]) -> Vec<(Rivalry, f64)> {
    let own = |part: &str| -> Vec<&&CellLine> { cells.iter().filter(|cell| cell.target == part).collect() };
    let [firsts, seconds] = parts.map(own);
    let mut found = Vec::new();
    for first in firsts {
        let Some(second) = seconds.iter().find(|second| second.ber == first.ber) else { continue };
        let (Some(a), Some(b), Some(ber)) = (chips.get(&first.key()), chips.get(&second.key()), first.ber)
        else {
            continue;
        };
        let pair = Compared::of(a, b);
        if pair.difference.n == 0 {
            continue;
        }
        let (side, p) = pair.better();
        let [alone_first, alone_second] = pair.severe_alone;
        let (mean, interval) = (pair.difference.mean, pair.difference.mean_interval);
        let ends = [interval.map(|of| of.low), interval.map(|of| of.high)];
        // The difference of scores is that of losses with its sign turned.
        let (worse, better, alone, difference, ends) = match side {
            Side::First => (parts[1], parts[0], [alone_second, alone_first], mean, ends),
            Side::Second => {
                let turned = |value: Option<f64>| value.map(|value| -value);
                let alone = [alone_first, alone_second];
                (parts[0], parts[1], alone, turned(mean), [turned(ends[1]), turned(ends[0])])
            }
        };
        let rivalry = Rivalry {
            worse: worse.to_owned(),
            better: better.to_owned(),
            ber,
            n: pair.difference.n,
            worse_alone: alone[0],
            better_alone: alone[1],
            difference,
            low: ends[0],
            high: ends[1],
            grade: Grade::NotShown,
        };
        found.push((rivalry, p));
    }
    found.sort_by(|a, b| a.0.ber.total_cmp(&b.0.ber));
    found
}

/// The comparisons by which a part loses more than every other, each at the lowest rate where any of the two is shown to lose more.
fn wins(part: &str, parts: &[&str], rivalries: &[Rivalry], grade: Grade) -> Option<Vec<Rivalry>> {
    let over = |other: &&str| {
        let pair = |one: &&Rivalry| {
            (one.worse == part && one.better == **other) || (one.worse == **other && one.better == part)
        };
        let lowest = rivalries.iter().filter(pair).find(|one| one.grade <= grade)?;
        (lowest.worse == part).then(|| lowest.clone())
    };
    let others: Vec<&&str> = parts.iter().filter(|other| **other != part).collect();
    let won: Vec<Rivalry> = others.iter().filter_map(|other| over(other)).collect();
    (!won.is_empty() && won.len() == others.len()).then_some(won)
}

/// A part's share of the exposed bits and of the flips of the widest target.
fn shares(part: &str, cells: &[&CellLine]) -> (Option<f64>, Option<f64>) {
    let widest = cells.iter().max_by_key(|cell| cell.exposed_bits).map(|cell| cell.target.as_str());
    let own =
        |target: &str| -> Vec<&&CellLine> { cells.iter().filter(|cell| cell.target == target).collect() };
    let Some(widest) = widest.filter(|widest| crate::part::holds(widest, part)) else { return (None, None) };
    let (some, all) = (own(part), own(widest));
    let bits = |cells: &[&&CellLine]| cells.first().map(|cell| cell.exposed_bits as f64);
    let flips = |cells: &[&&CellLine]| {
        let sum: f64 = cells.iter().filter_map(|cell| Some(cell.flips_mean? * cell.n as f64)).sum();
        Some(sum).filter(|sum| *sum > 0.0)
    };
    let over = |a: Option<f64>, b: Option<f64>| a.zip(b).filter(|(_, all)| *all > 0.0).map(|(a, b)| a / b);
    (over(bits(&some), bits(&all)), over(flips(&some), flips(&all)))
}

/// About how many more chips would tell two parts apart by the chips that lose more than the severe bound in one alone, at the rate
/// where the fewest would do.
fn more_chips(rivalries: &[Rivalry]) -> Option<u64> {
    let tests = rivalries.len() as f64;
    rivalries
        .iter()
        .filter_map(|one| {
            let lead = one.worse_alone.checked_sub(one.better_alone).filter(|lead| *lead > 0)? as f64;
            let alone = (one.worse_alone + one.better_alone) as f64;
            // z standard deviations of the difference of two counts, z² = 2·ln(1/p), p = RISK/4 over all tests.
            let z_squared = 2.0 * (4.0 * tests / crate::chips::RISK).ln();
            let times = z_squared * alone / (lead * lead);
            let needed = (times * one.n as f64).ceil() as u64;
            Some(needed.saturating_sub(one.n).max(1))
        })
        .min()
}
