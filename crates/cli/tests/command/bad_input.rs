//! Bad input: a clear error with value, rule and place, the right exit code, and nothing written half.

use std::fs;

use crate::workbench::Workbench;

#[test]
fn rates_outside_the_unit_interval_are_usage_errors() {
    let bench = Workbench::new();
    bench.models();
    for rate in ["-1e-3", "1.5", "nan", "inf", "much"] {
        let ran = bench.run(&format!("inject fm.model --ber {rate} --out faulty.model"));
        assert_eq!(ran.code, Some(1), "{rate}: {}", ran.err);
        assert!(ran.err.contains("--ber"), "{}", ran.err);
    }
    bench.plan("rates = [1e-3, 1.5]\n");
    bench.run("run plan.toml --out run").fails(1, &["plan.toml", "rates[1]", "1.5", "[0, 1]"]);
    bench.plan("rates = [nan]\n");
    bench.run("run plan.toml --out run").fails(1, &["rates[0]", "NaN"]);
    assert!(!bench.path("run").exists());
    assert!(!bench.path("faulty.model").exists());
}

#[test]
fn a_target_that_matches_nothing_lists_what_there_is() {
    let bench = Workbench::new();
    bench.models();
    bench
        .run("inject fm.model --ber 1e-3 --target mlp.* --out faulty.model")
        .fails(1, &["mlp.*", "embedding.embedding.weight", "linear.bias"]);
    bench.plan("rates = [1e-3]\ntargets = [\"all\", \"attention.*\"]\n");
    bench.run("run plan.toml --out run").fails(1, &["attention.*", "linear.fc.weight"]);
    assert!(!bench.path("run").exists());
}

#[test]
fn rating_files_that_are_wrong_name_the_lines() {
    let bench = Workbench::new();
    let header = "userId,movieId,rating,timestamp\n";
    for (name, text, parts) in [
        ("short", "1,10,4.0,5\n2,1".to_owned(), &["line 3", "4 columns"][..]),
        ("columns", "1,10,4.0\n".to_owned(), &["2"]),
        ("separator", "1\t10\t4.0\t5\n".to_owned(), &["2"]),
        ("nan", "1,10,NaN,5\n".to_owned(), &["2", "NaN"]),
        ("id", "x,10,4.0,5\n".to_owned(), &["2", "x"]),
        ("huge", "99999999999999999999,10,4.0,5\n".to_owned(), &["2", "9999"]),
    ] {
        bench.write("ratings.csv", &format!("{header}{text}"));
        let ran = bench.run("data prepare movielens-20m ratings.csv --out a.data");
        assert_eq!(ran.code, Some(5), "{name}: {}{}", ran.out, ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{name}: {:?} lacks {part:?}", ran.err);
        }
    }
    bench.write("ratings.csv", "1,10,4.0,5\n");
    bench
        .run("data prepare movielens-20m ratings.csv --out a.data")
        .fails(5, &["userId,movieId,rating,timestamp"]);
    bench.run("data prepare movielens-1m nowhere.dat --out a.data").fails(5, &["nowhere.dat"]);
    bench.run("data prepare csv ratings.csv --out a.data --categorical a").fails(1, &["--label"]);
    assert_eq!(bench.files(), ["ratings.csv"]);

    bench.write("ratings.csv", &format!("{header}1,10,4.0,5\nbad\n2,10,2.0,5\n"));
    let ran = bench
        .run("data prepare movielens-20m ratings.csv --out a.data --split none --max-bad-lines 1 --json");
    assert_eq!((ran.json()["bad_lines"].as_u64(), ran.json()["rows"].as_u64()), (Some(1), Some(2)));
}

/// A line of Criteo's train.txt.
fn criteo_line(change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut cells = vec!["1".to_owned()];
    cells.extend((0..13).map(|column| column.to_string()));
    cells.extend((0..26).map(|column| format!("{column:08x}")));
    change(&mut cells);
    cells.join("\t")
}

