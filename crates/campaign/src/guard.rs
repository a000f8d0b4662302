//! A subject under one protection of the plan: prepared, with a golden run of its own where it acts on clean data.

use std::collections::BTreeMap;

use radhard_engine::{Computed, LentModel};
use radhard_fault::{Exposure, Parameters, TargetError};
use radhard_metrics::Detection;
use radhard_models::{Component, Model};
use radhard_protect::{Combination, Events, ProtectError, Protected, ProtectedExposure, StageBounds};
use radhard_records::{Noticed, ProtectionCost, TimeRatio};

use crate::subject::{GoldenError, GoldenRun, Subject, SubjectError};

/// A protection of one subject.
pub struct Guard {
    /// What it makes of a chip.
    pub protected: Protected,
    /// The model as it is stored and scored under this protection; none where both are as in the unprotected one.
    pub own: Option<Own>,
    /// What each target exposes in protected memory.
    pub exposures: Vec<ProtectedExposure>,
    /// What each target exposes of what is computed, where faults strike there.
    pub computed: Vec<Computed>,
}

/// A golden run that differs from the unprotected one, or may.
pub struct Own {
    /// The model, where its words are stored otherwise.
    pub lent: Option<LentModel>,
    /// Its golden run, held against the unprotected one.
    pub golden: GoldenRun,
}

/// Why a subject can't be protected.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The protection finds no place to act, or refuses a setting.
    #[error("{model}: {source}")]
    Protect {
        /// The model's name.
        model: String,
        /// What is wrong.
        source: ProtectError,
    },
    /// Its golden run failed.
    #[error("protection {protection}: {source}")]
    Golden {
        /// The protection.
        protection: String,
        /// What is wrong.
        source: GoldenError,
    },
    /// Clean rows could not be read.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

impl Guard {
    /// Prepares a protection; scores under it are held against `unprotected`.
    pub fn prepare(
        subject: &Subject,
        combination: &Combination,
        targets: &[Exposure],
        computed: &[Computed],
        unprotected: &GoldenRun,
    ) -> Result<Self, GuardError> {
        let refused = |source| GuardError::Protect { model: subject.model_name.clone(), source };
        let own_model = combination.rewrites().then(|| {
            let mut lent = LentModel::new(subject.lent.model().clone());
            combination.rewrite(&mut lent);
            lent
        });
        let lent = own_model.as_ref().unwrap_or(&subject.lent);
        let rows = if combination.calibrates() { Some(subject.calibration()?) } else { None };
        let looked_up = looked_up(lent.model());
        let prepared = combination.prepare(&radhard_protect::Subject {
            model: Some(lent.model()),
            parameters: lent,
            calibration: rows.as_ref().filter(|rows| !rows.is_empty()).map(|rows| rows.view()),
            looked_up: &looked_up,
        });
        let protected = prepared.map_err(refused)?;
        let exposures =
            targets.iter().map(|target| protected.exposure(target)).collect::<Result<_, TargetError>>();
        let exposures = exposures.map_err(|source| refused(source.into()))?;
        let own = if own_model.is_some() || protected.hooks().is_some() {
            let golden = subject
                .golden_of(lent.model(), protected.hooks(), Some(unprotected))
                .map_err(|source| GuardError::Golden { protection: combination.name(), source })?;
            Some(Own { lent: own_model, golden })
        } else {
            None
        };
        Ok(Self { protected, own, exposures, computed: computed.to_vec() })
    }

    /// What faults of a cell's target are drawn on.
    pub fn exposed(&self, target: usize) -> &Exposure {
        self.computed.get(target).map_or_else(|| self.exposures[target].memory(), Computed::exposure)
    }

    /// The golden run of cells under this protection.
    pub fn golden<'a>(&'a self, unprotected: &'a GoldenRun) -> &'a GoldenRun {
        self.own.as_ref().map_or(unprotected, |own| &own.golden)
    }

