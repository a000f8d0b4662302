//! The plan: what a campaign asks for, as TOML, checked before anything runs.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use radhard_data::Part;
use radhard_fault::{BitErrorRate, ErrorModel, Expose, Persistence, Target, parse_error_model};
use radhard_metrics::NonFinite;
use radhard_protect::{Combination, parse_protection};
use radhard_records::metric;
use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A plan as it is written: every key of docs/formats/plan.md, nothing checked but its types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of every virtual chip; two campaigns with the same seed meet the same chips.
    ///
    /// TOML's whole numbers end at 2^63 - 1; a greater seed is written as a text.
    #[serde(default = "defaults::seed", deserialize_with = "seed", serialize_with = "seed_as_written")]
    pub seed: u64,
    /// Chips drawn in each cell.
    #[serde(default = "defaults::chips")]
    pub chips: u64,
    /// Which rows are scored: `train`, `validation`, `test` or `all`.
    #[serde(default = "defaults::split")]
    pub split: String,
    /// `auto` takes the quickest exact path, `full` scores every row of every chip.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// What a prediction that is not finite counts as in `auc`: `fallback`, `lowest` or `highest`.
    #[serde(default = "defaults::non_finite")]
    pub non_finite: String,
    /// `parameters`, or `state` to expose BatchNorm statistics as well.
    #[serde(default = "defaults::expose")]
    pub expose: String,
    /// `memory` for faults in what is stored, `compute` for transient ones in what layers compute.
    #[serde(default)]
    pub persistence: Persistence,
    /// What is hit: `all`, `embedding`, `dense`, globs over parameter names, each with an optional `@bits`.
    #[serde(default = "defaults::targets")]
    pub targets: Vec<String>,
    /// How bits go wrong: `flips`, `count:8`, `burst:4:0.5`, `stuck-at:random`, and so on.
    #[serde(default = "defaults::error_models")]
    pub error_models: Vec<String>,
    /// Bit error rates, per exposed bit and trial, in [0, 1].
    #[serde(default)]
    pub rates: Vec<f64>,
    /// What protects the model; `none` is the unprotected model.
    #[serde(default = "defaults::protections")]
    pub protections: Vec<String>,
    /// Metrics that are recorded beside the fixed scores: `auc_logit`.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// The pairs of model and data that are measured.
    #[serde(default, rename = "subject")]
    pub subjects: Vec<SubjectPaths>,
}

/// One model with the data it is scored on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectPaths {
    /// The model file, relative to the plan.
    pub model: PathBuf,
    /// The prepared data file, relative to the plan.
    pub data: PathBuf,
    /// What records call the model; without it, the name of its architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Bytes that a plan may have.
const MOST_BYTES: u64 = 16 << 20;

/// Chips that a cell may have: the largest number that JSON readers keep exactly.
const MOST_CHIPS: u64 = 1 << 53;

/// How trials are evaluated; both give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evaluation {
    /// The quickest exact path: chips without flips are known to be golden and are not run.
    #[default]
    Auto,
    /// Every chip runs, and every row of it is scored.
    Full,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Full => "full",
        })
    }
}

impl FromStr for Evaluation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "full" => Ok(Self::Full),
            other => Err(format!("evaluation \"{other}\" is not one of auto, full")),
        }
    }
}

mod defaults {
    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn chips() -> u64 {
        100
    }
    pub(super) fn split() -> String {
        "test".into()
    }
    pub(super) fn non_finite() -> String {
        "fallback".into()
    }
    pub(super) fn expose() -> String {
        "parameters".into()
    }
    pub(super) fn targets() -> Vec<String> {
        vec!["all".into()]
    }
    pub(super) fn error_models() -> Vec<String> {
        vec!["flips".into()]
    }
    pub(super) fn protections() -> Vec<String> {
        vec!["none".into()]
    }
}

/// A seed: a whole number, or a text of one.
fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Seed;

    impl Visitor<'_> for Seed {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a seed from 0 to 18446744073709551615, above 9223372036854775807 in quotes")
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
            u64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(Seed)
}