#[test]
fn bad_lines_of_criteo_are_named_and_flags_that_cannot_fit_are_wrong_usage() {
    let bench = Workbench::new();
    let good = criteo_line(|_| {});
    for (name, bad, part) in [
        ("few", criteo_line(|cells| cells.truncate(39)), "expected 40 columns, found 39"),
        ("many", criteo_line(|cells| cells.push("0".to_owned())), "expected 40 columns, found 41"),
        ("number", criteo_line(|cells| cells[2] = "x7".to_owned()), "I2 \"x7\" is not a number"),
        ("word", criteo_line(|cells| cells[19] = "zz".to_owned()), "C6 \"zz\" is not a hexadecimal word"),
    ] {
        bench.write("train.txt", &format!("{good}\n{bad}\n{good}\n"));
        let ran = bench.run("data prepare criteo train.txt --out a.data");
        ran.fails(5, &["train.txt", "line 2", part, "at most 0 are allowed"]);
        assert_eq!(bench.files(), ["train.txt"], "{name}");
    }
    let ran = bench.run("data prepare criteo train.txt --out a.data --max-bad-lines 1 --split none");
    assert!(ran.out.contains("1 bad line left out"), "{}{}", ran.out, ran.err);
    bench.write("train.txt", "");
    bench.run("data prepare criteo train.txt --out b.data").fails(5, &["train.txt", "no rows"]);

    bench.write("train.txt", &good);
    let unix = bench.run("data prepare criteo train.txt --out unix.data --split none --json").json();
    bench.write("train.txt", &format!("{good}\r\n"));
    let dos = bench.run("data prepare criteo train.txt --out dos.data --split none --json").json();
    assert_eq!(unix["fingerprint"], dos["fingerprint"]);

    bench.run("data prepare criteo train.txt --out b.data --ids index").fails(1, &["criteo", "index"]);
    bench.run("data synth dummy --sparsity 2 --out b.data").fails(1, &["sparsity 2", "[0, 1]"]);
    let dlrm = bench.run("train --model dlrm --data unix.data --out dlrm.model");
    dlrm.fails(1, &["unix.data", "numeric", "--dense-integers"]);
}

#[test]
fn a_map_is_refused_by_another_model_and_a_second_time() {
    let bench = Workbench::new();
    bench.models();
    fs::copy(bench.path("fm.model"), bench.path("clean.model")).unwrap();
    bench.run("inject fm.model --ber 1e-3 --seed 4 --map a.map --json").json();
    assert_eq!(fs::read(bench.path("fm.model")).unwrap(), fs::read(bench.path("clean.model")).unwrap());
    bench.run("apply wide-deep.model --map a.map").fails(5, &["wide-deep.model", "other parameters"]);
    bench.run("undo fm.model --map a.map").fails(5, &["fm.model", "not applied"]);
    let applied = bench.run("apply fm.model --map a.map --json").json();
    assert!(applied["flips"].as_u64().unwrap() > 0);
    assert_ne!(fs::read(bench.path("fm.model")).unwrap(), fs::read(bench.path("clean.model")).unwrap());
    bench.run("apply fm.model --map a.map").fails(5, &["applied already"]);
    assert_eq!(bench.run("undo fm.model --map a.map --json").json(), applied);
    assert_eq!(fs::read(bench.path("fm.model")).unwrap(), fs::read(bench.path("clean.model")).unwrap());
    bench.run("apply fm.model --map fm.model").fails(5, &["fm.model"]);
    bench.run("apply fm.model --map none.map").fails(5, &["none.map"]);
}

