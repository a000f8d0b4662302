//! The campaigns of a study, as plans that `radhard run` would take too.

use std::fmt::Write as _;

use crate::dummy::DummyShape;
use crate::inputs::DENSE_DIMS;
use crate::scale::Scale;
use crate::sets::SETS;
use crate::study::SEED;
use crate::training::MODELS;

/// One campaign of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// The name of its plan and of its directory of records.
    pub name: String,
    /// What must be there before it can run.
    pub(crate) needs: Needs,
    targets: Vec<&'static str>,
    error_models: Vec<&'static str>,
    rates: Vec<f64>,
    protections: Vec<&'static str>,
    persistence: &'static str,
    seed: u64,
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
/// The rates of figures 4 to 6, as the released notebook has them.
pub(crate) const PAPER_DUMMY_RATES: [f64; 5] = [1e-8, 5e-8, 1e-7, 5e-7, 1e-6];
/// The same with ours above them.
pub(crate) const DUMMY_RATES: [f64; 7] = [1e-8, 5e-8, 1e-7, 5e-7, 1e-6, 1e-5, 1e-4];
/// The weights without the biases: what the paper's runs hit.
pub(crate) const WEIGHTS: &str = "*.weight";
/// The bit that decides of a network whose weights lie within 1: flipped, it multiplies by 2^128.
pub(crate) const TOP_BIT: &str = "dense@30";
/// The models with a network to profile; afm's attention on Criteo's 741 pairs of fields takes a hundred times as long.
pub(crate) const PROFILED_MODELS: [&str; 4] = ["deepfm", "afm", "dcn", "wide-deep"];
/// Protections of the counted cells of figure 10, with the unprotected cell.
pub(crate) const COUNTED: [&str; 4] = ["none", "clip:paper", "sbp", "sbp=tmr"];
/// Rates of transient faults, per bit of what layers compute.
pub(crate) const TRANSIENT_RATES: [f64; 3] = [1e-6, 1e-5, 1e-4];
/// Detectors of one flipped bit: the checks of the tables and of the networks.
pub(crate) const DETECTED: [(&str, &str); 4] = [
    ("embedding@30", "abft-embedding:reload"),
    ("embedding", "abft-embedding:reload"),
    ("dense@exponent", "abft-gemm:reload"),
    ("dense", "abft-gemm:reload"),
];
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
            error_models: vec!["flips"],
            rates: RATES.to_vec(),
            protections: vec!["none"],
            persistence: "memory",
            seed: SEED,
            chips: scale.chips,
            split: "test",
            subjects: scale.chosen().flat_map(on_set).collect(),
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
        Self {
            name: "checksums".to_owned(),
            subjects: scale.chosen().flat_map(|set| of_models(set, &CHECKED_MODELS)).collect(),
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

    /// Figures 4 to 6 with faults in the weights alone, at the paper's rates.
    pub fn dummy_weights(scale: &Scale) -> Self {
        Self {
            name: "dummy-weights".to_owned(),
            targets: vec![WEIGHTS],
            rates: PAPER_DUMMY_RATES.to_vec(),
            ..Self::dummies(scale)
        }
    }

    /// The mean loss after one flip of the top bit of a network: what decides at rates at which ten chips meet none.
    pub fn profile(scale: &Scale, set: usize) -> Self {
        Self {
            name: format!("profile-{}", SETS[set].name),
            needs: Needs::ModelsOn(set),
            targets: vec![TOP_BIT],
            error_models: vec!["count:1"],
            rates: Vec::new(),
            chips: scale.profile_chips[0],
            subjects: of_models(set, &PROFILED_MODELS[..])
                .into_iter()
                .filter(|subject| set < 2 || subject.name != "afm")
                .collect(),
            ..Self::grid(scale)
        }
    }

    /// The same after several flips, which the profile needs where the rate times the words is near 1.
    pub fn profile_of_several(scale: &Scale, set: usize) -> Self {
        Self {
            name: format!("profile-several-{}", SETS[set].name),
            error_models: vec!["count:2", "count:4", "count:8"],
            chips: scale.profile_chips[1],
            ..Self::profile(scale, set)
        }
    }

    /// The counted cells of figure 10 on the chips of another seed.
    pub fn another_seed(scale: &Scale, set: usize, seed: u64) -> Self {
        Self {
            name: format!("seed-{seed}-{}", SETS[set].name),
            needs: Needs::ModelsOn(set),
            targets: vec!["all"],
            rates: PROTECTED_RATES.to_vec(),
            protections: COUNTED.to_vec(),
            seed,
            chips: scale.protected_chips,
            subjects: on_set(set),
            ..Self::grid(scale)
        }
    }

    /// Permanent faults next to flips, without a protection and under a code that corrects.
    pub fn permanent(scale: &Scale) -> Self {
        Self {
            name: "permanent".to_owned(),
            needs: Needs::ModelsOn(0),
            targets: vec!["all"],
            error_models: vec!["flips", "stuck-at:random"],
            rates: PROTECTED_RATES.to_vec(),
            protections: vec!["none", "secded"],
            subjects: on_set(0),
            ..Self::grid(scale)
        }
    }

    /// Transient faults in what networks compute, without checksums and with such that compute again.
    pub fn transient(scale: &Scale) -> Self {
        Self {
            name: "transient".to_owned(),
            needs: Needs::ModelsOn(0),
            targets: vec!["dense"],
            rates: TRANSIENT_RATES.to_vec(),
            protections: vec!["none", "abft-gemm:recompute"],
            persistence: "compute",
            subjects: of_models(0, &CHECKED_MODELS),
            ..Self::grid(scale)
        }
    }

    /// One flipped bit a chip, and whether a check of results sees it.
    pub fn detection(scale: &Scale) -> Self {
        Self {
            name: "detection".to_owned(),
            needs: Needs::ModelsOn(0),
            targets: DETECTED.iter().map(|(target, _)| *target).collect(),
            error_models: vec!["count:1"],
            rates: Vec::new(),
            protections: vec!["none", "abft-gemm:reload", "abft-embedding:reload"],
            chips: scale.profile_chips[1],
            subjects: of_models(0, &CHECKED_MODELS),
            ..Self::grid(scale)
        }
    }

    /// Models with few and many dense inputs with the same sparse part.
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
        // An error model of a count takes no rate.
        let counts = self.error_models.iter().filter(|name| name.starts_with("count:")).count();
        let at_rates = counts + (self.error_models.len() - counts) * self.rates.len();
        let cells = self.subjects.len() * self.targets.len() * at_rates * self.protections.len();
        cells as u64 * self.chips
    }

    /// Its plan, with paths under the study's directory.
    pub(crate) fn plan(&self) -> String {
        let Self { targets, error_models, rates, protections, seed, chips, split, .. } = self;
        let mut text = format!(
            "seed = {seed}\nchips = {chips}\nsplit = \"{split}\"\ntargets = {targets:?}\n\
             error_models = {error_models:?}\nprotections = {protections:?}\n"
        );
        if !rates.is_empty() {
            let _ = writeln!(text, "rates = {rates:?}");
        }
        if self.persistence != "memory" {
            let _ = writeln!(text, "persistence = \"{}\"", self.persistence);
        }
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
    of_models(set, &MODELS)
}

