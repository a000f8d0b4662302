//! What protections win back on the same chips, and what they cost.

use std::collections::{BTreeMap, BTreeSet};

use radhard_metrics::{holm, zero_event_bound};
use radhard_records::{Cell, CellKey, ProtectionCost, RecordsError, Store, Trial};
use serde::Serialize;

use crate::advice::Advice;
use crate::chips::{AllChips, Compared, RISK};
use crate::drawing::{Anchor, Drawing, Ink, Shape, Stroke};
use crate::noticing::Noticing;
use crate::quantity::{UNDEFINED, count, loss, rate, whole};

/// What one protection wins in one cell, against the unprotected cell on the same chips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// What is hit.
    pub target: String,
    /// How bits go wrong.
    pub error_model: String,
    /// Bit error rate; none where the error model has none.
    pub ber: Option<f64>,
    /// Chips of both cells.
    pub n: u64,
    /// Mean difference of AUC, protected less unprotected.
    pub gain: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Whether its sign holds after Holm's adjustment over all protections and targets at this rate.
    pub shown: bool,
    /// The p-value of no difference, before the adjustment.
    #[serde(skip)]
    pub p_value: f64,
    /// What was noticed on the protected chips.
    pub noticed: Noticing,
}

/// One protection of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Benefit {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// The protection.
    pub protection: String,
    /// Its gains, cell by cell.
    pub gains: Vec<Gain>,
    /// Their mean over the cells.
    pub mean_gain: Option<f64>,
    /// What it keeps, as a share of the model's bits; none where no cost was recorded.
    pub memory_share: Option<f64>,
    /// The same in bits per parameter.
    pub memory_bits_per_parameter: Option<f64>,
    /// Operations more per scored row.
    pub operations_per_sample: Option<f64>,
    /// Clean rows passed to take bounds.
    pub calibration_rows: Option<u64>,
    /// Checks made on clean data.
    pub checks: Option<u64>,
    /// How many of a million of these fired; none where none was made.
    pub false_alarms_per_million: Option<f64>,
    /// Median time of a protected pass over that of an unprotected one; none where not measured.
    pub time: Option<f64>,
    /// Smallest and largest of these.
    pub time_range: Option<[f64; 2]>,
    /// What it changes of the fault-free AUC.
    pub golden_change: Option<f64>,
    /// Whether it shields bits by decree, as nothing that can be bought does: an upper bound.
    pub ideal: bool,
    /// Whether it is shown to help at the rate of the advice, and no other one that can be built is as good for less.
    pub on_front: bool,
    /// What is taken as safe.
    pub assumptions: String,
}

/// Every protection's benefit over several campaigns on the same chips; empty where nothing protects.
pub(crate) fn benefits(stores: &[&Store], chips: &AllChips) -> Result<Vec<Benefit>, RecordsError> {
    let mut benefits: Vec<Benefit> = Vec::new();
    let mut seen: BTreeSet<&CellKey> = BTreeSet::new();
    for store in stores {
        for (id, cell) in store.cells() {
            let CellKey { model, data, protection, .. } = &cell.key;
            if protection == "none" || !seen.insert(&cell.key) {
                continue;
            }
            let bare = CellKey { protection: "none".to_owned(), ..cell.key.clone() };
            let mut others = stores.iter().filter_map(|store| Some((store, store.cell_id(&bare)?)));
            let Some((other, bare)) = others.next() else { continue };
            let Some(pair) = chips.get(&cell.key).zip(other.cell(bare).and_then(|bare| chips.get(&bare.key)))
            else {
                continue;
            };
            let pair = Compared::of(pair.0, pair.1);
            let gain = gain(cell, &pair, &store.trials(id)?, &other.trials(bare)?);
            let found = benefits
                .iter()
                .position(|one| (&one.model, &one.data, &one.protection) == (model, data, protection));
            let place = found.unwrap_or_else(|| {
                benefits.push(Benefit::of(stores, &cell.key));
                benefits.len() - 1
            });
            benefits[place].gains.push(gain);
        }
    }
    mark_shown(&mut benefits);
    for benefit in &mut benefits {
        let gains: Vec<f64> = benefit.gains.iter().filter_map(|gain| gain.gain).collect();
        benefit.mean_gain = (!gains.is_empty()).then(|| gains.iter().sum::<f64>() / gains.len() as f64);
        benefit.gains.sort_by(|a, b| {
            (&a.target, &a.error_model)
                .cmp(&(&b.target, &b.error_model))
                .then(a.ber.unwrap_or(0.0).total_cmp(&b.ber.unwrap_or(0.0)))
        });
    }
    benefits.sort_by(|a, b| {
        (&a.model, &a.data).cmp(&(&b.model, &b.data)).then(
            b.mean_gain.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.mean_gain.unwrap_or(f64::NEG_INFINITY)),
        )
    });
    Ok(benefits)
}

