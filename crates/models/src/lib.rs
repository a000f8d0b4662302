//! Recommendation models: parameters by name, layers, training, files.
//!
//! A model is a list of layers over blocks of rows ([`Graph`]), built from its [`Config`] by one of
//! [`architectures`]. Its [`Parameters`] are plain bytes in memory under their state-dict names; whoever changes
//! them changes what [`Model::scores`] gives, and nothing else keeps a copy.
#![forbid(unsafe_code)]

mod apart;
mod architecture;
mod architectures;
mod clean_sum;
mod column;
mod config;
mod cost;
mod file;
mod folded;
mod graph;
mod hook;
mod hooked;
pub mod import;
mod kept;
mod layers;
mod looked_up;
mod model;
mod overlay;
mod pair_scores;
mod parameter;
mod pass;
mod random;
mod reach;
mod scores;
mod steps;
mod table;
mod together;
pub mod training;
mod units;
mod watch;
mod worker;

pub use radhard_kernels::{GlobalId, TableRow};

pub use apart::Apart;
pub use architecture::{Architecture, architecture, architectures, components};
pub use config::{Config, ConfigError};
pub use file::{DataMeta, FORMAT_VERSION, Integrity, NamedTensor, OpenError, StateDictError, TrainingMeta};
pub use graph::Graph;
pub use hook::{
    Checksum, HookCall, HookEvents, HookSite, Hooks, LookupResult, LookupSite, OutputSite, ProductPart,
    ProductSite, ROW_DETECTED, ROW_UNRESTORED, SiteKind, Upsets,
};
pub use hooked::{Acting, Noted};
pub use kept::Kept;
pub use model::{Init, Model, TableRows};
pub use overlay::Overlay;
pub use parameter::{Component, NumberFormat, Parameters, Start, Tensor, TensorSpec};
pub use scores::{BLOCK, Scores, ScoresError, WIDEST_BLOCK};
pub use table::{ConvertError, TableFormat, UnknownTableFormat, convert};
pub use together::{Room, Together};
pub use training::{
    CheckpointError, Epoch, Optimizer, Progress, TrainError, TrainOptions, TrainReport, train,
    train_with_checkpoint,
};
pub use worker::{Evaluation, Worker};
