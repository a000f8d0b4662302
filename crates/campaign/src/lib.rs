//! Plans, cells, the evaluation of chips, and campaigns that continue.
#![forbid(unsafe_code)]
