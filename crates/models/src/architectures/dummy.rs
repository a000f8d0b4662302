//! The dummy model: an untrained MLP and a multi-hot table under a predictor (Ma et al. 2023, section 5.1).

use crate::architecture::Architecture;
use crate::config::Config;
use crate::graph::{Builder, Graph};
use crate::parameter::{Component, Start};

/// Width of the dense extractor's output, in the paper.
const EXTRACTED: usize = 32;

/// An MLP on the numeric inputs, the sum of the set bits' embedding rows, and an MLP on both.
///
/// The one field's dim is the length of the sparse vector; `mlp_dims` are the hidden layers of either MLP.
pub(crate) struct Dummy;

impl Architecture for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn formula(&self) -> &'static str {
        "predictor([extractor(numeric); Σ rows of set bits]), no sigmoid"
    }

    fn takes_numeric(&self) -> bool {
        true
    }

    fn takes_bags(&self) -> bool {
        true
    }

    fn answers_probabilities(&self) -> bool {
        false
    }

    fn graph(&self, config: &Config) -> Graph {
        let mut b = Builder::new(&Dummy, config);
        let bag = b.embedding_bag("sparse_extractor.weight");
        let mut x = b.numeric();
        for (i, &width) in config.mlp_dims.iter().chain([&EXTRACTED]).enumerate() {
            x = kaiming_linear(&mut b, &format!("dense_extractor.{}", 2 * i), x, width);
            x = b.rectifier(x);
        }
        let mut both = b.concatenation(&[x, bag]);
        for (i, &width) in config.mlp_dims.iter().enumerate() {
            both = kaiming_linear(&mut b, &format!("predictor.{}", 2 * i), both, width);
            both = b.rectifier(both);
        }
        let output = kaiming_linear(&mut b, &format!("predictor.{}", 2 * config.mlp_dims.len()), both, 1);
        b.finish(&[output])
    }
}

/// A linear layer whose matrix starts Kaiming-uniform: bound √(6 / in); biases as torch starts them.
fn kaiming_linear(b: &mut Builder, name: &str, input: usize, outputs: usize) -> usize {
    let inputs = b.width(input);
    let weight =
        b.parameter(&format!("{name}.weight"), &[outputs, inputs], Component::Dense, Start::kaiming(inputs));
    let bias = b.parameter(&format!("{name}.bias"), &[outputs], Component::Dense, Start::fan_in(inputs));
    b.linear_of(weight, bias, input, outputs)
}
