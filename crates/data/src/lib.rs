//! Ratings and tables in, one mapped data set with a stored split out.
#![forbid(unsafe_code)]
