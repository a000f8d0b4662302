//! What a campaign found: one line a cell, and the curves they form.

use std::collections::BTreeMap;

use radhard_metrics::{Interval, Proportion};
use radhard_records::export::method;
use radhard_records::{CellKey, CellRecord, Golden, RecordsError, Store, SubjectKey};
use serde::Serialize;

use crate::advice::{Advice, UnknownRate, advices, rates, same_rate};
use crate::benefit::{Benefit, benefits};
use crate::boxes::{DecisionBox, boxes};
use crate::chips::{AllChips, CellChips};
use crate::deviation::Deviation;
use crate::finding::{Finding, findings};
use crate::panel::{Panel, panels};
use crate::prediction::Verdict;
use crate::progress::Progress;
use crate::rival::{First, firsts};

/// Everything that reports show, worked out from records once.
///
/// Serialised, it is the JSON of `report --json` (docs/formats/export.md).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The three questions that a reader comes with, each with its answer and how sure that is.
    pub boxes: Vec<DecisionBox>,
    /// How much of the plan is recorded.
    #[serde(flatten)]
    pub progress: Progress,
    /// Lower end of the 95 % interval of the leading model's fault-free AUC over the choice of rows.
    pub golden_ci_low: Option<f64>,
    /// Upper end of it.
    pub golden_ci_high: Option<f64>,
    /// The score that cells are about.
    pub metric: &'static str,
    /// Whether a higher or a lower score is better.
    pub better: &'static str,
    /// One line a cell, in the order of every export.
    pub cells: Vec<CellLine>,
    /// Between which rates mean losses exceed their bounds.
    pub findings: Vec<Finding>,
    /// Which parts break first.
    pub firsts: Vec<First>,
    /// Advice on protections of the leading model.
    pub advice: Option<Advice>,
    /// The same for every model with protections.
    pub advices: Vec<Advice>,
    /// Curves over rates, grouped by what shares a chart.
    pub panels: Vec<Panel>,
    /// Gains of protections on the same chips, and their costs, the best first.
    pub protections: Vec<Benefit>,
    /// One line a golden run.
    pub goldens: Vec<GoldenLine>,
    /// The plan as written.
    pub plan: String,
    /// What must not change while the campaign is continued.
    pub identity: BTreeMap<String, String>,
    /// Seed of the chips.
    pub seed: u64,
    /// The day on which trials were recorded last, as in `2026-11-30`; none where clocks are left out.
    pub date: Option<String>,
    /// Version of the program that wrote last.
    pub version: String,
    /// Version of the random stream of the chips.
    pub stream_version: u32,
    /// Version of the numeric contract of the scores.
    pub numeric_contract: u32,
    /// Trials recorded.
    pub trials: u64,
    /// Trials among them on chips without a flip.
    pub known: u64,
    /// Whether it tells what a clock said.
    #[serde(skip)]
    pub timed: bool,
    /// Chip by chip, what everything above compares.
    #[serde(skip)]
    pub(crate) chips: AllChips,
}

