//! The table of architectures: a new model is one file and one line here.

use crate::architectures::afm::Afm;
use crate::architectures::dcn::Dcn;
use crate::architectures::deepfm::DeepFm;
use crate::architectures::dlrm::Dlrm;
use crate::architectures::dummy::Dummy;
use crate::architectures::fm::Fm;
use crate::architectures::wide_deep::WideDeep;
use crate::config::Config;
use crate::graph::Graph;
use crate::parameter::Component;

/// A model: its parameters in state-dict order and the layers that read them.
pub trait Architecture: Sync {
    /// The name in plans and files.
    fn name(&self) -> &'static str;

    /// What it computes, in one line.
    fn formula(&self) -> &'static str;

    /// Whether it reads numeric inputs beside the categorical fields.
    fn takes_numeric(&self) -> bool {
        false
    }

    /// Whether it reads a bag of rows of one table instead of one row per field.
    fn takes_bags(&self) -> bool {
        false
    }

    /// Whether its logits go through a sigmoid; else its scores are the raw outputs.
    fn answers_probabilities(&self) -> bool {
        true
    }

    /// Parameters and layers for a configuration that was checked.
    fn graph(&self, config: &Config) -> Graph;
}

/// Every architecture there is.
pub fn architectures() -> &'static [&'static dyn Architecture] {
    &[&Fm, &DeepFm, &WideDeep, &Dcn, &Afm, &Dlrm, &Dummy]
}

/// The architecture of a name.
pub fn architecture(name: &str) -> Option<&'static dyn Architecture> {
    architectures().iter().copied().find(|a| a.name() == name)
}

/// The names of a configuration's tensors with their parts, in state-dict order.
///
/// # Errors
/// If the configuration is not one of a known model.
pub fn components(config: &Config) -> Result<Vec<(String, Component)>, crate::ConfigError> {
    let graph = Graph::of(config)?;
    Ok(graph.specs().iter().map(|s| (s.name.clone(), s.component)).collect())
}
