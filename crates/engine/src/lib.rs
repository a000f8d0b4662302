//! Exact evaluation of a faulty model at the cost of its faults.
#![forbid(unsafe_code)]
