//! Drills: the command is killed, starved of disk and started twice, as real processes do it to one another.
//!
//! By default each drill is short. `RADHARD_KILLS` sets the kills of each, `RADHARD_DRILL_SEED` the instants; each prints
//! what it tried and what was lost. `cargo xtask test --long` runs them at length; docs/reliability.md tells what came of it.

#[cfg(target_os = "linux")]
mod campaign;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(target_os = "linux")]
mod in_place;
mod writers;

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Kills of a drill unless `RADHARD_KILLS` says otherwise.
const KILLS: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a drill's variable is a whole number"))
}

fn kills() -> u64 {
    number("RADHARD_KILLS", KILLS)
}

/// Instants at which processes are killed: the same for the same seed.
struct Instants(u64);

impl Instants {
    fn new(drill: u64) -> Self {
        Self(number("RADHARD_DRILL_SEED", 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ drill)
    }

    /// A time below `longest`.
    fn below(&mut self, longest: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        longest.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

fn quiet(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts")
}

/// Runs to the end and tells how long it took.
fn timed(command: Command) -> (ExitStatus, Duration) {
    let start = Instant::now();
    let status = quiet(command).wait().expect("a child can be waited for");
    (status, start.elapsed())
}

/// Sends SIGKILL after a time; `None` where the process ended before.
fn killed_after(command: Command, time: Duration) -> Option<()> {
    let mut child = quiet(command);
    std::thread::park_timeout(time);
    // A child that is done already can't be killed; its exit code tells which it was.
    let _ = child.kill();
    child.wait().expect("a child can be waited for").code().is_none().then_some(())
}
