//! What theory expects of a cell, from a few probing passes over the clean model.

use radhard_engine::{Changes, Engine};
use radhard_fault::{BitErrorRate, Exposure, Format, Parameters};
use radhard_metrics::{Observed, ScoreOptions, TrialScores};
use radhard_models::{Component, Scores};
use radhard_records::{Prediction, PredictionKind};

use crate::cells::PlannedCell;
use crate::lend::LentModel;
use crate::subject::{GoldenRun, Scoring};
use crate::theory::{self, Reading};
use crate::trial::TrialError;

/// The bit whose flip multiplies a normal f32 of magnitude below 1 by 2^128.
const CRITICAL_BIT: u8 = 30;
/// Dense words whose bit-30 flip is tried, at most.
const DENSE_PROBES: usize = 32;
/// Rates above this lie outside the validity of the closed forms: flips meet in one word, and in one row, too often.
const VALID_UP_TO: f64 = 0.1;
/// Rows that are scored under a probe, at most: their AUC says a loss within a few thousandths.
const PROBED_ROWS: usize = 1 << 16;

/// How a subject answers to single bit-30 flips, measured once, apart from every chip.
#[derive(Debug, Clone)]
pub struct Predictor {
    golden_auc: f64,
    accuracy_at_fallback: f64,
    /// Mean share of the score above one half that a bit-30 flip in the dense part loses.
    dense_loss: f64,
    dense_probes: usize,
    /// Of each table, by parameter: words that one row reads, and the share of hit rows whose score is NaN.
    tables: Vec<Option<Table>>,
}

#[derive(Debug, Clone, Copy)]
struct Table {
    words_per_row: u64,
    nan_share: f64,
}

impl Predictor {
    /// Probes the clean model on the first rows: up to 32 dense words spread evenly, and one column of each table.
    pub fn measure(
        lent: &mut LentModel,
        scoring: Scoring<'_>,
        golden: &GoldenRun,
        golden_auc: f64,
    ) -> Result<Self, TrialError> {
        let fallback = scoring.options.non_finite.rank_score(scoring.options.fallback);
        let labels = scoring.rows.labels();
        let accuracy =
            theory::balanced_accuracy_at(&golden.scores.probabilities, labels, f64::from(fallback));
        let mut tables = Vec::new();
        let mut dense = Vec::new();
        for (index, tensor) in lent.model().parameters().iter().enumerate() {
            let f32 = lent.specs()[index].format == Format::F32;
            let table = f32 && tensor.component() == Component::Embedding;
            tables.push(table.then(|| words_per_row(lent.model(), tensor.shape())));
            if f32 && tensor.component() == Component::Dense {
                dense.extend((0..tensor.elements() as u64).map(|element| (index, element)));
            }
        }
        let rows = scoring.rows.slice(0..scoring.rows.len().min(PROBED_ROWS));
        let clean = &golden.scores.probabilities[..rows.len()];
        let auc_of = |probabilities: &[f32]| {
            let observed = Observed { probabilities, logits: None, labels: rows.labels };
            let options = ScoreOptions { users: None, ..scoring.options };
            TrialScores::of(&observed, None, &options).auc.unwrap_or(0.5)
        };
        let mut scores = Scores::default();
        let mut probed = Vec::new();
        for (index, words_per_row) in tables.into_iter().enumerate() {
            probed.push(match words_per_row {
                None => None,
                Some(words_per_row) => {
                    let changes = first_words_flipped(lent, index);
                    Engine::full(lent, &rows, &changes, &mut scores)?;
                    Some(Table { words_per_row, nan_share: nan_share(&scores.probabilities, clean) })
                }
            });
        }
        let probes = dense.len().min(DENSE_PROBES);
        let lead = auc_of(clean) - 0.5;
        let mut lost = 0.0;
        for probe in 0..probes {
            let word = dense[(2 * probe + 1) * dense.len() / (2 * probes)];
            let changes = flipped(lent, &[word]);
            Engine::full(lent, &rows, &changes, &mut scores)?;
            // A model without a lead on these rows has nothing to lose.
            lost += if lead > 0.0 { (lead + 0.5 - auc_of(&scores.probabilities)) / lead } else { 0.0 };
        }
        Ok(Self {
            golden_auc,
            accuracy_at_fallback: accuracy.unwrap_or(0.5),
            dense_loss: if probes > 0 { lost / probes as f64 } else { 0.0 },
            dense_probes: probes,
            tables: probed,
        })
    }

