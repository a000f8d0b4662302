//! The chips of cells, chip by chip, for everything that compares two cells on the same chips.

use std::collections::BTreeMap;

use radhard_metrics::tail::{BAD, SEVERE};
use radhard_metrics::{ByChip, PairedDifference, betting_interval, holm, paired_by_chip, paired_event_p};
use radhard_records::{Cell, CellId, CellKey, RecordsError, Store};

/// The level at which statements are shown, after Holm's adjustment over all that they compare.
pub(crate) const RISK: f64 = 0.05;

/// One chip of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chip {
    /// Its number.
    pub(crate) number: u64,
    /// Its score; none where undefined.
    pub(crate) score: Option<f64>,
    /// Whether it has no flip and the golden score.
    pub(crate) known: bool,
}

/// The chips of one cell in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CellChips {
    /// The golden score of the cell's own protection.
    pub(crate) golden: Option<f64>,
    /// The golden score that losses are taken against.
    pub(crate) reference: Option<f64>,
    /// Exact probability of a chip without a flip; 0 where it has no closed form.
    pub(crate) p_no_flip: f64,
    /// Bits that can be hit.
    pub(crate) exposed_bits: u64,
    /// The chips.
    pub(crate) chips: Vec<Chip>,
}

/// The chips of every cell.
pub(crate) type AllChips = BTreeMap<CellKey, CellChips>;

impl CellChips {
    /// Of a recorded cell.
    pub(crate) fn of(
        store: &Store,
        id: CellId,
        cell: &Cell,
        reference: Option<f64>,
    ) -> Result<Self, RecordsError> {
        let golden = store.golden(&cell.key.subject()).and_then(|golden| golden.scores.auc);
        let mut chips = Vec::new();
        store.each_trial(id, |trial| {
            let score = trial.scores.auc;
            let known = trial.flips == 0 && golden.is_some() && score == golden;
            chips.push(Chip { number: trial.chip, score, known });
            Ok::<_, RecordsError>(())
        })?;
        chips.sort_unstable_by_key(|chip| chip.number);
        let p_no_flip = golden.and(cell.p_no_flip).unwrap_or(0.0);
        Ok(Self {
            golden,
            reference: reference.or(golden),
            p_no_flip,
            exposed_bits: cell.exposed_bits,
            chips,
        })
    }

    /// Losses of the chips with flips; none where one is undefined.
    fn losses_with_flips(&self) -> Option<Vec<f64>> {
        let reference = self.reference?;
        self.chips.iter().filter(|chip| !chip.known).map(|chip| Some(reference - chip.score?)).collect()
    }

