//! What is printed: results on standard output, progress on standard error, and the wish to stop.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::{Exit, Failure, OrExit, failure};

/// The error of a terminal that was closed.
const INPUT_OUTPUT_ERROR: i32 = 5;

/// Whether nobody is left to read.
fn has_gone(error: &std::io::Error, was_terminal: bool) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
        || was_terminal && cfg!(unix) && error.raw_os_error() == Some(INPUT_OUTPUT_ERROR)
}

/// Whether standard output is a character device: so is a terminal that was closed before this process began.
fn is_device() -> bool {
    let found = std::fs::metadata("/dev/fd/1");
    found.is_ok_and(|found| !found.is_file() && radhard_memory::is_stream(found.file_type()))
}

/// Where results and progress go.
#[derive(Debug)]
pub(crate) struct Console {
    json: bool,
    quiet: bool,
    /// Whether standard output was a terminal, or may have been one, at the beginning; one that was closed no longer says so.
    terminal: bool,
}

impl Console {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, terminal: std::io::stdout().is_terminal() || is_device() }
    }

    /// Prints a result: one JSON object where that is asked for, else text.
    ///
    /// A reader that has gone away (a closed pipe, a terminal that was closed) is no failure.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json { serde_json::to_string(value).or_exit(Exit::Bug)? } else { text() };
        let mut out = std::io::stdout().lock();
        let text = if self.json { Cow::Borrowed(text.as_str()) } else { escaped(&text) };
        match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
            Err(error) if !has_gone(&error, self.terminal) => {
                Err(failure(Exit::Input, format!("writing to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Says something on standard error, unless it is to be quiet.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            tell(text);
        }
    }

    /// A progress bar on standard error, hidden where nobody watches.
    pub(crate) fn bar(&self, length: u64, template: &str) -> ProgressBar {
        let target = if self.quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// Writes a line on standard error; where nobody is left to read it, it is lost.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", escaped(text));
}

/// Ends the process in the middle of its work, without a temporary file left behind.
pub(crate) fn end(exit: Exit) -> ! {
    radhard_memory::remove_temporaries();
    std::process::exit(exit as i32)
}

/// A text for a terminal: characters that would move its cursor, change its colours or turn the direction of its lines are written
/// as escapes, since names and values come from files. Line ends and tabs stay.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, |character| matches!(character, '\n' | '\t'))
}

/// A name or a value for a line of text: as [`escaped`], and in one line.
pub(crate) fn in_line(text: &str) -> Cow<'_, str> {
    escaped_but(text, |_| false)
}

fn escaped_but(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escapes = |character: char| {
        // Marks and overrides of direction, which reorder what is shown.
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')) && !stays(character)
    };
    if !text.contains(escapes) {
        return Cow::Borrowed(text);
    }
    let escape = |character: char| {
        if escapes(character) { character.escape_default().to_string() } else { character.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// The flag that signals set and every loop reads.
static RAISED: AtomicBool = AtomicBool::new(false);

/// Whether somebody looks at [`RAISED`]; else a signal ends the process at once.
static LISTENED: AtomicBool = AtomicBool::new(false);

/// Set by the first Ctrl-C, hangup or request to end; the second ends the process at once.
#[derive(Debug, Clone)]
pub(crate) struct StopFlag(());

impl StopFlag {
    /// Hears signals from now on: they end the process with the exit code of an interruption, at once unless somebody listens.
    ///
    /// Hangups that were to be ignored, as under `nohup`, still are.
    pub(crate) fn install() {
        let ignored = radhard_memory::ignores_hangup();
        // Without a handler the system's own action stays, which ends the process too.
        let _ = ctrlc::set_handler(|| {
            if RAISED.swap(true, Ordering::SeqCst) || !LISTENED.load(Ordering::SeqCst) {
                end(Exit::Interrupted);
            }
        });
        if ignored {
            radhard_memory::ignore_hangup();
        }
    }

    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        LISTENED.store(true, Ordering::SeqCst);
        Self(())
    }

    pub(crate) fn raised(&self) -> bool {
        let Self(()) = self;
        RAISED.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_written_as_an_escape() {
        assert!(matches!(escaped("plain: ü, 表\n\tno"), Cow::Borrowed(_)));
        assert_eq!(escaped("\u{1b}[2J\u{7}a\rb\u{9b}c\u{202e}d"), "\\u{1b}[2J\\u{7}a\\rb\\u{9b}c\\u{202e}d");
        assert_eq!(in_line("a\nb\t"), "a\\nb\\t");
    }
}
