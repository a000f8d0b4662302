//! Bits, error models, virtual chips, error maps, targets, injection and undo.
#![forbid(unsafe_code)]
