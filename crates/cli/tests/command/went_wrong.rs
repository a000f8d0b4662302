//! Faults without an error: scores that tie, models that were changed, training that came to nothing.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write;
use std::path::Path;

use crate::workbench::Workbench;

/// Adds a number to the one f32 of a tensor of a model file.
fn shift(path: &Path, tensor: &str, by: f32) {
    let mut bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let at = 8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    let value = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..at + 4].copy_from_slice(&(value + by).to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn rows_that_tie_at_a_probability_of_1_are_counted_and_their_cost_is_named() {
    let bench = Workbench::new();
    bench.models();
    let clean = bench.run("evaluate fm.model --data small.data --scores clean.scores --json").json();
    assert_eq!(clean["ties_at_bounds"], 0);
    assert_eq!(clean["auc_logit"], clean["auc"]);
    assert_eq!(clean["warnings"], serde_json::json!([]));
    shift(&bench.path("fm.model"), "linear.bias", 60.0);
    let shifted = bench.run("evaluate fm.model --data small.data --json").json();
    assert_eq!(shifted["ties_at_bounds"], shifted["rows"]);
    assert_eq!(shifted["auc"], 0.5);
    let (before, after) = (clean["auc_logit"].as_f64().unwrap(), shifted["auc_logit"].as_f64().unwrap());
    // Logits of 60 are rounded to 2^-18.
    assert!((before - after).abs() < 1e-3 && after > 0.51, "{before}, {after}");
    let text = bench.run("evaluate fm.model --data small.data");
    let lost = format!("so ties of probabilities cost {:.6}", after - 0.5);
    assert!(text.out.contains(&lost), "{}", text.out);
    assert!(text.out.contains("rows have a probability of exactly 0 or 1"), "{}", text.out);
}

#[test]
fn scores_hold_probabilities_labels_and_logits_in_the_order_of_the_rows() {
    let bench = Workbench::new();
    bench.models();
    let rows =
        bench.run("evaluate fm.model --data small.data --scores s --json").json()["rows"].as_u64().unwrap();
    let bytes = std::fs::read(bench.path("s")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let [from, to] = [0, 1].map(|at| header[name]["data_offsets"][at].as_u64().unwrap() as usize);
        assert_eq!((&header[name]["dtype"], (to - from) as u64), (&serde_json::json!("F32"), 4 * rows));
        bytes[8 + length..][from..to].as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect()
    };
    let (probabilities, logits) = (floats("probability"), floats("logit"));
    for (p, x) in probabilities.iter().zip(&logits) {
        assert!((f64::from(*p) - 1.0 / (1.0 + (-f64::from(*x)).exp())).abs() < 1e-6, "{p} of {x}");
    }
    assert_eq!(header["label"]["dtype"], "U8");
}

#[test]
fn a_model_that_was_changed_since_it_was_written_is_refused_by_run_and_warned_of_by_evaluate() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("chips = 2\nrates = [1e-5]\n");
    let before = std::fs::read(bench.path("fm.model")).unwrap();
    shift(&bench.path("fm.model"), "linear.bias", 0.25);
    bench.run("run plan.toml --out out --json").fails(5, &["fm.model", "SHA-256", "restore it"]);
    let ran = bench.run("evaluate fm.model --data small.data --json");
    assert!(ran.err.contains("warning: fm.model: its tensors have the SHA-256"), "{}", ran.err);
    assert_eq!(ran.json()["warnings"].as_array().unwrap().len(), 1);
    std::fs::write(bench.path("fm.model"), before).unwrap();
    bench.run("run plan.toml --out out --json").json();
}

/// A table of one categorical column whose labels are these, prepared as `d.data`.
fn labelled(bench: &Workbench, label: impl Fn(u32) -> u32) {
    let mut text = String::from("a,b,y\n");
    for row in 0..600_u32 {
        writeln!(text, "{},{},{}", row % 7, row / 7 % 11, label(row)).unwrap();
    }
    bench.write("d.csv", &text);
    let _ = std::fs::remove_file(bench.path("d.data"));
    bench.run("data prepare csv d.csv --label y --categorical a,b --out d.data --json").json();
}

#[test]
fn training_that_cannot_end_well_saves_nothing_and_says_what_to_do() {
    let bench = Workbench::new();
    labelled(&bench, |_| 1);
    bench
        .run("train --model fm --data d.data --out m.st --json")
        .fails(5, &["training rows are positive", "--positive"]);
    labelled(&bench, |row| row % 2);
    let diverged = bench.run("train --model fm --data d.data --out m.st --lr 1e39 --json");
    diverged.fails(5, &["training diverged", "nothing was saved", "a lower --lr"]);
    assert_eq!(bench.files(), ["d.csv", "d.data"]);
}

#[test]
fn training_that_came_to_little_is_warned_of_with_the_next_step() {
    let bench = Workbench::new();
    labelled(&bench, |row| u32::from((row % 7) * 3 + row / 7 % 11 * 2 + row % 5 > 16));
    let ran = bench.run("train --model fm --data d.data --out m.st --epochs 1 --lr 0.01 --json");
    let warnings: Vec<String> = serde_json::from_value(ran.json()["warnings"].clone()).unwrap();
    assert!(warnings.iter().any(|text| text.ends_with("train with --epochs 10")), "{warnings:?}");
    for warning in &warnings {
        assert!(ran.err.contains(&format!("warning: {warning}")), "{}", ran.err);
    }
    let baseline = ran.json()["baseline_auc"].as_f64().unwrap();
    assert!((0.6..1.0).contains(&baseline), "{baseline}");
}
