//! The optimiser's choices and its moments.

use std::str::FromStr;

use radhard_kernels::AdamStep;
use radhard_memory::Buffer;
use serde::{Deserialize, Serialize};

use crate::parameter::{Component, Parameters};
use crate::training::TrainOptions;

/// How weights follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Adam on every weight in every step, as `torch.optim.Adam`.
    #[default]
    Adam,
    /// Adam on the table rows of the batch only; rows that are never read keep their first values, where
    /// [`Optimizer::Adam`] shrinks them by the weight decay.
    LazyAdam,
}

impl std::fmt::Display for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Adam => "adam",
            Self::LazyAdam => "lazy-adam",
        })
    }
}

/// A name that is no optimiser.
#[derive(Debug, thiserror::Error)]
#[error("optimizer {0:?} is not known; known are adam, lazy-adam")]
pub struct UnknownOptimizer(pub String);

impl FromStr for Optimizer {
    type Err = UnknownOptimizer;

    fn from_str(s: &str) -> Result<Self, UnknownOptimizer> {
        match s {
            "adam" => Ok(Self::Adam),
            "lazy-adam" => Ok(Self::LazyAdam),
            _ => Err(UnknownOptimizer(s.to_owned())),
        }
    }
}

/// First and second moments, by parameter; empty for state.
pub(super) struct Moments {
    pub(super) first: Vec<Buffer<f32>>,
    pub(super) second: Vec<Buffer<f32>>,
    /// Steps done.
    pub(super) steps: u64,
}

impl Moments {
    pub(super) fn zeroed(parameters: &Parameters) -> Self {
        let zeros = || {
            parameters
                .iter()
                .map(|t| Buffer::zeroed(if t.component() == Component::State { 0 } else { t.elements() }))
                .collect()
        };
        Self { first: zeros(), second: zeros(), steps: 0 }
    }

    /// The constants of the step after those done.
    pub(super) fn next(&mut self, options: &TrainOptions) -> AdamStep {
        self.steps += 1;
        let betas = (options.beta1, options.beta2);
        AdamStep::at(self.steps, options.learning_rate, options.weight_decay, betas, options.epsilon)
    }
}
