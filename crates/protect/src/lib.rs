//! Protections of stored words, activations and results, and what they cost.
#![forbid(unsafe_code)]