/// Marks the gains whose sign holds among all at the same rate of the same model.
fn mark_shown(benefits: &mut [Benefit]) {
    let mut families: BTreeMap<(String, String, String, u64), Vec<&mut Gain>> = BTreeMap::new();
    for Benefit { model, data, gains, .. } in benefits {
        for gain in gains {
            let rate = gain.ber.map_or(u64::MAX, f64::to_bits);
            let family = (model.clone(), data.clone(), gain.error_model.clone(), rate);
            families.entry(family).or_default().push(gain);
        }
    }
    for gains in families.values_mut() {
        let p_values: Vec<f64> = gains.iter().map(|gain| gain.p_value).collect();
        for (gain, adjusted) in gains.iter_mut().zip(holm(&p_values)) {
            gain.shown = adjusted <= RISK;
        }
    }
}

fn gain(cell: &Cell, pair: &Compared, with: &[Trial], without: &[Trial]) -> Gain {
    let noticed = Noticing::of(&cell.key.protection, with, without);
    let difference = &pair.difference;
    let CellKey { target, error_model, ber, .. } = &cell.key;
    Gain {
        target: target.clone(),
        error_model: error_model.clone(),
        ber: *ber,
        n: difference.n,
        gain: difference.mean,
        low: difference.mean_interval.map(|interval| interval.low),
        high: difference.mean_interval.map(|interval| interval.high),
        shown: false,
        p_value: pair.p_mean(),
        noticed,
    }
}

impl Benefit {
    fn of(stores: &[&Store], key: &CellKey) -> Self {
        let subject = key.subject();
        let cost: Option<&ProtectionCost> = stores.iter().find_map(|store| store.protection(&subject));
        let golden_run = |protection: &str| {
            let subject = CellKey { protection: protection.to_owned(), ..key.clone() }.subject();
            stores.iter().find_map(|store| store.golden(&subject))
        };
        let golden = |protection: &str| golden_run(protection)?.scores.auc;
        let time = cost.and_then(|cost| cost.time);
        let parameters = golden_run("none").map(|golden| golden.parameters as f64);
        Self {
            model: key.model.clone(),
            data: key.data.clone(),
            protection: key.protection.clone(),
            gains: Vec::new(),
            mean_gain: None,
            memory_share: cost.map(|cost| cost.memory_share),
            memory_bits_per_parameter: cost.zip(parameters).map(|(cost, all)| cost.memory_bits as f64 / all),
            operations_per_sample: cost.map(|cost| cost.operations_per_sample),
            calibration_rows: cost.map(|cost| cost.calibration_rows),
            checks: cost.map(|cost| cost.checks),
            false_alarms_per_million: cost.and_then(|cost| cost.false_alarms_per_million),
            time: time.map(|time| time.median),
            time_range: time.map(|time| [time.low, time.high]),
            golden_change: golden(&key.protection).zip(golden("none")).map(|(with, without)| with - without),
            ideal: is_ideal(&key.protection),
            on_front: false,
            assumptions: cost.map_or_else(String::new, |cost| cost.assumptions.clone()),
        }
    }

