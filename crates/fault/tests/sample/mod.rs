//! Exposures and draws from text.

use radhard_fault::*;

/// What a target exposes of the learnt parameters.
pub(crate) fn exposure(parameters: &impl Parameters, target: &str) -> Exposure {
    target.parse::<Target>().unwrap().resolve(parameters.specs(), Expose::Parameters).unwrap()
}

/// What an error model draws on a chip.
pub(crate) fn draw(error_model: &str, chip: Chip, exposure: &Exposure, rate: Option<f64>) -> DrawnMap {
    let mut drawn = DrawnMap::new();
    let rate = rate.map(|rate| BitErrorRate::new(rate).unwrap());
    parse_error_model(error_model).unwrap().draw(chip, exposure, rate, &mut drawn).unwrap();
    drawn
}
