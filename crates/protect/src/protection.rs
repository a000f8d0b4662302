//! The two traits: what a protection is called, and what it is once it knows the model it protects.

use std::collections::BTreeMap;

use radhard_data::RowsView;
use radhard_fault::{Effect, ParameterSpec, Parameters, TargetError, Words};
use radhard_models::{Hooks, Model};

use crate::stored::GatherReader;

/// A protection before it has met a model.
///
/// Source: the definitions of the literature; each type names its own.
pub trait Protection: Send + Sync {
    /// Canonical name with all settings, such as `sbp=tmr:30`; it reads back to the same protection.
    fn name(&self) -> String;

    /// Where it acts, if there can be only one there.
    fn place(&self) -> Option<String> {
        None
    }

    /// Whether words are stored otherwise than in the unprotected model, so that the fault-free scores differ too.
    fn rewrites(&self) -> bool {
        false
    }

    /// Whether bounds are taken from clean rows.
    fn calibrates(&self) -> bool {
        false
    }

    /// The same protection with bounds that were taken before; `None` for those that take none from clean rows.
    fn with_bounds(&self, _bounds: &LayerBounds) -> Option<Box<dyn Protection>> {
        None
    }

    /// Brings the words into the form in which they are stored.
    fn rewrite(&self, _parameters: &mut dyn Parameters) {}

    /// Makes bounds, checksums and layouts from clean words, which [`rewrite`](Self::rewrite) has seen.
    ///
    /// Errors: there is no place to act at, or a setting that makes no sense for this model.
    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError>;
}

/// Bounds by the layer that they bound, lowest and highest.
pub type LayerBounds = BTreeMap<String, [f32; 2]>;

/// What a protection is prepared for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The clean model; none for a file whose architecture is not known, or where stored words alone are protected.
    pub model: Option<&'a Model>,
    /// Its words.
    pub parameters: &'a dyn Parameters,
    /// Clean rows to take bounds from; none where the data have no such part.
    pub calibration: Option<RowsView<'a>>,
    /// Words of each parameter that are looked up per scored row; 0 for those that are read once for all rows.
    pub looked_up: &'a [f64],
}

/// Words that a protection keeps in the same memory as the parameter they belong to, so that faults hit them too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Place of the parameter in the model.
    pub of: usize,
    /// What they are; named after the parameter, with `#check`, `#copy1` and so on behind it.
    pub spec: ParameterSpec,
    /// Bits of each word that exist.
    pub mask: u64,
}

/// What a chip did to the words of one parameter and to those kept for it.
#[derive(Clone, Copy)]
pub struct Touched<'a> {
    /// Place of the parameter in the model.
    pub index: usize,
    /// The words as they were stored.
    pub clean: Words<'a>,
    /// Elements that were touched, in order, with what is read there so far.
    pub words: &'a [(u64, u64)],
    /// Effects on the words kept for it, in order, one list for each of its [`Kept`].
    pub kept: &'a [Vec<(u64, Effect)>],
}

/// A protection of one model.
///
/// What it makes of a chip is a pure function of clean words at the touched codewords and of the draw, in O(flips).
pub trait Prepared: Send + Sync {
    /// Bits of this parameter that can't be hit.
    fn shield(&self, _index: usize) -> u64 {
        0
    }

    /// Bits of this parameter that it keeps right, and that no other may keep right too.
    fn owns(&self, index: usize) -> u64 {
        self.shield(index)
    }

    /// What it keeps beside the parameters.
    fn kept(&self) -> &[Kept] {
        &[]
    }

    /// A word of what is kept, as it was stored: of the `copy`-th [`Kept`] of a parameter with these clean words.
    fn kept_word(&self, _index: usize, _copy: usize, _clean: Words<'_>, _element: u64) -> u64 {
        0
    }

    /// Whether [`read`](Self::read) does anything; protections of activations and results leave words alone.
    fn reads(&self) -> bool {
        false
    }

    /// Appends to `out`, in order, the elements of which something else is read than was stored, with what is read.
    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, _events: &mut Events) {
        out.extend_from_slice(touched.words);
    }

    /// What it does to values between layers.
    fn hooks(&self) -> Option<&dyn Hooks> {
        None
    }

    /// Reads runs of f32 words as [`read`](Self::read) does, all of them, as a load or a gather would: to be timed, and to count
    /// false alarms. What is kept for them is made from `clean`, whole rows of parameter `index`, beforehand.
    ///
    /// `None` where there is nothing to do, or no such kernel.
    fn slice_reader(&self, _index: usize, _clean: &[u32]) -> Option<SliceReader> {
        None
    }

    /// Reads f32 words of table `index` as [`read`](Self::read) does while they are looked up. What is kept for them is made from
    /// `clean`, all of its words.
    ///
    /// `None` where there is no such kernel.
    fn gather_reader(&self, _index: usize, _clean: &[f32]) -> Option<Box<dyn GatherReader>> {
        None
    }

    /// Bounds that it took from clean rows; empty where it took none.
    fn taken_bounds(&self) -> LayerBounds {
        LayerBounds::new()
    }

    /// What it costs.
    fn cost(&self) -> Cost;
}