/// A seed as [`seed`] reads it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn seed_as_written<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(small) => serializer.serialize_i64(small),
        Err(_) => serializer.serialize_str(&seed.to_string()),
    }
}

/// Why a plan can't be run as it stands.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The plan's path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not TOML, or a key is unknown or of another type; the message shows line and column.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// The plan's path.
        path: PathBuf,
        /// What the parser said, with the place.
        source: Box<toml::de::Error>,
    },
    /// A key holds a value that breaks its rule.
    #[error("{}: {key}: {rule}", path.display())]
    Value {
        /// The plan's path.
        path: PathBuf,
        /// The key, with its position in a list.
        key: String,
        /// The value and the rule it breaks.
        rule: String,
    },
}

/// A plan whose every value has passed its rule; only [`CheckedPlan::check`] makes one.
pub struct CheckedPlan {
    plan: Plan,
    text: String,
    base: PathBuf,
    split: Part,
    non_finite: NonFinite,
    expose: Expose,
    targets: Vec<Target>,
    error_models: Vec<Box<dyn ErrorModel>>,
    rates: Vec<BitErrorRate>,
    protections: Vec<Combination>,
    metrics: Vec<String>,
}

impl CheckedPlan {
    /// Reads and checks a plan file.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = radhard_memory::read_text(path, MOST_BYTES)
            .map_err(|source| PlanError::Read { path: path.to_path_buf(), source })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a plan; `path` names it in errors and anchors its relative paths.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PlanError> {
        let plan: Plan = toml::from_str(text)
            .map_err(|source| PlanError::Syntax { path: path.to_path_buf(), source: Box::new(source) })?;
        Self::check(plan, text, path)
    }

