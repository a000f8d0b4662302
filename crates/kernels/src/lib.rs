//! Numeric kernels on slices: gather, matrix products, reductions, exp and log.
