//! Protections as an axis of the plan, and what stands behind their records.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::workbench::{Workbench, csv};

const PROTECTIONS: &str = "[\"none\", \"sbp\", \"sbp=tmr:30\", \"sbp=sec\", \"sbp=parity\", \"secded\", \"secded:zero\", \
    \"secded:reload\", \"tmr\", \"mset\", \"constant-bits\", \"range-guard\", \"range-guard:row\", \
    \"row-checksum\", \"row-checksum:zero\", \"secded+range-guard\", \"mset+constant-bits\"]";

const ACTIVATIONS: &str = "[\"none\", \"clip:paper\", \"clip:artefact\", \"clip:activation,0..1\", \"zero:linear,-2..2\", \
    \"clip:linear,profiled\", \"zero:activation,profiled\", \"ranger\", \"range-guard+clip:paper\", \"mset+ranger\"]";

fn plan(keys: &str) -> String {
    format!("seed = 3\n{keys}protections = {PROTECTIONS}\n")
}

#[test]
fn full_and_auto_evaluation_give_the_same_digest_under_every_protection() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(&plan(
        "chips = 6\ntargets = [\"embedding\", \"dense\"]\nerror_models = [\"flips\", \"stuck-at:random\", \"count:3\"]\nrates = [1e-5, 1e-3]\n",
    ));
    let auto = bench.run("run plan.toml --out auto --threads 1 --json").json();
    let full = bench.run("run plan.toml --out full --evaluation full --threads 2 --json").json();
    assert_eq!(auto["cells"], 2 * 2 * 5 * 17);
    assert!(auto["known"].as_u64().unwrap() > 0);
    assert_eq!(full["known"], 0);
    assert_eq!(bench.digests("auto"), bench.digests("full"));
}

#[test]
fn injecting_under_a_protection_and_evaluating_gives_the_recorded_scores() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(&plan("chips = 3\ntargets = [\"all\"]\nrates = [3e-4]\n"));
    bench.run("run plan.toml --out run --json").json();
    bench.run("export run --json").json();
    let trials = csv(&bench.path("run/trials.csv"));
    let mut evaluated = 0;
    for trial in trials.iter().filter(|trial| trial["model"] == "wide-deep" && trial["chip"] != "1") {
        let (protection, chip) = (&trial["protection"], &trial["chip"]);
        let words = format!(
            "inject wide-deep.model --ber 3e-4 --seed 3 --chip {chip} --protection {protection} --out faulty.model --force --json"
        );
        let injected = bench.run(&words).json();
        let memory_flips = if protection == "none" { &injected["flips"] } else { &injected["memory_flips"] };
        assert_eq!(memory_flips.to_string(), trial["flips"], "{protection}");
        let scores = bench.run("evaluate faulty.model --data small.data --json").json();
        for key in ["auc", "auc_finite", "auc_worst", "log_loss"] {
            let recorded: Option<f64> = trial[key].parse().ok();
            assert_eq!(scores[key].as_f64(), recorded, "{protection} chip {chip} {key}");
        }
        assert_eq!(scores["non_finite"].to_string(), trial["non_finite"]);
        evaluated += 1;
    }
    assert_eq!(evaluated, 2 * 17);
}

