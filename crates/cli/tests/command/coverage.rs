//! Tensors that a target reaches and passes over are named: none is left out in silence.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::workbench::Workbench;

/// A file with tensors of these types and shapes.
fn write(bench: &Workbench, name: &str, tensors: &[(&str, Dtype, &[usize])]) {
    let data: Vec<u8> = (0..4096_u32).map(|i| (i * 37 % 256) as u8).collect();
    let view = |&(name, dtype, shape): &(&'static str, Dtype, &[usize])| {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name.to_owned(), TensorView::new(dtype, shape.to_vec(), &data[..bytes]).unwrap())
    };
    let tensors: Vec<(&'static str, Dtype, &[usize])> =
        tensors.iter().map(|&(name, dtype, shape)| (&*name.to_owned().leak(), dtype, shape)).collect();
    safetensors::serialize_to_file(tensors.iter().map(view), None, &bench.path(name)).unwrap();
}

/// The metadata of an error map.
fn origin(bench: &Workbench, map: &str) -> Value {
    let bytes = fs::read(bench.path(map)).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["radhard.error_map"]).unwrap()
}

#[test]
fn four_bit_floats_and_scales_are_hit_like_other_numbers() {
    let bench = Workbench::new();
    write(
        &bench,
        "m.st",
        &[("w", Dtype::F32, &[16]), ("experts", Dtype::F4, &[8, 6]), ("scale", Dtype::F8_E8M0, &[32])],
    );
    let injected = bench.run("inject m.st --ber 0.5 --map m.map --out faulty.st --json").json();
    assert_eq!(injected["exposed_bits"], 16 * 32 + 48 * 4 + 32 * 8);
    assert_eq!(
        injected["hit"],
        json!([
            { "format": "f32", "words": 16, "bits": 512 },
            { "format": "f8e8m0", "words": 32, "bits": 256 },
            { "format": "f4", "words": 48, "bits": 192 },
        ])
    );
    assert_eq!(injected["passed_over"], json!([]));
    let parameters = origin(&bench, "m.map")["parameters"].clone();
    let changed: Vec<&str> =
        parameters.as_array().unwrap().iter().map(|p| p["format"].as_str().unwrap()).collect();
    assert_eq!(changed, ["f4", "f8e8m0", "f32"]);
    assert_eq!(injected["words"].as_u64().unwrap(), {
        let bytes = fs::read(bench.path("m.map")).unwrap();
        let map = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        map.iter()
            .filter(|(name, _)| name.ends_with(".element"))
            .map(|(_, t)| t.shape()[0] as u64)
            .sum::<u64>()
    });
    bench.run("undo faulty.st --map m.map --json").json();
    assert_eq!(fs::read(bench.path("faulty.st")).unwrap(), fs::read(bench.path("m.st")).unwrap());
    for target in ["experts@exponent", "scale@0-7", "experts@sign"] {
        bench.run(&format!("inject m.st --ber 1 --target {target} --in-place --map t.map --json")).json();
        bench.run("undo m.st --map t.map --json").json();
        fs::remove_file(bench.path("t.map")).unwrap();
    }
    bench.run("inject m.st --ber 1 --target scale@sign --out x.st").fails(1, &["scale@sign", "f8e8m0"]);
}

