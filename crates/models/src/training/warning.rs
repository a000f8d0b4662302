//! Training that came to an end and is not what it looks like.

use std::fmt;

use crate::training::fit::{TrainOptions, TrainReport};

/// Steps without progress after which patience should not run out yet.
const FEW_STEPS: u64 = 50;

/// Warnings: reasons why a trained model may be worth less than its AUC says, and the next step.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum TrainWarning {
    /// There are no validation rows of both classes, so that the last epoch was kept.
    NoValidation {
        /// Epochs run.
        epochs: u64,
    },
    /// The last epoch that was allowed was the best.
    LastIsBest {
        /// Epochs allowed.
        epochs: u64,
    },
    /// The first epoch was the best.
    FirstIsBest {
        /// Epochs run.
        epochs: u64,
        /// The learning rate.
        learning_rate: f64,
    },
    /// Patience ran out after few steps.
    FewSteps {
        /// Steps of an epoch.
        steps: u64,
        /// Epochs without progress after which training ended.
        patience: u64,
        /// Rows of a step.
        batch_size: usize,
    },
    /// The test rows are ranked worse than by chance.
    BelowChance {
        /// AUC on the test rows.
        test_auc: f64,
    },
    /// The test rows are ranked worse than by the fields each by itself.
    BelowBaseline {
        /// AUC on the test rows.
        test_auc: f64,
        /// That of [`FieldBaseline`](crate::training::FieldBaseline).
        baseline_auc: f64,
    },
}

impl TrainReport {
    /// Warnings of a training that was not interrupted; `baseline_auc` is that of the test rows.
    pub fn warnings(&self, options: &TrainOptions, baseline_auc: Option<f64>) -> Vec<TrainWarning> {
        let mut all = Vec::new();
        let epochs = self.epochs.len() as u64;
        if self.validation_auc.is_none() {
            all.push(TrainWarning::NoValidation { epochs });
        } else if self.best_epoch == options.epochs {
            all.push(TrainWarning::LastIsBest { epochs });
        } else {
            if self.best_epoch <= 1 {
                let learning_rate = options.learning_rate;
                all.push(TrainWarning::FirstIsBest { epochs, learning_rate });
            }
            let (steps, patience) = (self.steps, options.patience);
            if epochs < options.epochs && steps.saturating_mul(patience) < FEW_STEPS {
                let batch_size = options.batch_size;
                all.push(TrainWarning::FewSteps { steps, patience, batch_size });
            }
        }
        if let Some(test_auc) = self.test_auc {
            if test_auc < 0.5 {
                all.push(TrainWarning::BelowChance { test_auc });
            }
            if let Some(baseline_auc) = baseline_auc.filter(|baseline| test_auc < *baseline) {
                all.push(TrainWarning::BelowBaseline { test_auc, baseline_auc });
            }
        }
        all
    }
}

impl fmt::Display for TrainWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoValidation { epochs } => write!(
                f,
                "the data has no validation rows of both classes, so the last of {epochs} epochs was kept, not the best; \
                 prepare it with --split 8:1:1"
            ),
            Self::LastIsBest { epochs } => write!(
                f,
                "the last of the {epochs} epochs allowed was the best, so the model may still improve; \
                 train with --epochs {}",
                epochs.saturating_mul(2).max(10)
            ),
            Self::FirstIsBest { epochs, learning_rate } => write!(
                f,
                "the first of {epochs} epochs was the best, so the model hardly learnt or overfitted at once; \
                 train with a lower --lr than {learning_rate} or a higher --weight-decay"
            ),
            Self::FewSteps { steps, patience, batch_size } => write!(
                f,
                "an epoch has {steps} steps of {batch_size} rows, so training ended after {} steps without progress; \
                 train with a smaller --batch-size or --patience {}",
                steps.saturating_mul(patience),
                FEW_STEPS.div_ceil(steps.max(1))
            ),
            Self::BelowChance { test_auc } => write!(
                f,
                "the test AUC {test_auc:.4} is below 0.5, so the model ranks worse than chance; \
                 look at the labels (--positive) and train with more rows or a lower --lr"
            ),
            Self::BelowBaseline { test_auc, baseline_auc } => write!(
                f,
                "the test AUC {test_auc:.4} is below the baseline {baseline_auc:.4} (one smoothed log-odds per value of \
                 each field), so a campaign on this model says little; train longer, or with other options"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::fit::Epoch;

    fn report(best: u64, epochs: u64, test_auc: f64) -> TrainReport {
        let epoch =
            |epoch| Epoch { epoch, loss: 0.5, validation_auc: Some(0.7), best: epoch == best, seconds: 1.0 };
        TrainReport {
            epochs: (1..=epochs).map(epoch).collect(),
            best_epoch: best,
            validation_auc: Some(0.7),
            test_auc: Some(test_auc),
            interrupted: false,
            seconds: 1.0,
            rows_per_second: 1.0,
            steps: 100,
        }
    }

    fn texts(report: &TrainReport, options: &TrainOptions, baseline: Option<f64>) -> Vec<String> {
        report.warnings(options, baseline).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_training_that_went_well_is_silent() {
        let options = TrainOptions::default();
        assert!(texts(&report(5, 8, 0.75), &options, Some(0.7)).is_empty());
        assert!(texts(&report(5, 8, 0.75), &options, None).is_empty());
    }

    #[test]
    fn each_way_to_go_wrong_has_a_warning_that_says_what_to_do() {
        let options = TrainOptions { epochs: 8, ..TrainOptions::default() };
        let of = |report: &TrainReport, baseline| texts(report, &options, baseline);
        let last = of(&report(8, 8, 0.75), None);
        assert!(last.len() == 1 && last[0].ends_with("train with --epochs 16"), "{last:?}");
        let first = of(&report(1, 4, 0.75), None);
        assert!(first.len() == 1 && first[0].contains("a lower --lr than 0.001"), "{first:?}");
        let below = of(&report(5, 7, 0.45), Some(0.44));
        assert!(below.len() == 1 && below[0].contains("below 0.5"), "{below:?}");
        let below = of(&report(5, 7, 0.55), Some(0.6));
        assert!(below.len() == 1 && below[0].contains("below the baseline 0.6000"), "{below:?}");
        let few = of(&TrainReport { steps: 4, ..report(2, 5, 0.75) }, None);
        assert!(
            few.len() == 1 && few[0].contains("after 12 steps") && few[0].ends_with("--patience 13"),
            "{few:?}"
        );
        let none = of(&TrainReport { validation_auc: None, ..report(8, 8, 0.75) }, None);
        assert!(none.len() == 1 && none[0].contains("--split"), "{none:?}");
    }
}