#[test]
fn codes_and_copies_help_and_their_events_and_costs_are_on_record() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(&plan("chips = 8\ntargets = [\"all\"]\nrates = [1e-3]\n"));
    bench.run("run plan.toml --out run --json").json();
    let connection = rusqlite::Connection::open(bench.path("run/records.sqlite")).unwrap();
    let mut lost = BTreeMap::new();
    let mut statement = connection
        .prepare("SELECT protection, sum(auc_loss), sum(detected), sum(corrected), sum(reloads) FROM trial_scores WHERE model = 'wide-deep' GROUP BY protection")
        .unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        let counts: [i64; 3] = [row.get(2)?, row.get(3)?, row.get(4)?];
        Ok((row.get::<_, String>(0)?, (row.get::<_, f64>(1)?, counts)))
    };
    for row in statement.query_map([], read).unwrap() {
        let (protection, values) = row.unwrap();
        lost.insert(protection, values);
    }
    let loss = |name: &str| lost[name].0;
    assert!(loss("none") > 1.0, "{lost:?}");
    for name in ["sbp", "tmr", "secded:reload", "range-guard"] {
        assert!(loss(name).abs() < 0.2 * loss("none"), "{name}: {lost:?}");
    }
    assert_eq!(lost["none"].1, [0; 3]);
    assert_eq!(lost["sbp"].1, [0; 3]);
    let [detected, corrected, reloads] = lost["secded:reload"].1;
    assert!(corrected > 0 && detected == corrected + reloads);
    let cost = |name: &str, column: &str| -> f64 {
        let sql = format!("SELECT {column} FROM protections WHERE model = 'wide-deep' AND protection = ?1");
        connection.query_row(&sql, [name], |row| row.get::<_, f64>(0)).unwrap()
    };
    assert!((cost("secded", "memory_share") - 0.125).abs() < 1e-3);
    assert!((cost("tmr", "memory_share") - 2.0).abs() < 1e-9);
    for name in ["secded", "tmr", "constant-bits", "range-guard", "row-checksum", "sbp=parity", "mset"] {
        assert!(cost(name, "time_ratio") > 1.0, "{name}");
        assert!(cost(name, "CAST(checks AS REAL)") > 100.0, "{name}");
        assert_eq!(cost(name, "false_alarms_per_million"), 0.0, "{name}");
    }
    let outcomes: Vec<String> = connection
        .prepare("SELECT DISTINCT outcome FROM trial_scores WHERE protection = 'tmr'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(outcomes.contains(&"recovered".to_owned()), "{outcomes:?}");
}

#[test]
fn protections_that_make_no_sense_are_refused_before_anything_is_written() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("rates = [1e-3]\nprotections = [\"shield\"]\n");
    bench.run("run plan.toml --out run").fails(1, &["protections[0]", "shield", "secded[:pass|zero|reload]"]);
    bench.plan("rates = [1e-3]\nprotections = [\"range-guard:margin=0.5\"]\n");
    bench.run("run plan.toml --out run").fails(1, &["margin 0.5", "from 1 up"]);
    bench.plan("rates = [1e-3]\nprotections = [\"sbp:40\"]\n");
    bench.run("run plan.toml --out run").fails(1, &["sbp:40", "f32", "lacks"]);
    assert!(!bench.path("run").exists());
    bench
        .run("inject fm.model --ber 1e-3 --protection mset --out faulty.model --map m.map")
        .fails(1, &["mset stores other words"]);
    bench
        .run("inject fm.model --ber 1e-3 --protection shield --out faulty.model")
        .fails(1, &["--protection"]);
}

#[test]
fn the_error_map_of_a_protected_injection_is_what_readers_get() {
    let bench = Workbench::new();
    bench.models();
    let words = "inject fm.model --ber 1e-3 --protection secded:zero --out faulty.model --map m.map --json";
    let injected = bench.run(words).json();
    assert!(injected["detected"].as_u64().unwrap() > injected["restored"].as_u64().unwrap());
    bench.run("apply fm.model --map m.map --out applied.model --json").json();
    let [one, two] = ["faulty.model", "applied.model"].map(|file| std::fs::read(bench.path(file)).unwrap());
    assert_eq!(one, two);
}

