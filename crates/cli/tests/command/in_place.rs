//! Changes of files in place, and what faulty files say of themselves.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use radhard_fault::{Component, ErrorMap, Format, SafetensorsLayout};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::workbench::Workbench;

const SIDE: &str = "m.st.radhard-fault";

/// A safetensors file of so many f32 words in one tensor.
fn write_floats(path: &Path, words: u16) {
    let bytes: Vec<u8> = (0..words).flat_map(|i| (0.5 + f32::from(i) / 65536.0).to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![words.into()], &bytes);
    safetensors::serialize_to_file([("w", view.unwrap())], None, path).unwrap();
}

/// Brings the first `count` words of a map into the state it makes, in a copy of the file.
fn partly(clean: &[u8], map: &ErrorMap, count: usize) -> Vec<u8> {
    let layout = SafetensorsLayout::of(clean, |_| Component::Unknown).unwrap();
    let mut bytes = clean.to_vec();
    for (element, mask, old) in map.parameters()[0].iter().take(count) {
        let place = layout.place(0, element);
        place.set(&mut bytes[place.at as usize..], Format::F32, old ^ mask);
    }
    bytes
}

fn metadata(path: &Path) -> std::collections::HashMap<String, String> {
    let bytes = fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().clone().unwrap_or_default()
}

#[test]
fn a_change_that_was_stopped_is_taken_back_by_undo_and_finished_by_apply() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, 20_000);
    let clean = fs::read(&path).unwrap();
    bench.run("inject m.st --ber 1e-4 --seed 3 --map m.map --json").json();
    let map = ErrorMap::load(bench.path("m.map")).unwrap();
    let words = map.words() as usize;
    assert!(words > 30, "{words}");
    let injected = partly(&clean, &map, words);
    for count in [1, words / 2, words - 1] {
        fs::write(&path, partly(&clean, &map, count)).unwrap();
        let undone = bench.run("undo m.st --map m.map --json").json();
        assert_eq!(undone["already"], words - count);
        assert_eq!(fs::read(&path).unwrap(), clean, "{count} words");
        fs::write(&path, partly(&clean, &map, count)).unwrap();
        let ran = bench.run("apply m.st --map m.map");
        assert!(ran.out.contains("was finished"), "{}{}", ran.out, ran.err);
        assert_eq!(fs::read(&path).unwrap(), injected, "{count} words");
        bench.run("apply m.st --map m.map").fails(5, &["m.st", "applied already"]);
        bench.run("undo m.st --map m.map --json").json();
        assert_eq!(fs::read(&path).unwrap(), clean);
        bench.run("undo m.st --map m.map").fails(5, &["m.st", "not applied"]);
        assert_eq!(bench.files(), ["m.map", "m.st"]);
    }
}

#[test]
fn a_word_that_is_neither_old_nor_injected_is_refused_before_anything_is_written() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, 20_000);
    let clean = fs::read(&path).unwrap();
    bench.run("inject m.st --ber 1e-4 --seed 3 --map m.map --json").json();
    let map = ErrorMap::load(bench.path("m.map")).unwrap();
    let layout = SafetensorsLayout::of(&clean, |_| Component::Unknown).unwrap();
    let last = *map.parameters()[0].elements().last().unwrap();
    let place = layout.place(0, last);
    for count in [0, 7, map.words() as usize] {
        let mut bytes = partly(&clean, &map, count);
        place.set(&mut bytes[place.at as usize..], Format::F32, 0x1234_5678);
        fs::write(&path, &bytes).unwrap();
        for command in ["apply", "undo", "apply --out copy.st", "undo --out copy.st"] {
            let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
            let ran = bench.run(&format!("{command} m.st --map m.map {rest}"));
            ran.fails(5, &["m.st", &format!("word {last} of \"w\" is 0x12345678"), "neither"]);
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(bench.files(), ["m.map", "m.st"]);
    }
}

