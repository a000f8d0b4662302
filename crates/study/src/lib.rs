//! The paper reproduced: its tables, figures and claims.
//!
//! A [`Study`] has stages, each of which leaves files under its directory and is passed over where they are there: data
//! sets (real ones where they are given, stand-ins else), trained models, three campaigns (the grid of figures 7 to 9,
//! the protections of figure 10, the dummy models of figures 4 to 6), and from their records alone the figures, tables and
//! verdicts.
//!
//! Source: D. Ma et al., "Evaluating and Enhancing Robustness of Deep Recommendation Systems Against Hardware Errors".
#![forbid(unsafe_code)]

mod answers;
pub mod artefact;
mod audience;
mod campaigns;
pub mod claim;
pub mod claims;
mod clock;
mod costs;
mod dummy;
pub mod figures;
pub mod findings;
mod half_rate;
mod injection;
mod inputs;
mod outputs;
mod profile;
mod reproduce;
mod scale;
mod sets;
mod steep;
mod study;
mod training;

pub use answers::{Answer, answers};
pub use audience::{Audience, Silence};
pub use campaigns::Campaign;
pub use claim::{Claim, Evidence, Verdict};
pub use claims::claims;
pub use clock::Clock;
pub use costs::Cost;
pub use dummy::DummyShape;
pub use findings::{CellFindings, Findings, Place};
pub use half_rate::HalfRate;
pub use injection::Injection;
pub use outputs::Outputs;
pub use reproduce::{Part, Reproduced, UnknownPart, reproduce, reproduce_as_artefact};
pub use scale::Scale;
pub use sets::{Real, SETS, Set};
pub use study::{DIRECTORIES, SCALE_FILE, Study, StudyError};
pub use training::{MODELS, Trained};
