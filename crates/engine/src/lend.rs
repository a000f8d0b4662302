//! A model's parameters, lent to the fault room as words.

use radhard_fault as fault;
use radhard_models::{Component, Model, NumberFormat};

/// Lends a model's parameters; what is injected through it is in the model itself.
#[derive(Debug)]
pub struct LentModel {
    model: Model,
    specs: Vec<fault::ParameterSpec>,
}

impl LentModel {
    /// Takes the model in, so that nothing else can change it while faults are in it.
    pub fn new(model: Model) -> Self {
        let specs = model
            .parameters()
            .iter()
            .map(|t| fault::ParameterSpec {
                name: t.name().to_owned(),
                shape: t.shape().to_vec(),
                format: format(t.format()),
                component: component(t.component()),
            })
            .collect();
        Self { model, specs }
    }

    /// The model, as it is now.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl fault::Parameters for LentModel {
    fn specs(&self) -> &[fault::ParameterSpec] {
        &self.specs
    }

    fn words(&self, index: usize) -> fault::Words<'_> {
        let tensor = &self.model.parameters().as_slice()[index];
        let (format, view) = view(&self.specs[index]);
        fault::Words::new(tensor.bytes(), format, view).expect("a tensor holds the words of its shape")
    }

    fn words_mut(&mut self, index: usize) -> fault::WordsMut<'_> {
        let (format, view) = view(&self.specs[index]);
        let tensor = self.model.parameters_mut().get_mut(index).expect("specs list the model's tensors");
        fault::WordsMut::new(tensor.bytes_mut(), format, view).expect("a tensor holds the words of its shape")
    }
}

fn view(spec: &fault::ParameterSpec) -> (fault::Format, fault::View) {
    (spec.format, fault::View::contiguous(spec.format, spec.elements() as usize))
}

/// The fault room's name of a component.
pub fn component(of: Component) -> fault::Component {
    match of {
        Component::Embedding => fault::Component::Embedding,
        Component::Dense => fault::Component::Dense,
        Component::State => fault::Component::State,
    }
}

/// The fault room's name of a number format.
fn format(of: NumberFormat) -> fault::Format {
    of.as_str().parse().expect("formats are called alike in both rooms")
}