/// Some of them.
fn of_models(set: usize, models: &[&str]) -> Vec<Subject> {
    let name = SETS[set].name;
    let subject = |model: &&str| Subject {
        name: (*model).to_owned(),
        model: format!("{model}-{name}.safetensors"),
        data: format!("{name}.data"),
    };
    models.iter().map(subject).collect()
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
                Campaign::dummy_weights(&scale),
                Campaign::profile(&scale, 0),
                Campaign::profile_of_several(&scale, 2),
                Campaign::another_seed(&scale, 1, 2),
                Campaign::permanent(&scale),
                Campaign::transient(&scale),
                Campaign::detection(&scale),
                Campaign::inputs(&scale),
                Campaign::bag_values(&scale),
                Campaign::redrawn_split(&scale),
                Campaign::artefact_protections(&scale),
                Campaign::silent_rates(&scale),
            ];
            for campaign in campaigns {
                let text = campaign.plan();
                let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
                let plan = plan.plan();
                let rates = |model: &String| if model.starts_with("count") { 1 } else { plan.rates.len() };
                let at_rates: usize = plan.error_models.iter().map(rates).sum();
                let cells = plan.subjects.len() * plan.targets.len() * at_rates * plan.protections.len();
                assert_eq!(cells as u64 * plan.chips, campaign.trials(), "{}", campaign.name);
                assert!(campaign.trials() > 0);
            }
        }
    }

    #[test]
    fn the_paper_s_grid_has_15_subjects_3_targets_8_rates_and_10_chips() {
        let text = Campaign::grid(&Scale::full()).plan();
        let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
        let plan = plan.plan();
        assert_eq!((plan.subjects.len(), plan.targets.len(), plan.rates.len(), plan.chips), (15, 3, 8, 10));
    }
}