    /// The expected mean AUC of a cell, where a closed form covers it: independent flips that reach bit 30 of f32 words.
    pub fn predict(
        &self,
        cell: &PlannedCell<'_>,
        exposure: &Exposure,
        lent: &LentModel,
    ) -> Option<Prediction> {
        let rate = cell.rate?;
        if cell.error_model.name() != "flips" || cell.key.protection != "none" || self.golden_auc <= 0.5 {
            return None;
        }
        if rate == BitErrorRate::ZERO {
            let note = "no bit is in error".to_owned();
            return Some(Prediction { mean: self.golden_auc, kind: PredictionKind::Exact, note });
        }
        if rate.get() > VALID_UP_TO {
            return None;
        }
        let mut reading = Reading {
            golden_auc: self.golden_auc,
            dense_words: 0,
            dense_loss: self.dense_loss,
            words_to_nan: 0.0,
            words_to_extreme: 0.0,
            accuracy_at_fallback: self.accuracy_at_fallback,
        };
        let mut covered = false;
        for part in exposure.parameters() {
            let spec = &lent.specs()[part.index];
            if spec.format != Format::F32 {
                return None;
            }
            if part.mask >> CRITICAL_BIT & 1 == 0 {
                continue;
            }
            match (self.tables[part.index], lent.model().parameters().as_slice()[part.index].component()) {
                (Some(table), _) => {
                    reading.words_to_nan += table.words_per_row as f64 * table.nan_share;
                    reading.words_to_extreme += table.words_per_row as f64 * (1.0 - table.nan_share);
                    covered = true;
                }
                (None, Component::Dense) => {
                    reading.dense_words += spec.elements();
                    covered = true;
                }
                // Statistics and quantised tables have no closed form here.
                (None, _) => return None,
            }
        }
        covered.then(|| Prediction {
            mean: theory::predicted_mean_auc(&reading, rate.get()),
            kind: PredictionKind::Approximate,
            note: format!(
                "bit-30 flips alone; a dense one loses {:.2} of AUC - 1/2 (mean of {} single flips tried); {:.0} table \
                 words per row turn a score to NaN, {:.0} to an extreme",
                self.dense_loss, self.dense_probes, reading.words_to_nan, reading.words_to_extreme
            ),
        })
    }
}

/// Words of a table that one data row reads: a table of all fields is read once per field.
pub(crate) fn words_per_row(model: &radhard_models::Model, shape: &[usize]) -> u64 {
    let width: usize = shape.iter().skip(1).product();
    let config = model.config();
    let reads = if shape.first() == Some(&config.table_rows()) { config.fields() } else { 1 };
    (width * reads) as u64
}

/// The first word of each row of a table with its critical bit flipped.
fn first_words_flipped(lent: &LentModel, table: usize) -> Changes {
    let shape = &lent.specs()[table].shape;
    let (rows, width) = (shape[0] as u64, shape.iter().skip(1).product::<usize>() as u64);
    let words: Vec<(usize, u64)> = (0..rows).map(|row| (table, row * width)).collect();
    flipped(lent, &words)
}

/// Share of the changed scores that are NaN.
fn nan_share(scores: &[f32], clean: &[f32]) -> f64 {
    let (mut changed, mut nan) = (0_u64, 0_u64);
    for (now, clean) in scores.iter().zip(clean) {
        changed += u64::from(now.to_bits() != clean.to_bits());
        nan += u64::from(now.is_nan());
    }
    if changed > 0 { nan as f64 / changed as f64 } else { 0.0 }
}

/// The critical bit of these words, (parameter, element) in their order, flipped.
fn flipped(lent: &LentModel, words: &[(usize, u64)]) -> Changes {
    let mut changes = Changes::default();
    for words in words.chunk_by(|a, b| a.0 == b.0) {
        let index = words[0].0;
        let stored = lent.words(index);
        let flip = |&(_, element): &(usize, u64)| (element, stored.get(element) ^ 1 << CRITICAL_BIT);
        changes.push(lent, index, words.iter().map(flip));
    }
    changes
}
