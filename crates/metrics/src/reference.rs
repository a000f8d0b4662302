//! A golden run, prepared so that runs which differ from it in few rows are scored at the cost of these rows.

use crate::ranking::Ranking;
use crate::trial::{Golden, Observed, ScoreOptions, TrialScores};

/// A fault-free run that others are scored beside.
#[derive(Debug)]
pub struct Reference<'a> {
    start: Observed<'a>,
    golden: Golden<'a>,
    options: ScoreOptions<'a>,
    metrics: TrialScores,
}

/// Memory for scoring, used again from run to run.
#[derive(Debug, Default)]
pub struct MetricsWork {
    ranking: Ranking,
    probabilities: Vec<f32>,
    logits: Vec<f32>,
}

impl<'a> Reference<'a> {
    /// Prepares a run; `golden` is what losses and differences are taken against: the run itself, or the unprotected one.
    ///
    /// # Panics
    /// If lengths differ, or logits are missing.
    pub fn new(start: Observed<'a>, golden: Golden<'a>, options: ScoreOptions<'a>) -> Self {
        assert!(start.logits.is_some(), "a reference has logits");
        let metrics = TrialScores::of(&start, Some(&golden), &options);
        Self { start, golden, options, metrics }
    }

    /// The scores of the run itself.
    pub fn metrics(&self) -> &TrialScores {
        &self.metrics
    }

    /// Scores of a run that differs from this one in some rows at most: `rows` ascending, each once.
    ///
    /// The bits of [`TrialScores::of`] on all rows.
    pub fn changed(
        &self,
        work: &mut MetricsWork,
        rows: &[u32],
        probabilities: &[f32],
        logits: &[f32],
    ) -> TrialScores {
        if rows.is_empty() {
            return self.metrics.clone();
        }
        let golden_logits = self.start.logits.unwrap_or_default();
        work.probabilities.clear();
        work.probabilities.extend_from_slice(self.start.probabilities);
        work.logits.clear();
        work.logits.extend_from_slice(golden_logits);
        for ((&row, &probability), &logit) in rows.iter().zip(probabilities).zip(logits) {
            work.probabilities[row as usize] = probability;
            work.logits[row as usize] = logit;
        }
        let observed = Observed {
            probabilities: &work.probabilities,
            logits: Some(&work.logits),
            labels: self.start.labels,
        };
        TrialScores::with(&mut work.ranking, &observed, Some(&self.golden), &self.options)
    }

    /// Scores of a run that may differ in every row.
    pub fn all(&self, work: &mut MetricsWork, probabilities: &[f32], logits: &[f32]) -> TrialScores {
        let observed = Observed { probabilities, logits: Some(logits), labels: self.start.labels };
        TrialScores::with(&mut work.ranking, &observed, Some(&self.golden), &self.options)
    }
}