/// One cell as reports show it; undefined is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellLine {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// What is hit.
    pub target: String,
    /// How bits go wrong.
    pub error_model: String,
    /// Bit error rate; none where the error model has none.
    pub ber: Option<f64>,
    /// What protects the model.
    pub protection: String,
    /// Seed of the chips.
    pub seed: u64,
    /// Chips recorded.
    pub n: u64,
    /// Chips among them without a flip.
    pub known: u64,
    /// AUC of the golden run under this protection.
    pub golden: Option<f64>,
    /// AUC of the unprotected golden run, which losses are taken against.
    pub unprotected: Option<f64>,
    /// Mean AUC over the chips.
    pub mean: Option<f64>,
    /// Mean AUC with chips without flips weighted by their exact probability.
    pub stratified_mean: Option<f64>,
    /// Standard deviation over the chips.
    pub sd: Option<f64>,
    /// Smallest AUC.
    pub min: Option<f64>,
    /// Largest AUC.
    pub max: Option<f64>,
    /// Median AUC.
    pub median: Option<f64>,
    /// First quartile of the AUC.
    pub quartile_1: Option<f64>,
    /// Third quartile.
    pub quartile_3: Option<f64>,
    /// Lower end of the 95 % interval of the mean.
    pub ci_low: Option<f64>,
    /// Upper end of it.
    pub ci_high: Option<f64>,
    /// How the interval was made.
    pub ci_method: Option<&'static str>,
    /// Unprotected golden AUC less the mean.
    pub loss: Option<f64>,
    /// 5 % quantile of the AUC over the chips.
    pub p05: Option<f64>,
    /// 95 % quantile of it.
    pub p95: Option<f64>,
    /// Lower end of the exact 95 % interval of the median; none below 6 chips.
    pub median_ci_low: Option<f64>,
    /// Upper end of it.
    pub median_ci_high: Option<f64>,
    /// The loss that 95 % of the chips stay within.
    pub loss_q95: Option<f64>,
    /// Lower end of its exact 95 % interval; none below 2 chips.
    pub loss_q95_ci_low: Option<f64>,
    /// Upper end of it; none below 72 chips.
    pub loss_q95_ci_high: Option<f64>,
    /// Share of chips that lose more than 0.001, exact in the share of chips without a flip.
    pub bad_share: Option<f64>,
    /// Lower end of its exact 95 % interval.
    pub bad_share_ci_low: Option<f64>,
    /// Upper end of it.
    pub bad_share_ci_high: Option<f64>,
    /// Share of chips that lose more than 0.05.
    pub severe_share: Option<f64>,
    /// Lower end of its exact 95 % interval.
    pub severe_share_ci_low: Option<f64>,
    /// Upper end of it.
    pub severe_share_ci_high: Option<f64>,
    /// Share of chips with any score that is not a number.
    pub non_finite_share: Option<f64>,
    /// Upper end of the 95 % interval of that share.
    pub non_finite_high: Option<f64>,
    /// Lower end of it.
    pub non_finite_ci_low: Option<f64>,
    /// Upper end of it.
    pub non_finite_ci_high: Option<f64>,
    /// Share of chips that keep less than a tenth of the advantage over random ranking.
    pub collapse: Option<f64>,
    /// Lower end of its exact 95 % interval.
    pub collapse_ci_low: Option<f64>,
    /// Upper end of it.
    pub collapse_ci_high: Option<f64>,
    /// Mean difference from the unprotected cell on the same chips; of protected cells.
    pub gain: Option<f64>,
    /// Lower end of its 95 % interval.
    pub gain_ci_low: Option<f64>,
    /// Upper end of it.
    pub gain_ci_high: Option<f64>,
    /// Whether the sign of the gain holds among all gains at this rate.
    pub gain_shown: Option<bool>,
    /// Share of chips whose AUC loss is critical.
    pub critical_share: Option<f64>,
    /// Distance of the outputs from golden.
    #[serde(flatten)]
    pub deviation: Deviation,
    /// Mean flips over the chips.
    pub flips_mean: Option<f64>,
    /// Bits that can be hit.
    pub exposed_bits: u64,
    /// Exact probability that a chip has no flip.
    pub p_no_flip: Option<f64>,
    /// Mean AUC that theory predicts.
    pub predicted: Option<f64>,
    /// Lower end of the band of the prediction; none where it has none.
    pub predicted_low: Option<f64>,
    /// Upper end of it.
    pub predicted_high: Option<f64>,
    /// Whether the prediction holds against what was measured.
    pub prediction_verdict: Option<Verdict>,
    /// `exact` or `approximate`.
    pub prediction: Option<String>,
    /// The law behind the prediction, and what it leaves out.
    pub prediction_note: Option<String>,
    /// Whether the data were made up in the shape of the set they are named after.
    pub stand_in: bool,
}

