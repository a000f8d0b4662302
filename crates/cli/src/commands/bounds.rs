//! `radhard run --fail-if`: bounds that a campaign must keep.

use radhard_campaign::CheckedPlan;
use radhard_report::{BoundCheck, BoundVerdict, FailIf, Summary};

use crate::arguments::Run;
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit};

/// Reads the bounds and compares them with the plan, before anything runs.
pub(crate) fn parsed(arguments: &Run, plan: &CheckedPlan) -> Result<Vec<FailIf>, Failure> {
    let rates: Vec<f64> = plan.rates().iter().map(|rate| rate.get()).collect();
    let targets: Vec<String> = plan.targets().iter().map(ToString::to_string).collect();
    let protections: Vec<String> =
        plan.protections().iter().map(radhard_protect::Combination::name).collect();
    let read = |text: &String| {
        let bound: FailIf = text.parse().or_exit(Exit::Usage)?;
        bound.fits(&rates, &targets, &protections).or_exit(Exit::Usage)?;
        Ok(bound)
    };
    arguments.fail_if.iter().map(read).collect()
}

/// The bounds of a finished campaign and their results.
pub(crate) fn checked(bounds: &[FailIf], summary: &Summary) -> Result<Vec<BoundCheck>, Failure> {
    bounds.iter().map(|bound| summary.check(bound).or_exit(Exit::Usage)).collect()
}

/// Says what is shown about each bound, and how the command ends.
pub(crate) fn outcome(checks: &[BoundCheck], fail_undecided: bool, console: &Console) -> Exit {
    let mut exit = Exit::Done;
    for check in checks {
        let which = check.which.join("; ");
        match check.verdict {
            BoundVerdict::Crossed => {
                exit = Exit::Bound;
                console.say(&format!("bound crossed: {} ({which})", check.bound));
            }
            BoundVerdict::Kept => {
                console.say(&format!(
                    "bound kept: {} is shown not to hold in {} cells",
                    check.bound, check.cells
                ));
            }
            BoundVerdict::Undecided => {
                if fail_undecided {
                    exit = Exit::Bound;
                }
                console.say(&format!(
                    "warning: bound undecided: {} ({which}); more chips decide, --fail-undecided makes this an error",
                    check.bound
                ));
            }
        }
    }
    exit
}
