//! Exit codes, and errors that carry one.

use std::fmt;
use std::process::ExitCode;

/// What the command tells the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// The command line or a value of the plan breaks a rule.
    Usage = 1,
    /// A bound that was asked for was crossed, or a self-test failed.
    Bound = 2,
    /// The fault-free run failed, so nothing can be measured against it.
    Golden = 3,
    /// The output directory holds records of another plan.
    Mismatch = 4,
    /// A file could not be read, written or used.
    Input = 5,
    /// A bug of radhard.
    Bug = 70,
    /// Stopped by Ctrl-C; the same command continues.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the exit code it ends the command with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)
    }
}

/// Attaches an exit code to an error.
pub(crate) trait OrExit<T> {
    /// The error ends the command with this code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

/// A failure of words alone.
pub(crate) fn failure(exit: Exit, message: impl fmt::Display) -> Failure {
    Failure { exit, error: anyhow::anyhow!("{message}") }
}