    /// Checks every value of a plan against its rule.
    pub fn check(plan: Plan, text: &str, path: &Path) -> Result<Self, PlanError> {
        let wrong = |key: String, rule: String| PlanError::Value { path: path.to_path_buf(), key, rule };
        if plan.chips == 0 {
            return Err(wrong("chips".into(), "0 chips measure nothing; the least is 1".into()));
        }
        if plan.chips > MOST_CHIPS {
            return Err(wrong("chips".into(), format!("{} chips are more than {MOST_CHIPS}", plan.chips)));
        }
        if plan.subjects.is_empty() {
            let rule = "no subject given; add [[subject]] with model = \"…\" and data = \"…\"";
            return Err(wrong("subject".into(), rule.into()));
        }
        let split = plan.split.parse().map_err(|e| wrong("split".into(), format!("{e}")))?;
        let non_finite = plan.non_finite.parse().map_err(|e| wrong("non_finite".into(), format!("{e}")))?;
        let expose = plan.expose.parse().map_err(|e| wrong("expose".into(), format!("{e}")))?;
        let targets: Vec<Target> = parse_each("targets", &plan.targets, &wrong)?;
        unique("targets", targets.iter().map(ToString::to_string), &wrong)?;
        let mut error_models = Vec::new();
        for (i, text) in plan.error_models.iter().enumerate() {
            error_models.push(
                parse_error_model(text).map_err(|e| wrong(format!("error_models[{i}]"), e.to_string()))?,
            );
        }
        if error_models.is_empty() {
            return Err(wrong("error_models".into(), "the list is empty".into()));
        }
        if plan.persistence == Persistence::Compute {
            if let Some(i) = error_models.iter().position(|model| !model.flips_only()) {
                let model = &error_models[i];
                let rule = format!("{} is about what is stored, and persistence is compute", model.name());
                return Err(wrong(format!("error_models[{i}]"), rule));
            }
            if expose == Expose::State {
                let rule = "state is stored, and persistence is compute".to_owned();
                return Err(wrong("expose".into(), rule));
            }
        }
        unique("error_models", error_models.iter().map(|m| m.name()), &wrong)?;
        let mut rates = Vec::new();
        for (i, &rate) in plan.rates.iter().enumerate() {
            rates.push(BitErrorRate::new(rate).map_err(|e| wrong(format!("rates[{i}]"), e.to_string()))?);
        }
        if rates.is_empty()
            && let Some(model) = error_models.iter().find(|m| m.takes_rate())
        {
            return Err(wrong(
                "rates".into(),
                format!("the list is empty, and {} needs a rate", model.name()),
            ));
        }
        unique("rates", plan.rates.iter().map(|r| format!("{r:e}")), &wrong)?;
        if plan.protections.is_empty() {
            return Err(wrong(
                "protections".into(),
                "the list is empty; \"none\" is the unprotected model".into(),
            ));
        }
        let mut protections = Vec::new();
        for (i, text) in plan.protections.iter().enumerate() {
            protections
                .push(parse_protection(text).map_err(|e| wrong(format!("protections[{i}]"), e.to_string()))?);
        }
        unique("protections", protections.iter().map(Combination::name), &wrong)?;
        for (i, name) in plan.metrics.iter().enumerate() {
            if !metric::KNOWN.iter().any(|(known, _)| known == name) {
                let known: Vec<&str> = metric::KNOWN.iter().map(|(known, _)| *known).collect();
                let rule = format!("{name} is no metric that can be added; there are: {}", known.join(", "));
                return Err(wrong(format!("metrics[{i}]"), rule));
            }
        }
        unique("metrics", plan.metrics.iter().cloned(), &wrong)?;
        let mut metrics = plan.metrics.clone();
        metrics.sort();
        let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Self {
            plan,
            text: text.to_owned(),
            base,
            split,
            non_finite,
            expose,
            targets,
            error_models,
            rates,
            protections,
            metrics,
        })
    }

    /// The plan as written.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The text the plan was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A path of the plan, resolved against the plan's own directory.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// The rows that are scored.
    pub fn split(&self) -> Part {
        self.split
    }

    /// What a non-finite prediction counts as in `auc`.
    pub fn non_finite(&self) -> NonFinite {
        self.non_finite
    }

    /// Whether BatchNorm statistics are exposed.
    pub fn expose(&self) -> Expose {
        self.expose
    }

    /// Where faults strike.
    pub fn persistence(&self) -> Persistence {
        self.plan.persistence
    }

    /// The targets, in the plan's order.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The error models, in the plan's order.
    pub fn error_models(&self) -> &[Box<dyn ErrorModel>] {
        &self.error_models
    }

    /// The protections, in the plan's order; `none` has no stage.
    pub fn protections(&self) -> &[Combination] {
        &self.protections
    }

    /// The metrics beside the fixed scores, sorted.
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// The bit error rates, in the plan's order.
    pub fn rates(&self) -> &[BitErrorRate] {
        &self.rates
    }
}

impl fmt::Debug for CheckedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CheckedPlan").field(&self.plan).finish()
    }
}

fn parse_each<T>(
    key: &str,
    texts: &[String],
    wrong: &impl Fn(String, String) -> PlanError,
) -> Result<Vec<T>, PlanError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    if texts.is_empty() {
        return Err(wrong(key.into(), "the list is empty".into()));
    }
    let each = texts.iter().enumerate();
    each.map(|(i, t)| t.parse().map_err(|e: T::Err| wrong(format!("{key}[{i}]"), e.to_string()))).collect()
}

