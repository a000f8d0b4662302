//! All checks over the tree.

use anyhow::{Result, bail};

use crate::finding::Finding;
use crate::tree::Tree;
use crate::{arrows, bench, forbid, links, lints, machine, size, speech, stub};

/// A check: what must hold, and what breaks it.
type Check = (&'static str, fn(&Tree) -> Vec<Finding>);

/// One line per check.
const CHECKS: &[Check] = &[
    ("arrows between rooms point down", arrows::findings),
    ("unsafe code stands in its rooms", forbid::findings),
    ("only the command line prints, exits and reads the environment", speech::findings),
    ("sources are finished", stub::findings),
    ("files are small", size::findings),
    ("no path of a machine", machine::findings),
    ("packages take the lints of the workspace", lints::findings),
    ("listed benchmarks are there", bench::findings),
    ("links of the documents lead somewhere", links::findings),
];

/// Runs every check on the repository and prints what it found.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::of_repository()?;
    let mut broken = 0;
    for (holds, findings) in CHECKS {
        let mut findings = findings(&tree);
        findings.sort();
        println!(
            "{:>6}  {holds}",
            if findings.is_empty() { "ok".to_string() } else { findings.len().to_string() }
        );
        for finding in &findings {
            println!("        {finding}");
        }
        broken += findings.len();
    }
    if broken > 0 {
        bail!("{broken} findings");
    }
    Ok(())
}
