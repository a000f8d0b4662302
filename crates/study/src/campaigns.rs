//! The campaigns of a study, as plans that `radhard run` would take too.

use std::fmt::Write as _;

use crate::dummy::DummyShape;
use crate::scale::Scale;
use crate::sets::SETS;
use crate::training::MODELS;

/// One campaign of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Campaign {
    /// Figures 7 to 9: five models, three data sets, three targets, the paper's rates.
    Grid,
    /// The same chips at half decades and up to 1e-1, where half of the score is lost.
    Steep,
    /// Figure 10: what protections regain, on the chips of the grid.
    Protections,
    /// Figures 4 to 6: the dummy models of table 1.
    Dummies,
}

/// The paper's rates.
pub(crate) const RATES: [f64; 8] = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// The half decades between them and above, from where a loss can show.
pub(crate) const HALF_DECADES: [f64; 7] = [3.16e-7, 3.16e-6, 3.16e-5, 3.16e-4, 3.16e-3, 3.16e-2, 1e-1];
/// The rates of figure 10.
pub(crate) const PROTECTED_RATES: [f64; 4] = [1e-5, 1e-4, 1e-3, 1e-2];
/// The rates of figures 4 to 6.
pub(crate) const DUMMY_RATES: [f64; 6] = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4];
/// What figure 10 compares, and what claims add to it: the text's clip, ideal and realised bit protection, a guard that keeps
/// nothing, and checksums of linear layers with and without a clean copy.
pub(crate) const PROTECTIONS: [&str; 6] =
    ["clip:paper", "sbp", "sbp=tmr", "range-guard", "abft-gemm:recompute", "abft-gemm:reload"];

impl Campaign {
    /// All campaigns.
    pub const ALL: [Self; 4] = [Self::Grid, Self::Steep, Self::Protections, Self::Dummies];

    /// The name of its plan and of its directory of records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Steep => "steep",
            Self::Protections => "protections",
            Self::Dummies => "dummies",
        }
    }

    /// Its plan, with paths under the study's directory.
    pub(crate) fn plan(self, scale: &Scale, seed: u64) -> String {
        let (targets, rates, protections, chips, split): (&[&str], &[f64], &[&str], u64, &str) = match self {
            Self::Grid => (&["all", "embedding", "dense"], &RATES, &["none"], scale.chips, "test"),
            Self::Steep => (&["embedding", "dense"], &HALF_DECADES, &["none"], scale.chips, "test"),
            Self::Protections => (&["all"], &PROTECTED_RATES, &PROTECTIONS, scale.protected_chips, "test"),
            Self::Dummies => {
                (&["all", "embedding", "dense"], &DUMMY_RATES, &["none"], scale.dummy_chips, "all")
            }
        };
        let mut text = format!(
            "seed = {seed}\nchips = {chips}\nsplit = \"{split}\"\ntargets = {targets:?}\n\
             error_models = [\"flips\"]\nrates = {rates:?}\nprotections = {protections:?}\n"
        );
        for subject in self.subjects(scale) {
            let _ = write!(
                text,
                "\n[[subject]]\nname = \"{}\"\nmodel = \"models/{}\"\ndata = \"data/{}\"\n",
                subject.name, subject.model, subject.data
            );
        }
        text
    }

    fn subjects(self, scale: &Scale) -> Vec<Subject> {
        if self == Self::Dummies {
            return DummyShape::grid(scale.dummy_widths)
                .into_iter()
                .map(|shape| Subject {
                    name: shape.name(),
                    model: format!("{}.safetensors", shape.name()),
                    data: format!("{}.data", shape.data()),
                })
                .collect();
        }
        SETS.iter()
            .flat_map(|set| {
                MODELS.map(|model| Subject {
                    name: model.to_owned(),
                    model: format!("{model}-{}.safetensors", set.name),
                    data: format!("{}.data", set.name),
                })
            })
            .collect()
    }
}

struct Subject {
    name: String,
    model: String,
    data: String,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use radhard_campaign::CheckedPlan;

    use super::*;

    #[test]
    fn every_plan_passes_its_rules() {
        for scale in [Scale::quick(), Scale::full()] {
            for campaign in Campaign::ALL {
                let text = campaign.plan(&scale, 1);
                let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
                assert!(!plan.plan().subjects.is_empty(), "{}", campaign.name());
            }
        }
    }

    #[test]
    fn the_paper_s_grid_has_15_subjects_3_targets_8_rates_and_10_chips() {
        let text = Campaign::Grid.plan(&Scale::full(), 1);
        let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
        let plan = plan.plan();
        assert_eq!((plan.subjects.len(), plan.targets.len(), plan.rates.len(), plan.chips), (15, 3, 8, 10));
    }
}
