//! The command as its users run it.

mod bad_input;
#[cfg(target_os = "linux")]
mod cases;
mod coverage;
mod decisions;
mod door;
mod drills;
mod imported;
mod in_place;
mod large;
mod law_same_records;
mod main_job;
mod names;
mod older_records;
mod outputs;
mod processes;
mod protections;
mod reproduce;
mod went_wrong;
mod workbench;
