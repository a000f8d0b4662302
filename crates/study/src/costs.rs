//! What clipping and the ways to build selective bit protection cost.

use radhard_campaign::guard::Guard;
use radhard_campaign::subject::Subject;
use radhard_data::Part;
use radhard_fault::{Expose, Parameters, Target};
use radhard_metrics::NonFinite;
use radhard_protect::parse_protection;
use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::sets::SETS;
use crate::study::{Study, StudyError};
use crate::training::MODELS;

/// The text's clip, and what could stand for selective bit protection.
pub(crate) const CLIP: &str = "clip:paper";
/// The ways to build selective bit protection; the ideal one keeps nothing and reads as fast as no protection, but cannot be built.
pub(crate) const REALISED: [&str; 3] = ["sbp=tmr", "sbp=sec", "sbp=parity"];

/// What one protection costs on one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The model.
    pub model: String,
    /// The data set.
    pub data: String,
    /// The protection.
    pub protection: String,
    /// Bits kept beside the model's own, as a share of these.
    pub memory_share: f64,
    /// Operations more per scored row.
    pub operations_per_sample: f64,
    /// Time of a protected pass over that of an unprotected one: smallest, median and largest of some pairs.
    pub time: Option<[f64; 3]>,
    /// Pairs of passes.
    pub n: u64,
}

impl Study<'_> {
    /// What protections cost on the models of the smallest and the largest data set; `None` where the audience ended it.
    pub(crate) fn costs(&self, audience: &dyn Audience) -> Result<Option<Vec<Cost>>, StudyError> {
        let mut clock = self.clock();
        let wanted = [0, SETS.len() - 1].into_iter().filter(|set| self.scale.sets[*set]);
        for data in wanted.map(|set| SETS[set].name) {
            for model in MODELS {
                if clock.costs.iter().any(|cost| (cost.model.as_str(), cost.data.as_str()) == (model, data)) {
                    continue;
                }
                if audience.stop() {
                    return Ok(None);
                }
                audience.stage(&format!("timing protections of {model} on {data}"));
                clock.costs.extend(self.costs_of(model, data)?);
                self.keep(&clock)?;
            }
        }
        Ok(Some(clock.costs))
    }

    fn costs_of(&self, model: &str, data: &str) -> Result<Vec<Cost>, StudyError> {
        let refused = |error: &dyn std::fmt::Display| StudyError::Struck {
            model: format!("{model} on {data}"),
            reason: error.to_string(),
        };
        let (path, rows) = (self.model(&format!("{model}-{data}")), self.data(data));
        let subject = Subject::open(&path, &rows, Some(model), Part::Test, NonFinite::Fallback)
            .map_err(|error| refused(&error))?;
        let golden = subject.golden().map_err(|error| refused(&error))?;
        let exposure = Target::all()
            .resolve(subject.lent.specs(), Expose::Parameters)
            .map_err(|error| refused(&error))?;
        let mut costs = Vec::new();
        for protection in [CLIP].into_iter().chain(REALISED) {
            let combination = parse_protection(protection).map_err(|error| refused(&error))?;
            let guard = Guard::prepare(&subject, &combination, std::slice::from_ref(&exposure), &[], &golden)
                .map_err(|error| refused(&error))?;
            let time = guard.time(&subject);
            costs.push(Cost {
                model: model.to_owned(),
                data: data.to_owned(),
                protection: protection.to_owned(),
                memory_share: guard.memory_share(&subject),
                operations_per_sample: guard.protected.cost().operations_per_sample,
                time: time.map(|time| [time.low, time.median, time.high]),
                n: time.map_or(0, |time| time.n),
            });
        }
        Ok(costs)
    }
}