fn unique(
    key: &str,
    names: impl Iterator<Item = String>,
    wrong: &impl Fn(String, String) -> PlanError,
) -> Result<(), PlanError> {
    let mut seen = BTreeSet::new();
    for (i, name) in names.enumerate() {
        if !seen.insert(name.clone()) {
            return Err(wrong(format!("{key}[{i}]"), format!("{name} is listed twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        CheckedPlan::parse(text, Path::new("plan.toml")).unwrap_err().to_string()
    }

    const SUBJECT: &str = "[[subject]]\nmodel = \"m\"\ndata = \"d\"\n";

    #[test]
    fn a_plan_of_subject_and_rates_has_the_documented_defaults() {
        let plan =
            CheckedPlan::parse(&format!("rates = [1e-6]\n{SUBJECT}"), Path::new("a/plan.toml")).unwrap();
        assert_eq!(plan.plan().seed, 1);
        assert_eq!(plan.plan().chips, 100);
        assert_eq!(plan.targets()[0].to_string(), "all");
        assert_eq!(plan.error_models()[0].name(), "flips");
        assert_eq!(plan.resolve(Path::new("m")), Path::new("a/m"));
    }

    #[test]
    fn seeds_go_to_the_last_of_64_bits() {
        for (written, seed) in [
            ("0", 0),
            ("9223372036854775807", i64::MAX as u64),
            ("\"18446744073709551615\"", u64::MAX),
            ("\"7\"", 7),
        ] {
            let text = format!("seed = {written}\nrates = [1e-3]\n{SUBJECT}");
            let plan = CheckedPlan::parse(&text, Path::new("plan.toml")).unwrap();
            assert_eq!(plan.plan().seed, seed);
            let again = toml::to_string(plan.plan()).unwrap();
            assert_eq!(CheckedPlan::parse(&again, Path::new("plan.toml")).unwrap().plan().seed, seed);
        }
        for written in ["-1", "\"-1\"", "\"18446744073709551616\"", "\"one\"", "1.5"] {
            let message = error(&format!("seed = {written}\nrates = [1e-3]\n{SUBJECT}"));
            assert!(message.contains("18446744073709551615") && message.contains("seed"), "{message}");
        }
    }

    #[test]
    fn every_bad_value_names_its_key_value_and_rule() {
        for (text, parts) in [
            ("rates = [1e-3, 1.5]", &["plan.toml", "rates[1]", "1.5", "[0, 1]"][..]),
            ("rates = [-1e-3]", &["rates[0]", "-0.001"]),
            ("rates = [nan]", &["rates[0]", "NaN"]),
            ("rates = [1e-3, 0.001]", &["rates[1]", "twice"]),
            ("rates = []", &["rates", "empty", "flips"]),
            ("rates = [1e-3]\nchips = 0", &["chips", "least is 1"]),
            (
                "rates = [1e-3]\nprotections = [\"shield\"]",
                &["protections[0]", "shield", "there are: none, sbp"],
            ),
            ("rates = [1e-3]\nprotections = [\"none\", \"tmr+tmr\"]", &["protections[1]", "tmr and tmr"]),
            (
                "rates = [1e-3]\nprotections = [\"sbp\", \"sbp:sign,exponent\"]",
                &["protections[1]", "sbp is listed twice"],
            ),
            ("rates = [1e-3]\nerror_models = [\"flop\"]", &["error_models[0]", "flop", "flips"]),
            ("rates = [1e-3]\nsplit = \"tests\"", &["split", "tests"]),
            ("rates = [1e-3]\nrate = [1e-3]", &["rate", "unknown field"]),
            ("rates = [1e-3]\nevaluation = \"fast\"", &["evaluation", "fast"]),
            (
                "rates = [1e-3]\npersistence = \"compute\"\nerror_models = [\"flips\", \"stuck-at:0\"]",
                &["error_models[1]", "stuck-at:0", "compute"],
            ),
            ("rates = [1e-3]\npersistence = \"compute\"\nexpose = \"state\"", &["expose", "compute"]),
            ("rates = [1e-3]\npersistence = \"disk\"", &["persistence", "disk"]),
            ("rates = [1e-3]\nnon_finite = \"drop\"", &["non_finite", "drop"]),
            ("rates = [1e-3]\ntargets = []", &["targets", "empty"]),
            ("rates = [1e-3]\nmetrics = [\"auc\"]", &["metrics[0]", "auc_logit"]),
            ("rates = [1e-3]\nmetrics = [\"auc_logit\", \"auc_logit\"]", &["metrics[1]", "twice"]),
        ] {
            let message = error(&format!("{text}\n{SUBJECT}"));
            for part in parts {
                assert!(message.contains(part), "{message:?} lacks {part:?}");
            }
        }
        assert!(error("rates = [1e-3]").contains("no subject"));
    }
}
