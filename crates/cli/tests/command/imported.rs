//! Weights that torch saved, and tables in the formats that fleets serve.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::workbench::Workbench;

const DIMS: &str = "23,7,41,13,5";

fn golden(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/models").join(name);
    path.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", path.display())).display().to_string()
}

#[test]
fn a_state_dict_a_module_and_a_safetensors_file_give_the_same_model() {
    let bench = Workbench::new();
    for model in ["fm", "deepfm", "wide-deep", "dcn", "afm"] {
        let mut models = Vec::new();
        for kind in ["state_dict.pt", "module.pt"] {
            let words = format!(
                "import {} --model {model} --field-dims {DIMS} --out {kind}.model --force --json",
                golden(&format!("{model}.{kind}"))
            );
            let imported = bench.run(&words).json();
            assert_eq!(imported["model"], model);
            models.push(fs::read(bench.path(&format!("{kind}.model"))).unwrap());
        }
        assert_eq!(models[0], models[1], "{model}");
    }
}

#[test]
fn weights_that_do_not_fit_show_both_sides_and_hostile_files_are_refused() {
    let bench = Workbench::new();
    let fm = golden("fm.state_dict.pt");
    bench
        .run(&format!("import {fm} --model fm --field-dims 23,7,41,13,6 --out x.model"))
        .fails(5, &["embedding.embedding.weight", "[89, 16]", "[90, 16]"]);
    bench
        .run(&format!("import {fm} --model deepfm --field-dims {DIMS} --out x.model"))
        .fails(5, &["mlp.mlp.0.weight"]);
    bench
        .run(&format!("import {fm} --model gm --field-dims {DIMS} --out x.model"))
        .fails(1, &["gm", "deepfm"]);
    bench.write("weights.pt", "cos\nsystem\n(S'true'\ntR.");
    for name in ["weights.pt", "nowhere.pt"] {
        let ran = bench.run(&format!("import {name} --model fm --field-dims {DIMS} --out x.model"));
        ran.fails(5, &[name]);
        assert_eq!(ran.err.matches(name).count(), 1, "{}", ran.err);
    }
    assert_eq!(bench.files(), ["weights.pt"]);
}

#[test]
fn converted_tables_are_evaluated_and_injected() {
    let bench = Workbench::new();
    let mut table = String::from("y,a,b,c,d,e\n");
    for row in 0..400_u32 {
        let [a, b, c, d, e] =
            [23, 7, 41, 13, 5].map(|dim| row.wrapping_mul(2_654_435_761_u32.rotate_left(dim)) % dim);
        writeln!(table, "{},{a},{b},{c},{d},{e}", (a + b + c) % 2).expect("a string takes text");
    }
    bench.write("rows.csv", &table);
    let prepare = format!(
        "data prepare csv rows.csv --label y --categorical a,b,c,d,e --ids index --field-dims {DIMS} --split none \
         --out rows.data --json"
    );
    bench.run(&prepare).json();
    let import = format!(
        "import {} --model wide-deep --field-dims {DIMS} --out f32.model --json",
        golden("wide-deep.state_dict.pt")
    );
    let plain = bench.run(&import).json();
    let auc = |model: &str| {
        let scored = bench.run(&format!("evaluate {model} --data rows.data --split all --json")).json();
        assert_eq!(scored["rows"], 400);
        scored["auc"].as_f64().expect("both classes are there")
    };
    let clean = auc("f32.model");
    for (format, words) in [("f16", "f16"), ("bf16", "bf16"), ("int8-rowwise", "u8")] {
        let convert = format!("convert f32.model --tables {format} --out small.model --force --json");
        let converted = bench.run(&convert).json();
        assert!(converted["bytes"].as_u64() < plain["bytes"].as_u64(), "{format}");
        let inspected = bench.run("inspect small.model --json").json();
        let parameters = inspected["parameters"].as_array().expect("a list").iter();
        assert!(
            parameters.clone().any(|p| p["format"] == words && p["component"] == "embedding"),
            "{inspected}"
        );
        let score = auc("small.model");
        assert!((score - clean).abs() < 0.02, "{format}: {score} against {clean}");
        let inject = "inject small.model --ber 0.05 --target embedding --out faulty.model --map faults.map --force --json";
        assert!(bench.run(inject).json()["flips"].as_u64() > Some(100));
        assert!((auc("faulty.model") - score).abs() > 1e-6, "{format}: faults do not show");
        bench.run("undo faulty.model --map faults.map --json").json();
        assert_eq!(fs::read(bench.path("faulty.model")).ok(), fs::read(bench.path("small.model")).ok());
    }
    bench.run("convert f32.model --tables f8 --out x.model").fails(1, &["f8", "int8-rowwise"]);
    bench.write(
        "plan.toml",
        "chips = 3\nsplit = \"all\"\ntargets = [\"embedding\"]\nrates = [1e-3, 1e-2]\n\
         [[subject]]\nmodel = \"small.model\"\ndata = \"rows.data\"\n",
    );
    let ran = bench.run("run plan.toml --out run --json").json();
    assert_eq!(ran["trials"], 6);
}
