//! The campaigns of a study, as plans that `radhard run` would take too.

use std::fmt::Write as _;

use crate::dummy::DummyShape;
use crate::inputs::DENSE_DIMS;
use crate::scale::Scale;
use crate::sets::SETS;
use crate::training::MODELS;

/// One campaign of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// The name of its plan and of its directory of records.
    pub name: String,
    /// What must be there before it can run.
    pub(crate) needs: Needs,
    targets: Vec<&'static str>,
    rates: Vec<f64>,
    protections: Vec<&'static str>,
    chips: u64,
    split: &'static str,
    subjects: Vec<Subject>,
}

/// Data and models that a campaign reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The five models trained on all data sets.
    Models,
    /// The five models trained on one data set, by its place among [`SETS`].
    ModelsOn(usize),
    /// The dummy models of table 1.
    Dummies,
    /// Models with few and many dense inputs.
    Inputs,
    /// A dummy model with its data, and with the data as the artefact reads them.
    BagValues,
    /// The five models trained on the smallest data set, and its rows split anew.
    RedrawnSplit,
}

#[derive(Debug, Clone, PartialEq)]
struct Subject {
    name: String,
    model: String,
    data: String,
}

/// The paper's rates.
pub(crate) const RATES: [f64; 8] = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// The half decades between them and above, from where a loss can show.
pub(crate) const HALF_DECADES: [f64; 7] = [3.16e-7, 3.16e-6, 3.16e-5, 3.16e-4, 3.16e-3, 3.16e-2, 1e-1];
/// The rates of figure 10.
pub(crate) const PROTECTED_RATES: [f64; 4] = [1e-5, 1e-4, 1e-3, 1e-2];
/// The rates of figures 4 to 6.
pub(crate) const DUMMY_RATES: [f64; 6] = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4];
/// What figure 10 compares, the text's clip and ideal bit protection; and beside it bit protection that can be built, and a guard
/// that keeps nothing.
pub(crate) const PROTECTIONS: [&str; 4] = ["clip:paper", "sbp", "sbp=tmr", "range-guard"];
/// Checksums of linear layers without and with a clean copy.
pub(crate) const CHECKSUMS: [&str; 2] = ["abft-gemm:recompute", "abft-gemm:reload"];
/// The models that they check.
pub(crate) const CHECKED_MODELS: [&str; 3] = ["deepfm", "dcn", "wide-deep"];
/// The rates at which the paper says that checksums are not feasible, and the last one below.
pub(crate) const CHECKED_RATES: [f64; 3] = [1e-4, 1e-3, 1e-2];

impl Campaign {
    /// Figures 7 to 9: five models, three data sets, three targets, the paper's rates.
    pub fn grid(scale: &Scale) -> Self {
        Self {
            name: "grid".to_owned(),
            needs: Needs::Models,
            targets: vec!["all", "embedding", "dense"],
            rates: RATES.to_vec(),
            protections: vec!["none"],
            chips: scale.chips,
            split: "test",
            subjects: (0..SETS.len()).flat_map(on_set).collect(),
        }
    }

    /// The chips of the grid at other rates: the models of one data set, with faults in one target.
    pub(crate) fn steep(scale: &Scale, set: usize, target: &'static str, rates: &[f64]) -> Self {
        Self {
            name: format!("steep-{}-{target}", SETS[set].name),
            targets: vec![target],
            rates: rates.to_vec(),
            subjects: on_set(set),
            ..Self::grid(scale)
        }
    }

    /// Figure 10: what protections regain, on the chips of the grid.
    pub fn protections(scale: &Scale) -> Self {
        Self {
            name: "protections".to_owned(),
            targets: vec!["all"],
            rates: PROTECTED_RATES.to_vec(),
            protections: PROTECTIONS.to_vec(),
            chips: scale.protected_chips,
            ..Self::grid(scale)
        }
    }

    /// Checksums, on the chips of the grid, of the models with an MLP: fm has no product to check, and in afm each check is of every
    /// pair of fields, which takes a hundred times as long.
    pub fn checksums(scale: &Scale) -> Self {
        let mut subjects: Vec<Subject> = (0..SETS.len()).flat_map(on_set).collect();
        subjects.retain(|subject| CHECKED_MODELS.contains(&subject.name.as_str()));
        Self {
            name: "checksums".to_owned(),
            subjects,
            rates: CHECKED_RATES.to_vec(),
            protections: CHECKSUMS.to_vec(),
            ..Self::protections(scale)
        }
    }

    /// Figures 4 to 6: the dummy models of table 1.
    pub fn dummies(scale: &Scale) -> Self {
        let subject = |shape: &DummyShape| Subject {
            name: shape.name(),
            model: format!("{}.safetensors", shape.name()),
            data: format!("{}.data", shape.data()),
        };
        Self {
            name: "dummies".to_owned(),
            needs: Needs::Dummies,
            rates: DUMMY_RATES.to_vec(),
            chips: scale.dummy_chips,
            split: "all",
            subjects: DummyShape::grid(scale.dummy_widths).iter().map(subject).collect(),
            ..Self::grid(scale)
        }
    }

