//! How much of a plan is recorded.

use radhard_records::Store;
use serde::Serialize;

use crate::quantity::whole;

/// How much of a plan is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Progress {
    /// Whether every planned trial is recorded.
    pub complete: bool,
    /// Trials of the plan.
    pub trials_planned: u64,
    /// Trials recorded.
    pub trials_recorded: u64,
}

impl Progress {
    /// Of one or several campaigns together.
    pub(crate) fn of(stores: &[&Store]) -> Self {
        let (mut planned, mut recorded, mut complete) = (0, 0, true);
        for store in stores {
            let (own, of_plan) = (trials(store), planned_trials(store));
            complete &= own >= of_plan;
            planned += of_plan.max(own);
            recorded += own;
        }
        Self { complete, trials_planned: planned, trials_recorded: recorded }
    }

    /// How far an unfinished campaign is, in words; none where it is complete.
    pub fn unfinished(&self) -> Option<String> {
        let done = self.trials_recorded as f64 / self.trials_planned.max(1) as f64;
        (!self.complete).then(|| {
            format!(
                "Unfinished: {} of {} planned trials are recorded ({}); what is missing is not yet measured. The same `radhard run` continues",
                whole(self.trials_recorded),
                whole(self.trials_planned),
                // Rounded down, so that what is unfinished is never 100 %.
                format_args!("{:.1} %", (1000.0 * done).floor() / 10.0)
            )
        })
    }
}

fn trials(store: &Store) -> u64 {
    store.trial_count().unwrap_or(0)
}

/// The trials of the plan as written: of records that do not say it.
fn planned_trials(store: &Store) -> u64 {
    if let Some(planned) = store.header().trials_planned {
        return planned;
    }
    planned(&store.header().plan, |error_model| {
        // Records tell whether an error model has a rate.
        let mut own = store.cells().map(|(_, cell)| &cell.key).filter(|key| key.error_model == error_model);
        own.next().is_none_or(|key| key.ber.is_some())
    })
}

/// Chips of all cells of a plan in TOML; 0 where it is none.
fn planned(plan: &str, takes_rate: impl Fn(&str) -> bool) -> u64 {
    let Ok(plan) = plan.parse::<toml::Table>() else { return 0 };
    let list = |key: &str, default: u64| {
        plan.get(key).map_or(default, |value| value.as_array().map_or(default, |list| list.len() as u64))
    };
    let chips = plan.get("chips").map_or(Some(100), toml::Value::as_integer).unwrap_or(0);
    let rates = list("rates", 0);
    let suffix = match plan.get("persistence").and_then(toml::Value::as_str) {
        Some("compute") => "@compute",
        _ => "",
    };
    let models = plan.get("error_models").and_then(toml::Value::as_array);
    let models: Vec<&str> =
        models.map_or(vec!["flips"], |models| models.iter().filter_map(toml::Value::as_str).collect());
    let of_model = |model: &&str| if takes_rate(&format!("{model}{suffix}")) { rates } else { 1 };
    let curves = list("subject", 0) * list("targets", 1) * list("protections", 1);
    u64::try_from(chips).unwrap_or(0) * curves * models.iter().map(of_model).sum::<u64>()
}

/// The day on which the newest of these files was written, in UTC.
pub(crate) fn last_day(stores: &[&Store]) -> Option<String> {
    let written = |store: &&Store| std::fs::metadata(store.file()).and_then(|of| of.modified()).ok();
    let newest = stores.iter().filter_map(written).max()?;
    Some(day(newest.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()))
}

/// The day of a time in seconds since 1970, in the Gregorian calendar.
///
/// Source: Howard Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`.
fn day(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_calendar() {
        let at = [0, 951_782_400, 951_868_800, 1_767_225_599, 4_107_542_400];
        assert_eq!(at.map(day), ["1970-01-01", "2000-02-29", "2000-03-01", "2025-12-31", "2100-03-01"]);
    }

    #[test]
    fn a_plan_says_how_many_trials_it_has() {
        let plan = "chips = 7\ntargets = [\"all\", \"dense\"]\nrates = [1e-3, 1e-2, 0.1]\nerror_models = [\"flips\", \"count:8\"]\n\
                    protections = [\"none\", \"sbp\"]\n[[subject]]\nmodel = \"a\"\ndata = \"b\"\n[[subject]]\nmodel = \"c\"\ndata = \"b\"\n";
        assert_eq!(planned(plan, |model| model != "count:8"), 7 * 2 * 2 * 2 * (3 + 1));
        let short = "rates = [0.1]\n[[subject]]\nmodel = \"a\"\ndata = \"b\"\n";
        assert_eq!(planned(short, |_| true), 100);
        assert_eq!(planned("not a plan", |_| true), 0);
    }

    #[test]
    fn an_unfinished_plan_is_never_a_hundred_percent() {
        let at = |recorded| Progress { complete: false, trials_planned: 12_000, trials_recorded: recorded };
        let text = at(11_999).unfinished().unwrap_or_default();
        assert!(text.contains("11,999 of 12,000") && text.contains("(99.9 %)"), "{text}");
        assert_eq!(Progress { complete: true, ..at(12_000) }.unfinished(), None);
    }
}