    /// ◆ on the front, ○ for a bound that nothing reaches.
    pub fn mark(&self) -> &'static str {
        match (self.on_front, self.ideal) {
            (true, _) => "◆",
            (false, true) => "○",
            (false, false) => " ",
        }
    }

    /// The gain in the cell of a target and rate, in words.
    pub fn gain_in_words(gain: &Gain) -> String {
        match (gain.gain, gain.low, gain.high) {
            (Some(_), Some(low), Some(high)) => {
                format!("{} [{}, {}]", loss(gain.gain), loss(Some(low)), loss(Some(high)))
            }
            _ => loss(gain.gain),
        }
    }

    /// The gain in the cell that the advice is about.
    pub(crate) fn gain_at(&self, advice: &Advice) -> Option<&Gain> {
        self.gains.iter().find(|gain| {
            (&gain.target, &gain.error_model) == (&advice.target, &advice.error_model)
                && gain.ber == Some(advice.at)
        })
    }

    /// What it keeps, in words.
    pub fn memory_in_words(&self) -> String {
        self.memory_share.map_or_else(
            || UNDEFINED.to_owned(),
            |share| if share == 0.0 { "0".to_owned() } else { format!("{:.2} %", 100.0 * share) },
        )
    }

    /// The same in bits per parameter.
    pub fn bits_in_words(&self) -> String {
        count(self.memory_bits_per_parameter)
    }

    /// What was passed to take bounds, in words.
    pub fn calibration_in_words(&self) -> String {
        self.calibration_rows
            .map_or_else(|| UNDEFINED.to_owned(), |rows| if rows == 0 { "0".to_owned() } else { whole(rows) })
    }

    /// False alarms per million checks of clean data, with what none at all still allows, in words.
    pub fn alarms_in_words(&self) -> String {
        match (self.false_alarms_per_million, self.checks) {
            (Some(0.0), Some(checks)) => {
                let most = zero_event_bound(checks, 0.95).map(|bound| 1e6 * bound.high);
                format!("0 (≤ {}) of {}", count(most), whole(checks))
            }
            (Some(alarms), Some(checks)) => format!("{} of {}", count(Some(alarms)), whole(checks)),
            _ => UNDEFINED.to_owned(),
        }
    }

    /// The same, short.
    pub fn alarms_per_million(&self) -> String {
        match (self.false_alarms_per_million, self.checks) {
            (Some(0.0), Some(checks)) => {
                let most = zero_event_bound(checks, 0.95).map(|bound| 1e6 * bound.high);
                format!("0 (≤ {})", count(most))
            }
            (alarms, _) => count(alarms),
        }
    }

    /// What it takes in time, in words.
    pub fn time_in_words(&self) -> String {
        match (self.time, self.time_range) {
            (Some(time), Some([low, high])) => format!("{time:.2} [{low:.2}, {high:.2}]"),
            _ => UNDEFINED.to_owned(),
        }
    }
}

/// Whether a protection shields bits by decree, without anything that could be built.
pub(crate) fn is_ideal(protection: &str) -> bool {
    protection.split('+').any(|one| one == "sbp" || one.starts_with("sbp:") || one.starts_with("sbp@"))
}

/// The columns of gains: every target, error model and rate that any protection has, in order.
pub fn columns(benefits: &[&Benefit]) -> Vec<(String, String, Option<f64>)> {
    let mut columns: Vec<(String, String, Option<f64>)> = benefits
        .iter()
        .flat_map(|benefit| &benefit.gains)
        .map(|gain| (gain.target.clone(), gain.error_model.clone(), gain.ber))
        .collect();
    columns.sort_by(|a, b| {
        (&a.0, &a.1).cmp(&(&b.0, &b.1)).then(a.2.unwrap_or(0.0).total_cmp(&b.2.unwrap_or(0.0)))
    });
    columns.dedup();
    columns
}

/// The head of a column of gains.
pub fn head((target, error_model, ber): &(String, String, Option<f64>)) -> String {
    let at = ber.map_or_else(String::new, |ber| format!(" {}", rate(ber)));
    if error_model == "flips" { format!("{target}{at}") } else { format!("{target} {error_model}{at}") }
}