    /// Models with few and many dense inputs beside the same sparse part.
    pub fn inputs(scale: &Scale) -> Self {
        let subject = |model: &str, inputs: usize| Subject {
            name: crate::inputs::name(model, inputs),
            model: format!("{}.safetensors", crate::inputs::name(model, inputs)),
            data: format!("{}.data", crate::inputs::data(model, inputs)),
        };
        let subjects =
            crate::inputs::MODELS.iter().flat_map(|model| DENSE_DIMS.map(|dim| subject(model, dim)));
        Self {
            name: "inputs".to_owned(),
            needs: Needs::Inputs,
            targets: vec!["all"],
            rates: crate::inputs::RATES.to_vec(),
            chips: scale.input_chips,
            split: "all",
            subjects: subjects.collect(),
            ..Self::grid(scale)
        }
    }

    /// As the artefact reads sparse input: one dummy model, its data, and the values of its data taken for places.
    pub(crate) fn bag_values(scale: &Scale) -> Self {
        use crate::artefact::bag_values::{MODEL, PLACES, RATES, VALUES};
        let subject = |data: &str| Subject {
            name: MODEL.to_owned(),
            model: format!("{MODEL}.safetensors"),
            data: format!("{data}.data"),
        };
        Self {
            name: "as-artefact-bag-values".to_owned(),
            needs: Needs::BagValues,
            targets: vec!["embedding"],
            rates: RATES.to_vec(),
            chips: scale.artefact_chips,
            split: "all",
            subjects: vec![subject(PLACES), subject(VALUES)],
            ..Self::grid(scale)
        }
    }

    /// As the artefact tests: rows of a split drawn anew, most of which the model was trained on.
    pub(crate) fn redrawn_split(scale: &Scale) -> Self {
        use crate::artefact::redrawn_split::DATA;
        let redrawn =
            on_set(0).into_iter().map(|subject| Subject { data: format!("{DATA}.data"), ..subject });
        Self {
            name: "as-artefact-redrawn-split".to_owned(),
            needs: Needs::RedrawnSplit,
            targets: vec!["all"],
            chips: scale.artefact_chips,
            subjects: on_set(0).into_iter().chain(redrawn).collect(),
            ..Self::grid(scale)
        }
    }

    /// As the artefact clips, beside what the text says, and selective bit protection that does its work.
    pub(crate) fn artefact_protections(scale: &Scale) -> Self {
        Self {
            name: "as-artefact-protections".to_owned(),
            needs: Needs::ModelsOn(0),
            targets: vec!["all"],
            rates: PROTECTED_RATES.to_vec(),
            protections: vec!["none", "clip:paper", "clip:artefact", "sbp"],
            chips: scale.artefact_chips,
            subjects: on_set(0),
            ..Self::grid(scale)
        }
    }

    /// Rates between the decades, at some of which the artefact injects nothing.
    pub(crate) fn silent_rates(scale: &Scale) -> Self {
        Self {
            name: "as-artefact-silent-rates".to_owned(),
            needs: Needs::ModelsOn(0),
            targets: vec!["all"],
            rates: crate::artefact::silent_rates::rates(),
            chips: scale.artefact_chips,
            subjects: on_set(0),
            ..Self::grid(scale)
        }
    }

    /// Trials of the whole campaign.
    pub fn trials(&self) -> u64 {
        let cells = self.subjects.len() * self.targets.len() * self.rates.len() * self.protections.len();
        cells as u64 * self.chips
    }

    /// Its plan, with paths under the study's directory.
    pub(crate) fn plan(&self, seed: u64) -> String {
        let Self { targets, rates, protections, chips, split, .. } = self;
        let mut text = format!(
            "seed = {seed}\nchips = {chips}\nsplit = \"{split}\"\ntargets = {targets:?}\n\
             error_models = [\"flips\"]\nrates = {rates:?}\nprotections = {protections:?}\n"
        );
        for subject in &self.subjects {
            let _ = write!(
                text,
                "\n[[subject]]\nname = \"{}\"\nmodel = \"models/{}\"\ndata = \"data/{}\"\n",
                subject.name, subject.model, subject.data
            );
        }
        text
    }
}

/// The five models trained on a data set, with its data.
fn on_set(set: usize) -> Vec<Subject> {
    let name = SETS[set].name;
    let subject = |model: &str| Subject {
        name: model.to_owned(),
        model: format!("{model}-{name}.safetensors"),
        data: format!("{name}.data"),
    };
    MODELS.map(subject).to_vec()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use radhard_campaign::CheckedPlan;

    use super::*;

    #[test]
    fn every_plan_passes_its_rules() {
        for scale in [Scale::quick(), Scale::full()] {
            let campaigns = [
                Campaign::grid(&scale),
                Campaign::steep(&scale, 0, "dense", &HALF_DECADES),
                Campaign::protections(&scale),
                Campaign::checksums(&scale),
                Campaign::dummies(&scale),
                Campaign::inputs(&scale),
                Campaign::bag_values(&scale),
                Campaign::redrawn_split(&scale),
                Campaign::artefact_protections(&scale),
                Campaign::silent_rates(&scale),
            ];
            for campaign in campaigns {
                let text = campaign.plan(1);
                let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
                let plan = plan.plan();
                let cells =
                    plan.subjects.len() * plan.targets.len() * plan.rates.len() * plan.protections.len();
                assert_eq!(cells as u64 * plan.chips, campaign.trials(), "{}", campaign.name);
                assert!(campaign.trials() > 0);
            }
        }
    }

    #[test]
    fn the_paper_s_grid_has_15_subjects_3_targets_8_rates_and_10_chips() {
        let text = Campaign::grid(&Scale::full()).plan(1);
        let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
        let plan = plan.plan();
        assert_eq!((plan.subjects.len(), plan.targets.len(), plan.rates.len(), plan.chips), (15, 3, 8, 10));
    }
}
