//! What a campaign found: one line a cell, and the curves they form.

use std::collections::BTreeMap;

use radhard_metrics::Interval;
use radhard_records::export::method;
use radhard_records::{CellKey, CellRecord, Golden, RecordsError, Store, SubjectKey};
use serde::Serialize;

use crate::benefit::{Benefit, benefits, mark_fronts};
use crate::deviation::Deviation;
use crate::panel::{Panel, panels};

/// Everything that reports show, worked out from records once.
///
/// Serialised, it is the JSON of `report --json` (docs/formats/export.md).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// One line a cell, in the order of every export.
    pub cells: Vec<CellLine>,
    /// Curves over rates, grouped by what shares a chart.
    pub panels: Vec<Panel>,
    /// What protections win back on the same chips, and what they cost, the best first.
    pub protections: Vec<Benefit>,
    /// One line a golden run.
    pub goldens: Vec<GoldenLine>,
    /// The plan as written.
    pub plan: String,
    /// What must not change while the campaign is continued.
    pub identity: BTreeMap<String, String>,
    /// Seed of the chips.
    pub seed: u64,
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
    /// Share of chips with any score that is not a number.
    pub non_finite_share: Option<f64>,
    /// Upper end of the 95 % interval of that share.
    pub non_finite_high: Option<f64>,
    /// Share of chips that keep less than a tenth of the lead over guessing.
    pub collapse: Option<f64>,
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
        for store in &stores {
            let records = store.cell_records()?;
            for ((id, cell), record) in store.cells().zip(&records) {
                if cells.contains_key(&cell.key) {
                    continue;
                }
                let mut line = CellLine::of(record, Deviation::of(store, id)?);
                let bare = SubjectKey { protection: "none".to_owned(), ..cell.key.subject() };
                line.held_against(goldens.get(&bare).and_then(|golden| golden.auc));
                cells.insert(cell.key.clone(), line);
            }
        }
        let cells: Vec<CellLine> = cells.into_values().collect();
        let header = first.header();
        Ok(Self {
            panels: panels(&cells),
            protections: benefits(&stores)?,
            goldens: goldens.into_values().collect(),
            plan: plans.join("\n"),
            identity,
            seed: header.seed,
            version: header.version.clone(),
            stream_version: header.stream_version,
            numeric_contract: header.numeric_contract,
            trials: cells.iter().map(|cell| cell.n).sum(),
            known: cells.iter().map(|cell| cell.known).sum(),
            cells,
            timed: true,
        })
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
        mark_fronts(&mut self.protections);
        self.timed = false;
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
            non_finite_share: statistics.non_finite.share,
            non_finite_high: high(statistics.non_finite.interval),
            collapse: statistics.collapse.and_then(|collapse| collapse.share),
            critical_share: record.critical.share,
            deviation,
            flips_mean: statistics.flips_mean,
            exposed_bits: cell.exposed_bits,
            p_no_flip: cell.p_no_flip,
            predicted: cell.predicted.as_ref().map(|predicted| predicted.mean),
            prediction: cell.predicted.as_ref().map(|predicted| predicted.kind.to_string()),
            prediction_note: cell.predicted.as_ref().map(|predicted| predicted.note.clone()),
            stand_in: record.stand_in,
        }
    }
}

impl CellLine {
    /// Takes losses against the unprotected golden run, if there is one.
    fn held_against(&mut self, unprotected: Option<f64>) {
        self.unprotected = unprotected;
        self.loss = unprotected.or(self.golden).zip(self.mean).map(|(golden, mean)| golden - mean);
    }

    /// Whether it is measured by the distance from golden: its rows have no labels, so there is no AUC.
    pub fn by_rmse(&self) -> bool {
        self.golden.is_none() && self.mean.is_none() && self.deviation.rmse_undefined_share.is_some()
    }
}

impl GoldenLine {
    fn of(golden: &Golden) -> Self {
        Self {
            model: golden.subject.model.clone(),
            data: golden.subject.data.clone(),
            protection: golden.subject.protection.clone(),
            auc: golden.scores.auc,
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
