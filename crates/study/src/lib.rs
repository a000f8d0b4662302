//! The paper reproduced: its tables, figures and claims.
#![forbid(unsafe_code)]
