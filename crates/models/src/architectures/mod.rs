//! The models, one file each.

pub(crate) mod afm;
pub(crate) mod dcn;
pub(crate) mod deepfm;
pub(crate) mod dlrm;
pub(crate) mod dummy;
pub(crate) mod fm;
pub(crate) mod wide_deep;
