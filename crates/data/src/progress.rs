//! How far a preparation is, told to a callback.

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the input; counted in bytes, of Parquet files in rows.
    Reading,
    /// Drawing the rows of a stand-in; counted in rows.
    Drawing,
    /// Writing the prepared file; counted in rows.
    Writing,
}

/// How far a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// What is done.
    pub done: u64,
    /// What there is.
    pub total: u64,
}

/// The callback that is told; called from the thread that prepares, a few times a second at most on large inputs.
pub type Report<'a> = dyn FnMut(Progress) + 'a;
