//! One file per command.

pub(crate) mod bounds;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inject;
pub(crate) mod inspect;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod run;
pub(crate) mod selftest;
pub(crate) mod train;
