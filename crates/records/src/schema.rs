//! The tables, as SQL.

use crate::score;
use crate::trial::Noticed;

/// Version of the tables below; docs/formats/records.md describes it.
pub(crate) const VERSION: i64 = 3;

/// SQLite's `application_id` of a records file: "RaDh".
pub(crate) const APPLICATION: i64 = 0x5261_4468;

/// The statements that make an empty records file.
pub(crate) fn create() -> String {
    let list = |write: fn(&str, &str) -> String| -> String {
        score::columns().flat_map(|(name, kind)| [",\n    ".to_owned(), write(name, kind)]).collect()
    };
    let scores = list(|name, kind| format!("{name} {kind}"));
    let either =
        list(|name, _| format!("CASE WHEN s.chip IS NULL THEN g.{name} ELSE s.{name} END AS {name}"));
    let noticed = Noticed::NAMES.map(|name| format!(",\n    {name} INTEGER NOT NULL")).concat();
    let noticed_of_trial = Noticed::NAMES.map(|name| format!(", t.{name}")).concat();
    format!(
        "PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE header (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE identity (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE goldens (
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
    PRIMARY KEY (model, data, protection)
) STRICT, WITHOUT ROWID;
CREATE TABLE protections (
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
    PRIMARY KEY (model, data, protection),
    FOREIGN KEY (model, data, protection) REFERENCES goldens (model, data, protection)
) STRICT, WITHOUT ROWID;
CREATE TABLE cells (
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
    FOREIGN KEY (model, data, protection) REFERENCES goldens (model, data, protection)
) STRICT;
CREATE UNIQUE INDEX cell_keys ON cells (model, data, target, error_model, ifnull(ber, -1.0), protection);
CREATE TABLE trials (
    cell INTEGER NOT NULL REFERENCES cells (cell),
    chip INTEGER NOT NULL,
    flips INTEGER NOT NULL,
    path TEXT NOT NULL,
    outcome TEXT NOT NULL,
    seconds REAL NOT NULL,
    flips_read INTEGER,
    reads INTEGER{noticed},
    PRIMARY KEY (cell, chip)
) STRICT, WITHOUT ROWID;
CREATE TABLE scores (
    cell INTEGER NOT NULL,
    chip INTEGER NOT NULL{scores},
    PRIMARY KEY (cell, chip),
    FOREIGN KEY (cell, chip) REFERENCES trials (cell, chip)
) STRICT, WITHOUT ROWID;
CREATE VIEW trial_scores AS SELECT
    c.model, c.data, c.target, c.error_model, c.ber, c.protection, c.seed,
    t.chip, t.flips, t.outcome, t.path, t.seconds, t.flips_read, t.reads{noticed_of_trial}{either}
FROM cells c
JOIN goldens g USING (model, data, protection)
JOIN trials t ON t.cell = c.cell
LEFT JOIN scores s ON s.cell = t.cell AND s.chip = t.chip;
"
    )
}