#[test]
fn a_model_changed_in_place_has_a_side_file_until_undo_and_takes_no_second_map() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, 20_000);
    let clean = fs::read(&path).unwrap();
    bench.run("inject m.st --ber 1e-3 --seed 9 --map other.map --json").json();
    bench.run("inject m.st --ber 1e-3 --in-place").fails(1, &["--map"]);
    bench.run("inject m.st --ber 1e-3 --in-place --map a.map --out b.st").fails(1, &["--out"]);
    bench
        .run("inject m.st --ber 1e-3 --in-place --map /dev/null")
        .fails(1, &["/dev/null", "not a regular file"]);
    let injected = bench.run("inject m.st --ber 1e-3 --seed 7 --chip 2 --in-place --map m.map --json").json();
    assert_ne!(fs::read(&path).unwrap(), clean);
    let side: Value = serde_json::from_slice(&fs::read(bench.path(SIDE)).unwrap()).unwrap();
    assert_eq!((&side["seed"], &side["chip"], &side["ber"]), (&7.into(), &2.into(), &1e-3.into()));
    assert_eq!((&side["target"], &side["error_model"]), (&"all".into(), &"flips".into()));
    assert_eq!((&side["size"], &side["map"]), (&clean.len().into(), &"m.map".into()));
    assert_eq!((&side["flips"], &side["golden"]), (&injected["flips"], &"m.st".into()));
    assert_eq!(side["map_sha256"].as_str().map(str::len), Some(64));
    let flips = format!("{} flips", injected["flips"]);
    let ran = bench.run("inspect m.st");
    assert!(ran.out.contains(&flips) && ran.out.contains("seed 7, chip 2"), "{}", ran.out);
    for command in [
        "inject m.st --ber 1e-3 --out b.st",
        "inject m.st --ber 1e-3 --in-place --map b.map",
        "apply m.st --map other.map",
        "apply m.st --map other.map --rebase",
        "undo m.st --map other.map",
    ] {
        bench.run(command).fails(5, &["m.st", "holds faults already", &flips, "seed 7, chip 2"]);
    }
    bench.run("apply m.st --map m.map").fails(5, &["applied already"]);
    let copied = bench.run("undo m.st --map m.map --out clean.st --json").json();
    assert_eq!(copied["flips"], injected["flips"]);
    assert_eq!(fs::read(bench.path("clean.st")).unwrap(), clean);
    bench.run("undo m.st --map m.map --json").json();
    assert_eq!(fs::read(&path).unwrap(), clean);
    assert_eq!(bench.files(), ["clean.st", "m.map", "m.st", "other.map"]);
}

#[test]
fn a_side_file_whose_change_never_began_is_removed_by_undo_and_used_by_apply() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, 20_000);
    let clean = fs::read(&path).unwrap();
    bench.run("inject m.st --ber 1e-3 --in-place --map m.map --json").json();
    let (injected, side) = (fs::read(&path).unwrap(), fs::read(bench.path(SIDE)).unwrap());
    fs::write(&path, &clean).unwrap();
    bench.run("undo m.st --map m.map --json").json();
    assert!(!bench.path(SIDE).exists());
    assert_eq!(fs::read(&path).unwrap(), clean);
    fs::write(bench.path(SIDE), side).unwrap();
    bench.run("apply m.st --map m.map --json").json();
    assert_eq!(fs::read(&path).unwrap(), injected);
    fs::write(bench.path(SIDE), "{").unwrap();
    bench.run("undo m.st --map m.map").fails(5, &[SIDE, "not a side file", "remove it"]);
    fs::remove_file(bench.path(SIDE)).unwrap();
    bench.run("undo m.st --map m.map --json").json();
    assert_eq!(fs::read(&path).unwrap(), clean);
}