#[test]
fn full_and_auto_evaluation_give_the_same_digest_under_protections_of_activations() {
    let bench = Workbench::new();
    bench.models();
    bench.plan(&format!(
        "chips = 5\ntargets = [\"embedding\", \"dense\"]\nrates = [1e-5, 1e-3]\nprotections = {ACTIVATIONS}\n"
    ));
    let auto = bench.run("run plan.toml --out auto --threads 1 --json").json();
    bench.run("run plan.toml --out full --evaluation full --threads 2 --json").json();
    assert_eq!(auto["cells"], 2 * 2 * 2 * 10);
    assert_eq!(bench.digests("auto"), bench.digests("full"));
    // FM has no activation and no hidden linear layer: a clip can't change it, and the records say so.
    let connection = rusqlite::Connection::open(bench.path("auto/records.sqlite")).unwrap();
    let differ: i64 = connection
        .query_row(
            "SELECT count(*) FROM trial_scores a JOIN trial_scores b USING (model, target, ber, chip)
             WHERE model = 'fm' AND a.protection = 'none' AND b.protection LIKE 'clip:%' AND a.auc IS NOT b.auc",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(differ, 0);
    let said: String = connection
        .query_row(
            "SELECT assumptions FROM protections WHERE model = 'fm' AND protection = 'clip:paper'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(said, "finds no place to act: the model has no activation");
    let slower: f64 = connection
        .query_row(
            "SELECT time_ratio FROM protections WHERE model = 'wide-deep' AND protection = 'ranger'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(slower > 0.5, "{slower}");
}

#[test]
fn injecting_and_evaluating_under_a_clip_gives_the_recorded_scores() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 3\nchips = 4\nrates = [1e-3]\nprotections = [\"clip:paper\", \"clip:artefact\"]\n");
    bench.run("run plan.toml --out run --json").json();
    bench.run("export run --json").json();
    for trial in csv(&bench.path("run/trials.csv")).iter().filter(|trial| trial["model"] == "wide-deep") {
        let inject = format!(
            "inject wide-deep.model --ber 1e-3 --seed 3 --chip {} --out faulty.model --force --json",
            trial["chip"]
        );
        bench.run(&inject).json();
        let protection = &trial["protection"];
        let words = format!("evaluate faulty.model --data small.data --protection {protection} --json");
        let scores = bench.run(&words).json();
        for key in ["auc", "auc_finite", "log_loss"] {
            assert_eq!(scores[key].as_f64(), trial[key].parse().ok(), "{protection} {key}");
        }
    }
    let evaluate = "evaluate wide-deep.model --data small.data --protection";
    bench.run(&format!("{evaluate} ranger")).fails(1, &["ranger", "clean model"]);
    bench.run(&format!("{evaluate} secded")).fails(1, &["secded", "inject"]);
    bench
        .run("inject wide-deep.model --ber 1e-3 --protection clip:paper --out x")
        .fails(1, &["clip:paper", "stored words alone"]);
}

#[test]
fn bounds_that_a_campaign_calibrated_are_on_record_and_give_its_scores_again() {
    let bench = Workbench::new();
    bench.models();
    let calibrated =
        ["ranger", "clip:activation,profiled", "zero:linear,quantile=0.99", "clip:activation,tuned+ranger"];
    let list = calibrated.map(|name| format!("\"{name}\"")).join(", ");
    bench.plan(&format!(
        "seed = 3\nchips = 3\nrates = [1e-3]\nprotections = [\"none\", \"clip:paper\", {list}]\n"
    ));
    bench.run("run plan.toml --out run --json").json();
    bench.run("export run --json").json();
    let connection = rusqlite::Connection::open(bench.path("run/records.sqlite")).unwrap();
    let sql = "SELECT protection, bounds FROM protections WHERE model = 'wide-deep' ORDER BY protection";
    let mut statement = connection.prepare(sql).unwrap();
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)));
    for (protection, bounds) in rows.unwrap().map(Result::unwrap) {
        assert_eq!(bounds.is_some(), protection != "clip:paper", "{protection}: {bounds:?}");
        let Some(bounds) = bounds else { continue };
        let bounds: serde_json::Value = serde_json::from_str(&bounds).unwrap();
        for stage in protection.split('+') {
            let of = bounds[stage].as_object().unwrap();
            assert!(of.values().all(|of| of[0].as_f64() <= of[1].as_f64()) && !of.is_empty(), "{bounds}");
        }
    }
    let mut compared = 0;
    let sql =
        "SELECT protection, chip, auc, auc_finite, log_loss FROM trial_scores WHERE model = 'wide-deep'";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let scores: [Option<f64>; 3] = [row.get(2)?, row.get(3)?, row.get(4)?];
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, scores))
    });
    for (protection, chip, recorded) in rows.unwrap().map(Result::unwrap) {
        if !calibrated.contains(&protection.as_str()) {
            continue;
        }
        let inject =
            format!("inject wide-deep.model --ber 1e-3 --seed 3 --chip {chip} --out faulty.model --json");
        std::fs::remove_file(bench.path("faulty.model")).ok();
        bench.run(&inject).json();
        let words =
            format!("evaluate faulty.model --data small.data --protection {protection} --bounds run --json");
        let scores = bench.run(&words).json();
        for (key, recorded) in ["auc", "auc_finite", "log_loss"].into_iter().zip(recorded) {
            assert_eq!(scores[key].as_f64(), recorded, "{protection} {key}");
        }
        compared += 1;
    }
    assert_eq!(compared, 3 * calibrated.len());
    let evaluate = "evaluate wide-deep.model --data small.data --protection";
    bench.run(&format!("{evaluate} ranger")).fails(1, &["ranger", "--bounds"]);
    bench
        .run(&format!("{evaluate} clip:paper --bounds run"))
        .fails(1, &["--bounds", "clip:paper takes no bounds"]);
    bench
        .run(&format!("{evaluate} clip:linear,profiled --bounds run"))
        .fails(5, &["run", "clip:linear,profiled"]);
    bench.run(&format!("{evaluate} ranger --bounds nowhere")).fails(5, &["nowhere"]);
}