#[test]
fn tensors_that_all_passes_over_are_named_in_text_json_and_map_and_refused_by_strict() {
    let bench = Workbench::new();
    write(
        &bench,
        "m.st",
        &[
            ("w", Dtype::F32, &[16]),
            ("mask", Dtype::BOOL, &[5]),
            ("phase", Dtype::C64, &[2]),
            ("f6", Dtype::F6_E2M3, &[4]),
        ],
    );
    let words = "inject m.st --ber 0.05 --map m.map --out o.st";
    let passed_over = json!([
        { "name": "f6", "format": "F6_E2M3", "bits": 24 },
        { "name": "mask", "format": "BOOL", "bits": 40 },
        { "name": "phase", "format": "C64", "bits": 128 },
    ]);
    bench.run(&format!("{words} --strict")).fails(1, &["--strict", "mask (BOOL, 40 bits)", "phase", "f6"]);
    assert_eq!(bench.files(), ["m.st"]);
    let injected = bench.run(&format!("{words} --json")).json();
    assert_eq!(injected["passed_over"], passed_over);
    assert_eq!(injected["hit"], json!([{ "format": "f32", "words": 16, "bits": 512 }]));
    assert_eq!(origin(&bench, "m.map")["passed_over"], passed_over);
    assert_eq!(origin(&bench, "m.map")["hit"], injected["hit"]);
    fs::remove_file(bench.path("m.map")).unwrap();
    fs::remove_file(bench.path("o.st")).unwrap();
    let ran = bench.run(words);
    assert!(ran.out.contains("passed over: f6 (F6_E2M3, 24 bits), mask (BOOL"), "{}", ran.out);
    let narrow = bench.run("inject m.st --ber 0.05 --target w --out w.st --strict --json").json();
    assert_eq!(narrow["passed_over"], json!([]));
    bench
        .run("inject m.st --ber 0.05 --target mask --out x.st")
        .fails(1, &["mask (BOOL, 40 bits)", "no number format"]);
}

#[test]
fn bits_that_some_formats_lack_say_what_they_hit() {
    let bench = Workbench::new();
    write(
        &bench,
        "m.st",
        &[
            ("a", Dtype::F32, &[16]),
            ("b", Dtype::F16, &[10]),
            ("c", Dtype::I64, &[3]),
            ("d", Dtype::U8, &[7]),
        ],
    );
    let injected = bench.run("inject m.st --ber 1 --target *@30 --out o.st --json").json();
    assert_eq!(
        injected["hit"],
        json!([{ "format": "f32", "words": 16, "bits": 16 }, { "format": "i64", "words": 3, "bits": 3 }])
    );
    assert_eq!(
        injected["passed_over"],
        json!([{ "name": "b", "format": "f16", "bits": 160 }, { "name": "d", "format": "u8", "bits": 56 }])
    );
    bench.run("inject m.st --ber 1 --target *@30 --out p.st --strict").fails(1, &["b (f16", "d (u8"]);
}

#[test]
fn words_that_a_protection_zeroes_are_not_counted_as_flips() {
    let bench = Workbench::new();
    bench.models();
    let words = "inject fm.model --ber 1e-3 --protection secded:zero --out faulty.model --map m.map --json";
    let injected = bench.run(words).json();
    let [words, zeroed, flips] = ["words", "zeroed", "flips"].map(|key| injected[key].as_u64().unwrap());
    assert!(zeroed > 0 && zeroed <= words, "{injected}");
    let applied = bench.run("apply fm.model --map m.map --out applied.model --json").json();
    assert_eq!([&applied["flips"], &applied["zeroed"]], [&injected["flips"], &injected["zeroed"]]);
    // Where every changed word was zeroed, none flipped.
    assert!(words > zeroed || flips == 0, "{injected}");
    assert_eq!(origin(&bench, "m.map")["protection"], "secded:zero");
    assert_eq!(bench.run("inject fm.model --ber 1e-3 --map n.map --json").json()["zeroed"], 0);
}

#[test]
fn a_campaign_names_what_its_targets_pass_over() {
    let bench = Workbench::new();
    bench.models();
    bench.run("convert fm.model --tables f16 --out half.model --json").json();
    bench.write(
        "plan.toml",
        "chips = 2\nrates = [1e-3]\ntargets = [\"all@30\", \"all\"]\n\
         [[subject]]\nmodel = \"half.model\"\ndata = \"small.data\"\n",
    );
    bench
        .run("run plan.toml --out run --strict")
        .fails(1, &["all@30", "embedding.embedding.weight (f16", "--strict"]);
    assert!(!bench.path("run").exists());
    let passed_over = bench.run("run plan.toml --out run --json").json()["passed_over"].clone();
    assert_eq!(
        (passed_over[0]["target"].as_str(), passed_over.as_array().map(Vec::len)),
        (Some("all@30"), Some(1))
    );
    assert_eq!(passed_over[0]["tensors"][0]["format"], "f16");
    let again = bench.run("run plan.toml --out run");
    assert!(
        again.out.contains("target all@30: passes over embedding.embedding.weight (f16"),
        "{}",
        again.out
    );
}
