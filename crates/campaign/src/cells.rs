//! The cells of a plan: target × error model × rate × protection, for one subject.

use radhard_engine::{Computed, LentModel};
use radhard_fault::{BitErrorRate, ErrorModel, Expose, Exposure, Parameters, Persistence, TargetError};
use radhard_records::CellKey;

use crate::plan::CheckedPlan;

/// One cell, ready to be drawn from.
pub struct PlannedCell<'p> {
    /// What records call it.
    pub key: CellKey,
    /// Which of the plan's protections it is under.
    pub protection: usize,
    /// Which of the subject's exposures it hits.
    pub exposure: usize,
    /// How bits go wrong.
    pub error_model: &'p dyn ErrorModel,
    /// At which rate; `None` where the error model has none.
    pub rate: Option<BitErrorRate>,
}

/// What each target of a plan exposes in a model.
pub fn exposures(
    plan: &CheckedPlan,
    parameters: &dyn Parameters,
    expose: Expose,
) -> Result<Vec<Exposure>, TargetError> {
    plan.targets().iter().map(|target| target.resolve(parameters.specs(), expose)).collect()
}

/// What each target of a plan exposes of what a model computes of so many rows; nothing where faults strike memory.
pub fn computed(plan: &CheckedPlan, lent: &LentModel, rows: usize) -> Result<Vec<Computed>, TargetError> {
    match plan.persistence() {
        Persistence::Memory => Ok(Vec::new()),
        Persistence::Compute => {
            plan.targets().iter().map(|target| Computed::of(lent, target, rows)).collect()
        }
    }
}

/// The cells of one subject, in the plan's order.
pub fn cells<'p>(plan: &'p CheckedPlan, model: &str, data: &str) -> Vec<PlannedCell<'p>> {
    let mut cells = Vec::new();
    for (protection, combination) in plan.protections().iter().enumerate() {
        let name = combination.name();
        for (exposure, target) in plan.targets().iter().enumerate() {
            for error_model in plan.error_models() {
                let error_model = error_model.as_ref();
                let rates: Vec<Option<BitErrorRate>> = if error_model.takes_rate() {
                    plan.rates().iter().copied().map(Some).collect()
                } else {
                    vec![None]
                };
                cells.extend(rates.into_iter().map(|rate| PlannedCell {
                    key: CellKey {
                        model: model.to_owned(),
                        data: data.to_owned(),
                        target: target.to_string(),
                        error_model: named(error_model, plan.persistence()),
                        ber: rate.map(BitErrorRate::get),
                        protection: name.clone(),
                    },
                    protection,
                    exposure,
                    error_model,
                    rate,
                }));
            }
        }
    }
    cells
}

/// What records call an error model: faults in what is computed are another one than those in what is stored.
pub fn named(error_model: &dyn ErrorModel, persistence: Persistence) -> String {
    match persistence {
        Persistence::Memory => error_model.name(),
        Persistence::Compute => format!("{}@{persistence}", error_model.name()),
    }
}
