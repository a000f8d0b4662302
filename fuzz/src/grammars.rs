//! Texts that name things: what is accepted is printed, and means the same when it is read again.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use radhard_campaign::CheckedPlan;
use radhard_data::prepare::{Condition, MovieLens};
use radhard_data::{IdRule, Part, SplitRatio};
use radhard_fault::{
    BitErrorRate, BitSelection, Component, Expose, Format, ParameterSpec, Persistence, Target,
    parse_error_model,
};
use radhard_metrics::{NonFinite, Outcome};
use radhard_models::{Init, Optimizer, TableFormat};
use radhard_protect::parse_protection;

/// Parameters of several formats, so that a target has something to match.
fn specs() -> Vec<ParameterSpec> {
    let spec = |name: &str, shape: &[usize], format, component| ParameterSpec {
        name: name.to_owned(),
        shape: shape.to_vec(),
        format,
        component,
    };
    vec![
        spec("embedding.weight", &[7, 4], Format::F32, Component::Embedding),
        spec("mlp.0.weight", &[4, 8], Format::F16, Component::Dense),
        spec("mlp.0.running_var", &[4], Format::F32, Component::State),
        spec("codes", &[5], Format::I8, Component::Unknown),
        spec("a,b@c*", &[3], Format::F64, Component::Dense),
    ]
}

/// Targets: the printed form reads back as the same target, and exposes bits that are there.
pub(crate) fn target(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(target) = text.parse::<Target>() else { return };
    let printed = target.to_string();
    let again: Target = printed.parse().expect("a printed target is a target");
    assert_eq!(again, target, "{text:?} is printed as {printed:?}, which is another target");
    let specs = specs();
    for expose in [Expose::Parameters, Expose::State] {
        let Ok(exposure) = target.resolve(&specs, expose) else { continue };
        let all: u64 = specs.iter().map(|spec| spec.elements() * u64::from(spec.format.bits())).sum();
        assert!((1..=all).contains(&exposure.bits()), "{text:?} exposes {} of {all} bits", exposure.bits());
        let same = again.resolve(&specs, expose).expect("equal targets fit the same model");
        assert_eq!(same.bits(), exposure.bits(), "{text:?}");
    }
}

/// Error models: the name reads back as the same model.
pub(crate) fn error_model(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(model) = parse_error_model(text) else { return };
    let again = parse_error_model(&model.name()).expect("the name of an error model is one");
    assert_eq!(again.name(), model.name(), "{text:?}");
    assert_eq!(again.takes_rate(), model.takes_rate(), "{text:?}");
    assert_eq!(again.flips_only(), model.flips_only(), "{text:?}");
}

/// Protections: the name reads back as the same combination.
pub(crate) fn protection(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(combination) = parse_protection(text) else { return };
    let again = parse_protection(&combination.name()).expect("the name of a protection is one");
    assert_eq!(again.name(), combination.name(), "{text:?}");
}

/// Reads a text, prints it, reads that: both values print alike.
fn reads_back<T: FromStr + Display>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let printed = value.to_string();
    let Ok(again) = printed.parse::<T>() else {
        panic!("{text:?} is read, but its printed form {printed:?} is refused");
    };
    assert_eq!(again.to_string(), printed, "{text:?}");
}

/// The settings of flags and plan keys.
pub(crate) fn settings(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    reads_back::<BitErrorRate>(text);
    reads_back::<BitSelection>(text);
    reads_back::<Condition>(text);
    reads_back::<Expose>(text);
    reads_back::<Format>(text);
    reads_back::<IdRule>(text);
    reads_back::<MovieLens>(text);
    reads_back::<NonFinite>(text);
    reads_back::<Outcome>(text);
    reads_back::<Part>(text);
    reads_back::<Persistence>(text);
    reads_back::<SplitRatio>(text);
    let _ = (text.parse::<Init>().is_ok(), text.parse::<Optimizer>().is_ok());
    let _ = text.parse::<TableFormat>().is_ok();
}

/// Plans: what is accepted keeps every rule.
pub(crate) fn plan(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(plan) = CheckedPlan::parse(text, Path::new("plan.toml")) else { return };
    assert_eq!(plan.text(), text);
    assert!(plan.plan().chips >= 1 && !plan.plan().subjects.is_empty());
    assert!(!plan.targets().is_empty() && !plan.error_models().is_empty() && !plan.protections().is_empty());
    let again = CheckedPlan::parse(text, Path::new("plan.toml")).expect("the same text is the same plan");
    assert_eq!(format!("{again:?}"), format!("{plan:?}"));
}