/// Where the number of each point stands: beside it, or lower or farther right where it would cover another number.
fn labels(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut taken: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for (x, y) in points {
        let free = |at: &(f64, f64)| {
            !taken.iter().any(|other| (at.0 - other.0).abs() < 15.0 && (at.1 - other.1).abs() < 9.0)
        };
        let places = (0..8).flat_map(|right| {
            [0.0, 5.0, -5.0].map(|down| (x + 6.0 + 15.0 * f64::from(right), y + 3.0 + down))
        });
        let at = places.into_iter().find(free).unwrap_or((x + 6.0, y + 3.0));
        taken.push(at);
    }
    taken
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 270.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 48.0;

/// The gain of each protection of one model at the rate of the advice against the memory that it keeps, the front marked by a line.
pub fn front(benefits: &[&Benefit], advice: &Advice) -> Option<Drawing> {
    let points: Vec<(&Benefit, f64, f64)> = benefits
        .iter()
        .filter_map(|benefit| Some((*benefit, benefit.memory_share?, benefit.gain_at(advice)?.gain?)))
        .collect();
    let (first, ..) = points.first()?;
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0_f64, |a, b| if b > a { b } else { a });
    let widest = most(&mut points.iter().map(|point| point.1)).max(0.01) * 1.05;
    let highest = most(&mut points.iter().map(|point| point.2)).max(0.001) * 1.1;
    let lowest = points.iter().fold(0.0_f64, |low, point| if point.2 < low { point.2 } else { low });
    // The root spreads what costs little.
    let x = |share: f64| LEFT + 10.0 + (share / widest).sqrt() * (RIGHT - LEFT - 20.0);
    let y = |gain: f64| BOTTOM - (gain - lowest) / (highest - lowest) * (BOTTOM - TOP);
    let text = |at, text: &str, size, anchor, ink, bold| Shape::Text {
        at,
        text: text.to_owned(),
        size,
        anchor,
        ink,
        bold,
        upwards: false,
    };
    let title = format!(
        "{} on {}: gain of AUC at {}, errors {}",
        first.model,
        first.data,
        rate(advice.at),
        crate::part::place(&advice.target)
    );
    let line = |points, ink, width, stroke| Shape::Line { points, ink, width, stroke };
    let mut shapes = vec![text((LEFT, 24.0), &title, 16, Anchor::Start, Ink::Text, true)];
    shapes.push(line(vec![(LEFT, BOTTOM), (RIGHT, BOTTOM)], Ink::Axis, 1.0, Stroke::Solid));
    shapes.push(line(vec![(LEFT, y(0.0)), (RIGHT, y(0.0))], Ink::Guess, 1.0, Stroke::Dotted));
    for gain in [lowest, 0.0, highest / 2.2, highest / 1.1] {
        shapes.push(text((LEFT - 8.0, y(gain) + 4.0), &loss(Some(gain)), 11, Anchor::End, Ink::Muted, false));
    }
    for share in [0.0, 0.01, 0.125, 0.5, 1.0, 2.0].into_iter().filter(|share| *share <= widest) {
        let name = format!("{} %", 100.0 * share);
        shapes.push(text((x(share), BOTTOM + 17.0), &name, 11, Anchor::Middle, Ink::Muted, false));
    }
    let label = "memory kept, share of the model's bits (root scale)";
    shapes.push(text(
        (f64::midpoint(LEFT, RIGHT), BOTTOM + 38.0),
        label,
        12,
        Anchor::Middle,
        Ink::Muted,
        false,
    ));
    let mut on_front: Vec<(f64, f64)> =
        points.iter().filter(|point| point.0.on_front).map(|point| (x(point.1), y(point.2))).collect();
    on_front.sort_by(|a, b| a.0.total_cmp(&b.0));
    if on_front.len() > 1 {
        shapes.push(line(on_front, Ink::Golden, 1.5, Stroke::Dashed));
    }
    let labels = labels(&points.iter().map(|point| (x(point.1), y(point.2))).collect::<Vec<_>>());
    for (place, (benefit, share, gain)) in points.iter().enumerate() {
        let at = (x(*share), y(*gain));
        shapes.push(Shape::Mark { at, corners: Vec::new(), ink: Ink::Series(place) });
        // Names stand in a column of their own: points lie close where little is kept.
        let row = TOP + 8.0 + 17.0 * place as f64;
        let mark = benefit.mark();
        let name = format!("{mark} {} {}", benefit.protection, loss(Some(*gain)));
        let number = (place + 1).to_string();
        shapes.push(text(labels[place], &number, 10, Anchor::Start, Ink::Muted, false));
        shapes.push(text((RIGHT + 32.0, row), &number, 12, Anchor::End, Ink::Muted, false));
        shapes.push(text((RIGHT + 38.0, row), &name, 12, Anchor::Start, Ink::Text, benefit.on_front));
    }
    Some(Drawing {
        width: WIDTH,
        height: HEIGHT.max(TOP + 17.0 * points.len() as f64 + 16.0),
        title,
        description: format!(
            "Mean gain on the same chips at one rate; worth their cost (◆): {}. The table of protections holds the values.",
            points
                .iter()
                .filter(|point| point.0.on_front)
                .map(|point| point.0.protection.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
        shapes,
    })
}