/// One golden run as reports show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoldenLine {
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub data: String,
    /// What protects the model.
    pub protection: String,
    /// AUC of the run.
    pub auc: Option<f64>,
    /// Lower end of its 95 % interval over the choice of rows (DeLong); none where it was not recorded.
    pub golden_ci_low: Option<f64>,
    /// Upper end of it.
    pub golden_ci_high: Option<f64>,
    /// AUC of a trivial model on the same rows; none where it was not recorded.
    pub baseline: Option<f64>,
    /// Its mean log loss in nats.
    pub log_loss: Option<f64>,
    /// Rows scored.
    pub rows: u64,
    /// Rows among them with label 1.
    pub positives: u64,
    /// Which rows are scored.
    pub split: String,
    /// Number of the model's parameters.
    pub parameters: u64,
    /// Whether the data were made up in the shape of the set they are named after.
    pub stand_in: bool,
    /// SHA-256 of the model.
    pub model_fingerprint: String,
    /// SHA-256 of the data.
    pub data_fingerprint: String,
    /// Time the run took; none where it is not told.
    pub seconds: Option<f64>,
}

impl Summary {
    /// Works out what the records say.
    ///
    /// Errors: records that cannot be read, or hold what nobody writes.
    pub fn of(store: &Store) -> Result<Self, RecordsError> {
        Self::of_all(store, &[])
    }

