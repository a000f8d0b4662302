//! The models, one file each.

pub(crate) mod fm;
pub(crate) mod wide_deep;