#[test]
fn a_model_or_data_file_cut_anywhere_is_refused_by_every_command() {
    let bench = Workbench::new();
    bench.models();
    let model = fs::read(bench.path("fm.model")).unwrap();
    let data = fs::read(bench.path("small.data")).unwrap();
    for part in [0, 1, 7, 8, 9, 100, model.len() / 2, model.len() - 1] {
        fs::write(bench.path("cut.model"), &model[..part]).unwrap();
        for words in [
            "evaluate cut.model --data small.data",
            "inspect cut.model",
            "inject cut.model --ber 1e-3 --out faulty.model",
        ] {
            let ran = bench.run(words);
            assert_eq!(ran.code, Some(5), "{words} at {part}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains("cut.model"), "{}", ran.err);
        }
    }
    for part in [0, 8, data.len() / 2, data.len() - 1] {
        fs::write(bench.path("cut.data"), &data[..part]).unwrap();
        bench.run("evaluate fm.model --data cut.data").fails(5, &["cut.data"]);
        bench.run("train --model fm --data cut.data --out new.model").fails(5, &["cut.data"]);
    }
    assert!(!bench.path("faulty.model").exists() && !bench.path("new.model").exists());
}

#[test]
fn a_directory_of_another_plan_is_left_alone() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 1\nchips = 2\nrates = [1e-3, 1e-2]\n");
    bench.run("run plan.toml --out run --json").json();
    let digest = bench.digest("run");
    for (keys, parts) in [
        ("seed = 2\nchips = 2\nrates = [1e-3, 1e-2]\n", &["seed", "1", "2"][..]),
        (
            "seed = 1\nchips = 2\nrates = [1e-3, 1e-2]\nnon_finite = \"lowest\"\n",
            &["non_finite", "lowest", "fallback"],
        ),
        ("seed = 1\nchips = 2\nrates = [1e-3]\n", &["0.01"]),
        ("seed = 1\nchips = 1\nrates = [1e-3, 1e-2]\n", &["chips: recorded \"2\", requested \"1\""]),
    ] {
        bench.plan(keys);
        bench.run("run plan.toml --out run").fails(4, parts);
        assert_eq!(bench.digest("run"), digest);
    }
    bench.run("train --model fm --data small.data --out fm.model --epochs 1 --seed 9 --force --json").json();
    bench.plan("seed = 1\nchips = 2\nrates = [1e-3, 1e-2]\n");
    bench.run("run plan.toml --out run").fails(4, &["model fm"]);
    bench.run("report nowhere").fails(5, &["nowhere"]);
    bench.run("export nowhere --digest").fails(5, &["nowhere"]);
}

#[test]
fn plans_that_cannot_be_read_name_line_and_key() {
    let bench = Workbench::new();
    bench.models();
    bench.run("run nowhere.toml --out run").fails(5, &["nowhere.toml"]);
    bench.plan("rates = [1e-3\n");
    bench.run("run plan.toml --out run").fails(5, &["plan.toml", "line"]);
    bench.plan("rates = [1e-3]\nrate = 3\n");
    bench.run("run plan.toml --out run").fails(5, &["rate", "unknown field"]);
    bench.write("plan.toml", "rates = [1e-3]\n[[subject]]\nmodel = \"no.model\"\ndata = \"small.data\"\n");
    bench.run("run plan.toml --out run").fails(5, &["no.model"]);
    bench.run("evaluate fm.model").fails(1, &["--data"]);
    bench.run("frobnicate").fails(1, &["frobnicate"]);
    assert!(!bench.path("run").exists());
}

#[test]
fn models_and_data_of_other_dims_show_both_lists() {
    let bench = Workbench::new();
    bench.models();
    bench.run("init --model fm --field-dims 3,4 --out tiny.model --json").json();
    bench.run("evaluate tiny.model --data small.data").fails(5, &["[3, 4]", "[60, 40]"]);
    bench.run("train --model gm --data small.data --out x.model").fails(1, &["gm", "wide-deep"]);
    bench.run("train --model fm --data small.data --out x.model --lr -1").fails(1, &["learning rate", "-1"]);
}

#[test]
fn a_golden_run_that_fails_stops_the_campaign() {
    let bench = Workbench::new();
    bench.models();
    // In a factorisation machine huge factors give Inf - Inf.
    let broken =
        bench.run("inject fm.model --ber 1 --target embedding.*@30 --out broken.model --json").json();
    assert_eq!(broken["flips"], broken["exposed_bits"]);
    let plan = "rates = [1e-3]\n[[subject]]\nmodel = \"broken.model\"\ndata = \"small.data\"\n";
    bench.write("plan.toml", plan);
    bench.run("run plan.toml --out run --allow-faulty").fails(3, &["golden run of fm", "not finite"]);
    assert!(!bench.path("run").exists());
}

