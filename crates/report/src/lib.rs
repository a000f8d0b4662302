//! Tables, figures and the page, from records only.
#![forbid(unsafe_code)]