#[test]
fn a_map_rebased_in_place_is_undone_by_the_words_that_were_there() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, 20_000);
    bench.run("inject m.st --ber 1e-3 --map m.map --json").json();
    let mut other = fs::read(&path).unwrap();
    let data = other.len() - 80_000;
    other[data..].iter_mut().for_each(|byte| *byte ^= 0x15);
    fs::write(&path, &other).unwrap();
    bench.run("apply m.st --map m.map").fails(5, &["neither"]);
    bench.run("apply m.st --map m.map --rebase --out copy.st --json").json();
    bench.run("apply m.st --map m.map --rebase --json").json();
    assert_ne!(fs::read(&path).unwrap(), other);
    bench.run("apply m.st --map m.map --rebase").fails(5, &["applied already"]);
    bench.run("undo m.st --map m.map --json").json();
    assert_eq!(fs::read(&path).unwrap(), other);
    bench.run("undo copy.st --map m.map --json").json();
    assert_eq!(fs::read(bench.path("copy.st")).unwrap(), other);
    assert_eq!(bench.files(), ["copy.st", "m.map", "m.st"]);
}

#[test]
fn two_changes_at_once_are_refused_by_name() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, 20_000);
    let clean = fs::read(&path).unwrap();
    bench.run("inject m.st --ber 1e-3 --map m.map --json").json();
    let held = File::options().read(true).write(true).open(&path).unwrap();
    held.try_lock().unwrap();
    for command in
        ["apply m.st --map m.map", "undo m.st --map m.map", "inject m.st --ber 1e-3 --in-place --map n.map"]
    {
        bench.run(command).fails(5, &["m.st", "another process is changing"]);
    }
    assert_eq!(fs::read(&path).unwrap(), clean);
    drop(held);
    bench.run("apply m.st --map m.map --json").json();
}

