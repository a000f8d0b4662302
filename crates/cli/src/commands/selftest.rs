//! `radhard selftest`: injected equals requested, on this machine.

use radhard_campaign::selftest::{Check, selftest};
use serde_json::json;

use crate::console::Console;
use crate::exit::{Exit, Failure};

pub(crate) fn run(console: &Console) -> Result<Exit, Failure> {
    let checks = selftest();
    let passed = checks.iter().all(|check| check.passed);
    console.result(&json!({ "checks": checks, "passed": passed }), || {
        let line = |check: &Check| {
            format!("{} {} ({})\n", if check.passed { "pass" } else { "FAIL" }, check.name, check.detail)
        };
        let lines: String = checks.iter().map(line).collect();
        format!("{lines}{} of {} checks passed", checks.iter().filter(|c| c.passed).count(), checks.len())
    })?;
    Ok(if passed { Exit::Done } else { Exit::Bound })
}
