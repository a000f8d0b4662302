//! Protections of results: what a layer gives is held against checksums of its clean parameters (ABFT).
//!
//! Checksums, totals and the clean copy are taken as safe.

mod embedding;
mod gemm;

pub use embedding::AbftEmbedding;
pub use gemm::AbftGemm;

/// What follows a result that does not agree with its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It is computed again from the same parameters, [`RETRIES`] times at most: of no use where a parameter is wrong.
    Recompute,
    /// It is computed again; if it is wrong again, from the clean copy of the parameters.
    Reload,
    /// It becomes zero.
    Fallback,
}

/// How often a result is computed again.
pub const RETRIES: u64 = 2;

/// Half of the distance between 1 and the next f32.
const UNIT: f64 = 1.0 / 16_777_216.0;

/// The smallest positive f32, 2^-149.
const SMALLEST: f64 = 1.401_298_464_324_817e-45;

impl Recovery {
    fn parse(settings: &[&str]) -> Option<Self> {
        match settings {
            ["recompute"] => Some(Self::Recompute),
            ["reload"] => Some(Self::Reload),
            ["fallback"] => Some(Self::Fallback),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Recompute => "recompute",
            Self::Reload => "reload",
            Self::Fallback => "fallback",
        }
    }
}
