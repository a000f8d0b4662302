//! The tables, as SQL.

use crate::score;
use crate::trial::Noticed;

/// Version of the tables below; docs/formats/records.md describes it.
pub(crate) const VERSION: i64 = 4;

/// The oldest version that is still read.
pub(crate) const OLDEST: i64 = 3;

/// The first version whose rows carry checksums.
pub(crate) const CHECKED: i64 = 4;

/// SQLite's `application_id` of a records file: "RaDh".
pub(crate) const APPLICATION: i64 = 0x5261_4468;

/// Tables whose rows are summed up as a whole; trials are summed up cell by cell.
pub(crate) const SMALL: [&str; 5] = ["header", "identity", "goldens", "protections", "cells"];

/// The statements that make an empty records file.
pub(crate) fn create() -> String {
    let mut all = format!("PRAGMA application_id = {APPLICATION};\nPRAGMA user_version = {VERSION};\n");
    for (_, statement) in objects() {
        all.push_str(&statement);
        all.push_str(";\n");
    }
    all
}

/// Every table, index and view with the statement that makes it, parents first.
#[expect(clippy::too_many_lines, reason = "one statement after another")]
pub(crate) fn objects() -> [(&'static str, String); 12] {
    let list = |write: fn(&str, &str) -> String| -> String {
        score::columns().flat_map(|(name, kind)| [",\n    ".to_owned(), write(name, kind)]).collect()
    };
    let scores = list(|name, kind| format!("{name} {kind}"));
    let either =
        list(|name, _| format!("CASE WHEN s.chip IS NULL THEN g.{name} ELSE s.{name} END AS {name}"));
    let noticed = Noticed::NAMES.map(|name| format!(",\n    {name} INTEGER NOT NULL")).concat();
    let noticed_of_trial = Noticed::NAMES.map(|name| format!(", t.{name}")).concat();
    let pairs = |table: &str| {
        format!(
            "CREATE TABLE {table} (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID"
        )
    };
    [
        ("header", pairs("header")),
        ("identity", pairs("identity")),
        (
            "checks",
            "CREATE TABLE checks (
    part TEXT NOT NULL,
    cell INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (part, cell)
) STRICT, WITHOUT ROWID"
                .to_owned(),
        ),
        (
            "goldens",
            format!(
                "CREATE TABLE goldens (
    model TEXT NOT NULL,
    data TEXT NOT NULL,
    protection TEXT NOT NULL,
    positives INTEGER NOT NULL,
    split TEXT NOT NULL,
    stand_in INTEGER NOT NULL,
    parameters INTEGER NOT NULL,
    model_fingerprint TEXT NOT NULL,
    data_fingerprint TEXT NOT NULL,
    seconds REAL NOT NULL,
    outcome TEXT NOT NULL{scores},
    ties_at_bounds INTEGER,
    baseline REAL,
    auc_ci_low REAL,
    auc_ci_high REAL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (model, data, protection)
) STRICT, WITHOUT ROWID"
            ),
        ),
        (
            "golden_metrics",
            "CREATE TABLE golden_metrics (
    model TEXT NOT NULL,
    data TEXT NOT NULL,
    protection TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (model, data, protection, name),
    FOREIGN KEY (model, data, protection) REFERENCES goldens (model, data, protection)
) STRICT, WITHOUT ROWID"
                .to_owned(),
        ),
        (
            "protections",
            "CREATE TABLE protections (
    model TEXT NOT NULL,
    data TEXT NOT NULL,
    protection TEXT NOT NULL,
    memory_bits INTEGER NOT NULL,
    memory_share REAL NOT NULL,
    operations_per_sample REAL NOT NULL,
    calibration_rows INTEGER NOT NULL,
    checks INTEGER NOT NULL,
    false_alarms_per_million REAL,
    acts_on_clean INTEGER NOT NULL,
    time_ratio REAL,
    time_ratio_low REAL,
    time_ratio_high REAL,
    time_ratio_n INTEGER,
    assumptions TEXT NOT NULL,
    bounds TEXT,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (model, data, protection),
    FOREIGN KEY (model, data, protection) REFERENCES goldens (model, data, protection)
) STRICT, WITHOUT ROWID"
                .to_owned(),
        ),
        (
            "cells",
            "CREATE TABLE cells (
    cell INTEGER PRIMARY KEY NOT NULL,
    model TEXT NOT NULL,
    data TEXT NOT NULL,
    target TEXT NOT NULL,
    error_model TEXT NOT NULL,
    ber REAL,
    protection TEXT NOT NULL,
    seed TEXT NOT NULL,
    exposed_bits INTEGER NOT NULL,
    p_no_flip REAL,
    predicted REAL,
    prediction_kind TEXT,
    prediction_note TEXT,
    checksum INTEGER NOT NULL,
    FOREIGN KEY (model, data, protection) REFERENCES goldens (model, data, protection)
) STRICT"
                .to_owned(),
        ),
        (
            "cell_keys",
            "CREATE UNIQUE INDEX cell_keys ON cells (model, data, target, error_model, ifnull(ber, -1.0), protection)"
                .to_owned(),
        ),
        (
            "trials",
            format!(
                "CREATE TABLE trials (
    cell INTEGER NOT NULL REFERENCES cells (cell),
    chip INTEGER NOT NULL,
    flips INTEGER NOT NULL,
    path TEXT NOT NULL,
    outcome TEXT NOT NULL,
    seconds REAL NOT NULL,
    flips_read INTEGER,
    reads INTEGER{noticed},
    checksum INTEGER NOT NULL,
    PRIMARY KEY (cell, chip)
) STRICT, WITHOUT ROWID"
            ),
        ),
        (
            "scores",
            format!(
                "CREATE TABLE scores (
    cell INTEGER NOT NULL,
    chip INTEGER NOT NULL{scores},
    ties_at_bounds INTEGER,
    PRIMARY KEY (cell, chip),
    FOREIGN KEY (cell, chip) REFERENCES trials (cell, chip)
) STRICT, WITHOUT ROWID"
            ),
        ),
        (
            "metrics",
            "CREATE TABLE metrics (
    cell INTEGER NOT NULL,
    chip INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    PRIMARY KEY (cell, chip, name),
    FOREIGN KEY (cell, chip) REFERENCES trials (cell, chip)
) STRICT, WITHOUT ROWID"
                .to_owned(),
        ),
        (
            "trial_scores",
            format!(
                "CREATE VIEW trial_scores AS SELECT
    c.model, c.data, c.target, c.error_model, c.ber, c.protection, c.seed,
    t.chip, t.flips, t.outcome, t.path, t.seconds, t.flips_read, t.reads{noticed_of_trial}{either},
    CASE WHEN s.chip IS NULL THEN g.ties_at_bounds ELSE s.ties_at_bounds END AS ties_at_bounds
FROM cells c
JOIN goldens g USING (model, data, protection)
JOIN trials t ON t.cell = c.cell
LEFT JOIN scores s ON s.cell = t.cell AND s.chip = t.chip"
            ),
        ),
    ]
}
