//! The main job, as a user runs it: ratings → model → campaign → report.

use std::fs;

use crate::workbench::{Workbench, csv};
use safetensors::SafeTensors;
use serde_json::Value;

#[test]
fn ratings_become_a_model_a_campaign_and_a_report() {
    let bench = Workbench::new();
    bench.data();
    let info = bench.run("data info small.data --json").json();
    for key in ["rows", "field_dims", "positives", "bad_lines", "train", "validation", "test", "stand_in"] {
        assert!(!info[key].is_null(), "{key}");
    }
    assert_eq!(info["field_dims"], serde_json::json!([60, 40]));
    let parts = ["train", "validation", "test"].map(|part| info[part].as_u64().unwrap());
    assert_eq!(parts.iter().sum::<u64>(), info["rows"].as_u64().unwrap());

    let trained = bench
        .run("train --model wide-deep --data small.data --out wd.model --epochs 20 --batch-size 128 --lr 0.02 --json")
        .json();
    assert_eq!(trained["model"], "wide-deep");
    assert_eq!(trained["parameters"], 100 * 17 + 1 + 32 * 16 + 16 + 32 + 16 * 16 + 16 + 32 + 16 + 1);
    let auc = trained["test_auc"].as_f64().unwrap();
    assert!(auc > 0.6, "{auc}");

    let scored = bench.run("evaluate wd.model --data small.data --scores scores.safetensors --json").json();
    assert_eq!(scored["auc"].as_f64(), Some(auc));
    assert_eq!(scored["non_finite"], 0);
    let bytes = fs::read(bench.path("scores.safetensors")).unwrap();
    let scores = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(scores.tensor("probability").unwrap().shape(), [parts[2] as usize]);
    assert_eq!(scores.tensor("label").unwrap().shape(), [parts[2] as usize]);

    let inspected = bench.run("inspect wd.model --json").json();
    assert_eq!(inspected["total"], trained["parameters"]);
    assert_eq!(inspected["bits"].as_u64(), inspected["total"].as_u64().map(|n| 32 * n));
    let components = |name: &str| {
        let parameters = inspected["parameters"].as_array().unwrap();
        parameters.iter().find(|p| p["name"] == name).unwrap()["component"].clone()
    };
    assert_eq!(components("linear.fc.weight"), "embedding");
    assert_eq!(components("mlp.mlp.1.weight"), "dense");
    assert_eq!(components("mlp.mlp.1.running_var"), "state");

    bench.write(
        "plan.toml",
        "seed = 2\nchips = 20\ntargets = [\"embedding\", \"dense\"]\nrates = [0.0, 1e-7, 1e-4, 1e-2]\n\
         [[subject]]\nmodel = \"wd.model\"\ndata = \"small.data\"\n",
    );
    let ran = bench.run("run plan.toml --out run --json").json();
    assert_eq!((ran["cells"].as_u64(), ran["trials"].as_u64()), (Some(8), Some(160)));
    assert_eq!(ran["known"].as_u64().unwrap() + ran["evaluated"].as_u64().unwrap(), 160);

    let report = bench.run("report run --json").json();
    let cells = report["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    for cell in cells {
        for key in [
            "model",
            "data",
            "target",
            "error_model",
            "ber",
            "protection",
            "n",
            "golden",
            "mean",
            "sd",
            "min",
            "max",
            "median",
            "ci_low",
            "ci_high",
            "non_finite_share",
            "flips_mean",
            "predicted",
        ] {
            assert!(cell.get(key).is_some(), "{key}");
        }
        let [low, mean, high] = ["ci_low", "mean", "ci_high"].map(|key| cell[key].as_f64().unwrap());
        assert!(low <= mean && mean <= high, "{cell}");
        if cell["ber"] == 0.0 {
            assert_eq!((cell["mean"].as_f64(), cell["golden"].as_f64()), (Some(auc), Some(auc)));
            assert_eq!((low, high), (auc, auc));
        }
    }
    let page = fs::read_to_string(bench.path("run/report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("wide-deep"));
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "the page asks the network");

    bench.run("export run --json").json();
    let trials = csv(&bench.path("run/trials.csv"));
    let header = fs::read_to_string(bench.path("run/trials.csv")).unwrap();
    assert!(header.starts_with(
        "model,data,target,error_model,ber,protection,seed,chip,flips,auc,auc_finite,auc_worst,log_loss,non_finite,\
         saturated,outcome,path,seconds"
    ));
    assert_eq!(trials.len(), 160);
    for trial in &trials {
        assert_eq!(trial["path"] == "known", trial["flips"] == "0", "{trial:?}");
        if trial["flips"] == "0" {
            assert_eq!(trial["auc"].parse(), Ok(auc));
            assert_eq!(trial["outcome"], "masked");
        }
    }
}

#[test]
fn every_command_explains_itself() {
    let bench = Workbench::new();
    let help = bench.run("--help").out;
    for command in
        ["demo", "data", "train", "evaluate", "inspect", "inject", "apply", "undo", "run", "report", "export"]
    {
        assert!(help.contains(command), "{command}");
        let own = bench.run(&format!("{command} --help"));
        assert_eq!(own.code, Some(0));
        assert!(own.out.contains("Usage:"), "{}", own.out);
    }
}

#[test]
fn the_self_test_passes_on_this_machine() {
    let bench = Workbench::new();
    let result = bench.run("selftest --json").json();
    assert_eq!(result["passed"], true, "{result}");
    assert!(result["checks"].as_array().is_some_and(|checks: &Vec<Value>| checks.len() >= 9));
}

#[test]
fn any_safetensors_file_can_be_inspected_and_injected() {
    let bench = Workbench::new();
    let weights: Vec<u8> = (0..1000_u16).flat_map(|i| (f32::from(i) / 1000.0).to_le_bytes()).collect();
    let halves: Vec<u8> = (0..512_u16).flat_map(u16::to_le_bytes).collect();
    let view = |dtype, shape, bytes| safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
    let tensors = [
        ("encoder.weight", view(safetensors::Dtype::F32, vec![10, 100], &weights)),
        ("encoder.scale", view(safetensors::Dtype::F16, vec![512], &halves)),
    ];
    safetensors::serialize_to_file(tensors, None, &bench.path("foreign.safetensors")).unwrap();
    let inspected = bench.run("inspect foreign.safetensors --json").json();
    assert_eq!(inspected["total"], 1512);
    assert_eq!(inspected["parameters"][0]["component"], "unknown");
    let injected = bench.run("inject foreign.safetensors --ber 1e-2 --target encoder.* --out faulty.safetensors --map a.map --json");
    assert!(injected.json()["flips"].as_u64().unwrap() > 100);
    bench
        .run("inject foreign.safetensors --ber 1e-2 --target dense --out x")
        .fails(1, &["dense", "encoder.weight"]);
    bench.run("undo faulty.safetensors --map a.map --json").json();
    let [clean, restored] =
        ["foreign.safetensors", "faulty.safetensors"].map(|f| fs::read(bench.path(f)).unwrap());
    assert_eq!(clean, restored);
}

#[test]
fn an_error_model_without_a_rate_is_reported_without_one() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("chips = 5\nerror_models = [\"count:3\"]\n");
    bench.run("run plan.toml --out run --json").json();
    let ran = bench.run("report run");
    assert!(ran.out.contains("the mean AUC drops by") && !ran.out.contains("bit error rate"), "{}", ran.out);
    for cell in bench.run("report run --json").json()["cells"].as_array().unwrap() {
        assert!(cell["ber"].is_null());
        assert_eq!((cell["n"].as_u64(), cell["flips_mean"].as_f64()), (Some(5), Some(3.0)));
        assert!(cell["predicted"].is_null());
    }
    bench.run("export run --json").json();
    for trial in csv(&bench.path("run/trials.csv")) {
        assert_eq!((trial["ber"].as_str(), trial["flips"].as_str()), ("", "3"));
    }
}