#[cfg(unix)]
#[test]
fn directories_that_cannot_be_written_are_named_and_nothing_is_left() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("chips = 2\nrates = [1e-3]\n");
    // A file where a directory has to be: an obstacle that root meets too.
    bench.write("taken", "");
    bench.run("run plan.toml --out taken/run").fails(5, &["taken"]);
    bench.run("data prepare movielens-latest-small ratings.csv --out taken/a.data").fails(5, &["taken"]);
    bench.run("inject fm.model --ber 1e-3 --out taken/a.model").fails(5, &["taken"]);
    bench.run("evaluate fm.model --data small.data --scores taken/s").fails(5, &["taken"]);
    let names = bench.files();
    assert_eq!(names, ["fm.model", "plan.toml", "ratings.csv", "small.data", "taken", "wide-deep.model"]);
}

/// A limit on the size of written files stands for a full disk: every write past it fails.
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_leaves_no_half_file() {
    let bench = Workbench::new();
    bench.models();
    let radhard = env!("CARGO_BIN_EXE_radhard");
    let limited = |words: &str, kilobytes: u32| {
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec {radhard} {words}");
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .current_dir(bench.path("."))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let before = bench.files();
    for (words, file) in [
        ("train --model fm --data small.data --out full.model --epochs 1", "full.model"),
        ("data prepare movielens-latest-small ratings.csv --out full.data", "full.data"),
        ("inject fm.model --ber 1e-3 --out full.model", "full.model"),
    ] {
        let (code, err) = limited(words, 2);
        assert_eq!(code, Some(5), "{words}: {err}");
        assert!(err.contains(file), "{err}");
    }
    assert_eq!(bench.files(), before);
    bench.plan("chips = 200\nrates = [1e-2]\n");
    let (code, err) = limited("run plan.toml --out run", 60);
    assert_eq!(code, Some(5), "{err}");
    assert!(err.contains("run"), "{err}");
    // Wherever the writing fails, it is told as that, and not by what follows from it.
    for kilobytes in (4..100).step_by(3) {
        let (code, err) = limited("run plan.toml --out run --quiet", kilobytes);
        assert!(code == Some(5) && !err.contains("FOREIGN KEY"), "{kilobytes}: {err}");
    }
    // With room again the same command continues to the same records.
    bench.run("run plan.toml --out run --json").json();
    bench.run("run plan.toml --out whole --json").json();
    assert_eq!(bench.digest("run"), bench.digest("whole"));
}

#[test]
fn data_with_one_changed_id_are_refused_by_name_with_both_fingerprints() {
    let bench = Workbench::new();
    bench.models();
    let whole = std::fs::read(bench.path("small.data")).unwrap();
    let stored = bench.run("data info small.data --json").json()["fingerprint"].as_str().unwrap().to_owned();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&whole[8..header]).unwrap();
    let indices = header + json["indices"]["data_offsets"][0].as_u64().unwrap() as usize;
    let mut changed = whole.clone();
    // Another user for row 3, who is one of the users too.
    changed[indices + 3 * 8] ^= 1;
    std::fs::write(bench.path("small.data"), changed).unwrap();
    bench.plan("chips = 2\nrates = [1e-3]\n");
    for words in [
        "data info small.data",
        "evaluate fm.model --data small.data",
        "train --model fm --data small.data --out other.model",
        "run plan.toml --out run",
    ] {
        bench.run(words).fails(5, &["small.data", "fingerprint ", &stored, "prepare it anew"]);
    }
    assert!(!bench.path("run").exists() && !bench.path("other.model").exists());
    // The stored fingerprint changed, the rows as they were.
    let mut changed = whole.clone();
    let at = whole.windows(64).position(|bytes| bytes == stored.as_bytes()).unwrap();
    changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
    std::fs::write(bench.path("small.data"), changed).unwrap();
    bench.run("data info small.data").fails(5, &["small.data", "fingerprint ", &stored]);
}
