//! Tensors of a model that the targets of a plan pass over.

use radhard_fault::{Coverage, Exposure, PassedOver, Persistence, Target};

use crate::plan::CheckedPlan;

/// Parameters of a model of which a target reaches no bit, though it names them.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Uncovered {
    /// The model's name.
    pub model: String,
    /// The target.
    pub target: String,
    /// The parameters.
    pub tensors: Vec<PassedOver>,
}

/// Tensors of a model that the targets of a plan pass over; none for transient faults, which strike no stored parameter.
pub(crate) fn uncovered(plan: &CheckedPlan, model: &str, exposed: &[Exposure]) -> Vec<Uncovered> {
    if plan.persistence() == Persistence::Compute {
        return Vec::new();
    }
    let of_target = |(target, exposure): (&Target, &Exposure)| {
        let tensors = Coverage::of(target, plan.expose(), exposure, &[]).passed_over;
        (!tensors.is_empty()).then(|| Uncovered {
            model: model.to_owned(),
            target: target.to_string(),
            tensors,
        })
    };
    plan.targets().iter().zip(exposed).filter_map(of_target).collect()
}