    /// What it costs, measured beside unprotected passes where its readers have kernels.
    pub fn cost(&self, subject: &Subject) -> ProtectionCost {
        let cost = self.protected.cost();
        let checked = crate::reading::check_clean(self.stored(subject), &subject.rows, &self.protected);
        let mut assumptions = cost.assumptions;
        if !self.computed.is_empty() && self.protected.guards_words() {
            assumptions.push(
                "stored words alone are protected: nothing is done about faults in what is computed"
                    .to_owned(),
            );
        }
        ProtectionCost {
            subject: subject.key(self.protected.name()),
            memory_bits: cost.memory_bits,
            memory_share: self.memory_share(subject),
            operations_per_sample: cost.operations_per_sample,
            calibration_rows: cost.calibration_rows,
            checks: checked.checks,
            false_alarms_per_million: (checked.checks > 0)
                .then(|| checked.fired as f64 * 1e6 / checked.checks as f64),
            acts_on_clean: self.own.is_some(),
            time: self.time(subject),
            assumptions: assumptions.join("; "),
            bounds: self.bounds(),
        }
    }

    /// Bounds that calibration found, as records hold them: stage → what is bounded → [low, high], as JSON.
    pub fn bounds(&self) -> Option<String> {
        let bounds = self.protected.taken_bounds();
        // An f32 is written as the double that it is, so that it reads back exactly.
        let wide: BTreeMap<_, BTreeMap<_, _>> = bounds
            .into_iter()
            .map(|(stage, of)| (stage, of.into_iter().map(|(name, of)| (name, of.map(f64::from))).collect()))
            .collect();
        if wide.is_empty() { None } else { serde_json::to_string(&wide).ok() }
    }

    /// Bits that it keeps beside the model's own, as a share of these.
    pub fn memory_share(&self, subject: &Subject) -> f64 {
        let lent = self.stored(subject);
        let specs =
            lent.specs().iter().filter(|spec| spec.name.rsplit('.').next() != Some("num_batches_tracked"));
        let bits: u64 = specs.map(radhard_fault::ParameterSpec::bits).sum();
        self.protected.cost().memory_bits as f64 / bits as f64
    }

    /// Time of a pass under it over that of an unprotected one, in turns; none where there is nothing to time.
    pub fn time(&self, subject: &Subject) -> Option<TimeRatio> {
        crate::reading::time(self.stored(subject), &subject.rows, &self.protected)
    }

    /// The model as it is stored under this protection.
    fn stored<'a>(&'a self, subject: &'a Subject) -> &'a LentModel {
        self.own.as_ref().and_then(|own| own.lent.as_ref()).unwrap_or(&subject.lent)
    }
}

/// Reads bounds as [`Guard::bounds`] writes them.
///
/// Errors: what is wrong with the text.
pub fn read_bounds(text: &str) -> Result<StageBounds, String> {
    let wide: BTreeMap<String, BTreeMap<String, [f64; 2]>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let narrow = |of: [f64; 2]| of.map(|bound| bound as f32);
    let stage =
        |of: BTreeMap<String, [f64; 2]>| of.into_iter().map(|(name, of)| (name, narrow(of))).collect();
    Ok(wide.into_iter().map(|(name, of)| (name, stage(of))).collect())
}

/// Words of each parameter that one scored row looks up.
pub(crate) fn looked_up(model: &Model) -> Vec<f64> {
    let per_row = |tensor: &radhard_models::Tensor| {
        if tensor.component() == Component::Embedding {
            crate::prediction::words_per_row(model, tensor.shape()) as f64
        } else {
            0.0
        }
    };
    model.parameters().iter().map(per_row).collect()
}

/// What records say of what protections noticed.
pub(crate) fn noticed(events: Events) -> Noticed {
    Noticed {
        detected: events.detected,
        corrected: events.corrected,
        reloads: events.reloads,
        reload_bytes: events.reload_bytes,
        retries: events.retries,
        fallbacks: events.fallbacks,
        ..Noticed::default()
    }
}

/// What detectors did in a trial that found so much: recovered where all is as in the golden run, unrecovered where a stored word
/// that was found bad was not restored. Where all that was found was restored and scores differ nevertheless, the rest was silent.
pub(crate) fn detection(detected: u64, words: Noticed, as_golden: bool) -> Detection {
    if detected == 0 {
        Detection::Silent
    } else if as_golden {
        Detection::Recovered
    } else if words.detected > words.corrected + words.reloads {
        Detection::Unrecovered
    } else {
        Detection::Silent
    }
}
