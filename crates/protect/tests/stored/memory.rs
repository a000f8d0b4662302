//! Words to protect, and protections prepared for them.

use radhard_fault::*;
use radhard_protect::{Events, Protected, ProtectedExposure, ReadWork, Subject, parse_protection};

/// A table, first-order weights, a dense layer and a bias in f32, and tables in narrower formats; sizes that fill no codeword.
pub(crate) fn parameters() -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    let values = |count: usize, scale: f32| -> Vec<f32> {
        (0..count).map(|i| scale * ((i * 7919 % 2003) as f32 / 1001.5 - 1.0)).collect()
    };
    parameters.push_f32("embedding.weight", &[301, 5], Component::Embedding, &values(1505, 0.3));
    parameters.push_f32("linear.fc.weight", &[301, 1], Component::Embedding, &values(301, 1.9));
    parameters.push_f32("mlp.weight", &[9, 11], Component::Dense, &values(99, 0.5));
    parameters.push_f32("mlp.bias", &[1], Component::Dense, &[0.625]);
    for (name, shape, format) in
        [("half", &[53, 3], Format::F16), ("brain", &[53, 3], Format::BF16), ("codes", &[53, 5], Format::U8)]
    {
        let spec = ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            format,
            component: Component::Embedding,
        };
        let elements = spec.elements();
        parameters.push(spec);
        let index = parameters.specs().len() - 1;
        let mut words = parameters.words_mut(index);
        for element in 0..elements {
            let value =
                if format == Format::U8 { element as f64 % 251.0 } else { element as f64 / 200.0 - 0.4 };
            words.set(element, format.encode(value));
        }
    }
    parameters
}

/// One parameter of f32 words in (-1, 1).
pub(crate) fn words(count: usize) -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    let values: Vec<f32> = (0..count).map(|i| ((i * 7919 % 2003) as f32 + 0.5) / 1002.0 - 1.0).collect();
    parameters.push_f32("w", &[count, 1], Component::Embedding, &values);
    parameters
}

pub(crate) fn prepare(name: &str, parameters: &OwnedParameters) -> Protected {
    try_prepare(name, parameters).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn try_prepare(
    name: &str,
    parameters: &OwnedParameters,
) -> Result<Protected, radhard_protect::ProtectError> {
    let looked_up = vec![1.0; parameters.specs().len()];
    let subject = Subject { model: None, parameters, calibration: None, looked_up: &looked_up };
    parse_protection(name).unwrap().prepare(&subject)
}

/// A memory, a protection of it, and buffers.
pub(crate) struct Memory {
    pub(crate) clean: OwnedParameters,
    pub(crate) protected: Protected,
    pub(crate) exposure: ProtectedExposure,
    pub(crate) drawn: DrawnMap,
    pub(crate) read: DrawnMap,
    work: ReadWork,
}

impl Memory {
    pub(crate) fn new(name: &str, target: &str, mut clean: OwnedParameters) -> Self {
        parse_protection(name).unwrap().rewrite(&mut clean);
        let protected = prepare(name, &clean);
        let target: Target = target.parse().unwrap();
        let exposure =
            protected.exposure(&target.resolve(clean.specs(), Expose::Parameters).unwrap()).unwrap();
        let (drawn, read) = (DrawnMap::new(), DrawnMap::new());
        Self { clean, protected, exposure, drawn, read, work: ReadWork::default() }
    }

    /// Draws a chip and reads it.
    pub(crate) fn chip(&mut self, error_model: &str, chip: u64, rate: Option<f64>) -> Events {
        let error_model = parse_error_model(error_model).unwrap();
        let rate = rate.map(|rate| BitErrorRate::new(rate).unwrap());
        error_model.draw(Chip::new(5, chip), self.exposure.memory(), rate, &mut self.drawn).unwrap();
        self.read_drawn()
    }

    /// Reads what is drawn.
    pub(crate) fn read_drawn(&mut self) -> Events {
        self.protected.read(&self.exposure, &self.clean, &self.drawn, &mut self.work, &mut self.read).unwrap()
    }

    /// All words of a parameter as they are read.
    pub(crate) fn words_read(&self, index: usize) -> Vec<u64> {
        let mut words: Vec<u64> = self.clean.words(index).iter().collect();
        for parameter in self.read.parameters().iter().filter(|parameter| parameter.index() == index) {
            for (element, effect) in parameter.iter() {
                words[element as usize] = effect.on(words[element as usize]);
            }
        }
        words
    }

    /// All words of a parameter of the memory, one behind the model's included, as they are stored after the draw; `clean` gives
    /// them before.
    pub(crate) fn stored(&self, place: usize, mut clean: Vec<u64>) -> Vec<u64> {
        for parameter in self.drawn.parameters().iter().filter(|parameter| parameter.index() == place) {
            for (element, effect) in parameter.iter() {
                clean[element as usize] = effect.on(clean[element as usize]);
            }
        }
        clean
    }

    /// The place behind the model's parameters of what is kept under a name, among all that is exposed.
    pub(crate) fn place(&self, name: &str) -> usize {
        let specs = &self.exposure.memory().identity().specs;
        specs.iter().position(|spec| spec.name == name).unwrap()
    }
}
