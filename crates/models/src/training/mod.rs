//! Training: batches, loss, optimiser, early stopping.

mod batch;
mod bias_baseline;
mod checkpoint;
mod chunk;
#[cfg(test)]
mod differences;
mod field_baseline;
mod fit;
mod hidden;
mod optimizer;
mod schedule;
mod tables;
#[cfg(test)]
mod traces;
mod warning;

pub use bias_baseline::bias_baseline;
pub use checkpoint::CheckpointError;
pub use field_baseline::{FieldBaseline, field_baseline_auc};
pub use fit::{
    AucFunction, Epoch, Progress, TrainError, TrainOptions, TrainReport, train, train_with_checkpoint,
};
pub use optimizer::Optimizer;
pub use warning::TrainWarning;