/// Reads words in place, and counts.
pub type SliceReader = Box<dyn FnMut(&mut [u32]) -> Checked + Send>;

/// How many checks were made, and how many of them fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Checks made.
    pub checks: u64,
    /// Checks that fired.
    pub fired: u64,
}

/// What protections noticed on one chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Words, codewords, rows or results that a check found bad.
    pub detected: u64,
    /// Of these, restored from redundant bits or by computing again.
    pub corrected: u64,
    /// Of these, restored from the clean copy.
    pub reloads: u64,
    /// Bytes of the clean copy that were read.
    pub reload_bytes: u64,
    /// Computations that were repeated.
    pub retries: u64,
    /// Of those detected, replaced by a default: zero, or a bound.
    pub fallbacks: u64,
}

impl Events {
    /// Whether nothing was noticed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was found bad and not restored to what it was.
    pub fn unrestored(&self) -> u64 {
        self.detected.saturating_sub(self.corrected + self.reloads)
    }

    /// Adds those of another stage.
    pub fn add(&mut self, other: Self) {
        self.detected += other.detected;
        self.corrected += other.corrected;
        self.reloads += other.reloads;
        self.reload_bytes += other.reload_bytes;
        self.retries += other.retries;
        self.fallbacks += other.fallbacks;
    }
}

/// What a protection costs, times apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Bits kept beside the model's own.
    pub memory_bits: u64,
    /// Operations more per scored row: checks of words that are looked up, or of results.
    pub operations_per_sample: f64,
    /// Checks of values or results made per scored row; those of stored words are counted where they are made.
    pub checks_per_sample: f64,
    /// Clean rows passed to take bounds.
    pub calibration_rows: u64,
    /// What is taken as safe, though it lies in memory too.
    pub assumptions: Vec<String>,
}

impl Cost {
    /// Adds those of another stage.
    pub fn add(&mut self, other: Self) {
        self.memory_bits += other.memory_bits;
        self.operations_per_sample += other.operations_per_sample;
        self.checks_per_sample += other.checks_per_sample;
        self.calibration_rows += other.calibration_rows;
        self.assumptions.extend(other.assumptions);
    }
}

/// Why a protection can't protect a model.
#[derive(Debug, thiserror::Error)]
pub enum ProtectError {
    /// It finds nothing to act on.
    #[error("protection {protection} finds no place to act: {reason}")]
    NoPlace {
        /// The protection.
        protection: String,
        /// What it looked for.
        reason: String,
    },
    /// Bits that a format lacks.
    #[error("protection {protection} names bits that format {format} of \"{parameter}\" lacks")]
    NoBits {
        /// The protection.
        protection: String,
        /// The format.
        format: radhard_fault::Format,
        /// The parameter.
        parameter: String,
    },
    /// A clean word that no bound holds.
    #[error(
        "protection {protection}: word {element} of \"{parameter}\" is {value} without any fault, and a bound is finite"
    )]
    CleanWord {
        /// The protection.
        protection: String,
        /// The parameter.
        parameter: String,
        /// The element.
        element: u64,
        /// What it is.
        value: f64,
    },
    /// Bounds are to be taken from rows, and there are none.
    #[error("protection {protection} takes bounds from clean rows of {part}, which has none")]
    NoCalibration {
        /// The protection.
        protection: String,
        /// Where it looked.
        part: String,
    },
    /// Two stages act at one place, or keep words under one name.
    #[error("protection {protection}: {reason}")]
    Clash {
        /// The protection.
        protection: String,
        /// What clashes.
        reason: String,
    },
    /// A setting that this model makes senseless.
    #[error("protection {protection}: {reason}")]
    Setting {
        /// The protection.
        protection: String,
        /// The value and the rule that it breaks.
        reason: String,
    },
    /// The exposure of what is kept.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The clean pass over calibration rows failed.
    #[error("protection {protection}: {source}")]
    Pass {
        /// The protection.
        protection: String,
        /// What is wrong.
        source: radhard_models::ScoresError,
    },
}
