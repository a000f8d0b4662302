//! The command as its users run it.

mod bad_input;
mod imported;
mod law_same_records;
mod main_job;
mod older_records;
mod protections;
mod reproduce;
mod workbench;
