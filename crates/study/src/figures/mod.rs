//! The paper's figures, drawn from records: laid out so that they can be laid beside the paper's.

mod curves;
mod heat;
mod plot;

pub(crate) use curves::line_of;
pub use curves::{Made, curves, recovery};
pub(crate) use heat::printed_inf_nan;
pub use heat::{Failures, HeatMap, heat_maps};
pub use plot::{Line, Mark, Plot, Sheet};