    /// Standard deviation of the losses of the chips with flips; 0 below two.
    pub(crate) fn sd_with_flips(&self) -> f64 {
        let losses = self.losses_with_flips().unwrap_or_default();
        if losses.len() < 2 {
            return 0.0;
        }
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        (losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// The interval of the mean loss at any level, valid at every n.
    pub(crate) fn mean_loss(&self, level: f64) -> Option<[f64; 2]> {
        let (reference, golden) = (self.reference?, self.golden?);
        let mut scores: Vec<f64> = Vec::with_capacity(self.chips.len());
        for chip in &self.chips {
            // Known chips join the draws in order where their share has no closed form.
            if !chip.known || self.p_no_flip == 0.0 {
                scores.push(chip.score?);
            }
        }
        let inner = betting_interval(&scores, [0.0, 1.0], level).map_or([0.0, 1.0], |of| [of.low, of.high]);
        let [low, high] = inner.map(|auc| self.p_no_flip * golden + (1.0 - self.p_no_flip) * auc);
        Some([reference - high, reference - low])
    }

    /// Chips with flips, those among them that lose more than `bound`, chips without, and whether these lose more.
    pub(crate) fn beyond(&self, bound: f64) -> Option<(u64, u64, u64, bool)> {
        let losses = self.losses_with_flips()?;
        let known = self.chips.len() - losses.len();
        let of_known = self.reference? - self.golden?;
        let count = losses.iter().filter(|loss| **loss > bound).count();
        Some((count as u64, losses.len() as u64, known as u64, of_known > bound))
    }

    /// The losses of all chips in rising order; none where one is undefined.
    pub(crate) fn sorted_losses(&self) -> Option<Vec<f64>> {
        let reference = self.reference?;
        let mut losses: Vec<f64> =
            self.chips.iter().map(|chip| Some(reference - chip.score?)).collect::<Option<_>>()?;
        losses.sort_unstable_by(f64::total_cmp);
        Some(losses)
    }
}

/// Two cells compared on the same chips, the first less the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compared {
    /// The mean difference of the score.
    pub(crate) difference: PairedDifference,
    /// Chips that lose more than the severe bound in the first cell alone, and in the second alone.
    pub(crate) severe_alone: [u64; 2],
    /// The same for the bad bound.
    pub(crate) bad_alone: [u64; 2],
}

impl Compared {
    /// Compares two cells of the same model.
    pub(crate) fn of(first: &CellChips, second: &CellChips) -> Self {
        // Exposed bits of equal number and probability are the same bits: then a chip is known in both cells or in neither.
        let same_bits = first.exposed_bits == second.exposed_bits
            && first.p_no_flip.to_bits() == second.p_no_flip.to_bits();
        let goldens = first.golden.zip(second.golden);
        let p_both = if same_bits && goldens.is_some() { first.p_no_flip } else { 0.0 };
        let listed = |cell: &CellChips| -> Vec<(u64, Option<f64>)> {
            let score = |chip: &Chip| {
                let known = chip.known && p_both > 0.0;
                (chip.number, if known { None } else { Some(chip.score.unwrap_or(f64::NAN)) })
            };
            cell.chips.iter().map(score).collect()
        };
        let lists = [first, second].map(listed);
        let (a, b) = goldens.unwrap_or((0.0, 0.0));
        let difference = paired_by_chip(
            p_both,
            ByChip { golden: a, chips: &lists[0] },
            ByChip { golden: b, chips: &lists[1] },
        );
        let alone = |bound: f64| {
            let mut alone = [0, 0];
            let (Some(one), Some(other)) = (first.reference, second.reference) else { return alone };
            let mut others = second.chips.iter().peekable();
            for chip in &first.chips {
                while others.next_if(|other| other.number < chip.number).is_some() {}
                let Some(pair) = others.next_if(|other| other.number == chip.number) else { continue };
                let (Some(a), Some(b)) = (chip.score, pair.score) else { continue };
                match (one - a > bound, other - b > bound) {
                    (true, false) => alone[0] += 1,
                    (false, true) => alone[1] += 1,
                    _ => {}
                }
            }
            alone
        };
        Self { difference, severe_alone: alone(SEVERE), bad_alone: alone(BAD) }
    }

    /// The two-sided p-value of a mean difference of 0.
    pub(crate) fn p_mean(&self) -> f64 {
        let [above, below] = self.difference.p_values;
        capped(2.0 * if above < below { above } else { below })
    }

    /// p-values of "the first cell is no better", and of "the second is no better": of the mean score and of severe chips the smaller one,
    /// for both statistics and both sides.
    pub(crate) fn p_better(&self) -> [f64; 2] {
        let [first, second] = self.severe_alone;
        // The first is better where more chips are severe in the second.
        let events = [paired_event_p(second, first), paired_event_p(first, second)];
        let of = |side: usize| {
            let (mean, event) = (self.difference.p_values[side], events[side]);
            capped(4.0 * if mean < event { mean } else { event })
        };
        [of(0), of(1)]
    }

    /// Which of the two is the better one, at a p-value for either.
    pub(crate) fn better(&self) -> (Side, f64) {
        let [first, second] = self.p_better();
        if first <= second { (Side::First, first) } else { (Side::Second, second) }
    }
}

fn capped(p: f64) -> f64 {
    if p < 1.0 { p } else { 1.0 }
}

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The first.
    First,
    /// The second.
    Second,
}

/// How sure a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Grade {
    /// Holds after adjustment for all that was compared.
    #[serde(rename = "shown")]
    Shown,
    /// Holds in a single test, but not after the adjustment; or rests on something that was not checked.
    #[serde(rename = "likely")]
    Likely,
    /// Neither.
    #[serde(rename = "not shown")]
    NotShown,
}

impl Grade {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Likely => "likely",
            Self::NotShown => "not shown",
        }
    }
}

/// Grades of statements that are made together, from their p-values.
pub(crate) fn grades(p_values: &[f64]) -> Vec<Grade> {
    let grade = |(adjusted, p): (f64, &f64)| match (adjusted <= RISK, *p <= RISK) {
        (true, _) => Grade::Shown,
        (false, true) => Grade::Likely,
        _ => Grade::NotShown,
    };
    holm(p_values).into_iter().zip(p_values).map(grade).collect()
}