const RESULTS: &str = "[\"none\", \"sbp\", \"mset\", \"clip:paper\", \"zero:linear,-2..2\", \"ranger\", \"abft-gemm:recompute\", \
    \"abft-gemm:reload\", \"abft-gemm:fallback\", \"abft-embedding:recompute\", \"abft-embedding:reload\", \
    \"secded:reload+abft-gemm:recompute\"]";

#[test]
fn rows_under_hooks_and_compute_faults_give_the_digest_of_full_passes() {
    let bench = Workbench::new();
    bench.models();
    for persistence in ["memory", "compute"] {
        bench.plan(&format!(
            "seed = 3\nchips = 5\npersistence = \"{persistence}\"\ntargets = [\"embedding\", \"dense\", \"*@20-31\"]\n\
             error_models = [\"flips\", \"count:3\"]\nrates = [1e-6, 1e-4]\nprotections = {RESULTS}\n"
        ));
        let [one, two] = ["auto", "full"].map(|way| format!("{persistence}-{way}"));
        let auto = bench.run(&format!("run plan.toml --out {one} --threads 1 --json")).json();
        let full =
            bench.run(&format!("run plan.toml --out {two} --evaluation full --threads 2 --json")).json();
        assert_eq!(auto["trials"], full["trials"]);
        assert!(auto["paths"]["rows"].as_u64().unwrap() > 100, "{persistence}: {auto}");
        assert_eq!(full["known"], 0);
        assert_eq!(bench.digests(&one), bench.digests(&two), "{persistence}");
    }
}