#[test]
fn twenty_kills_lose_nothing() {
    let bench = Workbench::new();
    let path = bench.path("m.st");
    write_floats(&path, u16::MAX);
    let clean = fs::read(&path).unwrap();
    bench.run("inject m.st --ber 0.3 --map m.map --json").json();
    let map = ErrorMap::load(bench.path("m.map")).unwrap();
    let injected = partly(&clean, &map, usize::MAX);
    let mut stopped = 0;
    for kill in 0..20_u32 {
        let (command, whole) = if kill % 2 == 0 { ("apply", &injected) } else { ("undo", &clean) };
        let mut child = bench
            .command(&[command, "m.st", "--map", "m.map"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(u64::from(kill / 2) * 3000));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = fs::read(&path).unwrap();
        stopped += u32::from(left != *whole);
        assert!(left == clean || bench.path(SIDE).exists(), "kill {kill}: faulty, and nothing says so");
        let ran = bench.run(&format!("{command} m.st --map m.map"));
        assert!(
            ran.code == Some(0) || ran.code == Some(5) && left == *whole,
            "kill {kill}: {}{}",
            ran.out,
            ran.err
        );
        assert_eq!(fs::read(&path).unwrap(), *whole, "kill {kill}");
    }
    assert!(stopped > 0, "no kill came before the end");
}

#[test]
fn a_faulty_copy_says_where_its_faults_come_from_and_undo_restores_every_byte() {
    let bench = Workbench::new();
    bench.models();
    let clean = fs::read(bench.path("fm.model")).unwrap();
    let injected = bench
        .run("inject fm.model --ber 1e-3 --seed 4 --chip 6 --target embedding --out faulty.model --map m.map --json")
        .json();
    let said = metadata(&bench.path("faulty.model"));
    for (key, text) in [
        ("seed", "4"),
        ("chip", "6"),
        ("ber", "1e-3"),
        ("target", "embedding"),
        ("error_model", "flips"),
        ("flips", &injected["flips"].to_string()),
    ] {
        assert_eq!(said.get(&format!("radhard.fault.{key}")).map(String::as_str), Some(text), "{key}");
    }
    assert!(!said["radhard.fault.golden"].is_empty());
    assert_eq!(said["radhard.fault.header"].as_bytes(), &clean[8..8 + said["radhard.fault.header"].len()]);
    assert!(said.contains_key("radhard.model"), "the metadata of the model stay");

    let flips = format!("{} flips", injected["flips"]);
    bench.run("inject faulty.model --ber 1e-3 --out twice.model").fails(5, &["holds faults already", &flips]);
    bench.run("apply faulty.model --map m.map").fails(5, &["applied already"]);
    bench.run("inject fm.model --ber 1e-3 --seed 5 --map other.map --json").json();
    bench.run("apply faulty.model --map other.map").fails(5, &["holds faults already", "seed 4, chip 6"]);
    bench.run("undo faulty.model --map other.map").fails(5, &["holds faults already", "seed 4, chip 6"]);
    assert!(!bench.path("twice.model").exists());

    bench.run("apply fm.model --map m.map --out applied.model --json").json();
    assert_eq!(fs::read(bench.path("applied.model")).unwrap(), fs::read(bench.path("faulty.model")).unwrap());
    bench.run("undo faulty.model --map m.map --out restored.model --json").json();
    bench.run("undo faulty.model --map m.map --json").json();
    for file in ["restored.model", "faulty.model"] {
        assert_eq!(fs::read(bench.path(file)).unwrap(), clean, "{file}");
    }
    bench.run("undo faulty.model --map m.map").fails(5, &["not applied"]);
}

#[test]
fn every_command_that_reads_a_faulty_model_names_its_flips() {
    let bench = Workbench::new();
    bench.models();
    fs::copy(bench.path("fm.model"), bench.path("in-place.model")).unwrap();
    let words = "--ber 3e-3 --seed 4 --target linear.* --json";
    let injected = bench.run(&format!("inject fm.model {words} --out copy.model")).json();
    bench.run(&format!("inject in-place.model {words} --in-place --map m.map")).json();
    let flips = format!("{} flips", injected["flips"]);
    assert!(injected["flips"].as_u64() > Some(0));
    for model in ["copy.model", "in-place.model"] {
        for command in [
            format!("inspect {model}"),
            format!("evaluate {model} --data small.data"),
            format!("convert {model} --tables f16 --out converted.model"),
            format!("import {model} --model fm --field-dims 60,40 --out imported.model"),
        ] {
            let ran = bench.run(&command);
            assert_eq!(ran.code, Some(0), "{command}: {}", ran.err);
            assert!(ran.out.contains(&flips), "{command}: {}", ran.out);
            let force = if command.contains("--out") { " --force" } else { "" };
            assert_eq!(
                bench.run(&format!("{command}{force} --json")).json()["fault"]["flips"],
                injected["flips"]
            );
        }
        for made in ["converted.model", "imported.model"] {
            assert_eq!(metadata(&bench.path(made))["radhard.fault.seed"], "4", "{made}");
            assert!(bench.run(&format!("inspect {made}")).out.contains(&flips));
            fs::remove_file(bench.path(made)).unwrap();
        }
        bench.write(
            "plan.toml",
            &format!("chips = 2\nrates = [1e-3]\n[[subject]]\nmodel = \"{model}\"\ndata = \"small.data\"\n"),
        );
        bench.run("run plan.toml --out run").fails(5, &[model, &flips, "--allow-faulty"]);
        assert!(!bench.path("run").exists());
        bench.run("run plan.toml --out run --allow-faulty --json").json();
        fs::remove_dir_all(bench.path("run")).unwrap();
    }
    let scores =
        |model: &str| bench.run(&format!("evaluate {model} --data small.data --json")).json()["auc"].clone();
    assert_eq!(scores("copy.model"), scores("in-place.model"));
    assert!(bench.run("inspect fm.model --json").json()["fault"].is_null());
    assert!(bench.run("evaluate fm.model --data small.data --json").json()["fault"].is_null());
}
