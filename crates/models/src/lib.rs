//! Recommendation models: parameters by name, layers, training, files.
#![forbid(unsafe_code)]
