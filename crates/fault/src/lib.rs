//! Bits, error models, virtual chips, error maps, targets, injection and undo.
//!
//! A [`Target`] resolved against the [`Parameters`] of a model gives an [`Exposure`]; an [`ErrorModel`] draws what a
//! [`Chip`] does to it into a [`DrawnMap`]; [`Injected`] brings that into the words for as long as it lives, and
//! [`DrawnMap::resolve`] turns it into an [`ErrorMap`] to keep. Drawing, injecting and undoing cost what the flips touch.
//!
//! # Chips
//! A trial is a virtual chip: each bit of each parameter has an arrival value in [0, 1) on it, and at rate p the bits with
//! arrival < p are hit. So what is hit at a rate is hit at every higher one, and nothing else that a campaign does moves
//! it. Arrivals are never stored: per octave band of values, hits are drawn by geometric skips from streams of Philox
//! keyed by (seed, trial, parameter, band); the work is O(bits · p), and O(bits) above p = 1/2.
//!
//! # Precision
//! Counts of hits are Binomial(bits, p) but for the rounding of uniform numbers and logarithms. In bands below 2^-20 the
//! chance of a hit among the next g bits is within 2^-64 of the exact one, so rates of 1e-15 and less are served too; in
//! the others within 2^-53, which moves their rate by at most 2^-32 of itself. Arrivals have 52 random bits inside
//! their band. All arithmetic is integer or IEEE 754 with the algorithms of `libm`: draws are the same on every machine.
#![forbid(unsafe_code)]

mod arrivals;
mod band;
mod bits;
mod chip;
mod coverage;
mod drawn_map;
mod effect;
mod error_map;
mod error_map_file;
mod error_model;
mod exposure;
mod floor;
mod format;
mod injected;
mod outputs;
mod parameter;
pub mod philox;
mod rate;
pub mod safetensors_file;
mod stream;
mod target;
mod window;
mod words;

pub use arrivals::{Arrival, Arrivals};
pub use bits::{BitPos, BitSelection, BitsError, Field};
pub use chip::Chip;
pub use coverage::{Coverage, Hit, PassedOver};
pub use drawn_map::{DrawnMap, DrawnParameter, Origin};
pub use effect::Effect;
pub use error_map::{ApplyError, ErrorMap, MapOrigin, MapParameter};
pub use error_map_file::{MAP_FORMAT_VERSION, MapFileError};
pub use error_model::{
    Asymmetric, Burst, Count, DrawError, ErrorModel, ErrorModelParseError, Flips, Level, StuckAt, Value,
    Written, parse_error_model,
};
pub use exposure::{ExposedParameter, Exposure, ExposureIdentity, StoredBits};
pub use format::{Format, FormatError};
pub use injected::{InjectError, Injected, with_injected};
pub use outputs::{Output, Persistence, PersistenceError};
pub use parameter::{Component, OwnedParameters, ParameterSpec, Parameters, fingerprint, sha256_hex};
pub use rate::{BitErrorRate, RateError};
pub use safetensors_file::{ForeignTensor, SafetensorsBytes, SafetensorsError, SafetensorsLayout, WordPlace};
pub use stream::{Purpose, STREAM_VERSION, StreamKey, unit};
pub use target::{Expose, ExposeError, Target, TargetError, TargetParseError};
pub use words::{View, ViewError, Words, WordsMut};