    /// Works out what the records of several campaigns on the same chips say together; of a cell, a golden run or a cost that
    /// several have, the first counts.
    ///
    /// Errors: as [`of`](Self::of).
    pub fn of_all(first: &Store, others: &[Store]) -> Result<Self, RecordsError> {
        let stores: Vec<&Store> = std::iter::once(first).chain(others).collect();
        let mut goldens: BTreeMap<SubjectKey, GoldenLine> = BTreeMap::new();
        let (mut plans, mut identity) = (Vec::new(), BTreeMap::new());
        for store in &stores {
            for golden in store.goldens() {
                goldens.entry(golden.subject.clone()).or_insert_with(|| GoldenLine::of(golden));
            }
            let header = store.header();
            plans.push(header.plan.as_str());
            for (key, value) in &header.identity {
                identity.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let mut cells: BTreeMap<CellKey, CellLine> = BTreeMap::new();
        let mut chips = AllChips::new();
        for store in &stores {
            let records = store.cell_records()?;
            for ((id, cell), record) in store.cells().zip(&records) {
                if cells.contains_key(&cell.key) {
                    continue;
                }
                let mut line = CellLine::of(record, Deviation::of(store, id)?);
                let bare = SubjectKey { protection: "none".to_owned(), ..cell.key.subject() };
                let unprotected = goldens.get(&bare).and_then(|golden| golden.auc);
                line.compare_with(unprotected);
                chips.insert(cell.key.clone(), CellChips::of(store, id, cell, unprotected)?);
                cells.insert(cell.key.clone(), line);
            }
        }
        let mut cells: Vec<CellLine> = cells.into_values().collect();
        let protections = benefits(&stores, &chips)?;
        for cell in &mut cells {
            cell.take_gain(&protections);
        }
        let header = first.header();
        let by_rmse = !cells.is_empty() && cells.iter().all(CellLine::by_rmse);
        let mut summary = Self {
            boxes: Vec::new(),
            progress: Progress::of(&stores),
            golden_ci_low: None,
            golden_ci_high: None,
            metric: if by_rmse { "rmse" } else { "auc" },
            better: if by_rmse { "lower" } else { "higher" },
            findings: findings(&cells, &chips),
            firsts: firsts(&cells, &chips),
            advice: None,
            advices: Vec::new(),
            panels: panels(&cells),
            protections,
            goldens: goldens.into_values().collect(),
            plan: plans.join("\n"),
            identity,
            seed: header.seed,
            date: crate::progress::last_day(&stores),
            version: header.version.clone(),
            stream_version: header.stream_version,
            numeric_contract: header.numeric_contract,
            trials: cells.iter().map(|cell| cell.n).sum(),
            known: cells.iter().map(|cell| cell.known).sum(),
            cells,
            timed: true,
            chips,
        };
        summary.decide(None);
        Ok(summary)
    }

    /// Decides anew what to protect, at this rate.
    ///
    /// Errors: no unprotected cell has the rate.
    pub fn decided_at(mut self, at: f64) -> Result<Self, UnknownRate> {
        let rates = rates(&self.cells);
        if !rates.iter().any(|rate| same_rate(*rate, at)) {
            return Err(UnknownRate { at, rates });
        }
        self.decide(Some(at));
        Ok(self)
    }

    /// Takes the advice at a rate, and what follows from it.
    fn decide(&mut self, at: Option<f64>) {
        self.advices = advices(&self.cells, &self.protections, &self.chips, at);
        for benefit in &mut self.protections {
            benefit.on_front = self.advices.iter().any(|advice| {
                (&advice.model, &advice.data) == (&benefit.model, &benefit.data)
                    && advice.front.contains(&benefit.protection)
            });
        }
        let leading = crate::leading::subject(self);
        self.advice = leading.as_ref().and_then(|(model, data)| {
            self.advices.iter().find(|advice| (&advice.model, &advice.data) == (model, data)).cloned()
        });
        let golden = leading.as_ref().and_then(|(model, data)| {
            self.goldens
                .iter()
                .find(|one| (&one.model, &one.data) == (model, data) && one.protection == "none")
        });
        (self.golden_ci_low, self.golden_ci_high) =
            golden.map_or((None, None), |golden| (golden.golden_ci_low, golden.golden_ci_high));
        self.boxes = boxes(self, at);
    }

    /// The same without what a clock said, which no two runs share.
    #[must_use]
    pub fn untimed(mut self) -> Self {
        for golden in &mut self.goldens {
            golden.seconds = None;
        }
        for benefit in &mut self.protections {
            (benefit.time, benefit.time_range) = (None, None);
        }
        self.timed = false;
        self.date = None;
        let at = self.advice.as_ref().map(|advice| advice.at);
        self.decide(at);
        self
    }

    /// Names of all targets, in order: their places are their colours on every chart.
    pub fn targets(&self) -> Vec<&str> {
        let mut targets: Vec<&str> = self.cells.iter().map(|cell| cell.target.as_str()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Whether any data were made up in the shape of the set they are named after.
    pub fn stand_in(&self) -> bool {
        self.goldens.iter().any(|golden| golden.stand_in)
    }
}

impl CellLine {
    fn of(record: &CellRecord, deviation: Deviation) -> Self {
        let CellRecord { cell, statistics, .. } = record;
        let golden = statistics.golden;
        let interval = statistics.mean_interval;
        let median = statistics.median_interval;
        let tail = record.tail;
        let [bad_low, bad_high] = ends(tail.map(|tail| tail.bad));
        let [severe_low, severe_high] = ends(tail.map(|tail| tail.severe));
        let [non_finite_low, non_finite_high] = ends(Some(statistics.non_finite));
        let [collapse_low, collapse_high] = ends(statistics.collapse);
        let high = |interval: Option<Interval>| interval.map(|interval| interval.high);
        Self {
            model: cell.key.model.clone(),
            data: cell.key.data.clone(),
            target: cell.key.target.clone(),
            error_model: cell.key.error_model.clone(),
            ber: cell.key.ber,
            protection: cell.key.protection.clone(),
            seed: cell.seed,
            n: statistics.n,
            known: statistics.known,
            golden,
            unprotected: None,
            mean: statistics.mean,
            stratified_mean: statistics.stratified_mean,
            sd: statistics.sd,
            min: statistics.min,
            max: statistics.max,
            median: statistics.median,
            quartile_1: statistics.quartiles.map(|quartiles| quartiles[0]),
            quartile_3: statistics.quartiles.map(|quartiles| quartiles[1]),
            ci_low: interval.map(|interval| interval.low),
            ci_high: high(interval),
            ci_method: interval.map(|interval| method(interval.method)),
            loss: None,
            p05: statistics.p05,
            p95: statistics.p95,
            median_ci_low: median.map(|of| of.low),
            median_ci_high: median.map(|of| of.high),
            loss_q95: tail.map(|tail| tail.q95),
            loss_q95_ci_low: tail.and_then(|tail| tail.q95_ends[0]),
            loss_q95_ci_high: tail.and_then(|tail| tail.q95_ends[1]),
            bad_share: tail.and_then(|tail| tail.bad.estimate),
            bad_share_ci_low: bad_low,
            bad_share_ci_high: bad_high,
            severe_share: tail.and_then(|tail| tail.severe.estimate),
            severe_share_ci_low: severe_low,
            severe_share_ci_high: severe_high,
            non_finite_share: statistics.non_finite.share,
            non_finite_high,
            non_finite_ci_low: non_finite_low,
            non_finite_ci_high: non_finite_high,
            collapse: statistics.collapse.and_then(|collapse| collapse.share),
            collapse_ci_low: collapse_low,
            collapse_ci_high: collapse_high,
            gain: None,
            gain_ci_low: None,
            gain_ci_high: None,
            gain_shown: None,
            critical_share: record.critical.share,
            deviation,
            flips_mean: statistics.flips_mean,
            exposed_bits: cell.exposed_bits,
            p_no_flip: cell.p_no_flip,
            predicted: cell.predicted.as_ref().map(|predicted| predicted.mean),
            predicted_low: None,
            predicted_high: None,
            prediction_verdict: None,
            prediction: cell.predicted.as_ref().map(|predicted| predicted.kind.to_string()),
            prediction_note: cell.predicted.as_ref().map(|predicted| predicted.note.clone()),
            stand_in: record.stand_in,
        }
    }
}

impl CellLine {
    /// Takes losses against the unprotected golden run, if there is one.
    fn compare_with(&mut self, unprotected: Option<f64>) {
        self.unprotected = unprotected;
        self.loss = unprotected.or(self.golden).zip(self.mean).map(|(golden, mean)| golden - mean);
        self.judge_prediction();
    }

    /// Takes what its protection recovers, if it has one.
    fn take_gain(&mut self, protections: &[Benefit]) {
        let own = protections.iter().find(|one| {
            (&one.model, &one.data, &one.protection) == (&self.model, &self.data, &self.protection)
        });
        let gain = own.and_then(|benefit| {
            benefit.gains.iter().find(|gain| {
                (&gain.target, &gain.error_model, gain.ber) == (&self.target, &self.error_model, self.ber)
            })
        });
        if let Some(gain) = gain {
            (self.gain, self.gain_ci_low, self.gain_ci_high) = (gain.gain, gain.low, gain.high);
            self.gain_shown = Some(gain.shown);
        }
    }

    /// Whether it is measured by the distance from golden: its rows have no labels, so there is no AUC.
    pub fn by_rmse(&self) -> bool {
        self.golden.is_none() && self.mean.is_none() && self.deviation.rmse_undefined_share.is_some()
    }
}

/// Both ends of the interval of a share.
fn ends(share: Option<Proportion>) -> [Option<f64>; 2] {
    let interval = share.and_then(|share| share.interval);
    [interval.map(|of| of.low), interval.map(|of| of.high)]
}

impl GoldenLine {
    fn of(golden: &Golden) -> Self {
        Self {
            model: golden.subject.model.clone(),
            data: golden.subject.data.clone(),
            protection: golden.subject.protection.clone(),
            auc: golden.scores.auc,
            golden_ci_low: golden.auc_ci.map(|[low, _]| low),
            golden_ci_high: golden.auc_ci.map(|[_, high]| high),
            baseline: golden.baseline,
            log_loss: golden.scores.log_loss,
            rows: golden.scores.rows,
            positives: golden.positives,
            split: golden.split.clone(),
            parameters: golden.parameters,
            stand_in: golden.stand_in,
            model_fingerprint: golden.model_fingerprint.clone(),
            data_fingerprint: golden.data_fingerprint.clone(),
            seconds: Some(golden.seconds),
        }
    }
}
