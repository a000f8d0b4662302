//! Records that an older radhard wrote: read as they are, never written by readers, and continued to the same digests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::workbench::Workbench;

const CAMPAIGNS: [&str; 3] = ["flips", "compute", "protections"];

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/records-v3").join(name)
}

/// The digest that the program which wrote a campaign printed for it.
fn digest_of(name: &str) -> String {
    let digests = fs::read_to_string(stored("digests")).unwrap();
    let line = digests.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

/// A bench with the stored models, data, plans and records, each campaign in a directory under its name.
fn bench() -> Workbench {
    let bench = Workbench::new();
    for name in ["small.data", "fm.model", "wide-deep.model"] {
        fs::copy(stored(name), bench.path(name)).unwrap();
    }
    for name in CAMPAIGNS {
        let plan = format!("{name}.toml");
        fs::copy(stored(&plan), bench.path(&plan)).unwrap();
        fs::create_dir(bench.path(name)).unwrap();
        fs::copy(stored(&format!("{name}.sqlite")), bench.path(name).join("records.sqlite")).unwrap();
    }
    fs::create_dir(bench.path("killed")).unwrap();
    for name in ["records.sqlite", "records.sqlite-wal"] {
        fs::copy(stored("killed").join(name), bench.path("killed").join(name)).unwrap();
    }
    bench
}

fn schema(file: &Path) -> i64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn records_of_schema_3_are_read_as_they_are() {
    let bench = bench();
    for name in CAMPAIGNS {
        let file = bench.path(name).join("records.sqlite");
        let before = fs::read(&file).unwrap();
        assert_eq!(bench.digest(name), digest_of(name), "{name}");
        let report = bench.run(&format!("report {name} --json")).json();
        assert!(report["cells"].as_array().unwrap().len() > 3);
        bench.run(&format!("export {name} --out {name}-csv --json")).json();
        assert!(fs::read(&file).unwrap() == before, "{name}: a reader wrote the records");
    }
    assert_eq!(bench.digest("killed"), digest_of("killed"));
}

#[test]
fn campaigns_of_schema_3_continue_to_the_same_digest_and_a_copy_is_kept() {
    let bench = bench();
    for name in CAMPAIGNS {
        let file = bench.path(name).join("records.sqlite");
        let before = fs::read(&file).unwrap();
        let ran = bench.run(&format!("run {name}.toml --out {name} --json")).json();
        assert_eq!((ran["evaluated"].as_u64(), ran["known"].as_u64()), (Some(0), Some(0)), "{name}");
        assert_eq!((schema(&file), schema(&bench.path(name).join("records.sqlite.3"))), (4, 3));
        assert!(fs::read(bench.path(name).join("records.sqlite.3")).unwrap() == before, "{name}: the copy");
        assert_eq!(bench.digest(name), digest_of(name), "{name}");
        // From the start, today.
        bench.run(&format!("run {name}.toml --out {name}-new --json")).json();
        assert_eq!(bench.digest(&format!("{name}-new")), digest_of(name), "{name}");
    }
}

#[test]
fn a_killed_campaign_of_schema_3_continues_to_the_digest_of_a_whole_one() {
    let bench = bench();
    let ran = bench.run("run flips.toml --out killed --json").json();
    assert!(ran["evaluated"].as_u64().unwrap() > 0);
    assert!(ran["trials"].as_u64() > ran["evaluated"].as_u64());
    assert_eq!(bench.digest("killed"), digest_of("flips"));
    let kept = bench.path("kept");
    fs::create_dir(&kept).unwrap();
    fs::copy(bench.path("killed/records.sqlite.3"), kept.join("records.sqlite")).unwrap();
    assert_eq!(bench.digest("kept"), digest_of("killed"));
    // Columns of golden runs that schema 3 lacked are filled in.
    let connection = rusqlite::Connection::open(bench.path("killed/records.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM goldens WHERE auc_ci_low IS NULL OR ties_at_bounds IS NULL";
    assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(0));
}

#[test]
fn another_file_in_the_place_of_the_copy_is_not_overwritten() {
    let bench = bench();
    bench.write("flips/records.sqlite.3", "something of the user's");
    let before = fs::read(bench.path("flips/records.sqlite")).unwrap();
    bench.run("run flips.toml --out flips").fails(5, &["records.sqlite.3 is there", "move it away"]);
    assert_eq!(fs::read_to_string(bench.path("flips/records.sqlite.3")).unwrap(), "something of the user's");
    assert!(fs::read(bench.path("flips/records.sqlite")).unwrap() == before);
}

#[test]
fn a_grown_plan_continues_records_of_schema_3() {
    let bench = bench();
    let plan = fs::read_to_string(bench.path("flips.toml")).unwrap().replace("chips = 6", "chips = 9");
    bench.write("flips.toml", &plan);
    bench.run("run flips.toml --out flips --json").json();
    bench.run("run flips.toml --out fresh --json").json();
    assert_eq!(bench.digest("flips"), bench.digest("fresh"));
}

#[test]
fn damage_that_schema_3_shows_is_told_and_not_continued() {
    let bench = bench();
    let file = bench.path("flips/records.sqlite");
    let whole = fs::read(&file).unwrap();
    for (sql, place) in [
        (
            "UPDATE trials SET outcome = 'fine' WHERE cell = 2 AND chip = 3",
            "trials outcome, cell 2, chip 3: outcome",
        ),
        ("UPDATE trials SET path = 'round' WHERE cell = 2 AND chip = 3", "trials path, cell 2, chip 3"),
        ("UPDATE trials SET flips = -1 WHERE cell = 2 AND chip = 3", "trials flips, cell 2, chip 3"),
        ("UPDATE scores SET auc = 1.5 WHERE cell = 8", "scores auc, cell 8"),
        ("UPDATE scores SET auc_loss = -7 WHERE cell = 8", "scores auc_loss, cell 8"),
        ("UPDATE scores SET critical = 2 WHERE cell = 8", "scores critical, cell 8"),
        ("UPDATE scores SET masked = rows + 1 WHERE cell = 8", "scores masked, cell 8"),
        (
            "UPDATE scores SET sdc = 0, masked = rows - tolerable - due WHERE cell = 8",
            "scores outcome, cell 8",
        ),
        ("UPDATE cells SET seed = 'x' WHERE cell = 3", "cells seed, cell 3"),
        ("UPDATE cells SET ber = 2.0 WHERE cell = 3", "cells ber, cell 3"),
        ("UPDATE cells SET p_no_flip = -0.5 WHERE cell = 3", "cells p_no_flip, cell 3"),
        (
            "UPDATE cells SET prediction_kind = 'vague', predicted = 0.5 WHERE cell = 3",
            "cells prediction_kind, cell 3",
        ),
        ("UPDATE goldens SET outcome = 'x' WHERE model = 'fm'", "goldens outcome, fm on"),
        ("UPDATE goldens SET positives = 900 WHERE model = 'fm'", "goldens positives, fm on"),
        ("UPDATE header SET value = 'x' WHERE key = 'seed'", "header seed"),
        ("DELETE FROM header WHERE key = 'plan'", "table header"),
        ("DELETE FROM cells WHERE cell = 3", "trials: a row belongs to no row of cells"),
        ("DELETE FROM trials WHERE cell = 8", "scores: a row belongs to no row of trials"),
    ] {
        fs::write(&file, &whole).unwrap();
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        drop(connection);
        let damaged = fs::read(&file).unwrap();
        bench.run("report flips").fails(5, &["records.sqlite is damaged at", place]);
        bench.run("export flips --digest").fails(5, &[place]);
        bench.run("run flips.toml --out flips").fails(5, &[place]);
        assert!(fs::read(&file).unwrap() == damaged, "{sql}");
        let _ = fs::remove_file(bench.path("flips/records.sqlite.3"));
    }
}

#[test]
fn flipped_bits_in_records_of_schema_3_never_end_in_a_panic() {
    let bench = bench();
    let file = bench.path("protections/records.sqlite");
    let whole = fs::read(&file).unwrap();
    let mut state = 5_u64;
    let mut refused = 0;
    for _ in 0..60 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = (state >> 20) as usize % (8 * whole.len());
        let mut bytes = whole.clone();
        bytes[place / 8] ^= 1 << (place % 8);
        fs::write(&file, bytes).unwrap();
        let ran = bench.run("report protections --json");
        assert!(matches!(ran.code, Some(0 | 5)), "bit {place}: {:?} {}", ran.code, ran.err);
        refused += u32::from(ran.code == Some(5));
    }
    assert!(refused > 0);
}