#[test]
fn a_chip_of_compute_faults_can_be_evaluated_alone() {
    let bench = Workbench::new();
    bench.models();
    let keys = "seed = 3\nchips = 3\ntargets = [\"dense\"]\nrates = [1e-4]\n";
    bench.plan(&format!("{keys}protections = [\"none\", \"sbp\", \"abft-gemm:recompute\"]\n"));
    bench.run("run plan.toml --persistence compute --out run --json").json();
    bench.run("export run --json").json();
    let trials = csv(&bench.path("run/trials.csv"));
    for trial in trials.iter().filter(|trial| trial["model"] == "wide-deep") {
        assert_eq!(trial["error_model"], "flips@compute");
        let protection = if trial["protection"] == "sbp" { "none" } else { &trial["protection"] };
        let words = format!(
            "evaluate wide-deep.model --data small.data --persistence compute --ber 1e-4 --target dense --seed 3 --chip {} \
             --protection {protection} --json",
            trial["chip"]
        );
        let scores = bench.run(&words).json();
        for key in ["auc", "auc_finite", "auc_worst", "log_loss"] {
            let recorded: Option<f64> = trial[key].parse().ok();
            assert_eq!(scores[key].as_f64(), recorded, "{protection} {key}");
        }
        assert_eq!(scores["flips"].to_string(), trial["flips"]);
    }
    bench
        .run("evaluate wide-deep.model --data small.data --persistence memory --ber 1e-4")
        .fails(1, &["--persistence", "inject"]);
}

/// A csv of this many rows with a column for each field, one numeric column and a label, prepared as `NAME.data`.
fn table(bench: &Workbench, name: &str, dims: &[u32], rows: u32) {
    let mix = |i: u32| {
        i.wrapping_add(1).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519) >> 7
    };
    let fields: Vec<String> = (0..dims.len()).map(|field| format!("f{field}")).collect();
    let mut text = format!("{},x,y\n", fields.join(","));
    for row in 0..rows {
        for (field, dim) in (0..).zip(dims) {
            write!(text, "{},", mix(row * 7 + field) % dim).expect("text");
        }
        let (x, y) = (mix(row * 7 + 5) % 1000, u32::from(mix(row * 7 + 6) % 10 < 4));
        writeln!(text, "0.{x:03},{y}").expect("text");
    }
    bench.write(&format!("{name}.csv"), &text);
    let words = "--label y --numeric x --json --categorical";
    bench.run(&format!("data prepare csv {name}.csv --out {name}.data {words} {}", fields.join(","))).json();
}

/// Models with a table per field have rows whose number differs from their id among all fields.
#[test]
fn a_model_with_a_table_per_field_gives_the_same_records_both_ways_under_every_check_of_results() {
    let bench = Workbench::new();
    let mut subjects = String::new();
    for (name, dims) in [("two", &[40, 3000][..]), ("three", &[3000, 400, 20])] {
        table(&bench, name, dims, 6000);
        bench.run(&format!("init --model dlrm --data {name}.data --out {name}.model --json")).json();
        write!(
            subjects,
            "[[subject]]\nname = \"{name}\"\nmodel = \"{name}.model\"\ndata = \"{name}.data\"\n"
        )
        .expect("text");
    }
    for persistence in ["memory", "compute"] {
        bench.write("plan.toml", &format!(
            "chips = 12\npersistence = \"{persistence}\"\ntargets = [\"embedding\"]\nrates = [1e-5, 1e-4]\nprotections = \
             [\"none\", \"abft-embedding:recompute\", \"abft-embedding:reload\", \"abft-embedding:fallback\", \
             \"abft-gemm:reload+abft-embedding:recompute\"]\n{subjects}"
        ));
        let [one, two] = ["auto", "full"].map(|way| format!("{persistence}-{way}"));
        let auto = bench.run(&format!("run plan.toml --out {one} --json")).json();
        let full = bench.run(&format!("run plan.toml --out {two} --evaluation full --json")).json();
        assert_eq!(auto["trials"], full["trials"]);
        assert!(auto["paths"]["rows"].as_u64().unwrap() > 50, "{persistence}: {auto}");
        assert_eq!(bench.digest(&one), bench.digest(&two), "{persistence}");
        // Detections of protections and reads of flips are the same too.
        let [one, two] = [one, two].map(|run| bench.run(&format!("export {run} --digest=all")).out);
        assert_eq!(one, two, "{persistence}");
    }
}
